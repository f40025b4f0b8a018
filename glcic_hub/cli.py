"""The command `glcic`.

What can be answered without torch is answered without importing it: help, version and wrong paths. The imports are
therefore inside the functions.
"""

import argparse
import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from glcic_hub import __version__
from glcic_hub.convert import KINDS
from glcic_hub.demo import DEFAULT_PHOTO, PHOTOS
from glcic_hub.export import KINDS as GRAPH_KINDS
from glcic_hub.export import PRECISIONS, export_onnx, terms_of
from glcic_hub.files import FORMATS, JPEG_QUALITY, check_fits, encoded, without_transparency, write_whole

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from glcic_hub.completion import Completer
    from glcic_hub.images import Picture
    from glcic_hub.model import GLCICModel

EXIT_CODES = """\
exit codes:
  0    done
  1    the work failed: model not loadable, disk full, folder not writable, ...
  2    wrong use: bad arguments, picture missing or unreadable, OUT exists, sizes that do not agree, ...
  130  interrupted (Ctrl-C)
The paths of the results go to stdout, everything else to stderr. A run that fails leaves no file behind and an
existing one as it was.
"""

DESCRIPTION = "Completes pictures (inpainting) with the GLCIC network of Iizuka et al. 2017."

EPILOG = f"""\
examples:
  glcic demo                                   completes a photo that comes with scikit-image
  glcic inpaint photo.jpg mask.png -o out.png  fills what is white in mask.png
  glcic inpaint --help                         masks, formats and more examples
  glcic convert --help                         checkpoints of other implementations, and how exact the result is
  glcic export onnx --help                     files for ONNX Runtime and browsers

{EXIT_CODES}"""

INPAINT_DESCRIPTION = """\
Fills the hole in IMAGE. OUT has the size of IMAGE, and outside the hole the pixels of IMAGE, bit for bit
(.png and lossless .webp).
"""

INPAINT_EPILOG = f"""\
the mask:
  MASK is a picture of the size of IMAGE: white (luminance 128 of 255 or more) = fill, black = keep. Where MASK is
  transparent it counts as black. Both pictures are taken upright, as their EXIF orientation says.
  Without MASK the transparency of IMAGE is the mask: every pixel that is not fully opaque is filled, and OUT is
  opaque. With MASK, transparency in IMAGE stays as it is.
  A mask with nothing to fill is no error: the picture is written as it is, with a message.

formats, by the suffix of OUT:
  .png          exact; everything but CMYK
  .webp         exact (lossless) unless --quality is given; no 16 bits, no CMYK
  .jpg, .jpeg   quality {JPEG_QUALITY} (or --quality), 4:4:4; re-encodes the known pixels; no transparency, no 16 bits
  EXIF, ICC profile and dpi are kept (WebP has no field for dpi). Of an animated picture the first frame is taken.
  Colour pictures of 16 bits a channel are read as 8 bits.

examples:
  glcic inpaint photo.jpg mask.png -o completed.png
  glcic inpaint cutout.png -o completed.png                      the transparent part is filled
  glcic inpaint photo.jpg mask.png -o photo.jpg --force          replaces the input
  glcic inpaint photo.png mask.png -o small.webp --quality 80    lossy
  glcic inpaint photo.png mask.png -o out.png --model ./my-model

{EXIT_CODES}"""

DEMO_DESCRIPTION = """\
Completes a real photo from scikit-image (pip install "glcic-hub[demo]") and writes before.png, mask.png, after.png
and the three side by side, demo.png. Files of these names in FOLDER are overwritten.
"""

CONVERT_DESCRIPTION = """\
Turns a checkpoint of another GLCIC implementation into a model folder for --model, from_pretrained and the Hub. What a
model of this package cannot compute exactly is refused with the reason; no code in the checkpoint is executed.
"""

