"""What was wrong in the original program is right here: a test for each row of the table in
docs/from-the-original.md."""

import importlib.util
import os
import pathlib
import random
import re
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from vlstore.errors import CorruptError, ReplacedError
from vlstore.loader import BlockShuffleBatch
from vlstore.serialize import BackedAtomicData, flatfloatndarray_codec
from vlstore.store import Depot, SChunkStore, _create_default_schunk

# Many tests end without closing their store.
pytestmark = pytest.mark.filterwarnings("ignore:a store was dropped:RuntimeWarning")

HAS_BLOSC2 = importlib.util.find_spec("blosc2") is not None
PAGE = pathlib.Path(__file__).parents[2] / "docs" / "from-the-original.md"


def memory_store():
    return SChunkStore()


def super_chunk_store():
    pytest.importorskip("blosc2")
    return SChunkStore(location=_create_default_schunk())


@pytest.fixture(params=[memory_store, super_chunk_store])
def store(request):
    return request.param()


def frame(n=3, **changes):
    values = {
        "name": "f",
        "atom_types": list(range(n)),
        "masses": [1.0] * n,
        "nsites": n,
        "positions": np.arange(3 * n, dtype=np.float32).reshape(n, 3),
        "forces": np.ones((n, 3), dtype=np.float32),
    }
    return BackedAtomicData.from_values(**(values | changes))


def numbers(count, chunksize=256, start=0):
    """A depot of one-number arrays, a few to a chunk; number i under the key i."""
    depot = Depot(codec=flatfloatndarray_codec, backing=SChunkStore(chunksize=chunksize))
    for i in range(start, count):
        depot.put(i, np.full(12, i, dtype=np.float32))
    return depot


def served(loader):
    return [int(array[0]) for batch in loader for array in batch]


