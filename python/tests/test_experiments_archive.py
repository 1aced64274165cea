"""Whole experiments: archives that come back byte for byte, consolidated files, imports."""

import csv
import hashlib
import io
import json
import os
import pathlib
import pickle
import subprocess
import sys
import zipfile

import numpy as np
import pytest

import vlstore
from vlstore.errors import (
    FormatError,
    InvalidError,
    LockedError,
    MissingFileError,
    NotFoundError,
    StoreExistsError,
)
from vlstore.experiments import (
    Design,
    Experiment,
    Storage,
    StorageWriter,
    Trial,
    import_experiment,
    read_hdf5,
    storage_from_zip,
    storage_to_hdf5,
    storage_to_zip,
    write_hdf5,
)

ORIGINAL = pathlib.Path(__file__).parents[2] / ".." / "shared" / "data" / "seed-formats"


def original():
    folder = ORIGINAL / "axopy-experiment"
    if not folder.is_dir():
        pytest.skip("no data in ../shared/data/seed-formats")
    return folder


def types():
    names = "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64".split()
    names += "float16 float32 float64 complex64 complex128".split()
    rng = np.random.default_rng(2)
    for name in names:
        data = rng.integers(0, 256, (3, 40, np.dtype(name).itemsize), dtype=np.uint8)
        yield name, (data & 1).astype(bool)[..., 0] if name == "bool" else data.view(name)[..., 0]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """An experiment with all that there is; not changed by any test."""
    root = tmp_path_factory.mktemp("made") / "data"
    storage = Storage(root)
    for subject in ("p01", "p02 ü"):
        storage.subject_id = subject
        with storage.create_task("reach") as task:
            for block in range(2):
                made = Design().add_block()
                made.index = block
                for i in range(3):
                    t = made.add_trial({"label": f"{subject}, {i}", "x": 0.1 * i, "hit": i == 1})
                    t.attrs["nan"] = float("nan")
                    t.attrs["small"] = np.float16(1.5)
                    t.attrs["complex"] = 1 - 2j
                    if i == 2:
                        t.attrs["late"] = None
                    task.begin(t)
                    emg = t.add_array("emg")
                    for k in range(4):
                        emg.stack(np.arange(64 * 5).reshape(64, 5) * 0.5 + k + i)
                    if i != 1:
                        t.add_array("path", [1.0, 2.0, float(i)])
                    task.write(t)
            task.put_object("normaliser", pickle.dumps({"a": 1}))
            task.put_object("settings", {"rate": 1000, "names": ["µ"]})
            task.put_object("mixing", np.eye(3))
    with storage.create_task("types") as task:
        t = Trial({"block": 0, "trial": 0})
        for name, array in types():
            t.add_array(name, array)
        t.add_array("empty", np.zeros((3, 0), "f4"))
        t.add_array("single", np.array(5, "i2"))
        task.write(t)
    storage.create_task("no trials").close()
    storage.subject_id = "p03 without tasks"
    (root / "notes.txt").write_text("by hand\n" * 50)
    (root / "p01" / "more" / "deep").mkdir(parents=True)
    return root


def hierarchy(root):
    root = pathlib.Path(root)
    return {
        str(p.relative_to(root)): p.read_bytes() if p.is_file() else None for p in root.rglob("*")
    }


def same(one, two):
    """Whether two experiments have the same tables, arrays and objects, with all types."""
    assert one.subject_ids == two.subject_ids
    for subject in one.subject_ids:
        assert one.task_ids(subject) == two.task_ids(subject)
        for name in one.task_ids(subject):
            a, b = one.task(subject, name), two.task(subject, name)
            assert a.trials.columns == b.trials.columns and len(a) == len(b)
            assert a.trials.to_csv() == b.trials.to_csv()
            for i in range(len(a)):
                left, right = a.attributes(i), b.attributes(i)
                assert list(left) == list(right)
                assert [type(v) for v in left.values()] == [type(v) for v in right.values()]
                assert a.arrays(i) == b.arrays(i)
                for array in a.arrays(i):
                    assert a.get(i, array).tobytes() == b.get(i, array).tobytes()
            assert a.objects == b.objects
            for object_ in a.objects:
                left, right = a.object(object_), b.object(object_)
                assert type(left) is type(right) and np.array_equal(left, right)


# Archives.


def test_an_archive_is_restored_byte_for_byte(made, tmp_path):
    archive = storage_to_zip(made, tmp_path / "out.zip")
    assert archive == str(tmp_path / "out.zip")
    before = hierarchy(made)
    root = storage_from_zip(archive)
    assert root == str(tmp_path / "data")
    assert hierarchy(root) == before
    assert "p03 without tasks" in before and "p01/more/deep" in before
    with pytest.raises(StoreExistsError):
        storage_from_zip(archive)
    other = tmp_path / "elsewhere"
    other.mkdir()
    assert hierarchy(storage_from_zip(archive, other)) == before
    assert sorted(os.listdir(tmp_path)) == ["data", "elsewhere", "out.zip"]


