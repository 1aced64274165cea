"""A signal ends an iteration of the loader also while it waits for a slow read."""

import signal
import subprocess
import sys

import numpy as np
import pytest

import vlstore

# The read of the middle store waits in the kernel: another process has a lease of its file.
WAITS = """
import sys
from vlstore.loader import Loader

loader = Loader(sys.argv[1:], batch_size=8, max_open=1)
print("ready", flush=True)
sys.stdin.readline()
try:
    for batch in loader:
        print("batch", flush=True)
except KeyboardInterrupt:
    print("interrupted", flush=True)
    sys.stdin.readline()
# What was left behind does no harm to what comes after it.
print(sum(len(batch.ordinals) for batch in loader), flush=True)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="leases of files are those of Linux")
def test_ctrl_c_ends_an_iteration_while_a_read_waits(tmp_path):
    import fcntl

    paths = [tmp_path / f"{part}.vls" for part in range(3)]
    for path in paths:
        with vlstore.open(path, "w", records="md-frame") as store:
            store.put_frames(np.zeros((50, 3, 3), "f4"))
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGIO})
    child = subprocess.Popen(
        [sys.executable, "-c", WAITS, *map(str, paths)], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        with child, open(paths[1], "r+b") as held:
            assert child.stdout.readline() == "ready\n"
            try:
                fcntl.fcntl(held, fcntl.F_SETLEASE, fcntl.F_WRLCK)
            except OSError as error:
                child.kill()
                pytest.skip(f"this file system has no leases: {error}")
            child.stdin.write("\n")
            child.stdin.flush()
            # Sent to the holder of the lease when somebody begins to wait for it.
            assert signal.sigtimedwait({signal.SIGIO}, 60) is not None
            child.send_signal(signal.SIGINT)
            assert child.stdout.readline() == "interrupted\n", "while the read still waits"
            fcntl.fcntl(held, fcntl.F_SETLEASE, fcntl.F_UNLCK)
            out, _ = child.communicate("\n", timeout=60)
            assert out == "150\n" and child.returncode == 0
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGIO})
