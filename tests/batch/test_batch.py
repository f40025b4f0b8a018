"""`glcic batch`: what it writes, what it says, and how a picture fails while the others go on."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from glcic_hub import cli
from glcic_hub.model import GLCICModel
from tests.batch.conftest import (
    HEIGHT,
    HOLE,
    ROOT,
    WIDTH,
    batch,
    end,
    files,
    make_photos,
    make_tar,
    opened,
    samples,
    save,
    start,
)
from tests.fills import filled

LONG = "n" * 251
GOOD = {
    "a.png": "a.png",
    "sub/deep/b.png": "sub/deep/b.webp",
    "ünïcode 图 'quoted'.png": "ünïcode 图 'quoted'.png",
    f"{LONG}.png": f"{LONG}.png",
    "empty mask.png": "empty mask.png",
    "grey.tif": "grey.png",
    "rotated.png": "rotated.png",
}
"""Photo and mask."""

BAD = {
    "bad mask.png": "cannot use 'masks/bad mask.png': ",
    "cmyk.jpg": "the image is CMYK, which PNG cannot hold: use .jpg",
    "cut.png": "the image 'photos/cut.png' cannot be read: it is damaged",
    "no mask.png": "there is no mask for it: 'no mask.*' is not in 'masks'",
    "other size.png": "the mask is 10x10 but its image is 64x48",
    "text.png": "the image 'photos/text.png' cannot be read",
    "whole.png": "the mask covers the whole image",
}
"""Photo and what is said."""


@pytest.fixture(scope="module")
def mixed(tmp_path_factory) -> Path:
    """A folder with what people have, in `photos` and `masks`."""
    folder = tmp_path_factory.mktemp("mixed")
    photos, masks = folder / "photos", folder / "masks"
    for seed, (photo, mask) in enumerate((GOOD | {name: name for name in BAD}).items()):
        save(samples(seed), photos / photo)
        save(HOLE, masks / Path(mask).with_suffix(Path(mask).suffix.replace("jpg", "png")))
    save(np.zeros_like(HOLE), masks / "empty mask.png")
    save(samples(5)[..., 0], photos / "grey.tif")
    turned = Image.Exif()
    turned[0x0112] = 6
    save(samples(6), photos / "rotated.png", exif=turned.tobytes())
    save(np.rot90(HOLE, -1), masks / "rotated.png")

    (masks / "bad mask.png").write_text("no picture")
    Image.fromarray(samples(0)).convert("CMYK").save(photos / "cmyk.jpg")
    (photos / "cut.png").write_bytes((photos / "cut.png").read_bytes()[:2000])
    (masks / "no mask.png").unlink()
    save(HOLE[:10, :10], masks / "other size.png")
    (photos / "text.png").write_text("no picture")
    save(np.ones_like(HOLE), masks / "whole.png")
    (photos / "notes.txt").write_text("")
    return folder


@pytest.fixture(scope="module")
def done(mixed, model) -> tuple[int, str, str]:
    """What a run with two processes said; its results are in `out`."""
    before = files(mixed)
    said = batch(mixed, "photos", "--masks", "masks", "-o", "out", "--model", model, "--processes", 2)
    assert {name: data for name, data in files(mixed).items() if not name.startswith("out/")} == before
    return said


def save_text(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("{}\n")


def errors(path: Path) -> dict[str, str]:
    return {row["name"]: row["error"] for row in map(json.loads, path.read_text().splitlines())}


class TestMixedFolder:
    def test_every_good_picture_has_its_result_and_nothing_else_is_written(self, mixed, done):
        results = sorted([str(Path(name).with_suffix(".png")) for name in GOOD] + ["errors.jsonl"])
        assert sorted(files(mixed / "out")) == results

    def test_results_are_those_of_the_network_and_known_pixels_stay(self, mixed, done, model):
        loaded = GLCICModel.from_pretrained(model)
        for seed, name in enumerate(GOOD):
            photo, result = samples(seed), opened(mixed / "out" / Path(name).with_suffix(".png"))
            if name == "grey.tif":
                photo = photo[..., 0]
            np.testing.assert_array_equal(result[~HOLE], photo[~HOLE])
            if name == "empty mask.png":
                np.testing.assert_array_equal(result, photo)
            elif name not in ("grey.tif", "rotated.png"):
                fill = filled(loaded, photo, HOLE)[HOLE] * 255
                assert np.abs(result[HOLE] - fill).max() < 1.01  # a level more where the number of threads differs
            else:
                assert (result[HOLE] != photo[HOLE]).any()

    def test_every_failure_is_in_the_file_and_in_the_summary(self, mixed, done):
        code, out, err = done
        assert (code, out) == (1, "out\n")
        said = errors(mixed / "out" / "errors.jsonl")
        assert sorted(said) == [f"photos/{name}" for name in sorted(BAD)]
        for name, words in BAD.items():
            assert words in said[f"photos/{name}"]
            assert f"glcic batch: 'photos/{name}': {said[f'photos/{name}']}\n" in err

    def test_the_summary_counts(self, done):
        lines = done[2].splitlines()
        assert lines[0] == "glcic batch: skipped, because they are not images: 1 .txt"
        assert lines[1] == (
            f"glcic batch: {len(GOOD)} completed (1 of them as they were, because their masks are empty), "
            f"0 done before, {len(BAD)} failed"
        )
        assert len(lines) == 2 + len(BAD) + 1
        assert lines[-1] == "glcic batch: not all were completed; 'out/errors.jsonl' says which and why"

    def test_one_process_and_tar_files_give_the_same_files(self, mixed, done, model, tmp_path):
        names = sorted([*GOOD, *BAD])
        make_tar(tmp_path / "1.tar", mixed / "photos", names[::2])
        make_tar(tmp_path / "2.tar", mixed / "photos", names[1::2])
        masks = [name for name in files(mixed / "masks")]
        make_tar(tmp_path / "masks.tar", mixed / "masks", masks)
        arguments = ["1.tar", "2.tar", "--masks", "masks.tar", "-o", "out", "--model", model, "--processes", 1]
        assert batch(tmp_path, *arguments)[0] == 1
        results, wanted = files(tmp_path / "out"), files(mixed / "out")
        said = errors(tmp_path / "out" / "errors.jsonl")
        assert sorted(name.split(": ", 1)[1] for name in said) == sorted(BAD)
        for folder in (results, wanted):
            del folder["errors.jsonl"]
        assert results == wanted

    def test_two_ranks_at_the_same_time_give_the_same_files(self, mixed, done, model):
        arguments = ["photos", "--masks", "masks", "-o", "ranks", "--model", model]
        started = [start(mixed, *arguments, environment={"RANK": str(rank), "WORLD_SIZE": "2"}) for rank in (0, 1)]
        said = [end(process) for process in started]
        assert [code for code, _, _ in said] == [0, 0]  # launchers would end one rank when the other fails
        assert all("says which and why" in err for _, _, err in said)
        counts = [int(err.split(" completed")[0].split()[-1]) for _, _, err in said]
        assert sum(counts) == len(GOOD) and min(counts) > 0
        results, wanted = files(mixed / "ranks"), files(mixed / "out")
        parts = [errors(mixed / "ranks" / f"errors-{rank}.jsonl") for rank in (0, 1)]
        assert parts[0] | parts[1] == errors(mixed / "out" / "errors.jsonl")
        del results["errors-0.jsonl"], results["errors-1.jsonl"], wanted["errors.jsonl"]
        assert results == wanted


class TestOptions:
    def test_a_second_run_does_nothing_and_force_does_all(self, tmp_path, model):
        make_photos(tmp_path, 3)
        arguments = ["photos", "--masks", "masks", "-o", "new/out", "--model", model, "--processes", 1]
        code, out, err = batch(tmp_path, *arguments)
        assert (code, out, err) == (0, "new/out\n", "glcic batch: 3 completed, 0 done before, 0 failed")
        first = files(tmp_path / "new" / "out")
        assert sorted(first) == ["000.png", "001.png", "002.png"]
        (tmp_path / "new" / "out" / "001.png").write_text("mine")
        (tmp_path / "new" / "out" / "000.png").unlink()
        code, _, err = batch(tmp_path, *arguments)
        assert (code, err) == (0, "glcic batch: 1 completed, 2 done before, 0 failed")
        assert files(tmp_path / "new" / "out") == first | {"001.png": b"mine"}
        code, _, err = batch(tmp_path, *arguments, "--force")
        assert (code, err) == (0, "glcic batch: 3 completed, 0 done before, 0 failed")
        assert files(tmp_path / "new" / "out") == first

    def test_a_wrong_device_is_said_before_anything_is_made(self, tmp_path, model):
        make_photos(tmp_path, 1)
        code, _, err = batch(
            tmp_path, "photos", "--masks", "masks", "--model", model, "-o", "out", "--device", "quantum"
        )
        assert code == 2 and err.startswith("glcic batch: there is no device 'quantum'; there is cpu")
        assert not (tmp_path / "out").exists()

    def test_transparency_format_and_quality(self, tmp_path, model):
        rgba = samples(0, 4)
        rgba[..., 3] = np.where(HOLE, 0, 255)
        save(rgba, tmp_path / "photos" / "a.png")
        save(samples(1), tmp_path / "photos" / "opaque.png")
        arguments = ["photos", "--format", "jpg", "--quality", "30", "--model", model, "--processes", 1]
        assert batch(tmp_path, *arguments, "-o", "out")[0] == 1
        assert sorted(files(tmp_path / "out")) == ["a.jpg", "errors.jsonl"]
        with Image.open(tmp_path / "out" / "a.jpg") as image:
            assert (image.format, image.mode) == ("JPEG", "RGB")
            found = image.quantization
        save(samples(0), tmp_path / "reference.jpg", quality=30)
        with Image.open(tmp_path / "reference.jpg") as image:
            assert found == image.quantization
        assert "'photos/opaque.png' has no transparent part" in (tmp_path / "out" / "errors.jsonl").read_text()

    def test_masks_of_another_name_frames_and_large_pictures(self, tmp_path, model):
        for name in ("a.tif", "b.png"):
            pages = {"save_all": True, "append_images": [Image.new("L", (9, 9))]} if name == "a.tif" else {}
            save(samples(3), tmp_path / "photos" / name, **pages)
            save(HOLE, tmp_path / "photos" / f"{name[0]}_mask.png")
        arguments = ["photos", "--mask-name", "{stem}_mask.png", "-o", "out", "--processes", "1", "--model", model]
        small = f"from PIL import Image; Image.MAX_IMAGE_PIXELS = {HEIGHT * WIDTH // 2 - 1}"
        (tmp_path / "sitecustomize.py").write_text(small)  # for the processes, too
        place = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
        code, _, err = batch(tmp_path, *arguments, environment=place)
        assert code == 1 and err.count("--max-megapixels") == 2, err
        code, _, err = batch(tmp_path, *arguments, "--max-megapixels", "1", environment=place)
        assert code == 0, err
        assert "2 completed, 0 done before, 0 failed" in err
        assert "1 of them have several frames or pages: only the first was completed" in err
        assert sorted(files(tmp_path / "out")) == ["a.png", "b.png"]

    def test_error_files_of_other_runs_go_when_all_is_well(self, tmp_path, model):
        make_photos(tmp_path, 1)
        for name in ("errors.jsonl", "errors-0.jsonl", "errors-1.jsonl", "errors-of-mine.jsonl"):
            save_text(tmp_path / "out" / name)
        assert batch(tmp_path, "photos", "--masks", "masks", "-o", "out", "--model", model)[0] == 0
        assert sorted(files(tmp_path / "out")) == ["000.png", "errors-of-mine.jsonl"]

    def test_a_rank_leaves_the_error_files_of_the_others(self, tmp_path, model):
        make_photos(tmp_path, 2)
        for name in ("errors.jsonl", "errors-0.jsonl", "errors-1.jsonl", "errors-2.jsonl"):
            save_text(tmp_path / "out" / name)
        arguments = ["photos", "--masks", "masks", "-o", "out", "--model", model]
        assert batch(tmp_path, *arguments, environment={"RANK": "0", "WORLD_SIZE": "2"})[0] == 0
        assert sorted(files(tmp_path / "out")) == ["000.png", "errors-1.jsonl"]

    def test_the_settings_of_the_filling_reach_the_processes(self, tmp_path, model):
        save(samples(0), tmp_path / "photos" / "a.png")
        save(HOLE, tmp_path / "mask.png")
        settings = ["--working-size", 8, "--blend", "none", "--texture", "photo", "--dtype", "bfloat16"]
        arguments = ["photos", "--masks", "mask.png", "-o", "out", "--model", model, *settings]
        code, _, err = batch(tmp_path, *arguments)
        assert code == 0, err
        import torch

        loaded = GLCICModel.from_pretrained(model, dtype=torch.bfloat16)
        settings = {"working_size": 8, "blend": None, "texture": "photo"}
        result = opened(tmp_path / "out" / "a.png")[HOLE].astype(float)
        assert np.abs(result - 255 * filled(loaded, samples(0), HOLE, **settings)[HOLE]).max() < 1.01
        assert np.abs(result - 255 * filled(loaded, samples(0), HOLE)[HOLE]).max() > 10


class TestMasks:
    def test_single_files_with_their_masks(self, tmp_path, model):
        make_photos(tmp_path, 3)
        photos, masks = ([f"{folder}/{name}.png" for name in ("002", "000")] for folder in ("photos", "masks"))
        arguments = [*photos, "--masks", *masks, "-o", "out", "--model", model, "--processes", 1]
        code, _, err = batch(tmp_path, *arguments)
        assert (code, err) == (0, "glcic batch: 2 completed, 0 done before, 0 failed")
        for seed in (0, 2):
            result = opened(tmp_path / "out" / f"00{seed}.png")
            assert np.array_equal((result != samples(seed)).any(2), HOLE)

    def test_inverted_masks(self, tmp_path, model):
        make_photos(tmp_path, 1)
        save(~HOLE, tmp_path / "mask.png")
        arguments = ["photos", "--masks", "mask.png", "--model", model, "--processes", 1]
        assert batch(tmp_path, *arguments, "-o", "out", "--invert")[0] == 0
        assert np.array_equal((opened(tmp_path / "out" / "000.png") != samples(0)).any(2), HOLE)
        code, _, err = batch(tmp_path, *arguments, "-o", "other")
        assert (code, err.splitlines()[1]) == (
            0,
            "glcic batch: 'mask.png': 84 % would be filled: if the mask is inverted, add --invert",
        )

    def test_what_is_doubtful_is_said_once_and_what_does_nothing_fails(self, tmp_path, model):
        make_photos(tmp_path, 3)
        save(samples(7), tmp_path / "masks" / "001.png")
        save(np.tile(np.arange(20, 84, dtype=np.uint8), (len(HOLE), 1)), tmp_path / "masks" / "002.png")
        code, _, err = batch(tmp_path, "photos", "--masks", "masks", "-o", "out", "--model", model)
        counts, doubt, failure, _ = err.splitlines()
        assert (code, counts) == (1, "glcic batch: 2 completed, 0 done before, 1 failed")
        assert doubt.startswith("glcic batch: 'masks/001.png': the mask looks like a photo")
        assert "'masks/002.png': no pixel of the mask is white, its values range from 20 to 83 of 255" in failure
        assert sorted(files(tmp_path / "out")) == ["000.png", "001.png", "errors.jsonl"]


class TestWrongUse:
    """Exit code 2, one sentence, no folder, and no process was started."""

    @pytest.fixture
    def here(self, tmp_path, monkeypatch) -> Path:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("glcic_hub.batch.pool._started", None)
        make_photos(tmp_path, 2)
        save(samples(3), tmp_path / "photos" / "000.jpg")
        (tmp_path / "text.png").write_text("no picture")
        save(samples(4), tmp_path / "photos2" / "a.png")
        save(HOLE, tmp_path / "done" / "a.png")
        return tmp_path

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (
                ["masks", "-o", "out", "--masks", "text.png"],
                "cannot use 'text.png': the image 'text.png' cannot be read",
            ),
            (["masks", "-o", "out", "--masks", "missing.png"], "cannot use 'missing.png': No such file"),
            (["photos", "-o", "out"], "would both be written to 'out/000.png'"),
            (["masks", "-o", "masks/out"], "is inside 'masks', which is read"),
            (["masks", "-o", "text.png"], "'text.png' is not a folder"),
            (["masks", "-o", "o" * 300], "File name too long"),
            (["masks", "-o", "out", "--quality", "5"], "PNG is always exact"),
            (["missing", "-o", "out"], "cannot read 'missing': No such file"),
            (["photos2", "-o", "out", "--invert"], "--invert needs --masks"),
            (["photos2", "--masks", "done/a.png", "-o", "done"], "'done/a.png' would be written over an input"),
            (["photos2", "--masks", "done/a.png", "-o", "done", "--force"], "would be written over an input"),
        ],
    )
    def test_message(self, here, capsys, arguments, message):
        before = files(here)
        assert cli.main(["batch", *arguments]) == 2
        said = capsys.readouterr()
        assert message in said.err and said.err.startswith("glcic batch: ") and said.err.count("\n") == 1
        assert said.out == "" and files(here) == before and not (here / "out").exists()

    @pytest.mark.parametrize(
        "arguments",
        [[], ["photos"], ["photos", "-o", "out", "--processes", "0"], ["photos", "-o", "out", "--format", "bmp"]],
    )
    def test_arguments(self, here, capsys, arguments):
        with pytest.raises(SystemExit, match="2"):
            cli.main(["batch", *arguments])
        assert capsys.readouterr().err.startswith("usage: glcic batch")

    def test_a_rank_that_is_none(self, here, capsys, monkeypatch):
        monkeypatch.setenv("RANK", "3")
        monkeypatch.setenv("WORLD_SIZE", "2")
        assert cli.main(["batch", "masks", "-o", "out"]) == 2
        assert "RANK=3, WORLD_SIZE=2" in capsys.readouterr().err


def test_help_teaches(capsys):
    with pytest.raises(SystemExit, match="0"):
        cli.main(["batch", "--help"])
    text = capsys.readouterr().out
    for word in ("the masks:", "errors.jsonl", "RANK", "torchrun", "examples:", "exit codes:", "--working-size", "130"):
        assert word in text
    assert max(map(len, text.splitlines())) <= 120
