"""Experiments that others made or changed: files of h5py, tables by hand, folders and archives that lie elsewhere."""

import os
import pathlib
import subprocess
import sys
import warnings
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
    OrdinalError,
    StoreExistsError,
    WrongTypeError,
)
from vlstore.experiments import (
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


def fill(root, subject="p01", task="reach", **attrs):
    """A task with one trial."""
    storage = Storage(root)
    storage.subject_id = subject
    with storage.create_task(task) as writer:
        trial = Trial({**attrs, "block": 0, "trial": 0})
        trial.add_array("emg", [0.5, 1.5])
        writer.write(trial)
    return storage


def axopy(root, subject="p01", task="reach", table="block,trial\n0,0\n"):
    """A task of the original program."""
    folder = pathlib.Path(root) / subject / task
    folder.mkdir(parents=True)
    (folder / "trials.csv").write_text(table)
    write_hdf5(folder / "emg.hdf5", [0.5, 1.5], "0")
    return folder


def command(*words, cwd):
    done = subprocess.run(
        [sys.executable, "-m", "vlstore", *map(str, words)], cwd=cwd, capture_output=True, text=True, check=False,
    )
    return done.returncode, done.stdout + done.stderr


def unpack(archive, folder):
    with zipfile.ZipFile(archive) as entries:
        entries.extractall(folder)


def pack(archive, folder, below, skip=()):
    """As a person zips a folder: with names from `below` on."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as entries:
        for path in sorted(pathlib.Path(folder).rglob("*")):
            if path.name not in skip:
                entries.write(path, path.relative_to(below))
    return archive


# Files that h5py wrote or changed.


def test_attributes_of_h5py_are_exact_or_named(tmp_path):
    h5py = pytest.importorskip("h5py")
    storage = fill(tmp_path / "data", half=np.float16(1.5), z=1 - 2j, z64=np.complex64(1j), snan=np.float32("nan"))
    out = storage.to_hdf5()
    kept = {
        "bool": np.bool_(True), "text": "ü", "int": np.int64(5), "float": np.float64(0.1),
        **{f"a {t}": np.dtype(t).type(7) for t in "i1 i2 i4 u1 u2 u4 u8 f4".split()},
        "big": np.array(7, ">i2")[()],
    }
    refused = {
        "half": np.float16(2.5), "late half": np.float16(1), "late complex": np.complex128(1j), "list": [1, 2],
        "one": [1], "long": np.longdouble(1) / 3, "bytes": np.bytes_(b"\xff\xfe"), "none": h5py.Empty("f8"),
        "kind": h5py.Empty("S1"),
    }
    with h5py.File(out, "r+") as file:
        attrs = file["p01/reach/0"].attrs
        for name, value in {**kept, **refused}.items():
            attrs[name] = value
        attrs.create("enum", 1, dtype=h5py.enum_dtype({"left": 0, "right": 1}, "i2"))
        # The two parts of a complex number, as it is shown to others.
        attrs["z"], attrs["z64"] = [3.0, 4.0], [0.1, -0.0]
    with pytest.warns(UserWarning, match="p01/reach/0@.*and .* more"):
        task = Experiment(out).task("p01", "reach")
    found = task.attributes(0)
    for name, value in kept.items():
        assert found[name] == value and np.asarray(found[name]).dtype.kind == np.asarray(value).dtype.kind, name
    assert type(found["a u8"]) is np.uint64 and type(found["a f4"]) is np.float32 and type(found["int"]) is int
    assert found["z"] == 3 + 4j and found["z64"] == 0.1 - 0j and np.isnan(found["snan"])
    names = {line.split("@")[1].rsplit(" (", 1)[0] for line in task.left_out}
    assert names == {*refused, "enum"} and not names & set(found)
    said = "\n".join(task.left_out)
    for what in ("@half (float16)", "@late complex (complex128)", "@list (a list)", "@bytes (text that is not UTF-8)"):
        assert what in said, said
    done = import_experiment(out, tmp_path / "again")
    assert set(task.left_out) <= set(done.left_out)
    assert Storage(tmp_path / "again").root and Experiment(tmp_path / "again").task("p01", "reach").attributes(0).keys() == found.keys()


def test_arrays_of_h5py_are_exact_or_named(tmp_path):
    h5py = pytest.importorskip("h5py")
    out = fill(tmp_path / "data").to_hdf5()
    rng = np.random.default_rng(1)
    kept = {t: rng.integers(0, 256, (3, 16), dtype="u1").view(t) for t in "<f2 >f2 <c8 >c8 <c16 >c16".split()}
    with h5py.File(out, "r+") as file:
        trial = file["p01/reach/0"]
        for name, array in kept.items():
            trial[name] = array
        trial["long"] = np.ones(3, np.longdouble)
        trial["long complex"] = np.ones(3, np.clongdouble)
        trial["pairs"] = np.zeros(3, [("a", "f4"), ("b", "f4")])
        trial["inner/x"] = 1.0
        file["p01/reach/notes"] = "a text"
        file["p01/reach/own group/x"] = 1.0
        file["p01/stray"] = 1.0
        file["stray"] = 1.0
        file.attrs["lab"] = file["p01"].attrs["lab"] = "x"
    with pytest.warns(UserWarning, match="h5py reads it"):
        task = Experiment(out).task("p01", "reach")
    for name, array in kept.items():
        back = task.get(0, name)
        assert back.dtype == array.dtype.newbyteorder("=") and back.tobytes() == array.astype(back.dtype).tobytes()
    for name in ("long", "long complex", "pairs"):
        with pytest.raises(FormatError, match=f"{name}.*cannot have values of its type"):
            task.get(0, name)
    left = {line.split(" (an array cannot")[0] for line in Experiment(out).left_out}
    at = "p01/reach/0"
    assert left == {f"{at}/long", f"{at}/long complex", f"{at}/pairs", f"{at}/inner/", "p01/reach/notes",
                    "p01/reach/own group/", "p01/stray", "stray", "@lab", "p01@lab"}
    with pytest.warns(UserWarning, match="left out"):
        assert import_experiment(out, tmp_path / "again").left_out and storage_to_hdf5(out, tmp_path / "two.hdf5")


def test_long_arrays_are_read_by_h5py(tmp_path):
    h5py = pytest.importorskip("h5py")
    arrays = {
        f"{shape} {dtype}": np.arange(np.prod(shape)).astype(dtype).reshape(shape)
        for shape in ((65_535,), (65_536,), (300_000,), (70_000, 2), (2, 140_000)) for dtype in ("u1", "f8")
    }
    storage = Storage(tmp_path / "data")
    storage.subject_id = "p01"
    with storage.create_task("t") as task:
        trial = Trial({"block": 0, "trial": 0})
        for name, array in arrays.items():
            trial.add_array(name, array)
        task.write(trial)
    for level in (4, 0):
        out = storage.to_hdf5(level=level, overwrite=True)
        write_hdf5(out, arrays["(300000,) f8"], "p01/t/0/added")
        with h5py.File(out, "r") as file:
            for name, array in {**arrays, "added": arrays["(300000,) f8"]}.items():
                found = file[f"p01/t/0/{name}"]
                assert found.dtype == array.dtype and np.array_equal(found[:], array), name


def test_names_with_leading_zeros_are_kept_as_text(tmp_path):
    h5py = pytest.importorskip("h5py")
    for subject in ("01", "1", "001"):
        fill(tmp_path / "data", subject, "02", id=subject)
    out = storage_to_hdf5(tmp_path / "data")
    with h5py.File(out, "r+") as file:
        for name in ("01", "1", "10", "2"):
            group = file.create_group(f"01/02/{name}")
            group.attrs["id"], group.attrs["block"], group.attrs["trial"] = name, 0, 1
            group["emg"] = [float(name)]
    archive = storage_to_zip(tmp_path / "data")
    import_experiment(out, tmp_path / "again")
    for path in (tmp_path / "data", out, archive, tmp_path / "again"):
        found = Experiment(path)
        assert found.subject_ids == ["001", "01", "1"] and found.task_ids("01") == ["02"]
        assert found.task("001", "02").trials["id"] == ["001"]
    for path in (out, tmp_path / "again"):
        task = Experiment(path).task("01", "02")
        assert task.trials["id"] == ["01", "01", "1", "2", "10"]
        assert [a[0] for a in task.iterarray("emg")] == [0.5, 1.0, 1.0, 2.0, 10.0]
    # Of the original program: identifiers in a table, and an array that is of no trial by its name.
    folder = axopy(tmp_path / "theirs", "07", table="subject,n,block,trial\n07,1,0,0\n08,2,0,1\n")
    write_hdf5(folder / "odd.hdf5", [1.0], "01")
    task = Experiment(tmp_path / "theirs").task("07", "reach")
    assert task.trials["subject"] == ["07", "08"] and task.trials["n"] == [1, 2]
    assert task.objects == ["odd.hdf5"] and task.array_names == ["emg"]


def test_a_trial_without_its_numbers_is_named_where_it_is_imported(tmp_path):
    folder = axopy(tmp_path / "theirs", table="block,trial\n0,0\n,1\n")
    with pytest.raises(InvalidError, match="theirs/p01/reach/1.*\"block\" is an integer, not missing"):
        import_experiment(folder.parents[1], tmp_path / "ours")


def add_many(h5py, path, libver):
    with h5py.File(path, "r+", libver=libver) as file:
        for i in range(20):
            file[f"p01/reach/{i + 1}/x"] = np.arange(i)
            file[f"p01/reach/0/more {i}"] = np.arange(i)


@pytest.mark.parametrize("made", ["ours", "latest", "earliest"])
def test_files_with_many_links_are_added_to_by_h5py(tmp_path, made, monkeypatch):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "data.hdf5"
    if made == "ours":
        fill(tmp_path / "data").to_hdf5()
    else:
        h5py.File(path, "w", libver=made).close()
    add_many(h5py, path, "earliest" if made == "ours" else made)
    data = np.arange(6, dtype="f2").reshape(2, 3)
    names = ("p01/reach/0/new", "p01/reach/21/x", "p01/reach/22/deep/er/x", "top")
    for name in names:
        write_hdf5(path, data, name)
        back = read_hdf5(path, name)
        assert back.dtype == data.dtype and np.array_equal(back, data)
        with pytest.raises(StoreExistsError, match=name):
            write_hdf5(path, data, name)
    write_hdf5(path, np.int8(3), "p01/reach/0/single")
    write_hdf5(path, np.zeros((0, 3)), "p01/reach/0/empty")
    with pytest.raises(StoreExistsError):
        write_hdf5(path, data, "p01/reach/0/new/inner")
    with h5py.File(path, "r") as file:
        assert len(file["p01/reach/0"]) >= 23 and file["p01/reach/0/empty"].shape == (0, 3)
    if made == "ours":
        task = Experiment(path).task("p01", "reach")
        assert len(task) == 23 and task.get(0, "new").tolist() == data.tolist()
    # Without h5py the file stays, and the message says what to do.
    monkeypatch.setitem(sys.modules, "h5py", None)
    content = path.read_bytes()
    if made != "earliest":
        with pytest.raises(FormatError, match="unchanged. `pip install h5py`"):
            write_hdf5(path, data, "p01/reach/0/other")
        assert path.read_bytes() == content


def test_a_file_that_another_program_has_open_is_said_to_be_so(tmp_path):
    h5py = pytest.importorskip("h5py")
    write_hdf5(tmp_path / "a.hdf5", [1.0], "x")
    with h5py.File(tmp_path / "a.hdf5", "r+"):
        with pytest.raises(LockedError, match="another writer"):
            write_hdf5(tmp_path / "a.hdf5", [1.0], "y")
        for work in (lambda: read_hdf5(tmp_path / "a.hdf5", "x"), lambda: Experiment(tmp_path / "a.hdf5")):
            with pytest.raises(FormatError, match="a program has this file open for writing.*close it"):
                work()
    with pytest.raises(InvalidError, match="this is a folder"):
        read_hdf5(tmp_path)


# Tables by hand.


@pytest.mark.parametrize("table, says", [
    ("a,b,a,block,trial\n1,2,3,0,0\n", "columns 1 and 3 are both called \"a\""),
    (",a,block,trial\n0,1,0,0\n", "column 1 has no name"),
    ("a,block,trial\n\"no end,0,0\n", "no end"),
    ("a,block,trial\n1,0\n", "row 2.*2 cells"),
])
def test_tables_that_would_lose_something_are_refused_by_name(tmp_path, table, says):
    axopy(tmp_path / "theirs", table=table)
    for work in (
        lambda: Experiment(tmp_path / "theirs").task("p01", "reach"),
        lambda: import_experiment(tmp_path / "theirs", tmp_path / "ours"),
        lambda: storage_to_hdf5(tmp_path / "theirs"),
    ):
        with pytest.raises(FormatError, match=f"trials.csv.*{says}"):
            work()
    assert not (tmp_path / "theirs.hdf5").exists() and not list((tmp_path / "ours").glob("*"))


@pytest.mark.parametrize("cells, values", [
    ([2**63 - 1, -(2**63)], [2**63 - 1, -(2**63)]),
    ([2**63, 2**64 - 1], [np.uint64(2**63), np.uint64(2**64 - 1)]),
    ([2**64, 1], [str(2**64), "1"]),
    ([10**30, -1], [str(10**30), "-1"]),
    (["9007199254740993", "0.5"], ["9007199254740993", "0.5"]),
    (["9007199254740992", "0.5"], [2.0**53, 0.5]),
])
def test_integers_of_a_table_are_kept_to_the_digit(tmp_path, cells, values):
    rows = "".join(f"{cell},0,{i}\n" for i, cell in enumerate(cells))
    axopy(tmp_path / "theirs", table=f"n,block,trial\n{rows}")
    import_experiment(tmp_path / "theirs", tmp_path / "ours")
    storage_to_hdf5(tmp_path / "theirs")
    for path in (tmp_path / "theirs", tmp_path / "ours", tmp_path / "theirs.hdf5"):
        found = Experiment(path).task("p01", "reach").trials["n"]
        assert found == values and [type(v) for v in found] == [type(v) for v in values]


# What is left out, and what is not.


def test_names_that_end_as_unfinished_files_do_are_kept(tmp_path):
    root = tmp_path / "data.partial"
    storage = fill(root, "p01.partial", "reach.partial", id="x.partial")
    (root / ".notes.partial").write_text("by hand")
    (root / "p01.partial" / ".0123.partial").mkdir()
    (root / "p01.partial" / "x.0123456789abcdef.partial").write_text("not hidden")
    # As a killed process leaves them.
    left = [".0123456789abcdef.partial", "p01.partial/.reach.vls.fedcba9876543210.partial"]
    for name in left:
        (root / name).write_text("not complete")
    archive = storage.to_zip()
    back = pathlib.Path(storage_from_zip(archive, tmp_path / "back"))
    files = {str(p.relative_to(root)) for p in root.rglob("*")}
    assert {str(p.relative_to(back)) for p in back.rglob("*")} == files - set(left)
    with pytest.warns(UserWarning, match="notes.partial"):
        out = storage.to_hdf5()
    done = import_experiment(root, tmp_path / "again")
    own = {".notes.partial", "p01.partial/.0123.partial/", "p01.partial/x.0123456789abcdef.partial"}
    assert set(done.left_out) == own == set(Experiment(archive).left_out)
    for path in (root, archive, out, tmp_path / "again"):
        found = Experiment(path)
        assert found.subject_ids == ["p01.partial"] and found.task_ids("p01.partial") == ["reach.partial"]
        assert found.task("p01.partial", "reach.partial").trials["id"] == ["x.partial"]


def test_what_is_left_out_is_listed_also_by_the_command(tmp_path):
    root = tmp_path / "data"
    storage = fill(root)
    (root / "notes.txt").write_text("x")
    (root / ".git").mkdir()
    (root / "p01" / "plots").mkdir()
    (root / "p01" / "plan.json").write_text("{}")
    (root / "p01" / ".vls").write_text("hidden, and no task")
    theirs = axopy(tmp_path / "theirs")
    for name in ("a.txt", "p01/b.txt", "p01/reach/.c.pkl"):
        (tmp_path / "theirs" / name).write_text("x")
    (theirs / "deep").mkdir()
    of = {
        root: [".git/", "notes.txt", "p01/.vls", "p01/plan.json", "p01/plots/"],
        tmp_path / "theirs": ["a.txt", "p01/b.txt", "p01/reach/.c.pkl", "p01/reach/deep/"],
    }
    for path, names in of.items():
        archive = storage_to_zip(path)
        for source in (path, archive):
            assert sorted(Experiment(source).left_out) == names
            done = import_experiment(source, tmp_path / f"{path.name} from {os.path.basename(source)}")
            assert sorted(done.left_out) == names and done.tasks == 1
            code, said = command("consolidate", "--json", source, tmp_path / "out.hdf5", "--overwrite", cwd=tmp_path)
            assert code == 0 and all(f'"{name}"' in said for name in names), said
        code, said = command("consolidate", path.name, "--overwrite", cwd=tmp_path)
        assert code == 0 and f"{len(names)} entries that are in no task are left out" in said
        assert all(f"    {name}\n" in said for name in names), said
    with pytest.warns(UserWarning, match=r"left out.*\.git/, notes.txt, p01/.vls and 2 more"):
        storage.to_hdf5(overwrite=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fill(tmp_path / "clean").to_hdf5()


def test_attributes_in_arrays_of_axopy_are_named(tmp_path):
    h5py = pytest.importorskip("h5py")
    folder = axopy(tmp_path / "theirs")
    with h5py.File(folder / "emg.hdf5", "r+") as file:
        file.attrs["rate"], file["0"].attrs["unit"] = 1000, "mV"
    assert import_experiment(tmp_path / "theirs", tmp_path / "ours").left_out == [
        "p01/reach/emg.hdf5@rate", "p01/reach/emg.hdf5/0@unit"
    ]
    # A file with more than arrays of trials is carried whole.
    with h5py.File(folder / "emg.hdf5", "r+") as file:
        file["filter/taps"] = [1.0]
    task = Experiment(tmp_path / "theirs").task("p01", "reach")
    assert task.object("emg.hdf5") == (folder / "emg.hdf5").read_bytes() and task.array_names == []


# Outputs.


def test_outputs_that_cannot_be_are_refused_by_errors_of_this_package(tmp_path):
    storage = fill(tmp_path / "data")
    for work in (storage.to_zip, storage.to_hdf5):
        for overwrite in (False, True):
            with pytest.raises(InvalidError, match="this is a folder; give the name of the file"):
                work(tmp_path, overwrite=overwrite)
    for level in (-1, 10, 2**40):
        with pytest.raises(InvalidError, match=f"level: {level} is not one of 0 to 9"):
            storage.to_hdf5(level=level)
    task = Experiment(tmp_path / "data").task("p01", "reach")
    trials = task.trials
    for work in (trials.__getitem__, task.attributes, task.arrays, lambda i: task.get(i, "emg")):
        for i in (1, -2):
            with pytest.raises(OrdinalError, match=f"trial {i} does not exist; "):
                work(i)
        assert work(-1) is not None
    for path, error in ((tmp_path / "data", StoreExistsError), (tmp_path / "no" / "x", MissingFileError)):
        with pytest.raises(error, match=str(path)):
            trials.to_csv(path)
    with pytest.raises(WrongTypeError, match="NumPy cannot make an array"):
        Trial().add_array("x", [[1, 2], [3]])
    assert sorted(os.listdir(tmp_path)) == ["data"]


FULL = """
import os, resource, signal, sys
from vlstore.errors import SystemCallError
from vlstore.experiments import import_experiment, storage_from_zip, storage_to_hdf5, storage_to_zip, write_hdf5
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
works = {
    "zip": lambda: storage_to_zip("data", "b.zip"), "over zip": lambda: storage_to_zip("data", "a.zip", overwrite=True),
    "hdf5": lambda: storage_to_hdf5("data", "b.hdf5"),
    "over hdf5": lambda: storage_to_hdf5("data", "a.hdf5", overwrite=True),
    "back": lambda: storage_from_zip("a.zip", "back"), "import": lambda: import_experiment("a.hdf5", "data"),
    "one": lambda: write_hdf5("a.hdf5", list(range(10_000)), "new"),
}
for name, work in works.items():
    try:
        work()
        sys.exit(f"{name}: no error")
    except SystemCallError as error:
        assert "partial" not in str(error), error
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limit of files there")
def test_a_full_disk_leaves_what_there_was(tmp_path):
    for root, subject in (("data", "p02"), ("other", "p01")):
        with StorageWriter(tmp_path / root, subject) as run:
            trial = Trial({"block": 0, "trial": 0})
            trial.add_array("emg", np.random.default_rng(0).normal(size=20_000))
            run.write("reach", trial)
    storage_to_zip(tmp_path / "data", tmp_path / "a.zip")
    storage_to_hdf5(tmp_path / "other", tmp_path / "a.hdf5")
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file() and p.name != "a.hdf5"}
    done = subprocess.run([sys.executable, "-c", FULL], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file() and p.name != "a.hdf5"} == before
    # What was added in part is no part of the file.
    with pytest.raises(NotFoundError):
        read_hdf5(tmp_path / "a.hdf5", "new")
    assert Experiment(tmp_path / "a.hdf5").task("p01", "reach").get(0, "emg").shape == (20_000,)


