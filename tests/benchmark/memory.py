"""Part "memory": what a completion needs beside the picture itself, each time in a process of its own.

    python -m tests.benchmark.memory "pipeline" 4096 4096 128

The process loads the contestant, makes photo and mask, returns what is free to the system, and sets the kernel's mark
of its largest resident memory (VmHWM in /proc/self/status) back to what it holds now, by writing 5 to
/proc/self/clear_refs. Then it completes the photo once; the difference of the mark is the figure. It contains the
result, and all that only the first call costs; it does not contain the libraries, the weights, the photo and the mask.
"""

import argparse
import ctypes
import gc
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmark.processes import fresh_python
from tests.benchmark.progress import ProgressBar
from tests.benchmark.scenes import GROWTH_HOLE, hole_in, photo_of

if TYPE_CHECKING:
    from tests.benchmark.contestants import Entry

STATUS = Path("/proc/self/status")
CLEAR_REFS = Path("/proc/self/clear_refs")
LARGEST = 8e9
SMALL_HOLE = 64
"""Side in pixels of the hole in the large photo."""


def measure_all(
    entries: "dict[str, Entry]", photos: tuple[int, ...], large_photo: tuple[int, int], threads: int
) -> tuple[list[dict], list[str]]:
    """Measure every contestant on square photos of these sides with a hole of GROWTH_HOLE, and on the large photo.

    Returns:
        The rows of the record, and what was left out, in sentences: what would need too much memory, or everything if
        the system is not Linux.
    """
    if not CLEAR_REFS.exists():
        return [], [f"memory: this system has no {CLEAR_REFS}, which Linux has"]
    cases = [(side, side, GROWTH_HOLE) for side in photos] + [(*large_photo, SMALL_HOLE)]
    rows, left_out = [], []
    with ProgressBar("memory", len(entries) * len(cases)) as progress:
        for height, width, hole in cases:
            for name, entry in entries.items():
                progress.now(f"{name}, {width} x {height} px")
                if reason := needs_too_much(entry, height * width):
                    left_out.append(f"{name} at {width} x {height} px: {reason}")
                else:
                    rows.append(measure(name, height, width, hole, threads))
                progress.done(1)
    return rows, left_out


def needs_too_much(entry: "Entry", pixels: int) -> str | None:
    """A part of a sentence if the contestant would need more than LARGEST bytes for a photo, else None."""
    foreseen = entry.bytes_per_pixel * pixels
    return f"it would need about {foreseen / 1e9:.0f} GB" if foreseen > LARGEST else None


def measure(contestant: str, height: int, width: int, hole: int, threads: int) -> dict:
    """The row of the record, from a new process.

    Raises:
        RuntimeError: that process failed.
    """
    arguments = [contestant, height, width, hole, "--threads", threads]
    process = fresh_python("-m", "tests.benchmark.memory", *map(str, arguments))
    return json.loads(process.stdout.splitlines()[-1])


def peak_of(contestant: object, rgb: object, mask: object) -> tuple[int, int]:
    """Bytes that one completion needs above what the process held before, and the most that it held in all."""
    inputs = contestant.prepare(rgb, mask)
    gc.collect()
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)
    CLEAR_REFS.write_text("5")
    before = _peak()
    contestant(*inputs)
    return _peak() - before, _peak()


def _peak() -> int:
    return int(re.search(r"VmHWM:\s+(\d+) kB", STATUS.read_text())[1]) * 1024


def main() -> None:
    """Measure one contestant in this process; print the row as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("contestant")
    for name in ("height", "width", "hole"):
        parser.add_argument(name, type=int)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    from tests.benchmark.contestants import entries
    from tests.benchmark.machine import use_threads

    use_threads(args.threads)
    contestant = entries()[args.contestant].make()
    photo, mask = photo_of(args.height, args.width), hole_in(args.height, args.width, args.hole)
    above, whole = peak_of(contestant, photo, mask)
    row = {"contestant": args.contestant, "height": args.height, "width": args.width, "hole": args.hole}
    row |= {"photo_mb": photo.nbytes, "above_photo_mb": above, "whole_process_mb": whole}
    print(json.dumps({key: round(value / 1e6, 1) if key.endswith("_mb") else value for key, value in row.items()}))


if __name__ == "__main__":
    main()
