"""Programs written for the original run: its names, arguments, results and errors."""

import hashlib
import importlib
import json
import multiprocessing
import pathlib
import pickle
import random
import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest

import vlstore
from vlstore.hash import byte_hash
from vlstore.loader import BlockShuffleBatch, block_ownership
from vlstore.serialize import (
    BackedAtomicData,
    BackedAtomicDataCodec,
    Codec,
    create_fbframe_buffer,
    flatfloatndarray_codec,
)
from vlstore.store import (
    CONTIGUOUS_ALIGNMENT,
    DEFAULT_CHUNK_SIZE,
    NOCROSS_ALIGNMENT,
    START_ALIGNMENT,
    Depot,
    Location,
    LocationIndex,
    SChunkStore,
    _create_default_schunk,
)
from vlstore_workers import read_fifty

# Many tests end without closing their store.
pytestmark = pytest.mark.filterwarnings("ignore:a store was dropped:RuntimeWarning")

DATA = pathlib.Path(__file__).parents[2] / ".." / "shared" / "data" / "vlstore"
ALIGNMENTS = [NOCROSS_ALIGNMENT, CONTIGUOUS_ALIGNMENT, START_ALIGNMENT]
TEXT = Codec(pack=str.encode, unpack=lambda data: bytes(data).decode())


def stores(tmp_path, alignment):
    """A store of each kind, and how the same one is opened again."""
    path = tmp_path / f"{alignment}.vls"
    yield (
        SChunkStore(location=path, alignment=alignment, chunksize=4096),
        lambda: SChunkStore(location=str(path)),
    )
    memory = SChunkStore(alignment=alignment, chunksize=4096)
    yield memory, lambda: SChunkStore.from_bytes(memory.to_bytes())
    try:
        import blosc2  # noqa: F401
    except ImportError:
        print("super-chunks are left out, blosc2 is not installed")
        return
    for name, contiguous, typesize in (
        (None, True, 1), (None, False, 8), ("c.b2frame", True, 4), ("s.b2frame", False, 2)
    ):
        file = tmp_path / f"{alignment}-{name}" if name else None
        schunk = _create_default_schunk(
            filename=file, contiguous=contiguous, chunksize=4096, cparams={"typesize": typesize}
        )
        yield (
            SChunkStore(location=schunk, alignment=alignment),
            lambda schunk=schunk: SChunkStore(location=schunk, alignment=alignment),
        )


@pytest.mark.parametrize("alignment", ALIGNMENTS)
def test_every_kind_of_store_behaves_like_a_dict(tmp_path, alignment):
    for number, (store, again) in enumerate(stores(tmp_path, alignment)):
        rng = random.Random(number)
        model = {}
        for round_ in range(4):
            for _ in range(120):
                key = rng.choice([rng.randrange(60), f"k{rng.randrange(60)}", b"%d" % rng.randrange(9)])
                if key in model and rng.random() < 0.3:
                    store.disown(key, zero=rng.random() < 0.5)
                    del model[key]
                elif rng.random() < 0.8:
                    value = rng.randbytes(rng.choice([1, 7, 100, 1000, 5000, 9000]))
                    store.put(key, value)
                    model.pop(key, None)
                    model[key] = value
                elif model:
                    key = rng.choice(list(model))
                    assert store.get(key) == model[key]
            assert list(store.keys()) == list(model) and len(store) == len(model)
            assert all(store[key] == value for key, value in model.items())
            keys = rng.sample(list(model), min(20, len(model)))
            buffer, slices = store.fused_get(iter(keys))
            assert [buffer[s] for s in slices] == [model[key] for key in keys]
            assert len(buffer) <= store.fused_size(keys)
            places = sorted((p.start, p.end) for p in store.locations)
            assert all(a[1] <= b[0] for a, b in zip(places, places[1:], strict=False))
            if round_ == 1:
                store.close()
            if round_ == 2:
                store.close()
                store = again()


@pytest.mark.parametrize("alignment", ALIGNMENTS)
def test_records_lie_where_the_index_plans_them(alignment):
    store = SChunkStore(alignment=alignment, chunksize=1000)
    index = LocationIndex()
    rng = random.Random(3)
    for i in range(200):
        size = rng.choice([1, 10, 300, 500, 999, 1000, 1001, 2500])
        place = index.plan(size, alignment, block_size=1000)
        index[i] = place
        assert store.lookup.plan(size, alignment, block_size=1000) == place
        store[i] = bytes(size)
        assert store.get(i, return_location=True) == place
    assert store.lookup.to_ordered_pairs() == index.to_ordered_pairs()
    assert store.lookup.last == index.last and store.lookup.first == index.first
    assert store.locations == list(index.values())
    copied = LocationIndex.from_ordered_pairs(index.to_ordered_pairs(), block_size=1000)
    assert copied.backing == index.backing


