"""How good fills are: ours beside what people would use instead, on the same pictures and masks, in one run.

    make bench-peers
    python -m tests.benchmark.quality --data val-scenes.tar --output docs/quality.json

Figures and protocols are those of `train/evaluate.py`, with feature distance and KID. Peers that `make bench-peers` has
not fetched are left out, and the record says so. None of them gets to see what was in the hole. Each protocol has a
process of its own, with one thread; the seconds are those of that thread.
"""

import argparse
import json
import math
import platform
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path

import cv2
import torch

from glcic_hub.atomic import write_whole
from glcic_hub.model import DEFAULT_NAME
from tests.benchmark.peers import (
    MiGan,
    migan_is_missing,
    migan_method,
    patchmatch_method,
    python_peers_are_missing,
    resynthesizer_method,
)
from train.dataset import PictureFile, find_pictures, source_names
from train.evaluate import (
    PROTOCOLS,
    SEED,
    Protocol,
    Variant,
    describe_model,
    evaluate,
    load_completer,
    model_method,
    opencv_method,
    print_table,
    save_sheet,
)

ALONE = "texture=none"
"""The network alone, the paper's result with the seam corrected."""


def methods() -> tuple[dict, list[str]]:
    """All methods that are here, by their names in the record, and why others are left out."""
    completer = load_completer(DEFAULT_NAME, "float32")
    found = {"telea": opencv_method(cv2.INPAINT_TELEA), "navier-stokes": opencv_method(cv2.INPAINT_NS)}
    left_out = []
    if reason := python_peers_are_missing():
        left_out.append(f"PatchMatch, Resynthesizer: {reason}")
    else:
        found |= {"patchmatch": patchmatch_method(), "resynthesizer": resynthesizer_method()}
    if reason := migan_is_missing():
        left_out.append(f"MI-GAN: {reason}")
    else:
        found["mi-gan"] = migan_method(MiGan(threads=1))
    for options in (ALONE, ""):
        variant = Variant(DEFAULT_NAME, options)
        found[str(variant)] = model_method(completer, variant.fill_options())
    return found, left_out


def measure(protocol: str, pictures: list[PictureFile], sheet: Path | None) -> tuple[dict, dict, list[str]]:
    """Figures, seconds, and what was left out; with `sheet`, that of 24 pictures goes into this folder."""
    torch.set_num_threads(1)
    found, left_out = methods()
    shown = range(0, len(pictures), math.ceil(len(pictures) / 24)) if sheet else ()
    means, seconds, rows = evaluate(pictures, found, Protocol(protocol), shown, features=True)
    if sheet:
        save_sheet(rows, ["hole", "truth", *found], sheet / f"{protocol}.png")
    return means, seconds, left_out


def main(arguments: list[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        "python -m tests.benchmark.quality", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", nargs="+", required=True, help="folders of pictures, tar shards, patterns of these")
    parser.add_argument("--limit", type=int, help="only the first so many pictures")
    parser.add_argument("--output", type=Path, required=True, help="write the record to this JSON file")
    parser.add_argument("--sheet", type=Path, help="write completed pictures side by side into this folder")
    args = parser.parse_args(arguments)
    pictures = sorted(find_pictures(args.data), key=lambda picture: Path(picture.name).name)[: args.limit]
    record = {
        "data": {"sources": source_names(args.data), "pictures": len(pictures)},
        "seed": SEED,
        "models": {DEFAULT_NAME: describe_model(DEFAULT_NAME)},
        "left_out": [],
        "versions": {"torch": torch.__version__, "opencv": cv2.__version__, "python": platform.python_version()},
        "protocols": {},
    }
    with ProcessPoolExecutor(len(PROTOCOLS), get_context("spawn")) as processes:
        measured = list(processes.map(measure, PROTOCOLS, repeat(pictures), repeat(args.sheet)))
    for name, (means, seconds, left_out) in zip(PROTOCOLS, measured):
        print(name)
        print_table(means, seconds)
        record["left_out"] = left_out
        record["protocols"][name] = {
            "protocol": asdict(Protocol(name)),
            "figures": means,
            "seconds_per_picture": seconds,
        }
    write_whole(args.output, (json.dumps(record, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
