"""Long work as a stream of lines of JSON, which ends when the client goes away."""

import asyncio
import json
import logging
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

from starlette.responses import StreamingResponse

from glcic_hub.ui.photos import GONE, Gone

SECONDS_BETWEEN = 0.1
"""Between two lines; of what is said meanwhile the last counts."""
HEARTBEAT = 1
"""After so many seconds a line is said again, so that a closed page is noticed."""

NO_MEMORY = {"error": "There is not enough memory for this photo: make it smaller."}

Say = Callable[[dict[str, Any]], None]

_log = logging.getLogger(__name__)


class Stopped(Exception):
    """The client has gone away; nobody wants the result."""


def stream_of(work: Callable[[Say], dict[str, Any]]) -> StreamingResponse:
    """An answer of lines of JSON (application/x-ndjson).

    Args:
        work: runs in a thread of its own. What it says through its argument becomes a line; after the client has gone
            away, saying something raises `Stopped`. What it returns is the last line. A ValueError becomes
            `{"error": sentence}`, `Gone` becomes `GONE`, and MemoryError `NO_MEMORY`. Anything else that it raises is
            logged, and the visitor reads that something went wrong.
    """
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_lines(work), media_type="application/x-ndjson", headers=headers)


async def _lines(work: Callable[[Say], dict[str, Any]]) -> AsyncIterator[str]:
    loop = asyncio.get_running_loop()
    messages: asyncio.Queue[tuple[dict[str, Any], bool]] = asyncio.Queue()
    gone = threading.Event()

    def put(message: dict[str, Any], is_last: bool = False) -> None:
        if gone.is_set() or loop.is_closed():
            raise Stopped
        try:
            loop.call_soon_threadsafe(messages.put_nowait, (message, is_last))
        except RuntimeError as closed:  # meanwhile
            raise Stopped from closed

    def run() -> None:
        with suppress(Stopped):
            put(_outcome(work, put), is_last=True)

    # Not a daemon: Python aborts if it ends while a thread is inside torch. The next thing that the work says ends it.
    threading.Thread(target=run).start()
    message, is_last = {"share": 0.0}, False
    try:
        while not is_last:
            try:
                message, is_last = await asyncio.wait_for(messages.get(), HEARTBEAT)
                while not messages.empty():
                    message, is_last = messages.get_nowait()
            except asyncio.TimeoutError:
                pass
            yield json.dumps(message) + "\n"
            if not is_last:
                await asyncio.sleep(SECONDS_BETWEEN)
    finally:
        gone.set()


def _outcome(work: Callable[[Say], dict[str, Any]], say: Say) -> dict[str, Any]:
    try:
        return work(say)
    except Stopped:
        raise
    except Gone:
        return GONE
    except ValueError as error:
        return {"error": str(error)}
    except MemoryError:
        return NO_MEMORY
    except Exception:  # noqa: BLE001 - a mistake of ours, which visitors can do nothing about
        _log.exception("a completion failed")
        return {"error": "Something went wrong here, and it is not your fault. Try again."}
