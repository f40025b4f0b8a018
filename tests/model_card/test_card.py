"""The card says what the files say, and nothing else."""

import json
import re
import tomllib

import pytest
import yaml
from huggingface_hub import ModelCard

import glcic_hub
from glcic_hub import GLCICModel
from glcic_hub.model import DEFAULT_NAME
from model_card.build import build, facts_about
from model_card.card import set_of
from tests.model_card.conftest import EVALUATION, REPO_ID, ROOT, TRAINING

NUMBER = re.compile(r"(?<![\w.,])\d[\d,]*(?:\.\d+)*(?!\w)")
STATIC = {
    "100": "L1 x 100",
    "2.0": "the Apache License",
    "2017": "the paper",
    "36": "the paper",
    "4": "the paper",
    "107": "the paper",
    "1": "the paper",
    "14": "the paper",
    "10.1145": "the paper's DOI",
    "3072959.3073659": "the paper's DOI",
}
"""Numbers that the card may hold although no file does."""


@pytest.fixture(scope="module")
def card(built):
    return (built["main"] / "README.md").read_text()


def numbers_of(value):
    """Every way in which the card may write the numbers of a record."""
    if isinstance(value, dict):
        return set().union(*map(numbers_of, value.values()), *map(numbers_of, value))
    if isinstance(value, (list, tuple)):
        return set().union(*map(numbers_of, value))
    if isinstance(value, str):
        return set(NUMBER.findall(value))
    if isinstance(value, bool) or value is None:
        return set()
    return {str(value), f"{value:,}", f"{value:.0%}".strip("%")} | {f"{value:.{digits}f}" for digits in range(6)}


def test_every_number_is_in_a_file(card, built, tiny):
    weights = [path for path in built["main"].rglob("*.safetensors")]
    files = [
        tomllib.loads((tiny / "about.toml").read_text()),
        *(json.loads(path.read_text()) for path in tiny.glob("*.json")),
    ]
    known = numbers_of(files) | set(STATIC) | numbers_of([path.stat().st_size for path in weights])
    known |= numbers_of([source["training"] for source in facts_about(tiny)["sources"]])  # sums over two shards
    known |= numbers_of(sum(parameter.numel() for parameter in GLCICModel.from_pretrained(tiny).parameters()))
    known.add(glcic_hub.__version__)
    text = re.sub(r"`[0-9a-f]{64}`", "", card)
    unknown = {number for number in NUMBER.findall(text) if number.rstrip(",") not in known}
    assert unknown == set()
    assert {"47.3", "1,230", "19,680", "253", "16.28", "11.29", "0.8639", "0.114", "8,776", "25%"} <= set(
        re.findall(r"[\d.,]+%?", card)
    )


def test_the_scan_finds_a_number_that_nobody_measured(built):
    assert NUMBER.findall("in 31.4 minutes, 99 %, 1,000; v1 x2 3rd") == ["31.4", "99", "1,000"]


def removed(record, *keys):
    record = json.loads(json.dumps(record))
    inner = record
    for key in keys[:-1]:
        inner = inner[key]
    del inner[keys[-1]]
    return record


@pytest.mark.parametrize(
    ("file", "keys"),
    [
        *(("training.json", (key,)) for key in TRAINING),
        *(("training.json", ("settings", key)) for key in ("min_hole_size", "preset", "seed")),
        *(("evaluation.json", (key,)) for key in EVALUATION),
        ("evaluation.json", ("protocol", "seed")),
        ("evaluation.json", ("data", "pictures")),
        ("evaluation.json", ("figures", "telea", "ssim")),
        ("evaluation.json", ("seconds_per_picture", "telea")),
        ("evaluation.json", ("versions", "opencv")),
        ("config.json", ("sample_size",)),
    ],
)
def test_a_figure_that_no_file_holds_stops_the_build(model, tmp_path, file, keys):
    record = json.loads((model / file).read_text())
    (model / file).write_text(json.dumps(removed(record, *keys)))
    with pytest.raises(ValueError, match=f"{file} has no '{keys[-1]}', which the card needs"):
        build(str(model), tmp_path / "out", REPO_ID)
    assert not any((tmp_path / "out").glob("*"))


@pytest.mark.parametrize("key", ["title", "license", "license_text", "biases", "good_at", "validation", "sources"])
def test_what_people_must_say_is_asked_for(model, tmp_path, key):
    text = (model / "about.toml").read_text()
    (model / "about.toml").write_text(
        re.sub(rf"^{key} = ", f"other_{key} = ", text, flags=re.M).replace(f"[[{key}]]", "[[others]]")
    )
    with pytest.raises(ValueError, match=f"about.toml has no '{key}', which the card needs"):
        build(str(model), tmp_path / "out", REPO_ID)


