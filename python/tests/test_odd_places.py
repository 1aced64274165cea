"""Stores where files are not as usual: no locks, names that are not text, read-only media."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

import vlstore

SOURCE = pathlib.Path(__file__).parents[2] / "tests" / "shim" / "system.c"


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    """The calls of ``tests/shim/system.c`` as a library to load first."""
    if sys.platform != "linux" or shutil.which("cc") is None or not SOURCE.exists():
        pytest.skip("needs Linux, a C compiler `cc` and the sources of the tests")
    library = tmp_path_factory.mktemp("shim") / "shim.so"
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-O1", "-o", library, SOURCE], check=True
    )
    return library


WRITE = """
import sys, warnings, vlstore
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    with vlstore.open(sys.argv[1], "w") as store:
        store["k"] = b"some bytes"
    with vlstore.open(sys.argv[1]) as store:
        assert store["k"] == b"some bytes"
print([(w.category.__name__, str(w.message)) for w in caught])
"""


def said(shim, path, **variables):
    env = dict(os.environ, LD_PRELOAD=str(shim), **variables)
    done = subprocess.run(
        [sys.executable, "-c", WRITE, str(path)],
        env=env,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


def test_where_no_locks_are_kept_a_writer_warns_and_a_reader_does_not(shim, tmp_path):
    told = said(shim, tmp_path / "kv.vls", SHIM_NO_LOCKS="1")
    assert told.count("RuntimeWarning") == 1
    assert "has no locks" in told and "kv.vls" in told
    assert said(shim, tmp_path / "other.vls").strip() == "[]"


@pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX alone")
def test_names_that_are_not_text_are_as_good_as_others(tmp_path):
    path = os.fsdecode(os.path.join(os.fsencode(tmp_path), b"caf\xe9 \xff.vls"))
    for way in (path, pathlib.Path(path)):
        with vlstore.open(way, "w") as store:
            store["k"] = b"some bytes"
        with vlstore.open(way) as store:
            assert store["k"] == b"some bytes"
    assert b"caf\xe9 \xff.vls" in os.listdir(os.fsencode(tmp_path))
    with pytest.raises(FileNotFoundError):
        vlstore.open(path + "\udcfe")
