"""Downloads that are cut off, refused for a while or damaged: they resume, recover, or fail with a clear error."""

import hashlib
import subprocess
import time

import pytest
import torch

from glcic_hub.model import GLCICModel
from tests.hub.clients import HF, folder_of, peer

MIB = 2**20
BLOCK = 10 * MIB  # what the clients write at a time, and resume in steps of

LOAD = """
import hashlib, os
from huggingface_hub import hf_hub_download
from safetensors.torch import save
from glcic_hub import GLCICModel

def load(name, **kwargs):
    "The digest of the loaded weights, written down as in the repository."
    model = GLCICModel.from_pretrained(name, **kwargs)
    return hashlib.sha256(save(model.state_dict(), {"format": "pt"})).hexdigest()

def path_of(name):
    return hf_hub_download(name, "model.safetensors", local_files_only=True)
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """`files(base_channels)`: the files of a model that is like no other."""

    def make(base_channels):
        folder = tmp_path_factory.mktemp("model")
        GLCICModel(base_channels).save_pretrained(folder)
        return {name: (folder / name).read_bytes() for name in ("config.json", "model.safetensors")}

    torch.manual_seed(0)
    return make


def digest(files):
    return hashlib.sha256(files["model.safetensors"]).hexdigest()


def gets(hub, name):
    """Status and range of the requests for the weights of a repository."""
    path = f"/{name}/model.safetensors"
    asked = [request for request in hub.requests if request["method"] == "GET" and request["path"].endswith(path)]
    return [(request["status"], request["range"]) for request in asked]


def test_a_dropped_download_resumes_where_it_was(hub, client, files):
    whole = files(64)
    assert len(whole["model.safetensors"]) > 23 * MIB
    hub.add_repo("tester/dropped", whole)
    hub.fault("drop", "*/tester/dropped/model.safetensors", after=22 * MIB)
    report = client(LOAD + 'report["dropped"] = load("tester/dropped")', home="dropped", anonymous=True)
    assert report == {"dropped": digest(whole)}
    assert gets(hub, "tester/dropped") == [(200, None), (206, f"bytes={2 * BLOCK}-")]


@pytest.mark.parametrize("program", ["hf", "huggingface-cli"])
def test_after_a_killed_download_the_next_one_completes(hub, command, files, program):
    """The older client continues the older file, the newer one begins again; neither leaves half a file as a whole."""
    download = [HF if program == "hf" else peer(program), "download", f"tester/killed-{program}", "model.safetensors"]
    whole = files(64)
    hub.add_repo(f"tester/killed-{program}", whole)
    fault = hub.fault("stall", f"*/killed-{program}/model.safetensors", after=BLOCK + MIB)
    home = folder_of(hub, f"killed-{program}")
    process = subprocess.Popen(
        download, env=hub.env(home), cwd=home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        assert fault.reached.wait(60)
        for _ in range(600):
            if any(path.stat().st_size == BLOCK for path in home.glob("hub/*/blobs/*.incomplete")):
                break
            time.sleep(0.1)
        else:
            pytest.fail("no part of the file was written")
    finally:
        process.kill()
        process.wait()
        fault.released.set()
    assert not list(home.glob("hub/**/model.safetensors"))

    command(*download, home=home.name)
    (path,) = home.glob("hub/**/model.safetensors")
    assert hashlib.sha256(path.read_bytes()).hexdigest() == digest(whole)
    second = (200, None) if program == "hf" else (206, f"bytes={BLOCK}-")
    assert gets(hub, f"tester/killed-{program}") == [(200, None), second]


def test_failures_are_clear_and_pass(hub, client, command, files):
    """One user's bad day: whatever went wrong, the same call works later, or with `force_download`."""
    names = ("busy", "busy-weights", "short", "cut", "flipped", "away")
    contents = {name: files(4) for name in names}
    for name in names:
        hub.add_repo(f"tester/{name}", contents[name])
    faults = [
        hub.fault("unavailable", "/tester/busy/resolve/main/config.json", method="HEAD", times=2),
        hub.fault("unavailable", "*/tester/busy-weights/model.safetensors"),
        hub.fault("truncate", "*/tester/short/model.safetensors", after=1000),
        hub.fault("corrupt", "*/tester/flipped/model.safetensors", after=50_000),
    ]
    report = client(
        LOAD
        + """
report["busy"] = load("tester/busy")

for name in ("busy-weights", "short"):
    report[name + ": error"] = error_of(load, "tester/" + name)
    report[name + ": offline"] = error_of(load, "tester/" + name, local_files_only=True)
    report[name] = load("tester/" + name)

load("tester/cut")
os.truncate(path_of("tester/cut"), 50_000)
report["cut: error"] = error_of(load, "tester/cut")
report["cut"] = load("tester/cut", force_download=True)

load("tester/away")
report["flipped: error"] = error_of(load, "tester/flipped")
""",
        home="unlucky",
    )
    assert [fault.times for fault in faults] == [0] * len(faults)
    for name in ("busy-weights", "short"):
        assert report[f"{name}: offline"].startswith("LocalEntryNotFoundError"), "nothing half is kept"
    assert report["busy-weights: error"].startswith("HfHubHTTPError")
    assert "not available at the moment" in report["busy-weights: error"]
    assert report["short: error"].startswith("OSError: Consistency check failed: file should be of size")
    assert report["cut: error"].startswith("ValueError")
    assert "damaged" in report["cut: error"] and "force_download=True" in report["cut: error"]

    # A flipped byte keeps the file's length: the hub's client does not notice, ours and `hf cache verify` do.
    assert report["flipped: error"].startswith("ValueError")
    assert "damaged" in report["flipped: error"] and "force_download=True" in report["flipped: error"]
    assert "model.safetensors" in command(HF, "cache", "verify", "tester/flipped", home="unlucky", code=1)
    # Later the Hub is away: what was loaded before is loaded from the cache, at once.
    hub.fault("unavailable", "/tester/away/*", method="HEAD", times=99)
    report |= client(
        LOAD
        + """
report["flipped"] = load("tester/flipped", force_download=True)
report["away"] = load("tester/away")
""",
        home="unlucky",
    )
    command(HF, "cache", "verify", "tester/flipped", home="unlucky")
    assert {name: report[name] for name in names} == {name: digest(contents[name]) for name in names}
    tried = [request["path"] for request in hub.requests if request["status"] == 503 and "/away/" in request["path"]]
    assert tried == [f"/tester/away/resolve/main/{file}" for file in ("config.json", "model.safetensors")]
