"""The text of the card: what the files about a model say, put into `template.md`. No figure comes from elsewhere."""

import json
import re
import tomllib
from pathlib import Path

import jinja2
from huggingface_hub import EvalResult, ModelCardData

from model_card.samples import Sample

TEMPLATE = Path(__file__).parent / "template.md"
# figure of evaluation.json: its name in the card, its name in the card's metadata, whether less is better
FIGURES = {
    "l1_x100": ("L1 x 100", "l1", True),
    "hole_psnr": ("hole PSNR", "psnr", False),
    "psnr": ("PSNR", "psnr", False),
    "ssim": ("SSIM", "ssim", False),
}
# measured on wish
FURTHER_FIGURES = {
    "feature_distance": ("hole feature distance", "feature-distance", True),
    "kid_x1000": ("KID x 1000", "kid", True),
}


class Record(dict):
    """What a file says; what it does not say is an error that names the file."""

    def __init__(self, file: str, content: dict):
        super().__init__({key: _recorded(file, value) for key, value in content.items()})
        self.file = file

    def __missing__(self, key: str) -> None:
        raise ValueError(f"{self.file} has no {key!r}, which the card needs")


def _recorded(file: str, value: object) -> object:
    if isinstance(value, list):
        return [_recorded(file, one) for one in value]
    if isinstance(value, str) and Path(value).is_absolute():
        return Path(value).name  # no path of the training machine becomes public
    return Record(file, value) if isinstance(value, dict) else value


def read(path: Path) -> Record:
    """A JSON or TOML file."""
    text = path.read_text(encoding="utf-8")
    return Record(path.name, tomllib.loads(text) if path.suffix == ".toml" else json.loads(text))


def card(facts: dict) -> str:
    """The text of README.md.

    Raises:
        ValueError: the template needs what no file holds.
    """
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.globals["picture_row"] = picture_row
    try:
        body = environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(facts)
    except jinja2.UndefinedError as error:
        raise ValueError(f"the card needs what no file holds: {error}") from error
    about, name = facts["about"], facts["name"]
    results = [
        EvalResult(
            task_type="image-to-image",
            task_name="Image inpainting",
            dataset_type=dataset,
            dataset_name=f"{dataset}, protocol {evaluation['protocol']['name']}",
            metric_type=metric,
            metric_name=title,
            metric_value=evaluation["figures"][name][figure],
        )
        for evaluation in facts["evaluations"]
        for dataset in ["+".join(set_of(file) for file in evaluation["data"]["sources"])]
        for figure, (title, metric, _) in (FIGURES | FURTHER_FIGURES).items()
        if figure in evaluation["figures"][name]
    ]
    data = ModelCardData(
        license=about["license"],
        license_name=about["license_name"] if about["license"] == "other" else None,
        license_link="LICENSE" if about["license"] == "other" else None,
        library_name="glcic_hub",
        pipeline_tag="image-to-image",
        tags=["inpainting", "image-inpainting", "image-completion", "glcic"],
        datasets=[source["name"] for source in facts["sources"] if source["training"] or "pictures" not in source],
        metrics=sorted({result.metric_type for result in results}),
        model_name=name,
        eval_results=results,
    )
    return f"---\n{data.to_yaml()}\n---\n\n" + re.sub(r"\n{3,}", "\n\n", body).rstrip() + "\n"


def picture_row(sample: Sample) -> str:
    """A table with the three pictures of a sample side by side."""
    cells = [f"![{sample.name}, {kind}](samples/{sample.name}-{kind}.png)" for kind in ("before", "mask", "after")]
    return f"| before | mask | after |\n| --- | --- | --- |\n| {' | '.join(cells)} |"


def evaluation_of(evaluation: Record, sha256: str, name: str) -> Record:
    """The evaluation without other models, and with the wanted one (found by its weights) under its own name.

    Raises:
        ValueError: it is about other weights.
    """
    evaluated = {key for key, model in evaluation["models"].items() if model["weights_sha256"] == sha256}
    if not evaluated:
        raise ValueError(f"{evaluation.file} is about other weights than those of {name}: run train.evaluate again")
    own = min(evaluated)
    others = evaluation["models"].keys() - {own}

    def renamed(table: Record) -> dict:
        return {name if key == own else key: value for key, value in table.items() if key not in others}

    parts = {key: renamed(evaluation[key]) for key in ("figures", "models", "seconds_per_picture")}
    return Record(evaluation.file, {**evaluation, **parts})


def with_conclusions(evaluation: Record, name: str) -> Record:
    """The evaluation with the columns of its table, and with the figures in which the model is ahead or not."""
    figures = evaluation["figures"]
    wanted = FIGURES | {key: value for key, value in FURTHER_FIGURES.items() if key in figures[name]}
    standing = {True: [], False: []}
    for figure, (title, _, less_is_better) in wanted.items():
        values = {method: of_method[figure] * (-1 if less_is_better else 1) for method, of_method in figures.items()}
        own = values.pop(name)
        standing[all(own > value for value in values.values())].append(title)
    titles = {figure: (title, less_is_better) for figure, (title, _, less_is_better) in wanted.items()}
    added = {"titles": titles, "ahead": standing[True], "behind": standing[False]}
    return Record(evaluation.file, {**evaluation, **added})


def sources_of(about: Record, training: Record, evaluation: Record) -> list[dict]:
    """The table of data: the sources with their counts of training and validation pictures, as texts.

    Raises:
        ValueError: `about` knows nothing of the data, or their counts do not add up.
    """
    sets = {"training": training["data"], "evaluation": evaluation["data"]["sources"]}
    sources, total = [], 0
    for source in about["sources"]:
        pictures = source.get("pictures", {})
        counts = {
            use: sum(pictures.get(name, 0) for name in {set_of(file) for file in files}) for use, files in sets.items()
        }
        total += counts["training"]
        if any(counts.values()) or not pictures:
            texts = {use: f"{count:,}" if count else "" for use, count in counts.items()}
            sources.append(Record(about.file, {**source, **texts}))
    if not sources:
        raise ValueError(
            f"{training.file} names data of which {about.file} knows nothing: {', '.join(training['data'])}"
        )
    if total and total != training["pictures"]:
        raise ValueError(
            f"the sources in {about.file} make {total} training pictures, {training.file} has {training['pictures']}"
        )
    return sources


def set_of(file: str) -> str:
    """ "scenes-train-0003.tar" belongs to "scenes-train"."""
    return re.sub(r"(-(\d+|\{.*\}))?\.tar$", "", file)
