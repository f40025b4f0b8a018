"""A Hub on 127.0.0.1 and true clients, each in a process of its own."""

import json
import subprocess
import sys

import pytest

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
def client(hub, tmp_path_factory):
    """`client(code, home=...)` runs code that talks to the Hub; what it puts into `report` comes back.

    `home` names the folder of the cache: with the same name it is the same user's next process. `anonymous` sends no
    token; further keywords go into the environment. In the code, `error_of(function, ...)` is "ErrorName: message".
    """
    homes = tmp_path_factory.mktemp("homes")

    def run(code, home, anonymous=False, **env):
        folder = homes / home
        folder.mkdir(exist_ok=True)
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