# Another folder than that of the experiment.


@pytest.mark.parametrize("kind", ["ours", "theirs"])
def test_another_level_than_the_root_is_refused_and_the_right_one_named(tmp_path, kind, monkeypatch):
    root = tmp_path / "all" / "data"
    fill(root) if kind == "ours" else axopy(root)
    subject = root / "p01"
    works = [
        Experiment, storage_to_zip, storage_to_hdf5, Storage, lambda p: StorageWriter(p, "p02"),
        lambda p: Storage(tmp_path / "new").merge(p), lambda p: import_experiment(p, tmp_path / "new"),
    ]
    before = sorted(tmp_path.rglob("*"))
    for work in works:
        with pytest.raises(InvalidError, match='holds the task "reach"') as error:
            work(subject)
        assert f"give the folder above it: {root}" in str(error.value)
    monkeypatch.chdir(subject)
    for here in (".", os.path.join("..", "p01")):
        with pytest.raises(InvalidError, match="above it: (/|\\.\\.)"):
            Experiment(here)
    for verb in ("archive", "consolidate"):
        code, said = command(verb, "p01", cwd=root)
        assert code == 1 and "the folder above it" in said
    # One above, which is no error for who makes a new experiment there.
    for work in (Experiment, storage_to_hdf5, lambda p: import_experiment(p, tmp_path / "new")):
        with pytest.raises(InvalidError, match=f"in a folder of it; give {root}$"):
            work(tmp_path / "all")
    if kind == "ours":
        with pytest.raises(InvalidError, match="one task; give the folder of its experiment"):
            Experiment(subject / "reach.vls")
    else:
        for work in works:
            with pytest.raises(InvalidError, match=f"two above it: {root} .if it was unpacked"):
                work(subject / "reach")
    assert [p for p in sorted(tmp_path.rglob("*")) if p.name != "new"] == before
    assert Experiment(root).subject_ids == ["p01"] and Storage(tmp_path / "all").root
    # A store of something else in the root is no reason.
    with vlstore.open(root / "other.vls", "w") as store:
        store["a"] = b"x"
    assert Storage(root).root and Experiment(root).left_out == ["other.vls"]


