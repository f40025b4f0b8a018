"""Trainings in processes of their own, which can be killed; all are forks of one that has imported everything."""

import faulthandler
import multiprocessing
import os
import signal
import sys
import threading
import time
from multiprocessing.connection import Connection

import pytest
import torch

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["train.train_glcic", "torch._dynamo"])  # the first optimiser imports the second
SECONDS = 300  # a process that is not done by then hangs


def _run(
    code: str, options: list[str], output: Connection, own_session: bool, threads: int, environment: dict[str, str]
) -> None:
    os.environ.update(environment)
    torch.set_num_threads(threads)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if own_session:
        os.setsid()
    for descriptor in (1, 2):
        os.dup2(output.fileno(), descriptor)
    output.close()
    faulthandler.dump_traceback_later(0.9 * SECONDS)  # where it hangs
    sys.argv[1:] = options
    exec(compile(code, "<test>", "exec"), {"__name__": "__test__"})


class TrainingProcess:
    """A process that runs `code`, which finds `options` in `sys.argv`; what it writes to stdout and stderr is kept.

    Args:
        threads: for its sums; without it those of this process, whose runs it is compared with.
        environment: variables that it has beside those of this process.
    """

    def __init__(
        self,
        code: str,
        options: list[str],
        own_session: bool = False,
        threads: int | None = None,
        environment: dict[str, str] | None = None,
    ):
        self._output, output = _CONTEXT.Pipe(duplex=False)
        self._said = b""
        arguments = (code, options, output, own_session, threads or torch.get_num_threads(), environment or {})
        self.process = _CONTEXT.Process(target=_run, args=arguments)
        self.process.start()
        output.close()
        self.pid = self.process.pid
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        while data := os.read(self._output.fileno(), 1 << 16):
            self._said += data

    def wait_until_it_says(self, words: str) -> None:
        deadline = time.monotonic() + SECONDS
        while words.encode() not in self._said:
            assert self.process.is_alive() and time.monotonic() < deadline, self._said.decode()
            time.sleep(0.01)

    def end(self) -> tuple[int, str]:
        """Wait for the end; return the exit status (negative: the signal that killed it) and what it said."""
        self.process.join(SECONDS)
        if self.process.exitcode is None:
            self.process.kill()
            pytest.fail(f"still running after {SECONDS} s: {self._said.decode()}")
        self._listener.join(5)  # its last words; workers that outlive it may keep the pipe open for longer
        return self.process.exitcode, self._said.decode()