def test_each_row_of_the_table_has_its_test():
    rows = re.findall(r"^\| `(\w+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) > 20
    tests = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    assert set(rows) == tests - {"each_row_of_the_table_has_its_test"}


def test_deleting_by_key(store):
    store["a"], store["b"] = b"first", b"second"
    del store["a"]
    assert "a" not in store.lookup and store["b"] == b"second" and len(store) == 1
    with pytest.raises(KeyError):
        del store["a"]


def test_keys(store):
    store["b"], store[1], store[b"a"] = b"x", b"y", b"z"
    assert list(store.keys()) == ["b", 1, b"a"] == list(Depot(flatfloatndarray_codec, store).keys())
    assert 1 in store.keys() and 2 not in store.keys()


def test_order_of_a_batch():
    depot = numbers(20)
    asked = [7, 0, 19, 3, 7]
    assert [int(a[0]) for a in depot.fused_get(asked)] == asked
    buffer = bytearray(depot.fused_buffer_size(asked))
    assert [int(a[0]) for a in depot.fused_get(asked, buffer=buffer)] == asked


def test_refused_overwrite(store):
    store["a"] = b"the old value"
    for wrong in (b"", "text", None, 5, np.zeros((4, 4))[:, 1]):
        with pytest.raises((ValueError, TypeError)):
            store["a"] = wrong
        assert store["a"] == b"the old value"
    with pytest.raises(ValueError, match="already"):
        store.put("a", b"a new value", overwrite=False)
    assert store["a"] == b"the old value"


def test_exact_fit(tmp_path):
    for location in (None, tmp_path / "a.vls"):
        with SChunkStore(location=location, chunksize=1000) as store:
            for key in "abc":
                store[key] = key.encode() * 500
            assert [place.start for place in store.locations] == [0, 500, 1000]


def test_index_never_saved():
    pytest.importorskip("blosc2")
    schunk = _create_default_schunk(chunksize=1000)
    SChunkStore(location=schunk).put("a", bytes(range(250)) * 8)
    with pytest.raises(CorruptError, match="saved_lookup"):
        SChunkStore(location=schunk)


def test_two_holders():
    pytest.importorskip("blosc2")
    schunk = _create_default_schunk(chunksize=1000)
    one, two = SChunkStore(location=schunk), SChunkStore(location=schunk)
    one["one"], two["two"] = b"1" * 10, b"2" * 10
    one.commit()
    for use in (two.commit, lambda: two["two"]):
        with pytest.raises(ReplacedError, match="open it again"):
            use()
    assert one["one"] == b"1" * 10 and list(SChunkStore(location=schunk)) == ["one"]


def test_keys_that_cannot_be_saved(store):
    store["a"] = b"fine"
    for wrong in (None, 1.5, True, ("a", 1), object(), frozenset()):
        with pytest.raises(TypeError, match="key"):
            store.put(wrong, b"value")
        assert wrong not in store.lookup
    for wrong in (1 << 64, -(1 << 63) - 1, "\ud800"):
        with pytest.raises(ValueError):
            store.put(wrong, b"value")
    store.put(np.int64(3), b"a number of NumPy")
    store.close()
    assert list(SChunkStore.from_bytes(store.to_bytes()).keys()) == ["a", 3]


def test_index_between_closes(tmp_path):
    path = tmp_path / "killed.vls"
    program = (
        "import os, sys\n"
        "from vlstore.store import SChunkStore\n"
        "store = SChunkStore(location=sys.argv[1])\n"
        "for i in range(100): store.put(i, os.urandom(1 << 17))\n"
        "store.put('last', b'value')\n"
        "if sys.argv[2] == 'commit': store.commit()\n"
        "os._exit(1)\n"
    )
    subprocess.run([sys.executable, "-c", program, path, "none"], check=False)
    # More than 8 MiB were put, so most were committed without being asked for.
    assert len(SChunkStore(location=path)) >= 64
    path.unlink()
    subprocess.run([sys.executable, "-c", program, path, "commit"], check=False)
    store = SChunkStore(location=path)
    assert len(store) == 101 and store["last"] == b"value"


def test_adding_to_a_reopened_file(tmp_path):
    path = tmp_path / "twice.vls"
    with SChunkStore(location=path) as store:
        store["a"] = b"first"
    with SChunkStore(location=path) as store:
        assert not store.read_only
        store["b"] = b"second"
        assert store["a"] == b"first"
    store.put("c", b"after close, it opens itself again")
    store.close()
    assert list(SChunkStore(location=path).keys()) == ["a", "b", "c"]


def test_closing_a_reopened_file(tmp_path):
    path = tmp_path / "twice.vls"
    SChunkStore(location=path).close()
    store = SChunkStore(location=path)
    store.close()
    store.close()
    assert len(store) == 0
    with Depot(codec=flatfloatndarray_codec, backing=path) as depot:
        depot.close()


def test_used_super_chunk(tmp_path):
    blosc2 = pytest.importorskip("blosc2")
    for where in (None, tmp_path / "used.b2frame"):
        schunk = _create_default_schunk(filename=where, chunksize=1000)
        with SChunkStore(location=schunk, alignment="contiguous") as store:
            store["a"], store["b"] = b"a" * 700, b"b" * 700
        with SChunkStore(location=schunk, alignment="contiguous") as store:
            assert store["a"] == b"a" * 700
            store["c"] = b"c" * 900
        again = SChunkStore(location=schunk)
        assert [again[k][:1] * len(again[k]) == again[k] for k in "abc"] == [True] * 3
        # What the index does not know is not overwritten either.
        other = blosc2.SChunk(chunksize=1000, cparams={"typesize": 1}, data=b"x" * 2000)
        with pytest.warns(RuntimeWarning, match="no index"):
            SChunkStore(location=other)["a"] = b"value"
        assert other.decompress_chunk(0) == other.decompress_chunk(1) == b"x" * 1000
    assert SChunkStore(location=where)["b"] == b"b" * 700


def test_in_memory_reopened(store):
    store["a"] = b"value"
    again = SChunkStore.from_bytes(store.to_bytes())
    assert again["a"] == b"value"
    again["b"] = b"more"
    assert list(again) == ["a", "b"] and list(store) == ["a"]


def test_index_beyond_the_data(tmp_path):
    pytest.importorskip("blosc2")
    for bad in (("a", 500, 1500), ("a", 90_000, 90_010), ("a", 10, 5), ("a", -5, 5)):
        path = tmp_path / "bad.b2frame"
        path.unlink(missing_ok=True)
        schunk = _create_default_schunk(filename=path, chunksize=1000)
        schunk.append_data(bytes(1000))
        schunk.vlmeta["saved_lookup"] = [("fine", 0, 10), bad]
        with pytest.raises(CorruptError):
            SChunkStore(location=schunk)
        with pytest.raises(CorruptError):
            SChunkStore(location=path)["a"]


def test_chunk_size_and_type_size(tmp_path):
    path = tmp_path / "never.vls"
    for wrong in ({"chunksize": 1001, "cparams": {"typesize": 4}}, {"chunksize": 0},
                  {"chunksize": 4000, "cparams": {"typesize": 3}}):
        with pytest.raises(ValueError, match="chunk ?size"):
            SChunkStore(location=path, **wrong)
        assert not path.exists()
    with pytest.raises(TypeError):
        SChunkStore(location=path, chunksize=1000.5)
    assert not path.exists()
    if HAS_BLOSC2:
        with pytest.raises(ValueError, match="type size"):
            _create_default_schunk(chunksize=1001, cparams={"typesize": 4})


def test_unknown_alignment(tmp_path):
    path = tmp_path / "never.vls"
    with pytest.raises(ValueError, match="no_cross.*contiguous.*start"):
        SChunkStore(location=path, alignment="aligned")
    assert not path.exists()


def test_out_that_is_immutable(store):
    store["a"] = b"value"
    target = bytes(5)
    for call in (lambda: store.get("a", out=target), lambda: store.fused_get(["a"], out=target)):
        with pytest.raises(TypeError, match="read-only"):
            call()
    assert target == bytes(5)


def test_presorted_but_unsorted(store):
    for i in range(5):
        store[i] = bytes([i + 65]) * 10
    buffer, slices = store.fused_get([3, 0, 2], presorted=True)
    assert [buffer[s] for s in slices] == [b"D" * 10, b"A" * 10, b"C" * 10]
    assert store.fused_size([3, 0], presorted=True) == 40 == len(buffer)


def test_no_keys(store):
    store["a"] = b"value"
    assert store.fused_get([]) == (b"", []) and store.fused_size([]) == 0
    assert Depot(flatfloatndarray_codec, store).fused_get([]) == []


def test_one_shot_iterators(store):
    depot = Depot(codec=flatfloatndarray_codec, backing=store)
    for i in range(5):
        depot.put(i, np.full(3, i, dtype=np.float32))
    assert [int(a[0]) for a in depot.fused_get(iter([4, 1]))] == [4, 1]
    assert [int(a[0]) for a in depot.fused_get(i for i in range(3))] == [0, 1, 2]
    assert store.fused_size(iter([0, 1])) == 24 and len(store.fused_get(iter([0, 1]))[1]) == 2


def test_put_get_pairs(tmp_path):
    path = tmp_path / "pairs.vls"
    store = SChunkStore(location=path)
    store.commit()
    before = path.stat().st_size
    for i in range(200):
        store[i] = random.Random(i).randbytes(1000)
        assert store[i] == random.Random(i).randbytes(1000)
    assert path.stat().st_size == before
    store.close()
    if HAS_BLOSC2:
        schunk = _create_default_schunk(chunksize=10_000)
        store = SChunkStore(location=schunk)
        for i in range(25):
            store[i] = bytes([i]) * 1000
            assert store[i] == bytes([i]) * 1000
        # Only those that are full.
        assert schunk.nchunks == 2


def test_memory_of_an_open_store(tmp_path):
    path, size = tmp_path / "large.vls", 16 << 20
    with SChunkStore(location=path, chunksize=size) as store:
        store["a"] = b"value"
    statm = pathlib.Path("/proc/self/statm")
    if statm.exists():
        def used():
            return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

        before = used()
        stores = [SChunkStore(location=path) for _ in range(20)]
        assert all(store["a"] == b"value" for store in stores)
        assert used() - before < 1.5 * size * len(stores)
    if HAS_BLOSC2:
        schunk = _create_default_schunk(chunksize=size)
        tracemalloc.start()
        store = SChunkStore(location=schunk)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
        store["a"] = b"value"
        assert tracemalloc.get_traced_memory()[1] < 2 * size
        tracemalloc.stop()


def test_far_records(tmp_path):
    with SChunkStore(location=tmp_path / "a.vls", chunksize=1 << 20) as store:
        for i in range(4):
            store[i] = bytes([i]) * 1000
            store[f"between {i}"] = bytes(1 << 19)
    buffer, slices = store.fused_get([3, 0])
    assert [buffer[place] for place in slices] == [bytes([3]) * 1000, bytes(1000)]
    assert len(buffer) == 2000


def test_a_bad_frame_and_the_next():
    for wrong in ({"name": None}, {"masses": ["x"] * 3}, {"atom_types": [1, 2, None]},
                  {"positions": np.zeros(9)}, {"atom_types": [1 << 40, 0, 0]}):
        with pytest.raises((ValueError, TypeError)):
            frame(**wrong)
        assert frame().n_sites == 3


def test_components_per_site():
    flat = np.zeros((3, 2), dtype=np.float32)
    with pytest.raises(ValueError, match=r"\(3, 3\)"):
        frame(positions=flat, forces=flat)


def test_lengths_of_types_and_masses():
    for wrong in ({"atom_types": [1, 2]}, {"masses": [1.0] * 4}, {"nsites": 4},
                  {"forces": np.zeros((4, 3))}):
        with pytest.raises(ValueError):
            frame(**wrong)
        with pytest.raises(ValueError):
            frame(check=False, **wrong)


def test_the_callers_meta(tmp_path):
    meta = {"project": "test", b"key": b"\x00\xff"}
    path = tmp_path / "meta.vls"
    SChunkStore(location=path, meta=meta).close()
    assert meta == {"project": "test", b"key": b"\x00\xff"}
    assert SChunkStore(location=path).meta == {"project": "test", "key": b"\x00\xff"}
    if HAS_BLOSC2:
        meta = {"project": "test"}
        assert SChunkStore(location=_create_default_schunk(meta=meta)).meta == meta
        assert meta == {"project": "test"}


@pytest.mark.parametrize("typesize", [1, 4, 8])
def test_kind_of_a_value(typesize):
    stores = [SChunkStore(cparams={"typesize": typesize}, chunksize=1024)]
    if HAS_BLOSC2:
        schunk = _create_default_schunk(chunksize=1024, cparams={"typesize": typesize})
        stores.append(SChunkStore(location=schunk, alignment="contiguous"))
    for store in stores:
        for i in range(1, 200):
            store[i] = bytes([i]) * i
        store.close()
        for method in ("slice", "chunk"):
            values = [store.get(i, method=method) for i in range(1, 200)]
            assert all(type(v) is bytes for v in values)
            assert values == [bytes([i]) * i for i in range(1, 200)]
        assert type(store.fused_get([3, 7])[0]) is bytes
        out = bytearray(50)
        assert store.get(30, out=out) is out and out == bytes([30]) * 30 + bytes(20)


@pytest.mark.parametrize("merge", [True, False])
@pytest.mark.parametrize("shuffle", [True, False])
def test_loader_of_one_chunk(merge, shuffle):
    loader = BlockShuffleBatch(3, 2, numbers(5), shuffle=shuffle, end_block_merge=merge)
    assert sorted(served(loader)) == list(range(5))
    assert len(loader) == 3


@pytest.mark.parametrize("merge", [True, False])
def test_loader_of_an_empty_store(merge):
    loader = BlockShuffleBatch(3, 2, numbers(0), end_block_merge=merge)
    assert list(loader) == [] == list(loader.stream()) and loader.key_groups() == []


@pytest.mark.parametrize("merge", [True, False])
def test_loader_after_emptied_chunks(merge):
    depot = numbers(40)
    for i in [*range(12), 20]:
        depot.backing.disown(i)
    loader = BlockShuffleBatch(2, 3, depot, end_block_merge=merge)
    wanted = [i for i in range(12, 40) if i != 20]
    for _ in range(3):
        assert sorted(served(loader)) == wanted


def test_loader_left_early():
    loader = BlockShuffleBatch(2, 3, numbers(40))
    for batch in loader:
        break
    assert len(batch) == 3
    assert sorted(served(loader)) == list(range(40))
    pairs = list(zip(loader, loader, strict=True))
    for side in (0, 1):
        assert sorted(int(a[0]) for pair in pairs for a in pair[side]) == list(range(40))


def test_list_of_a_loader():
    depot = numbers(100)
    depot.recycle_buffer = True
    loader = BlockShuffleBatch(1, 4, depot, n_buffers=1)
    batches = list(loader)
    arrays = [array for batch in batches for array in batch]
    assert all((array == array[0]).all() for array in arrays)
    assert sorted(int(array[0]) for array in arrays) == list(range(100))
