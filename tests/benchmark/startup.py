"""Part "startup": from the start of a process to its end, for `glcic inpaint` and for what it imports.

    python -m tests.benchmark.startup --rounds 7

Every figure is the wall time of a whole new process; the processes take turns. Below them stands what the modules of
`glcic_hub` import on the way of `glcic inpaint`, from `python -X importtime` (which slows imports down: read the
figures as shares). An import counts for the module that asks for it first.
"""

import argparse
import re
import statistics
import tempfile
from pathlib import Path

from tests.benchmark.processes import fresh_python
from tests.benchmark.progress import ProgressBar
from tests.benchmark.rounds import timed

PHOTO_SIZE, HOLE_SIZE = 512, 64
LISTED_SECONDS = 0.01
"""Imports that take less are not listed."""
OWN_PACKAGE = "glcic_hub"


def measure(rounds: int) -> dict:
    """The record: median seconds of each process, and the costly imports."""
    with tempfile.TemporaryDirectory() as folder:
        inpaint = _inpaint_command(Path(folder))
        commands = {
            "python": ["-c", "pass"],
            "import torch": ["-c", "import torch"],
            "import diffusers": ["-c", "import diffusers"],
            "from glcic_hub import GLCICPipeline": ["-c", "from glcic_hub import GLCICPipeline"],
            "glcic inpaint": inpaint,
        }
        seconds = {name: [] for name in commands}
        with ProgressBar("startup", (rounds + 1) * len(commands) + 1) as progress:
            for number in range(rounds + 1):
                for name, command in commands.items():
                    progress.now(name)
                    passed = timed(lambda command=command: fresh_python(*command))
                    if number:  # the first round fills the system's cache of files
                        seconds[name].append(passed)
                    progress.done(1)
            imports = costly_imports(fresh_python("-X", "importtime", *inpaint).stderr)
            progress.done(1)
    beside_torch = statistics.median(
        all_of - torch for all_of, torch in zip(seconds["glcic inpaint"], seconds["import torch"])
    )
    return {
        "rounds": rounds,
        "median_seconds": {name: round(statistics.median(values), 3) for name, values in seconds.items()},
        "inpaint_without_torch_seconds": round(beside_torch, 3),
        "imports": imports,
    }


def costly_imports(report: str) -> list[dict]:
    """What modules of `glcic_hub` import from outside of it, the slowest first.

    Args:
        report: what `python -X importtime` wrote to stderr.

    Returns:
        {"module", "importer", "seconds"}, where the seconds contain everything that the module imports itself.
    """
    pending = []  # (depth, module, seconds) of imports whose importer has not come yet: it comes after them
    found = []
    for cumulative, indent, module in re.findall(r"^import time:\s+\d+ \|\s+(\d+) \| ( *)(\S+)$", report, re.MULTILINE):
        depth, seconds = len(indent) // 2, int(cumulative) / 1e6
        while pending and pending[-1][0] > depth:
            _, inner, inner_seconds = pending.pop()
            if _is_own(module) and not _is_own(inner):
                found.append({"module": inner, "importer": module, "seconds": round(inner_seconds, 3)})
        pending.append((depth, module, seconds))
    found += [
        {"module": module, "importer": None, "seconds": round(seconds, 3)}
        for _, module, seconds in pending
        if not _is_own(module)
    ]
    costly = [row for row in found if row["seconds"] >= LISTED_SECONDS]
    return sorted(costly, key=lambda row: -row["seconds"])


def table(record: dict) -> str:
    """The record as lines of text."""
    lines = [f"{seconds:8.2f} s  {name}" for name, seconds in record["median_seconds"].items()]
    lines.append(f"{record['inpaint_without_torch_seconds']:8.2f} s  glcic inpaint without import torch")
    lines += ["", "imported on the way of glcic inpaint:"]
    for row in record["imports"]:
        lines.append(
            f"{row['seconds']:8.3f} s  {row['module']:28} by {row['importer'] or 'the interpreter or a function'}"
        )
    return "\n".join(lines)


def _is_own(module: str) -> bool:
    return module.partition(".")[0] == OWN_PACKAGE


def _inpaint_command(folder: Path) -> list[str]:
    from PIL import Image

    from tests.benchmark.scenes import hole_in, photo_of

    photo, mask, result = (str(folder / name) for name in ("photo.png", "mask.png", "result.png"))
    Image.fromarray(photo_of(PHOTO_SIZE, PHOTO_SIZE)).save(photo)
    Image.fromarray(hole_in(PHOTO_SIZE, PHOTO_SIZE, HOLE_SIZE)).save(mask)
    return ["-m", "glcic_hub", "inpaint", photo, mask, "-o", result, "--force"]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="how often each process is started (default: 7)")
    print(table(measure(parser.parse_args().rounds)))


if __name__ == "__main__":
    main()
