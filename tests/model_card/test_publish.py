"""Repositories on a Hub of this machine: published once, loaded by every route that the card and the README name."""

import os
import re
import shlex
import sys

import numpy as np
import pytest
from PIL import Image

from glcic_hub import GLCICPipeline
from model_card import publish
from tests.model_card.conftest import REPO_ID, ROOT

PUBLISH = """
import contextlib, io, sys
from model_card import publish

def printed(*args):
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        publish.main(list(args))
    return output.getvalue().splitlines()
"""
HIDE_THE_PACKAGE = """
import sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "glcic_hub":
            raise ModuleNotFoundError(f"{name} is hidden", name=name)

sys.meta_path.insert(0, Hidden())
report["package"] = error_of(__import__, "glcic_hub")
"""
PIXELS = """
import hashlib
import numpy as np
from PIL import Image

def pixels(picture):
    return hashlib.sha256(np.asarray(picture).tobytes()).hexdigest()
"""
NO_PACKAGE = "ModuleNotFoundError: glcic_hub is hidden"


@pytest.fixture(scope="module")
def published(hub, client, tiny):
    """What the calls printed: a dry run, the publication, the same again, and after changes on the Hub."""
    report = client(
        PUBLISH
        + f"""
arguments = ["--model", {str(tiny)!r}, "--output_dir", "out", "--repo_id", {REPO_ID!r}]
report["dry"] = printed(*arguments)
report["first"] = printed(*arguments, "--yes")
report["again"] = printed(*arguments, "--yes")

from huggingface_hub import CommitOperationAdd, HfApi
added = [CommitOperationAdd(path, b"x") for path in ("notes.md", "samples/old.png", "completion_network/old.bin")]
HfApi().create_commit({REPO_ID!r}, added, commit_message="By hand")
report["repaired"] = printed(*arguments, "--yes")
report["last"] = printed(*arguments, "--yes")
""",
        home="publisher",
        PYTHONPATH=str(ROOT),
    )
    return report


@pytest.fixture(scope="module")
def wanted(built, tiny):
    """What the package makes of the first sample."""
    samples = [Image.open(built["main"] / "samples" / f"coffee-{part}.png") for part in ("before", "mask")]
    picture = np.asarray(GLCICPipeline.from_pretrained(tiny)(*samples).images[0])
    names = {}
    exec(PIXELS, names)
    return names["pixels"](picture)


def blocks(text, language):
    return [part.split("```")[0] for part in text.split(f"```{language}\n")[1:]]


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_both_branches_are_what_was_built(published, hub, built):
    extra = {"notes.md": b"x"}
    assert hub.files(REPO_ID) == contents(built["main"]) | extra
    assert {**extra, **hub.files(REPO_ID, "remote-code")} == contents(built["remote-code"]) | extra


def test_nothing_leaves_without_yes(published):
    assert published["dry"][-1] == f"Nothing was uploaded. With --yes, this goes to {REPO_ID}."
    assert any(line.endswith("  completion_network/model.fp16.safetensors") for line in published["dry"])
    assert "main: " in published["first"][-2] and "/commit/" in published["first"][-2]
    assert "/commit/" in published["first"][-1]


def test_a_second_call_makes_no_commit(published, hub):
    unchanged = ["main: nothing has changed", "remote-code: nothing has changed"]
    assert published["again"][-2:] == published["last"][-2:] == unchanged
    assert "/commit/" in published["repaired"][-2] and published["repaired"][-1] == unchanged[1]
    # made, main, remote-code, by hand, repaired
    assert len(hub.repositories[REPO_ID].commits) == 5


def test_errors_are_one_sentence(tiny, tmp_path):
    with pytest.raises(SystemExit, match="model_card.publish: Repo id must"):
        publish.main(["--model", str(tiny), "--output_dir", str(tmp_path), "--repo_id", "not/a/name"])
    assert list(tmp_path.iterdir()) == []


def test_the_snippet_with_the_package(published, client, built, wanted):
    with_package, _ = blocks((built["main"] / "README.md").read_text(), "python")
    report = client(
        PIXELS
        + with_package
        + """
report["snippet"] = pixels(Image.open("completed.png"))

import torch
from diffusers import AutoPipelineForInpainting

half = GLCICPipeline.from_pretrained(repo, variant="fp16", dtype=torch.float16)  # as its comment says
report["half"] = str(half.dtype)
report["auto"] = pixels(AutoPipelineForInpainting.from_pretrained(repo)(picture, mask).images[0])
report["branch"] = pixels(GLCICPipeline.from_pretrained(repo, revision="remote-code")(picture, mask).images[0])
""",
        home="reader",
        anonymous=True,
    )
    assert report == {"snippet": wanted, "half": "torch.float16", "auto": wanted, "branch": wanted}