def test_the_same_files_give_the_same_archive(made, tmp_path):
    first = pathlib.Path(storage_to_zip(made, tmp_path / "a.zip")).read_bytes()
    copied = pathlib.Path(storage_from_zip(tmp_path / "a.zip"))
    for path in copied.rglob("*"):
        os.utime(path, (10**9, 10**9))
    (copied / "notes.txt").chmod(0o600)
    assert pathlib.Path(storage_to_zip(f"{copied}/")).read_bytes() == first


def test_anybody_can_read_an_archive_with_unzip_alone(made, tmp_path):
    with zipfile.ZipFile(storage_to_zip(made, tmp_path / "out.zip")) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert len(names) == len(set(names))
        assert all(name.startswith("data/") for name in names)
        assert "data/p03 without tasks/" in names and "data/p01/more/deep/" in names
        table = list(csv.reader(io.StringIO(archive.read("data/p01/reach/trials.csv").decode())))
        assert table[0] == ["label", "x", "hit", "nan", "small", "complex", "late", "block", "trial"]
        assert table[2] == ["p01, 1", "0.1", "True", "nan", "1.5", "(1.0-2.0j)", "", "0", "1"]
        reader = Experiment(made).task("p01", "reach")
        for i in range(6):
            npy = np.load(io.BytesIO(archive.read(f"data/p01/reach/emg/{i}.npy")))
            assert np.array_equal(npy, reader.get(i, "emg"))
        assert "data/p01/reach/path/1.npy" not in names
        for name, array in types():
            npy = np.load(io.BytesIO(archive.read(f"data/p02 ü/types/{name}/0.npy")))
            assert npy.dtype == array.dtype and npy.tobytes() == array.tobytes()
        assert np.load(io.BytesIO(archive.read("data/p02 ü/types/single/0.npy"))).shape == ()
        # The files themselves, as they are.
        assert archive.read("data/p01/reach.vls") == (made / "p01" / "reach.vls").read_bytes()
        assert archive.getinfo("data/notes.txt").compress_size < 400
        sizes = {i.date_time for i in archive.infolist()}
        assert sizes == {(1980, 1, 1, 0, 0, 0)}


def test_views_have_names_of_their_own_also_where_case_does_not_count(tmp_path):
    storage = Storage(tmp_path / "data")
    storage.subject_id = "p01"
    names = ["trials.csv", "emg", "EMG", "a:b", "a?b", "b.", "b"]
    for task_id in ("reach", "Reach"):
        with storage.create_task(task_id) as task:
            t = Trial({"block": 0, "trial": 0})
            for i, name in enumerate(names):
                t.add_array(name, [float(i)])
            task.write(t)
    with zipfile.ZipFile(storage.to_zip()) as archive:
        entries = [e for e in archive.namelist() if not e.endswith(("/", ".vls"))]
        plain = [e.lower().replace(":", "_").replace("?", "_") for e in entries]
        assert len(set(plain)) == len(plain), entries
        assert not any(a != b and b.startswith(a + "/") for a in plain for b in plain)
        said = json.loads(archive.read("data/vlstore.json"))
        for folder in said["views"].values():
            for i, name in enumerate(names):
                renamed = [p for p, n in said["renamed"].items() if n == name and p.startswith(folder + "/")]
                place = renamed[0] if renamed else f"{folder}/{name}"
                assert np.load(io.BytesIO(archive.read(f"{place}/0.npy"))).tolist() == [float(i)]
    root = storage_from_zip(tmp_path / "data.zip", tmp_path / "back")
    assert hierarchy(root) == hierarchy(tmp_path / "data")


def test_a_failed_restore_leaves_no_folders(made, tmp_path):
    archive = pathlib.Path(storage_to_zip(made, tmp_path / "a.zip"))
    with zipfile.ZipFile(archive) as entries:
        info = entries.getinfo("data/notes.txt")
        at = info.header_offset + 30 + len(info.filename)
    content = bytearray(archive.read_bytes())
    content[at + 5] ^= 0xFF
    archive.write_bytes(content)
    (tmp_path / "there").mkdir()
    for folder in (tmp_path / "else" / "where", tmp_path / "there" / "more", tmp_path / "there"):
        with pytest.raises(vlstore.Error):
            storage_from_zip(archive, folder)
        assert sorted(p.name for p in tmp_path.rglob("*")) == ["a.zip", "there"]


def test_an_archive_that_claims_huge_entries_is_an_error(made, tmp_path):
    whole = pathlib.Path(storage_to_zip(made, tmp_path / "a.zip", views=False)).read_bytes()
    huge = b"\x01\x00\x10\x00" + (2**63 + 5).to_bytes(8, "little") * 2
    content, at = bytearray(whole), whole.index(b"PK\x01\x02")
    begin = at
    while content[at:at + 4] == b"PK\x01\x02":
        name, extra, comment = (int.from_bytes(content[at + i:at + i + 2], "little") for i in (28, 30, 32))
        content[at + 20:at + 28] = b"\xff" * 8
        content[at + 30:at + 32] = (extra + len(huge)).to_bytes(2, "little")
        content[at + 46 + name:at + 46 + name] = huge
        at += 46 + name + extra + len(huge) + comment
    content[at + 12:at + 16] = (at - begin).to_bytes(4, "little")
    (tmp_path / "b.zip").write_bytes(content)
    with pytest.raises(vlstore.Error):
        storage_from_zip(tmp_path / "b.zip", tmp_path / "back")
    with pytest.raises(vlstore.Error):
        Experiment(tmp_path / "b.zip").task("p01", "reach").trials
    assert not (tmp_path / "back").exists()


