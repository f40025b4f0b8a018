"""Assemble the Hub repository of a model: weights, code, sample pictures, and a card in which every figure is a file's.

    python -m model_card.build
    python -m model_card.build --model runs/mine --repo_id me/mine

writes `build/<name>/main` and `build/<name>/remote-code`, the contents of these two branches. The model's folder (of an
embedded model: in `glcic_hub/pretrained`) holds, beside the weights, `training.json` of the training and
`evaluation.json` of `train.evaluate`, those of further protocols as `evaluation-<name>.json`. What no program knows
(licence, data, biases) is in `about.toml`: in the model's folder, or for embedded models in
`model_card/about/<name>.toml`. If any of these does not hold what the card says, or belongs to other weights, the build
stops.
"""

import argparse
import hashlib
import json
import shutil
import sys
import tempfile
import tomllib
from pathlib import Path

from safetensors.torch import load_file

from glcic_hub import GLCICModel, GLCICPipeline, __version__
from glcic_hub.filling.completer import Completer
from glcic_hub.model import DEFAULT_NAME, PIPELINE_COMPONENT, PRETRAINED_DIR, embedded_models
from model_card.card import card, evaluation_of, read, sources_of, with_conclusions
from model_card.remote_code import standalone
from model_card.samples import SAMPLES, Sample, sample_files

ROOM = Path(__file__).parent
ROOT = ROOM.parent
BRANCHES = ("main", "remote-code")
OF_GLCIC_UI = ("starlette", "uvicorn")  # what of the package's requirements the published code does without
# What pipeline.py holds: the pipeline, and what handler.py takes from it.
PIPELINE_CODE = (
    "pipeline.GLCICPipeline",
    "model.GLCICModel",
    "masks.from_transparency",
    "images.without_transparency",
    "device.choose_device",
)


def build(model: str, output_dir: Path, repo_id: str) -> dict[str, Path]:
    """Write the repository of a model, all or nothing.

    Args:
        model: name of an embedded model, or a folder.
        output_dir: gets a folder for each branch; those of an earlier build are replaced.
        repo_id: the repository that the card's examples name.

    Returns:
        The folders by branch.

    Raises:
        ValueError, OSError: a file is missing, does not say what the card needs, or belongs to other weights.
    """
    source = Path(model) if Path(model).is_dir() else PRETRAINED_DIR / model
    if not source.is_dir():
        raise ValueError(f"{model} is neither a folder nor an embedded model ({', '.join(embedded_models())})")
    facts = {"repo_id": repo_id, "version": __version__} | facts_about(source)
    folders = {branch: output_dir / branch for branch in BRANCHES}
    for folder in folders.values():
        if folder.exists() and not (folder / GLCICPipeline.config_name).is_file():
            raise ValueError(f"{folder} exists and was not built here: choose another --output_dir")

    output_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output_dir) as work:
        main, remote = (Path(work) / branch for branch in BRANCHES)
        loaded = GLCICModel.from_pretrained(source)
        write_samples(facts["samples"], loaded, main / "samples")
        write_weights(loaded, main)
        facts["weights"] = weights_facts(source, main)
        write_texts(facts, main)
        # Two reasons for a branch of its own: code needs trust, and diffusers does not tell it the wanted variant.
        shutil.copytree(main, remote, ignore=shutil.ignore_patterns("model.fp16.safetensors"))
        write(remote / PIPELINE_COMPONENT / "glcic_hub.py", standalone("The pipeline's model.", "model.GLCICModel"))
        for branch, folder in folders.items():
            shutil.rmtree(folder, ignore_errors=True)
            (Path(work) / branch).rename(folder)
    return folders


