"""Ctrl-C and SIGTERM during a training: the step is finished and a checkpoint written before the program ends."""

import os
import signal
import threading

import torch
from torch import distributed

SIGNALS = (signal.SIGINT, signal.SIGTERM)
GRACE_SECONDS = 30


class Interrupted(Exception):
    """A signal ended the run after a checkpoint. `exit_status` is what shells expect: 128 + the signal's number."""

    def __init__(self, number: int, step: int):
        name = signal.Signals(number).name
        super().__init__(f"stopped by {name} after step {step}: go on with --resume_from_checkpoint latest")
        self.exit_status = 128 + number


class StopRequest:
    """Used with `with`: holds back the first SIGINT or SIGTERM; a second one ends the program at once, as usual."""

    def __init__(self):
        self._received = 0
        self._former = {}
        # Not every process gets the signal, and not in the same step. They agree through their CPUs: asking through
        # their GPUs would make every step wait for the result.
        several = distributed.is_initialized() and distributed.get_world_size() > 1
        self._group = distributed.new_group(backend="gloo") if several else None

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is threading.main_thread():  # Python allows it nowhere else
            self._former = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, *_) -> None:
        self._restore()

    def number(self) -> int:
        """The signal that came to any of the processes, 0 if none; all of them must ask in the same step."""
        if self._group is None:
            return self._received
        numbers = torch.tensor([self._received])
        distributed.all_reduce(numbers, distributed.ReduceOp.MAX, group=self._group)
        return int(numbers)

    def _note(self, number: int, _frame) -> None:
        self._received = number
        self._restore()
        # Not print: the signal may have come in the middle of one.
        os.write(2, b"\ntrain_glcic: finishing the step and writing a checkpoint; once more to stop at once\n")

    def _restore(self) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)
        self._former = {}


def leave_signals_to_the_main_process(_worker: int) -> None:
    """For data loader workers, whom a signal to the whole process group reaches as well: they go on serving the step.

    The main process tells them to stop when it is done; should it not get to that, SIGTERM works after `GRACE_SECONDS`.
    """

    def stop_later(_number: int, _frame) -> None:
        timer = threading.Timer(GRACE_SECONDS, os._exit, [0])
        timer.daemon = True
        timer.start()

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, stop_later)
