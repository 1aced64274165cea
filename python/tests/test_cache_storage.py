"""Storages of results: what is stored comes back as what it was, found by its arguments."""

import json
import math
import os
import pickle
import struct
import time

import numpy as np
import pytest

import vlstore
from vlstore import cache
from vlstore.cache import StorageFile, StorageMemory

h5py = pytest.importorskip("h5py")
from vlstore.cache import StorageHDF5  # noqa: E402

KINDS = ["memory", "file", "hdf5"]


@pytest.fixture(params=KINDS)
def storage(request, tmp_path):
    if request.param == "memory":
        return StorageMemory()
    if request.param == "file":
        return StorageFile(tmp_path / "results.vls")
    return StorageHDF5(tmp_path / "results.hdf5")


def dtype_with_fields():
    return np.dtype([("a", "i2"), ("b", "f8", (2,)), ("c", "S3"), ("d", "M8[us]")], align=True)


VALUES = [
    0, 1, -5, 2**63 - 1, -(2**63), 2**63, 10**40, -(10**40), True, False, None,
    0.0, -0.0, 1.5, math.nan, math.inf, -math.inf, 5e-324, 0.1 + 0.2,
    1j, complex(-0.0, math.nan), complex(math.inf, 1),
    "", "text", "é\n\x00 𝄞", "\ud800 half", b"", b"\x00\xff", bytearray(b"ab"),
    (), [], {}, (1,), [1, [2.0, (3, None)]], {"a": 1, 2: "b", (1, 2): [b"c"], None: {}, 1.5: True},
    {"array": 0}, {"dict": [1]}, ({"tuple": []},),
    np.float32(1.5), np.float64(math.nan), np.int8(-3), np.uint64(2**64 - 1), np.bool_(True),
    np.complex64(1 + 2j), np.float16(0.5), np.str_("é"), np.bytes_(b"x\x00y"),
    np.datetime64("2020-02-30" if False else "2020-02-03T04:05:06.789"), np.timedelta64(-7, "D"),
    np.datetime64("NaT"), np.array([(1, [2.5, 3.5], b"abc", "2001-01-01")], dtype_with_fields())[0],
    np.array(3), np.array(2.5, ">f4"), np.array(True), np.array("text"), np.array(b""),
    np.empty((0, 3)), np.empty((2, 0, 1), "i1"), np.empty(0, "M8[s]"), np.arange(6).reshape(2, 3),
    np.asfortranarray(np.arange(6.0).reshape(2, 3)), np.arange(12)[::-2], np.ones((2, 2, 2), "c16"),
    np.array([True, False]), np.array([1, 2], ">i4"), np.array(["a", "éé"]), np.array([b"a", b"bcd"]),
    np.array(["2020-01-01", "NaT"], "M8[ns]"), np.array([1, -2], "m8[h]"),
    np.array([(1, [2.5, math.nan], b"abc", "2001-01-01")] * 2, dtype_with_fields()),
    np.zeros(2, [("x", [("y", "u1")])]), np.array([b"\x00\x01"], "V2"), np.arange(3, dtype=np.float16),
    {"many": [np.arange(3), (np.zeros((2, 0)), np.float32(2)), b"bytes"]},
    # Longer than an attribute of HDF5, and with more axes than an array of a record or a dataset has.
    "é" * 70_000, [0.5] * 20_000, [np.arange(2), "a"] * 1500, np.arange(6.0).reshape((1,) * 30 + (2, 3)), np.ones((1,) * 60, bool),
]


def same(a, b):
    """Equal in type and to the last bit."""
    assert type(a) is type(b), (a, b)
    if isinstance(a, (np.ndarray, np.generic)):
        assert a.dtype == b.dtype and a.shape == b.shape, (a.dtype, b.dtype)
        assert a.dtype.isalignedstruct == b.dtype.isalignedstruct
        if a.ndim > 1:
            assert a.flags.f_contiguous == b.flags.f_contiguous
        if a.dtype.names is None:
            assert np.asarray(a).tobytes() == np.asarray(b).tobytes()
        else:
            assert np.asarray(a).tolist().__repr__() == np.asarray(b).tolist().__repr__()
    elif isinstance(a, float):
        assert struct.pack("d", a) == struct.pack("d", b)
    elif isinstance(a, complex):
        same(a.real, b.real)
        same(a.imag, b.imag)
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b)
        for x, y in zip(a, b):
            same(x, y)
    elif isinstance(a, dict):
        same(list(a), list(b))
        same(list(a.values()), list(b.values()))
    else:
        assert a == b


