"""The command `glcic`: what it writes, what it says and how it fails."""

import io
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import cv2
import huggingface_hub.constants
import numpy as np
import pytest
import skimage.data
import tifffile  # comes with scikit-image
import torch
from PIL import Image, ImageCms, PngImagePlugin

import glcic_hub
from glcic_hub import bar, cli, demo
from glcic_hub.cli import texts
from glcic_hub.cli.options import DTYPES
from glcic_hub.filling import fill as fill_module
from glcic_hub.formats import WRITABLE
from glcic_hub.model import GLCICModel
from tests.fills import filled
from tests.privileges import without_privileges
from tests.random_models import random_model

HEIGHT, WIDTH = 48, 40
MASK = np.zeros((HEIGHT, WIDTH), bool)
MASK[10:26, 12:24] = True
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
ROTATED = Image.Exif()
ROTATED[0x0112] = 6
ROTATED[0x010F] = "Maker"


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with a small model that was not trained."""
    folder = tmp_path_factory.mktemp("model")
    GLCICModel(base_channels=4, sample_size=64, max_hole_size=32).save_pretrained(folder)
    return str(folder)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    return saved(samples(3), tmp_path / "photo.png")


@pytest.fixture
def mask(tmp_path: Path) -> Path:
    return saved(MASK, tmp_path / "mask.png")


def samples(channels: int, high: int = 256, dtype: type = np.uint8) -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, high, (HEIGHT, WIDTH, channels)).astype(dtype)
    return noise[..., 0] if channels == 1 else noise


def saved(array: np.ndarray, path: Path, **options: object) -> Path:
    Image.fromarray(array).save(path, **options)
    return path


def opened(path: Path) -> Image.Image:
    with Image.open(path) as image:
        image.load()
    return image


def run(*arguments: object) -> int:
    try:
        return cli.main([str(argument) for argument in arguments])
    except SystemExit as end:  # argparse
        return end.code


def glcic(*arguments: object, before: str = "", after: str = "", **options: object) -> subprocess.CompletedProcess:
    """Run it in a process of its own, with Python code before and after."""
    code = f"""
import sys
{before}
from glcic_hub import cli
try:
    code = cli.main(sys.argv[1:])