def test_an_index_is_a_dict_of_locations():
    index = LocationIndex()
    with pytest.raises(ValueError, match="no location"):
        index.last  # noqa: B018
    with pytest.raises(ValueError, match="block_size"):
        index.plan(10)
    with pytest.raises(KeyError):
        index["a"]
    index["a"] = Location.from_start_end(0, 10, 100)
    index["b"] = Location.from_start_end(50, 70, 100)
    assert (index.first.start, index.last.end) == (0, 70)
    index["b"] = Location.from_start_end(5, 6, 100)
    assert index.last.end == 10
    del index["a"]
    assert index.first == index.last == Location.from_start_end(5, 6, 100)
    assert list(index) == ["b"] and "b" in index and "a" not in index and len(index) == 1
    with pytest.raises(ValueError, match="no_cross"):
        index.plan(10, "sideways")


def test_a_location_is_cut_where_chunks_end():
    for start in range(0, 40, 3):
        for length in (1, 5, 10, 11, 35):
            place = Location.from_start_end(start, start + length, 10)
            parts = place.block_split()
            assert [p.n_blocks for p in parts] == [1] * place.n_blocks
            assert parts[0].start == place.start and parts[-1].end == place.end
            assert sum(map(len, parts)) == len(place) == place.length == length
    for wrong in ({"end_offset": 1}, {"end_offset": -10}, {"start_offset": -1}, {"start_offset": 10}):
        with pytest.raises(ValueError):
            Location(0, 1, 10, **wrong)


def test_the_index_of_a_store_follows_it():
    store = SChunkStore()
    lookup = store.lookup
    store["a"] = b"value"
    assert lookup["a"].length == 5 and dict(lookup.backing.items()) == {"a": lookup["a"]}
    del lookup["a"]
    assert "a" not in store and len(lookup) == 0
    with pytest.raises(TypeError):
        lookup["a"] = Location.from_start_end(0, 1, 10)


def test_a_buffer_is_filled_from_its_beginning(tmp_path):
    for store, _ in stores(tmp_path, NOCROSS_ALIGNMENT):
        values = np.arange(12, dtype=np.float64).reshape(3, 4)
        store.put("a", values)
        out = np.zeros_like(values)
        assert store.get("a", out=out) is out and (out == values).all()
        large = bytearray(b"\xff" * 100)
        assert store.get("a", out=large) is large
        assert large == values.tobytes() + b"\xff" * 4
        for small in (bytearray(95), memoryview(bytearray(95))):
            with pytest.raises(ValueError):
                store.get("a", out=small)
            with pytest.raises(ValueError):
                store.fused_get(["a"], out=small)
            assert bytes(small) == bytes(95)
        for wrong in (5, "text", [0] * 96):
            with pytest.raises(TypeError):
                store.get("a", out=wrong)
        with pytest.raises(ValueError, match="method"):
            store.get("a", method="other")


def test_what_is_between_records_is_left_alone(tmp_path):
    for store, _ in stores(tmp_path, CONTIGUOUS_ALIGNMENT):
        for i in range(5):
            store[i] = bytes([i + 1]) * 10
        buffer, slices = store.fused_get([4, 1])
        assert slices == [slice(30, 40, None), slice(0, 10, None)]
        assert buffer == b"\2" * 10 + bytes(20) + b"\5" * 10
        out = bytearray(b"\xff" * 50)
        same, slices = store.fused_get([4, 1], out=out)
        assert same is out
        assert out == b"\2" * 10 + b"\xff" * 20 + b"\5" * 10 + b"\xff" * 10


def test_damage_between_the_records_of_a_batch_does_not_matter(tmp_path):
    path = tmp_path / "damaged.vls"
    with SChunkStore(location=path, chunksize=1 << 16) as store:
        values = [random.Random(i).randbytes(60_000) for i in range(30)]
        for i, value in enumerate(values):
            store[i] = value
    content = bytearray(path.read_bytes())
    at = content.find(values[15][20_000:20_064])
    if at < 0:  # filtered: its bytes are in planes
        at = len(content) // 2
    content[at : at + 64] = bytes(64)
    path.write_bytes(content)
    store = SChunkStore(location=path)
    buffer, slices = store.fused_get([0, 29])
    assert [buffer[s] for s in slices] == [values[0], values[29]]
    with pytest.raises(OSError):
        store.fused_get(range(30))


