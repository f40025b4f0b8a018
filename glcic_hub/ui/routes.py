"""The page's server: photos, masks and completions over HTTP.

All addresses are relative to the page's own. Errors are `{"error": sentence}`; with `"gone": true` where the server no
longer has a photo, which the page then uploads again.

    GET  host.json                                        what the page needs to know of its host
    POST photos?name=                                     a file -> id, width, height, format, note
    POST first                                            the photo that the server was started with -> the same
    GET  photos/ID/preview                                the photo as WebP
    POST photos/ID/mask                                   a file -> PNG, white = fill; X-Note
    POST photos/ID/versions?base=&left=&top=&width=&height=&SETTING=   paint -> lines of JSON (`streaming`)
    GET  photos/ID/versions/VERSION/patch                 the version's box as WebP
    GET  photos/ID/versions/VERSION/file?format=own|png   the whole version as a file
    POST photos/ID/versions/VERSION/save                  the same beside the photo, where the host has a folder
    GET  examples/NAME/thumbnail, examples/NAME/mask
    POST examples/NAME                                    as POST photos, with `first`, a version
"""

import functools
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from PIL import Image
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import QueryParams
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from glcic_hub.demo import PHOTOS
from glcic_hub.errors import readable, reason
from glcic_hub.filling.options import NONE, FillOptions, from_texts
from glcic_hub.formats import encoded
from glcic_hub.images import Picture
from glcic_hub.ui import examples, saving
from glcic_hub.ui.completing import Fill, complete
from glcic_hub.ui.page_files import file_routes
from glcic_hub.ui.photos import GONE, Completed, Gone, Photo, Photos, Version, plain_name
from glcic_hub.ui.reading import ACCEPTED, read_mask, read_paint
from glcic_hub.ui.streaming import NO_MEMORY, Say, stream_of
from glcic_hub.ui.turns import TooManyWaiting, Turns
from glcic_hub.ui.words import GROWN, MODEL, settings

MEGABYTE = 2**20
MOST_PAINT = 64 * MEGABYTE
"""A PNG of black and white has far less."""

Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class Host:
    """Where the page is served, and how it completes photos there.

    Attributes:
        photos: those that are open.
        turns: whose turn it is.
        fill: completes a photo.
        models: names to choose from, the default first.
        most_bytes: of a file that is uploaded.
        first: the photo that the page opens with.
        folder: where results are saved; None: the page offers downloads alone.
        about: (label, address) of what the page links to.
        introduction: what becomes of photos here, in a sentence for visitors.
    """

    photos: Photos
    turns: Turns
    fill: Fill
    models: Sequence[str]
    most_bytes: int = 400 * MEGABYTE
    first: Path | None = None
    folder: Path | None = None
    about: Sequence[tuple[str, str]] = ()
    introduction: str = ""

    @functools.cached_property
    def examples(self) -> examples.Examples:
        """The examples, in the turn of everybody."""

        def completed(read: examples.Read, options: FillOptions) -> Completed:
            return complete(self.turns, self.fill, self.models[0], read, options)

        return examples.Examples(self.photos, completed)


def page_routes(host: Host) -> list[Route]:
    """All routes of the page, for an application of Starlette or FastAPI."""
    server = _Server(host)
    return [
        *file_routes(),
        Route("/host.json", server.about, methods=["GET"]),
        *(
            Route(path, _answering(endpoint), methods=[method])
            for method, path, endpoint in [
                ("POST", "/photos", server.open_photo),
                ("POST", "/first", server.open_first),
                ("GET", "/photos/{photo}/preview", server.preview),
                ("POST", "/photos/{photo}/mask", server.mask),
                ("POST", "/photos/{photo}/versions", server.complete),
                ("GET", "/photos/{photo}/versions/{version}/patch", server.patch),
                ("GET", "/photos/{photo}/versions/{version}/file", server.file),
                ("POST", "/photos/{photo}/versions/{version}/save", server.save),
                ("POST", "/examples/{name}", server.open_example),
                ("GET", "/examples/{name}/thumbnail", server.thumbnail),
                ("GET", "/examples/{name}/mask", server.example_mask),
            ]
        ),
    ]