except SystemExit as end:
    code = end.code
{after}
sys.exit(code)
"""
    environment = os.environ | {"PYTHONPATH": str(Path(glcic_hub.__file__).parents[1]), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, **options)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def the_message(capsys: pytest.CaptureFixture) -> str:
    """What was said: one line on stderr and nothing on stdout."""
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1 and said.err.endswith("\n"), said.err
    assert "Traceback" not in said.err
    return said.err


class TestHelp:
    @pytest.mark.parametrize("command", [[], ["inpaint"], ["ui"], ["batch"], ["demo"]])
    def test_help_teaches(self, capsys, command):
        assert run(*command, "--help") == 0
        text = capsys.readouterr().out
        assert "exit codes:" in text and "Ctrl-C" in text

    def test_inpaint_help_explains_mask_formats_and_examples(self, capsys):
        run("inpaint", "--help")
        text = capsys.readouterr().out
        for word in (
            "white",
            "upright",
            "transparen",
            ".png",
            ".webp",
            ".jpg",
            "4:4:4",
            "examples:",
            "--force",
            "EXIF",
            "--working-size",
            "poisson",
            "bfloat16",
        ):
            assert word in text

    BEGINNINGS = ("DESCRIPTION", "INPAINT_DESCRIPTION", "BATCH_DESCRIPTION")

    @pytest.mark.parametrize("text", [*BEGINNINGS, *(name for name in vars(texts) if name.endswith("EPILOG"))])
    def test_the_examples_are_commands(self, text, capsys):
        examples = re.findall("^  (?:torchrun .*)?glcic (.*?)(?:  .*)?$", getattr(texts, text), re.MULTILINE)
        assert len(examples) >= 3
        for example in examples:
            try:
                cli._parser().parse_args(shlex.split(example))
            except SystemExit as end:  # --help
                assert end.code == 0, capsys.readouterr().err

    @pytest.mark.parametrize("arguments", [["--help"], ["inpaint", "--help"], ["batch", "--help"]])
    def test_help_begins_with_three_examples(self, capsys, arguments):
        run(*arguments)
        usage, empty, *examples, end = capsys.readouterr().out.splitlines()[:6]
        assert usage.startswith("usage: glcic") and empty == end == ""
        assert all(line.startswith("  glcic ") for line in examples)

    def test_inpaint_help_has_every_format(self, capsys):
        run("inpaint", "--help")
        text = capsys.readouterr().out
        assert all(re.search(rf"^  (\S+, )*\{suffix}\b", text, re.MULTILINE) for suffix in WRITABLE), text

    def test_version(self, capsys):
        assert run("--version") == 0
        assert glcic_hub.__version__ in capsys.readouterr().out

    @pytest.mark.parametrize(
        "arguments",
        [
            [],
            ["fly"],
            ["inpaint"],
            ["inpaint", "photo.png", "mask.png"],
            ["inpaint", "photo.png", "-o", "out.jpg", "--quality", "101"],
            ["inpaint", "photo.png", "-o", "out.jpg", "--quality", "0"],
            ["inpaint", "photo.png", "-o", "out.jpg", "--quality", "best"],
            ["inpaint", "photo.png", "-o", "out.png", "--working-size", "0"],
            ["inpaint", "photo.png", "-o", "out.png", "--blend", "alpha"],
            ["inpaint", "photo.png", "-o", "out.png", "--dtype", "int8"],
            ["demo", "--photo", "holiday"],
            ["ui", "--port", "0"],
            ["ui", "--port", "http"],
        ],
    )
    def test_wrong_arguments(self, capsys, arguments):
        assert run(*arguments) == 2
        said = capsys.readouterr()
        assert said.out == "" and said.err.startswith("usage: glcic")

    def test_a_number_longer_than_python_reads(self, capsys):
        assert run("inpaint", "photo.png", "-o", "out.png", "--working-size", "1" * 5000) == 2
        assert "must be a whole number of pixels from 1 to" in capsys.readouterr().err

    def test_python_dash_m(self):
        done = subprocess.run(
            [sys.executable, "-m", "glcic_hub", "--version"],
            cwd=Path(glcic_hub.__file__).parents[1],
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == f"glcic-hub {glcic_hub.__version__}\n"


class TestImports:
    """Each of these looks at what a fresh process has imported at its end."""

    @pytest.mark.parametrize(
        ("arguments", "code"),
        [
            (["--help"], 0),
            (["--version"], 0),
            (["inpaint", "--help"], 0),
            (["inpaint", "photo.png"], 2),
            (["inpaint", "missing.png", "-o", "out.png"], 2),
            (["inpaint", "photo.png", "missing.png", "-o", "out.png"], 2),
            (["inpaint", "photo.png", "-o", "out.bmp"], 2),
            (["inpaint", "photo.png", "-o", "photo.png"], 2),
            (["inpaint", "photo.png", "-o", "missing/out.png"], 2),
            (["batch", "--help"], 0),
            (["batch", "missing", "-o", "out"], 2),
            (["batch", ".", "-o", "out"], 2),
            (["demo", "-o", "photo.png"], 2),
            (["ui", "--help"], 0),
            (["ui", "missing.png"], 2),
        ],
    )
    def test_torch_is_not_imported_for_quick_answers(self, photo, arguments, code):
        done = glcic(*arguments, after="print({'torch', 'numpy', 'PIL'} & set(sys.modules))", cwd=photo.parent)
        assert done.returncode == code, done.stderr
        assert done.stdout.endswith("set()\n")
        assert names(photo.parent) == ["photo.png"]

    def test_help_does_not_import_what_processes_need(self):
        """It is a third of the time that --help takes."""
        done = glcic("--help", after="print('multiprocessing' in sys.modules)")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.endswith("\nFalse\n")

    def test_completing_does_not_import_diffusers(self, tmp_path, photo, mask, tiny_model):
        arguments = ["inpaint", photo, mask, "-o", tmp_path / "out.png", "--model", tiny_model]
        done = glcic(*arguments, after="print('torch' in sys.modules, 'diffusers' in sys.modules)")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == f"{tmp_path / 'out.png'}\nTrue False\n"


class TestInpaint:
    @pytest.mark.parametrize("suffix", [".png", ".webp", ".tiff", ".PNG", ".WebP"])
    def test_fills_the_hole_and_keeps_every_other_pixel(self, tmp_path, photo, mask, tiny_model, capsys, suffix):
        out = tmp_path / f"out{suffix}"
        assert run("inpaint", photo, mask, "-o", out, "--model", tiny_model) == 0
        said = capsys.readouterr()
        assert (said.out, said.err) == (f"{out}\n", "")
        result = opened(out)
        assert (result.mode, result.size, result.format) == ("RGB", (WIDTH, HEIGHT), suffix[1:].upper())
        np.testing.assert_array_equal(np.asarray(result)[~MASK], samples(3)[~MASK])
        assert (np.asarray(result)[MASK] != samples(3)[MASK]).any()
        assert names(tmp_path) == sorted([out.name, "mask.png", "photo.png"])

    def test_writes_the_colours_of_the_completer(self, tmp_path, photo, mask, tiny_model):
        run("inpaint", photo, mask, "-o", tmp_path / "out.png", "--model", tiny_model)
        fill = filled(GLCICModel.from_pretrained(tiny_model), samples(3), MASK)
        result = np.asarray(opened(tmp_path / "out.png"))
        assert np.abs(result[MASK] / 255 - fill[MASK]).max() <= 0.5 / 255 + 1e-6

    @pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".JPG"])
    def test_jpeg_is_of_high_quality_without_chroma_subsampling(self, tmp_path, mask, tiny_model, suffix):
        smooth = np.linspace(0, 255, HEIGHT * WIDTH * 3).reshape(HEIGHT, WIDTH, 3).astype(np.uint8)
        out = tmp_path / f"out{suffix}"
        assert run("inpaint", saved(smooth, tmp_path / "s.png"), mask, "-o", out, "--model", tiny_model) == 0
        result = opened(out)
        reference = saved(np.asarray(result), tmp_path / "reference.jpg", quality=95)
        assert (result.format, result.mode) == ("JPEG", "RGB")
        assert result.quantization == opened(reference).quantization
        assert [layer[1:3] for layer in result.layer] == [(1, 1)] * 3
        far = np.pad(~MASK, 8, mode="edge")
        far = np.lib.stride_tricks.sliding_window_view(far, (17, 17)).all((2, 3))  # blocks without filled pixels
        assert np.abs(np.asarray(result).astype(int) - smooth)[far].max() < 12

    @pytest.mark.parametrize("suffix", [".jpg", ".webp"])
    def test_quality_makes_files_smaller_and_lossy(self, tmp_path, photo, mask, tiny_model, suffix):
        sizes = []
        for quality in (10, 90):
            out = tmp_path / f"out{quality}{suffix}"
            options = ["--quality", quality, "--model", tiny_model]
            assert run("inpaint", photo, mask, "-o", out, *options) == 0
            assert (np.asarray(opened(out))[~MASK] != samples(3)[~MASK]).any()
            sizes.append(out.stat().st_size)
        assert sizes[0] < sizes[1] / 2

    @pytest.mark.parametrize(
        ("mode", "suffix"),
        [(mode, suffix) for mode in ("1", "L", "LA", "P", "RGBA") for suffix in (".png", ".webp", ".tif")]
        + [(mode, suffix) for mode in ("I;16", "I;16B") for suffix in (".png", ".tif")],
    )
    def test_modes_stay_or_hold_the_same_samples(self, tmp_path, mask, tiny_model, mode, suffix):
        image = {
            "LA": lambda: Image.fromarray(samples(2)),
            "RGBA": lambda: Image.fromarray(samples(4)),
            "I;16": lambda: Image.fromarray(samples(1, 65536, np.uint16)),
            "I;16B": lambda: Image.frombytes("I;16B", (WIDTH, HEIGHT), samples(1, 65536, np.uint16).astype(">u2")),
        }.get(mode, lambda: Image.fromarray(samples(3)).convert(mode))()
        image.save(tmp_path / "in.tiff")
        out = tmp_path / f"out{suffix}"
        assert run("inpaint", tmp_path / "in.tiff", mask, "-o", out, "--model", tiny_model) == 0
        result = opened(out)
        if mode.startswith("I"):
            assert result.mode == "I;16"
            np.testing.assert_array_equal(np.asarray(result)[~MASK], np.asarray(image)[~MASK])
        else:
            alike = np.asarray(image.convert("RGBA")), np.asarray(result.convert("RGBA"))
            np.testing.assert_array_equal(alike[1][~MASK], alike[0][~MASK])
            np.testing.assert_array_equal(alike[1][..., 3], alike[0][..., 3])

    @pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK"])
    def test_jpeg_of_other_modes(self, tmp_path, mask, tiny_model, mode):
        Image.fromarray(samples(3)).convert(mode).save(tmp_path / "in.tiff")
        assert run("inpaint", tmp_path / "in.tiff", mask, "-o", tmp_path / "out.jpg", "--model", tiny_model) == 0
        assert opened(tmp_path / "out.jpg").mode == {"CMYK": "CMYK", "P": "RGB"}.get(mode, "L")

    def test_jpeg_of_a_picture_with_an_alpha_channel_that_is_opaque(self, tmp_path, mask, tiny_model):
        image = Image.fromarray(samples(3)).convert("RGBA")
        image.save(tmp_path / "in.png")
        assert run("inpaint", tmp_path / "in.png", mask, "-o", tmp_path / "out.jpg", "--model", tiny_model) == 0
        assert opened(tmp_path / "out.jpg").mode == "RGB"

    @pytest.mark.parametrize("source", ["in.jpg", "in.png", "in.webp"])
    @pytest.mark.parametrize("out", ["out.jpg", "out.png", "out.webp"])
    def test_exif_profile_and_dpi_are_kept(self, tmp_path, tiny_model, source, out):
        saved(samples(3), tmp_path / source, exif=ROTATED.tobytes(), icc_profile=PROFILE, dpi=(300, 300))
        upright_mask = np.rot90(MASK, -1)  # orientation 6: viewers turn the stored picture clockwise
        saved(upright_mask, tmp_path / "mask.png")
        given, out = opened(tmp_path / source), tmp_path / out
        assert run("inpaint", tmp_path / source, tmp_path / "mask.png", "-o", out, "--model", tiny_model) == 0
        result = opened(out)
        assert dict(result.getexif()) == dict(ROTATED)
        assert result.info["icc_profile"] == PROFILE
        if not source.endswith("webp") and not str(out).endswith("webp"):
            assert result.info["dpi"] == pytest.approx((300, 300), abs=0.01)
        assert result.size == given.size
        if out.suffix != ".jpg":
            np.testing.assert_array_equal(np.asarray(result)[~MASK], np.asarray(given)[~MASK])

    def test_orientation_that_only_the_xmp_data_have(self, tmp_path, tiny_model):
        xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
        saved(samples(3), tmp_path / "in.webp", xmp=xmp, lossless=True)
        saved(np.rot90(MASK, -1), tmp_path / "mask.png")
        assert (
            run(
                "inpaint",
                tmp_path / "in.webp",
                tmp_path / "mask.png",
                "-o",
                tmp_path / "out.png",
                "--model",
                tiny_model,
            )
            == 0
        )
        assert opened(tmp_path / "out.png").getexif()[0x0112] == 6

    def test_dpi_that_make_no_sense_are_dropped(self, tmp_path, mask, tiny_model):
        saved(samples(3), tmp_path / "in.png", dpi=(90000, 90000))
        assert run("inpaint", tmp_path / "in.png", mask, "-o", tmp_path / "out.jpg", "--model", tiny_model) == 0
        assert opened(tmp_path / "out.jpg").info.get("dpi", (0, 0))[0] < 65536

    def test_a_grey_profile_is_not_put_on_an_rgb_picture(self, tmp_path, mask, tiny_model):
        profile = bytearray(PROFILE)
        profile[16:20] = b"GRAY"
        saved(samples(1), tmp_path / "in.png", icc_profile=bytes(profile))
        for out, kept in (("out.png", True), ("out.webp", False)):
            assert run("inpaint", tmp_path / "in.png", mask, "-o", tmp_path / out, "--model", tiny_model) == 0
            assert ("icc_profile" in opened(tmp_path / out).info) == kept

    @pytest.mark.parametrize("mode", ["I;16", "F", "CMYK"])
    def test_tiff_files_of_every_depth_and_all_they_say(self, tmp_path, mask, tiny_model, mode):
        image = {
            "I;16": Image.fromarray(samples(1, 65536, np.uint16)),
            "F": Image.fromarray(samples(1, 4000, np.float32) / 7),
            "CMYK": Image.frombytes("CMYK", (WIDTH, HEIGHT), samples(4).tobytes()),
        }[mode]
        stated = Image.Exif()
        stated[0x010F] = "Maker"
        stated.get_ifd(0x8769)[0x9003] = "2026:01:02 03:04:05"
        source, out = tmp_path / "scan.tif", tmp_path / "out.tif"
        image.save(source, exif=stated.tobytes(), icc_profile=PROFILE, dpi=(600, 600), compression="raw")
        assert run("inpaint", source, mask, "-o", out, "--model", tiny_model) == 0
        result = opened(out)
        assert (result.mode, result.info["compression"]) == (mode, "tiff_adobe_deflate")
        np.testing.assert_array_equal(np.asarray(result)[~MASK], np.asarray(image)[~MASK])
        assert (np.asarray(result)[MASK] != np.asarray(image)[MASK]).mean() > 0.9
        assert (result.info["icc_profile"], result.info["dpi"]) == (PROFILE, (600, 600))
        assert result.getexif()[0x010F] == "Maker"
        assert result.getexif().get_ifd(0x8769)[0x9003] == "2026:01:02 03:04:05"

    @pytest.mark.parametrize(
        ("source", "out"),
        [("in.tif", "out.tif"), ("in.png", "out.png"), ("-", "out.tif"), ("in.tif", "out.jpg")],
    )
    def test_colours_of_16_bits(self, tmp_path, mask, tiny_model, monkeypatch, source, out):
        colours = samples(3, 65536, np.uint16)
        if source == "in.tif":
            tifffile.imwrite(tmp_path / source, colours, photometric="rgb", compression="zlib")
        data = cv2.imencode(".png", colours[..., ::-1])[1].tobytes()
        if source == "in.png":
            (tmp_path / source).write_bytes(data)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        path = source if source == "-" else tmp_path / source
        assert run("inpaint", path, mask, "-o", tmp_path / out, "--model", tiny_model) == 0
        result = cv2.imread(str(tmp_path / out), cv2.IMREAD_UNCHANGED)[..., ::-1]
        if out == "out.jpg":
            assert result.dtype == np.uint8
        else:
            np.testing.assert_array_equal(result[~MASK], colours[~MASK])
            assert (result[MASK] != colours[MASK]).mean() > 0.9

    def test_an_image_that_is_stored_turned_as_a_tiff_file(self, tmp_path, tiny_model):
        saved(samples(3), tmp_path / "in.png", exif=ROTATED.tobytes())
        saved(np.rot90(MASK, -1), tmp_path / "mask.png")
        out = tmp_path / "out.tif"
        assert run("inpaint", tmp_path / "in.png", tmp_path / "mask.png", "-o", out, "--model", tiny_model) == 0
        result = np.asarray(opened(out))  # which Pillow has turned
        np.testing.assert_array_equal(np.rot90(result)[~MASK], samples(3)[~MASK])

    def test_what_the_file_says_is_kept(self, tmp_path, mask, tiny_model):
        """The whole way; tests/test_metadata.py has every kind of data."""
        chunks = PngImagePlugin.PngInfo()
        chunks.add_text("Copyright", "somebody")
        chunks.add(b"gAMA", (45455).to_bytes(4, "big"))
        saved(samples(3), tmp_path / "in.png", pnginfo=chunks)
        saved(samples(3), tmp_path / "in.tif", exif=ROTATED, save_all=True, append_images=[Image.new("L", (5, 5))])
        assert run("inpaint", tmp_path / "in.png", mask, "-o", tmp_path / "png.png", "--model", tiny_model) == 0
        result = opened(tmp_path / "png.png")
        assert result.text == {"Copyright": "somebody"} and result.info["gamma"] == 0.45455
        saved(np.rot90(MASK, -1), tmp_path / "turned.png")
        source, out = tmp_path / "in.tif", tmp_path / "tif.jpg"
        assert run("inpaint", source, tmp_path / "turned.png", "-o", out, "--model", tiny_model) == 0
        assert dict(opened(out).getexif()) == {0x010F: "Maker"}  # Pillow has turned it

    @pytest.mark.parametrize(("name", "count"), [("in.tif", 3), ("in.gif", 2), ("in.png", 2)])
    def test_of_several_frames_only_the_first_is_completed_and_that_is_said(
        self, tmp_path, mask, tiny_model, capsys, name, count
    ):
        others = [Image.fromarray(np.roll(samples(3), number + 1, 0)) for number in range(count - 1)]
        saved(samples(3), tmp_path / name, save_all=True, append_images=others)
        out = tmp_path / "out.png"
        assert run("inpaint", tmp_path / name, mask, "-o", out, "--model", tiny_model, "--force") == 0
        said = capsys.readouterr()
        sentence = f"'{tmp_path / name}' has several frames, pages or layers: only the first is completed"
        assert (said.out, said.err) == (f"{out}\n", f"glcic inpaint: {sentence}\n")
        assert getattr(opened(out), "n_frames", 1) == 1

    def test_pictures_above_pillow_s_limit(self, tmp_path, photo, mask, tiny_model, capsys, monkeypatch):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", HEIGHT * WIDTH // 2 - 1)
        arguments = ["inpaint", photo, mask, "-o", tmp_path / "out.png", "--model", tiny_model]
        assert run(*arguments) == 2
        message = the_message(capsys)
        assert "too large to read" in message and "--max-megapixels" in message and "damaged" not in message
        assert run(*arguments, "--max-megapixels", "1") == 0
        monkeypatch.undo()
        assert opened(tmp_path / "out.png").size == (WIDTH, HEIGHT)

    def test_colours_under_transparency_are_kept(self, tmp_path, mask, tiny_model):
        rgba = samples(4)
        rgba[..., 3] = 0
        rgba[:2, :, 3] = 255  # something is seen to complete it from
        saved(rgba, tmp_path / "in.png")
        for out in (tmp_path / "out.png", tmp_path / "out.webp"):
            assert run("inpaint", tmp_path / "in.png", mask, "-o", out, "--model", tiny_model) == 0
            np.testing.assert_array_equal(np.asarray(opened(out))[~MASK], rgba[~MASK])

    @pytest.mark.parametrize("mode", ["RGB", "LAB"])
    def test_an_empty_mask_writes_the_picture_and_says_so(self, tmp_path, capsys, mode):
        image = Image.fromarray(samples(3)) if mode == "RGB" else Image.frombytes("LAB", (WIDTH, HEIGHT), samples(3))
        image.save(tmp_path / "in.tiff")
        saved(np.zeros_like(MASK), tmp_path / "mask.png")
        out = tmp_path / "out.png"
        assert run("inpaint", tmp_path / "in.tiff", tmp_path / "mask.png", "-o", out, "--model", "no/model") == 0
        said = capsys.readouterr()
        assert said.out == f"{out}\n"
        assert "mask is empty" in said.err and said.err.count("\n") == 1
        assert opened(out).mode == "RGB"
        if mode == "RGB":
            np.testing.assert_array_equal(np.asarray(opened(out)), samples(3))


class Terminal(io.StringIO):
    """A stderr that says it is one."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("stderr", [Terminal, io.StringIO])