def test_a_fresh_buffer_belongs_to_nobody_else():
    store = SChunkStore(chunksize=1 << 20)
    store["one"] = b"\xff"
    assert store.fused_get(["one"])[0] == b"\xff" and bytes(1) == b"\x00"
    values = {i: random.Random(i).randbytes(700_000) for i in range(6)}
    for key, value in values.items():
        store[key] = value
    first, slices = store.fused_get([5, 0])
    assert type(first) is bytes and store.fused_size([0, 5]) > len(first) > 1 << 20
    assert [first[s] for s in slices] == [values[5], values[0]]
    second, _ = store.fused_get([5, 0])
    assert first == second and first is not second
    assert hash(first) == hash(second)


def test_a_recycled_buffer_is_used_again():
    depot = Depot(
        codec=flatfloatndarray_codec, recycle_buffer=True, initial_buffer_size=4096
    )
    for i in range(4):
        depot.put(i, np.full(100, i, dtype=np.float32))
    first = depot.fused_get([0, 1])
    second = depot.fused_get([2, 3])
    assert np.shares_memory(first[0], second[0]) and (first[0] == 2).all()
    large = depot.fused_get(list(range(4)) * 2)
    assert [a[0] for a in large] == [0, 1, 2, 3] * 2
    depot.put(9, np.full(100_000, 9, dtype=np.float32))
    assert (depot.fused_get([9])[0] == 9).all() and (second[0] == large[0]).all()
    free = Depot(codec=flatfloatndarray_codec, backing=depot.backing)
    a, b = free.fused_get([0]), free.fused_get([1])
    assert not np.shares_memory(a[0], b[0])
    buffer = np.zeros(free.fused_buffer_size([0, 2]), dtype=np.uint8)
    inside = free.fused_get([2, 0], buffer=buffer)
    assert [x[0] for x in inside] == [2, 0] and np.shares_memory(inside[0], buffer)
    with pytest.raises(ValueError, match="initial_buffer_size"):
        Depot(codec=flatfloatndarray_codec, initial_buffer_size=-1)


