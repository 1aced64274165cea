"""Files of the original program are read in place, written in its layout, and imported."""

import json
import os
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import DATA

import vlstore
from vlstore import cache
from vlstore.cache import StorageFile, StorageMemory, cached

from vlstore.errors import InvalidError

h5py = pytest.importorskip("h5py")
from vlstore.cache import StorageHDF5  # noqa: E402

ORIGINAL = DATA / "seed-formats" / "function-cache.hdf5"


@pytest.fixture
def original(tmp_path):
    if not ORIGINAL.exists():
        pytest.skip(f"no data: {ORIGINAL} is not there")
    path = tmp_path / "original.hdf5"
    shutil.copyfile(ORIGINAL, path)
    return path


def expected(path):
    """What the file holds, read with h5py: of two under one key the newer."""
    out = {}
    with h5py.File(path, "r") as file:
        for item in file.values():
            if item.attrs.get("deleted", False):
                continue
            args, kwargs = json.loads(item.attrs["args"]), json.loads(item.attrs["kwargs"])
            stored = json.loads(item.attrs["internal_data"])["time_stored"]
            key = json.dumps([args, kwargs], sort_keys=True)
            if key not in out or out[key][3] < stored:
                out[key] = args, kwargs, item[()], stored
    return out


def check(storage, entries):
    assert len(storage) == len(entries)
    for args, kwargs, value, stored in entries.values():
        found, its_args, its_kwargs, extra = storage.retrieve(args, kwargs)
        assert type(found) is type(value) and found.dtype == value.dtype and found.shape == value.shape
        assert found.tobytes() == value.tobytes()
        assert (list(its_args), its_kwargs, extra) == (args, kwargs, {"time_stored": stored})


def test_a_file_of_the_original_is_read_in_place(original):
    entries = expected(original)
    assert len(entries) == 26
    before = original.read_bytes()
    os.chmod(original, 0o444)
    reader = StorageHDF5(original, readonly=True)
    check(reader, entries)
    assert reader.retrieve(["scalar"])[0] == 2.5, "the newer of two"
    assert reader.retrieve(["é"])[0] == b"text"
    assert reader.retrieve(["complex"], {"nested": {"a": (1, None, True)}})[0].dtype == complex
    with pytest.raises(KeyError):
        reader.retrieve([0, 8], {"stat": "std"})
    assert original.read_bytes() == before


def test_and_added_to_and_repacked(original):
    entries = expected(original)
    storage = StorageHDF5(original)
    storage.store(3.5, ["scalar"])
    storage.store((1, "two"), ["new"])
    assert storage.retrieve(["scalar"])[0] == 3.5 and len(storage) == 27
    again = StorageHDF5(original)
    assert again.retrieve(["scalar"])[0] == 3.5 and again.retrieve(["new"])[0] == (1, "two")
    storage.delete(["new"])
    storage.delete(["scalar"])
    del entries['[["scalar"], {}]']
    check(again, entries)
    size = original.stat().st_size
    storage.repack()
    check(again, entries)
    assert original.stat().st_size < size
    with h5py.File(original) as file:
        assert len(file) == 25


@pytest.mark.parametrize("kind", ["file", "memory"])
def test_and_imported(original, tmp_path, kind):
    target = StorageFile(tmp_path / "a.vls") if kind == "file" else StorageMemory()
    assert target.import_(StorageHDF5(original, readonly=True)) == 26
    check(target, expected(original))
    back = StorageHDF5(tmp_path / "back.hdf5")
    assert back.import_(target) == 26
    check(back, expected(original))


def test_what_is_written_has_the_layout_of_the_original(tmp_path):
    storage = StorageHDF5(tmp_path / "a.hdf5")
    storage.store(np.arange(6).reshape(2, 3), (1, "x"), {"b": None}, {"unit": "nm"})
    storage.store(2.5, ["f"])
    with h5py.File(tmp_path / "a.hdf5") as file:
        found = {item.attrs["args"]: (name, item) for name, item in file.items()}
        name, item = found['[1, "x"]']
        assert item[()].tolist() == [[0, 1, 2], [3, 4, 5]] and item.attrs["kwargs"] == '{"b": null}'
        internal = json.loads(item.attrs["internal_data"])
        assert internal["unit"] == "nm" and isinstance(internal["time_stored"], float)
        assert set(internal) == {"unit", "time_stored"}, "an array needs nothing of ours"
        assert found['["f"]'][1][()] == 2.5
    storage.delete(["f"])
    with h5py.File(tmp_path / "a.hdf5") as file:
        assert file[found['["f"]'][0]].attrs["deleted"]