CONVERT_EPILOG = f"""\
kinds, recognised from the content of SOURCE:
  torch7      the official .t7 files and others of their network: exact
  sequential  state dicts of the same network in PyTorch: exact. Names: 0.weight ... 48.bias; 0.0.weight ... 16.bias;
              conv1_1.conv.weight ... decoder2_3.conv.bias. --mean is needed: these files do not say it
  mmagic      MMagic's .pth: input exact; it clamps its output where this network has a sigmoid, so that it is converted
              only with --approximate, and then every value is off by at most 0.0561 (14 of 255)
  otenim      GLCIC-PyTorch's .pth: recognised, but refused: it normalises after the ReLU, which is another network
  A .pth file must hold tensors alone (a state dict, or a checkpoint with one); a pickled module is not loaded.

licence:
  The official weights, in every format, are under CC BY-NC-SA 4.0, and so is what is made from them. README.md in
  FOLDER says where the weights come from, how exact they are, and the licence as far as it is known.

examples:
  glcic convert completionnet_places2.t7 -o places2
  glcic inpaint photo.jpg mask.png -o out.png --model ./places2
  glcic convert completionnet_places2.pth -o places2 --mean 0.4560 0.4472 0.4155
  glcic convert faces.t7 -o faces --sample-size 160 --max-hole-size 96
  glcic convert gl_places.pth -o mmagic --approximate

{EXIT_CODES}"""

EXPORT_ONNX_DESCRIPTION = """\
Writes a model as an ONNX file, which runs without PyTorch: in ONNX Runtime, in browsers (integrations/web), on phones.
MODEL is the name of an embedded model, a folder or a Hub repository id; without it the embedded default model.
"""

EXPORT_ONNX_EPILOG = f"""\
kinds:
  pipeline  photo, uint8 (1, H, W, 3), and mask, uint8 (1, H, W), 128 or more = fill -> completed, uint8 (1, H, W, 3);
            any size; known pixels stay as they are, bit for bit
  network   image, float32 (B, 3, H, W), RGB in [0, 1], and mask, float32 (B, 1, H, W), 1 = fill -> completed, float32
            (B, 3, H, W), RGB in [0, 1], meant to be used under the mask only; any size

precisions:
  fp32  exact; 24 MB at the paper's size of the network
  fp16  12 MB; float16 arithmetic where the runtime has it, and hardly a difference in the result
  int8  6 MB; weights of 8 bits, float32 arithmetic, small differences

examples:
  glcic export onnx -o glcic.onnx
  glcic export onnx --precision int8 -o integrations/web/model.onnx
  glcic export onnx ./my-model --kind network --precision fp16 -o network.onnx

{EXIT_CODES}"""


class WrongUse(Exception):
    """Something that the user passed is wrong; the message is one sentence that says what to do."""


class FailedWork(Exception):
    """The work could not be done although it was asked for correctly."""


def main(argv: list[str] | None = None) -> int:
    """Run the command with these arguments (`sys.argv` without them); returns the exit code."""
    args = _parser().parse_args(argv)
    try:
        args.run(args)
    except WrongUse as error:
        return _fail(args, error, 2)
    except FailedWork as error:
        return _fail(args, error, 1)
    except KeyboardInterrupt:
        return _fail(args, "interrupted", 130)
    return 0


def inpaint(args: argparse.Namespace) -> None:
    """`glcic inpaint`."""
    out = args.out
    file_format = _format_of(out, args.quality)
    for path in (args.image, args.mask):
        if path is not None:
            _check_is_readable(path)
    _check_may_write(out, args.force)

    picture, mask = _read(args.image, args.mask)
    _check_fits(picture.image, file_format)
    if mask.any():
        fill = _complete(_completer(args.model), picture.rgb, mask)
        result = picture.completed(fill, mask, "pil")
    else:
        _say(args, "the mask is empty: there is nothing to fill, the picture is written as it is")
        result = picture.image
    _write(out, _encoded(result, file_format, args.quality))
    print(out)