def test_a_terminal_shows_a_bar_and_nothing_else_gets_one(tmp_path, photo, mask, tiny_model, monkeypatch, stderr):
    monkeypatch.setattr(bar, "SECONDS", 0)
    monkeypatch.setattr(sys, "stderr", stderr())
    assert run("inpaint", photo, mask, "-o", tmp_path / "out.png", "--model", tiny_model) == 0
    assert ("completing:" in sys.stderr.getvalue()) == (stderr is Terminal)


class TestDoubtfulMasks:
    """What a mask may mean is said; where it would do nothing it is refused."""

    GREY = np.tile(np.linspace(10, 90, WIDTH).astype(np.uint8), (HEIGHT, 1))

    def complete(self, folder: Path, model: str, mask: np.ndarray, *options: str) -> np.ndarray | None:
        """Which pixels differ, None if there is no result."""
        out = folder / "out.png"
        arguments = [saved(samples(3), folder / "photo.png"), saved(mask, folder / "mask.png"), "-o", out]
        code = run("inpaint", *arguments, "--model", model, *options)
        assert (code, out.exists()) in ((0, True), (2, False))
        return (np.asarray(opened(out)) != samples(3)).any(2) if out.exists() else None

    @pytest.mark.parametrize(
        "mask",
        {
            "0 and 1": MASK.astype(np.uint8),
            "16 bits": MASK.astype(np.uint16),
            "red": MASK[..., None] * np.uint8([255, 0, 0]),
            "thin": np.dstack([MASK.astype(np.uint8) * level for level in (255, 255, 255, 115)]),
            "cut out": np.dstack([samples(3), ~MASK * np.uint8(255)]),
        }.items(),
        ids=lambda item: item[0],
    )
    def test_what_is_meant_is_filled_without_a_word(self, tmp_path, tiny_model, capsys, mask):
        changed = self.complete(tmp_path, tiny_model, mask[1])
        assert not changed[~MASK].any() and changed[MASK].mean() > 0.9
        assert capsys.readouterr().err == ""

    @pytest.mark.parametrize("options", [(), ("--invert",)])
    def test_a_mask_without_white_is_refused(self, tmp_path, tiny_model, capsys, options):
        assert self.complete(tmp_path, tiny_model, self.GREY, *options) is None
        message = the_message(capsys)
        assert (
            "mask.png'" in message and "no pixel of the mask is white, its values range from 10 to 90 of 255" in message
        )

    def test_a_photo_as_mask_is_said(self, tmp_path, tiny_model, capsys):
        assert self.complete(tmp_path, tiny_model, samples(3)[::-1]).any()
        said = capsys.readouterr().err
        assert said.count("\n") == 1 and "mask.png': the mask looks like a photo" in said
        assert "pass the image first and its mask second" in said

    def test_a_dark_photo_as_mask_is_refused(self, tmp_path, tiny_model, capsys):
        assert self.complete(tmp_path, tiny_model, samples(3) // 2) is None
        assert "looks like a photo" in the_message(capsys)

    @pytest.mark.parametrize("options", [(), ("--invert",)])
    def test_a_mask_that_fills_most_of_the_picture_is_said(self, tmp_path, tiny_model, capsys, options):
        assert self.complete(tmp_path, tiny_model, MASK if options else ~MASK, *options)[~MASK].mean() > 0.9
        question = "is --invert right?" if options else "if the mask is inverted, add --invert"
        assert capsys.readouterr().err == (
            f"glcic inpaint: {str(tmp_path / 'mask.png')!r}: 90 % would be filled: {question}\n"
        )

    def test_an_inverted_mask(self, tmp_path, tiny_model, capsys):
        changed = self.complete(tmp_path, tiny_model, ~MASK, "--invert")
        assert not changed[~MASK].any() and changed[MASK].mean() > 0.9
        assert capsys.readouterr().err == ""

    def test_without_a_mask_there_is_nothing_to_invert(self, tmp_path, tiny_model, capsys):
        saved(np.dstack([samples(3), ~MASK * np.uint8(255)]), tmp_path / "in.png")
        assert run("inpaint", tmp_path / "in.png", "-o", tmp_path / "out.png", "--invert") == 2
        assert "--invert needs a mask: give one" in the_message(capsys)


class TestShapes:
    """Masks that are drawn by arguments."""

    def complete(self, folder: Path, photo: Path, model: str, *options: str) -> np.ndarray:
        """Which pixels differ."""
        assert run("inpaint", photo, *options, "-o", folder / "out.png", "--model", model) == 0
        return (np.asarray(opened(folder / "out.png")) != samples(3)).any(2)

    def test_boxes(self, tmp_path, photo, tiny_model, capsys):
        changed = self.complete(tmp_path, photo, tiny_model, "--box", "12,10,12,16", "--box", "30,40,50,50")
        wanted = MASK.copy()
        wanted[40:, 30:] = True
        assert not changed[~wanted].any() and changed[wanted].mean() > 0.9
        assert capsys.readouterr().err == ""

    def test_a_polygon_and_a_box(self, tmp_path, photo, tiny_model):
        corners = ["12,10", "23,10", "23,25", "12,25"]
        changed = self.complete(tmp_path, photo, tiny_model, "--polygon", *corners, "--box", "0,0,3,2")
        wanted = MASK.copy()
        wanted[:2, :3] = True
        assert not changed[~wanted].any() and changed[wanted].mean() > 0.9

    def test_all_but_the_box(self, tmp_path, photo, tiny_model):
        changed = self.complete(tmp_path, photo, tiny_model, "--box", "12,10,12,16", "--invert")
        assert not changed[MASK].any() and changed[~MASK].mean() > 0.9

    def test_they_are_places_in_the_picture_as_it_is_seen(self, tmp_path, tiny_model):
        photo = saved(samples(3), tmp_path / "turned.png", exif=ROTATED.tobytes())
        changed = self.complete(tmp_path, photo, tiny_model, "--box", "40,0,8,3")
        assert changed[:3, :8].any() ^ changed[-8:, :3].any(), "the top right corner, wherever it is stored"
        assert not np.rot90(changed, -1)[3:].any() and not np.rot90(changed, -1)[:, :40].any()

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (["--box", "40,0,5,5"], "the box (40, 0, 5, 5) lies outside the image, which is 40x48"),
            (["--box", "1,2,3,0"], "a box is (left, top, width, height)"),
            (["--polygon", "1,2", "3,4"], "a polygon is three or more points (x, y)"),
            (["mask.png", "--box", "1,2,3,4"], "MASK and --box or --polygon both say"),
            (["--box=-9,-9,99,99"], "covers the whole image"),
        ],
    )
    def test_wrong_shapes(self, tmp_path, photo, mask, tiny_model, capsys, monkeypatch, options, words):
        monkeypatch.chdir(tmp_path)
        assert run("inpaint", "photo.png", *options, "-o", "out.png", "--model", tiny_model) == 2
        assert words in the_message(capsys)
        assert names(tmp_path) == ["mask.png", "photo.png"]

    @pytest.mark.parametrize("options", [["--box", "1,2,3"], ["--box", "a,b,c,d"], ["--polygon", "1,2", "3,4,5"]])
    def test_what_is_no_shape(self, capsys, options):
        assert run("inpaint", "photo.png", *options, "-o", "out.png") == 2
        assert f"{options[-1]!r} is not" in capsys.readouterr().err

    def test_who_has_no_mask_learns_of_them(self, tmp_path, photo, capsys):
        assert run("inpaint", photo, "-o", tmp_path / "out.png") == 2
        message = the_message(capsys)
        assert "--box" in message and "--polygon" in message and f"no mask yet? glcic ui {photo}" in message


