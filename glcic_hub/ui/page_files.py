"""The files of the page, as routes."""

import mimetypes
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.staticfiles import StaticFiles

PAGE = Path(__file__).parent / "page"
INDEX = "index.html"

mimetypes.add_type("text/javascript", ".js")  # Windows may call it plain text, which browsers do not run


def file_routes(folder: Path = PAGE) -> list[Route]:
    """A route for each file of the folder, so that they are in nobody's way; `INDEX` is the page itself.

    Browsers keep the files and ask each time whether they have changed.
    """
    files = StaticFiles(directory=folder)

    def route(path: str, name: str) -> Route:
        async def send(request: Request) -> Response:
            response = await files.get_response(name, request.scope)
            response.headers["Cache-Control"] = "no-cache"
            return response

        return Route(path, send, methods=["GET"])

    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return [route("/" if name == INDEX else f"/{name}", name) for name in names]
