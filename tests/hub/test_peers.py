"""The command lines of the Hub, of today and of before, and a server that others wrote, serving from git."""

import hashlib
import os
import socket
import subprocess
import time
import urllib.request

import pytest
import torch

from tests.hub.clients import HF, peer
from tests.hub.loopback_hub import is_large


@pytest.fixture(scope="module")
def folders(pushed, command, tmp_path_factory):
    """tester/pipe as downloaded by each of the commands; tester/uploaded is the first of them, uploaded."""
    made = {name: tmp_path_factory.mktemp(name) for name in ("hf", "huggingface-cli")}
    command(HF, "download", "tester/pipe", "--local-dir", made["hf"], home="reader-hf", anonymous=True)
    old = peer("huggingface-cli")
    command(old, "download", "tester/pipe", "--local-dir", made["huggingface-cli"], home="reader-old", anonymous=True)
    command(HF, "upload", "tester/uploaded", made["hf"], ".", home="uploader")
    return made


@pytest.fixture(scope="module")
def git_server(pushed, tmp_path_factory):
    """The address of an olah server, which is on its own: it serves tester/pipe from a git repository."""
    program = peer("olah-cli")
    folder = tmp_path_factory.mktemp("olah")
    repository = folder / "mirrors" / "models" / "tester" / "pipe"
    repository.mkdir(parents=True)
    git(repository, "init", "--quiet", "--initial-branch=main")
    for revision in ("v1", "main"):
        write(repository, pushed.files("tester/pipe", revision))
        git(repository, "add", ".")
        git(repository, "commit", "--quiet", "--message", revision)
        if revision != "main":
            git(repository, "tag", revision)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "olah.toml").write_text(f"""
[basic]
host = "127.0.0.1"
port = {port}
mirror-netloc = "127.0.0.1:{port}"
repos-path = "{folder}/cache"
mirrors-path = ["{folder}/mirrors"]

[accessibility]
offline = true
""")
    with (folder / "output").open("w") as output:
        process = subprocess.Popen(
            [program, "-c", folder / "olah.toml", "--log-path", folder / "logs"],
            cwd=folder,
            env=pushed.env(folder, anonymous=True),
            stdout=output,
            stderr=output,
        )
    try:
        wait_for(f"http://127.0.0.1:{port}/api/models/tester/pipe/revision/main", process, folder / "output")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def git(folder, *args):
    who = {f"GIT_{role}_{what}": "tester@localhost" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    env = os.environ | who | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    subprocess.run(["git", *args], cwd=folder, env=env, check=True, timeout=60)


def write(repository, files):
    """Write the files as a clone of a Hub repository has them: large ones as pointers, their contents beside."""
    for path, data in files.items():
        target = repository / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if is_large(path):
            sha256 = hashlib.sha256(data).hexdigest()
            stored = repository / ".git" / "lfs" / "objects" / sha256[:2] / sha256[2:4] / sha256
            stored.parent.mkdir(parents=True, exist_ok=True)
            stored.write_bytes(data)
            data = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {len(data)}\n".encode()
        target.write_bytes(data)


def wait_for(url, process, output):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for _ in range(300):
        assert process.poll() is None, output.read_text()
        try:
            return opener.open(url, timeout=10).close()
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"no answer from the server: {output.read_text()}")


def contents(folder):
    files = [path for path in folder.rglob("*") if path.is_file() and ".cache" not in path.parts]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_commands_bring_and_take_every_file(pushed, folders, command):
    files = pushed.files("tester/pipe")
    assert contents(folders["hf"]) == contents(folders["huggingface-cli"]) == files
    assert pushed.files("tester/uploaded") == files
    sent = len(pushed.requests)
    command(HF, "upload", "tester/uploaded", folders["hf"], ".", home="uploader")
    assert not [request for request in pushed.requests[sent:] if request["method"] == "PUT"]


def test_pipelines_load_from_the_downloads_and_from_the_other_server(pushed, folders, git_server, client):
    """One process: its Hub is the other server, which knows the repository by git alone."""
    before = len(pushed.requests)
    report = client(
        f"folders = {[str(folder) for folder in folders.values()]}"
        """
import torch
from glcic_hub import GLCICModel, GLCICPipeline

def bias(model):
    return [model.network.output.bias[0].item(), str(model.dtype)]

half = {"variant": "fp16", "dtype": torch.float16}
cases = {"main": {"revision": "main"}, "half": {"revision": "main", **half}, "v1": {"revision": "v1"}, "newest": {}}
for case, kwargs in cases.items():
    report[case] = bias(GLCICPipeline.from_pretrained("tester/pipe", **kwargs).completion_network)
report["part"] = bias(GLCICModel.from_pretrained("tester/pipe", subfolder="completion_network"))
report["folders"] = [bias(GLCICPipeline.from_pretrained(folder).completion_network) for folder in folders]
""",
        home="elsewhere",
        anonymous=True,
        HF_ENDPOINT=git_server,
    )
    full = [torch.tensor(1 / 3).item(), "torch.float32"]
    half = [torch.tensor(1 / 3).half().item(), "torch.float16"]
    wanted = {"main": full, "half": half, "v1": [1, "torch.float32"], "newest": full, "part": full}
    assert report == wanted | {"folders": [full, full]}
    assert len(pushed.requests) == before
