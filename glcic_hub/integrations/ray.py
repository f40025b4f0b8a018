"""Collections of any size, completed by the processes of a Ray cluster.

    python -m glcic_hub.integrations.ray s3://bucket/photos s3://bucket/masks s3://bucket/completed

does what `glcic batch` does, for folders and for the stores that fsspec knows, on all machines of the cluster; whatever
ends a run, the next one goes on. `Complete` is the class for `map_batches` in pipelines of one's own.
"""

import argparse
import logging
import math
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

try:
    import ray
    import ray.data
except ModuleNotFoundError as error:
    message = f'Ray cannot be imported ({error}): pip install ".[ray]"'
    if __name__ == "__main__":
        sys.exit(message)
    raise ModuleNotFoundError(message, name=error.name) from error

import torch
from PIL import Image

from glcic_hub.batch import PER_GPU, error_line, follow
from glcic_hub.batch.plan import Job
from glcic_hub.batch.pool import LOST
from glcic_hub.batch.worker import Report
from glcic_hub.cli import exit_code, options
from glcic_hub.cli.batch import say_ignored, sum_up
from glcic_hub.cli.checks import check_quality
from glcic_hub.errors import FailedWork, WrongUse, quoted, reason, sentence_of
from glcic_hub.formats import WRITABLE
from glcic_hub.images import load_image
from glcic_hub.integrations.folders import Folder, folder_at, make_plan
from glcic_hub.workflow import Settings, complete, file_of, load_completer, load_model, read_pair

ERRORS = "errors.jsonl"

NAMES = ("photo", "mask", "out")
"""The columns of a job's files."""

TASKS_PER_PROCESS = 100
"""Among so many tasks the images are divided, one or more a task: each takes Ray some milliseconds."""

ATTEMPTS = 3
"""How often an image is begun before it is taken for what kills the processes; Ray itself would never give up."""


class Complete:
    """For `map_batches`: photos and masks in, completed photos out, all as the bytes of image files.

    A batch has the columns `photo` and, unless the transparency of the photos is the mask, `mask` (white = fill). In
    their place it gets `completed`, and `error`: one sentence where `completed` is empty, else empty itself. Other
    columns stay.

    Args:
        settings: how holes are filled and results written. Without a device it is the GPU that Ray gives
            (`num_gpus=1`), or else the CPU.

    Raises:
        WrongUse, FailedWork: there is no such device, or the model cannot be loaded.
    """

    def __init__(self, settings: Settings = Settings()):  # noqa: B008 - it is frozen
        self.settings = settings
        self.completer = load_completer(settings)

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """One batch, in Ray's format "numpy"."""
        photos = batch["photo"]
        masks = batch.get("mask", [None] * len(photos))
        results = [self._bytes_or_error(*pair) for pair in zip(photos, masks)]
        done = {"completed": _objects([data for data, _ in results]), "error": _objects([text for _, text in results])}
        return {name: column for name, column in batch.items() if name not in ("photo", "mask")} | done

    def file(self, photo, mask) -> tuple[bytes, bool]:
        """The completed photo as the bytes of a file, and whether there was nothing to fill.

        Args:
            photo, mask: as of `read_pair`.

        Raises:
            WrongUse, FailedWork: with one sentence.
        """
        picture, hole = read_pair(photo, mask, self.settings)
        if not hole.any():
            return file_of(picture.image, self.settings), True
        return file_of(complete(self.completer, picture, hole, self.settings), self.settings), False

    def _bytes_or_error(self, photo: bytes, mask: bytes | None) -> tuple[bytes, str]:
        try:
            return self.file(_Encoded("photo", photo), None if mask is None else _Encoded("mask", mask))[0], ""
        except Exception as error:  # noqa: BLE001 - one picture must not stop the others
            return b"", sentence_of(error)


@dataclass(frozen=True)
class _Encoded:
    """The bytes of an image file; as `PictureFile`."""

    label: str
    data: bytes

    def load(self) -> Image.Image:
        return load_image(self.data)


class _Worker(Complete):
    """One of the processes of the command: names in, reports out; it reads and writes by itself.

    It computes with one thread on the CPU: the last bits of a result may depend on their number.
    """

    def __init__(self, settings: Settings, attempts, photos: Folder, masks: Folder, out: Folder):
        torch.set_num_threads(1)
        super().__init__(settings)
        self.attempts, self.photos, self.masks, self.out = attempts, photos, masks, out

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        names = [map(os.fsdecode, batch[column]) for column in NAMES]
        reports = [self._report(*row) for row in zip(batch["job"].tolist(), *names)]
        errors, were_empty = zip(*reports)
        return {"job": batch["job"], "error": _objects(errors), "was_empty": np.array(were_empty)}

    def _report(self, job: int, photo: str, mask: str, out: str) -> tuple[str, bool]:
        if ray.get(self.attempts.begin.remote(job)) > ATTEMPTS:
            return LOST, False
        try:
            data, was_empty = self.file(self.photos.picture(photo), self.masks.picture(mask))
            with writing(self.out, out):
                self.out.write(out, data)
        except Exception as error:  # noqa: BLE001 - one picture must not stop the others
            return sentence_of(error), False
        finally:
            self.attempts.end.remote(job)
        return "", was_empty


class _Attempts:
    """How often images were begun and not ended; one for all processes."""

    def __init__(self):
        self.begun = Counter()

    def begin(self, job: int) -> int:
        """The number of this attempt, from 1."""
        self.begun[job] += 1
        return self.begun[job]

    def end(self, job: int) -> None:
        """Its process has lived on."""
        del self.begun[job]


