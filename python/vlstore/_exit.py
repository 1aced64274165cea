"""What was put is committed when a program ends in order, or by an exception, without ``close``."""

import atexit
import os
import sys

from vlstore import _core

# Registered when the package is imported: so it runs after what the program registers later.
atexit.register(_core._close_all)

_watched = 0


def watch() -> None:
    """Cover the ends that ``atexit`` does not: workers of ``multiprocessing`` that were forked."""
    global _watched
    util = sys.modules.get("multiprocessing.util")
    if util is None or _watched == os.getpid():
        return
    _watched = os.getpid()
    if sys.modules["multiprocessing.process"].parent_process() is not None:
        util.Finalize(None, _core._close_all, exitpriority=0)
