"""Checkpoints: complete or not there at all, recognised when damaged, the newest and the best ones kept.

`output_dir/checkpoint-<step>` holds what `Accelerator.save_state` writes (both networks, both optimisers, the moving
average) and, written last, `progress.json`: how far the run was, and size and SHA-256 of every other file.
"""

import hashlib
import json
import os
import re
import shutil
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from safetensors import SafetensorError

from glcic_hub.atomic import optional_call, write_whole
from train.loading import DamageReport

PROGRESS = "progress.json"
BEST = "best.json"
UNFINISHED = "unfinished-"
FIRST_FORMAT = ("model.safetensors", "model_1.safetensors", "optimizer.bin", "optimizer_1.bin")
"""Files of a checkpoint from before `progress.json` listed them."""


@dataclass
class Progress:
    """How far a run is.

    Attributes:
        step: steps done.
        samples: crops drawn, by all processes together.
        seconds: trained.
        mean: the mean colour that the networks' input has subtracted.
        kept: settings of the model that the run started from, which its own model keeps; None before it started.
        damage: state of all processes' `DamageReport`, at the last checkpoint.
    """

    step: int = 0
    samples: int = 0
    seconds: float = 0.0
    mean: list[float] | None = None
    kept: dict | None = None
    damage: dict = field(default_factory=lambda: DamageReport().state_dict())


def choose_checkpoint(accelerator: Accelerator, output_dir: Path, wanted: str | None) -> Path | None:
    """The checkpoint to go on from, None to start anew; leftovers of a run that was killed are removed.

    Args:
        accelerator: its main process looks, the others take its answer.
        output_dir: of the run.
        wanted: `--resume_from_checkpoint`: None, "latest" or a folder.

    Raises:
        FileExistsError: there are checkpoints that the new run would mix with its own.
        FileNotFoundError: `wanted` is not a checkpoint.
        ValueError: `wanted`, or every checkpoint of the run, is damaged.
    """
    found = [_choose(output_dir, wanted) if accelerator.is_main_process else None]
    return broadcast_object_list(found)[0]


def _choose(output_dir: Path, wanted: str | None) -> Path | None:
    for leftover in output_dir.glob(f"{UNFINISHED}*"):
        shutil.rmtree(leftover)
    if wanted == "latest":
        return _newest_intact(output_dir)
    if wanted is None:
        if checkpoints(output_dir):
            raise FileExistsError(
                f"{output_dir} holds checkpoints of an earlier run: "
                "add --resume_from_checkpoint latest, or choose another --output_dir"
            )
        return None
    folder = Path(wanted)
    if not (folder / PROGRESS).is_file():
        raise FileNotFoundError(f"{folder} is not a checkpoint of this script")
    if flaw := flaw_of(folder):
        raise ValueError(f"{folder} is damaged ({flaw}): take an earlier one, or --resume_from_checkpoint latest")
    step = read_progress(folder).step
    if later := [path.name for path in checkpoints(output_dir) if _step_of(path) > step]:
        raise FileExistsError(
            f"{output_dir} holds {', '.join(later)}, later than {folder.name}: choose another --output_dir"
        )
    return folder


def _newest_intact(output_dir: Path) -> Path | None:
    """The newest intact checkpoint; damaged ones after it are renamed, so that they no longer count."""
    damaged = []
    for folder in reversed(checkpoints(output_dir)):
        flaw = flaw_of(folder)
        if flaw is None:
            for torn, its_flaw in damaged:
                kept_as = torn.with_name(f"damaged-{torn.name}")
                shutil.rmtree(kept_as, ignore_errors=True)
                torn.rename(kept_as)
                print(
                    f"train_glcic: {torn.name} is damaged ({its_flaw}): going on from {folder.name}; it is kept as "
                    f"{kept_as.name}",
                    file=sys.stderr,
                )
            return folder
        damaged.append((folder, flaw))
    if damaged:
        names = ", ".join(f"{folder.name} ({flaw})" for folder, flaw in damaged)
        raise ValueError(f"every checkpoint of {output_dir} is damaged: {names}; remove them to start anew")
    return None


def flaw_of(folder: Path) -> str | None:
    """What is wrong with the files of a checkpoint, in a few words; None if they are as they were written."""
    try:
        progress = json.loads((folder / PROGRESS).read_text())
    except FileNotFoundError:
        return f"{PROGRESS} is missing"
    except ValueError:
        return f"{PROGRESS} is not complete"
    files = progress.get("files", dict.fromkeys(FIRST_FORMAT))
    for name, written in files.items():
        if not (folder / name).is_file():
            return f"{name} is missing"
        if written is None:
            continue
        size = (folder / name).stat().st_size
        if size != written["size"]:
            return f"{name} has {size:,} bytes instead of {written['size']:,}"
        if _sha256(folder / name) != written["sha256"]:
            return f"{name} has the right size, but not the content that was written"
    return None


