"""Hostile cases for as long as one likes: `python -m tests.hostile.fuzz --minutes 10 --seed 1`.

The cases run in a process of their own, so that one that hangs, takes all memory or ends the process is counted, too.
The table at the end says how many were tried and how they ended. What failed is printed with the arguments that repeat
it: `python -m tests.hostile.fuzz --seed 1 --only "photo GIF" --number 17`. The exit code is 1 if any failed.
"""

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
import traceback
from collections import Counter
from contextlib import suppress
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path

from tests.hostile.commands import SECONDS
from tests.hostile.kinds import KINDS, attempt
from tests.hostile.limits import resource
from tests.hostile.picture_cases import save_small_model

PATIENCE = 3 * SECONDS
"""Seconds after which the process itself is ended: by then `commands.deadline` has failed, or C code hangs."""

MEMORY = 8 * 2**30
"""Bytes of address space of the process; PyTorch's libraries alone take three of them."""


class Runner:
    """A process that tries cases; a new one takes its place when it ends."""

    def __init__(self, seed: int):
        self.seed = seed
        self.process = None

    def attempt(self, kind: str, number: int) -> str:
        """How the case ended, beginning with FAILED if it was not as it should be."""
        if self.process is None:
            self.start()
        with suppress(OSError):  # it has ended, which is noticed below
            self.connection.send((kind, number))
        if not self.connection.poll(PATIENCE):
            self.stop()
            return f"FAILED: hangs for {PATIENCE} seconds"
        try:
            return self.connection.recv()
        except (EOFError, OSError):
            self.process.join()
            code, self.process = self.process.exitcode, None
            return f"FAILED: ended the process with code {code}"

    def stop(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.kill()
            self.process.join()
            self.process = None

    def start(self) -> None:
        """Start the process."""
        context = multiprocessing.get_context("spawn")
        self.connection, other = context.Pipe()
        self.process = context.Process(target=_serve, args=(other, self.seed), daemon=True)
        self.process.start()
        other.close()


def _serve(connection: Connection, seed: int) -> None:
    os.environ["HF_HUB_OFFLINE"] = "1"
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    with tempfile.TemporaryDirectory() as folder:
        model = save_small_model(Path(folder) / "model")
        while True:
            kind, number = connection.recv()
            try:
                ending = attempt(kind, number, model, seed)
            except KeyboardInterrupt:
                raise
            except BaseException:  # noqa: BLE001 - whatever it is, it is the result
                ending = f"FAILED: {traceback.format_exc()}"
            connection.send(ending)


def table(endings: dict[str, Counter[str]]) -> str:
    """One line a kind: how many were tried, and how often each ending was seen."""
    names = sorted({ending for counted in endings.values() for ending in counted})
    lines = [["kind", "tried", *names]]
    total: Counter[str] = Counter()
    for kind, counted in endings.items():
        total += counted
        lines.append([kind, counted.total(), *(counted[name] for name in names)])
    lines.append(["all", total.total(), *(total[name] for name in names)])
    widths = [max(len(str(line[i])) for line in lines) for i in range(len(lines[0]))]
    aligned = (" | ".join(str(cell).rjust(width) for cell, width in zip(line, widths)) for line in lines)
    return "\n".join(aligned)


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", metavar="KIND", choices=KINDS, nargs="+", default=list(KINDS), help="; ".join(KINDS))
    parser.add_argument("--number", type=int, help="this case alone")
    args = parser.parse_args(arguments)

    endings: dict[str, Counter[str]] = {kind: Counter() for kind in args.only}
    runner = Runner(args.seed)
    end = time.monotonic() + 60 * args.minutes
    try:
        for number in count() if args.number is None else [args.number]:
            for kind in args.only:
                ending = runner.attempt(kind, number)
                endings[kind][ending.partition(":")[0] if ending.startswith("FAILED") else ending] += 1
                if ending.startswith("FAILED"):
                    print(f'--seed {args.seed} --only "{kind}" --number {number}\n{ending}', flush=True)
            if time.monotonic() > end:
                break
    finally:
        runner.stop()
    print(table(endings))
    return 1 if any(counted["FAILED"] for counted in endings.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