def test_a_depot_takes_what_can_be_a_store(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for backing in (None, "a.vls", tmp_path / "b.vls", SChunkStore(), vlstore.memory()):
        with Depot(codec=TEXT, backing=backing) as depot:
            depot.put("a", "words")
            depot["b"] = "more"
            assert depot.get("a", method="chunk") == depot["a"] == "words"
        assert "a" in depot and list(depot) == list(depot.keys()) == ["a", "b"]
        assert isinstance(depot.lookup["a"], Location)
        with pytest.raises(KeyError):
            depot.get("c")
        with pytest.raises(KeyError):
            depot.fused_get(["a", "c"])
        del depot["a"]
        assert len(depot) == 1
    assert Depot(codec=TEXT, backing="a.vls")["b"] == "more"
    with pytest.raises(TypeError, match="pack and unpack"):
        Depot(codec="text")


def test_a_value_that_cannot_be_packed_leaves_the_old_one():
    depot = Depot(codec=flatfloatndarray_codec)
    depot["a"] = np.ones(3, dtype=np.float32)
    for wrong in (np.ones(3), np.ones((3, 3), dtype=np.float32).T, [1.0], None):
        with pytest.raises((ValueError, TypeError)):
            depot["a"] = wrong
    assert (depot["a"] == 1).all()


def test_where_nothing_can_be_made_nothing_is(tmp_path):
    with pytest.raises(ValueError, match="directory"):
        SChunkStore(location=tmp_path)
    with pytest.raises(ValueError, match="folder"):
        SChunkStore(location=tmp_path / "missing" / "a.vls")
    with pytest.raises(TypeError, match="location"):
        SChunkStore(location=5)
    with pytest.raises(TypeError, match="chunk_size"):
        SChunkStore(chunk_size=1 << 20)
    with pytest.raises(ValueError, match="own parameters"):
        SChunkStore(location=vlstore.memory(), chunksize=1 << 20)
    (tmp_path / "other.txt").write_text("no store")
    with pytest.raises(ValueError, match="not a store"):
        SChunkStore(location=tmp_path / "other.txt")
    with pytest.raises(KeyError):
        SChunkStore().get("a", return_location=True)


def test_parameters_of_python_blosc2_are_understood(tmp_path):
    class Enumeration:
        def __init__(self, value):
            self.value = value

    def options(**cparams):
        return SChunkStore(cparams=cparams, chunksize=1 << 16).backing.options

    default = SChunkStore()
    assert default.chunksize == DEFAULT_CHUNK_SIZE == 4 << 20 and default.alignment == "no_cross"
    for given, name in ((5, "zstd"), (Enumeration(2), "lz4hc"), ("LZ4", "lz4"), (4, "zlib")):
        assert options(codec=given, clevel=3)["compression"] == name
    assert options(clevel=0)["compression"] == "stored"
    assert options(typesize=4, filters=[0, 0, Enumeration(2)])["filter"] == "bitshuffle"
    assert options(filters=[0, 0])["filter"] == "nofilter"
    assert options(blocksize=4096)["block_size"] == 4096
    assert options(blocksize=100, nthreads=2, use_dict=0)["block_size"] == 0
    for wrong in ({"codec": 33}, {"codec": "gzip"}, {"filters": [3, 1]}, {"filters": [1, 2]},
                  {"typesize": 0}, {"typesize": 300}, {"clevel": 99}):
        with pytest.raises(ValueError):
            options(**wrong)
    for wrong in ({"filters": 1}, {"typesize": "4"}, {"clevel": None}):
        with pytest.raises(TypeError):
            options(**wrong)
    SChunkStore(dparams={"nthreads": 1}, contiguous=False)["a"] = b"value"
    # Parameters are for new files.
    path = tmp_path / "there.vls"
    SChunkStore(location=path, chunksize=4096).close()
    assert SChunkStore(location=path, chunksize=1 << 20, cparams={"codec": 33}).chunksize == 4096
    if blosc2 := sys.modules.get("blosc2"):
        store = SChunkStore(cparams=blosc2.CParams(codec=blosc2.Codec.LZ4, typesize=8, clevel=2))
        assert (store.backing.options["compression"], store.typesize) == ("lz4", 8)
        store = SChunkStore(cparams=blosc2.cparams_dflts, dparams=blosc2.dparams_dflts)
        store["a"] = bytes(1000)


def test_super_chunks_keep_to_their_own_rules(tmp_path):
    blosc2 = pytest.importorskip("blosc2")
    path = tmp_path / "made.b2frame"
    schunk = _create_default_schunk(filename=path, chunksize=1000)
    with SChunkStore(location=schunk) as store:
        store["a"], store[2] = b"a" * 400, b"b" * 800
    assert schunk.vlmeta["saved_lookup"] == [("a", 0, 400), (2, 1000, 1800)]
    assert schunk.nchunks == 2 and bytes(schunk[1000:1800]) == b"b" * 800
    # The same file by its path is opened by this package, and can be added to.
    with SChunkStore(location=path) as other:
        assert other["a"] == b"a" * 400
    reader = SChunkStore(location=blosc2.open(path, mode="r"))
    assert reader.read_only and reader[2] == b"b" * 800
    for change in (lambda: reader.put("c", b"x"), lambda: reader.disown("a")):
        with pytest.raises(ValueError, match="reading"):
            change()
    reader.close()
    with pytest.raises(ValueError, match="own parameters"):
        SChunkStore(location=schunk, chunksize=5)
    with pytest.raises(ValueError, match="multiple"):
        SChunkStore(location=blosc2.SChunk(chunksize=1002, cparams={"typesize": 4}))
    odd = blosc2.SChunk(chunksize=1000, cparams={"typesize": 1}, data=b"x" * 1500)
    with (
        pytest.warns(RuntimeWarning, match="no index"),
        pytest.raises(NotImplementedError, match="not full"),
    ):
        SChunkStore(location=odd)["a"] = b"value"
    with pytest.raises(NotImplementedError, match="travel"):
        pickle.dumps(store)
    store["a"] = b"c" * 10
    del store["a"]
    assert bytes(schunk[:400]) == b"a" * 400


def test_without_blosc2_a_super_chunk_is_refused_by_name(monkeypatch):
    monkeypatch.setitem(sys.modules, "blosc2", None)
    with pytest.raises(ImportError, match="blosc2"):
        _create_default_schunk()
    store = SChunkStore()
    store["a"] = b"value"
    assert store["a"] == b"value"


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("vlstore.hash", "byte_hash HASH_SEED INT_MAX_BYTES INT_BYTE_ORDER"),
        ("vlstore.loader.blockshuffle", "BlockShuffleBatch batched block_ownership"),
        ("vlstore.serialize._types", "Codec Packer Unpacker"),
        ("vlstore.serialize.flatbuffer", "BackedAtomicData BackedAtomicDataCodec"),
        ("vlstore.serialize.flatbuffer.atomicdata", "create_fbframe_buffer"),
        ("vlstore.serialize.numpy", "flatfloatndarray_codec"),
        ("vlstore.store._types", "TYPE_KEY TYPE_OUT TYPE_INPUTDATA TYPE_RETURNDATA"),
        ("vlstore.store._types", "TYPE_MINIMAL_RETURNDATA T_OUT SupportsBuffer"),
        ("vlstore.store.chunkstore", "SChunkStore Location LocationIndex TYPE_ALIGNMENT"),
        ("vlstore.store.chunkstore", "DEFAULT_CHUNK_SIZE NOCROSS_ALIGNMENT"),
        ("vlstore.store.depot", "Depot"),
        ("vlstore.store.util", "bytewise_memoryview"),
    ],
)
def test_names_are_also_in_the_modules_in_which_the_original_defines_them(module, names):
    found = importlib.import_module(module)
    assert [name for name in names.split() if not hasattr(found, name)] == []


