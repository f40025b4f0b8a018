"""Draw the picture of the README from the record alone: seconds and memory against the size of the photo.

python -m tests.benchmark.plot docs/benchmark.json docs/benchmark.svg
"""

import argparse
import json
import math
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from tests.benchmark.scenes import GROWTH_HOLE

LOOKS = {
    "full frame": {"color": "#c1121f", "marker": "s"},
    "exact window, fp32": {"color": "#7cb518", "marker": "v", "linestyle": "--"},
    "exact window, bf16": {"color": "#3a7d0a", "marker": "^", "linestyle": "--"},
    "pipeline, fp32": {"color": "#4ea8de", "marker": "o"},
    "pipeline": {"color": "#023e8a", "marker": "o"},
    "pipeline, patches": {"color": "#111111", "marker": "o", "linewidth": 3},
    "Telea": {"color": "#e07a00", "marker": "D"},
    "Navier-Stokes": {"color": "#8d6346", "marker": "D", "linestyle": ":"},
    "MI-GAN": {"color": "#8338ec", "marker": "P"},
}
"""How the contestants are drawn; others are left away."""


def draw(record: dict, path: Path) -> None:
    """Write the plot; the suffix of `path` (.svg, .png) decides the format. It is the same for the same record.

    Raises:
        ValueError: the record has neither times nor memory for holes of GROWTH_HOLE pixels.
    """
    panels = {
        f"seconds for a hole of {GROWTH_HOLE} px": _times(record.get("speed", [])),
        "memory above the photo, MB": _memory(record.get("memory", [])),
    }
    panels = {title: lines for title, lines in panels.items() if lines}
    if not panels:
        raise ValueError(f"nothing to draw: the record has no times and no memory for holes of {GROWTH_HOLE} px")
    # an opaque white ground: a transparent one would need colours that are weak on both light and dark pages
    style = {"svg.hashsalt": "glcic", "font.size": 11, "savefig.facecolor": "white", "axes.grid": True}
    style |= {"grid.color": "#dddddd", "axes.spines.top": False, "axes.spines.right": False}
    with rc_context(style):
        figure = Figure(figsize=(5 * len(panels), 4.6))
        row = figure.subplots(1, len(panels), squeeze=False)
        handles = {}
        for axes, (title, lines) in zip(row[0], panels.items()):
            for name in (name for name in LOOKS if name in lines):
                (handles[name],) = axes.plot(*zip(*lines[name]), **LOOKS[name])
            sizes = sorted({size for points in lines.values() for size, _ in points})
            axes.set(xscale="log", yscale="log", xlabel="side of the photo, px", title=title)
            axes.set_xticks(sizes, [str(size) for size in sizes])
            axes.xaxis.set_minor_locator(NullLocator())
            axes.yaxis.set(
                major_locator=LogLocator(subs=(1, 2, 5)),
                major_formatter=FuncFormatter(lambda value, _: f"{value:g}"),
                minor_locator=NullLocator(),
            )
        columns = 2 * len(panels)
        place = {"loc": "lower center", "bbox_to_anchor": (0.5, 0.05), "ncols": columns, "frameon": False}
        figure.legend(handles.values(), handles.keys(), **place)
        machine = record["machine"]
        cores = f"{machine['threads']} of {machine['cores']} cores"
        on = f"{machine['processor']}, {cores}, torch {machine['versions']['torch']}"
        figure.text(0.5, 0.02, on, ha="center", fontsize=9, color="#666666")
        figure.tight_layout(rect=(0, 0.08 + 0.05 * math.ceil(len(handles) / columns), 1, 1))
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def _times(rows: list[dict]) -> dict[str, list[tuple[int, float]]]:
    points = {}
    for row in rows:
        if row["hole"] in (GROWTH_HOLE, None) and row["photo"] >= 2 * GROWTH_HOLE:
            points.setdefault(row["contestant"], []).append((row["photo"], row["median_seconds"]))
    return points


def _memory(rows: list[dict]) -> dict[str, list[tuple[int, float]]]:
    points = {}
    for row in rows:
        if row["hole"] == GROWTH_HOLE and row["width"] == row["height"]:
            points.setdefault(row["contestant"], []).append((row["width"], row["above_photo_mb"]))
    return points


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("record", type=Path, help="the JSON file of a run")
    parser.add_argument("plot", type=Path, help="the picture to write, .svg or .png")
    args = parser.parse_args()
    try:
        draw(json.loads(args.record.read_text(encoding="utf-8")), args.plot)
    except (OSError, ValueError) as error:
        parser.exit(1, f"cannot draw {args.record}: {error}\n")


if __name__ == "__main__":
    main()
