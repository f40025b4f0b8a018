"""Measure how well models and OpenCV's classical methods complete pictures. Figures about quality are made here.

    python -m train.evaluate --data val-scenes.tar --model glcic-scenes runs/mine --output figures.json --sheet s.png

Protocol `box`. The pictures, in the order of their file names, have their shorter side brought to `size` = 256 px
(LANCZOS) and are cropped to the centre. Picture i has one square hole: numpy's default_rng([7, i]) draws
side = integers(88, 129), then y and x = integers(20, 256 - 20 - side + 1), so that at least 20 px stay on every side.
For another `--size` the three lengths go along in proportion, unless they are given. Faces are measured with
`--size 64 --min_hole_size 15 --max_hole_size 25 --hole_margin 5`.

Protocol `free-form` (`--protocol free-form`) has brush strokes instead: `glcic_hub.masks.random_strokes` with 2 to 6
strokes of 10 to 36 px at 256 px, in proportion at others, seeded with [7, i].

The methods get the picture with its hole blanked (0); models compute in float32, or in --dtype. What the methods give
is rounded to 8 bits and pasted into the picture; all figures compare that with the true picture, and are means over
the pictures:

    L1 x 100    mean absolute difference inside the hole, in percent of the full range; lower is better
    hole PSNR   inside the hole, dB (at most 100); higher is better
    PSNR        of the whole picture, dB (at most 100); higher is better
    SSIM        of the whole picture, at most 1; higher is better. Gaussian window 11 x 11 with sigma 1.5; as in
                scikit-image, only windows that lie inside the picture count (torchmetrics' own mean, which mirrors
                the border, comes out about 0.01 higher)
    FD, KID     with `--features`: feature distance in the hole and kernel distance of the sets, both lower is better;
                `feature_distance.py` defines them. Those that tell a texture from a blur
    layout      with `--layout`: L1, PSNR and (with `--features`) FD once more, with truth and result both reduced to
                the scale at which the first of the models sees the largest hole (`layout.py`): what lies where
"""

import argparse
import hashlib
import json
import platform
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

if not __package__:  # started as a file, with its own folder on the path and not the repository
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import numpy as np
import torch
from PIL import Image, ImageDraw
from tqdm import tqdm

try:
    import cv2
    from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure
except ImportError as error:
    sys.exit(f'{error}: the evaluation needs what comes with pip install ".[train]"')

from glcic_hub.atomic import write_whole
from glcic_hub.device import choose_device
from glcic_hub.filling.completer import Completer
from glcic_hub.filling.fill import fill
from glcic_hub.filling.options import DEFAULTS, FillOptions, from_texts
from glcic_hub.images import paste
from glcic_hub.masks import random_strokes
from glcic_hub.model import DEFAULT_NAME, GLCICModel, find_files
from glcic_hub.picture_files import PictureFile
from train.dataset import find_pictures, source_names
from train.feature_distance import feature_distance, kernel_distance, picture_maps
from train.layout import Layout

