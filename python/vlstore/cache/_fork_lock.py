"""Locks that a child of a fork does not inherit taken."""

import os
import threading
import weakref

_all = weakref.WeakSet()


class Lock:
    """A lock of threads, also taken again by the thread that has it. A forked child gets a free one."""

    def __init__(self):
        self._lock = threading.RLock()
        _all.add(self)

    def __enter__(self):
        self._lock.acquire()
        return self

    def __exit__(self, *_):
        self._lock.release()


def _renew():
    # The threads that held them are not there.
    for lock in _all:
        lock._lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
