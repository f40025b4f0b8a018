"""The repository's folder: complete, the same at every call, all or nothing."""

import hashlib
import json
import re
import shutil
import tomllib

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from glcic_hub import GLCICModel, GLCICPipeline
from model_card import build as room
from model_card.build import build, main
from model_card.samples import SAMPLES
from tests.model_card.conftest import REPO_ID, ROOT, TRAINING, write_model

TEXTS = {"LICENSE", "README.md", "evaluation.json", "handler.py", "model_index.json", "pipeline.py", "requirements.txt"}
PICTURES = {f"samples/{one.name}-{kind}.png" for one in SAMPLES["scenes"] for kind in ("before", "mask", "after")}
COMMON = TEXTS | PICTURES | {"training.json", "completion_network/config.json", "completion_network/model.safetensors"}


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_files_of_the_branches(built):
    main_files, remote_files = contents(built["main"]), contents(built["remote-code"])
    assert set(main_files) == COMMON | {"completion_network/model.fp16.safetensors"}
    assert set(remote_files) == COMMON | {"completion_network/glcic_hub.py"}
    assert {path: main_files[path] for path in COMMON} == {path: remote_files[path] for path in COMMON}


def test_the_weights_are_those_of_the_model(built, tiny):
    wanted = load_file(tiny / "model.safetensors")
    full = load_file(built["main"] / "completion_network" / "model.safetensors")
    half = load_file(built["main"] / "completion_network" / "model.fp16.safetensors")
    assert full.keys() == half.keys() == wanted.keys()
    for key, value in wanted.items():
        assert torch.equal(full[key], value) and torch.equal(
            half[key], value.half() if value.is_floating_point() else value
        )
    pipe = GLCICPipeline.from_pretrained(built["main"], variant="fp16")
    assert torch.equal(pipe.completion_network.network.output.bias, wanted["network.output.bias"].half().float())
    assert pipe.completion_network.sample_size == GLCICModel.from_pretrained(tiny).sample_size


def test_float16_weights_are_published_as_they_were_measured(tmp_path):
    """The package stores float16: the published variant is that file, byte for byte, and the card says so."""
    source = write_model(tmp_path / "half", half=True)
    folder = build(str(source), tmp_path / "out", REPO_ID)["main"]
    published = (folder / "completion_network" / "model.fp16.safetensors").read_bytes()
    assert published == (source / "model.safetensors").read_bytes()
    card = (folder / "README.md").read_text()
    assert hashlib.sha256(published).hexdigest() in card and "stored and measured as float16" in card


def test_a_second_build_changes_no_byte(built, tiny, tmp_path):
    again = build(str(tiny), tmp_path, REPO_ID)
    assert {branch: contents(folder) for branch, folder in again.items()} == {
        branch: contents(folder) for branch, folder in built.items()
    }
    (again["main"] / "samples" / "left-over.png").write_bytes(b"")
    build(str(tiny), tmp_path, REPO_ID)
    assert contents(again["main"]) == contents(built["main"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["main", "remote-code"]


def test_samples_are_what_the_pipeline_makes(built, tiny):
    pipe = GLCICPipeline.from_pretrained(tiny)
    assert any(sample.is_failure for sample in SAMPLES["scenes"])
    for sample in SAMPLES["scenes"]:
        before, mask, after = (
            Image.open(built["main"] / "samples" / f"{sample.name}-{kind}.png") for kind in ("before", "mask", "after")
        )
        assert set(np.unique(mask)) == {0, 255}
        assert np.array_equal(np.asarray(pipe(before, mask).images[0]), np.asarray(after))


def test_the_licence_names_the_terms_of_the_weights_and_of_the_code(built):
    text = (built["main"] / "LICENSE").read_text()
    assert "carry no clear permission for commercial use" in text
    assert text.endswith((ROOT / "LICENSE").read_text())


def test_requirements_are_those_of_the_package_without_its_server(built):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (built["main"] / "requirements.txt").read_text().split() == [
        requirement for requirement in project["dependencies"] if not requirement.startswith(("starlette", "uvicorn"))
    ]


def test_nothing_of_the_training_machine_is_published(built):
    for path, data in contents(built["main"]).items():
        assert b"/home/" not in data and b"/tmp/" not in data, path
    assert (
        json.loads((built["main"] / "training.json").read_text())["settings"]["resume_from_checkpoint"]
        == "checkpoint-600"
    )
    evaluation = json.loads((built["main"] / "evaluation.json").read_text())
    assert set(evaluation["figures"]) == {"telea", "tiny"}
    assert set(evaluation["models"]) == {"tiny"}


def test_models_of_the_package_are_found_by_name(tiny, tmp_path, monkeypatch):
    shutil.copytree(tiny, tmp_path / "pretrained" / "glcic-scenes")
    (tmp_path / "pretrained" / "glcic-scenes" / "about.toml").unlink()
    monkeypatch.setattr(room, "PRETRAINED_DIR", tmp_path / "pretrained")
    monkeypatch.chdir(tmp_path)
    main(["--output_dir", "out"])
    card = (tmp_path / "out" / "main" / "README.md").read_text()
    assert "# glcic-scenes\n" in card and 'repo = "your-name/glcic-scenes"' in card


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "about.toml").unlink(), "tiny has no about.toml: copy model_card/about/example.toml"),
        (lambda folder: (folder / "training.json").unlink(), "No such file or directory: .*training.json"),
        (lambda folder: (folder / "evaluation.json").write_text("{"), "Expecting property name"),
        (
            lambda folder: (folder / "training.json").write_text(json.dumps({**TRAINING, "sha256": "1" * 64})),
            "training.json is about other weights than .*model.safetensors",
        ),
        (
            lambda folder: (folder / "training.json").write_text(json.dumps({**TRAINING, "pictures": 8775})),
            "the sources in about.toml make 8776 training pictures, training.json has 8775",
        ),
        (
            lambda folder: GLCICModel(base_channels=4).save_pretrained(folder),
            "evaluation.json is about other weights than those of tiny: run train.evaluate again",
        ),
    ],
)
def test_what_does_not_fit_stops_the_build_and_leaves_the_former_one(model, tmp_path, damage, message, capsys):
    out = tmp_path / "out"
    out.mkdir()
    damage(model)
    with pytest.raises(SystemExit) as stopped:
        main(["--model", str(model), "--output_dir", str(out)])
    assert re.search(f"^model_card.build: .*{message}", stopped.value.code)
    assert list(out.iterdir()) == []


def test_unknown_models_are_named(tmp_path):
    with pytest.raises(ValueError, match="no-such is neither a folder nor an embedded model"):
        build("no-such", tmp_path, REPO_ID)


def test_folders_of_others_are_not_replaced(tiny, tmp_path):
    (tmp_path / "main").mkdir()
    (tmp_path / "main" / "thesis.txt").write_text("all of it")
    with pytest.raises(ValueError, match="main exists and was not built here: choose another --output_dir"):
        build(str(tiny), tmp_path, REPO_ID)
    assert (tmp_path / "main" / "thesis.txt").read_text() == "all of it"