def _answering(endpoint: Endpoint) -> Endpoint:
    """With errors as `{"error": sentence}`."""

    @functools.wraps(endpoint)
    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except Gone:
            return JSONResponse(GONE, 404)
        except _NoExample as error:
            return JSONResponse({"error": str(error)}, 404)
        except TooManyWaiting as error:
            return JSONResponse({"error": str(error)}, 503)
        except ValueError as error:
            return JSONResponse({"error": str(error)}, 400)
        except MemoryError:
            return JSONResponse(NO_MEMORY, 507)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it

    return answer


class _NoExample(ValueError):
    """There is no example of that name."""


def _example(request: Request) -> str:
    name = request.path_params["name"]
    if name not in PHOTOS:
        raise _NoExample("There is no such example.")
    return name


class _Server:
    """The endpoints."""

    def __init__(self, host: Host):
        self._host, self._photos = host, host.photos

    async def about(self, request: Request) -> Response:
        host = self._host
        about = {
            "maxPixels": self._photos.most_pixels,
            "accept": ACCEPTED,
            "settings": settings(host.models),
            "examples": [{"name": name, "thumbnail": f"examples/{name}/thumbnail"} for name in PHOTOS],
            "canSave": host.folder is not None,
            "canDownloadOwnFormat": True,
            "firstPhoto": plain_name(host.first.name) if host.first else None,
            "introduction": host.introduction,
            "about": [{"label": label, "url": url} for label, url in host.about],
        }
        return JSONResponse(about, headers={"Cache-Control": "no-store"})

    async def open_photo(self, request: Request) -> Response:
        name = request.query_params.get("name", "photo")
        photo = await self._with_upload(request, lambda path: self._photos.add(path, name))
        return JSONResponse(_about(photo))

    async def open_first(self, request: Request) -> Response:
        if self._host.first is None:
            raise Gone("first")
        return JSONResponse(_about(await run_in_threadpool(self._open_copy, self._host.first)))

    def _open_copy(self, path: Path) -> Photo:
        try:
            return self._photos.add_copy(path, path.name)
        except OSError as error:
            raise ValueError(f"{plain_name(path.name)} can no longer be read.") from error

    async def preview(self, request: Request) -> Response:
        data = await run_in_threadpool(self._photos.preview, self._photo(request))
        return Response(data, media_type="image/webp")

    async def mask(self, request: Request) -> Response:
        photo = self._photo(request)
        size = photo.height, photo.width

        def png(path: Path) -> tuple[bytes, str]:
            mask, note = read_mask(path, size, self._photos.most_pixels)
            return encoded(_levels(mask), "PNG"), note

        data, note = await self._with_upload(request, png)
        return Response(data, media_type="image/png", headers={"X-Note": quote(note)} if note else {})

    async def complete(self, request: Request) -> Response:
        photo, query = self._photo(request), request.query_params
        base = query.get("base") or None
        if base is not None:
            photo.version(base)
        box = _box(query, photo)
        options, model = self._settings(query)
        data = await _body(request, MOST_PAINT)

        def read() -> tuple[Picture, np.ndarray]:
            left, top, width, height = box
            mask = np.zeros((photo.height, photo.width), bool)
            mask[top : top + height, left : left + width] = read_paint(data, height, width)
            return self._photos.picture(photo, base), mask

        def work(say: Say) -> dict[str, Any]:
            completed = complete(
                self._host.turns,
                self._host.fill,
                model,
                read,
                options,
                lambda before: say({"waiting": before}),
                lambda share: say({"share": round(float(share), 3)}),
            )
            return _of_version(self._photos.add_version(photo, base, completed))

        return stream_of(work)

    async def patch(self, request: Request) -> Response:
        photo, version = self._version(request)
        data = await run_in_threadpool(self._photos.patch, photo, version)
        return Response(data, media_type="image/webp")

    async def file(self, request: Request) -> Response:
        photo, version = self._version(request)
        own_format = request.query_params.get("format", "own") == "own"
        file = await run_in_threadpool(self._photos.file, photo, version, own_format)
        disposition = f"attachment; filename*=UTF-8''{quote(file.name)}"
        return Response(file.data, media_type=file.media_type, headers={"Content-Disposition": disposition})

    async def save(self, request: Request) -> Response:
        photo, version = self._version(request)
        if self._host.folder is None:
            raise ValueError("Nothing is saved on this server: download the result.")
        file = await run_in_threadpool(self._photos.file, photo, version, True)
        path = await run_in_threadpool(saving.save, file.data, self._host.folder, file.name)
        return JSONResponse({"path": readable(str(path))})

    async def open_example(self, request: Request) -> Response:
        photo, version = await run_in_threadpool(self._host.examples.open, _example(request))
        return JSONResponse(_about(photo) | {"first": _of_version(version)})

    async def thumbnail(self, request: Request) -> Response:
        data = await run_in_threadpool(examples.thumbnail, _example(request))
        return Response(data, media_type="image/webp", headers={"Cache-Control": "max-age=3600"})

    async def example_mask(self, request: Request) -> Response:
        return Response(await run_in_threadpool(examples.mask, _example(request)), media_type="image/png")

    def _photo(self, request: Request) -> Photo:
        return self._photos.get(request.path_params["photo"])

    def _version(self, request: Request) -> tuple[Photo, Version]:
        photo = self._photo(request)
        return photo, photo.version(request.path_params["version"])

    def _settings(self, query: QueryParams) -> tuple[FillOptions, str]:
        """Options and model; what is not said has the value that the page begins with."""
        known = {option.name for option in fields(FillOptions)}
        texts = {name: text or NONE for name, text in query.items() if name in known}
        model = query.get(MODEL, self._host.models[0])
        if model not in self._host.models:
            raise ValueError(f"There is no model {model}; there is {', '.join(self._host.models)}.")
        return from_texts({"grow": str(GROWN)} | texts), model

    async def _with_upload(self, request: Request, use: Callable[[Path], Any]) -> Any:
        """What `use` makes of the file in the request's body; it runs in a thread, and may move the file."""
        path, most = self._photos.new_file(), self._host.most_bytes
        size = 0
        try:
            try:
                with open(path, "wb") as file:
                    async for chunk in request.stream():
                        size += len(chunk)
                        if size <= most:  # browsers read no answer before they have sent everything
                            file.write(chunk)
            except OSError as error:
                raise ValueError(f"This file cannot be kept on the server: {reason(error)}.") from error
            if size > most:
                raise ValueError(f"This file has {size // MEGABYTE} MB; up to {most // MEGABYTE} are taken here.")
            if not size:
                raise ValueError("This file is empty.")
            return await run_in_threadpool(use, path)
        finally:
            path.unlink(missing_ok=True)


