"""The Space: paint over a part of a photo, and it is completed.

python app.py        serves it on http://127.0.0.1:7860 (GRADIO_SERVER_NAME, GRADIO_SERVER_PORT change that)
"""

import functools
import inspect
import os
import time
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # before gradio is imported: no look-ups outside

import gradio as gr

import work
from glcic_hub.filling.options import DEFAULTS, NONE, FillOptions, choice_names, from_texts

EXAMPLES = Path(__file__).parent / "examples"
PAINT = (229, 72, 139)
GROWN = 4  # pixels: people paint along an edge, and up to it
OPACITY = 0.65  # what is painted over can be seen through the paint
CSS = """
.gradio-container {max-width: 1100px !important; margin: 0 auto !important}
#editor {min-height: 320px}
footer {display: none !important}
"""
INTRODUCTION = """
# Photo completion
Open a photo, paint over what should go, and press **Complete**. Everything outside the paint and a narrow rim around it
(4 pixels, adjustable) stays exactly as it was. A small network decides what goes there, and patches of your photo
provide the texture. This takes about a second for a small part of a photo, and several seconds for a large one. It is
good at grass, walls, sky, water and leaves; it does not invent faces or objects. Uploads are deleted after an hour.
"""


PROGRESS = gr.Progress()
"""As a default argument it tells Gradio to pass the bar of the event."""


def shown(progress: gr.Progress):
    """What shows the share of the work that is done."""
    return functools.partial(progress, desc="Completing")


def photo_file(**options) -> gr.Image:
    """A `gr.Image` that gives the path of the uploaded file as it is.

    On its own `gr.Image` opens the file: it decodes other modes than RGB and encodes them again (a grey JPEG as another
    JPEG), and what is not an image gets a message for programmers. (Of a subclass Gradio would write a stub, app.pyi.)
    """
    component = gr.Image(type="filepath", **options)
    component.preprocess = lambda payload: payload.path if payload else None
    return component


def message_for_visitors(function):
    """Turn a ValueError into a message on the page (or to the caller of the API)."""

    @functools.wraps(function)
    def wrapped(*args):
        try:
            return function(*args)
        except ValueError as error:
            raise gr.Error(str(error), print_exception=False) from error

    return wrapped


def for_editor(photo: work.Picture, mask=None) -> dict:
    """The editor with a photo and, where there is one, its mask (bool array) as paint that can be erased."""
    background = work.save_preview(photo, work.result_folder(), "photo")
    size = work.preview_size(photo)
    layers = [] if mask is None else [work.strokes_of(mask, size, (*PAINT, round(OPACITY * 255)))]
    value = {"background": background, "layers": layers, "composite": None}
    # Where the canvas is not of the picture's size from the start, the layer is drawn beside its place.
    return gr.update(value=value, canvas_size=size[::-1], visible=True)


@message_for_visitors
def show_photo(path: str | None, mask_path: str | None = None):
    """A photo was chosen, with a mask or without: to the editor, and the chooser folds away."""
    if path is None:
        return None, gr.update(value=None, visible=False), gr.update(), None
    photo = work.open_photo(path)
    mask = work.read_mask(mask_path, photo.size) if mask_path else None
    return path, for_editor(photo, mask), gr.update(open=False), mask_path


@message_for_visitors
def show_mask(photo_path: str | None, editor: dict | None, mask_path: str | None):
    """A mask was chosen: it is added to what is painted."""
    if photo_path is None or mask_path is None:
        return gr.update(), mask_path
    photo = work.open_photo(photo_path)
    mask = work.read_mask(mask_path, photo.size)
    return for_editor(photo, mask | work.painted_mask((editor or {}).get("layers") or [], photo)), mask_path


@message_for_visitors
def hide_mask(photo_path: str | None, editor: dict | None, mask_path: str | None):
    """The mask was put away: what else is painted stays."""
    if photo_path is None or mask_path is None:
        return gr.update(), None
    photo = work.open_photo(photo_path)
    mask = work.read_mask(mask_path, photo.size)
    return for_editor(photo, work.painted_mask((editor or {}).get("layers") or [], photo, mask) & ~mask), None