def test_every_result_comes_back_as_what_it_was(storage):
    for i, value in enumerate(VALUES):
        storage.store(value, [i])
    assert len(storage) == len(VALUES)
    for i, value in enumerate(VALUES):
        same(value, storage.retrieve([i])[0])
    same(VALUES, [value[0] for value in storage.values()])


def test_results_of_a_file_are_there_for_the_next_run(tmp_path):
    for kind, path in ((StorageFile, tmp_path / "a.vls"), (StorageHDF5, tmp_path / "a.hdf5")):
        storage = kind(path)
        for i, value in enumerate(VALUES):
            storage.store(value, [i])
        again = kind(path, readonly=True)
        for i, value in enumerate(VALUES):
            same(value, again.retrieve([i])[0])


def test_retrieve_returns_result_arguments_and_extra_data(storage):
    before = time.time()
    storage.store([1, (2,)], (1, [2, (3,)]), {"b": None, "a": {"x": 1.5}}, {"unit": "nm", "n": [1]})
    result, args, kwargs, extra = storage.retrieve((1, (2, [3])), {"a": {"x": 1.5}, "b": None})
    assert result == [1, (2,)]
    assert args == (1, [2, [3]]) and kwargs == {"b": None, "a": {"x": 1.5}}
    assert before <= extra.pop("time_stored") <= time.time()
    assert extra == {"unit": "nm", "n": [1]}
    assert before <= storage.time_stored((1, (2, [3])), {"a": {"x": 1.5}, "b": None}) <= time.time()


def test_omitted_arguments_are_empty_ones(storage):
    storage.store(1)
    assert storage.retrieve()[:3] == storage.retrieve((), {})[:3] == (1, (), {})
    storage.store(2, [], None)
    assert storage.retrieve(None, {})[0] == 2 and len(storage) == 1


def test_nothing_stored_is_a_key_error(storage):
    for call in (storage.retrieve, storage.delete, storage.time_stored):
        with pytest.raises(KeyError) as caught:
            call([1])
        assert isinstance(caught.value, vlstore.NotFoundError)
    with pytest.raises(KeyError):
        storage[storage.get_key([1])]


def test_numbers_of_different_types_differ_and_equal_arguments_replace(storage):
    for value in (1, 1.0, True, "1"):
        storage.store(repr(value), [value])
    assert len(storage) == 4
    for value in (1, 1.0, True, "1"):
        assert storage.retrieve([value])[0] == repr(value)
    storage.store("new", (1,))
    assert len(storage) == 4 and storage.retrieve([1])[0] == "new"
    assert storage.retrieve([np.int32(1)])[0] == "new" and storage.retrieve([np.float32(1)])[0] == "1.0"


def test_nan_infinities_and_names_find_themselves(storage):
    storage.store("nan", [math.nan, {"x": [-math.inf]}], {"k": {1: math.nan}})
    found = storage.retrieve([float("nan"), {"x": (-math.inf,)}], {"k": {"1": np.float64("nan")}})
    assert found[0] == "nan" and math.isnan(found[1][0]) and found[1][1] == {"x": [-math.inf]}
    storage.store("order", [{"b": 1, "a": 2}])
    assert storage.retrieve([{"a": 2, "b": 1}])[0] == "order"
    assert [v[0] for v, in zip(storage.iterdata({"k": {1: math.nan}}))] == ["nan"]


def test_iteration(storage):
    storage.store("a", [1], {"e": 2}, {"more": 1})
    storage.store("b", [2], {"e": 2})
    storage.store("c", [3], {"e": 2, "f": 1})
    storage.store("d", [4])
    storage.store("e", [{}])
    assert [v[:3] for v in storage.values()][:2] == [("a", (1,), {"e": 2}), ("b", (2,), {"e": 2})]
    assert [key for key, _ in storage.items()] == list(storage) == storage.keys()
    assert [storage[key][0] for key in storage] == list("abcde")
    assert all(key in storage for key in storage) and "x" not in storage
    assert list(storage.iterdata({"e": 2})) == [("a", (1,)), ("b", (2,))]
    assert [v[0] for v in storage.iterdata({})] == ["d", "e"]
    assert [v[0] for v in storage.iterdata()] == list("abcde")
    extra = [v[2] for v in storage.iterdata({"e": 2}, ret_extra_data=True)]
    assert extra[0]["more"] == 1 and set(extra[1]) == {"time_stored"}
    assert list(storage.times()) == list(storage)
    assert [v[0] for v in storage.itervalues()] == [v[0] for _, v in storage.iteritems()] == list("abcde")