def _about(photo: Photo) -> dict[str, Any]:
    return {
        "id": photo.id,
        "name": photo.name,
        "width": photo.width,
        "height": photo.height,
        "format": photo.file_format,
        "note": photo.note,
    }


def _of_version(version: Version) -> dict[str, Any]:
    return {"version": version.id, "box": list(version.box), "seconds": round(version.seconds, 2), "note": ""}


def _box(query: QueryParams, photo: Photo) -> tuple[int, int, int, int]:
    """(left, top, width, height) of what is painted. ValueError if it is not a part of the photo."""
    try:
        left, top, width, height = (int(query[name]) for name in ("left", "top", "width", "height"))
    except (KeyError, ValueError) as error:
        raise ValueError("left, top, width and height must say where the paint is, in pixels.") from error
    if left < 0 or top < 0 or width < 1 or height < 1 or left + width > photo.width or top + height > photo.height:
        raise ValueError(f"The paint lies outside the photo, which is {photo.width} x {photo.height} pixels.")
    return left, top, width, height


def _levels(mask: np.ndarray) -> Image.Image:
    return Image.fromarray(mask.astype(np.uint8) * 255)


async def _body(request: Request, most: int) -> bytes:
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= most:
            chunks.append(chunk)
    if size > most:
        raise ValueError(f"The paint has {size // MEGABYTE} MB; up to {most // MEGABYTE} are taken here.")
    return b"".join(chunks)