class TestPlaces:
    """A folder for the result, standard input and output."""

    def test_in_a_folder_the_result_has_the_picture_s_name(self, tmp_path, photo, mask, tiny_model, capsys):
        (tmp_path / "results").mkdir()
        saved(samples(3), tmp_path / "scan.bmp")
        for source, name in ((photo, "photo.png"), (tmp_path / "scan.bmp", "scan.png")):
            arguments = ["inpaint", source, mask, "-o", tmp_path / "results", "--model", tiny_model]
            assert run(*arguments) == 0
            assert capsys.readouterr().out == f"{tmp_path / 'results' / name}\n"
            assert run(*arguments) == 2
            assert f"{name}' exists; --force overwrites it" in the_message(capsys)
        assert names(tmp_path / "results") == ["photo.png", "scan.png"]

    @pytest.mark.parametrize("source", ["photo", "mask"])
    def test_standard_input_and_output(self, tmp_path, photo, mask, tiny_model, source):
        arguments = ["-", mask] if source == "photo" else [photo, "-"]
        command = [sys.executable, "-m", "glcic_hub", "inpaint", *map(str, arguments), "-o", "-", "--model", tiny_model]
        data = (photo if source == "photo" else mask).read_bytes()
        environment = os.environ | {"PYTHONPATH": str(Path(glcic_hub.__file__).parents[1])}
        done = subprocess.run(command, input=data, env=environment, capture_output=True, timeout=120, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, b"")
        result = np.asarray(Image.open(io.BytesIO(done.stdout)))
        np.testing.assert_array_equal(result[~MASK], samples(3)[~MASK])
        assert (result[MASK] != samples(3)[MASK]).any()
        assert names(tmp_path) == ["mask.png", "photo.png"]

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["-", "-", "-o", "out.png"], "IMAGE and MASK cannot both be -"),
            (["-", "mask.png", "-o", "."], "has no name: give a file"),
            (["-", "mask.png", "-o", "-", "--quality", "90"], "PNG is always exact"),
            (["-", "mask.png", "-o", "out.png"], "cannot use 'standard input': it is empty"),
        ],
    )
    def test_wrong_use(self, tmp_path, mask, arguments, words):
        done = glcic("inpaint", *arguments, cwd=tmp_path, stdin=subprocess.DEVNULL)
        assert (done.returncode, done.stdout) == (2, "")
        assert words in done.stderr and done.stderr.count("\n") == 1
        assert names(tmp_path) == ["mask.png"]