def test_clear(storage):
    def fill():
        storage.clear()
        storage.store("a", [1], {"e": 2}, {"time_stored": 100.0})
        storage.store("b", [2], {"e": 2}, {"time_stored": 200.0})
        storage.store("c", [3], {"e": 2, "f": 1}, {"time_stored": 100.0})
        storage.store("d", [4], {}, {"time_stored": 100.0})

    def left():
        return [value[0] for value in storage.values()]

    fill()
    assert sorted(left()) == list("abcd") and sorted(storage.times().values()) == [100.0] * 3 + [200.0]
    assert storage.clear(kwargs={"e": 2}) == 2 and sorted(left()) == list("cd")
    fill()
    assert storage.clear(200.0) == 3 and left() == ["b"]
    fill()
    assert storage.clear(150.0, {"e": 2}) == 1 and sorted(left()) == list("bcd")
    fill()
    assert storage.clear(kwargs={}) == 1 and sorted(left()) == list("abc")
    fill()
    assert storage.clear() == 4 and left() == [] and len(storage) == 0
    fill()
    storage.delete([1], {"e": 2})
    del storage[storage.get_key([4])]
    assert sorted(left()) == list("bc")
    storage.repack()
    assert sorted(left()) == list("bc")


def test_long_arguments_and_many_entries(storage):
    long = "x" * 5000
    storage.store(1, [long], {"n": 1})
    storage.store(2, [long + "y"], {"n": 2})
    assert storage.retrieve([long], {"n": 1})[0] == 1 and storage.retrieve([long + "y"], {"n": 2})[0] == 2
    assert [v[1][0] for v in storage.values()] == [long, long + "y"]
    assert storage.clear(kwargs={"n": 2}) == 1 and len(storage) == 1
    with pytest.raises(KeyError):
        storage.retrieve([long + "y"], {"n": 2})


def test_what_cannot_be_stored_is_named(storage):
    class Strange:
        pass

    for value, word in ((Strange(), "Strange"), ([{1, 2}], "set"), (np.array([None]), "object"),
                        (np.ma.array([1]), "MaskedArray"), (np.rec.array([(1,)]), "recarray")):
        with pytest.raises(cache.ResultError, match=word):
            storage.store(value)
    loop = []
    loop.append(loop)
    with pytest.raises(cache.ResultError, match="nested"):
        storage.store(loop)
    with pytest.raises(cache.ArgumentError, match=r"argument 1\['a'\]\[0\] is of type set"):
        storage.store(1, [0, {"a": [{1}]}])
    with pytest.raises(cache.ArgumentError, match="itself"):
        storage.retrieve(loop)
    with pytest.raises(cache.ArgumentError, match="two names"):
        storage.store(1, [{1: 0, "1": 0}])
    with pytest.raises(cache.ResultError):
        storage.store(1, [], {}, {"x": {1}})
    with pytest.raises(TypeError):
        storage.store(1, [], {}, "text")
    with pytest.raises(TypeError):
        storage.store(1, "text")
    assert len(storage) == 0


class Result:
    """An object with the storage protocol."""

    def __init__(self, data, arg=None):
        self.data, self.arg = data, arg

    def storage_prepare(self):
        return self.data, {"arg": self.arg}

    @classmethod
    def storage_retrieve(cls, data_array, extra_data):
        return cls(data_array, extra_data["arg"])


class Faulty:
    """One whose methods have errors of their own."""

    def storage_prepare(self):
        return None.nothing

    @classmethod
    def storage_retrieve(cls, data_array, extra_data):
        raise KeyError("its own")


class Late(Result):
    @classmethod
    def storage_retrieve(cls, data_array, extra_data):
        raise KeyError("its own")


