"""Part "batch": pictures per second of `glcic batch`, beside the least that its processes would have to do.

    python -m tests.benchmark.batch --processes 2 --rounds 5

    full frame    the network alone, on the whole photo
    network       the network alone, on the inputs that the completion gives it
    completion    photo and mask in memory -> fill: the network, the scale, the seam
    glcic batch   files -> files: reading, completion, writing

All of them run in as many processes with one thread each, and take turns. Starting the processes does not count.
"""

import argparse
import multiprocessing
import os
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from glcic_hub.batch.plan import Share, make_plan
from glcic_hub.batch.pool import work_off
from glcic_hub.filling.completer import Completer
from glcic_hub.filling.fill import fill
from glcic_hub.filling.options import FillOptions
from glcic_hub.model import GLCICModel
from glcic_hub.network import padded_input
from glcic_hub.workflow import Settings
from tests.benchmark.arguments import positive
from tests.benchmark.progress import ProgressBar
from tests.benchmark.rounds import timed
from tests.benchmark.scenes import hole_in, photo_of

PICTURES = 60
SCENE = (480, 640, 128)
"""Height and width of the photos and the side of their holes, in pixels."""

FORMATS = {"JPEG": ".jpg", "PNG": ".png"}
STEPS = {"full frame": 0.1, "network": 1.0, "completion": 1.0}
"""What the batch is compared with, and on which share of the pictures it runs."""


ALONE = FillOptions(texture=None)
"""The network's own fills: what the processes share beside it is to be seen."""


class _Recorder(Completer):
    """Keeps what the network is called with."""

    def __init__(self, model: GLCICModel):
        super().__init__(model)
        self.calls = []

    def _run(self, *call: torch.Tensor) -> torch.Tensor:
        self.calls.append(call)
        return super()._run(*call)


def measure(processes: int, rounds: int, pictures: int = PICTURES, scene: tuple[int, int, int] = SCENE) -> dict:
    """The record: median pictures per second of each, and of the batches the share of the steps' rates."""
    rates = {name: [] for name in (*STEPS, *FORMATS)}
    context = multiprocessing.get_context("spawn")
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(processes, context, _make_ready, scene) as pool,
        ProgressBar("batch", rounds * len(rates)) as progress,
    ):
        photos, mask = _write_pictures(Path(folder), pictures, *scene)
        list(pool.map(_repeat, [*STEPS] * processes, [1] * len(STEPS) * processes))  # warm up
        for number in range(rounds):
            for step, share in STEPS.items():
                progress.now(step)
                parts = [max(1, round(share * pictures / processes))] * processes
                seconds = timed(lambda step=step, parts=parts: list(pool.map(_repeat, [step] * processes, parts)))
                rates[step].append(sum(parts) / seconds)
                progress.done(1)
            for file_format in FORMATS:
                progress.now(f"glcic batch, {file_format}")
                out = Path(folder, f"{file_format}-{number}")
                rates[file_format].append(_batch_rate(photos, mask, out, file_format, processes))
                progress.done(1)
    shares = {
        file_format: {
            step: round(statistics.median(own / least for own, least in zip(rates[file_format], rates[step])), 3)
            for step in STEPS
        }
        for file_format in FORMATS
    }
    return {
        "photo": list(scene[:2]),
        "hole": scene[2],
        "processes": processes,
        "rounds": rounds,
        "median_pictures_per_second": {name: round(statistics.median(values), 2) for name, values in rates.items()},
        "batch_as_share_of": shares,
    }


def table(record: dict) -> str:
    """The record as lines of text."""
    height, width = record["photo"]
    lines = [f"Pictures per second, {width} x {height} px, hole {record['hole']} px, {record['processes']} processes"]
    for name, rate in record["median_pictures_per_second"].items():
        of_batch = record["batch_as_share_of"].get(name)
        told = "  " + ", ".join(f"{share:.2f} x {step}" for step, share in of_batch.items()) if of_batch else ""
        lines.append(f"{f'glcic batch, {name}' if of_batch else name:20}{rate:8.1f}{told}")
    return "\n".join(lines)


def _write_pictures(folder: Path, count: int, height: int, width: int, hole: int) -> tuple[Path, Path]:
    photos, mask = folder / "photos", folder / "mask.png"
    photos.mkdir()
    photo = photo_of(height, width)
    for number in range(count):
        Image.fromarray(np.roll(photo, 7 * number, axis=1)).save(photos / f"{number:03d}.jpg", quality=90)
    Image.fromarray(hole_in(height, width, hole)).save(mask)
    return photos, mask


def _batch_rate(photos: Path, mask: Path, out: Path, file_format: str, processes: int) -> float:
    """Pictures per second of the last two thirds."""
    plan = make_plan([photos], [mask], out, FORMATS[file_format], False, Share())
    times = []
    for report in work_off(plan.jobs, Settings(file_format=file_format, options=ALONE), processes):
        if report.error:
            raise RuntimeError(report.error)
        times.append(time.perf_counter())
    first = len(times) // 3  # by then all processes are at work
    return (len(times) - 1 - first) / (times[-1] - times[first])


def _make_ready(height: int, width: int, hole: int) -> None:
    global _steps
    torch.set_num_threads(1)
    model = GLCICModel.from_pretrained()
    completer = _Recorder(model)
    photo, mask = photo_of(height, width), hole_in(height, width, hole)
    fill(completer, photo, mask, ALONE)
    calls = completer.calls.copy()
    assert calls, "the completion does not call the network where it is recorded"

    whole = torch.from_numpy(photo).permute(2, 0, 1)[None].float() / 255, torch.from_numpy(mask)[None, None].float()

    @torch.inference_mode()
    def full_frame() -> None:
        x = padded_input(*whole, model.mean).to(completer.network.output.weight.dtype)
        completer.network(x)

    @torch.inference_mode()
    def network() -> None:
        for call in calls:
            Completer._run(completer, *call)

    _steps = {"full frame": full_frame, "network": network, "completion": lambda: fill(completer, photo, mask, ALONE)}


def _repeat(step: str, times: int) -> None:
    for _ in range(times):
        _steps[step]()


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        "python -m tests.benchmark.batch", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--processes", type=positive, default=os.cpu_count(), help="default: %(default)s, one a core")
    parser.add_argument("--rounds", type=positive, default=5, help="default: %(default)s")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    chosen = parse_args()
    print(table(measure(chosen.processes, chosen.rounds)))