class TestSettings:
    """Each setting does what it does in the pipeline's `Completer`, and not what the default does."""

    @pytest.mark.parametrize(
        ("options", "dtype", "settings"),
        [
            (["--working-size", "8"], None, {"working_size": 8}),
            (["--padding-mask-crop", "0"], None, {"padding_mask_crop": 0}),
            (["--blend", "none"], None, {"blend": None}),
            (["--blend", "poisson", "--texture", "none", "--dtype", "auto"], None, {}),
            (["--blend", "fading"], None, {"blend": "fading"}),
            (["--texture", "photo"], None, {"texture": "photo"}),
            (["--grow", "3"], None, {"grow": 3}),
            (["--dtype", "float32"], torch.float32, {}),
            (["--dtype", "bfloat16"], torch.bfloat16, {}),
            (["--dtype", "float16"], torch.float16, {}),
        ],
    )
    def test_it_reaches_the_completer(self, tmp_path, photo, mask, options, dtype, settings):
        random_model().save_pretrained(tmp_path / "model")
        out = tmp_path / "out.png"
        assert run("inpaint", photo, mask, "-o", out, "--model", tmp_path / "model", *options) == 0
        found = np.asarray(opened(out))[MASK] / 255

        def level_of(dtype: torch.dtype | None, settings: dict) -> float:
            model = GLCICModel.from_pretrained(tmp_path / "model", dtype=dtype)
            return np.abs(found - filled(model, samples(3), MASK, **settings)[MASK]).max() * 255

        assert level_of(dtype, settings) <= 0.5 + 1e-3
        others = [{"working_size": 8}, {"padding_mask_crop": 0}, {"blend": None}, {"blend": "fading"}]
        others += [{"texture": "photo"}, {"grow": 3}, {}]
        for other in others:
            if other != settings:
                assert level_of(dtype, other) > 2
        if dtype is not None:
            assert all(level_of(other, settings) > 0.5 for other in (torch.float32, torch.bfloat16) if other != dtype)

    def test_a_hole_that_grows_is_filled_as_wide_as_it_is_then(self, tmp_path, tiny_model, photo, mask):
        rows, columns = np.mgrid[:HEIGHT, :WIDTH]
        beside = np.maximum(np.maximum(10 - rows, rows - 25), 0), np.maximum(np.maximum(12 - columns, columns - 23), 0)
        wider = np.hypot(*beside) <= 3
        assert run("inpaint", photo, mask, "-o", tmp_path / "out.png", "--model", tiny_model, "--grow", "3") == 0
        changed = (np.asarray(opened(tmp_path / "out.png")) != samples(3)).any(axis=2)
        assert not changed[~wider].any() and changed[wider & ~MASK].mean() > 0.9

    def test_the_types_are_torchs(self):
        assert all(isinstance(getattr(torch, name), torch.dtype) for name in DTYPES if name != "auto")