def test_a_value_with_gaps_is_refused_by_both_kinds_of_error():
    for store in (SChunkStore(), vlstore.memory()):
        with pytest.raises(vlstore.InvalidError, match="contiguous"):
            store["a"] = np.arange(10)[::2]
    with pytest.raises(TypeError, match="contiguous"):
        SChunkStore()["a"] = np.arange(10)[::2]


@pytest.mark.parametrize("typesize", [3, 7, 12, 24, 255])
def test_numbers_of_any_width_are_stored_in_chunks_of_any_size(typesize):
    value = bytes(range(250)) * 700
    for chunksize in (typesize << 8, typesize << 16):
        store = SChunkStore(chunksize=chunksize, cparams={"typesize": typesize})
        store["a"], store["b"] = value, value[:-1]
        store.close()
        assert (store["a"], store["b"], store.typesize) == (value, value[:-1], typesize)
    assert vlstore.memory(typesize=typesize).options["chunk_size"] % typesize == 0


def test_importing_loads_no_face_and_no_other_package():
    program = (
        "import sys, vlstore; before = set(sys.modules)\n"
        "assert not any(n.startswith('vlstore.store') for n in before)\n"
        "assert vlstore.SChunkStore is not None\n"
        "import vlstore.store, vlstore.serialize, vlstore.loader, vlstore.hash\n"
        "print(*{n.partition('.')[0] for n in sys.modules})"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"torch", "ase", "blosc2", "xxhash", "flatbuffers"} & set(loaded)
    for first in ("serialize", "loader", "store", "hash"):
        subprocess.run([sys.executable, "-c", f"import vlstore.{first}"], check=True)
    with pytest.raises(AttributeError):
        vlstore.missing  # noqa: B018


def test_files_of_the_original_are_read_and_added_to(tmp_path):
    files = sorted(DATA.glob("*.vlstore"))
    if not files:
        pytest.skip("no data in ../shared/data/vlstore")
    for file in files:
        told = json.loads(file.with_suffix(".json").read_text())
        path = tmp_path / file.name
        shutil.copy(file, path)
        path.chmod(0o644)
        store = SChunkStore(location=path)
        found = [hashlib.sha256(store[key]).hexdigest() for key in store.keys()]
        text = json.dumps(told)
        assert all(digest in text for digest in found)
        before = {key: store[key] for key in store}
        pairs = store.lookup.to_ordered_pairs()
        with store:
            store["new"] = b"added"
        again = SChunkStore(location=path)
        assert again.lookup.to_ordered_pairs()[: len(pairs)] == pairs
        assert {key: again[key] for key in again} == before | {"new": b"added"}
        if "readme" in file.name or "ala2" in file.name:
            depot = Depot(codec=BackedAtomicDataCodec, backing=SChunkStore(location=file))
            for frame in depot.fused_get(depot.keys()):
                assert frame.pos.shape == frame.forces.shape == (frame.n_sites, 3)
                assert len(frame.masses) == len(frame.atom_types) == frame.n_sites


@pytest.mark.parametrize("seed", [0, 617491234, (1 << 64) - 1])
def test_hashes_are_those_of_xxh3(seed):
    array = np.arange(100, dtype=np.float32).reshape(10, 10)
    assert byte_hash(array, seed=seed) == byte_hash(array.tobytes(), seed)
    assert len(byte_hash(b"")) == 32 and byte_hash(b"a") != byte_hash(b"a", seed=1)
    xxhash = pytest.importorskip("xxhash")
    for n in (0, 1, 8, 9, 16, 17, 128, 129, 240, 241, 5000):
        data = random.Random(n).randbytes(n)
        assert byte_hash(data, seed=seed) == xxhash.xxh3_128(data, seed=seed).hexdigest()


