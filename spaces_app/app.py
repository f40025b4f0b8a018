"""The Space: paint over a part of a photo, and it is completed.

python app.py        serves it on http://127.0.0.1:7860 (GRADIO_SERVER_NAME, GRADIO_SERVER_PORT change that)
"""

import functools
import html
import inspect
import os
import tempfile
from dataclasses import Field, fields
from pathlib import Path

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # before gradio is imported: no look-ups outside

import gradio as gr
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

import work
from glcic_hub.filling.options import NONE, FillOptions, choice_names, from_text
from glcic_hub.ui.routes import page_routes

FILES = tempfile.TemporaryDirectory(prefix="space-")  # removed at exit
UPLOADS = Path(os.environ.setdefault("GRADIO_TEMP_DIR", str(Path(FILES.name, "uploads"))))
RESULTS = Path(FILES.name, "results")
MOST_CALLS = 100
"""Threads for programs that wait, which are more than may wait for their turn."""

HOST = work.make_host()


def as_endpoint(function):
    """Make a function an endpoint of Gradio.

    The names and types of its parameters are read off the signature, in which those of the `FillOptions` take the place
    of `options`. ValueError becomes a message to the caller.
    """
    *own, _ = inspect.signature(function).parameters.values()
    parameters = [*own, *map(_parameter, fields(FillOptions))]
    names = [parameter.name for parameter in parameters]

    @functools.wraps(function)
    def endpoint(*values):
        given = dict(zip(names, values))
        own_values = [given.pop(parameter.name) for parameter in own]
        try:
            return function(*own_values, FillOptions(**{name: _value(name, value) for name, value in given.items()}))
        except ValueError as error:
            raise gr.Error(str(error), print_exception=False) from error

    returned = inspect.signature(function).return_annotation
    endpoint.__signature__ = inspect.Signature(parameters, return_annotation=returned)
    endpoint.__annotations__ = {one.name: one.annotation for one in parameters} | {"return": returned}
    return endpoint


def _parameter(option: Field) -> inspect.Parameter:
    """An option of the `FillOptions` for programs; choices are text, in which "none" is None."""
    is_choice = "choices" in option.metadata
    default, kind = (choice_names(option)[0], str) if is_choice else (option.default, option.type)
    return inspect.Parameter(option.name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=kind)


def _value(name: str, value: object) -> object:
    """The value of an option that a program has given: as it is, or as text."""
    if not isinstance(value, str):
        return value
    option = next(option for option in fields(FillOptions) if option.name == name)
    return from_text(option, value or NONE)


@as_endpoint
def inpaint(
    image: gr.FileData | None,
    mask: gr.FileData | None,
    model: str = HOST.models[0],
    options: FillOptions = work.DEFAULTS,
) -> gr.FileData:
    """A photo and its mask as files (white = fill); gives the completed photo as PNG.

    Raises:
        ValueError: one of them is missing or cannot be used.
    """
    if not image or not mask:
        raise ValueError("Give an image and a mask.")
    return completed_files([image], [mask], model, options)[0]


@as_endpoint
def inpaint_batch(
    photos: list[gr.FileData] | None,
    mask_files: list[gr.FileData] | None,
    model: str = HOST.models[0],
    options: FillOptions = work.DEFAULTS,
) -> list[gr.FileData]:
    """Several photos at once, with one mask for all or one for each; gives PNG files.

    Raises:
        ValueError: photos or masks are missing, or one cannot be used.
    """
    if not photos or not mask_files:
        raise ValueError("Give at least one photo and one mask.")
    return completed_files(photos, mask_files, model, options)


def completed_files(photos: list[dict], masks: list[dict], model: str, options: FillOptions) -> list[dict]:
    """What the endpoints give for files, both as Gradio passes them."""
    paths = [[file["path"] for file in files] for files in (photos, masks)]
    results = work.complete_files(HOST.turns, *paths, work.new_folder(RESULTS), model, options)
    return [gr.FileData(path=path).model_dump() for path in results]


async def api_page(request: Request) -> HTMLResponse:
    """How programs use the Space."""
    text = Path(__file__).with_name("api.html").read_text(encoding="utf-8")
    name = os.environ.get("SPACE_ID") or str(request.base_url)
    options = "".join(
        f"<dt><code>{option.name}={_parameter(option).default!r}</code></dt>"
        f"<dd>{html.escape(option.metadata['help'])}</dd>\n"
        for option in fields(FillOptions)
    )
    models = ", ".join(f"<code>{html.escape(name)}</code>" for name in HOST.models)
    for key, value in {"NAME": html.escape(name), "OPTIONS": options, "MODELS": models}.items():
        text = text.replace(f"{{{key}}}", value)
    return HTMLResponse(text)


def build() -> gr.Server:
    """The page and the API."""
    server = gr.Server(title="Photo completion (GLCIC)", docs_url=None, redoc_url=None, openapi_url=None)
    server.router.routes += [*page_routes(HOST), Route("/api.html", api_page)]
    # All wait in the same queue, which is ours, for their turn.
    server.api(inpaint, name="inpaint", concurrency_limit=None)
    server.api(inpaint_batch, name="inpaint_batch", concurrency_limit=None)
    return server


if __name__ == "__main__":
    for folder in (UPLOADS, RESULTS):
        work.remove_in_time(folder)
    HOST.examples.prepare()
    build().launch(max_threads=MOST_CALLS, max_file_size=HOST.most_bytes, show_error=True)