class TestTransparencyAsMask:
    @pytest.mark.parametrize("out", ["out.png", "out.webp", "out.jpg"])
    def test_what_is_not_opaque_is_filled_and_the_result_is_opaque(self, tmp_path, tiny_model, out):
        rgba = samples(4)
        rgba[..., 3] = np.where(MASK, samples(1) % 255, 255)
        saved(rgba, tmp_path / "in.png")
        assert run("inpaint", tmp_path / "in.png", "-o", tmp_path / out, "--model", tiny_model) == 0
        result = opened(tmp_path / out)
        assert result.mode == "RGB"
        if out != "out.jpg":
            np.testing.assert_array_equal(np.asarray(result)[~MASK], rgba[~MASK][:, :3])
            assert (np.asarray(result)[MASK] != rgba[MASK][:, :3]).any()

    def test_grey_with_alpha_stays_grey(self, tmp_path, tiny_model):
        grey = samples(2)
        grey[..., 1] = np.where(MASK, 0, 255)
        saved(grey, tmp_path / "in.png")
        assert run("inpaint", tmp_path / "in.png", "-o", tmp_path / "out.png", "--model", tiny_model) == 0
        result = opened(tmp_path / "out.png")
        assert result.mode == "L" and not result.has_transparency_data
        np.testing.assert_array_equal(np.asarray(result)[~MASK], grey[~MASK][:, 0])

    @pytest.mark.parametrize("mode", ["L", "RGB", "P", "P with bytes", "I;16"])
    def test_a_transparent_colour(self, tmp_path, tiny_model, mode):
        array = {"L": samples(1), "RGB": samples(3), "I;16": samples(1, 65536, np.uint16)}.get(mode, samples(1))
        array = array // 2 * 2  # even, so that only the hole has the key colour
        array[MASK] = 7
        image = Image.fromarray(array)
        if mode.startswith("P"):
            image.putpalette(np.random.default_rng(2).integers(0, 256, 768).astype(np.uint8).tobytes())
        key = {"RGB": (7, 7, 7), "P with bytes": bytes([255] * 7 + [0])}.get(mode, 7)
        image.save(tmp_path / "in.png", transparency=key)
        given = opened(tmp_path / "in.png")
        assert "transparency" in given.info
        assert run("inpaint", tmp_path / "in.png", "-o", tmp_path / "out.png", "--model", tiny_model) == 0
        result = opened(tmp_path / "out.png")
        assert not result.has_transparency_data
        wanted = given.convert("RGBA").convert("RGB") if mode.startswith("P") else given
        assert result.mode == wanted.mode
        np.testing.assert_array_equal(np.asarray(result)[~MASK], np.asarray(wanted)[~MASK])

    def test_an_opaque_alpha_channel_is_an_empty_mask(self, tmp_path, capsys):
        Image.fromarray(samples(3)).convert("RGBA").save(tmp_path / "in.png")
        assert run("inpaint", tmp_path / "in.png", "-o", tmp_path / "out.png") == 0
        assert "mask is empty" in capsys.readouterr().err
        np.testing.assert_array_equal(np.asarray(opened(tmp_path / "out.png")), samples(3))


class TestOutputFile:
    @pytest.mark.parametrize("target", ["photo.png", "mask.png", "out.png"])
    def test_an_existing_file_is_overwritten_with_force_only(self, tmp_path, photo, mask, tiny_model, capsys, target):
        saved(samples(1), tmp_path / "out.png")
        before = {path: path.read_bytes() for path in tmp_path.iterdir()}
        arguments = ["inpaint", photo, mask, "-o", tmp_path / target, "--model", tiny_model]
        assert run(*arguments) == 2
        assert "exists; --force overwrites it" in the_message(capsys)
        assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
        assert run(*arguments, "--force") == 0
        assert names(tmp_path) == sorted(path.name for path in before)
        np.testing.assert_array_equal(np.asarray(opened(tmp_path / target))[~MASK], samples(3)[~MASK])

    def test_permissions_follow_the_umask_and_those_of_a_replaced_file_stay(self, tmp_path, photo, mask, tiny_model):
        out = tmp_path / "out.png"
        arguments = ["inpaint", photo, mask, "-o", out, "--model", tiny_model]
        old = os.umask(0o027)
        try:
            assert run(*arguments) == 0
            assert stat.S_IMODE(out.stat().st_mode) == 0o640
            out.chmod(0o604)
            assert run(*arguments, "--force") == 0
            assert stat.S_IMODE(out.stat().st_mode) == 0o604
        finally:
            os.umask(old)

    def test_a_link_stays_a_link(self, tmp_path, photo, mask, tiny_model):
        (tmp_path / "elsewhere").mkdir()
        target = saved(samples(1), tmp_path / "elsewhere" / "target.png")
        (tmp_path / "out.png").symlink_to(target)
        assert run("inpaint", photo, mask, "-o", tmp_path / "out.png", "--model", tiny_model, "--force") == 0
        assert (tmp_path / "out.png").is_symlink() and opened(target).mode == "RGB"

    @pytest.mark.parametrize(
        ("code_page", "name", "said"),
        [
            ("cp1252", "\xe9\u56f3.png", b"\xe9\\u56f3.png"),
            ("ascii", "\xe9\U0001f3a8.png", b"\\xe9\\U0001f3a8.png"),
            ("cp932", "\u56f3 \udcff.png", "\u56f3 ".encode("cp932") + b"\xff.png"),  # a name that is no text
            ("utf-8", "\u56f3 \udcff.png", "\u56f3 ".encode() + b"\xff.png"),
            ("utf-16-le", "\u56f3\udcff.png", "\u56f3\\udcff.png".encode("utf-16-le")),
        ],
    )
    def test_the_name_of_the_result_in_any_code_page(
        self, tmp_path, photo, mask, tiny_model, monkeypatch, code_page, name, said
    ):
        """allosaurus 73: a traceback after the file was written, behind a pipe on Windows."""
        stdout = io.TextIOWrapper(io.BytesIO(), encoding=code_page, newline="")
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "stdout", stdout)
        assert run("inpaint", photo, mask, "-o", name, "--model", tiny_model) == 0
        stdout.flush()
        assert stdout.buffer.getvalue() == said + "\n".encode(code_page)
        assert Path(name).is_file()

    def test_a_long_name_in_the_current_folder(self, tmp_path, photo, mask, tiny_model, monkeypatch):
        monkeypatch.chdir(tmp_path)
        name = "n" * 251 + ".png"
        assert run("inpaint", photo, mask, "-o", name, "--model", tiny_model) == 0
        assert opened(tmp_path / name).size == (WIDTH, HEIGHT)

    @pytest.mark.parametrize("existed", [False, True])
    def test_a_full_disk(self, tmp_path, photo, mask, tiny_model, existed):
        out = tmp_path / "out.png"
        if existed:
            saved(samples(1), out)
        before = {path: path.read_bytes() for path in tmp_path.iterdir()}
        done = glcic(
            *["inpaint", photo, mask, "-o", out, "--model", tiny_model, "--force"],
            before="import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))",
        )
        assert done.returncode == 1
        assert done.stdout == ""
        assert done.stderr == f"glcic inpaint: cannot write {str(out)!r}: File too large\n"
        assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before

    @pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
    def test_a_failure_at_the_last_moment(self, tmp_path, photo, mask, tiny_model, capsys, monkeypatch, error):
        def replace(*_):
            raise error

        out = saved(samples(1), tmp_path / "out.png")
        before = out.read_bytes()
        monkeypatch.setattr(Path, "replace", replace)
        code = run("inpaint", photo, mask, "-o", out, "--model", tiny_model, "--force")
        assert code == (130 if isinstance(error, KeyboardInterrupt) else 1)
        assert ("interrupted" if code == 130 else "No space left on device") in the_message(capsys)
        assert out.read_bytes() == before
        assert names(tmp_path) == ["mask.png", "out.png", "photo.png"]

    def test_ctrl_c_while_completing(self, tmp_path, photo, mask, tiny_model, capsys, monkeypatch):
        def interrupted(*_, **__):
            raise KeyboardInterrupt

        monkeypatch.setattr(fill_module, "fill", interrupted)
        assert run("inpaint", photo, mask, "-o", tmp_path / "out.png", "--model", tiny_model) == 130
        assert "interrupted" in the_message(capsys)
        assert names(tmp_path) == ["mask.png", "photo.png"]

    @pytest.mark.skipif(not Path("/proc/self").exists(), reason="/proc is Linux's alone")
    def test_a_folder_in_which_nobody_can_write(self, photo, mask, tiny_model, capsys):
        """Not even root can make a file in /proc."""
        assert run("inpaint", photo, mask, "-o", "/proc/out.png", "--model", tiny_model) == 1
        assert "/proc" in the_message(capsys)

    def test_a_read_only_folder(self, photo, mask):
        with tempfile.TemporaryDirectory() as folder:  # unlike tmp_path, others than its owner may look into it
            folder = Path(folder)
            copies = [shutil.copy(path, folder) for path in (photo, mask)]
            folder.chmod(0o555)
            command = ("inpaint", *copies, "-o", folder / "out.png", "--model", "no/model")
            code, message = without_privileges(partial(run, *command))
            assert code == 1 and "not writable" in message
            assert names(folder) == ["mask.png", "photo.png"]
            folder.chmod(0o755)


