"""Files of the original program, and what it sees of ours."""

import tracemalloc
import warnings

import numpy as np
import pytest

import vlstore
from vlstore.serialize import BackedAtomicDataCodec
from vlstore.store import Depot, LocationIndex, SChunkStore

from test_original import TEXT, frame

blosc2 = pytest.importorskip("blosc2")

MAGIC = SChunkStore.MAGIC
KEYS = [1, "1", b"1", 0, -7, 2**63 - 1, 2**64 - 1, -(2**63), "", b"", "Ωμέγα 🧪", "k" * 70_000,
        b"\xff" * 200_000]


def original(path, records, chunk=1000, typesize=1):
    """The file that the original program leaves of these records, made as it makes it."""
    cparams = {"typesize": typesize, "codec": blosc2.Codec.ZSTD, "clevel": 1}
    schunk = blosc2.SChunk(
        chunksize=chunk, cparams=cparams, urlpath=str(path), contiguous=True, meta={"magic": MAGIC}
    )
    data, table = b"", []
    for key, value in records.items():
        start = len(data) if -len(data) % chunk > len(value) else len(data) + -len(data) % chunk
        data += bytes(start - len(data)) + value
        table.append((key, start, start + len(value)))
    data += bytes(-len(data) % chunk)
    for at in range(0, len(data), chunk):
        schunk.append_data(data[at : at + chunk])
    schunk.vlmeta["saved_lookup"] = table


class Program:
    """How the original opens a file, in its own terms; it knows no file without an index."""

    def __init__(self, path):
        self.backing = blosc2.open(str(path), mode="r")
        assert self.backing.meta["magic"] == MAGIC
        table = self.backing.vlmeta["saved_lookup"]
        self.lookup = LocationIndex.from_ordered_pairs(table, self.backing.chunksize)

    def get(self, key):
        place, unit = self.lookup[key], self.backing.typesize
        if place.start == place.end:
            return b""
        first, last = place.start // unit, -(-place.end // unit)
        cut = place.start - first * unit
        return bytes(self.backing.get_slice(first, last))[cut : cut + len(place)]

    def records(self):
        return {key: self.get(key) for key in self.lookup}


def records():
    return {key: bytes([i + 1]) * (40 * i + 1) for i, key in enumerate(KEYS)}


@pytest.fixture
def path(tmp_path):
    made = tmp_path / "original.vlstore"
    original(made, records())
    return made


def test_a_file_of_the_original_with_keys_of_every_kind_is_read_in_both_faces(path):
    for store in (SChunkStore(location=path), vlstore.open(path)):
        assert {key: bytes(store[key]) for key in store} == records()
        assert list(store.keys()) == KEYS
    assert Program(path).records() == records()


@pytest.mark.parametrize("key", KEYS, ids=lambda key: f"{type(key).__name__}-{len(str(key))}-{str(key)[:5]!a}")
def test_every_key_is_refused_replaced_and_removed_after_an_opening_for_writing(path, key):
    wanted = records()
    with vlstore.open(path, "a") as store:
        with pytest.raises(vlstore.RecordExistsError):
            store.insert(key, b"again")
        store["more"] = b"text"
        del store[key]
        assert key not in store and list(store) == [k for k in KEYS if k != key] + ["more"]
        with pytest.raises(KeyError):
            store[key]
        assert store.verify().ok
    del wanted[key]
    wanted["more"] = b"text"
    for reopened in (vlstore.open(path), SChunkStore(location=path)):
        assert {k: bytes(reopened[k]) for k in reopened} == wanted
    with SChunkStore(location=path) as store:
        store.put(key, b"back", overwrite=False)
        with pytest.raises(ValueError, match="already"):
            store.put(key, b"twice", overwrite=False)
        wanted[key] = b"back"
    assert vlstore.open(path).verify().ok
    assert Program(path).records() == wanted


def test_frames_of_the_original_are_read_and_added_to(tmp_path):
    path = tmp_path / "frames.vlstore"
    frames = {i if i % 2 else f"f{i}": frame(3 + i, f"n{i}", i) for i in range(12)}
    original(path, {key: bytes(f.raw) for key, f in frames.items()}, chunk=4096, typesize=4)
    with Depot(codec=BackedAtomicDataCodec, backing=path) as depot:
        depot.put(1, frame(9, "new", 5.0))
        depot[b"bytes"] = frame(2, "b", 1.0)
    assert {f.name for f in depot.fused_get(list(depot))} == {f"n{i}" for i in range(12) if i != 1} | {
        "new", "b"
    }
    modern = vlstore.open(path, records="md-frame")
    assert modern[1].nsites == 9 and len(modern) == 13 and modern.verify().ok
    program = Program(path)
    assert BackedAtomicDataCodec.unpack(program.get(b"bytes")).pos.tolist() == [[1.0] * 3] * 2


