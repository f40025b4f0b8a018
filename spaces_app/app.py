"""The Space: paint over a part of a photo, and it is completed.

python app.py        serves it on http://127.0.0.1:7860 (GRADIO_SERVER_NAME, GRADIO_SERVER_PORT change that)
"""

import functools
import os
from pathlib import Path

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # before gradio is imported: no look-ups outside

import gradio as gr
from PIL import Image

import work

EXAMPLES = Path(__file__).parent / "examples"
PAINT = "#e5488b"
CSS = """
.gradio-container {max-width: 1100px !important; margin: 0 auto !important}
#editor {min-height: 320px}
footer {display: none !important}
"""
INTRODUCTION = """
# Photo completion
Open a photo, paint over what should go, press **Complete**. Everything outside the paint and a narrow rim around it
(4 pixels, adjustable) stays exactly as it was. The network is small and runs on a processor, for a second or less: it
is good at thin things and at soft backgrounds such as sky, walls, water and grass, and blurry in large holes. Uploads
are deleted after an hour.
"""


def message_for_visitors(function):
    """Turn a ValueError into a message on the page (or to the caller of the API)."""

    @functools.wraps(function)
    def wrapped(*args):
        try:
            return function(*args)
        except ValueError as error:
            raise gr.Error(str(error)) from error

    return wrapped


def for_editor(photo: Image.Image, mask: str | None = None) -> dict:
    """The editor's value for a photo without strokes; a mask file is shown as paint that is dry already."""
    background = photo.convert("RGB")
    if mask:
        background.paste(PAINT, mask=Image.open(mask).convert("L"))
    return {"background": background, "layers": [], "composite": None}


@message_for_visitors
def show_photo(path: str | None):
    """A photo was chosen: to the editor, and the chooser folds away."""
    if path is None:
        return None, gr.update(), gr.update(), gr.update()
    photo = work.open_photo(path)
    return photo, gr.update(value=for_editor(photo), visible=True), gr.update(open=False), gr.update(value=None)


@message_for_visitors
def run(photo: Image.Image | None, editor: dict | None, mask_path: str | None, grow: int, feather: int, model: str):
    """Complete what is painted and what the uploaded mask marks."""
    if photo is None:
        raise ValueError("Open a photo first.")
    mask = work.painted_mask((editor or {}).get("layers") or [], photo.size)
    if mask_path:
        mask |= work.read_mask(mask_path, photo.size)
    result = work.complete(photo, mask, model, int(grow), int(feather))
    folder = work.result_folder()
    result.image.save(folder / "completed.png")
    result.mask.save(folder / "mask.png")
    megapixels = photo.width * photo.height / work.MEGAPIXEL
    status = f"Completed in {result.seconds:.1f} s ({photo.width} x {photo.height}, {megapixels:.1f} megapixels)."
    shown = gr.update(visible=True)
    return (
        (photo.convert("RGB"), result.image.convert("RGB")),
        str(folder / "completed.png"),
        status,
        result.image,
        str(folder / "mask.png"),
        shown,
    )


@message_for_visitors
def inpaint(image: str, mask: str, grow: float, feather: float, model: str) -> Image.Image:
    """The API: a photo and its mask as files (white = fill), the completed photo as PNG."""
    if not image or not mask:
        raise ValueError("Give an image and a mask.")
    photo = work.open_photo(image)
    return work.complete(photo, work.read_mask(mask, photo.size), model, int(grow or 0), int(feather or 0)).image


@message_for_visitors
def inpaint_batch(photos: list[str] | None, mask_files: list[str] | None, model: str) -> list[str]:
    """The API for several photos at once, with one mask for all or one for each."""
    if not photos or not mask_files:
        raise ValueError("Give at least one photo and one mask.")
    return work.complete_files(photos, mask_files, work.result_folder(), model)


def open_example(name: str):
    """A photo of the examples with its mask."""
    photo, mask = work.open_photo(EXAMPLES / f"{name}.jpg"), str(EXAMPLES / f"{name}-mask.png")
    return photo, gr.update(value=for_editor(photo, mask), visible=True), gr.update(open=False), mask


def take_mask_again(photo: Image.Image | None, mask: str | None):
    """The mask of the last run, for the photo that is open now."""
    return (for_editor(photo, mask), mask) if photo and mask else (gr.update(), gr.update())


