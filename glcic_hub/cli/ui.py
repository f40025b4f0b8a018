"""`glcic ui`."""

import argparse
import functools
import signal
import socket
import threading
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from glcic_hub.cli import options
from glcic_hub.cli.checks import check_is_readable, say
from glcic_hub.cli.texts import UI_DESCRIPTION, UI_EPILOG
from glcic_hub.errors import FailedWork, WrongUse, quoted, reason
from glcic_hub.filling.options import FillOptions
from glcic_hub.workflow import Settings, fill_holes, load_completer

if TYPE_CHECKING:
    import numpy as np

    from glcic_hub.filling.completer import Completer
    from glcic_hub.filling.fill import Filled
    from glcic_hub.images import Picture
    from glcic_hub.ui.routes import Host

ADDRESS = "127.0.0.1"
PORT = 8460
"""Where it is free; otherwise any port is taken."""
SECONDS_TO_END = 1
MOST_PIXELS = 178 * 10**6  # what Pillow opens
MOST_BYTES = 2**31


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

    from glcic_hub.ui.guard import MIDDLEWARE
    from glcic_hub.ui.reading import check_file
    from glcic_hub.ui.routes import page_routes

    if args.photo:
        try:
            check_file(args.photo, "photo", MOST_PIXELS)
        except ValueError as error:
            raise WrongUse(f"cannot use {quoted(args.photo)}: {reason(error)}") from error
    host = _host(args)
    app = Starlette(routes=page_routes(host), middleware=MIDDLEWARE)
    config = uvicorn.Config(
        app, log_level="warning", lifespan="off", ws="none", timeout_graceful_shutdown=SECONDS_TO_END
    )
    server = uvicorn.Server(config)
    address = f"http://{ADDRESS}:{listening.getsockname()[1]}/"
    print(address, flush=True)
    say(args, "the page is open as long as this runs; Ctrl-C ends it")
    if not args.no_browser:  # in a thread: some return when they are closed. The socket listens already.
        threading.Thread(target=webbrowser.open, args=[address], daemon=True).start()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # or nobody would delete what is kept
    try:
        server.run(sockets=[listening])
    finally:
        host.photos.close()
    raise KeyboardInterrupt  # newer releases of uvicorn have raised it already


def _host(args: argparse.Namespace) -> "Host":
    from glcic_hub.model import DEFAULT_NAME, embedded_models
    from glcic_hub.ui.photos import Photos
    from glcic_hub.ui.routes import Host
    from glcic_hub.ui.turns import Turns

    @functools.cache
    def completer(name: str) -> "Completer":
        return load_completer(Settings(model=name, device=args.device))

    def fill(
        model: str,
        picture: "Picture",
        mask: "np.ndarray",
        options: FillOptions,
        progress: Callable[[float], object],
    ) -> "Filled":
        return fill_holes(completer(model), picture, mask, options, progress)

    models = [args.model] if args.model else sorted(embedded_models(), key=lambda name: name != DEFAULT_NAME)
    completer(models[0])
    folder = (args.photo.parent if args.photo else Path()).absolute()
    stay = "Photos stay on this machine."
    return Host(Photos(MOST_PIXELS), Turns(), fill, models, MOST_BYTES, args.photo, folder, introduction=stay)
