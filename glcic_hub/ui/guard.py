"""What keeps other pages out of a server on the visitor's own machine.

Any page that is open in the browser can send requests there. The answers to those of other origins the browser keeps
from them; here is what it does not do.
"""

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HOSTS = ["127.0.0.1", "localhost"]


class OwnOrigin:
    """Refuses what other pages send, and to be shown inside of them."""

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        is_foreign = origin is not None and urlsplit(origin).netloc != headers.get("host")
        if is_foreign and scope["method"] not in ("GET", "HEAD"):
            response = JSONResponse({"error": "This request comes from another page, and is refused."}, 403)
            await response(scope, receive, send)
            return

        async def send_unframed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-frame-options", b"DENY")]
            await send(message)

        await self._app(scope, receive, send_unframed)


MIDDLEWARE = [Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS), Middleware(OwnOrigin)]
"""For an application that is served on this machine alone; a foreign `Host` would be a name that leads here."""
