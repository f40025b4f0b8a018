"""Work done by somebody whom permissions bind: root, as whom continuous integration often runs, may do everything."""

import os
import sys
import tempfile
import traceback
from collections.abc import Callable

NOBODY = 65534


def without_privileges(work: Callable[[], int]) -> tuple[int, str]:
    """Exit code that `work` returns and what it says on stderr, in a child that is nobody where we are root."""
    with tempfile.TemporaryFile("w+") as messages:
        child = os.fork()
        if child == 0:
            code = 99
            try:
                sys.stderr = messages
                if os.geteuid() == 0:
                    os.setgroups([])
                    os.setgid(NOBODY)
                    os.setuid(NOBODY)
                code = work()
            except BaseException:  # noqa: BLE001 - the child must not go on with the tests
                traceback.print_exc(file=messages)
            finally:
                messages.flush()
                os._exit(code)
        status = os.waitpid(child, 0)[1]
        messages.seek(0)
        return os.waitstatus_to_exitcode(status), messages.read()