def work_off(jobs: list[Job], processes: int | None, settings: Settings, **folders: Folder) -> Iterator[Report]:
    """Complete all jobs by the cluster that Ray is connected to, or else by this machine; yields a report for each.

    Args:
        jobs: at least one, each with a result of its own.
        processes: how many; None: one for each core, or some for each GPU.
        settings: the same for all.
        **folders: `photos`, `masks` and `out`, which every machine of the cluster can open.

    Raises:
        FailedWork: no more jobs can be done.
    """
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.max_consecutive_actor_init_deaths = ATTEMPTS - 1
    rows = [
        # As bytes, because Ray's texts are text, which names of files need not be. Every job of folders has a mask.
        {"job": number} | dict(zip(NAMES, map(os.fsencode, (job.photo.name, job.mask.name, job.out))))  # type: ignore[union-attr]
        for number, job in enumerate(jobs)
    ]
    attempts = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(_Attempts).remote()
    cores, gpus = (ray.cluster_resources().get(kind, 0) for kind in ("CPU", "GPU"))
    on_gpus = gpus > 0 and settings.device != "cpu"
    processes = processes or int(PER_GPU * gpus if on_gpus else cores) or 1
    reports = ray.data.from_items(rows, override_num_blocks=min(len(rows), TASKS_PER_PROCESS * processes)).map_batches(
        _Worker,
        batch_size=None,
        fn_constructor_kwargs={"settings": settings, "attempts": attempts, **folders},
        compute=ray.data.ActorPoolStrategy(size=processes),
        num_cpus=min(1, _fraction(cores / processes)),
        num_gpus=_fraction(1 / math.ceil(processes / gpus)) if on_gpus else 0,
    )
    try:
        for row in reports.iter_rows():
            yield Report(row["job"], row["error"] or None, row["was_empty"])
    except ray.exceptions.RayError as error:
        last_line = (str(error).strip() or type(error).__name__).splitlines()[-1]  # the others are in Ray's log
        raise FailedWork(f"Ray gave up: {last_line}") from error


@contextmanager
def writing(folder: Folder, name: str) -> Iterator[None]:
    """An OSError inside becomes a FailedWork that names the file.

    Raises:
        FailedWork: there was one.
    """
    try:
        yield
    except OSError as error:
        raise FailedWork(f"cannot write {quoted(f'{folder}/{name}')}: {reason(error)}") from error


def run(args: argparse.Namespace) -> None:
    """Plan, complete, sum up."""
    suffix = f".{args.format}"
    settings = options.settings_of(args, WRITABLE[suffix])
    check_quality(args.quality, settings.file_format)
    photos, masks, out = (_folder(address) for address in (args.photos, args.masks, args.out))
    plan = make_plan(photos, masks, out, suffix, args.force)
    say_ignored(args, plan)
    with writing(out, ERRORS):
        out.write(ERRORS, b"")  # so that it shows before the work whether OUT can be written
    errors = []
    try:
        reports: Iterator[Report] = iter(())
        if plan.jobs:
            load_model(settings.model, settings.dtype)  # what is wrong with it is one sentence here
            reports = work_off(plan.jobs, args.processes, settings, photos=photos, masks=masks, out=out)
        outcome = follow(plan, reports, lambda *failure: errors.append(failure))
    finally:
        with writing(out, ERRORS):
            if errors:
                out.write(ERRORS, "".join(error_line(*failure) for failure in errors).encode())
            else:
                out.remove(ERRORS)
    sum_up(args, plan, outcome, f"{out}/{ERRORS}")


def main(argv: list[str] | None = None) -> int:
    """Run the command with these arguments (`sys.argv` without them); returns the exit code."""
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    return exit_code(_parser().parse_args(argv))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        f"python -m {__spec__.name}",
        description="Completes all images of a folder by the processes of a Ray cluster: that of RAY_ADDRESS, or "
        "one on this machine. What OUT has already is left out; OUT/errors.jsonl says which images failed and why.",
    )
    parser.add_argument("photos", metavar="PHOTOS", help="a folder or an address such as s3://bucket/photos")
    parser.add_argument("masks", metavar="MASKS", help="the same; masks have the names of photos, suffixes may differ")
    parser.add_argument("out", metavar="OUT", help="the folder or address of the results")
    options.add_results(parser)
    parser.add_argument(
        "--processes",
        metavar="N",
        type=options.processes,
        help="how many, each with one thread (default: one a core of the cluster, or four a GPU)",
    )
    options.add_filling(parser)
    options.add_reading(parser)
    parser.set_defaults(command="ray", run=run)
    return parser


def _folder(address: str) -> Folder:
    try:
        return folder_at(address)
    except OSError as error:
        raise WrongUse(f"cannot use {quoted(address)}: {reason(error)}") from error


def _fraction(amount: float) -> float:
    """What Ray counts in, never rounded up: three times 0.6667 processors are more than two."""
    return math.floor(amount * 10_000) / 10_000


def _objects(values: Sequence[object]) -> np.ndarray:
    """An array of them as they are: NumPy's own arrays of bytes forget zeros at the end."""
    array = np.empty(len(values), object)
    array[:] = values
    return array


if __name__ == "__main__":
    from glcic_hub.integrations.ray import main  # by its name, so that the workers import it instead of copying it

    sys.exit(main())
