"""What train/README.md says: its tables are those of the code and the records, its commands parse, its Python runs."""

import json
import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate.commands.launch import launch_command_parser
from torch.distributed.run import get_args_parser as torchrun_parser

from glcic_hub.model import PRETRAINED_DIR, GLCICModel
from glcic_hub.network import DISCRIMINATOR_BRANCHES
from tests.benchmark import training as training_benchmark
from tests.random_models import random_model
from tests.train.runs import run, settings
from train import compare_initialisations, evaluate, initialisation, loading, memory, stability
from train import settings as train_settings
from train.checkpoints import PROGRESS
from train.dataset import expand_braces

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "train"
README = (FOLDER / "README.md").read_text(encoding="utf-8")
WORDS = " ".join(README.split())
COMMANDS, PYTHON = (re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL) for language in ("bash", "python"))
INLINE = re.findall(r"`([^`]+)`", " ".join(re.sub(r"```.*?```", "", README, flags=re.DOTALL).split()))

PARSERS = {
    "train.train_glcic": train_settings.parse_args,
    "train.evaluate": evaluate.parse_args,
    "train.compare_initialisations": compare_initialisations.make_parser().parse_args,
    "tests.benchmark.training": training_benchmark.parse_args,
}
NEEDED = {
    "train.train_glcic": ["--preset", "modern", "--train_data_dir", "a", "--output_dir", "b"],
    "train.evaluate": ["--data", "a"],
    "train.compare_initialisations": ["--train_data_dir", "a", "--output_dir", "b"],
    "tests.benchmark.training": [],
}

LABELS = {
    "identity": "**identity** where input and output channels agree, plus 0.1 x Kaiming noise",
    "kaiming": "Kaiming normal",
    "normal": "N(0, 0.02)",
    "orthogonal": "orthogonal",
    "pytorch": "PyTorch's default",
    "xavier": "Xavier normal",
}


def table(head: str) -> list[list[str]]:
    """The rows, each a list of cells, of the table whose first line begins so."""
    lines = README[README.index(f"\n| {head}") + 1 :].partition("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def commands() -> list[tuple[str, list[str]]]:
    """Program and arguments of each, as a shell takes them apart, which knows variables, braces and comments."""
    names = ("python", "torchrun", "accelerate")
    functions = "".join(f"{name}() {{ printf '%s\\0' {name} \"$@\"; printf '\\n'; }}\n" for name in names)
    inline = [text for text in INLINE if text.startswith("python -m")]
    script = "\n".join([functions, "RANK=1 HOST=example", *COMMANDS, *inline])
    done = subprocess.run(["bash", "-euc", script], capture_output=True, text=True, check=True)
    return [program_of(line.split("\0")[:-1]) for line in done.stdout.splitlines()]


def program_of(call: list[str]) -> tuple[str, list[str]]:
    """The module that a command runs, and its arguments; a launcher reads its own, and stops the test at others."""
    if call[0] == "python":
        assert call[1] == "-m"
        return call[2], call[3:]
    if call[0] == "accelerate":
        assert call[1] == "launch"
        launched = launch_command_parser().parse_args(call[2:])
    else:
        launched = torchrun_parser().parse_args(call[1:])
    assert launched.module
    return launched.training_script, launched.training_script_args


def options_of(program: str, capsys) -> set[str]:
    with pytest.raises(SystemExit):
        PARSERS[program](["--help"])
    return set(re.findall(r"--\w+", capsys.readouterr().out))


# Files


def test_the_table_of_files_has_every_file_once():
    named = [name for cell, _ in table("file") for name in re.findall(r"`([^`]+)`", cell)]
    assert len(named) == len(set(named)) and all(list(FOLDER.glob(name)) for name in named)
    modules = {path.name for path in FOLDER.glob("*.py")} - {"__init__.py"}
    assert {name for name in named if name.endswith(".py")} == modules


def test_a_run_writes_the_files_that_are_named(tiny_pictures, tmp_path):
    text = WORDS[WORDS.index("What you get in `--output_dir`") :].partition("`--discriminators")[0]
    names = [
        name for name in re.findall(r"`([^`]+)`", text) if re.fullmatch(r"[\w*.-]+(\.json|\.safetensors|/|-\*)", name)
    ]
    assert len(names) == 6
    run(tiny_pictures, tmp_path, "--max_train_steps", "2", "--validation_data_dir", str(tiny_pictures))
    for name in [*names, "best/", f"checkpoint-2/{PROGRESS}"]:
        assert list(tmp_path.glob(name)) and f"`{name.rpartition('/')[2] or name}`" in WORDS


def test_links_lead_somewhere():
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]
    assert links and all((FOLDER / link).exists() for link in links)


def test_the_extras_to_install_exist():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(re.findall(r'-e "\.\[(\w+)\]"', WORDS)) == {"train", "stream", "features"} <= extras.keys()