def test_what_cannot_be_hashed_is_refused():
    for wrong in ("text", 5, None):
        with pytest.raises(TypeError):
            byte_hash(wrong)
    for wrong in (1.0, "1", None):
        with pytest.raises(vlstore.WrongTypeError, match="seed must be an integer, not"):
            byte_hash(b"", seed=wrong)


def test_a_seed_is_taken_modulo_two_to_the_64():
    # As the original program has them.
    assert byte_hash(b"abc", seed=-1) == "c3e8eb7686bbf97d291c3db09146c9c9"
    assert byte_hash(b"abc", seed=2**64) == "06b05ab6733a618578af5f94892f3950"
    assert byte_hash(b"abc", seed=0) == byte_hash(b"abc", seed=-(2**70))
    assert byte_hash(b"abc", seed=np.int64(-1)) == byte_hash(b"abc", seed=2**64 - 1)


def test_modules_are_there_without_an_import_of_their_own():
    program = """if True:
        import sys, vlstore
        assert not {"vlstore.store", "vlstore.serialize", "vlstore.loader"} & set(sys.modules)
        codec = vlstore.serialize.flatfloatndarray_codec
        store = vlstore.store.SChunkStore()
        assert vlstore.SChunkStore is vlstore.store.SChunkStore is type(store)
        assert vlstore.store is sys.modules["vlstore.store"]
        assert vlstore.loader.BlockShuffleBatch and vlstore.hash.byte_hash(b"")
        depot = vlstore.store.Depot(codec)
        assert issubclass(vlstore.Depot, vlstore.Store) and type(depot) is not vlstore.Depot
        try:
            vlstore.stores
        except AttributeError as error:
            print(error)
        """
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.stdout == "module 'vlstore' has no attribute 'stores'\n", done.stderr


def test_overwrite_is_a_truth_value(tmp_path):
    for store, _ in stores(tmp_path, NOCROSS_ALIGNMENT):
        store.put("a", b"1", overwrite=0)
        store.put("a", b"2", overwrite=1)
        store.put("a", b"3", overwrite=np.True_)
        for no in (0, None, np.False_):
            with pytest.raises(ValueError, match="already"):
                store.put("a", b"4", overwrite=no)
        assert store["a"] == b"3"


def test_a_chunk_size_may_be_a_real_number_that_is_whole():
    for size in (1e6, np.float64(1e6), np.int64(10**6)):
        assert SChunkStore(chunksize=size).chunksize == 10**6
    for wrong in (1e6 + 0.5, float("nan"), float("inf"), True, "1000000"):
        with pytest.raises(vlstore.WrongTypeError, match="chunksize must be an integer, not"):
            SChunkStore(chunksize=wrong)
    with pytest.raises(ValueError, match="chunksize"):
        SChunkStore(chunksize=-1e6)


def test_a_super_chunk_takes_such_a_chunk_size_too():
    pytest.importorskip("blosc2")
    assert _create_default_schunk(chunksize=1e6).chunksize == 10**6
    with pytest.raises(vlstore.WrongTypeError, match="chunksize must be an integer, not"):
        _create_default_schunk(chunksize=1000.5)


def test_what_is_empty_is_true(tmp_path):
    for store, _ in stores(tmp_path, NOCROSS_ALIGNMENT):
        assert len(store) == 0 and bool(store)
        depot = Depot(TEXT, store)
        assert bool(depot) and depot.backing is store
        assert bool(BlockShuffleBatch(1, 1, depot))


def test_backing_of_another_type_is_named():
    with pytest.raises(vlstore.WrongTypeError, match=r"backing is .*, not int \(5\)"):
        Depot(TEXT, 5)
    modern = vlstore.memory(records="array")
    for wrong, kind in ((5, "int"), (None, "NoneType"), (SChunkStore(), "SChunkStore"),
                        (modern, "Depot")):
        with pytest.raises(vlstore.WrongTypeError, match=f"vlstore.store.Depot, not {kind} "):
            BlockShuffleBatch(1, 1, wrong)


