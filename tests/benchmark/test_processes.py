"""A process that fails says why."""

import pytest

from tests.benchmark.processes import fresh_python


def test_what_is_printed_is_kept():
    process = fresh_python("-c", "import sys; print('out'); print('err', file=sys.stderr)")
    assert process.stdout.split() == ["out"] and process.stderr.split() == ["err"]


@pytest.mark.parametrize(("code", "reason"), [("1 / 0", "ZeroDivisionError: .*"), ("exit(3)", "exit status 3")])
def test_a_failure_is_an_error_with_the_last_line(code, reason):
    with pytest.raises(RuntimeError, match=f"python -c .*: {reason}$"):
        fresh_python("-c", code)
