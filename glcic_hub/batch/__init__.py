"""Folders and tar files of images, completed by several processes: `glcic batch`.

    plan.make_plan    names -> jobs: photo, mask, result file; what is done already is left out
    pool.work_off     jobs -> processes -> reports
    worker.serve      one process: read, complete, encode, write
    complete_all      the above, with a bar on stderr and a file with the errors

A result file is there completely or not at all, and a job is done when its file is there: whatever ends a run, the next
one goes on.
"""

import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from glcic_hub.atomic import UNFINISHED
from glcic_hub.batch.plan import Plan, Share
from glcic_hub.batch.pool import work_off
from glcic_hub.batch.worker import Report
from glcic_hub.errors import FailedWork, quoted, reason
from glcic_hub.workflow import Settings

PER_GPU = 4
"""Processes for each GPU: one alone waits for its CPU most of the time."""

LEFT_BEHIND = 600
"""Seconds after which an unfinished file is taken for one of a process that was killed."""


@dataclass
class Outcome:
    """What became of a plan.

    Attributes:
        completed: how many results were written; `empty` of them had nothing to fill and are as they came, and of
            `first_alone` the files have more frames or pages than the first, which was completed.
        failed: (what, one sentence) for each photo that has no result, those of the plan first.
        doubts: what may not be meant, each sentence once.
    """

    completed: int = 0
    empty: int = 0
    first_alone: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    doubts: set[str] = field(default_factory=set)


def complete_all(plan: Plan, out: Path, settings: Settings, processes: int, share: Share) -> Outcome:
    """Do all jobs of the plan; a bar with rate and time left goes to stderr, failures to the file `errors_file`.

    Raises:
        FailedWork: the rest cannot be done: no model, no disk, no processes.
        KeyboardInterrupt: with a message that says how many are done.
    """
    _sweep(out, share)
    errors = _Errors(errors_file(out, share))
    with closing(work_off(plan.jobs, settings, processes, share.local_rank)) as reports:
        return follow(plan, reports, errors.add, f"rank {share.rank}" if share.count > 1 else None)


def follow(
    plan: Plan, reports: Iterator[Report], add_error: Callable[[str, str], None], title: str | None = None
) -> Outcome:
    """Take the reports of all jobs of the plan as they come; a bar with rate and time left goes to stderr.

    `add_error` is told (what, one sentence) of each failure, those of the plan first; `title` stands before the bar.

    Raises:
        FailedWork, KeyboardInterrupt: as they come from `reports`, with how many are done.
    """
    from tqdm import tqdm

    outcome = Outcome()
    seldom = 0.2 if sys.stderr.isatty() else 30  # seconds; log files keep every line
    with tqdm(
        total=len(plan.jobs) + plan.done + len(plan.problems),
        initial=plan.done + len(plan.problems),
        desc=title,
        unit="picture",
        mininterval=seldom,
        maxinterval=seldom,
        file=sys.stderr,
        dynamic_ncols=True,
    ) as bar:

        def fail(what: str, sentence: str) -> None:
            add_error(what, sentence)
            outcome.failed.append((what, sentence))
            bar.set_postfix(failed=len(outcome.failed), refresh=False)

        for problem in plan.problems:
            fail(*problem)
        try:
            for report in reports:
                if report.error is None:
                    outcome.completed += 1
                    outcome.empty += report.was_empty
                    outcome.doubts.update(report.doubts)
                    outcome.first_alone += report.is_first_alone
                else:
                    job = plan.jobs[report.job_number]  # type: ignore[index]  # a report of no job is hopeless
                    fail(job.photo.label, report.error)
                bar.update()
        except FailedWork as error:
            raise FailedWork(f"{error} (stopped after {outcome.completed} images)") from error
        except KeyboardInterrupt:
            message = f"interrupted after {outcome.completed} images; run the same command to continue"
            raise KeyboardInterrupt(message) from None
    return outcome


def errors_file(out: Path, share: Share) -> Path:
    """One line of JSON for each photo that failed in the last run: {"name": ..., "error": ...}."""
    return out / (f"errors-{share.rank}.jsonl" if share.count > 1 else "errors.jsonl")


def error_line(what: str, sentence: str) -> str:
    """A line of `errors_file`."""
    return json.dumps({"name": what, "error": sentence}) + "\n"


def default_processes(share: Share, device: str | None = None) -> int:
    """One for each core, or some for each GPU; a single one where a launcher has started several of us."""
    import torch

    from glcic_hub.device import accelerator_count

    if share.count > 1:
        return 1
    cores = torch.get_num_threads()  # as OMP_NUM_THREADS and the processor's affinity allow
    on_accelerators = PER_GPU * accelerator_count() if device is None else PER_GPU * (device != "cpu")
    return min(cores, on_accelerators) or cores


class _Errors:
    """The file of errors: it is there only if there are some."""

    def __init__(self, path: Path):
        self.path = path
        with self._named():
            path.unlink(missing_ok=True)

    def add(self, what: str, sentence: str) -> None:
        with self._named(), open(self.path, "a", encoding="utf-8") as file:
            file.write(error_line(what, sentence))

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise FailedWork(f"cannot write {quoted(self.path)}: {reason(error)}") from error


def _sweep(out: Path, share: Share) -> None:
    """Remove what killed processes left behind, and error files of shares that there were in earlier runs."""
    for path in out.rglob(UNFINISHED):
        with suppress(OSError):
            if path.stat().st_mtime < time.time() - LEFT_BEHIND:
                path.unlink()
    present = {errors_file(out, Share(rank, share.count)) for rank in range(share.count)}
    for path in out.glob("errors*.jsonl") if share.rank == 0 else ():
        if path not in present and re.fullmatch(r"errors(-\d+)?\.jsonl", path.name):
            with suppress(OSError):
                path.unlink()
