"""Put together the page that completes photos inside the browser: a folder for any static host.

python integrations/web/build.py                       with the embedded default model, into build/web
python integrations/web/build.py MODEL -o FOLDER       with a model of yours: its folder or Hub repository
"""

import argparse
import json
import shutil
import time
from pathlib import Path

import numpy as np
from PIL import Image

from glcic_hub.demo import PHOTOS, photo_path
from glcic_hub.export import export_onnx, terms_of
from glcic_hub.filling.completer import Completer
from glcic_hub.filling.fill import fill
from glcic_hub.filling.options import FillOptions
from glcic_hub.images import paste
from glcic_hub.masks import read as read_mask
from glcic_hub.model import DEFAULT_NAME, GLCICModel
from glcic_hub.ui.examples import mask, thumbnail
from glcic_hub.ui.words import GROWN, settings

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PAGE = ROOT / "glcic_hub" / "ui" / "page"
OURS = ("engine.js", "local", "filling", "onnxruntime")
"""What of this folder comes to the page's files, or takes the place of one."""

SETTINGS = ("grow", "texture")
"""The options that this engine has."""


def build(folder: Path, model: GLCICModel, graph: bytes) -> None:
    """Write the page's files.

    Args:
        folder: is made; files of the same names are replaced.
        model: completes the examples.
        graph: the same model as `export_onnx` makes it a "pipeline".

    Raises:
        FileNotFoundError: onnxruntime-web is not there.
    """
    if not (HERE / "onnxruntime").is_dir():
        raise FileNotFoundError(f"onnxruntime-web is not there: run `npm ci` once in {HERE}")
    for source in (PAGE, *(HERE / name for name in OURS)):
        if source.is_dir():
            shutil.copytree(source, folder if source == PAGE else folder / source.name, dirs_exist_ok=True)
        else:
            shutil.copyfile(source, folder / source.name)
    (folder / "model.onnx").write_bytes(graph)
    (folder / "examples").mkdir(exist_ok=True)
    completer = Completer(model)
    host = {
        "settings": [setting for setting in settings([]) if setting["name"] in SETTINGS],
        "examples": [_write_example(folder, name, completer) for name in PHOTOS],
    }
    (folder / "host.json").write_text(json.dumps(host, indent=1), encoding="utf-8")


def _write_example(folder: Path, name: str, completer: Completer) -> dict:
    """Write a photo, what is painted on it and what becomes of it; gives what engine.js has to know of it."""
    paths = {
        "photo": f"examples/{name}.jpg",
        "thumbnail": f"examples/{name}.webp",
        "mask": f"examples/{name}-mask.png",
        "patch": f"examples/{name}-patch.png",
    }
    shutil.copyfile(photo_path(name), folder / paths["photo"])
    (folder / paths["thumbnail"]).write_bytes(thumbnail(name))
    (folder / paths["mask"]).write_bytes(mask(name))

    photo = np.asarray(Image.open(photo_path(name)).convert("RGB"))
    start = time.perf_counter()
    filled = fill(completer, photo, read_mask(folder / paths["mask"], photo.shape[:2]), FillOptions(grow=GROWN))
    seconds = time.perf_counter() - start
    completed = Image.fromarray(paste(np.where(filled.mask[..., None], photo, 0), *filled))
    completed.putalpha(Image.fromarray(filled.mask))
    left, top, right, bottom = completed.getbbox()
    completed.crop((left, top, right, bottom)).save(folder / paths["patch"], optimize=True)
    return {"name": name, **paths, "box": [left, top, right - left, bottom - top], "seconds": round(seconds, 2)}


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Put together the page that completes photos inside the browser.")
    parser.add_argument("model", metavar="MODEL", nargs="?", default=DEFAULT_NAME, help="default: %(default)s")
    parser.add_argument("-o", "--out", metavar="FOLDER", type=Path, default=ROOT / "build" / "web")
    args = parser.parse_args()
    model = GLCICModel.from_pretrained(args.model)
    build(args.out, model, export_onnx(model, "pipeline", "int8", name=args.model, terms=terms_of(args.model)))
    print(args.out)


if __name__ == "__main__":
    main()