# Commands and options


def test_every_command_is_understood():
    programs = []
    for program, arguments in commands():
        left_out = "..." in arguments
        arguments = [argument for argument in arguments if argument != "..."]
        PARSERS[program]([*arguments, *(NEEDED[program] if left_out else [])])
        programs.append(program)
    assert set(programs) == set(PARSERS)
    assert len(programs) == sum(len(re.findall(r"-m (?:train|tests)\.", text)) for text in [*COMMANDS, *INLINE])


def test_every_option_in_the_text_is_one(capsys):
    known = {program: options_of(program, capsys) for program in PARSERS}
    examples = [shlex.split(text) for text in INLINE if text.startswith("--") and "|" not in text]
    assert len(examples) > 20
    for name, *values in examples:
        programs = [program for program in PARSERS if name in known[program]]
        assert programs, name
        if values:
            PARSERS[programs[0]]([*NEEDED[programs[0]], name, *values])
    (choices,) = [text.split()[1].split("|") for text in INLINE if text.startswith("--discriminators ")]
    assert set(choices) == {"none", *DISCRIMINATOR_BRANCHES}


def test_the_presets_are_listed_with_their_numbers():
    rows = {name.strip("`"): f"{what} | {note}" for name, what, note in table("preset")}
    assert rows.keys() == {path.stem for path in train_settings.PRESETS_DIR.glob("*.toml")}
    paper, faces, blog, modern = (settings("--preset", name) for name in rows)
    assert list(rows) == ["places-256", "faces-160", "blog-64", "modern"]
    assert (
        f"{paper.resolution} px, batch {paper.train_batch_size}, {paper.max_train_steps:,} steps" in rows["places-256"]
    )
    assert settings().preset == "places-256"
    assert f"{faces.resolution} px crops, {faces.local_size} px patches" in rows["faces-160"]
    assert rows["blog-64"].startswith(f"the {blog.resolution} px variant")
    assert f"hole {blog.min_hole_size} to {blog.max_hole_size} px, alpha {blog.alpha}" in rows["blog-64"]
    assert modern.completion_steps == modern.max_train_steps and "phase 1;" in rows["modern"]
    log = (FOLDER / "LOG.md").read_text(encoding="utf-8")
    crops, minutes = re.search(r"\*\*Out came\*\*, after ([\d,]+) crops in (\d+) minutes", log).groups()
    per_hour = 60 * int(crops.replace(",", "")) / int(minutes)
    assert round(modern.max_train_steps * modern.train_batch_size / per_hour) == 3 and "three hours" in rows["modern"]


def test_the_table_of_data_names_options(capsys):
    rows = table("| folders")
    named = set(re.findall(r"`(--\w+)`", " ".join(cell for row in rows for cell in row)))
    assert named == {"--shuffle_buffer_size"} <= options_of("train.train_glcic", capsys)
    assert [row[0] for row in rows] == ["in memory", "order", "processes, workers", "resume", "a shard that ends early"]


def test_limits_are_those_of_the_code():
    assert f"A mean accuracy above {stability.TOO_STRONG} or below {stability.TOO_WEAK} over ten logged steps" in WORDS
    assert stability.LOGGED_VALUES == 10
    assert "If more than half of the first 100 are damaged" in WORDS
    assert (loading.TRIED_BEFORE_CHECK, loading.LARGEST_DAMAGED_SHARE) == (100, 0.5)
    assert "more than half of the free memory" in WORDS and memory.LARGEST_SHARE == 0.5
    batch = settings().train_batch_size
    assert f"the paper's {batch} on 8 GPUs is {batch // 8}" in WORDS
    modern = settings("--preset", "modern")
    assert f"crops of {modern.resolution} px and holes up to {modern.max_hole_size}." in WORDS


# The weights in the package


def test_the_way_to_the_weights_is_that_of_their_record():
    """Steps to the nearest hundred; what stands between the pieces is in `train/LOG.md`."""
    record = json.loads((PRETRAINED_DIR / "glcic-scenes" / "training.json").read_text())
    parts = []  # [(side of the crops, squared or absolute error, adversarial or not), steps]
    for piece in record["pieces"]:
        adversarial = piece["settings"].get("completion_steps") == 0
        kind = (piece["settings"].get("resolution", 64), piece["settings"].get("loss_type", "l2"), adversarial)
        if not parts or parts[-1][0] != kind:
            parts.append([kind, 0])
        parts[-1][1] += piece["steps"][1] - piece["steps"][0]
    shown = []
    for program, arguments in commands():
        if program == "train.train_glcic" and any("runs/scenes-" in argument for argument in arguments):
            args = train_settings.parse_args(arguments)
            kind = (args.resolution, args.loss_type, args.completion_steps == 0)
            shown.append([kind, args.max_train_steps])
            assert [name for pattern in args.train_data_dir for name in expand_braces(pattern)] == record["data"]
    assert shown == [[kind, round(steps, -2)] for kind, steps in parts]
    last = record["settings"]
    sizes = (
        f"`--resolution {last['resolution']} --max_hole_size {last['max_hole_size']} --local_size {last['local_size']}`"
    )
    assert f"The weights were last trained with {sizes}" in WORDS