def test_hidden_folders_are_no_subjects_and_are_restored(tmp_path):
    storage = Storage(tmp_path / "data")
    storage.subject_id = "p01"
    storage.create_task("t").close()
    (tmp_path / "data" / ".git" / "objects").mkdir(parents=True)
    (tmp_path / "data" / ".git" / "a.vls").write_text("no store")
    assert list(storage.subject_ids) == ["p01"]
    (tmp_path / "data" / ".git" / "a.vls").rename(tmp_path / "data" / ".git" / "HEAD")
    archive = storage.to_zip()
    for path in (archive, tmp_path / "data", storage.to_hdf5()):
        assert Experiment(path).subject_ids == ["p01"]
    assert hierarchy(storage_from_zip(archive, tmp_path / "back")) == hierarchy(tmp_path / "data")


def test_an_archive_is_read_where_it_lies(made, tmp_path):
    for views in (True, False):
        archive = storage_to_zip(made, tmp_path / f"{views}.zip", views=views)
        os.chmod(archive, 0o400)
        before = sorted(os.listdir(tmp_path))
        found = Experiment(archive)
        same(Experiment(made), found)
        assert found.task_ids("p03 without tasks") == []
        for call in (lambda: found.task("p01", "other"), lambda: found.task_ids("p9")):
            with pytest.raises(InvalidError, match="no task|does not exist"):
                call()
        assert sorted(os.listdir(tmp_path)) == before
    with_views, without = (os.path.getsize(tmp_path / f"{v}.zip") for v in (True, False))
    assert without < with_views
    assert hierarchy(storage_from_zip(tmp_path / "False.zip")) == hierarchy(made)


def test_the_default_name_is_beside_the_root_and_a_separator_does_no_harm(tmp_path, monkeypatch):
    root = tmp_path / "sets" / "data"
    Storage(root).subject_id = "p01"
    assert storage_to_zip(str(root) + "/") == str(root) + ".zip"
    with pytest.raises(StoreExistsError, match="overwrit"):
        storage_to_zip(root)
    assert storage_to_zip(root, overwrite=True) == str(root) + ".zip"
    assert Storage(root).to_zip(tmp_path / "x.zip") == str(tmp_path / "x.zip")
    assert Storage(root).to_hdf5() == str(root) + ".hdf5"
    monkeypatch.chdir(root)
    assert storage_to_zip(".", overwrite=True) == str(root.resolve()) + ".zip"
    monkeypatch.chdir(root.parent)
    assert storage_to_zip("data", overwrite=True) == "data.zip"


def test_an_archive_in_the_root_does_not_pack_itself(tmp_path):
    root = tmp_path / "data"
    storage = Storage(root)
    storage.subject_id = "p01"
    storage.create_task("t").close()
    (root / ".x.0123456789abcdef.partial").write_bytes(b"left by a killed process")
    first = pathlib.Path(storage.to_zip(root / "in.zip")).read_bytes()
    again = pathlib.Path(storage.to_zip(root / "in.zip", overwrite=True)).read_bytes()
    assert first == again
    with zipfile.ZipFile(root / "in.zip") as archive:
        assert not [n for n in archive.namelist() if "in.zip" in n or "partial" in n]


def test_progress_ends_the_work_and_nothing_is_left(made, tmp_path):
    calls = []
    for i, work in enumerate([
        lambda p: storage_to_zip(made, tmp_path / "a.zip", progress=p),
        lambda p: storage_to_hdf5(made, tmp_path / "a.hdf5", progress=p),
        lambda p: storage_from_zip(storage_to_zip(made, tmp_path / "b.zip", overwrite=True), progress=p),
        lambda p: import_experiment(made, tmp_path / "c", progress=p),
    ]):
        calls.clear()
        try:
            work(lambda done, total: calls.append((done, total)))
        finally:
            assert calls[-1][0] == calls[-1][1] > 0 and calls == sorted(calls)
        for path in ("a.zip", "a.hdf5"):
            (tmp_path / path).unlink(missing_ok=True)
        before = sorted(tmp_path.rglob("*"))

        def stop(done, total):
            raise KeyError("stop")

        with pytest.raises((KeyError, StoreExistsError)):
            work(stop)
        if i < 2:
            assert sorted(tmp_path.rglob("*")) == before