def test_objects_are_rebuilt_by_their_class(storage):
    storage.store(Result(np.arange(3), {"a": [1, (2,)]}), [1], {}, {"unit": "m"})
    storage.store([Result(2.5), {"x": Result("text", None)}], [2])
    found, _, _, extra = storage.retrieve([1])
    assert type(found) is Result and found.data.tolist() == [0, 1, 2] and found.arg == {"a": [1, (2,)]}
    assert extra["obj_class"] == "Result" and extra["obj_module"] == Result.__module__ and extra["unit"] == "m"
    first, second = storage.retrieve([2])[0]
    assert first.data == 2.5 and second["x"].data == "text"
    assert next(storage.values(raw=True))[0].tolist() == [0, 1, 2]


def test_an_error_in_the_methods_of_a_class_is_its_own(storage):
    with pytest.raises(AttributeError, match="nothing"):
        storage.store(Faulty())
    storage.store(Late(1), [1])
    with pytest.raises(KeyError, match="its own"):
        storage.retrieve([1])


def test_a_class_that_is_gone_is_named_and_other_entries_stay_readable(storage, monkeypatch):
    storage.store(Result(1), [1])
    storage.store(2, [2])
    import sys

    module = sys.modules[Result.__module__]
    monkeypatch.delattr(module, "Result")
    with pytest.raises(cache.MissingClassError, match="Result"):
        storage.retrieve([1])
    assert storage.retrieve([2])[0] == 2
    values = storage.values()
    with pytest.raises(cache.MissingClassError):
        next(values)
    assert next(values)[0] == 2
    assert [v[0] for v in storage.values(raw=True)] == [1, 2]


def test_a_class_inside_a_function_is_kept_in_memory_and_refused_for_a_file(storage):
    class Local(Result):
        pass

    if isinstance(storage, StorageMemory):
        storage.store(Local(3))
        assert type(storage.retrieve()[0]) is Local
    else:
        with pytest.raises(cache.ResultError, match="inside a function"):
            storage.store(Local(3))
        assert len(storage) == 0


def test_nobody_can_change_a_stored_array(storage):
    mine = np.arange(4.0)
    listed = [mine, [1]]
    storage.store(listed, [1])
    mine[0] = 9
    listed[1].append(2)
    found = storage.retrieve([1])[0]
    assert found[0].tolist() == [0, 1, 2, 3] and found[1] == [1]
    with pytest.raises(ValueError):
        found[0][0] = 5
    found[1].append(3)
    assert storage.retrieve([1])[0][1] == [1]
    if isinstance(storage, (StorageMemory, StorageFile)):
        with pytest.raises(ValueError):
            found[0].flags.writeable = True


@pytest.mark.parametrize("kind,name", [(StorageFile, "a.vls"), (StorageHDF5, "a.hdf5")])
def test_modes(kind, name, tmp_path):
    path = tmp_path / name
    with pytest.raises(FileNotFoundError):
        kind(path, readonly=True)
    assert not path.exists()
    kind(path).store(1, [1])
    os.chmod(path, 0o444)
    os.chmod(tmp_path, 0o555)
    try:
        reader = kind(path, readonly=True)
        assert reader.retrieve([1])[0] == 1
        for call in (lambda: reader.store(1), reader.clear, reader.repack, lambda: reader.delete([1]),
                     lambda: reader.import_(StorageMemory())):
            with pytest.raises(PermissionError):
                call()
    finally:
        os.chmod(tmp_path, 0o755)
        os.chmod(path, 0o644)
    assert len(kind(path)) == 1
    assert len(kind(path, truncate=True)) == 0 and len(reader) == 0
    with pytest.raises(ValueError):
        kind(path, readonly=True, truncate=True)
    temporary = kind(tmp_path / "temporary", temporary=True)
    temporary.store(1)
    assert (tmp_path / "temporary").exists()
    with pytest.raises(pickle.PicklingError):
        pickle.dumps(temporary)
    del temporary
    assert not (tmp_path / "temporary").exists()
    with kind(tmp_path / "temporary", temporary=True):
        pass
    assert not (tmp_path / "temporary").exists()


