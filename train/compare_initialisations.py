"""Which initialisation is best for this network? The question that the 2018 blog post on the 64 px variant left open.

Trains the completion network alone (phase 1) from each initialisation and seed, all else equal: the same crops and
holes in the same order for one seed, batch, optimizer and schedule. Writes the curves as JSON, a table and a plot:

    python -m train.compare_initialisations --train_data_dir faces.tar --output_dir runs/initialisations --steps 400

Finished trainings are kept in `--output_dir` and not repeated; those of other settings are refused. The figure is the
training PSNR in the hole: hardly any picture is seen twice, so that it is a figure about pictures that the network
does not know.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

if not __package__:  # started as a file, with its own folder on the path and not the repository
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from glcic_hub.atomic import write_whole
from train import train_glcic
from train.dataset import source_names
from train.initialisation import INITIALISATIONS
from train.validation import psnr

LAST_STEPS = 100
"""Steps at the end of a training over which its figure is averaged."""

SMOOTHED_STEPS = 25
"""Steps averaged for one point of the plotted curves."""


def completion_losses(init: str, seed: int, args: argparse.Namespace) -> list[float]:
    """Train once; return the mean squared error in the hole at each step."""
    settings = {
        "preset": "blog-64",
        "init": init,
        "seed": seed,
        "train_batch_size": args.batch,
        "max_train_steps": args.steps,
        "completion_steps": args.steps,
        "checkpointing_steps": args.steps,
        "sample_steps": args.steps,
        "logging_steps": 1,
        "lr_scheduler": "cosine",
        "learning_rate": args.learning_rate,
        "base_channels": args.base_channels,
        "mixed_precision": args.mixed_precision,
    }
    with tempfile.TemporaryDirectory() as folder:
        options = [text for name, value in settings.items() for text in (f"--{name}", str(value))]
        train_glcic.main([*options, "--train_data_dir", *args.train_data_dir, "--output_dir", folder])
        events = EventAccumulator(str(Path(folder, "logs")), size_guidance={"scalars": 0}).Reload()
        return [event.value for event in events.Scalars("completion_loss")]


def common_settings(args: argparse.Namespace) -> dict:
    """What all trainings of a study have in common; JSON types.

    Raises:
        FileNotFoundError: there are no such data.
    """
    names = ("steps", "batch", "learning_rate", "base_channels", "mixed_precision")
    return {"data": source_names(args.train_data_dir)} | {name: getattr(args, name) for name in names}


def kept_losses(file: Path, settings: dict) -> list[float] | None:
    """The losses of a training that is done, None if it is not.

    Raises:
        ValueError: the file is not what `main` writes, or of a training with other settings.
    """
    if not file.exists():
        return None
    try:
        kept = json.loads(file.read_text())
        found, losses = dict(kept["settings"]), kept["completion_loss"]
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{file} does not hold a training with its settings: remove it to train again") from error
    if found != settings:
        names = [name for name in settings | found if found.get(name) != settings.get(name)]
        theirs, ours = (", ".join(f"{name} {one.get(name)}" for name in names) for one in (found, settings))
        raise ValueError(f"{file} was made with {theirs}, not with {ours}: choose another --output_dir, or remove it")
    return losses


def write_json(path: Path, content: dict) -> None:
    """Write a file that is complete or not there at all."""
    write_whole(path, (json.dumps(content) + "\n").encode())


def mean_psnr(losses: list[float]) -> float:
    """PSNR in dB of the mean of some squared errors of samples in [0, 1]."""
    return psnr(float(np.mean(losses)))


def table(curves: dict[str, dict[str, list[float]]]) -> str:
    """A Markdown table, best first: mean and standard deviation over the seeds, early and at the end.

    Args:
        curves: for each initialisation and seed, the loss of each step.
    """
    steps = len(next(iter(next(iter(curves.values())).values())))
    middle = steps // 4
    ranges = [(middle - LAST_STEPS // 2, middle + LAST_STEPS // 2), (steps - LAST_STEPS, steps)]
    ranges = [(max(0, first), min(last, steps)) for first, last in ranges]
    rows = []
    for init, by_seed in curves.items():
        figures = [[mean_psnr(losses[a:b]) for losses in by_seed.values()] for a, b in ranges]
        cells = [f"{np.mean(f):.2f} ± {np.std(f, ddof=1) if len(f) > 1 else 0:.2f}" for f in figures]
        rows.append((float(np.mean(figures[1])), f"| {init} | {' | '.join(cells)} |"))
    head = " | ".join(f"steps {a + 1} to {b}" for a, b in ranges)
    lines = [f"| initialisation | {head} |", "| --- | ---: | ---: |", *(line for _, line in sorted(rows, reverse=True))]
    return "\n".join(lines)


def plot(curves: dict[str, dict[str, list[float]]], path: Path) -> None:
    """Draw the PSNR over the steps: a line for each initialisation, a band from its worst to its best seed."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    for init, by_seed in curves.items():
        smoothed = [
            [mean_psnr(losses[start : start + SMOOTHED_STEPS]) for start in range(0, len(losses), SMOOTHED_STEPS)]
            for losses in by_seed.values()
        ]
        steps = SMOOTHED_STEPS * (np.arange(len(smoothed[0])) + 1)
        (line,) = axes.plot(steps, np.mean(smoothed, axis=0), label=init)
        axes.fill_between(steps, np.min(smoothed, axis=0), np.max(smoothed, axis=0), color=line.get_color(), alpha=0.2)
    axes.set(xlabel="training step", ylabel="PSNR in the hole (dB)")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    pyplot.close(figure)


def make_parser() -> argparse.ArgumentParser:
    """The command line of a study."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--train_data_dir", nargs="+", required=True, help="folders or tar shards, as for training")
    parser.add_argument("--output_dir", type=Path, required=True)
    parser.add_argument("--inits", nargs="+", choices=list(INITIALISATIONS), default=list(INITIALISATIONS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--learning_rate", type=float, default=1e-3)
    parser.add_argument("--base_channels", type=int, default=64)
    parser.add_argument("--mixed_precision", choices=["no", "bf16", "fp16"], default="bf16")
    return parser


def main(arguments: list[str] | None = None) -> None:
    """Run the missing trainings, then write `curves.json`, `table.md` and `curves.svg`."""
    parser = make_parser()
    args = parser.parse_args(arguments)

    args.output_dir.mkdir(parents=True, exist_ok=True)
    # Seed by seed: an interrupted study has compared all that it has run.
    files = {(init, seed): args.output_dir / f"{init}-{seed}.json" for seed in args.seeds for init in args.inits}
    try:
        settings = common_settings(args)
        done = {training: kept_losses(file, settings) for training, file in files.items()}
    except (OSError, ValueError) as error:
        parser.error(str(error))
    curves = {init: {} for init in args.inits}
    for (init, seed), losses in done.items():
        if losses is None:
            print(f"{init}, seed {seed}", flush=True)
            losses = [round(loss, 6) for loss in completion_losses(init, seed, args)]
            write_json(files[init, seed], {"settings": settings, "completion_loss": losses})
        curves[init][str(seed)] = losses
    write_json(args.output_dir / "curves.json", {"settings": settings, "completion_loss": curves})
    write_whole(args.output_dir / "table.md", (table(curves) + "\n").encode())
    plot(curves, args.output_dir / "curves.svg")
    print(table(curves))


if __name__ == "__main__":
    main()