def transparent(path: Path) -> None:
    saved(samples(4), path)


def sixteen_bits(path: Path) -> None:
    saved(samples(1, 65536, np.uint16), path)


def floats(path: Path) -> None:
    saved(samples(1, dtype=np.float32), path)


def cmyk(path: Path) -> None:
    Image.fromarray(samples(3)).convert("CMYK").save(path, "TIFF")


class TestWrongUse:
    """Exit code 2, one sentence, no file."""

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["missing.png", "mask.png", "-o", "out.png"], ["'missing.png'", "No such file"]),
            (["photo.png", "missing.png", "-o", "out.png"], ["'missing.png'", "No such file"]),
            ([".", "mask.png", "-o", "out.png"], ["'.' is a folder, not an image"]),
            (["photo.png", ".", "-o", "out.png"], ["'.' is a folder, not an image"]),
            (["x" * 300, "mask.png", "-o", "out.png"], ["File name too long"]),
            (["text.png", "mask.png", "-o", "out.png"], ["'text.png'", "not an image"]),
            (["photo.png", "text.png", "-o", "out.png"], ["'text.png'", "not an image"]),
            (["cut.png", "mask.png", "-o", "out.png"], ["'cut.png'", "damaged"]),
            (["photo.png", "small.png", "-o", "out.png"], ["'small.png'", "5x4", f"{WIDTH}x{HEIGHT}"]),
            (["photo.png", "-o", "out.png"], ["'photo.png' has no transparent part", "give a mask"]),
            (["photo.png", "mask.png", "-o", "out.bmp"], ["'out.bmp'", ".png", ".jpg", ".webp"]),
            (["photo.png", "mask.png", "-o", "out"], ["'out'", ".png", ".jpg", ".webp"]),
            (["photo.png", "mask.png", "-o", "missing/out.png"], ["no folder 'missing'"]),
            (["photo.png", "mask.png", "-o", "folder.png"], ["'folder.png' is a folder"]),
            (["photo.png", "mask.png", "-o", "o" * 300 + ".png"], ["File name too long"]),
            (["photo.png", "mask.png", "-o", "out.png", "--quality", "90"], ["--quality", "PNG"]),
            (["photo.png", "all.png", "-o", "out.png"], ["covers the whole image"]),
            (
                ["photo.png", "mask.png", "-o", "out.png", "--device", "quantum"],
                ["no device 'quantum'", "there is cpu"],
            ),
        ],
    )
    def test_message(self, tmp_path, photo, mask, tiny_model, capsys, monkeypatch, arguments, words):
        monkeypatch.chdir(tmp_path)
        Path("text.png").write_text("no picture\n")
        Path("cut.png").write_bytes(photo.read_bytes()[:2000])
        Path("folder.png").mkdir()
        saved(MASK[:4, :5], Path("small.png"))
        saved(np.ones_like(MASK), Path("all.png"))
        before = names(tmp_path)
        assert run("inpaint", *arguments, "--model", tiny_model) == 2
        message = the_message(capsys)
        assert all(word in message for word in words), message
        assert names(tmp_path) == before

    @pytest.mark.parametrize(
        ("make", "out", "instead"),
        [
            (transparent, "out.jpg", ".png or .webp"),
            (sixteen_bits, "out.jpg", ".png or .tif"),
            (sixteen_bits, "out.webp", ".png or .tif"),
            (cmyk, "out.png", ".jpg or .tif"),
            (cmyk, "out.webp", ".jpg or .tif"),
            (floats, "out.png", ".tif"),
        ],
    )
    def test_what_a_format_cannot_hold_is_said_before_the_model_is_loaded(
        self, tmp_path, mask, capsys, make, out, instead
    ):
        source = tmp_path / "in.tiff"
        make(source)
        assert run("inpaint", source, mask, "-o", tmp_path / out, "--model", "no/model") == 2
        assert f"use {instead}" in the_message(capsys)
        assert names(tmp_path) == ["in.tiff", "mask.png"]

    @pytest.mark.parametrize(("out", "side"), [("out.webp", 16384), ("out.jpg", 65501)])
    def test_more_pixels_than_a_format_can_hold(self, tmp_path, capsys, out, side):
        saved(np.zeros((1, side), np.uint8), tmp_path / "in.png")
        assert run("inpaint", tmp_path / "in.png", tmp_path / "in.png", "-o", tmp_path / out) == 2
        assert "use .png" in the_message(capsys)
        assert names(tmp_path) == ["in.png"]

    def test_exif_data_that_are_too_long_for_a_jpeg(self, tmp_path, mask, tiny_model, capsys):
        exif = Image.Exif()
        exif[0x010E] = "x" * 70000
        saved(samples(3), tmp_path / "in.png", exif=exif.tobytes())
        assert run("inpaint", tmp_path / "in.png", mask, "-o", tmp_path / "out.jpg", "--model", tiny_model) == 2
        assert "EXIF" in the_message(capsys)
        assert names(tmp_path) == ["in.png", "mask.png"]


