"""Python in a process of its own."""

import subprocess
import sys


def fresh_python(*arguments: str) -> subprocess.CompletedProcess:
    """Run a new interpreter with these arguments and keep what it prints.

    Raises:
        RuntimeError: it failed; the message has the last line of its stderr.
    """
    process = subprocess.run([sys.executable, *arguments], capture_output=True, text=True)
    if process.returncode:
        last = (process.stderr.strip().splitlines() or [f"exit status {process.returncode}"])[-1]
        raise RuntimeError(f"python {' '.join(arguments)}: {last}")
    return process
