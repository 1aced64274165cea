"""What other processes do with caches in tests: functions that they can import."""

import os
import signal
import time

import numpy as np

from vlstore import cache
from vlstore.cache import StorageFile, cached


def table(seed):
    """Any result, the same in every process."""
    return np.random.default_rng(seed).random(500)


def store_many(path, first, count, step):
    """Stores ``count`` results of its own and reads those of others."""
    storage = cache.StorageHDF5(path) if path.endswith(".hdf5") else StorageFile(path)
    for i in range(count):
        storage.store(table(first + i * step), [first + i * step])
        assert np.array_equal(storage.retrieve([first + i * step])[0], table(first + i * step))


def call_all(path, numbers, budget=None):
    """Calls a cached function with all numbers; how often it ran."""
    calls = []

    @cached(StorageFile(path, max_bytes=budget), name="workers.table")
    def function(seed):
        calls.append(seed)
        return table(seed)

    for number in numbers:
        assert np.array_equal(function(number), table(number))
    return len(calls)


def store_until_killed(path):
    """Stores one result after the other, and kills itself in the middle of one."""
    import threading

    storage = StorageFile(path)
    process = os.getpid()
    threading.Timer(0.3, lambda: os.kill(process, signal.SIGKILL)).start()
    for i in range(10**6):
        storage.store(table(i), [i])


def compute_slowly(path, seconds):
    """A cached call that takes its time; nobody else waits for it."""

    @cached(StorageFile(path), name="workers.slow")
    def function():
        time.sleep(seconds)
        return os.getpid()

    return function()