@pytest.mark.parametrize("kind,name", [(StorageFile, "a.vls"), (StorageHDF5, "a.hdf5")])
def test_other_files_are_refused_and_stay(kind, name, tmp_path):
    path = tmp_path / name
    path.write_bytes(b"my thesis" * 100)
    for options in ({}, {"truncate": True}, {"readonly": True}):
        with pytest.raises(vlstore.Error):
            kind(path, **options)
    assert path.read_bytes() == b"my thesis" * 100


def test_stores_of_others_are_refused_by_name(tmp_path):
    with vlstore.open(tmp_path / "frames.vls", "w", records="md-frame") as depot:
        depot["a"] = vlstore.MdFrame([[0.0, 0, 0]])
    with pytest.raises(ValueError, match="md-frame"):
        StorageFile(tmp_path / "frames.vls")
    with vlstore.open(tmp_path / "other.vls", "w") as store:
        store.attrs["vlstore:layer"] = "blobs"
    with pytest.raises(ValueError, match="blobs"):
        StorageFile(tmp_path / "other.vls")


@pytest.mark.parametrize("kind,name", [(StorageFile, "a.vls"), (StorageHDF5, "a.hdf5")])
def test_a_pickled_storage_opens_its_file_again(kind, name, tmp_path):
    storage = kind(tmp_path / name)
    storage.store(np.arange(3), ["x"])
    again = pickle.loads(pickle.dumps(storage))
    assert again.retrieve(["x"])[0].tolist() == [0, 1, 2]
    with pytest.raises(pickle.PicklingError):
        pickle.dumps(StorageMemory())


@pytest.mark.parametrize("kind,name", [(StorageFile, "a.vls"), (StorageHDF5, "a.hdf5")])
def test_two_storages_of_one_file_see_each_other(kind, name, tmp_path):
    one, two = kind(tmp_path / name), kind(tmp_path / name)
    for i in range(20):
        one.store(i, [i])
        assert two.retrieve([i])[0] == i
        two.store(-i, [i])
        assert one.retrieve([i])[0] == -i
    one.clear()
    assert len(two) == 0
    one.store(1, [1])
    two.repack()
    assert one.retrieve([1])[0] == 1
    two.store(2, [2])
    assert len(one) == 2


@pytest.mark.parametrize("kind,name", [(StorageFile, "a.vls"), (StorageHDF5, "a.hdf5")])
def test_repack_gives_space_back(kind, name, tmp_path):
    storage = kind(tmp_path / name)
    for i in range(8):
        storage.store(np.random.default_rng(i).random(20000), [i])
    for i in range(7):
        storage.delete([i])
    before = os.path.getsize(tmp_path / name)
    storage.repack()
    assert os.path.getsize(tmp_path / name) < before / 2
    assert np.array_equal(storage.retrieve([7])[0], np.random.default_rng(7).random(20000))
    assert os.listdir(tmp_path) == [name]


def test_the_file_is_a_store_like_any_other(tmp_path):
    path = tmp_path / "a.vls"
    storage = StorageFile(path)
    storage.store(np.arange(3), [1, "x"], {"b": 2}, {"unit": "nm"})
    storage.store({"a": (1,)}, [2])
    with vlstore.open(path) as store:
        assert list(store) == ['[[1,"x"],{"b":2}]', "[[2],{}]"]
        assert store.attrs["vlstore:layer"] == "cache" and store.verify().ok
        head, arrays = store['[[1,"x"],{"b":2}]']
        assert head["result"] == {"array": 0} and head["extra"] == {"unit": "nm"} and arrays[0].tolist() == [0, 1, 2]
        assert store.column("stored").tolist() == list(storage.times().values())
    vlstore.copy(path, tmp_path / "copy.vls")
    vlstore.compact(path)
    for again in (storage, StorageFile(tmp_path / "copy.vls", readonly=True)):
        assert [v[0] for v in again.values()][1] == {"a": (1,)} and len(again) == 2
    assert list(StorageFile(tmp_path / "copy.vls").times().values()) == list(storage.times().values())


def test_a_storage_is_imported_with_times_and_extra_data(storage, tmp_path):
    source = StorageMemory()
    for i, value in enumerate(VALUES):
        source.store(value, [i], {}, {"time_stored": 1000.0 + i, "n": i})
    source.store(Result(np.arange(2), 3), ["object"])
    storage.store("older", [0], {}, {"time_stored": 5.0})
    storage.store("newer", [1], {}, {"time_stored": 5e9})
    assert storage.import_(source) == len(VALUES)
    same(VALUES[0], storage.retrieve([0])[0])
    assert storage.retrieve([1])[0] == "newer"
    for i in range(2, len(VALUES)):
        value, _, _, extra = storage.retrieve([i])
        same(VALUES[i], value)
        assert extra == {"time_stored": 1000.0 + i, "n": i}
    assert storage.retrieve(["object"])[0].arg == 3