def facts_about(source: Path) -> dict:
    """What the files of a model's folder say, checked against each other.

    Raises:
        ValueError, OSError: a file is missing, or is about other weights.
    """
    name = source.resolve().name
    about = source / "about.toml" if (source / "about.toml").is_file() else ROOM / "about" / f"{name}.toml"
    if not about.is_file():
        raise ValueError(f"{source} has no about.toml: copy model_card/about/example.toml there and write what is true")
    facts = {"name": name, "about": read(about), "config": read(source / "config.json")}
    facts["training"] = training = read(source / "training.json")
    facts["settings"] = training["settings"]
    facts["samples"] = SAMPLES[facts["about"]["samples"]]
    weights = source / "model.safetensors"
    sha256 = digest(weights)
    if training.get("sha256", sha256) != sha256:
        raise ValueError(f"training.json is about other weights than {weights}")
    others = sorted(set(source.glob("evaluation*.json")) - {source / "evaluation.json"})  # of other protocols
    facts["records"] = [evaluation_of(read(path), sha256, name) for path in [source / "evaluation.json", *others]]
    facts["evaluations"] = [with_conclusions(record, name) for record in facts["records"]]
    facts["sources"] = sources_of(facts["about"], training, facts["records"][0])
    return facts


def write_samples(samples: list[Sample], model: GLCICModel, folder: Path) -> None:
    """Complete the sample pictures."""
    folder.mkdir(parents=True)
    completer = Completer(model)
    for sample in samples:
        for file, picture in sample_files(sample, completer):
            picture.save(folder / file, optimize=True)


def write_weights(model: GLCICModel, folder: Path) -> None:
    """Save the pipeline in both variants; the model ends as float16."""
    GLCICPipeline(model).save_pretrained(folder)
    GLCICPipeline(model.half()).save_pretrained(folder, variant="fp16")
    (folder / PIPELINE_COMPONENT / "README.md").unlink()  # the model's generic card; the repository has one of its own


def weights_facts(source: Path, folder: Path) -> dict:
    """What the weights files are."""
    stored = load_file(source / "model.safetensors")
    paths = sorted(folder.glob(f"{PIPELINE_COMPONENT}/*.safetensors"))
    return {
        "parameters": sum(p.numel() for p in GLCICModel.from_pretrained(source).parameters()),
        "stored_as": str(stored["network.output.weight"].dtype),
        "files": [
            {"path": path.relative_to(folder).as_posix(), "bytes": path.stat().st_size, "sha256": digest(path)}
            for path in paths
        ],
    }


def write_texts(facts: dict, folder: Path) -> None:
    """The card, the records, the licence and the code."""
    write(folder / "README.md", card(facts))
    for record in (facts["training"], *facts["records"]):
        write(folder / record.file, json.dumps(record, indent=2) + "\n")
    of_code = (ROOT / "LICENSE").read_text(encoding="utf-8")
    write(folder / "LICENSE", f"{facts['about']['license_text'].strip()}\n\n{'-' * 80}\n{of_code}")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = [one for one in project["dependencies"] if not one.startswith(OF_GLCIC_UI)]
    write(folder / "requirements.txt", "".join(f"{package}\n" for package in needed))
    write(folder / "pipeline.py", standalone("The pipeline, and all that it needs.", *PIPELINE_CODE))
    shutil.copyfile(ROOM / "handler.py", folder / "handler.py")


def write(path: Path, text: str) -> None:
    """A text file, the same on every system."""
    path.write_text(text, encoding="utf-8", newline="\n")


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What build and publish have in common."""
    parser.add_argument("--model", default=DEFAULT_NAME, help="an embedded model or a folder (default: %(default)s)")
    parser.add_argument("--output_dir", type=Path, help="where to write (default: build/<name of the model>)")


def output_dir_of(args: argparse.Namespace) -> Path:
    """The folder that gets the branches."""
    return args.output_dir or Path("build") / Path(args.model).resolve().name


def main(arguments: list[str] | None = None) -> None:
    """The command: an error is one sentence and exit status 1."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--repo_id", help="the repository that the card's examples name (default: your-name/<name>)")
    args = parser.parse_args(arguments)
    output_dir = output_dir_of(args)
    try:
        folders = build(args.model, output_dir, args.repo_id or f"your-name/{Path(args.model).resolve().name}")
    except (OSError, ValueError) as error:
        sys.exit(f"model_card.build: {error}")
    print(*folders.values(), sep="\n")


if __name__ == "__main__":
    main()