def demo(args: argparse.Namespace) -> None:
    """`glcic demo`."""
    folder = args.out
    try:
        if folder.exists() and not folder.is_dir():
            raise WrongUse(f"{_quoted(folder)} is not a folder: choose another one with -o")
    except OSError as error:  # For example, the name is too long.
        raise WrongUse(f"cannot write into {_quoted(folder)}: {_reason(error)}") from error
    try:
        from skimage import data
    except ImportError as error:
        raise FailedWork('the demo photo is in scikit-image: pip install "glcic-hub[demo]"') from error
    from glcic_hub.demo import demo_pictures

    photo = getattr(data, args.photo)()
    pictures, seconds = demo_pictures(photo, args.photo, _completer(args.model))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FailedWork(f"cannot make the folder {_quoted(folder)}: {_reason(error)}") from error
    for name, picture in pictures.items():
        path = folder / f"{name}.png"
        _write(path, encoded(picture, "PNG"))
        print(path)
    _say(args, f"completed the hole in {seconds:.1f} seconds")


def convert(args: argparse.Namespace) -> None:
    """`glcic convert`."""
    _check_is_readable(args.source, "a checkpoint")
    _check_may_make(args.out)
    from glcic_hub.convert import convert as convert_file
    from glcic_hub.convert import save_whole

    try:
        model, notes = convert_file(
            args.source,
            kind=None if args.kind == "auto" else args.kind,
            mean=args.mean,
            sample_size=args.sample_size,
            max_hole_size=args.max_hole_size,
            approximate=args.approximate,
        )
    except (OSError, ValueError) as error:
        raise WrongUse(f"cannot convert {_quoted(args.source)}: {_reason(error)}") from error
    try:
        save_whole(model, args.out)
    except OSError as error:
        raise FailedWork(f"cannot write {_quoted(args.out)}: {_reason(error)}") from error
    for note in notes:
        _say(args, note)
    print(args.out)