def test_the_snippet_without_the_package(published, client, built, wanted):
    """The card's call, its offline form, half precision, and the call with the repository as `custom_pipeline`."""
    _, without_package = blocks((built["main"] / "README.md").read_text(), "python")
    report = client(
        HIDE_THE_PACKAGE
        + PIXELS
        + without_package
        + """
report["snippet"] = pixels(Image.open("completed.png"))

import torch
from huggingface_hub import snapshot_download

branch = {"revision": "remote-code", "trust_remote_code": True}
load = DiffusionPipeline.from_pretrained
report["repository"] = pixels(load(repo, custom_pipeline=repo, **branch)(picture, mask).images[0])
half = load(repo, custom_pipeline="pipeline", dtype=torch.float16, **branch)
report["half"] = [str(half.dtype), half(picture, mask).images[0].size]
report["variant"] = error_of(load, repo, custom_pipeline="pipeline", variant="fp16", **branch)
report["untrusted"] = error_of(load, repo, custom_pipeline="pipeline", revision="remote-code")
folder = snapshot_download(repo, revision="remote-code")
report["folder"] = folder
half.completion_network.save_pretrained("saved")
report["still hidden"] = error_of(__import__, "glcic_hub")
""",
        home="stranger",
        anonymous=True,
    )
    assert report["snippet"] == report["repository"] == wanted
    assert report["half"] == ["torch.float16", [600, 400]]
    assert report["variant"].startswith("ValueError: ") and "variant=fp16" in report["variant"]
    assert report["untrusted"].startswith("ValueError: ") and "trust_remote_code=True" in report["untrusted"]
    assert report["package"] == report["still hidden"] == NO_PACKAGE

    offline = client(
        HIDE_THE_PACKAGE
        + PIXELS
        + f"""
from diffusers import DiffusionPipeline

folder = {report["folder"]!r}
pipe = DiffusionPipeline.from_pretrained(folder, custom_pipeline=folder, trust_remote_code=True)
samples = [Image.open(f"{{folder}}/samples/coffee-{{part}}.png") for part in ("before", "mask")]
report["offline"] = pixels(pipe(*samples).images[0])
""",
        home="stranger",
        anonymous=True,
        HF_HUB_OFFLINE="1",
    )
    assert offline == {"package": NO_PACKAGE, "offline": wanted}


def environment():
    """The programs of this Python come first, one core each."""
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    return {"PATH": path, "OMP_NUM_THREADS": "1"}


def test_the_commands_of_the_card(published, command, built, wanted, hub):
    (commands,) = blocks((built["main"] / "README.md").read_text(), "bash")
    command("bash", "-euc", commands, home="shell", anonymous=True, **environment())
    names = {}
    exec(PIXELS, names)
    completed = hub.objects.parent / "homes" / "shell" / "completed.png"
    assert names["pixels"](Image.open(completed)) == wanted


@pytest.mark.slow
def test_own_weights_in_five_lines(command, hub):
    """The README's lines as they stand, but for the length of the training, the size of the network and the account."""
    text = (ROOT / "model_card" / "README.md").read_text()
    lines = blocks(text[text.index("## Publish your own weights") :], "bash")[0].splitlines()
    assert len(lines) == 5
    short = (
        "--base_channels 4 --resolution 32 --min_hole_size 8 --max_hole_size 12 --local_size 16 --train_batch_size 2"
    )
    short += " --max_train_steps 2 --completion_steps 2 --mixed_precision no"
    lines[0] += " " + short
    home = hub.objects.parent / "homes" / "trainer"
    for folder, count in (("my-photos", 4), ("my-other-photos", 2)):
        (home / folder).mkdir(parents=True)
        for index in range(count):
            noise = np.random.default_rng(index).integers(0, 256, (64, 64, 3), dtype=np.uint8)
            Image.fromarray(noise).save(home / folder / f"{index}.png")
    about = home / "model_card" / "about"  # the line copies from the checkout in which it is run
    about.mkdir(parents=True)
    (about / "example.toml").write_bytes((ROOT / "model_card" / "about" / "example.toml").read_bytes())
    for line in lines:
        line = line.replace("me/mine", "tester/mine")
        env = environment() | {"PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1"}
        command(*shlex.split(line), home="trainer", **env)

    files = hub.files("tester/mine")
    card = files["README.md"].decode()
    assert "license: cc-by-4.0" in card and "| my-photos | photos of gardens that I took |" in card
    assert "2\nsteps, 4 crops" in card or "2 steps, 4 crops" in card
    assert re.search(rb"\"minutes\": \d", files["training.json"])
    assert files["completion_network/model.safetensors"] == (home / "runs" / "mine" / "model.safetensors").read_bytes()
    assert "completion_network/glcic_hub.py" in hub.files("tester/mine", "remote-code")
