"""A Hub on 127.0.0.1 and true clients, each in a process of its own."""

import json
import subprocess
import sys

import pytest

from tests.hub.clients import MAKE, folder_of
from tests.hub.loopback_hub import LoopbackHub

PROLOGUE = """
import json
report = {}

def error_of(function, *args, **kwargs):
    try:
        function(*args, **kwargs)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "no error"
"""
EPILOGUE = "\nprint(json.dumps(report))\n"


@pytest.fixture(scope="session")
def hub(tmp_path_factory):
    with LoopbackHub(tmp_path_factory.mktemp("hub") / "objects") as running:
        yield running


@pytest.fixture(scope="session")
def client(hub):
    """`client(code, home=...)` runs code that talks to the Hub; what it puts into `report` comes back.

    `home` names the folder of the cache: with the same name it is the same user's next process. `anonymous` sends no
    token; further keywords go into the environment. In the code, `error_of(function, ...)` is "ErrorName: message".
    """

    def run(code, home, anonymous=False, **env):
        folder = folder_of(hub, home)
        done = subprocess.run(
            [sys.executable, "-c", PROLOGUE + code + EPILOGUE],
            env=hub.env(folder, anonymous) | {"OMP_NUM_THREADS": "1"} | env,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        *printed, report = done.stdout.splitlines()
        assert printed == [], "loading and saving leave stdout alone"
        return json.loads(report)

    return run


@pytest.fixture(scope="session")
def command(hub):
    """`command(program, *args, home=...)` runs a program that talks to the Hub, to its end; see `client`."""

    def run(*args, home, anonymous=False, code=0, **env):
        folder = folder_of(hub, home)
        env = hub.env(folder, anonymous) | env
        done = subprocess.run(list(map(str, args)), env=env, cwd=folder, capture_output=True, text=True, timeout=120)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


@pytest.fixture(scope="session")
def pushed(hub, client):
    """The repositories tester/model and tester/pipe: at the tag v1 the bias is 1, later 1/3 in both variants."""
    client(
        MAKE
        + """
from huggingface_hub import create_tag
from glcic_hub import GLCICPipeline

make(1).push_to_hub("tester/model")
GLCICPipeline(make(1)).push_to_hub("tester/pipe")
for name in ("tester/model", "tester/pipe"):
    create_tag(name, tag="v1")
make(1/3).push_to_hub("tester/model")
make(1/3).half().save_pretrained("half", variant="fp16", push_to_hub=True, repo_id="tester/model")
GLCICPipeline(make(1/3)).push_to_hub("tester/pipe")
GLCICPipeline(make(1/3).half()).push_to_hub("tester/pipe", variant="fp16")
""",
        home="author",
    )
    return hub