def test_a_missing_root_is_refused_and_nothing_is_made(tmp_path):
    for work in (storage_to_zip, storage_to_hdf5, storage_from_zip, Experiment,
                 lambda p: import_experiment(p, tmp_path / "root")):
        with pytest.raises(MissingFileError, match="missing"):
            work(tmp_path / "missing")
    assert os.listdir(tmp_path) == []
    (tmp_path / "file").write_text("x" * 100)
    for work in (storage_to_zip, storage_to_hdf5, storage_from_zip, Experiment):
        with pytest.raises((InvalidError, FormatError)):
            work(tmp_path / "file")
    assert os.listdir(tmp_path) == ["file"]


def test_a_task_that_is_being_written_is_not_archived(tmp_path):
    storage = Storage(tmp_path / "data")
    storage.subject_id = "p01"
    with storage.create_task("t"):
        with pytest.raises(LockedError, match="t.vls"):
            storage.to_zip()
    assert storage.to_zip()


def test_damage_in_an_archive_is_found(made, tmp_path):
    path = pathlib.Path(storage_to_zip(made, tmp_path / "a.zip"))
    whole = path.read_bytes()
    found = 0
    for at in range(100, len(whole), len(whole) // 60):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1:])
        try:
            root = storage_from_zip(path)
        except vlstore.Error:
            found += 1
            assert sorted(os.listdir(tmp_path)) == ["a.zip"]
        else:
            # What was hit is nothing that is restored: a view, or a date.
            assert hierarchy(root) == hierarchy(made)
            subprocess.run(["rm", "-r", root], check=True)
    assert found > 5
    for cut in (10, len(whole) // 2, len(whole) - 30):
        path.write_bytes(whole[:cut])
        with pytest.raises(vlstore.Error):
            storage_from_zip(path)
        with pytest.raises(vlstore.Error):
            Experiment(path)
    assert sorted(os.listdir(tmp_path)) == ["a.zip"]


@pytest.mark.parametrize("name", ["../out.txt", "/abs.txt", "data/../../out.txt", "a\\..\\b"])
def test_entries_that_would_lie_outside_are_refused(tmp_path, name):
    (tmp_path / "in").mkdir()
    with zipfile.ZipFile(tmp_path / "in" / "a.zip", "w") as archive:
        archive.writestr("data/good.txt", "x")
        archive.writestr(name, "x")
    with pytest.raises(FormatError):
        storage_from_zip(tmp_path / "in" / "a.zip")
    assert os.listdir(tmp_path) == ["in"] and os.listdir(tmp_path / "in") == ["a.zip"]


# Consolidated files.


def test_a_consolidated_file_comes_back_with_the_same_tables_and_arrays(made, tmp_path):
    out = storage_to_hdf5(made, tmp_path / "out.hdf5")
    same(Experiment(made), Experiment(out))
    # From an archive it is the same, and back into a folder.
    archive = storage_to_zip(made, tmp_path / "data.zip")
    same(Experiment(made), Experiment(storage_to_hdf5(archive, tmp_path / "two.hdf5")))
    done = import_experiment(out, tmp_path / "back")
    assert (done.tasks, done.trials, done.left_out) == (4, 13, [])
    same(Experiment(made), Experiment(tmp_path / "back"))
    with pytest.raises(StoreExistsError):
        import_experiment(out, tmp_path / "back")


def test_h5py_reads_a_consolidated_file_and_adds_to_it(made, tmp_path):
    h5py = pytest.importorskip("h5py")
    out = storage_to_hdf5(made, tmp_path / "out.hdf5")
    reader = Experiment(made).task("p01", "reach")
    with h5py.File(out, "r") as file:
        assert sorted(file) == ["p01", "p02 ü", "p03 without tasks"]
        assert sorted(file["p01/reach"]) == ["0", "1", "2", "3", "4", "5", "objects"]
        for i in range(6):
            group = file[f"p01/reach/{i}"]
            emg = group["emg"]
            assert emg.dtype == "f8" and emg.compression == "gzip" and emg.shuffle
            assert np.array_equal(emg[:], reader.get(i, "emg"))
            attrs = dict(group.attrs)
            assert attrs["label"] == reader.trials[i]["label"] and attrs["x"] == reader.trials[i]["x"]
            assert attrs["hit"] == (i % 3 == 1) and attrs["block"] == i // 3 and attrs["trial"] == i % 3
            assert np.isnan(attrs["nan"]) and attrs["small"] == 1.5
            assert attrs["complex"].tolist() == [1, -2] and "late" not in attrs
        assert all(d.compression == "gzip" for d in file["p01/reach/2"].values())
        for name, array in types():
            found = file[f"p02 ü/types/0/{name}"]
            assert found.dtype == array.dtype, name
            assert found[:].tobytes() == array.tobytes()
        assert file["p02 ü/types/0/empty"].shape == (3, 0)
        assert file["p02 ü/types/0/single"][()] == 5
        assert pickle.loads(file["p01/reach/objects/normaliser"][:].tobytes()) == {"a": 1}
    with h5py.File(out, "a") as file:
        group = file.create_group("p04/new/0")
        group.attrs["block"], group.attrs["trial"], group.attrs["who"] = 0, np.int16(3), "h5py"
        group["x"] = np.arange(5, dtype=">i4")
        file["p01/reach/0/extra"] = np.ones((2, 2))
        file["p01/reach/0/emg"].attrs["unit"] = "mV"
    found = Experiment(out)
    assert found.subject_ids == ["p01", "p02 ü", "p03 without tasks", "p04"]
    task = found.task("p04", "new")
    assert task.trials[0] == {"who": "h5py", "block": 0, "trial": 3}
    assert task.get(0, "x").tolist() == [0, 1, 2, 3, 4]
    assert found.task("p01", "reach").get(0, "extra").shape == (2, 2)
    # By us, too.
    write_hdf5(out, np.arange(3), "p01/reach/0/ours")
    assert Experiment(out).task("p01", "reach").get(0, "ours").tolist() == [0, 1, 2]
    with h5py.File(out, "r") as file:
        assert file["p01/reach/0/ours"][:].tolist() == [0, 1, 2]


def test_what_h5py_changes_in_a_consolidated_file_is_read_back(made, tmp_path):
    h5py = pytest.importorskip("h5py")
    out = storage_to_hdf5(made, tmp_path / "out.hdf5")
    before = Experiment(made).task("p01", "reach")
    with h5py.File(out, "r+") as file:
        trial = file["p01/reach/0"]
        trial.attrs["label"] = "changed"
        trial.attrs["x"] = 2.5
        trial.attrs["hit"] = np.bool_(True)
        trial.attrs["score"] = 7
        trial.attrs["late"] = "now"
        trial.attrs["list"] = [1, 2]
        trial.attrs["complex"] = 5
        del trial.attrs["small"]
        trial["comment"] = "text, no numbers"
        trial["texts"] = np.array([b"a", b"b"])
        file["p01/reach/2"].attrs["late"] = np.int16(3)
        file["p01/reach/objects/text"] = "no numbers either"
    task = Experiment(out).task("p01", "reach")
    changed = {"label": "changed", "x": 2.5, "hit": True, "block": 0, "trial": 0, "complex": 5, "late": "now", "score": 7}
    found = task.attributes(0)
    assert np.isnan(found.pop("nan")) and found == changed
    assert type(found["hit"]) is bool and type(found["score"]) is int
    assert task.attributes(2)["late"] == 3
    assert task.attributes(1) == pytest.approx(before.attributes(1), nan_ok=True)
    assert task.arrays(0) == before.arrays(0)
    assert np.array_equal(task.get(0, "emg"), before.get(0, "emg"))
    for name in ("comment", "texts"):
        with pytest.raises(FormatError, match=f"{name}.*cannot have values of its type"):
            task.get(0, name)
    with pytest.raises(FormatError, match="text"):
        task.object("text")
    assert task.object("settings") == before.object("settings")


def test_attributes_that_hdf5_cannot_show_come_back(tmp_path):
    h5py = pytest.importorskip("h5py")
    storage = Storage(tmp_path / "data")
    storage.subject_id = "p01"
    attrs = {"text": "a\0b", "na\0me": 1, "vlstore:attributes": "mine", "": None, "block": 0, "trial": 0}
    del attrs[""]
    with storage.create_task("t") as task:
        task.write(Trial(attrs))
    out = storage.to_hdf5()
    assert Experiment(out).task("p01", "t").attributes(0) == attrs
    with h5py.File(out, "r") as file:
        assert sorted(n for n in file["p01/t/0"].attrs if not n.startswith("vlstore:")) == ["block", "trial"]


def test_many_trials_and_long_texts_are_consolidated(tmp_path):
    storage = Storage(tmp_path / "data")
    storage.subject_id = "p01"
    with storage.create_task("t") as task:
        for i in range(700):
            t = Trial({"block": i // 10, "trial": i % 10, "text": "x" * (80_000 if i == 3 else i)})
            t.add_array("x", np.arange(i))
            task.write(t)
    out = storage.to_hdf5()
    same(Experiment(storage.root), Experiment(out))


def test_another_file_of_hdf5_is_no_experiment(tmp_path):
    write_hdf5(tmp_path / "a.hdf5", [1, 2])
    with pytest.raises(FormatError, match="read_hdf5"):
        Experiment(tmp_path / "a.hdf5")


# Single arrays.


def test_single_arrays_are_written_and_read_and_an_existing_name_is_refused(tmp_path):
    path = tmp_path / "a.hdf5"
    data = np.array([[0.1, 2.1, 4.1], [2.1, 4.2, 2.1]])
    write_hdf5(path, data)
    assert np.array_equal(read_hdf5(path), data)
    write_hdf5(path, data * 2, dataset="more")
    write_hdf5(path, data * 3, dataset="group/inner")
    with pytest.raises(StoreExistsError):
        write_hdf5(path, data)
    for name in ("more", "group", "group/inner", "more/inner"):
        with pytest.raises(StoreExistsError):
            write_hdf5(path, data, dataset=name)
    assert np.array_equal(read_hdf5(path), data)
    assert np.array_equal(read_hdf5(path, "more"), data * 2)
    assert np.array_equal(read_hdf5(path, "group/inner"), data * 3)
    with pytest.raises(NotFoundError, match="missing"):
        read_hdf5(path, "missing")
    with pytest.raises(MissingFileError):
        read_hdf5(tmp_path / "none.hdf5")
    for name in ("", "a//b", "../a", "/a"):
        with pytest.raises(InvalidError):
            write_hdf5(path, data, dataset=name)
    with pytest.raises(vlstore.errors.WrongTypeError):
        write_hdf5(tmp_path / "b.hdf5", ["a"])
    assert sorted(os.listdir(tmp_path)) == ["a.hdf5"]
    (tmp_path / "text").write_text("no hdf5 at all")
    with pytest.raises(FormatError):
        read_hdf5(tmp_path / "text")
    with pytest.raises(vlstore.Error):
        write_hdf5(tmp_path / "text", data)
    assert (tmp_path / "text").read_text() == "no hdf5 at all"


def test_single_arrays_of_h5py_are_read_and_ours_by_h5py(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "theirs.hdf5", "w") as file:
        for name, array in types():
            file[name] = array
            file[f"{name} big"] = array.astype(array.dtype.newbyteorder(">"))
        file.create_dataset("packed", data=np.arange(10_000), compression="gzip", shuffle=True)
        file["text"] = "a"
    for name, array in types():
        for read in (name, f"{name} big"):
            back = read_hdf5(tmp_path / "theirs.hdf5", read)
            assert back.dtype == array.dtype and back.tobytes() == array.tobytes(), read
        write_hdf5(tmp_path / "ours.hdf5", array, name)
    assert np.array_equal(read_hdf5(tmp_path / "theirs.hdf5", "packed"), np.arange(10_000))
    with pytest.raises(FormatError, match="text"):
        read_hdf5(tmp_path / "theirs.hdf5", "text")
    with h5py.File(tmp_path / "ours.hdf5", "r") as file:
        for name, array in types():
            assert file[name].dtype == array.dtype and file[name][:].tobytes() == array.tobytes()


def links(file):
    """Every link of a file and what kind it has."""
    found = {}

    def look(group, at):
        for name in group:
            link = group.get(name, getlink=True)
            found[f"{at}{name}"] = type(link).__name__
            inner = group.get(name) if type(link).__name__ == "HardLink" else None
            if hasattr(inner, "keys") and len(found) < 300:
                look(inner, f"{at}{name}/")

    look(file, "")
    return found


@pytest.mark.parametrize("libver", ["earliest", "latest"])
@pytest.mark.parametrize("kind", ["plain", "soft", "external", "hard", "many", "type"])
def test_adding_to_files_of_h5py_keeps_every_link_or_changes_nothing(tmp_path, libver, kind, monkeypatch):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "theirs.hdf5"
    with h5py.File(path, "w", libver=libver) as file:
        file["a"] = np.arange(5)
        file["a"].attrs["unit"] = "mV"
        group = file.create_group("g")
        group["x"] = 1.0
        if kind == "soft":
            file["taken"] = h5py.SoftLink("/a")
        elif kind == "external":
            file["taken"] = h5py.ExternalLink("other.hdf5", "/a")
        elif kind == "hard":
            file["taken"] = group
        elif kind == "many":
            file["taken"] = 1
            for i in range(30):
                file[f"many {i}"] = i
        elif kind == "type":
            file["taken"] = np.dtype("f4")
        before = links(file)
    for name in ("new", "g/new", "taken", "taken/new"):
        content = path.read_bytes()
        try:
            with monkeypatch.context() as without:
                # Where it is installed, it adds what we refuse.
                without.setitem(sys.modules, "h5py", None)
                write_hdf5(path, np.arange(3.0), name)
            assert name != "taken" or kind == "plain"
        except vlstore.Error as error:
            assert isinstance(error, (StoreExistsError, FormatError))
            assert isinstance(error, StoreExistsError) or "unchanged" in str(error), error
            assert path.read_bytes() == content
            continue
        with h5py.File(path, "r") as file:
            after = links(file)
            assert file[name][:].tolist() == [0, 1, 2]
            assert file["a"][:].tolist() == [0, 1, 2, 3, 4] and file["a"].attrs["unit"] == "mV"
        assert before.items() <= after.items()
        before = after
    # An ordinary file takes all of them.
    assert kind != "plain" or len(before) == 6, before


def test_a_name_of_a_data_set_has_no_nul(tmp_path):
    with pytest.raises(InvalidError, match="not a valid name"):
        write_hdf5(tmp_path / "a.hdf5", [1.0], "a\0b")
    assert list(tmp_path.iterdir()) == []


# The original program.


def test_a_folder_of_axopy_is_read_where_it_lies():
    root = original()
    found = Experiment(root)
    assert found.subject_ids == ["p01", "p02", "p03"]
    for subject in found.subject_ids:
        assert found.task_ids(subject) == ["calibration", "reach"]
    task = found.task("p01", "reach")
    assert task.trials.columns == ["start", "length", "label", "mean_T", "block", "trial"]
    assert task.trials[0] == {"start": 33, "length": 39, "label": "reach-0-0",
                              "mean_T": 19.574137615384604, "block": 0, "trial": 0}
    assert task.array_names == ["path", "signals"]
    assert task.objects == ["normaliser.pkl"]
    assert task.object("normaliser.pkl") == (root / "p01/reach/normaliser.pkl").read_bytes()


def test_arrays_of_axopy_come_back_to_the_bit_also_imported_and_consolidated(tmp_path):
    root, h5py = original(), pytest.importorskip("h5py")
    done = import_experiment(root, tmp_path / "ours")
    assert (done.tasks, done.left_out) == (6, [])
    out = storage_to_hdf5(root, tmp_path / "out.hdf5")
    theirs, ours, whole = Experiment(root), Experiment(tmp_path / "ours"), Experiment(out)
    same(theirs, ours)
    same(theirs, whole)
    count = 0
    for path in sorted(root.glob("*/*/*.hdf5")):
        subject, task = path.parts[-3:-1]
        with h5py.File(path, "r") as file:
            for number, data in file.items():
                back = ours.task(subject, task).get(int(number), path.stem)
                assert back.dtype == data.dtype and back.tobytes() == data[:].tobytes()
                count += 1
    assert count == sum(
        len(ours.task(s, t).arrays(i)) for s in ours.subject_ids for t in ours.task_ids(s)
        for i in range(len(ours.task(s, t)))
    ) > 40


def test_a_pickle_of_axopy_is_never_loaded(tmp_path):
    task = tmp_path / "theirs" / "p01" / "t"
    task.mkdir(parents=True)
    (task / "trials.csv").write_text("a,flag,text,block,trial\n1,True,x,0,0\n,False,\"y,\nz\",0,1\n")
    evil = b"cos\nsystem\n(S'touch " + str(tmp_path / "owned").encode() + b"'\ntR."
    (task / "evil.pkl").write_bytes(evil)
    (tmp_path / "theirs" / "readme.txt").write_text("x")
    write_hdf5(task / "x.hdf5", [1.0], "0")
    write_hdf5(task / "single.hdf5", [1.0], "data")
    done = import_experiment(tmp_path / "theirs", tmp_path / "ours")
    assert done.left_out == ["readme.txt"] and done.trials == 2
    reader = Experiment(tmp_path / "ours").task("p01", "t")
    assert reader.object("evil.pkl") == evil
    assert reader.objects == ["evil.pkl", "single.hdf5"]
    storage_to_hdf5(tmp_path / "theirs")
    storage_to_zip(tmp_path / "theirs")
    assert not (tmp_path / "owned").exists()
    assert reader.trials["a"] == [1, None] and reader.trials["flag"] == [True, False]
    assert reader.trials["text"] == ["x", "y,\nz"]
    assert reader.arrays(1) == {}
    # An array of a trial that the table does not have is not dropped without a word.
    write_hdf5(task / "x.hdf5", [1.0], "7")
    with pytest.raises(FormatError, match="trials.csv does not have: there are 2"):
        Experiment(tmp_path / "theirs").task("p01", "t")


def test_an_archive_of_a_folder_of_axopy_is_read_where_it_lies(tmp_path):
    archive = storage_to_zip(original(), tmp_path / "axopy.zip")
    same(Experiment(original()), Experiment(archive))
    one = import_experiment(original(), tmp_path / "one")
    assert import_experiment(archive, tmp_path / "two") == one
    same(Experiment(original()), Experiment(storage_to_hdf5(archive)))


def test_a_folder_of_axopy_is_archived_and_restored_byte_for_byte(tmp_path):
    root = original()
    archive = storage_to_zip(root, tmp_path / "axopy.zip")
    back = storage_from_zip(archive)
    assert hierarchy(back) == hierarchy(root)
    same(Experiment(root), Experiment(back))


def test_the_flattened_archive_of_axopy_is_recognised_and_its_losses_named(tmp_path):
    original()
    flat = ORIGINAL / "axopy-upstream-flattened.zip"
    for work in (Experiment, lambda p: storage_from_zip(p, tmp_path), lambda p: import_experiment(p, tmp_path / "x")):
        with pytest.raises(FormatError) as error:
            work(flat)
        said = str(error.value)
        assert "folders of this experiment are lost" in said
        assert '6 x "axopy-experiment/trials.csv"' in said and "21 files under 4 names" in said
        assert "vlstore archive" in said
    assert os.listdir(tmp_path) == []
    # One task alone loses its folders without repeating a name.
    with zipfile.ZipFile(tmp_path / "one.zip", "w") as archive:
        archive.writestr("data/trials.csv", "block,trial\n")
    with pytest.raises(FormatError, match="lost"):
        Experiment(tmp_path / "one.zip")


def test_a_folder_of_axopy_is_not_merged_but_imported(tmp_path):
    storage = Storage(tmp_path / "data")
    with pytest.raises(InvalidError, match="import_experiment"):
        storage.merge(original())
    assert list(storage.subject_ids) == []


def test_folders_of_both_kinds_are_refused(tmp_path):
    storage = Storage(tmp_path / "data")
    storage.subject_id = "p01"
    storage.create_task("ours").close()
    theirs = tmp_path / "data" / "p02" / "theirs"
    theirs.mkdir(parents=True)
    (theirs / "trials.csv").write_text("block,trial\n0,0\n")
    with pytest.raises(InvalidError, match="import the latter"):
        Experiment(tmp_path / "data")


@pytest.mark.parametrize(
    "shape, chunks, most",
    [((1 << 42,), (1 << 20,), None), ((1 << 40, 1 << 40), (1, 1 << 20), None), ((1,), ((1 << 29) - 1,), (None,))],
)
def test_a_small_file_that_claims_a_huge_array_is_an_error(tmp_path, shape, chunks, most):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file.create_dataset("data", shape=shape, chunks=chunks, maxshape=most, dtype="f8", compression="gzip")
    with pytest.raises(vlstore.Error, match="a.hdf5"):
        read_hdf5(tmp_path / "a.hdf5")
    storage = Storage(tmp_path / "data")
    storage.subject_id = "p01"
    with storage.create_task("t") as task:
        task.write(Trial({"block": 0, "trial": 0}))
    with h5py.File(storage.to_hdf5(), "r+") as file:
        file["p01/t/0"].create_dataset("emg", shape=shape, chunks=chunks, maxshape=most, dtype="f8")
    task = Experiment(tmp_path / "data.hdf5").task("p01", "t")
    with pytest.raises(vlstore.Error, match="data.hdf5"):
        task.get(0, "emg")


def test_unfinished_trials_are_shown_and_their_loss_is_said(tmp_path):
    storage = Storage(tmp_path / "data")
    storage.subject_id = "p01"
    with storage.create_task("t") as task:
        t = task.begin(Trial({"block": 0, "trial": 0}))
        t.add_array("emg").stack([1.0, 2.0])
        t.add_array("rows", stack_axis=0).stack([1.0, 2.0])
    for path in (tmp_path / "data", storage.to_zip()):
        (left,) = Experiment(path).task("p01", "t").unfinished
        assert left.array("emg").tolist() == [1.0, 2.0]
        again = left.trial().arrays
        assert (again["emg"].stack_axis, again["rows"].stack_axis) == (1, 0)
        again["rows"].stack([3.0, 4.0])
        assert again["rows"].data.tolist() == [[1.0, 2.0], [3.0, 4.0]]
    code, said = command("consolidate", "data", "unfinished.hdf5", cwd=tmp_path)
    assert code == 0 and "warning: data: 1 unfinished" in said
    with pytest.warns(UserWarning, match="1 unfinished"):
        storage_to_hdf5(tmp_path / "data")
    with pytest.warns(UserWarning, match="1 unfinished"):
        assert import_experiment(tmp_path / "data", tmp_path / "new").unfinished == 1


def test_a_run_closes_all_tasks_and_raises_the_first_error(tmp_path):
    run = StorageWriter(tmp_path / "data", "p01")
    tasks = [run.task(name) for name in ("a", "b", "c")]
    closed = []

    def failing(name, close):
        def end():
            closed.append(name)
            close()
            if name != "b":
                raise OSError(name)
        return end

    for name, task in zip("abc", tasks):
        task.close = failing(name, task.close)
    with pytest.raises(OSError, match="a"):
        run.close()
    assert closed == ["a", "b", "c"] and all(task.closed for task in tasks)
    run.close()


# The command.


def command(*words, cwd):
    done = subprocess.run(
        [sys.executable, "-m", "vlstore", *map(str, words)], cwd=cwd, capture_output=True,
        text=True, check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_the_command_archives_restores_and_consolidates(made, tmp_path):
    root = tmp_path / "data"
    archive = storage_to_zip(made, tmp_path / "first.zip")
    storage_from_zip(archive)
    assert command("archive", "data", cwd=tmp_path)[0] == 0
    digest = hashlib.sha256((tmp_path / "data.zip").read_bytes()).hexdigest()
    assert digest == hashlib.sha256((tmp_path / "first.zip").read_bytes()).hexdigest()
    code, said = command("archive", "data", cwd=tmp_path)
    assert code == 1 and "--overwrite" in said
    assert command("archive", "--overwrite", "data/", cwd=tmp_path)[0] == 0
    code, said = command("consolidate", "data", "out.hdf5", cwd=tmp_path)
    assert code == 0 and "out.hdf5" in said
    same(Experiment(root), Experiment(tmp_path / "out.hdf5"))
    (tmp_path / "back").mkdir()
    assert command("archive", "--restore", "data.zip", "back", cwd=tmp_path)[0] == 0
    assert hierarchy(tmp_path / "back" / "data") == hierarchy(made)
    code, said = command("archive", "missing", cwd=tmp_path)
    assert code == 1 and "missing" in said