def test_values_of_another_storage_can_be_stored_again(storage):
    source = StorageMemory()
    source.store(Result(np.arange(2), 3), [1], {"a": 1}, {"unit": "nm"})
    for value in source.values(raw=True):
        storage.store(*value)
    found, args, kwargs, extra = storage.retrieve([1], {"a": 1})
    assert found.arg == 3 and extra == source.retrieve([1], {"a": 1})[3]


class TestBudget:
    def test_the_least_recently_used_have_to_go(self, tmp_path):
        for storage in (StorageMemory(max_bytes=9000), StorageFile(tmp_path / "a.vls", max_bytes=9000)):
            for i in range(4):
                storage.store(np.zeros(250), [i])
            storage.retrieve([0])
            storage.store(np.zeros(250), [4])
            storage.retrieve([0])
            storage.store(np.zeros(250), [5])
            assert [v[1][0] for v in storage.values()] == [0, 3, 4, 5] or [
                v[1][0] for v in storage.values()
            ] == [3, 0, 4, 5]
            assert storage.info().bytes <= 9000 and storage.info().entries == 4

    def test_uses_are_known_to_the_next_process(self, tmp_path):
        with StorageFile(tmp_path / "a.vls", max_bytes=9000) as storage:
            for i in range(4):
                storage.store(np.zeros(250), [i])
            storage.retrieve([0])
        again = StorageFile(tmp_path / "a.vls", max_bytes=9000)
        again.store(np.zeros(250), [4])
        assert sorted(v[1][0] for v in again.values()) == [0, 2, 3, 4]
        assert len(again) == 4

    def test_a_result_above_the_budget_is_refused(self, tmp_path):
        for storage in (StorageMemory(max_bytes=9000), StorageFile(tmp_path / "a.vls", max_bytes=9000)):
            storage.store(1, [1])
            with pytest.raises(vlstore.LimitError, match="9000"):
                storage.store(np.zeros(2000), [2])
            assert storage.retrieve([1])[0] == 1
            storage.store(np.zeros(500), [1])
            with pytest.raises(vlstore.LimitError):
                storage.store(np.zeros(2000), [1])
            assert storage.retrieve([1])[0].size == 500

    def test_the_file_does_not_keep_what_is_gone(self, tmp_path):
        storage = StorageFile(tmp_path / "a.vls", max_bytes=4 << 20)
        for i in range(40):
            storage.store(np.random.default_rng(i).random(100_000), [i])
        assert storage.info().bytes <= 4 << 20
        assert os.path.getsize(tmp_path / "a.vls") < 3 * (4 << 20)
        vlstore.open(tmp_path / "a.vls").verify()
        assert np.array_equal(storage.retrieve([39])[0], np.random.default_rng(39).random(100_000))

    def test_a_budget_may_be_an_integer_of_any_kind_and_size(self, tmp_path):
        for good in (2**70, np.int64(9000)):
            with StorageFile(tmp_path / "a.vls", max_bytes=good) as storage:
                storage.store(1)
                assert storage.retrieve()[0] == 1

    def test_a_budget_is_a_number_of_bytes(self, tmp_path):
        for bad in (-1, 1.5, "1 GB", True):
            with pytest.raises(ValueError):
                StorageMemory(max_bytes=bad)
            with pytest.raises(ValueError):
                StorageFile(tmp_path / "a.vls", max_bytes=bad)


def test_keys_are_the_same_in_every_run_and_language():
    key = StorageMemory().get_key
    assert key() == "[[],{}]"
    assert key([1, 1.0, True, None, "é\n"], {"b": 1e16, "a": 1e-5}) == '[[1,1.0,true,null,"é\\n"],{"a":1e-05,"b":1e+16}]'
    assert key([2], function="f", version=3) == '["f",3,[2],{}]'
    assert json.loads(key([{1: 2}], {})) == [[{"1": 2}], {}]