def option_controls(grow: int = DEFAULTS.grow) -> list[gr.components.Component]:
    """A control for each of the `FillOptions`, in their order; `grow` is what that one starts with."""
    controls = []
    for option in fields(FillOptions):
        about = {"label": option.name.replace("_", " ").capitalize(), "info": option.metadata["help"]}
        about["elem_id"] = option.name.replace("_", "-")
        if "choices" in option.metadata:
            names = choice_names(option)
            controls.append(gr.Radio(names, value=names[0], **about))
        elif option.default is not None:
            value = grow if option.name == "grow" else option.default
            controls.append(gr.Slider(*option.metadata["range"], value=value, step=1, **about))
        else:
            # text, because a number that is not given comes back as 0
            controls.append(gr.Textbox("", placeholder="automatic", max_lines=1, **about))
    return controls


def with_options(function):
    """Make the values of `option_controls`, which come last, the argument `options` of a function.

    Gradio reads the names of the API's parameters off the signature, which gets the options' instead, and sees there
    that the function wants to show its progress.
    """
    *own, _, progress = inspect.signature(function).parameters.values()
    options = [
        inspect.Parameter(option.name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=option.default)
        for option in fields(FillOptions)
    ]

    @functools.wraps(function)
    def wrapped(*values):
        given = zip((option.name for option in options), values[len(own) : len(own) + len(options)])
        texts = {name: NONE if value in (None, "") else str(value) for name, value in given}
        return function(*values[: len(own)], from_texts(texts), *values[len(own) + len(options) :])

    wrapped.__signature__ = inspect.Signature([*own, *options, progress])
    return wrapped


@message_for_visitors
@with_options
def run(
    path: str | None,
    editor: dict | None,
    mask_path: str | None,
    model: str,
    options: FillOptions,
    progress: gr.Progress = PROGRESS,
):
    """Complete what is painted."""
    if path is None:
        raise ValueError("Open a photo first.")
    started = time.perf_counter()
    photo = work.open_photo(path)
    mask = work.read_mask(mask_path, photo.size) if mask_path else None
    mask = work.painted_mask((editor or {}).get("layers") or [], photo, mask)
    result = work.complete_photo(photo, mask, model, options, shown(progress))
    folder = work.result_folder()
    pair = [work.save_preview(picture, folder, name) for picture, name in ((photo, "before"), (result.photo, "after"))]
    completed = work.save_png(result.photo, folder / f"{Path(path).stem.removesuffix('-completed')}-completed.png")
    used_mask = work.save_png(work.images.read(mask), folder / "mask.png")
    seconds, (height, width) = time.perf_counter() - started, photo.size
    status = (
        f"Completed in {seconds:.1f} s: {result.mask.mean():.1%} of {width} x {height} pixels "
        f"({width * height / work.MEGAPIXEL:.1f} megapixels)."
    )
    return pair, completed, status, completed, used_mask, gr.update(visible=True)


@message_for_visitors
@with_options
def inpaint(
    image: str,
    mask: str,
    model: str,
    options: FillOptions,
    progress: gr.Progress = PROGRESS,
) -> str:
    """The API: a photo and its mask as files (white = fill), the completed photo as PNG."""
    if not image or not mask:
        raise ValueError("Give an image and a mask.")
    return work.complete_files([image], [mask], work.result_folder(), model, options, shown(progress))[0]


@message_for_visitors
@with_options
def inpaint_batch(
    photos: list[str] | None,
    mask_files: list[str] | None,
    model: str,
    options: FillOptions,
    progress: gr.Progress = PROGRESS,
) -> list[str]:
    """The API for several photos at once, with one mask for all or one for each."""
    if not photos or not mask_files:
        raise ValueError("Give at least one photo and one mask.")
    return work.complete_files(photos, mask_files, work.result_folder(), model, options, shown(progress))


def build() -> gr.Blocks:
    """The page and its API."""
    names = work.models()
    with gr.Blocks(
        title="Photo completion (GLCIC)", delete_cache=(600, work.KEPT_SECONDS), analytics_enabled=False
    ) as page:
        gr.Markdown(INTRODUCTION)
        with gr.Row(equal_height=False):
            with gr.Column(min_width=320):
                inputs = _inputs(names)
            with gr.Column(min_width=320):
                results = _results()
        _connect(inputs, results)
        _add_api(names)
    return page