def test_a_name_that_nothing_defines_stops_the_build(tiny, tmp_path, monkeypatch):
    (tmp_path / "template.md").write_text("It is {{ accuracy }} % accurate.")
    monkeypatch.setattr("model_card.card.TEMPLATE", tmp_path / "template.md")
    with pytest.raises(ValueError, match="the card needs what no file holds: 'accuracy' is undefined"):
        build(str(tiny), tmp_path / "out", REPO_ID)


def test_metadata(card):
    data = yaml.safe_load(card.split("---\n")[1])
    assert data["pipeline_tag"] == "image-to-image" and data["library_name"] == "glcic_hub"
    assert (data["license"], data["license_name"], data["license_link"]) == (
        "other",
        "research-data-mixed-terms",
        "LICENSE",
    )
    assert "inpainting" in data["tags"] and {"bsds500", "ikea-rooms"} <= set(data["datasets"])
    assert data["metrics"] == ["l1", "psnr", "ssim"]
    (model,) = data["model-index"]
    (result,) = model["results"]
    assert model["name"] == "tiny" and result["dataset"]["type"] == "val-scenes"
    assert {metric["name"]: metric["value"] for metric in result["metrics"]} == {
        "L1 x 100": 11.29369,
        "hole PSNR": 16.27592,
        "PSNR": 22.48054,
        "SSIM": 0.86393,
    }
    assert ModelCard(card).data.eval_results[0].metric_value == 11.29369  # the Hub's own reader agrees


def test_the_card_is_complete(card, built):
    assert "More Information Needed" not in card and "{{" not in card.replace("{{Globally", "") and "{%" not in card
    for heading in (
        "Use",
        "What it can do and what it cannot",
        "Evaluation",
        "Training",
        "Files",
        "Licence",
        "Citation",
    ):
        assert f"\n## {heading}\n" in card
    pictures = re.findall(r"\]\((samples/[^)]*)\)", card)
    assert set(pictures) == {path.relative_to(built["main"]).as_posix() for path in built["main"].glob("samples/*")}
    for credit in ("SpaceX, public domain", "Rachel Michetti, CC0", "linolafett, CC0"):
        assert credit in card


def test_the_verdict_follows_the_figures(card):
    assert "It is ahead of OpenCV's methods in L1 x 100, hole PSNR.\n" in card
    assert "A method of OpenCV is as good or better in PSNR, SSIM.\n" in card


def test_only_weights_of_faces_speak_of_faces(card, model, tmp_path):
    assert "The people shown" not in card
    (model / "about.toml").write_text((ROOT / "model_card" / "about" / "glcic-faces-64.toml").read_text())
    training = {**TRAINING, "data": ["faces-train-0000.tar"], "pictures": 9000}
    (model / "training.json").write_text(json.dumps(training))
    faces = (build(str(model), tmp_path / "out", REPO_ID)["main"] / "README.md").read_text()
    assert "The people shown are mostly public figures" in faces and "furniture catalogue" not in faces
    assert "| celeba-half-size |" in faces and "NASA, public domain" in faces


def test_further_protocols_and_adversarial_training_are_told(model, tmp_path):
    evaluation = json.loads((model / "evaluation.json").read_text())
    evaluation["protocol"]["name"] = "free-form"
    for figures in evaluation["figures"].values():
        figures |= {"feature_distance": 0.123, "kid_x1000": 4.56}
    (model / "evaluation-free-form.json").write_text(json.dumps(evaluation))
    training = {**TRAINING, "adversarial_steps": 669}
    (model / "training.json").write_text(json.dumps(training))
    folder = build(str(model), tmp_path / "out", REPO_ID)["main"]
    card = (folder / "README.md").read_text()
    assert "**Protocol `box`**" in card and "**Protocol `free-form`**" in card and "random brush strokes" in card
    assert "| 0.123 | 4.56 |" in card and (folder / "evaluation-free-form.json").is_file()
    assert "669 steps of them against the discriminators" in card


def test_what_the_embedded_weights_card_says_of_their_training(tmp_path):
    card = (build(DEFAULT_NAME, tmp_path / "out", REPO_ID)["main"] / "README.md").read_text()
    text = " ".join(card.split())
    assert "in the last of 16 pieces, on crops of 96 x 96 px" in text
    assert "a hole of more than 44 px is completed at a reduced size" in text
    assert "against the discriminators. The weights are the mean, tensor by tensor, of those after the " in text
    assert "without discriminators. What it fills in is made up." in text


def test_sets_of_shards():
    assert [set_of(name) for name in ("a-train-0003.tar", "a-{0000..0005}.tar", "val.tar", "my-photos-2024")] == [
        "a-train",
        "a",
        "val",
        "my-photos-2024",
    ]
