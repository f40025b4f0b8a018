"""The longer run: its table, its exit code, and that nothing stops it."""

import multiprocessing
from collections import Counter

from tests.hostile import fuzz
from tests.hostile.kinds import KINDS


def test_a_run_counts_every_kind(capsys):
    assert fuzz.main(["--minutes", "0", "--seed", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("|")[0].strip() for line in lines] == ["kind", *KINDS, "all"]
    assert [int(line.split("|")[1]) for line in lines[1:]] == [1] * len(KINDS) + [len(KINDS)]


def test_the_table_adds_up():
    endings = {"a": Counter({"exit 0": 2, "FAILED": 1}), "bc": Counter({"exit 2": 10})}
    assert fuzz.table(endings).splitlines() == [
        "kind | tried | FAILED | exit 0 | exit 2",
        "   a |     3 |      1 |      2 |      0",
        "  bc |    10 |      0 |      0 |     10",
        " all |    13 |      1 |      2 |     10",
    ]


def test_a_process_that_hangs_is_ended_and_counted(monkeypatch, capsys):
    """It takes seconds to import PyTorch."""
    monkeypatch.setattr(fuzz, "PATIENCE", 0.2)
    assert fuzz.main(["--seed", "4", "--only", "t7", "array", "--number", "7"]) == 1
    said = capsys.readouterr().out
    assert '--seed 4 --only "array" --number 7\nFAILED: hangs for 0.2 seconds\n' in said
    assert said.splitlines()[-1].split() == ["all", "|", "2", "|", "2"]
    assert multiprocessing.active_children() == []


def test_a_process_that_dies_is_counted():
    runner = fuzz.Runner(seed=0)
    runner.start()
    runner.process.kill()
    assert runner.attempt("t7", 0) == "FAILED: ended the process with code -9"
    assert multiprocessing.active_children() == []
