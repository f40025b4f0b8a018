"""`glcic ui`."""

import argparse
import functools
import socket
import webbrowser
from pathlib import Path

from glcic_hub.cli import options
from glcic_hub.cli.checks import check_is_readable, say
from glcic_hub.cli.texts import UI_DESCRIPTION, UI_EPILOG
from glcic_hub.errors import FailedWork, reason
from glcic_hub.workflow import Settings, fill_holes, load_completer

ADDRESS = "127.0.0.1"
PORT = 8460
"""Where it is free; otherwise any port is taken."""
SECONDS_TO_END = 1
MOST_PIXELS = 178 * 10**6  # what Pillow opens


def add_to(commands: argparse._SubParsersAction) -> None:
    """Its arguments."""
    command = commands.add_parser(
        "ui",
        help="complete photos in the browser, with a brush",
        description=UI_DESCRIPTION,
        epilog=UI_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("photo", metavar="PHOTO", type=Path, nargs="?", help="the photo that the page opens with")
    command.add_argument(
        "--port", metavar="N", type=options.port, help=f"where the page is served (default: {PORT}, or any free port)"
    )
    command.add_argument("--no-browser", action="store_true", help="do not open the page, only print its address")
    options.add_model(command)
    options.add_device(command)
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Serve the page until Ctrl+C."""
    if args.photo:
        check_is_readable(args.photo)
    listening = _socket(args.port)
    try:
        _serve(args, listening)
    finally:
        listening.close()


def _socket(port: int | None) -> socket.socket:
    try:
        return socket.create_server((ADDRESS, port or PORT))
    except OSError as error:
        if port is not None:
            raise FailedWork(f"cannot use port {port}: {reason(error)}; choose another one with --port") from error
        return socket.create_server((ADDRESS, 0))


def _serve(args: argparse.Namespace, listening: socket.socket) -> None:
    import uvicorn
    from starlette.applications import Starlette

    from glcic_hub.model import DEFAULT_NAME, embedded_models
    from glcic_hub.ui import guard
    from glcic_hub.ui.photos import Photos
    from glcic_hub.ui.routes import Host, page_routes
    from glcic_hub.ui.turns import Turns

    @functools.cache
    def completer(name):
        return load_completer(Settings(model=name, device=args.device))

    def fill(model, picture, mask, options, progress):
        return fill_holes(completer(model), picture, mask, options, progress)

    models = [args.model] if args.model else sorted(embedded_models(), key=lambda name: name != DEFAULT_NAME)
    completer(models[0])
    photos = Photos(MOST_PIXELS)
    folder = (args.photo.parent if args.photo else Path()).absolute()
    host = Host(photos, Turns(), fill, models, 2**31, args.photo, folder)
    app = Starlette(routes=page_routes(host), middleware=guard.MIDDLEWARE)
    server = uvicorn.Server(
        uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=SECONDS_TO_END)
    )
    address = f"http://{ADDRESS}:{listening.getsockname()[1]}/"
    print(address, flush=True)
    say(args, "photos stay on this machine; Ctrl+C ends it")
    if not args.no_browser:
        webbrowser.open(address)  # the socket listens already: the browser waits for the first answer
    try:
        server.run(sockets=[listening])
    finally:
        photos.close()
    if server.should_exit:  # older releases of uvicorn keep the interrupt for themselves
        raise KeyboardInterrupt
