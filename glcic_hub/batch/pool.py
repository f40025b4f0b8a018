"""The processes that complete: started, fed, watched and ended."""

import multiprocessing
import signal
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from glcic_hub.batch.plan import Job
from glcic_hub.batch.worker import Report, serve
from glcic_hub.errors import FailedWork
from glcic_hub.workflow import Settings

IN_HAND = 3
"""Jobs that a process has at a time: one is read, one in the network, one written. More would only take memory."""

LOST = "the process that had it in hand ended unexpectedly (killed, or out of memory): run the command again"

PATIENCE = 10
"""Seconds that a process has for ending."""


def work_off(
    jobs: Sequence[Job], settings: Settings, processes: int, first_number: int = 0
) -> Generator[Report, None, None]:
    """Complete all jobs in `processes` processes; yields a report for each, in any order.

    The jobs of a process that dies are reported as failed, and the others go on.

    Args:
        jobs: each with a result file of its own.
        settings: the same for all.
        processes: how many.
        first_number: that of the first one's GPU; the others have the following ones (counted round).

    Raises:
        FailedWork: no more jobs can be done.
    """
    waiting = deque(enumerate(jobs))
    in_hand: dict[Connection, set[int]] = {}
    started = []

    def feed(connection: Connection) -> None:
        while waiting and len(in_hand[connection]) < IN_HAND:
            job_number, job = waiting.popleft()
            in_hand[connection].add(job_number)
            with suppress(OSError):  # it has died, which is noticed below
                connection.send((job_number, job))
        if not in_hand[connection]:
            with suppress(OSError):
                connection.send(None)

    try:
        for number in range(min(processes, len(jobs))):
            connection, process = _started(settings, first_number + number)
            started.append((connection, process))
            in_hand[connection] = set()
            feed(connection)
        while in_hand:
            ready = wait(list(in_hand))
            for connection in [one for one in in_hand if one in ready]:
                try:
                    report = connection.recv()
                except (EOFError, OSError):
                    for job_number in in_hand.pop(connection):
                        yield Report(job_number, LOST)
                    continue
                if report.is_hopeless:
                    raise FailedWork(report.error)
                in_hand[connection].discard(report.job_number)
                feed(connection)
                yield report
        if waiting:
            raise FailedWork(f"all processes ended unexpectedly with {len(waiting)} images left; run the command again")
    finally:
        for connection, _ in started:
            connection.close()
        for _, process in started:
            process.join(PATIENCE)
            if process.is_alive():
                process.kill()
                process.join()


def _started(settings: Settings, number: int) -> tuple[Connection, BaseProcess]:
    context = multiprocessing.get_context("spawn")  # forked processes cannot use a GPU
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, settings, number), daemon=True)
    with _without_ctrl_c():
        process.start()
    theirs.close()  # so that its end can be noticed
    return ours, process


@contextmanager
def _without_ctrl_c() -> Iterator[None]:
    """Children started inside never see Ctrl-C, and so say nothing when it comes; ours is raised at the end."""
    came = []
    resource_tracker.ensure_running()  # which would take the signal off the mask
    former_handler = signal.signal(signal.SIGINT, lambda *_: came.append(True))
    has_masks = hasattr(signal, "pthread_sigmask")  # not on Windows
    if has_masks:
        former_mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # children inherit it
    try:
        yield
    finally:
        if has_masks:
            signal.pthread_sigmask(signal.SIG_SETMASK, former_mask)
        signal.signal(signal.SIGINT, former_handler)
    if came:  # another thread of ours, which has no mask, received it
        raise KeyboardInterrupt
