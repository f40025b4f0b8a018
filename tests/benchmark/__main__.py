"""How long, how much memory and how visible a seam: ours beside other ways to fill a hole, in one run.

Everybody gets the same photo and mask in memory and gives the completed photo back. Contestants:

    full frame      our network in plain PyTorch, as trained, on the whole photo
    pipeline        GLCICPipeline with texture=None: in bf16 where the processor can; in fp32 beside it
    pipeline, patches   the same with patches of the photo, as it is by default
    exact window    our network alone, on what the hole's pixels depend on: in fp32 the same values as the full frame
    Telea, Navier-Stokes   OpenCV's inpaint, radius 3
    MI-GAN          its ONNX pipeline in onnxruntime, if `make bench-peers` has fetched it

Speed: after a first run that does not count, everybody runs once in each round, and quick ones several times; shown is
the median of the rounds. Ratios are made round by round, with the reference's time of the same round. Memory: see
memory.py. Seam: see seam.py. Start-up: see startup.py. Batches: see batch.py. Only when asked for: compiled.py,
training.py. What takes over 20 s or 8 GB is left out, and the table says so.
"""

import argparse
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import glcic_hub  # noqa: F401  # before torch, as it says how torch's threads wait
from tests.benchmark.arguments import positive

ROOT = Path(__file__).parents[2]
PARTS = ("speed", "memory", "seam", "startup", "batch")
PARTS_ON_DEMAND = ("compiled", "training")


@dataclass(frozen=True)
class Extent:
    """How much is measured. Lengths in pixels; `large_photo` is (height, width) and goes with a small hole."""

    photos: tuple[int, ...] = (256, 512, 1024, 2048, 4096)
    holes: tuple[int, ...] = (32, 64, 128, 256, 512)
    memory_photos: tuple[int, ...] = (512, 1024, 2048, 4096)
    large_photo: tuple[int, int] = (6000, 8000)
    seam_pictures: tuple[str, ...] = ("astronaut", "chelsea", "coffee", "rocket", "grass", "brick")
    holes_per_picture: int = 8
    startup_rounds: int = 7
    batch_pictures: int = 60


QUICK = Extent((256, 512), (32, 128), (256, 512), (750, 1000), ("astronaut", "coffee"), 2, 1, 12)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        "python -m tests.benchmark", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=positive, default=os.cpu_count(), help="default: %(default)s, one a core")
    parser.add_argument("--rounds", type=positive, default=5, help="rounds of the speed part (default: %(default)s)")
    parser.add_argument(
        "--parts",
        nargs="+",
        choices=PARTS + PARTS_ON_DEMAND,
        default=PARTS,
        help="only these (default: all but compiled and training)",
    )
    parser.add_argument("--quick", action="store_true", help="small photos and few runs: only to see that it works")
    parser.add_argument(
        "--docs", action="store_true", help="write docs/benchmark.json and .svg, which the README shows, not build/"
    )
    return parser.parse_args()


def run(args: argparse.Namespace) -> None:
    """Measure, write the record and the plot, print the tables."""
    from tests.benchmark import batch, compiled, memory, seam, speed, startup, training
    from tests.benchmark.contestants import entries
    from tests.benchmark.machine import describe, use_threads
    from tests.benchmark.plot import draw
    from tests.benchmark.report import tables
    from tests.benchmark.scenes import grid

    extent = QUICK if args.quick else Extent()
    use_threads(args.threads)
    record = {"machine": describe(), "left_out": []}
    present = {}
    for name, entry in entries().items():
        if entry.missing:
            record["left_out"].append(f"{name}: {entry.missing}")
            print(f"{name} is left out: {entry.missing}", file=sys.stderr)
        else:
            present[name] = entry
    if "speed" in args.parts:
        record["speed"], left_out = speed.measure(present, grid(extent.photos, extent.holes), args.rounds)
        record["left_out"] += left_out
    if "memory" in args.parts:
        record["memory"], left_out = memory.measure_all(present, extent.memory_photos, extent.large_photo, args.threads)
        record["left_out"] += left_out
    if "seam" in args.parts:
        record["seam"] = seam.measure(extent.seam_pictures, extent.holes_per_picture)
    if "startup" in args.parts:
        record["startup"] = startup.measure(extent.startup_rounds)
    if "batch" in args.parts:
        record["batch"] = batch.measure(args.threads, args.rounds, extent.batch_pictures)
    if "compiled" in args.parts:
        record["compiled"] = compiled.measure(args.rounds)
    if "training" in args.parts:
        record["training"] = training.measure(training.parse_args([]))
    record["left_out"] = list(dict.fromkeys(record["left_out"]))

    base = ROOT / ("docs" if args.docs else "build") / "benchmark"
    base.parent.mkdir(exist_ok=True)
    base.with_suffix(".json").write_text(_readable(record), encoding="utf-8")
    print(tables(record))
    print(f"\n{base.with_suffix('.json')}")
    if "speed" in record or "memory" in record:
        draw(record, base.with_suffix(".svg"))
        print(base.with_suffix(".svg"))


def _readable(record: dict) -> str:
    """JSON with every row of a table on one line."""
    parts = []
    for key, value in record.items():
        if isinstance(value, list):
            lines = ",\n  ".join(json.dumps(row) for row in value)
            text = f"[\n  {lines}\n ]" if value else "[]"
        else:
            text = json.dumps(value, indent=1).replace("\n", "\n ")
        parts.append(f" {json.dumps(key)}: {text}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def main() -> None:
    """The command: an error is one sentence and exit status 1."""
    args = parse_args()
    # before NumPy and PyTorch are imported, which read it then; the processes that are started inherit it
    os.environ |= {"OMP_NUM_THREADS": str(args.threads), "OPENBLAS_NUM_THREADS": str(args.threads)}
    try:
        run(args)
    except ImportError as error:
        sys.exit(f'{error}: the benchmark needs what comes with pip install -e ".[bench]"')
    except (OSError, RuntimeError) as error:
        sys.exit(f"the benchmark failed: {error}")


main()