@pytest.mark.parametrize("alignment", ["no_cross", "contiguous", "start"])
def test_two_halves_of_a_chunk_go_into_one(tmp_path, alignment):
    index = LocationIndex()
    with SChunkStore(location=tmp_path / "a.vls", alignment=alignment, chunksize=1000) as store:
        for key in "abc":
            place = index[key] = index.plan(500, alignment, block_size=1000)
            store[key] = key.encode() * 500
            assert store.get(key, return_location=True) == place
    wanted = [0, 1000, 2000] if alignment == "start" else [0, 500, 1000]
    assert [place.start for place in store.locations] == wanted
    assert Program(tmp_path / "a.vls").records() == {k: k.encode() * 500 for k in "abc"}


def test_an_original_face_that_was_closed_shows_everything_to_the_original(tmp_path):
    path = tmp_path / "many.vls"
    value = bytes(range(64))
    with SChunkStore(location=path) as store:
        for i in range(20_000):
            store[i] = value
    for round_ in range(12):
        with SChunkStore(location=path) as store:
            store[f"more {round_}"] = b"x"
            del store[round_]
        program = Program(path)
        assert len(program.lookup) == 20_000 and program.get(f"more {round_}") == b"x"


def test_a_modern_close_says_what_other_programs_do_not_see(tmp_path):
    path = tmp_path / "many.vls"
    with vlstore.open(path, "w", original_table="always") as store:
        store.put_many((i, bytes(64)) for i in range(20_000))
    unseen, told = 0, 0
    for round_ in range(12):
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            with vlstore.open(path, "a") as store:
                store[f"more {round_}"] = b"x"
        behind = len(Program(path).lookup) != 20_001 + round_
        unseen += behind
        told += sum("other programs see" in str(w.message) and "seal()" in str(w.message) for w in said)
        assert vlstore.open(path).info()["sealed"] is not behind
        assert told == unseen
    assert unseen, "every close sealed: nothing was tested"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with vlstore.open(path, "a", original_table="never") as store:
            store["quiet"] = b"x"
        with vlstore.open(path, "a", original_table="always") as store:
            store["last"] = b"x"
    assert len(Program(path).lookup) == 20_000 + 12 + 2


def test_far_records_take_the_memory_of_what_is_read(tmp_path):
    path = tmp_path / "far.vls"
    with SChunkStore(location=path, chunksize=1 << 20, cparams={"clevel": 0}) as store:
        for i in range(40):
            store[i] = np.full(1 << 19, i, np.uint8)
    store = SChunkStore(location=path)
    tracemalloc.start()
    buffer, slices = store.fused_get([39, 0, 39])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [(buffer[s][:1], s.stop - s.start) for s in slices] == [
        (b"\x27", 1 << 19), (b"\0", 1 << 19), (b"\x27", 1 << 19)
    ]
    assert len(buffer) == 1 << 20 and peak < 3 << 20
    # A buffer that is given has the places of the store.
    out = bytearray(store.fused_size([39, 0]))
    assert len(out) == 40 << 19
    assert store.fused_get([0, 39], out=out)[1] == [slice(0, 1 << 19), slice(39 << 19, 40 << 19)]


def test_opening_a_small_store_takes_little_memory(tmp_path):
    path = tmp_path / "small.vls"
    with SChunkStore(location=path) as store:
        for i in range(200):
            store[i] = np.random.default_rng(i).bytes(100)
    assert store.chunksize == 4 << 20
    status = "/proc/self/statm"
    try:
        with open(status) as file:
            file.read()
    except FileNotFoundError:
        pytest.skip(f"there is no {status} here")

    def resident():
        with open(status) as file:
            return int(file.read().split()[1]) * 4096

    stores = [SChunkStore(location=path)]
    before = resident()
    stores += [SChunkStore(location=path) for _ in range(40)]
    assert all(len(store[7]) == 100 for store in stores)
    assert resident() - before < 40 * (1 << 20)


def test_texts_of_the_original_go_through_a_depot(tmp_path):
    path = tmp_path / "text.vlstore"
    original(path, {"a": b"one", 1: "zwölf".encode()})
    with Depot(codec=TEXT, backing=path) as depot:
        assert depot.pop(1) == "zwölf"
        depot.update(b="two")
    assert Program(path).records() == {"a": b"one", "b": b"two"}