def test_the_python_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mean, publish = PYTHON
    smooth, sharp = random_model(seed=1), random_model(seed=2)
    smooth.save_pretrained("runs/scenes-smooth")
    sharp.save_pretrained("runs/scenes-sharp")
    embedded = json.loads((PRETRAINED_DIR / "glcic-scenes" / "config.json").read_text())
    size = f"max_hole_size={embedded['max_hole_size']}"
    assert size in mean
    exec(mean.replace(size, "max_hole_size=10"), {})
    made = GLCICModel.from_pretrained("runs/scenes")
    assert made.max_hole_size == 10
    for ours, *theirs in zip(made.parameters(), smooth.parameters(), sharp.parameters()):
        torch.testing.assert_close(ours, torch.stack(theirs).mean(dim=0))

    made.save_pretrained("runs/mine")
    exec(publish, {})
    published = GLCICModel.from_pretrained("glcic_hub/pretrained/NAME")
    assert all(
        torch.equal(ours, theirs.half().float()) for ours, theirs in zip(published.parameters(), made.parameters())
    )
    assert (ROOT / "glcic_hub" / "pretrained").samefile(PRETRAINED_DIR)


# Which initialisation is best?


def curves() -> dict[str, list[float]]:
    """PSNR in dB by the name of the initialisation: the lines of the picture, one point for each 25 steps."""
    svg = (ROOT / "docs" / "initialisation.svg").read_text()
    axis = svg[svg.index('<g id="matplotlib.axis_2">') :]
    ticks = re.findall(r'<use [^>]* y="([\d.]+)"[^>]*/>\s*</g>\s*</g>\s*<g id="text_\d+">\s*<!-- (\d+) -->', axis)
    heights, levels = np.array(ticks, float).T
    slope, start = np.polyfit(heights, levels, 1)
    lines = re.findall(r'<path d="([^"]*)" clip-path="[^"]*" style="fill: none; stroke: #\w+; stroke-width: 1.5', svg)
    names = re.findall(r"<!-- ([a-z]+) -->", svg[svg.index('<g id="legend_1">') :])
    return {
        name: [slope * float(y) + start for y in re.findall(r"[ML] [\d.]+ ([\d.]+)", line)]
        for name, line in zip(names, lines, strict=True)
    }


def test_the_table_of_initialisations_is_that_of_the_study():
    rows = {label: figures for label, *figures in table("initialisation")}
    assert list(rows) == sorted(rows, key=lambda label: rows[label][1].strip("*"), reverse=True)
    assert set(rows) == set(LABELS.values())
    drawn = curves()
    assert drawn.keys() == LABELS.keys() == initialisation.INITIALISATIONS.keys()
    for name, label in LABELS.items():
        for cell, points in zip(rows[label], (drawn[name][1:5], drawn[name][8:12]), strict=True):
            shown = float(cell.strip("*").partition(" ± ")[0])
            # The mean of four points in dB is a little above the PSNR of the mean error, which the table has.
            assert 0 <= np.mean(points) - shown < 0.04


def test_the_study_is_the_one_that_is_described():
    (arguments,) = [arguments for program, arguments in commands() if program == "train.compare_initialisations"]
    args = compare_initialisations.make_parser().parse_args(arguments)
    assert f"{args.steps} steps of batch {args.batch}, Adam 1e-3 with a cosine, bfloat16" in WORDS
    assert (args.learning_rate, args.mixed_precision) == (1e-3, "bf16")
    assert "from six initialisations with three seeds each" in WORDS
    assert (len(args.inits), len(args.seeds)) == (6, 3)
    head = compare_initialisations.table({"identity": {"0": [1.0] * args.steps}}).splitlines()[0]
    assert head.partition("|")[2].partition("|")[2].strip(" |") in README
    blog = settings("--preset", "blog-64")
    assert f"holes of {blog.min_hole_size} to {blog.max_hole_size} px) on" in WORDS
    assert f"plus {initialisation.IDENTITY_NOISE} x Kaiming noise" in README
    starts = {name: settings("--preset", name).init for name in ("blog-64", "modern", "places-256", "faces-160")}
    assert starts == {"blog-64": "identity", "modern": "identity", "places-256": "pytorch", "faces-160": "pytorch"}
    assert "`blog-64` and `modern` start from the identity" in WORDS
    assert "The paper's presets therefore keep PyTorch's default" in WORDS