# Archives by hand.


@pytest.mark.parametrize("kind", ["ours", "theirs"])
def test_archives_that_were_packed_by_hand(tmp_path, kind):
    root = tmp_path / "all" / "data"
    fill(root) if kind == "ours" else axopy(root)
    (root / ".DS_Store").write_text("x")
    good = pack(tmp_path / "good.zip", root, root.parent)
    with zipfile.ZipFile(good, "a") as entries:
        entries.writestr("__MACOSX/data/._p01", "x")
    assert Experiment(good).subject_ids == ["p01"] and Experiment(good).task_ids("p01") == ["reach"]
    assert Experiment(good).left_out == [".DS_Store"]
    if kind == "ours":
        with pytest.raises(FormatError, match="is compressed.*archive --restore"):
            Experiment(good).task("p01", "reach")
    else:
        assert Experiment(good).task("p01", "reach").get(0, "emg").tolist() == [0.5, 1.5]
    back = storage_from_zip(good, tmp_path / "back")
    assert Experiment(back).task("p01", "reach").get(0, "emg").tolist() == [0.5, 1.5]
    assert sorted(os.listdir(tmp_path / "back")) == ["data"]
    # From other levels.
    for name, folder, below, says in [
        ("deep", root.parent, tmp_path, 'one folder deeper, in "data"'),
        ("subject", root / "p01", root, 'of one subject \\(it holds the task "reach"\\)'),
        ("inside", root, root, "do not lie in one folder.*unpack it into a new folder"),
    ]:
        path = pack(tmp_path / f"{name}.zip", folder, below)
        for work in (Experiment, storage_to_hdf5, lambda p: import_experiment(p, tmp_path / "new")):
            with pytest.raises((InvalidError, FormatError), match=says):
                work(path)
    with zipfile.ZipFile(tmp_path / "back.zip", "w") as entries:
        info = zipfile.ZipInfo("x")
        info.filename = "data\\p01\\reach\\trials.csv"
        entries.writestr(info, "block,trial\n")
    with pytest.raises(FormatError, match="backslash.*unpack it"):
        Experiment(tmp_path / "back.zip")
    assert not (tmp_path / "new").exists()