def test_buffer_size_of_a_loader_is_that_of_its_largest_group():
    depot = Depot(flatfloatndarray_codec, SChunkStore(chunksize=256))
    assert BlockShuffleBatch(1, 1, depot).buffer_size == 0
    for i in range(30):
        depot.put(i, np.zeros(12, np.float32))
    # As the original program has them: five records to a chunk, the last two chunks together.
    assert BlockShuffleBatch(2, 2, depot).buffer_size == 496
    assert BlockShuffleBatch(2, 2, depot, end_block_merge=False).buffer_size == 240
    assert BlockShuffleBatch(2, 2, depot, buffer_size=5).buffer_size == 5


def test_bools_in_a_list_are_numbers():
    values = {"name": "f", "nsites": 2, "positions": np.zeros((2, 3)), "forces": np.zeros((2, 3))}
    made = BackedAtomicData.from_values(atom_types=[True, False], masses=[False, True], **values)
    assert made.atom_types.dtype == np.int32 and made.atom_types.tolist() == [1, 0]
    assert made.masses.dtype == np.float32 and made.masses.tolist() == [0, 1]
    with pytest.raises(vlstore.WrongTypeError, match="atom_types must be numbers, not bool"):
        BackedAtomicData.from_values(atom_types=np.array([True, False]), masses=[1, 1], **values)


def frame(n=4, name="frame", value=1.0):
    return BackedAtomicData.from_values(
        name=name,
        atom_types=np.arange(n, dtype=np.int32),
        masses=np.full(n, value, dtype=np.float32),
        nsites=n,
        positions=np.full((n, 3), value, dtype=np.float32),
        forces=np.full((n, 3), -value, dtype=np.float32),
    )


def test_a_frame_gives_back_what_it_was_made_of():
    for n in (0, 1, 17):
        made = frame(n, "größe", 2.5)
        for one in (made, BackedAtomicDataCodec.unpack(bytes(made.raw)), pickle.loads(pickle.dumps(made))):
            assert (one.name, one.n_sites) == ("größe", n)
            assert one.pos.shape == one.forces.shape == (n, 3)
            assert one.masses.dtype == one.pos.dtype == np.float32
            assert one.atom_types.dtype == np.int32 and list(one.atom_types) == list(range(n))
            assert (one.pos == 2.5).all() and (one.forces == -2.5).all()
    # Other numbers become float32, as the original makes them.
    lists = create_fbframe_buffer("f", [1, 2], [1, 2.5], 2, np.zeros((2, 3)), np.ones((2, 3), int))
    assert BackedAtomicDataCodec.unpack(lists).forces.dtype == np.float32
    with pytest.raises(ValueError, match="float32"):
        create_fbframe_buffer("f", [1], [1e300], 1, np.zeros((1, 3)), np.zeros((1, 3)))
    assert isinstance(lists, bytes) and made.fb.Nsites() == 17


def test_packing_fills_a_buffer_that_is_given():
    made = frame()
    for codec, value, data in (
        (BackedAtomicDataCodec, made, bytes(made.raw)),
        (flatfloatndarray_codec, np.ones(9, dtype=np.float32), np.ones(9, dtype="<f4").tobytes()),
    ):
        assert bytes(codec.pack(value)) == data
        out = bytearray(len(data) + 3)
        assert codec.pack(value, out=out) is out and out == data + bytes(3)
        with pytest.raises(ValueError, match="fit"):
            codec.pack(value, out=bytearray(5))
        with pytest.raises(TypeError):
            codec.pack(value, out=bytes(len(data)))
        with pytest.raises(TypeError):
            codec.pack("text")
    with pytest.raises(ValueError):
        BackedAtomicDataCodec.unpack(b"no frame at all")
    with pytest.raises(ValueError, match="float32"):
        flatfloatndarray_codec.unpack(b"12345")


def numbers(count, alignment="no_cross", length=12):
    depot = Depot(
        codec=flatfloatndarray_codec, backing=SChunkStore(chunksize=512, alignment=alignment)
    )
    for i in range(count):
        depot.put(i, np.full(length, i, dtype=np.float32))
    return depot


def order(loader):
    return [[int(array[0]) for array in batch] for batch in loader]


