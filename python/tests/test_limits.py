"""What there is no memory for is a MemoryError, not the end of the interpreter."""

import subprocess
import sys

import numpy as np
import pytest

import vlstore

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits are those of Linux")

LITTLE = """
import resource, sys
import vlstore

stores = {name: vlstore.open(f"{sys.argv[1]}/{name}", records="auto", threads=2)
          for name in ("huge", "many", "frames")}
held = int(next(l for l in open("/proc/self/status") if l.startswith("VmSize")).split()[1]) << 10
resource.setrlimit(resource.RLIMIT_AS, (held + (300 << 20), resource.RLIM_INFINITY))


def refused(what, call):
    try:
        call()
    except MemoryError:
        return
    raise SystemExit(f"{what}: no MemoryError")


huge, many, frames = stores["huge"], stores["many"], stores["frames"]
refused("get", lambda: huge["huge"])
refused("at", lambda: huge.at[0])
refused("a batch", lambda: many.get_batch(range(60)))
refused("frames", lambda: frames.at.batch(range(8)))
refused("arrays", lambda: frames.at.arrays(range(8)))
assert len(many[3]) == 10 << 20
print("well")
"""


def test_where_there_is_no_memory_python_says_so(tmp_path):
    with vlstore.open(tmp_path / "huge", "w") as store:
        store["huge"] = bytes(1 << 29)
    with vlstore.open(tmp_path / "many", "w") as store:
        for i in range(60):
            store[i] = bytes([i]) * (10 << 20)
    with vlstore.open(tmp_path / "frames", "w", records="md-frame") as store:
        store.put_frames(np.zeros((8, 6_000_000, 3), np.float32))
    done = subprocess.run(
        [sys.executable, "-c", LITTLE, str(tmp_path)], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "well\n"), done.stderr[-2000:]
