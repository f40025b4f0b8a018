"""One of the processes that complete: reading, network and writing overlap, each in a thread of its own.

Imports of torch are inside the functions, so that the process answers to its parent from the first moment.
"""

import errno
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from glcic_hub.atomic import write_whole
from glcic_hub.batch.plan import Job
from glcic_hub.errors import quoted, reason, sentence_of
from glcic_hub.workflow import Settings, complete, file_of, load_completer, read_pair

if TYPE_CHECKING:
    from glcic_hub.filling.completer import Completer

NO_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""After these errors no other image could be written either."""


class Report(NamedTuple):
    """What became of a job: without an error it is done.

    Attributes:
        job_number: which job, counted from 0; None where it was none of them.
        error: one sentence.
        was_empty: there was nothing to fill, and the image was written as it was.
        is_first_alone: the file has more frames or pages than the one that was completed.
        is_hopeless: every other job would fail, too.
        doubts: what may not be meant, one sentence each.
    """

    job_number: int | None
    error: str | None = None
    was_empty: bool = False
    is_first_alone: bool = False
    is_hopeless: bool = False
    doubts: tuple[str, ...] = ()


def serve(connection: Connection, settings: Settings, number: int) -> None:
    """Receive (job_number, job) until None comes, and send a report for each, in any order.

    Computes on accelerator `number` (counted round) where there are some, else on the CPU with one thread: the last
    bits of a result may depend on the number of threads, and must not depend on the number of processes. When the
    parent is gone, the process ends at once, but not inside the writing of a file.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent sees Ctrl-C, too, and hangs up
    _Worker(connection, settings, number).run()


class _Worker:
    def __init__(self, connection: Connection, settings: Settings, number: int):
        self.connection = connection
        self.settings = settings
        self.number = number
        self.completer: Completer | None = None
        self.reader, self.network, self.writer = (ThreadPoolExecutor(1) for _ in range(3))
        self.outside = threading.Lock()  # held while a file or a report is written

    def run(self) -> None:
        self.network.submit(self._step, None, self._load)
        try:
            while (item := self.connection.recv()) is not None:
                self.reader.submit(self._step, item[0], self._read, *item)
        except (EOFError, OSError):
            with self.outside:
                os._exit(1)

    def _load(self) -> None:
        import torch

        torch.set_num_threads(1)
        self.completer = load_completer(self.settings, self.number)

    def _read(self, job_number: int, job: Job) -> None:
        doubts: list[str] = []
        picture, hole = read_pair(job.photo, job.mask, self.settings, doubts.append)
        self.network.submit(self._step, job_number, self._complete, job_number, job, picture, hole, tuple(doubts))

    def _complete(self, job_number: int, job: Job, picture, hole, doubts: tuple[str, ...]) -> None:
        if self.completer is None:  # which was reported as hopeless
            return
        is_empty = not hole.any()
        result = picture.image if is_empty else complete(self.completer, picture, hole, self.settings)
        report = Report(job_number, was_empty=is_empty, is_first_alone=picture.has_more_frames, doubts=doubts)
        self.writer.submit(self._step, job_number, self._write, job, result, report)

    def _write(self, job: Job, result, report: Report) -> None:
        data = file_of(result, self.settings)
        with self.outside:
            try:
                out = Path(job.out)
                out.parent.mkdir(parents=True, exist_ok=True)
                write_whole(out, data)
            except OSError as error:
                message = f"cannot write {quoted(job.out)}: {reason(error)}"
                self.connection.send(Report(report.job_number, message, is_hopeless=error.errno in NO_DISK))
            else:
                self.connection.send(report)

    def _step(self, job_number: int | None, step: Callable, *arguments: object) -> None:
        """Run a step; whatever goes wrong becomes a report, because nobody else looks at the result."""
        try:
            step(*arguments)
        except Exception as error:  # noqa: BLE001 - one picture must not stop the others
            with self.outside:
                self.connection.send(Report(job_number, sentence_of(error), is_hopeless=job_number is None))