def _inputs(names: list[str]) -> SimpleNamespace:
    """The left column: photo, editor, mask, settings, and the button."""
    part = SimpleNamespace()
    with gr.Accordion("1. Open a photo", open=True) as part.chooser:
        part.upload = photo_file(label="Photo", sources=["upload", "clipboard", "webcam"], height=220, elem_id="photo")
        with gr.Row():
            part.examples = {
                name: gr.Button(f"Example: {name}", size="sm", elem_id=f"example-{name}")
                for name in ("rocket", "coffee")
            }
    paint = (f"#{bytes(PAINT).hex()}", OPACITY)
    part.editor = gr.ImageEditor(
        label="2. Paint",
        type="pil",
        image_mode="RGBA",
        sources=(),
        layers=False,
        transforms=(),
        brush=gr.Brush(colors=[paint], default_color=paint, color_mode="fixed"),
        eraser=gr.Eraser(),
        format="png",
        elem_id="editor",
        visible=False,
    )
    with gr.Accordion("Mask and settings", open=False, elem_id="options"):
        part.mask_upload = photo_file(
            label="Mask, white = fill", sources=["upload", "clipboard"], height=180, elem_id="mask"
        )
        part.model = gr.Dropdown(names, value=names[0], label="Model", interactive=len(names) > 1)
        part.options = option_controls(GROWN)
    part.go = gr.Button("3. Complete", variant="primary", size="lg", elem_id="go")
    return part


def _results() -> SimpleNamespace:
    """The right column: before and after, and what can be done next."""
    part = SimpleNamespace()
    part.slider = gr.ImageSlider(
        label="Before | after", type="filepath", buttons=["fullscreen"], elem_id="slider", interactive=False
    )
    part.status = gr.Markdown(elem_id="status")
    with gr.Column(visible=False, elem_id="next") as part.what_next:
        part.download = gr.DownloadButton("Download PNG", variant="primary", elem_id="download")
        with gr.Row():
            part.go_on = gr.Button("Continue from the result", size="md", min_width=120, elem_id="go-on")
            part.reuse = gr.Button("Reuse the mask", size="md", min_width=120, elem_id="reuse")
    return part


def _connect(inputs: SimpleNamespace, results: SimpleNamespace) -> None:
    """What happens when something is chosen or pressed."""
    photo, mask, result, used_mask = (gr.State() for _ in range(4))  # paths, not pictures: little memory
    editor, mask_upload = inputs.editor, inputs.mask_upload
    opened = [photo, editor, inputs.chooser, mask]
    shown = [editor, mask]
    nothing = {"fn": lambda: None, "api_visibility": "private"}
    private = {"api_visibility": "private"}
    inputs.upload.input(show_photo, inputs.upload, opened, **private).failure(outputs=inputs.upload, **nothing)
    for name, button in inputs.examples.items():
        paths = str(EXAMPLES / f"{name}.jpg"), str(EXAMPLES / f"{name}-mask.png")
        button.click(functools.partial(show_photo, *paths), None, opened, **private)
    mask_upload.input(show_mask, [photo, editor, mask_upload], shown, **private).failure(outputs=mask_upload, **nothing)
    mask_upload.clear(hide_mask, [photo, editor, mask], shown, **private)
    inputs.go.click(
        run,
        [photo, editor, mask, inputs.model, *inputs.options],
        [results.slider, results.download, results.status, result, used_mask, results.what_next],
        concurrency_id="completion",
        **private,
    )
    results.go_on.click(show_photo, result, opened, **private).success(
        lambda: (None, ""), None, [mask_upload, results.status], **private
    )
    results.reuse.click(show_mask, [photo, editor, used_mask], shown, **private).success(
        lambda path: path, used_mask, mask_upload, **private
    )


def _add_api(names: list[str]) -> None:
    """Endpoints of plain files for programs; nothing of them is seen on the page."""
    with gr.Group(visible=False):
        image, mask, completed = (gr.File(label=label) for label in ("image", "mask", "completed"))
        photos, mask_files, files = (
            gr.File(file_count="multiple", label=label) for label in ("photos", "masks", "completed")
        )
        model = gr.Dropdown(names, value=names[0], label="model")
        shared = [model, *option_controls()]
        one, several = gr.Button(), gr.Button()
    queue = {"concurrency_id": "completion"}
    one.click(inpaint, [image, mask, *shared], completed, api_name="inpaint", **queue)
    several.click(inpaint_batch, [photos, mask_files, *shared], files, api_name="inpaint_batch", **queue)


if __name__ == "__main__":
    theme = gr.themes.Soft(
        primary_hue="pink", font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]
    )
    # One completion at a time, the others see their place in the queue. The limit is for files, not for photos, which
    # open_photo measures.
    build().queue(max_size=64, default_concurrency_limit=1).launch(
        theme=theme, css=CSS, max_file_size="400mb", show_error=True
    )