class TestFailedWork:
    """Exit code 1, one sentence, no file."""

    def test_an_unknown_model_without_a_connection(self, tmp_path, photo, mask, capsys, monkeypatch):
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
        monkeypatch.setattr("glcic_hub.model.embedded_models", lambda: ["first", "second"])
        assert run("inpaint", photo, mask, "-o", tmp_path / "out.png", "--model", "no/such") == 1
        message = the_message(capsys)
        assert "'no/such'" in message and "embedded: first, second" in message
        assert names(tmp_path) == ["mask.png", "photo.png"]

    def test_a_mistyped_model_without_a_network_is_said_at_once(self, tmp_path, photo, mask):
        """Nothing listens there; downloads are tried again for most of a minute, with a line each time."""
        began = time.monotonic()
        done = glcic(
            *["inpaint", photo, mask, "-o", tmp_path / "out.png", "--model", "glcic-scene"],
            before="import os; os.environ.update(HF_ENDPOINT='http://127.0.0.1:9', HF_HUB_OFFLINE='0')",
        )
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("glcic inpaint: there is no model 'glcic-scene' on this machine (embedded: ")
        assert done.stderr.endswith("and the Hub cannot be reached\n") and done.stderr.count("\n") == 1
        assert time.monotonic() - began < 30

    def test_an_unknown_model_on_the_hub(self, tmp_path, photo, mask, capsys, monkeypatch):
        import httpx

        def download(*_, **__):
            request = httpx.Request("GET", "https://huggingface.co/no/such")
            raise huggingface_hub.errors.RepositoryNotFoundError(
                "404 Client Error.\n\nRepository Not Found", response=httpx.Response(404, request=request)
            )

        monkeypatch.setattr("glcic_hub.model.hf_hub_download", download)
        assert run("inpaint", photo, mask, "-o", tmp_path / "out.png", "--model", "no/such") == 1
        message = the_message(capsys)
        assert "'no/such'" in message and "Repository Not Found" in message
        assert names(tmp_path) == ["mask.png", "photo.png"]

    @pytest.mark.filterwarnings("ignore:.* does not know:UserWarning")
    @pytest.mark.parametrize(
        ("file", "content"),
        [
            ("model.safetensors", None),
            ("model.safetensors", b"damaged"),
            ("config.json", None),
            ("config.json", b"{"),
            ("config.json", b'{"base_channels": 8}'),
            ("config.json", b'{"colour": 8}'),
        ],
    )
    def test_a_damaged_model(self, tmp_path, photo, mask, capsys, file, content):
        folder = tmp_path / "model"
        GLCICModel(base_channels=4, sample_size=64, max_hole_size=32).save_pretrained(folder)
        (folder / file).unlink()
        if content is not None:
            (folder / file).write_bytes(content)
        assert run("inpaint", photo, mask, "-o", tmp_path / "out.png", "--model", folder) == 1
        assert f"cannot load the model {str(folder)!r}" in the_message(capsys)
        assert names(tmp_path) == ["mask.png", "model", "photo.png"]

    @pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
    def test_too_little_memory(self, tmp_path, photo, mask, tiny_model, capsys, monkeypatch, error):
        def without_memory(*_, **__):
            raise error

        monkeypatch.setattr(fill_module, "fill", without_memory)
        assert run("inpaint", photo, mask, "-o", tmp_path / "out.png", "--model", tiny_model) == 1
        assert "memory" in the_message(capsys)
        assert names(tmp_path) == ["mask.png", "photo.png"]

    def test_our_own_mistakes_are_not_hidden(self, tmp_path, photo, mask, tiny_model, monkeypatch):
        def mistaken(*_, **__):
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

        monkeypatch.setattr(fill_module, "fill", mistaken)
        with pytest.raises(RuntimeError, match="mat1"):
            run("inpaint", photo, mask, "-o", tmp_path / "out.png", "--model", tiny_model)
        assert names(tmp_path) == ["mask.png", "photo.png"]


class TestDemo:
    FILES = ("after.png", "before.png", "demo.png", "mask.png")

    def check(self, folder: Path, said: str) -> None:
        assert names(folder) == sorted(self.FILES)
        assert sorted(said.split()) == sorted(str(folder / name) for name in self.FILES)
        before, after, mask = (opened(folder / f"{name}.png") for name in ("before", "after", "mask"))
        inside = np.asarray(mask) == 255
        assert 0 < inside.sum() < inside.size / 10
        np.testing.assert_array_equal(np.asarray(after)[~inside], np.asarray(before)[~inside])
        assert (np.asarray(after)[inside] != np.asarray(before)[inside]).any()
        sheet = np.asarray(opened(folder / "demo.png"))
        width = before.width
        np.testing.assert_array_equal(sheet[:, :width], np.asarray(before))
        np.testing.assert_array_equal(sheet[:, -width:], np.asarray(after))
        middle = (sheet.shape[1] - width) // 2
        np.testing.assert_array_equal(sheet[:, middle : middle + width, 0], np.asarray(mask))

    def test_with_the_embedded_model(self, tmp_path, capsys, monkeypatch):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
        assert run("demo") == 0
        said = capsys.readouterr()
        assert "seconds" in said.err
        self.check(Path("demo"), said.out)

    @pytest.mark.parametrize("photo", demo.PHOTOS)
    def test_every_photo_and_twice_into_the_same_folder(self, tmp_path, capsys, tiny_model, photo):
        folder = tmp_path / "new" / "folder"
        for _ in range(2):
            assert run("demo", "-o", folder, "--photo", photo, "--model", tiny_model) == 0
            self.check(folder, capsys.readouterr().out)

    @pytest.mark.parametrize("photo", demo.PHOTOS)
    def test_the_photos_are_those_of_scikit_image(self, tmp_path, tiny_model, photo):
        assert run("demo", "-o", tmp_path, "--photo", photo, "--model", tiny_model) == 0
        difference = np.asarray(opened(tmp_path / "before.png")).astype(int) - getattr(skimage.data, photo)()
        assert abs(difference).mean() < 3

    def test_the_folder_is_a_file(self, tmp_path, photo, capsys):
        assert run("demo", "-o", photo) == 2
        assert "is not a folder" in the_message(capsys)

    def test_the_name_of_the_folder_is_too_long(self, tmp_path, capsys):
        assert run("demo", "-o", tmp_path / ("x" * 300)) == 2
        assert "File name too long" in the_message(capsys)

    @pytest.mark.parametrize("folder", ["photo.png/demo", "/proc/demo"])
    def test_the_folder_cannot_be_made(self, photo, capsys, tiny_model, monkeypatch, folder):
        monkeypatch.chdir(photo.parent)
        assert run("demo", "-o", folder, "--model", tiny_model) == 1
        assert "cannot make the folder" in the_message(capsys)
        assert names(photo.parent) == ["photo.png"]

    def test_a_model_that_does_not_load_leaves_nothing(self, tmp_path, capsys):
        assert run("demo", "-o", tmp_path / "demo", "--model", "./missing") == 1
        assert "cannot load the model './missing'" in the_message(capsys)
        assert names(tmp_path) == []