@pytest.mark.parametrize("merge", [True, False])
@pytest.mark.parametrize(("alignment", "length"), [("no_cross", 12), ("contiguous", 100), ("start", 300)])
def test_a_loader_serves_each_object_once(alignment, length, merge):
    depot = numbers(101, alignment, length)
    for read_size, batch_size in ((1, 1), (3, 7), (100, 101), (2, 500)):
        for shuffle in (True, False):
            loader = BlockShuffleBatch(
                read_size, batch_size, depot, shuffle=shuffle, end_block_merge=merge, n_buffers=3
            )
            batches = order(loader)
            assert sorted(sum(batches, [])) == list(range(101))
            assert all(len(b) == batch_size for b in batches[:-1])
            assert len(batches) == len(loader) == -(-101 // batch_size)
            streamed = [int(array[0]) for array in loader.stream()]
            assert sorted(streamed) == list(range(101))
            if not shuffle:
                assert streamed == list(range(101)) == sum(batches, [])


def test_a_seed_makes_the_order_the_same():
    depot = numbers(100)

    def epochs(**seed):
        loader = BlockShuffleBatch(3, 5, depot, **seed)
        return [order(loader) for _ in range(3)]

    assert epochs(seed=1) == epochs(seed=1) != epochs(seed=2)
    first, second, third = epochs(seed=1)
    assert first != second != third
    random.seed(5)
    before = epochs()
    random.seed(5)
    assert epochs() == before
    # The use of the common generator by others changes nothing, nor do other epochs.
    loader = BlockShuffleBatch(3, 5, depot, seed=1)
    a, b = iter(loader), iter(loader)
    taken = []
    for batch in a:
        random.random()
        next(b, None)
        taken.append([int(array[0]) for array in batch])
    assert taken == first


def test_groups_are_the_chunks():
    depot = numbers(25)
    assert block_ownership(depot.lookup) == {
        0: list(range(10)), 1: list(range(10, 20)), 2: list(range(20, 25))
    }
    loader = BlockShuffleBatch(2, 2, depot)
    assert loader.ownership == block_ownership(depot.lookup, no_sharing=True, sorted=True)
    assert loader.key_groups() == [list(range(10)), list(range(10, 25))]
    loader.end_block_merge = False
    assert sorted(loader.key_groups(shuffle=True)) == [
        list(range(10)), list(range(10, 20)), list(range(20, 25))
    ]
    crossing = numbers(30, "contiguous", 100)
    with pytest.raises(ValueError, match="chunks"):
        block_ownership(crossing.lookup, no_sharing=True)
    for wrong in ({"read_size": 0}, {"batch_size": 0}, {"n_buffers": 0}):
        with pytest.raises(ValueError, match="1 or more"):
            BlockShuffleBatch(**({"read_size": 1, "batch_size": 1, "backing": depot} | wrong))


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("in_memory", [True, False])
def test_a_store_works_in_another_process(tmp_path, method, in_memory):
    store = SChunkStore(location=None if in_memory else tmp_path / "there.vls")
    for i in range(50):
        store[i] = bytes([i]) * 1000
    store.close()
    assert store[7] == bytes([7]) * 1000
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    process = context.Process(target=read_fifty, args=(store, queue))
    process.start()
    assert queue.get(timeout=60) == [bytes([i]) * 1000 for i in range(50)]
    process.join(60)
    store["more"] = b"after all"
    assert store["more"] == b"after all" and len(store) == 51 and not store.read_only


def test_depots_and_loaders_pickle(tmp_path):
    depot = Depot(codec=BackedAtomicDataCodec, backing=tmp_path / "frames.vls")
    for i in range(30):
        depot.put(i, frame(i + 1, f"f{i}", i))
    loader = pickle.loads(pickle.dumps(BlockShuffleBatch(2, 4, depot)))
    names = [f.name for batch in loader for f in batch]
    assert sorted(names) == sorted(f"f{i}" for i in range(30))
    again = pickle.loads(pickle.dumps(depot))
    assert (again.get(7).pos == 7).all() and again.keys() == set(range(30))


def test_threads_share_a_store(tmp_path):
    for store, _ in stores(tmp_path, NOCROSS_ALIGNMENT):
        wrong = []

        def work(name, store=store, wrong=wrong):
            for i in range(100):
                store[f"{name}{i}"] = name.encode() * (i + 1)
                buffer, slices = store.fused_get([f"{name}{j}" for j in range(i + 1)])
                if buffer[slices[i]] != name.encode() * (i + 1):
                    wrong.append((name, i))

        threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong and len(store) == 400


def test_both_faces_see_the_same_store(tmp_path):
    path = tmp_path / "both.vls"
    with SChunkStore(location=path) as store:
        store["a"] = b"value"
    with vlstore.open(path, "a") as modern:
        modern.push(b"a record without a key")
        modern["b"] = b"another"
        face = SChunkStore(location=modern)
        assert list(face.keys()) == ["a", "b"] and face["b"] == b"another"
        assert len(face.locations) == 2
    store = SChunkStore(location=path)
    assert store.fused_get(["b"])[0] == b"another" and isinstance(store.backing, vlstore.Store)