def read_progress(folder: Path) -> Progress:
    """What `save_checkpoint` was given. Checkpoints of the first format lack the number of samples: it is 0."""
    values = json.loads((folder / PROGRESS).read_text())
    return Progress(**{name: values[name] for name in asdict(Progress()) if name in values})


def load_checkpoint(accelerator: Accelerator, folder: Path, optimizers: Iterable[torch.optim.Optimizer]) -> None:
    """Load networks, `optimizers` and moving average, all of which the accelerator knows.

    Raises:
        ValueError: they do not fit the settings.
    """
    kinds = [set(optimizer.param_groups[0]) for optimizer in optimizers]
    try:
        accelerator.load_state(str(folder))
        # torch takes the state of any other kind of optimizer, and fails in the first step.
        if kinds != [set(optimizer.param_groups[0]) for optimizer in optimizers]:
            raise ValueError("it has another optimizer")
    except (RuntimeError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"{folder} does not fit these settings; resume with the --base_channels, --resolution, --local_size, "
            f"--discriminators, --optimizer and --ema_decay of its run ({reason[:300]})"
        ) from error


def save_checkpoint(accelerator: Accelerator, output_dir: Path, progress: Progress, limit: int) -> None:
    """Write `checkpoint-<step>` under another name, rename it when it is complete, and remove old ones.

    Args:
        accelerator: all processes call this; the main one writes all but their random states.
        output_dir: of the run; all nodes must see the same one.
        progress: becomes `progress.json`.
        limit: so many of the newest checkpoints stay, and the best one.

    Raises:
        OSError: it could not be written; nothing of it stays.
    """
    final = output_dir / f"checkpoint-{progress.step}"
    unfinished = output_dir / f"{UNFINISHED}{final.name}"
    try:
        accelerator.save_state(str(unfinished))
        accelerator.wait_for_everyone()
        if accelerator.is_main_process:
            files = {path.name: _file_record(path) for path in sorted(unfinished.iterdir())}
            write_whole(unfinished / PROGRESS, json.dumps(asdict(progress) | {"files": files}, indent=2).encode())
            unfinished.rename(final)
            _write_to_disk(output_dir)
    except (OSError, RuntimeError, SafetensorError) as error:  # torch and safetensors have their own for a full disk
        shutil.rmtree(unfinished, ignore_errors=True)
        free = shutil.disk_usage(output_dir).free // 2**20
        reason = " ".join(str(error).split())
        raise OSError(
            f"{final.name} could not be written to {output_dir}, where {free} MiB are free ({reason[:200]}): make room "
            "and go on from the one before with --resume_from_checkpoint latest"
        ) from error
    if accelerator.is_main_process:
        _remove_old(output_dir, limit)
    accelerator.wait_for_everyone()


def _remove_old(output_dir: Path, limit: int) -> None:
    best = read_best(output_dir)
    for old in checkpoints(output_dir)[:-limit]:
        if best is None or old.name != best["checkpoint"]:
            # Renamed first: half of a checkpoint must never look like one.
            shutil.rmtree(old.rename(output_dir / f"{UNFINISHED}{old.name}"))


def checkpoints(output_dir: Path) -> list[Path]:
    """The checkpoints of a run that were completed, oldest first."""
    found = [path for path in output_dir.glob("checkpoint-*") if re.fullmatch(r"checkpoint-\d+", path.name)]
    return sorted(found, key=_step_of)


def _step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.rsplit("-", 1)[1])


def read_best(output_dir: Path) -> dict | None:
    """What `mark_best` wrote, None before that."""
    path = output_dir / BEST
    return json.loads(path.read_text()) if path.is_file() else None


def mark_best(output_dir: Path, step: int, record: dict) -> None:
    """Write `best.json`: the step, its checkpoint and why it is the best."""
    best = {"step": step, "checkpoint": f"checkpoint-{step}"} | record
    write_whole(output_dir / BEST, (json.dumps(best, indent=2) + "\n").encode())


def _file_record(path: Path) -> dict:
    """Size and SHA-256 of a file, once it is on the disk and not only in the system's memory."""
    with open(path, "rb+") as file, optional_call():
        os.fsync(file.fileno())
    return {"size": path.stat().st_size, "sha256": _sha256(path)}


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_to_disk(folder: Path) -> None:
    """Make a renaming in the folder outlast a power cut, where the system can (Windows cannot)."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            with optional_call():
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
