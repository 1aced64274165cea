"""Super-chunks with records that no index names, and two holders of one super-chunk."""

import pathlib
import subprocess
import sys
import warnings

import pytest

from vlstore.errors import CorruptError, ReplacedError
from vlstore.store import SChunkStore, _create_default_schunk

blosc2 = pytest.importorskip("blosc2")


def of(where, mode="a"):
    return blosc2.open(where, mode=mode)


def test_records_whose_index_was_never_saved_are_not_taken_for_an_empty_store(tmp_path):
    path = tmp_path / "a.b2frame"
    schunk = _create_default_schunk(filename=path, chunksize=1000)
    SChunkStore(location=schunk).put("a", b"x" * 2500)
    assert schunk.nchunks == 2 and "saved_lookup" not in schunk.vlmeta
    for opened in (schunk, of(path), of(path, "r")):
        with pytest.raises(CorruptError, match="saved_lookup"):
            SChunkStore(location=opened)
    # As the message says.
    schunk = of(path)
    schunk.vlmeta["saved_lookup"] = []
    with pytest.warns(RuntimeWarning, match="behind"):
        store = SChunkStore(location=schunk)
    with store:
        store["b"] = b"y" * 100
    assert bytes(of(path)[:2000]) == b"x" * 2000
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert SChunkStore(location=of(path))["b"] == b"y" * 100


def test_chunks_behind_the_saved_index_are_said(tmp_path):
    path = tmp_path / "a.b2frame"
    schunk = _create_default_schunk(filename=path, chunksize=1000)
    with SChunkStore(location=schunk, alignment="contiguous") as store:
        store["a"] = b"x" * 1500
    store["b"] = b"y" * 2200
    del store
    with pytest.warns(RuntimeWarning, match="ended before commit"):
        store = SChunkStore(location=of(path))
    assert list(store) == ["a"]
    with pytest.warns(RuntimeWarning, match="no index"):
        SChunkStore(location=blosc2.SChunk(chunksize=1000, data=b"x" * 1000, cparams={"typesize": 1}))


@pytest.mark.parametrize("where", ["memory", "file", "folder"])
def test_a_holder_that_is_not_up_to_date_says_so(tmp_path, where):
    path = None if where == "memory" else tmp_path / "a.b2frame"
    made = _create_default_schunk(filename=path, chunksize=1000, contiguous=where != "folder")
    with SChunkStore(location=made) as store:
        store["first"] = b"f" * 10
    second = made if path is None else of(path)
    one, other = SChunkStore(location=made), SChunkStore(location=second)
    one["one"] = b"1" * 400
    other["other"] = b"2" * 400
    assert one["one"] == b"1" * 400 and other["other"] == b"2" * 400
    one.commit()
    for use in (
        lambda: other["other"], lambda: other["first"], lambda: other.put("more", b"x"),
        lambda: other.fused_get(["first"]), other.commit, lambda: other.disown("first"),
    ):
        with pytest.raises(ReplacedError, match="open it again"):
            use()
    assert one["one"] == b"1" * 400
    again = SChunkStore(location=made if path is None else of(path))
    assert list(again) == ["first", "one"] and again["one"] == b"1" * 400
    # One that only reads may be closed.
    reader = SChunkStore(location=made if path is None else of(path))
    again["two"] = b"3" * 10
    again.close()
    reader.close()
    with pytest.raises(ReplacedError):
        reader["one"]


def test_what_another_process_wrote_is_noticed(tmp_path):
    path = tmp_path / "a.b2frame"
    with SChunkStore(location=_create_default_schunk(filename=path, chunksize=1000)) as store:
        store["a"] = b"x" * 10
    here = SChunkStore(location=of(path))
    assert here["a"] == b"x" * 10
    program = (
        "import sys, blosc2; from vlstore.store import SChunkStore\n"
        "with SChunkStore(location=blosc2.open(sys.argv[1], mode='a')) as s: s['b'] = b'y' * 3000\n"
    )
    subprocess.run([sys.executable, "-c", program, str(path)], check=True)
    with pytest.raises(ReplacedError):
        here["a"]
    # Other metadata is no change of the records.
    here = SChunkStore(location=of(path))
    somebody = of(path)
    somebody.vlmeta["comment"] = "by somebody"
    assert here["b"] == b"y" * 3000
    pathlib.Path(path).unlink()
    with pytest.raises(ReplacedError):
        here["b"]