Method = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""(blanked picture uint8 (H, W, 3), mask bool (H, W)) -> fill, float (H, W, 3) in [0, 1]."""

PROTOCOLS = ("box", "free-form")
DTYPES = ("float32", "bfloat16", "float16")
STROKE_WIDTHS_AT_256, STROKE_COUNTS = (10, 36), (2, 6)  # of the free-form masks, pixels
FIGURES = {"l1_x100": "L1 x 100", "hole_psnr": "hole PSNR", "psnr": "PSNR", "ssim": "SSIM"}
FEATURE_FIGURES = {"feature_distance": "FD", "kid_x1000": "KID x1000"}
LAYOUT_FIGURES = {
    "layout_l1_x100": "layout L1",
    "layout_psnr": "layout PSNR",
    "layout_feature_distance": "layout FD",
}
DIGITS = {"ssim": 4, "feature_distance": 3, "layout_feature_distance": 3}  # of the table; all others have 2
HIGHEST_PSNR = 100.0  # of an exact fill, whose infinity would swallow the mean of all others
SSIM_BORDER = 5  # half a window of 11
INPAINT_RADIUS = 3
SEED = 7
CAPTION_HEIGHT = 16
HOLE_GREY = 128


@dataclass(frozen=True)
class Protocol:
    """Name (one of PROTOCOLS), size of the pictures and range of hole sizes, in pixels; all are sides of squares."""

    name: str = "box"
    size: int = 256
    min_hole_size: int = 88
    max_hole_size: int = 128
    hole_margin: int = 20

    def __post_init__(self):
        if self.size < 16:
            raise ValueError(f"--size {self.size} is too small, it must be at least 16")
        if not 1 <= self.min_hole_size <= self.max_hole_size or self.hole_margin < 0:
            raise ValueError(
                f"holes of {self.min_hole_size} to {self.max_hole_size} pixels with a margin of {self.hole_margin}: "
                "it must be 1 <= --min_hole_size <= --max_hole_size, and --hole_margin not negative"
            )
        if self.max_hole_size + 2 * self.hole_margin > self.size:
            raise ValueError(
                f"holes of {self.max_hole_size} pixels with a margin of {self.hole_margin} do not fit into "
                f"{self.size}x{self.size}: lower --max_hole_size or --hole_margin"
            )

    def mask(self, index: int) -> np.ndarray:
        """The mask of picture `index`: bool (size, size), True inside its hole."""
        if self.name == "free-form":
            widths = tuple(round(width * self.size / 256) for width in STROKE_WIDTHS_AT_256)
            return random_strokes((self.size, self.size), widths, STROKE_COUNTS, [SEED, index])
        rng = np.random.default_rng([SEED, index])
        side = int(rng.integers(self.min_hole_size, self.max_hole_size + 1))
        y, x = rng.integers(self.hole_margin, self.size - self.hole_margin - side + 1, size=2)
        mask = np.zeros((self.size, self.size), dtype=bool)
        mask[y : y + side, x : x + side] = True
        return mask


def centre_crop(picture: Image.Image, size: int) -> np.ndarray:
    """The centre of the picture, uint8 (size, size, 3), after its shorter side was brought to `size` pixels."""
    scale = size / min(picture.size)
    width, height = (round(side * scale) for side in picture.size)
    left, top = (width - size) // 2, (height - size) // 2
    return np.asarray(picture.resize((width, height), Image.Resampling.LANCZOS))[top : top + size, left : left + size]


def opencv_method(flag: int) -> Method:
    """`cv2.inpaint` with cv2.INPAINT_TELEA or cv2.INPAINT_NS."""

    def complete(rgb: np.ndarray, mask: np.ndarray) -> np.ndarray:
        return cv2.inpaint(rgb, mask.astype(np.uint8), INPAINT_RADIUS, flag) / np.float32(255)

    return complete


@dataclass(frozen=True)
class Variant:
    """A model and how it is used: `options` are fields of `FillOptions` as text, "blend=none,working_size=60"."""

    model: str
    options: str = ""

    def __str__(self) -> str:
        return f"{self.model} {self.options}".strip()

    def fill_options(self) -> FillOptions:
        """The options; ValueError if there are no such ones."""
        pairs = [pair.partition("=") for pair in self.options.split(",") if pair]
        return from_texts({name: value for name, _, value in pairs})


def load_completer(name: str, dtype: str, device: str | None = None) -> Completer:
    """The model that `GLCICModel.from_pretrained(name)` loads, computing in one of DTYPES."""
    model = GLCICModel.from_pretrained(name)
    model.compute_dtype = getattr(torch, dtype)
    return Completer(model, choose_device(device))


def model_method(completer: Completer, options: FillOptions = DEFAULTS) -> Method:
    """A model as a method."""
    return lambda rgb, mask: fill(completer, rgb, mask, options).values


def figures(truth: np.ndarray, result: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    """The figures of one picture, by the names in FIGURES; `truth` and `result` are uint8 (H, W, 3)."""
    difference = result[mask].astype(np.float64) - truth[mask]
    whole = [torch.from_numpy(array.transpose(2, 0, 1)[None].astype(np.float32)) for array in (result, truth)]
    _, ssim_map = structural_similarity_index_measure(*whole, data_range=255.0, sigma=1.5, return_full_image=True)
    values = {
        "l1_x100": 100 * np.abs(difference).mean() / 255,
        "hole_psnr": min(HIGHEST_PSNR, 10 * np.log10(255**2 / max((difference**2).mean(), 1e-9))),
        "psnr": min(HIGHEST_PSNR, peak_signal_noise_ratio(*whole, data_range=255.0).item()),
        "ssim": ssim_map[..., SSIM_BORDER:-SSIM_BORDER, SSIM_BORDER:-SSIM_BORDER].mean().item(),
    }
    return {name: float(value) for name, value in values.items()}


def layout_figures(
    truth: np.ndarray, result: np.ndarray, mask: np.ndarray, layout: Layout, features: bool
) -> dict[str, float]:
    """The LAYOUT_FIGURES of one picture; arguments as of `figures`, FD only with `features`."""
    small_mask, small_truth, small_result = layout.reduced(mask, truth, result)
    values = figures(small_truth, small_result, small_mask)
    found = {"layout_l1_x100": values["l1_x100"], "layout_psnr": values["psnr"]}
    if features:
        maps, true_maps = picture_maps(small_result), picture_maps(small_truth)
        found["layout_feature_distance"] = feature_distance(maps, true_maps, small_mask)
    return found


def evaluate(
    pictures: list[PictureFile],
    methods: dict[str, Method],
    protocol: Protocol,
    keep: Iterable[int] = (),
    features: bool = False,
    layout: Layout | None = None,
) -> tuple[dict[str, dict[str, float]], dict[str, float], list[dict[str, np.ndarray]]]:
    """Complete every picture with every method; `features` and `layout` add the FEATURE_ and the LAYOUT_FIGURES.

    Returns the mean figures of each method, its seconds per picture, and for the pictures whose numbers are in `keep`
    the columns of the sheet: uint8 (size, size, 3) by name.
    """
    keep = set(keep)
    found = {name: [] for name in methods}
    seconds = dict.fromkeys(methods, 0.0)
    embedded = {name: [] for name in ["truth", *methods]}  # mean features of each picture, (1, FEATURES)
    rows = []
    for index, picture in enumerate(tqdm(pictures, unit="picture", mininterval=0.5 if sys.stderr.isatty() else 60)):
        truth, mask = centre_crop(picture.decode(), protocol.size), protocol.mask(index)
        blanked = truth.copy()
        blanked[mask] = 0
        row = {"hole": np.where(mask[..., None], np.uint8(HOLE_GREY), truth), "truth": truth}
        if features:
            true_maps = picture_maps(truth)
            embedded["truth"].append(true_maps[-1].mean(dim=(2, 3)))
        for name, method in methods.items():
            if index == 0:
                method(blanked.copy(), mask.copy())  # what only the first call costs is not part of the seconds
            started = time.perf_counter()
            filled = method(blanked.copy(), mask.copy())
            seconds[name] += time.perf_counter() - started
            row[name] = paste(truth, filled, mask)
            found[name].append(figures(truth, row[name], mask))
            if features:
                maps = picture_maps(row[name])
                found[name][-1]["feature_distance"] = feature_distance(maps, true_maps, mask)
                embedded[name].append(maps[-1].mean(dim=(2, 3)))
            if layout:
                found[name][-1] |= layout_figures(truth, row[name], mask, layout, features)
        if index in keep:
            rows.append(row)
    means = {
        name: {figure: round(float(np.mean([one[figure] for one in of_pictures])), 5) for figure in of_pictures[0]}
        for name, of_pictures in found.items()
    }
    if features and len(pictures) >= 4:
        for name in methods:
            distance = kernel_distance(torch.cat(embedded[name]), torch.cat(embedded["truth"]))
            means[name]["kid_x1000"] = round(distance, 5)
    return means, {name: round(total / len(pictures), 4) for name, total in seconds.items()}, rows


def save_sheet(rows: list[dict[str, np.ndarray]], columns: list[str], path: Path) -> None:
    """Write a picture with a row for each of `rows` and a captioned column for each name of `columns`."""
    body = np.vstack([np.hstack([row[column] for column in columns]) for row in rows])
    size = body.shape[1] // len(columns)
    captions = []
    for column in columns:
        caption = Image.new("RGB", (size, CAPTION_HEIGHT), "white")
        ImageDraw.Draw(caption).text((3, 2), Path(column).name, fill="black")
        captions.append(np.asarray(caption))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.vstack([np.hstack(captions), body])).save(path)


def describe_model(name: str) -> dict:
    """Settings and SHA-256 of the weights of the model that `GLCICModel.from_pretrained(name)` loads."""
    config, weights = find_files(name)
    settings = json.loads(config.read_text(encoding="utf-8"))
    return {"config": settings, "weights_sha256": hashlib.sha256(weights.read_bytes()).hexdigest()}


def print_table(means: dict[str, dict[str, float]], seconds: dict[str, float]) -> None:
    """One line per method."""
    width = max(len(name) for name in ["method", *means])
    known = FIGURES | FEATURE_FIGURES | LAYOUT_FIGURES
    titles = {figure: title for figure, title in known.items() if figure in means["telea"]}
    print(f"{'method':{width}}  " + "  ".join(f"{title:>9}" for title in titles.values()) + "  s/picture")
    for name, of_method in means.items():
        cells = [f"{of_method[key]:{max(9, len(title))}.{DIGITS.get(key, 2)}f}" for key, title in titles.items()]
        print(f"{name:{width}}  " + "  ".join(cells) + f"  {seconds[name]:9.3f}")


def recorded(means: dict[str, dict], seconds: dict[str, float], variants: list[Variant]) -> dict[str, dict]:
    """Sections of the record: figures and seconds of the methods; under "variants" those of models used otherwise."""
    record = {"figures": dict(means), "seconds_per_picture": dict(seconds)}
    for variant in variants:
        if variant.options:
            own = record.setdefault("variants", {}).setdefault(variant.options, {})
            for section in ("figures", "seconds_per_picture"):
                own.setdefault(section, {})[variant.model] = record[section].pop(str(variant))
    return record


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line; the holes' lengths that are not given are those of 256 px in proportion."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", required=True, help="folders of pictures, tar shards, patterns of these")
    parser.add_argument(
        "--model", nargs="*", default=[DEFAULT_NAME], help="embedded names, folders or Hub repositories"
    )
    parser.add_argument("--limit", type=int, help="only the first so many pictures")
    parser.add_argument("--size", type=int, default=256, help="side of the square pictures, pixels")
    for name in ("min_hole_size", "max_hole_size", "hole_margin"):
        at_256 = getattr(Protocol, name)
        parser.add_argument(f"--{name}", type=int, help=f"pixels; {at_256} at --size 256, in proportion at others")
    parser.add_argument("--protocol", choices=PROTOCOLS, default=PROTOCOLS[0], help="kind of holes")
    parser.add_argument(
        "--variant",
        metavar="OPTIONS",
        nargs="+",
        default=[],
        help="measure each model with these options, too: for example blend=none,working_size=60",
    )
    parser.add_argument(
        "--dtype", choices=DTYPES, default=DTYPES[0], help="what the models compute in (default: %(default)s)"
    )
    parser.add_argument("--device", help="where the models compute (default: an accelerator if there is one)")
    parser.add_argument("--features", action="store_true", help="also FD and KID, which take a network of their own")
    parser.add_argument(
        "--layout", action="store_true", help="also figures at the scale at which the first model sees the holes"
    )
    parser.add_argument("--output", type=Path, help="write the figures to this JSON file")
    parser.add_argument("--sheet", type=Path, help="write completed pictures side by side to this file")
    parser.add_argument("--sheet_count", type=int, default=24, help="rows of the sheet, spread over the pictures")
    args = parser.parse_args(arguments)
    args.model, args.variant = (list(dict.fromkeys(values)) for values in (args.model, args.variant))
    if args.layout and not args.model:
        parser.error("--layout needs a --model, whose view of the holes it takes")
    for name in ("limit", "sheet_count"):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            parser.error(f"--{name} must be at least 1")
    for name in ("min_hole_size", "max_hole_size", "hole_margin"):
        if getattr(args, name) is None:
            setattr(args, name, round(getattr(Protocol, name) * args.size / Protocol.size))
    return args


def run(args: argparse.Namespace) -> None:
    """Evaluate under the settings of `parse_args`; print the table and write the files."""
    protocol = Protocol(args.protocol, args.size, args.min_hole_size, args.max_hole_size, args.hole_margin)
    pictures = sorted(find_pictures(args.data), key=lambda picture: Path(picture.name).name)[: args.limit]
    methods = {"telea": opencv_method(cv2.INPAINT_TELEA), "navier-stokes": opencv_method(cv2.INPAINT_NS)}
    variants = [Variant(name, options) for name in args.model for options in ("", *args.variant)]
    completers = {name: load_completer(name, args.dtype, args.device) for name in args.model}
    methods |= {str(variant): model_method(completers[variant.model], variant.fill_options()) for variant in variants}
    models = {name: describe_model(name) for name in args.model}
    shown = np.linspace(0, len(pictures) - 1, min(args.sheet_count, len(pictures))).round().astype(int)
    shown = shown.tolist() if args.sheet else ()
    layout = None
    if args.layout:
        first = completers[args.model[0]]
        layout = Layout(first.sample_size, first.max_hole_size)
    means, seconds, rows = evaluate(pictures, methods, protocol, shown, args.features, layout)
    print_table(means, seconds)
    if args.sheet:
        save_sheet(rows, ["hole", "truth", *(name for name in methods if name != "navier-stokes")], args.sheet)
    if args.output:
        record = {
            "protocol": {**asdict(protocol), "seed": SEED},
            "data": {"sources": source_names(args.data), "pictures": len(pictures)},
            **recorded(means, seconds, variants),
            "models": models,
            "dtype": args.dtype,
            **({"layout": asdict(layout)} if layout else {}),
            "versions": {"torch": torch.__version__, "opencv": cv2.__version__, "python": platform.python_version()},
        }
        args.output.parent.mkdir(parents=True, exist_ok=True)
        write_whole(args.output, (json.dumps(record, indent=2) + "\n").encode())


def main(arguments: list[str] | None = None) -> None:
    """The command: an error is one sentence and exit status 1."""
    try:
        run(parse_args(arguments))
    except (OSError, ValueError) as error:
        sys.exit(f"train.evaluate: {error}")


if __name__ == "__main__":
    main()