def test_a_table_beside_the_subjects_is_no_sign_of_lost_folders(tmp_path):
    for name, make in (("ours", fill), ("theirs", axopy)):
        make(tmp_path / name)
        (tmp_path / name / "trials.csv").write_text("a summary\n")
        path = pack(tmp_path / f"{name}.zip", tmp_path / name, tmp_path)
        for found in (Experiment(path), Experiment(tmp_path / name)):
            assert found.subject_ids == ["p01"] and found.left_out == ["trials.csv"]


def test_an_archive_that_another_program_unpacked_is_the_experiment(tmp_path):
    fill(tmp_path / "data")
    (tmp_path / "data" / "notes.txt").write_text("x")
    archive = storage_to_zip(tmp_path / "data")
    unpack(archive, tmp_path / "by hand")
    root = tmp_path / "by hand" / "data"
    assert (root / "p01" / "reach" / "trials.csv").exists()
    again = pack(tmp_path / "again.zip", root, root.parent)
    # Also under another name.
    other = root.rename(root.parent / "other")
    renamed = pack(tmp_path / "renamed.zip", other, other.parent)
    for path in (other, again, renamed):
        found = Experiment(path)
        assert found.subject_ids == ["p01"] and found.task_ids("p01") == ["reach"] and found.left_out == ["notes.txt"]
    assert Experiment(other).task("p01", "reach").get(0, "emg").tolist() == [0.5, 1.5]
    assert Storage(tmp_path / "merged").merge(other) == 1
    assert import_experiment(other, tmp_path / "imported").left_out == ["notes.txt"]
    with pytest.warns(UserWarning, match="notes.txt"):
        storage_to_hdf5(other)
    with pytest.raises(InvalidError, match="unpacked from an archive by another program.*--restore"):
        storage_to_zip(other)
    assert Experiment(storage_from_zip(renamed, tmp_path / "back")).task("p01", "reach").trials["block"] == [0]
    # Of the original program, too.
    theirs = axopy(tmp_path / "theirs").parents[1]
    unpack(storage_to_zip(theirs), tmp_path / "theirs by hand")
    found = Experiment(tmp_path / "theirs by hand" / "theirs")
    assert found.task("p01", "reach").get(0, "emg").tolist() == [0.5, 1.5] and found.left_out == []
    # Without views nothing is in the way of packing it again.
    plain = storage_to_zip(tmp_path / "data", tmp_path / "plain.zip", views=False)
    unpack(plain, tmp_path / "plain")
    for first, again in ((plain, tmp_path / "plain" / "data"), (tmp_path / "theirs.zip", tmp_path / "theirs by hand" / "theirs")):
        assert pathlib.Path(storage_to_zip(again, views=False)).read_bytes() == pathlib.Path(first).read_bytes()


def test_an_archive_of_axopy_that_was_unpacked_says_what_is_lost(tmp_path):
    flat = tmp_path / "unpacked"
    axopy(tmp_path / "theirs").rename(flat)
    for work in (Experiment, storage_to_zip, storage_to_hdf5, lambda p: import_experiment(p, tmp_path / "new")):
        with pytest.raises(InvalidError, match="folders of its subjects and tasks are lost.*one file of each name"):
            work(flat)
    with pytest.raises(FormatError, match="folders of this experiment are lost.*whole folder"):
        Experiment(pack(tmp_path / "again.zip", flat, tmp_path))
    (tmp_path / "around").mkdir()
    flat.rename(tmp_path / "around" / "flat")
    with pytest.raises(InvalidError, match='folder above it: .*if "flat" was unpacked.*are lost'):
        Experiment(tmp_path / "around")
    with pytest.raises(MissingFileError):
        Experiment(tmp_path / "unpacked.zip")
    assert not (tmp_path / "new").exists()
