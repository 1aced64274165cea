"""A signal ends an iteration of the loader also while it waits for a slow read."""

import signal
import subprocess
import sys

import numpy as np
import pytest

import vlstore

# The read of the middle store waits in the kernel: another process has a lease of its file, to which the kernel
# sends a signal when somebody begins to wait. That process has one thread: any that does not block it may get it.
HOLDS = """
import fcntl, signal, sys

signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGIO})
with open(sys.argv[1], "r+b") as held:
    try:
        fcntl.fcntl(held, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    except OSError as error:
        sys.exit(f"this file system has no leases: {error}")
    print("held", flush=True)
    if signal.sigtimedwait({signal.SIGIO}, 60) is not None:
        print("waited for", flush=True)
        if sys.argv[2:]:
            sys.stdin.readline()
"""
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


def run(program, *arguments):
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.Popen(command, text=True, stdin=pipe, stdout=pipe, stderr=pipe)


leases = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="leases of files are those of Linux")


@leases
@pytest.mark.parametrize("mode", ["r", "a"])
def test_a_file_of_which_a_server_has_a_lease_is_opened_when_it_gives_that_up(tmp_path, mode):
    path = tmp_path / "x.vls"
    with vlstore.open(path, "w") as store:
        store[1] = b"one"
    with run(HOLDS, path) as holder:
        if holder.stdout.readline() != "held\n":
            pytest.skip(holder.stderr.read())
        with vlstore.open(path, mode) as store:
            assert store[1] == b"one"
        assert holder.stdout.readline() == "waited for\n"


@leases
def test_ctrl_c_ends_an_iteration_while_a_read_waits(tmp_path):
    paths = [tmp_path / f"{part}.vls" for part in range(3)]
    for path in paths:
        with vlstore.open(path, "w", records="md-frame") as store:
            store.put_frames(np.zeros((50, 3, 3), "f4"))

    with run(WAITS, *paths) as child:
        assert child.stdout.readline() == "ready\n"
        with run(HOLDS, paths[1], "until told") as holder:
            if holder.stdout.readline() != "held\n":
                child.kill()
                pytest.skip(holder.stderr.read())
            child.stdin.write("\n")
            child.stdin.flush()
            assert holder.stdout.readline() == "waited for\n"
            child.send_signal(signal.SIGINT)
            said = child.stdout.readline()
            assert said == "interrupted\n", f"while the read still waits: {said}{child.stderr.read()}"
            holder.communicate("\n", timeout=60)
        out, errors = child.communicate("\n", timeout=60)
        assert (out, child.returncode) == ("150\n", 0), errors
