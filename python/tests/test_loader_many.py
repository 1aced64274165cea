"""The training loader over more stores than files may be open."""

import shutil
import subprocess
import sys

import numpy as np
import pytest

import vlstore

STORES = 600

LIMITED = """
import resource, sys
from vlstore.loader import Loader

resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))
loader = Loader(sys.argv[1], batch_size=64, seed=3, fields=["step"], window=1024, group=4)
assert "of 600 stores" in repr(loader), loader
seen = set()
for batch in loader:
    assert (batch["step"] == batch.ordinals % 4).all()
    seen.update(batch.ordinals.tolist())
print(len(seen), sorted(seen) == list(range(len(seen))))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="the limit is one of Unix")
def test_many_stores_are_loaded_with_few_open_files(tmp_path):
    first = tmp_path / "0000.vls"
    with vlstore.open(first, "w", records="md-frame") as store:
        for step in range(4):
            store[step] = vlstore.MdFrame(np.full((3, 3), float(step)), step=step)
    for number in range(1, STORES):
        shutil.copyfile(first, tmp_path / f"{number:04}.vls")
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, tmp_path], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.stdout == f"{4 * STORES} True\n", done.stderr