def test_an_object_has_the_names_of_the_original(tmp_path):
    storage = StorageHDF5(tmp_path / "a.hdf5")

    @cached(storage)
    def f(x):
        return Thing(np.arange(x), {"a": 1})

    f(3)
    with h5py.File(tmp_path / "a.hdf5") as file:
        [item] = file.values()
        internal = json.loads(item.attrs["internal_data"])
        assert item[()].tolist() == [0, 1, 2] and internal["obj_class"] == "Thing"
        assert internal["obj_module"] == Thing.__module__ and internal["obj_props"] == {"a": 1}
    assert f(3).extra == {"a": 1} and f.info()[:2] == (1, 1)


class Thing:
    def __init__(self, data, extra):
        self.data, self.extra = data, extra

    def storage_prepare(self):
        return self.data, self.extra

    @classmethod
    def storage_retrieve(cls, data, extra):
        return cls(data, extra)


def test_names_are_stable_from_run_to_run(tmp_path):
    code = (
        "import sys; from vlstore.cache import StorageHDF5; "
        "s = StorageHDF5(sys.argv[1]); s.store(1, ['a', 2.5], {'b': [1]})"
    )
    names = []
    for i in range(2):
        path = tmp_path / f"{i}.hdf5"
        env = {**os.environ, "PYTHONHASHSEED": str(i)}
        subprocess.run([sys.executable, "-c", code, str(path)], check=True, env=env)
        with h5py.File(path) as file:
            names.append(list(file))
    assert names[0] == names[1] and len(names[0]) == 1


def test_a_malformed_entry_is_told_from_a_missing_one(tmp_path):
    path = tmp_path / "a.hdf5"
    storage = StorageHDF5(path)
    storage.store({"a": np.arange(3), "b": np.arange(2)}, [1])
    storage.store(2, [2])
    with h5py.File(path, "r+") as file:
        for name, item in list(file.items()):
            if item.attrs["args"] == "[1]":
                attributes = dict(item.attrs)
                del file[name]
                file.create_dataset(name, data=np.zeros(3, "u1")).attrs.update(attributes)
    storage = StorageHDF5(path)
    with pytest.raises(cache.DamagedEntryError):
        storage.retrieve([1])
    assert storage.retrieve([2])[0] == 2
    values = storage.values()
    with pytest.raises(cache.DamagedEntryError):
        next(values)
    assert next(values)[0] == 2


def test_what_is_no_entry_is_passed_over(tmp_path):
    path = tmp_path / "a.hdf5"
    with h5py.File(path, "w") as file:
        file.create_group("group")
        file.create_dataset("bare", data=[1, 2])
        file.create_dataset("odd", data=1).attrs.update({"args": "[", "kwargs": "{}", "internal_data": "{}"})
    storage = StorageHDF5(path)
    assert len(storage) == 0
    storage.store(1)
    assert storage.retrieve()[0] == 1


def test_a_repack_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.hdf5"
    storage = StorageHDF5(path)
    storage.store(np.arange(100), [1])
    before = path.read_bytes()
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "no space")))
    with pytest.raises(OSError, match="no space"):
        storage.repack()
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["a.hdf5"]
    monkeypatch.undo()
    storage.repack()
    assert storage.retrieve([1])[0].size == 100