def build() -> gr.Blocks:
    """The page and its API."""
    names = work.models()
    with gr.Blocks(
        title="Photo completion (GLCIC)", delete_cache=(600, work.KEPT_SECONDS), analytics_enabled=False
    ) as page:
        photo, result, used_mask = (gr.State(time_to_live=work.KEPT_SECONDS) for _ in range(3))
        gr.Markdown(INTRODUCTION)
        with gr.Row(equal_height=False):
            with gr.Column(min_width=320):
                with gr.Accordion("1. Open a photo", open=True) as chooser:
                    upload = gr.Image(
                        label="Photo",
                        type="filepath",
                        image_mode=None,
                        sources=["upload", "clipboard", "webcam"],
                        height=220,
                        elem_id="photo",
                    )
                    with gr.Row():
                        example_buttons = {
                            name: gr.Button(f"Example: {name}", size="sm", elem_id=f"example-{name}")
                            for name in ("rocket", "coffee")
                        }
                editor = gr.ImageEditor(
                    label="2. Paint",
                    type="numpy",
                    image_mode="RGBA",
                    sources=(),
                    layers=False,
                    transforms=(),
                    brush=gr.Brush(colors=[PAINT], default_color=PAINT, color_mode="fixed"),
                    eraser=gr.Eraser(),
                    format="png",
                    elem_id="editor",
                    visible=False,
                )
                with gr.Accordion("Mask and model", open=False, elem_id="options"):
                    grow = gr.Slider(0, work.LARGEST_RIM, 4, step=1, label="Grow the mask (pixels)", elem_id="grow")
                    feather = gr.Slider(
                        0, work.LARGEST_RIM, 0, step=1, label="Feather the grown rim (pixels)", elem_id="feather"
                    )
                    mask = gr.Image(
                        label="Mask, white = fill",
                        type="filepath",
                        image_mode=None,
                        sources=["upload", "clipboard"],
                        height=180,
                        elem_id="mask",
                    )
                    model = gr.Dropdown(names, value=names[0], label="Model", interactive=len(names) > 1)
                go = gr.Button("3. Complete", variant="primary", size="lg", elem_id="go")
            with gr.Column(min_width=320):
                slider = gr.ImageSlider(
                    label="Before | after",
                    format="png",
                    type="pil",
                    elem_id="slider",
                    interactive=False,
                )
                status = gr.Markdown(elem_id="status")
                with gr.Column(visible=False, elem_id="next") as next_steps:
                    download = gr.DownloadButton("Download PNG", variant="primary", elem_id="download")
                    with gr.Row():
                        go_on = gr.Button("Continue from the result", size="md", min_width=120, elem_id="go-on")
                        reuse = gr.Button("Reuse the mask", size="md", min_width=120, elem_id="reuse")
        opened = [photo, editor, chooser, mask]
        upload.input(show_photo, upload, opened, api_visibility="private")
        for name, button in example_buttons.items():
            button.click(lambda name=name: open_example(name), None, opened, api_visibility="private")
        go.click(
            run,
            [photo, editor, mask, grow, feather, model],
            [slider, download, status, result, used_mask, next_steps],
            concurrency_id="completion",
            api_visibility="private",
        )
        go_on.click(
            lambda image: (image, for_editor(image), None, ""),
            result,
            [photo, editor, mask, status],
            api_visibility="private",
        )
        reuse.click(take_mask_again, [photo, used_mask], [editor, mask], api_visibility="private")
        mask.clear(lambda image: image and for_editor(image), photo, editor, api_visibility="private")
        _add_api(names)
    return page


def _add_api(names: list[str]) -> None:
    """Endpoints of plain files for programs; nothing of them is seen on the page."""
    with gr.Group(visible=False):
        image, mask = (gr.File(label=label) for label in ("image", "mask"))  # as they are; Image would open them
        photos, mask_files = (gr.File(file_count="multiple", label=label) for label in ("photos", "masks"))
        grow, feather = gr.Number(0, label="grow"), gr.Number(0, label="feather")
        model = gr.Dropdown(names, value=names[0], label="model")
        completed = gr.Image(format="png", type="pil", image_mode=None, label="completed")
        files = gr.File(file_count="multiple", label="completed")
        one, several = gr.Button(), gr.Button()
    shared = {"concurrency_id": "completion"}
    one.click(inpaint, [image, mask, grow, feather, model], completed, api_name="inpaint", **shared)
    several.click(inpaint_batch, [photos, mask_files, model], files, api_name="inpaint_batch", **shared)


if __name__ == "__main__":
    theme = gr.themes.Soft(
        primary_hue="pink", font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]
    )
    # One completion at a time, the others see their place in the queue. The editor sends pictures as PNG, three of
    # them: the limit is for files, not for photos, which open_photo measures.
    build().queue(max_size=64, default_concurrency_limit=1).launch(
        theme=theme, css=CSS, max_file_size="400mb", show_error=True
    )