def export_as_onnx(args: argparse.Namespace) -> None:
    """`glcic export onnx`."""
    if args.out.suffix.lower() != ".onnx":
        raise WrongUse(f"the name {_quoted(args.out)} must end in .onnx")
    _check_may_write(args.out, args.force)
    from glcic_hub.model import DEFAULT_NAME

    model = _model(args.model)
    try:
        data = export_onnx(
            model, args.kind, args.precision, name=str(args.model or DEFAULT_NAME), terms=terms_of(args.model)
        )
    except ImportError as error:
        raise FailedWork(str(error)) from error
    _write(args.out, data)
    print(args.out)


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("glcic", description=DESCRIPTION, epilog=EPILOG, formatter_class=raw)
    parser.add_argument("--version", action="version", version=f"glcic-hub {__version__}")
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND", required=True)

    command = commands.add_parser(
        "inpaint",
        help="complete a picture",
        description=INPAINT_DESCRIPTION,
        epilog=INPAINT_EPILOG,
        formatter_class=raw,
    )
    command.add_argument("image", metavar="IMAGE", type=Path, help="the picture to complete, of any common format")
    command.add_argument(
        "mask", metavar="MASK", type=Path, nargs="?", help="white = fill; without it the transparency of IMAGE"
    )
    command.add_argument(
        "-o", "--out", metavar="OUT", type=Path, required=True, help="the result: a .png, .jpg or .webp file"
    )
    _add_model(command)
    command.add_argument("--force", action="store_true", help="overwrite OUT if it exists (even if it is IMAGE)")
    command.add_argument(
        "--quality", metavar="N", type=_quality, help="1 to 100, for .jpg and for a .webp that is not to be lossless"
    )
    command.set_defaults(run=inpaint)

    command = commands.add_parser(
        "demo",
        help="complete a photo that comes with scikit-image",
        description=DEMO_DESCRIPTION,
        epilog=EXIT_CODES,
        formatter_class=raw,
    )
    command.add_argument(
        "-o", "--out", metavar="FOLDER", type=Path, default=Path("demo"), help="where to write (default: ./demo)"
    )
    command.add_argument("--photo", choices=PHOTOS, default=DEFAULT_PHOTO, help="which photo (default: %(default)s)")
    _add_model(command)
    command.set_defaults(run=demo)

    command = commands.add_parser(
        "convert",
        help="turn a checkpoint of another implementation into a model folder",
        description=CONVERT_DESCRIPTION,
        epilog=CONVERT_EPILOG,
        formatter_class=raw,
    )
    command.add_argument("source", metavar="SOURCE", type=Path, help="the checkpoint: a .t7 or .pth file")
    command.add_argument(
        "-o", "--out", metavar="FOLDER", type=Path, required=True, help="the model folder to make; new or empty"
    )
    command.add_argument(
        "--from", dest="kind", choices=("auto", *KINDS), default="auto", help="refuse SOURCE if it is of another kind"
    )
    command.add_argument(
        "--mean",
        metavar=("R", "G", "B"),
        nargs=3,
        type=float,
        help="mean colour of the training pictures, from 0 to 1, where SOURCE does not say it",
    )
    command.add_argument(
        "--sample-size", metavar="N", type=_pixels, help="side of the training crops in pixels (the paper: 256)"
    )
    command.add_argument(
        "--max-hole-size",
        metavar="N",
        type=_pixels,
        help="longest side of the training holes in pixels (the paper: 128; default: half of the crops, at most 128)",
    )
    command.add_argument("--approximate", action="store_true", help="allow a result with a known largest error")
    command.set_defaults(run=convert)

    command = commands.add_parser("export", help="write a model as a file for other runtimes")
    formats = command.add_subparsers(title="formats", metavar="FORMAT", required=True)
    command = formats.add_parser(
        "onnx",
        help="an ONNX file",
        description=EXPORT_ONNX_DESCRIPTION,
        epilog=EXPORT_ONNX_EPILOG,
        formatter_class=raw,
    )
    command.add_argument("model", metavar="MODEL", nargs="?", help="which model")
    command.add_argument("-o", "--out", metavar="FILE", type=Path, required=True, help="the .onnx file to write")
    command.add_argument("--kind", choices=GRAPH_KINDS, default="pipeline", help="default: %(default)s")
    command.add_argument("--precision", choices=PRECISIONS, default="fp32", help="default: %(default)s")
    command.add_argument("--force", action="store_true", help="overwrite FILE if it exists")
    command.set_defaults(run=export_as_onnx)
    return parser


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        help="name of an embedded model, a folder or a Hub repository id; without it the embedded default model",
    )


def _quality(text: str) -> int:
    if not (text.isdecimal() and 1 <= int(text) <= 100):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 100")
    return int(text)


def _pixels(text: str) -> int:
    if not (text.isdecimal() and 1 <= int(text) <= 10_000):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 10000")
    return int(text)


def _say(args: argparse.Namespace, message: object) -> None:
    print(f"glcic {args.command}: {message}", file=sys.stderr)


def _fail(args: argparse.Namespace, message: object, code: int) -> int:
    _say(args, message)
    return code


def _quoted(path: Path) -> str:
    """As Python writes it: one line, whatever is in the name."""
    return repr(str(path))