def test_a_file_that_another_process_has_open_is_waited_for(tmp_path):
    path = tmp_path / "a.hdf5"
    StorageHDF5(path).store(1, [1])
    code = (
        "import h5py, sys, time; file = h5py.File(sys.argv[1], 'r+'); print('open', flush=True); "
        "sys.stdin.readline(); file.close()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert other.stdout.readline() == "open\n"
        with pytest.raises(vlstore.LockedError):
            StorageHDF5(path, lock_timeout=0.1)
        import threading

        threading.Timer(0.3, lambda: (other.stdin.write("\n"), other.stdin.flush())).start()
        assert StorageHDF5(path).retrieve([1])[0] == 1
    finally:
        other.kill()
        other.wait()


def test_the_lock_is_taken_before_hdf5_looks_at_the_file_and_given_back_behind_its_last_write(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")
    path, opened, seen = tmp_path / "a.h5", h5py.File, []

    def is_locked(how):
        folder = os.open(tmp_path, os.O_RDONLY)
        try:
            fcntl.flock(folder, how | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(folder)
        return False

    class Watched(opened):
        def __init__(self, name, mode, **how):
            seen.append((mode, is_locked(fcntl.LOCK_EX), is_locked(fcntl.LOCK_SH)))
            super().__init__(name, mode, **how)

        def close(self):
            super().close()
            seen.append(("close", is_locked(fcntl.LOCK_EX), None))

    monkeypatch.setattr(h5py, "File", Watched)
    storage = StorageHDF5(path)
    storage.store(1, [1])
    assert storage.retrieve([1])[0] == 1
    assert {mode for mode, *_ in seen} == {"w", "r", "r+", "close"}
    for mode, alone, shared in seen:
        assert alone and shared in (None, mode != "r"), seen
    assert not is_locked(fcntl.LOCK_EX)


@pytest.mark.parametrize("said", ["TRUE", "FALSE", "BEST_EFFORT"])
def test_what_hdf5_is_told_of_locks_holds(tmp_path, said):
    code = "import sys; from vlstore.cache import StorageHDF5; StorageHDF5(sys.argv[1], lock_timeout=2).store(2, [2])"
    told = {**os.environ, "HDF5_USE_FILE_LOCKING": said}
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.h5")], check=True, timeout=60, env=told)
    # A file that the program itself has open to read is read here, too.
    with h5py.File(tmp_path / "a.h5", "r"):
        assert StorageHDF5(tmp_path / "a.h5", readonly=True).retrieve([2])[0] == 2


def test_a_file_that_another_process_has_just_made_is_not_made_again(tmp_path):
    path = tmp_path / "a.h5"
    storage = StorageHDF5(path)
    storage.store(1, [1])
    # As one that found no file before.
    with storage._open("w"):
        pass
    assert StorageHDF5(path).retrieve([1])[0] == 1


def test_arguments_too_long_for_an_attribute_are_refused(tmp_path):
    storage = StorageHDF5(tmp_path / "a.hdf5")
    with pytest.raises(vlstore.LimitError, match="attribute"):
        storage.store(1, ["x" * 70_000])
    assert len(storage) == 0


def test_what_is_no_result_stays_in_the_file(tmp_path):
    path = tmp_path / "a.h5"
    storage = StorageHDF5(path)
    storage.store(np.arange(5), [1])
    storage.store(np.arange(6), [2])
    with h5py.File(path, "r+") as file:
        file["notes"] = "mine"
        file["group/inner"] = [1, 2]
        file["link"] = h5py.SoftLink("/group/inner")
        file.create_dataset("odd", data=1).attrs.update({"args": "[", "kwargs": "{}", "internal_data": "{}"})
    storage.delete([1])
    storage.repack()
    with h5py.File(path) as file:
        assert set(file) > {"notes", "group", "link", "odd"} and len(file) == 5
        assert file["link"][1] == 2
    with pytest.raises(InvalidError, match="group"):
        StorageHDF5(path, truncate=True)
    assert storage.clear() == 1
    with h5py.File(path) as file:
        assert set(file) == {"notes", "group", "link"}
    StorageHDF5(tmp_path / "b.h5").store(1, [1])
    assert len(StorageHDF5(tmp_path / "b.h5", truncate=True)) == 0


@pytest.mark.parametrize("mine", [5, {"function": "x"}, {"by": "vlstore"}, None])
def test_extra_data_may_have_any_name(tmp_path, mine):
    path = tmp_path / "a.h5"
    StorageHDF5(path).store(np.arange(2), [1], {}, {"vlstore": mine, "other": 1})
    extra = StorageHDF5(path).retrieve([1])[3]
    assert extra["vlstore"] == mine and extra["other"] == 1


def test_a_class_method_is_found_when_the_file_is_read_anew(tmp_path):
    class Table:
        @classmethod
        @cached(StorageHDF5(tmp_path / "a.h5"))
        def make(cls, n):
            return np.arange(n)

    Table.make(3)
    time.sleep(0.15)
    os.utime(tmp_path / "a.h5")
    Table.make(3)
    assert Table.make.info().misses == 1


def test_a_store_does_not_read_the_whole_index_again(tmp_path, monkeypatch):
    storage = StorageHDF5(tmp_path / "a.h5")
    reads = []
    whole = StorageHDF5._read_index
    monkeypatch.setattr(StorageHDF5, "_read_index", lambda self, file: reads.append(1) or whole(self, file))
    for i in range(3):
        storage.store(i, [i])
        time.sleep(0.15)
        assert storage.retrieve([i])[0] == i
    assert not reads
    StorageHDF5(tmp_path / "a.h5").store(9, [9])
    assert storage.retrieve([9])[0] == 9 and reads


def test_a_store_that_waited_for_a_repack_goes_to_the_new_file(tmp_path, monkeypatch):
    path = tmp_path / "a.h5"
    one, two = StorageHDF5(path), StorageHDF5(path)
    one.store(1, [1])
    opened, done = h5py.File, []

    def late(name, mode, **how):
        file = opened(name, mode, **how)
        if mode == "r+" and not done:
            # Between opening and writing another process puts a new file in its place.
            done.append(1)
            shutil.copyfile(path, tmp_path / "new")
            os.replace(tmp_path / "new", path)
        return file

    monkeypatch.setattr(h5py, "File", late)
    two.store(2, [2])
    monkeypatch.undo()
    assert done and StorageHDF5(path).retrieve([2])[0] == 2


def test_a_changed_value_is_damage(tmp_path):
    path = tmp_path / "a.h5"
    storage = StorageHDF5(path)
    storage.store(np.arange(1000.0), [1])
    raw = bytearray(path.read_bytes())
    at = raw.index(np.arange(1000.0)[500:510].tobytes())
    raw[at + 3] ^= 1
    path.write_bytes(raw)
    with pytest.raises(cache.DamagedEntryError):
        storage.retrieve([1])


def test_an_import_names_a_damaged_entry_and_can_leave_it_out(tmp_path):
    path = tmp_path / "a.h5"
    storage = StorageHDF5(path)
    for i in range(4):
        storage.store(np.arange(1000.0) + i * 5000, [i])
    raw = bytearray(path.read_bytes())
    raw[raw.index((np.arange(1000.0) + 5000)[500:510].tobytes()) + 3] ^= 1
    path.write_bytes(raw)
    target = StorageFile(tmp_path / "a.vls")
    with pytest.raises(cache.DamagedEntryError) as error:
        target.import_(storage)
    assert any("skip" in note for note in error.value.__notes__)
    with pytest.warns(cache.DamagedEntryWarning, match="not copied"):
        assert target.import_(storage, damaged="skip") == 3
    for i in (0, 2, 3):
        assert np.array_equal(target.retrieve([i])[0], np.arange(1000.0) + i * 5000)
    assert len(target) == 3
    with pytest.raises(InvalidError, match="skip"):
        target.import_(storage, damaged="ignore")


def test_a_full_disk_costs_no_result_and_the_file_is_used_again(tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", small], capture_output=True).returncode:
        pytest.skip("mounting a small file system is not permitted here")
    try:
        make = cached(StorageHDF5(small / "a.h5"))(np.ones)
        make(1000)
        for _ in range(2):
            with pytest.warns(cache.NotStoredWarning, match="No space"):
                assert make(1_000_000).shape == (1_000_000,)
        assert make(1000).shape == (1000,) and make(2000).shape == (2000,)
        assert make.info().hits == 1 and make.info().entries == 2
    finally:
        subprocess.run(["umount", small], check=True)


def test_repacking_through_a_link_keeps_the_link(tmp_path):
    StorageHDF5(tmp_path / "a.h5").store(1, [1])
    (tmp_path / "link.h5").symlink_to("a.h5")
    StorageHDF5(tmp_path / "link.h5").repack()
    assert (tmp_path / "link.h5").is_symlink() and StorageHDF5(tmp_path / "a.h5").retrieve([1])[0] == 1