def _reason(error: Exception) -> str:
    """What an error says, in one line."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split()).rstrip(".") or type(error).__name__


def _format_of(out: Path, quality: int | None) -> str:
    file_format = FORMATS.get(out.suffix.lower())
    if file_format is None:
        raise WrongUse(f"the name {_quoted(out)} must end in .png, .jpg (or .jpeg) or .webp, which decides the format")
    if file_format == "PNG" and quality is not None:
        raise WrongUse("--quality is for .jpg and .webp; PNG is always exact")
    return file_format


def _check_is_readable(path: Path, wanted: str = "a picture") -> None:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise WrongUse(f"cannot read {_quoted(path)}: {_reason(error)}") from error
    if stat.S_ISDIR(mode):
        raise WrongUse(f"{_quoted(path)} is a folder, not {wanted}")


def _check_may_write(out: Path, force: bool) -> None:
    try:
        if out.is_dir():
            raise WrongUse(f"{_quoted(out)} is a folder; -o is the name of the file to write")
        if (out.exists() or out.is_symlink()) and not force:
            raise WrongUse(f"{_quoted(out)} exists; --force overwrites it")
        if not out.parent.is_dir():
            raise WrongUse(f"there is no folder {_quoted(out.parent)} to write {_quoted(out)} into")
    except OSError as error:  # For example, the name is too long.
        raise WrongUse(f"cannot write {_quoted(out)}: {_reason(error)}") from error
    if not os.access(out.parent, os.W_OK | os.X_OK):
        raise FailedWork(f"the folder {_quoted(out.parent)} is not writable")


def _check_may_make(folder: Path) -> None:
    try:
        if folder.is_symlink() or folder.exists():
            if not folder.is_dir():
                raise WrongUse(f"{_quoted(folder)} is not a folder; -o is the name of the folder to make")
            if any(folder.iterdir()):
                raise WrongUse(f"the folder {_quoted(folder)} is not empty; choose a new one with -o")
        parent = Path(os.path.realpath(folder)).parent
        if not parent.is_dir():
            raise WrongUse(f"there is no folder {_quoted(folder.parent)} to make {_quoted(folder)} in")
    except OSError as error:  # For example, the name is too long.
        raise WrongUse(f"cannot make {_quoted(folder)}: {_reason(error)}") from error
    if not os.access(parent, os.W_OK | os.X_OK):
        raise FailedWork(f"the folder {_quoted(folder.parent)} is not writable")


def _read(image_path: Path, mask_path: Path | None) -> "tuple[Picture, np.ndarray]":
    """The picture and its mask, bool (H, W). Without a mask's path the picture comes without its transparency."""
    from glcic_hub import images, masks

    path = image_path
    try:
        image = images.load_image(image_path)
        if mask_path is None:
            mask = masks.from_transparency(image)
            if mask is None:
                raise WrongUse(f"{_quoted(image_path)} has no transparency that could be the mask: give a MASK")
            return images.read(without_transparency(image)), mask
        picture = images.read(image)
        path = mask_path
        return picture, masks.read(mask_path, picture.size)
    except (OSError, ValueError, TypeError) as error:
        raise WrongUse(f"cannot use {_quoted(path)}: {_reason(error)}") from error


def _check_fits(image: "Image.Image", file_format: str) -> None:
    try:
        check_fits(image, file_format)
    except ValueError as error:
        raise WrongUse(str(error)) from error


def _encoded(image: "Image.Image", file_format: str, quality: int | None) -> bytes:
    try:
        return encoded(image, file_format, quality)
    except ValueError as error:
        raise WrongUse(_reason(error)) from error


def _write(path: Path, data: bytes) -> None:
    try:
        write_whole(path, data)
    except OSError as error:
        raise FailedWork(f"cannot write {_quoted(path)}: {_reason(error)}") from error


def _completer(name: str | None) -> "Completer":
    from glcic_hub.completion import Completer

    return Completer(_model(name))


def _model(name: str | None) -> "GLCICModel":
    from glcic_hub.model import DEFAULT_NAME, GLCICModel, embedded_models

    try:
        return GLCICModel.from_pretrained(name)
    # HfHubHTTPError is an OSError; TypeError and ValueError are settings in config.json that do not fit.
    except (OSError, ValueError, TypeError) as error:
        embedded = ", ".join(embedded_models()) or "none"
        message = f"cannot load the model {name or DEFAULT_NAME!r} (embedded: {embedded}): {_reason(error)}"
        raise FailedWork(message) from error


def _complete(completer: "Completer", rgb: "np.ndarray", mask: "np.ndarray") -> "np.ndarray":
    try:
        return completer(rgb, mask)
    except ValueError as error:
        raise WrongUse(_reason(error)) from error
    except (MemoryError, RuntimeError) as error:
        # torch says RuntimeError when the CPU has no memory left; others are mistakes of ours and keep their traceback.
        if isinstance(error, RuntimeError) and "alloc" not in str(error):
            raise
        raise FailedWork("there is not enough memory to complete the picture; try a smaller one") from error
