"""Experiments: what is acquired comes back, as it was, and nothing is lost or half written."""

import itertools
import math
import multiprocessing
import os
import pathlib
import pickle
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

import numpy as np
import pytest

import vlstore
from vlstore.errors import (
    ClosedError,
    InvalidError,
    LockedError,
    MissingFileError,
    NotFoundError,
    StoreExistsError,
    WrongTypeError,
)
from vlstore.experiments import (
    Array,
    Design,
    Storage,
    StorageWriter,
    Trial,
)
from vlstore_workers import acquire

NUMBERS = "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64".split()
REALS = "float16 float32 float64 complex64 complex128".split()


@pytest.fixture
def storage(tmp_path):
    storage = Storage(tmp_path / "data")
    storage.subject_id = "p01"
    return storage


def trial(number=0, block=0, **attrs):
    return Trial({**attrs, "block": block, "trial": number})


# Subjects and tasks.


def test_the_root_is_made_and_subjects_and_tasks_are_sorted_as_text(tmp_path):
    storage = Storage(tmp_path / "new" / "data")
    assert os.path.isdir(storage.root)
    assert list(storage.subject_ids) == [] and list(storage.task_ids) == []
    for subject in ("p10", "p2", "Größe 1", "p1"):
        storage.subject_id = subject
    storage.subject_id = "p1"
    for task in ("b", "a 2", "a10"):
        storage.create_task(task).close()
    assert list(storage.subject_ids) == sorted(["p10", "p2", "Größe 1", "p1"])
    assert list(storage.task_ids) == sorted(["b", "a 2", "a10"])
    assert storage.subject_id == "p1"


def test_without_a_subject_there_are_no_tasks_and_making_one_is_an_error(tmp_path):
    storage = Storage(tmp_path)
    assert storage.subject_id is None and list(storage.task_ids) == []
    for call in (storage.create_task, storage.append_task, storage.require_task):
        with pytest.raises(InvalidError, match="set `subject_id`"):
            call("reach")


def test_the_default_root_is_data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Storage().root == "data" and (tmp_path / "data").is_dir()


def test_an_existing_task_is_refused_or_replaced_alone(storage):
    for name in ("one", "two"):
        with storage.create_task(name) as task:
            task.write(trial(label=name))
    with pytest.raises(StoreExistsError, match="'?one"):
        storage.create_task("one")
    assert len(storage.require_task("one")) == 1
    storage.create_task("one", overwrite=True).close()
    assert len(storage.require_task("one")) == 0
    assert len(storage.require_task("two")) == 1
    again = Storage(storage.root, allow_overwrite=True)
    again.subject_id = "p01"
    again.create_task("two").close()
    assert len(again.require_task("two")) == 0


def test_a_task_that_is_required_is_never_made(storage):
    with pytest.raises(InvalidError, match="has no task \"reach\""):
        storage.require_task("reach")
    assert list(storage.task_ids) == []


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../up", "a\\b", "/abs", "a\0b", ".hidden", "x" * 300])
def test_names_that_lead_elsewhere_are_refused(storage, name):
    with pytest.raises(InvalidError):
        storage.subject_id = name
    assert storage.subject_id == "p01"
    with pytest.raises(InvalidError):
        storage.create_task(name)
    with storage.create_task("good") as task:
        t = trial()
        t.add_array(name, [1.0])
        with pytest.raises(InvalidError):
            task.write(t)
        with pytest.raises(InvalidError):
            task.put_object(name, b"")
    assert os.listdir(storage.root) == ["p01"]
    assert os.listdir(os.path.join(storage.root, "p01")) == ["good.vls"]


def test_unicode_and_spaces_are_names(tmp_path):
    storage = Storage(tmp_path / "データ 1")
    storage.subject_id = "Müller, A."
    with storage.create_task("задача 1") as task:
        t = trial(**{"größe": 1.5})
        t.add_array("сигнал µV", [1.0, 2.0])
        task.write(t)
    reader = storage.require_task("задача 1")
    assert reader.trials[0]["größe"] == 1.5
    assert reader.get(0, "сигнал µV").tolist() == [1.0, 2.0]


def test_another_store_is_not_taken_for_a_task(storage):
    vlstore.open(os.path.join(storage.root, "p01", "other.vls"), "w").close()
    with pytest.raises(vlstore.Error):
        storage.require_task("other")
    with pytest.raises(vlstore.Error):
        storage.append_task("other")


# Trials and their attributes.


def test_attributes_keep_their_types_their_order_and_what_is_missing(storage):
    rows = [
        {"b": 1, "a": 0.1 + 0.2, "block": 0, "trial": 0},
        {"text": "x, \"y\"\n", "flag": True, "block": 0, "trial": 1, "none": None},
        {"a": float("nan"), "b": -(2**63), "trial": 2, "block": 0, "c": 1 + 2j},
        {"a": float("-inf"), "text": "", "np": np.int16(-5), "block": 1, "trial": 0},
        {"np": np.float32(0.1), "b": np.uint64(2**64 - 1), "flag": np.bool_(False),
         "a": np.float64(1.5), "text": np.str_("µ"), "block": 1, "trial": 1},
    ]
    with storage.create_task("t") as task:
        for row in rows:
            task.write(Trial(row))
    reader = storage.require_task("t")
    assert reader.trials.columns == ["b", "a", "text", "flag", "none", "c", "np", "block", "trial"]
    for i, row in enumerate(rows):
        found = reader.attributes(i)
        assert list(found) == list(row)
        for name, value in row.items():
            back = found[name]
            if isinstance(value, float) and math.isnan(value):
                assert math.isnan(back)
                continue
            assert back == value
            wanted = np.complex128 if type(value) is complex else str if isinstance(value, str) else type(value)
            assert type(back) is wanted, name
            assert reader.trials[i][name] == value
    assert reader.trials["b"] == [1, None, -(2**63), None, 2**64 - 1]
    assert reader.trials["none"] == [None] * 5
    assert reader.trials[-1]["block"] == 1 and len(reader.trials[1:3]) == 2
    with pytest.raises(NotFoundError, match="column 'zzz' does not exist"):
        reader.trials["zzz"]
    assert [i for i, _ in reader.trials.iterrows()] == list(reader.trials.index) == [0, 1, 2, 3, 4]


def test_every_number_of_numpy_comes_back_to_the_bit(storage):
    values = {}
    for name in NUMBERS + REALS:
        size = np.dtype(name).itemsize
        data = bytes([1]) if name == "bool" else bytes(range(0x41, 0x41 + size))
        values[name] = np.frombuffer(data, name)[0]
    values["nan"] = np.frombuffer(b"\x01\x00\x00\x00\x00\x00\xf8\x7f", "float64")[0]
    with storage.create_task("t") as task:
        task.write(trial(**values))
    found = storage.require_task("t").trials[0]
    for name, value in values.items():
        assert type(found[name]) is type(value) and found[name].tobytes() == value.tobytes()


@pytest.mark.parametrize("value", [[1], {"a": 1}, b"x", object(), np.zeros(2), np.datetime64("2020-01-01"), 2**64])
def test_other_values_are_refused_by_name_and_leave_nothing(storage, value):
    with storage.create_task("t") as task:
        with pytest.raises((WrongTypeError, InvalidError), match="attribute \"odd\""):
            task.write(trial(odd=value))
    assert len(storage.require_task("t")) == 0


def test_the_table_as_text(storage, tmp_path):
    with storage.create_task("t") as task:
        task.write(trial(0, label="a", score=0.5))
        task.write(trial(1, hit=True, label=""))
    trials = storage.require_task("t").trials
    text = "label,score,hit,block,trial\na,0.5,,0,0\n\"\",,True,0,1\n"
    assert trials.to_csv() == text
    trials.to_csv(tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_text() == text
    with pytest.raises(FileExistsError):
        trials.to_csv(tmp_path / "t.csv")


def test_no_trials_are_an_empty_table(storage):
    storage.create_task("t").close()
    reader = storage.require_task("t")
    assert len(reader) == len(reader.trials) == 0
    assert reader.trials.columns == [] and reader.trials.to_csv() == "" and list(reader.trials) == []
    assert list(reader.iterarray("emg")) == []
    with pytest.raises(InvalidError, match="the task has no trials"):
        reader.array("emg")


def test_the_table_for_pandas(storage):
    pandas = pytest.importorskip("pandas")
    with storage.create_task("t") as task:
        task.write(trial(0, label="a"))
        task.write(trial(1, score=2))
    frame = storage.require_task("t").trials.to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame.columns) == ["label", "score", "block", "trial"] and len(frame) == 2


def test_a_trial_without_its_numbers_is_refused(storage):
    with storage.create_task("t") as task:
        for attrs in ({}, {"block": 0}, {"trial": 0}, {"block": "a", "trial": 0}):
            with pytest.raises(InvalidError, match="attribute \"(block|trial)\""):
                task.write(Trial(attrs))
            with pytest.raises(InvalidError):
                task.begin(Trial(attrs))
        task.write(trial())
    assert len(storage.require_task("t")) == 1


# Designs.


def test_designs_number_blocks_and_trials_whatever_the_caller_says():
    design = Design()
    given = {"trial": 77, "label": "a", "block": 9}
    for _ in range(2):
        block = design.add_block()
        for _ in range(3):
            block.add_trial(given)
    assert [[(t.attrs["block"], t.attrs["trial"]) for t in b] for b in design] == [
        [(b, t) for t in range(3)] for b in range(2)
    ]
    assert given == {"trial": 77, "label": "a", "block": 9}
    assert list(design[0][0].attrs) == ["trial", "label", "block"]
    assert [b.index for b in design] == [0, 1]


def test_a_seeded_shuffle_is_the_same_and_renumbers_unless_told_not_to():
    def block(seed, **options):
        made = Design().add_block()
        for i in range(20):
            made.add_trial({"i": i})
        made.shuffle(seed=seed, **options)
        return made

    state = random.getstate()
    one, two = block(3), block(3)
    assert random.getstate() == state
    assert [t.attrs["i"] for t in one] == [t.attrs["i"] for t in two] != list(range(20))
    assert [t.attrs["trial"] for t in one] == list(range(20))
    kept = block(3, reset_index=False)
    assert [t.attrs["trial"] for t in kept] == [t.attrs["i"] for t in kept]
    assert [t.attrs["i"] for t in block(4)] != [t.attrs["i"] for t in one]


# Arrays.


@pytest.mark.parametrize("name", NUMBERS + REALS)
def test_every_type_and_shape_comes_back(storage, name):
    rng = np.random.default_rng(1)
    arrays = []
    for shape in [(5,), (3, 4), (0,), (2, 0), (2, 3, 4), ()]:
        data = rng.integers(0, 256, (*shape, np.dtype(name).itemsize), dtype=np.uint8)
        arrays.append((data & 1).astype(bool)[..., 0] if name == "bool" else data.view(name)[..., 0])
    arrays.append(np.asfortranarray(arrays[1]))
    arrays.append(arrays[1].astype(arrays[1].dtype.newbyteorder(">")))
    with storage.create_task("t") as task:
        for i, array in enumerate(arrays):
            t = trial(i)
            t.add_array("x", array)
            task.write(t)
    reader = storage.require_task("t")
    for back, array in zip(reader.iterarray("x"), arrays, strict=True):
        assert back.dtype == np.dtype(name) and back.shape == array.shape
        assert back.tobytes() == array.astype(name).tobytes()
        assert back.flags.writeable
    assert reader.arrays(1) == {"x": (name, (3, 4))}


STACKED = {0: np.vstack, 1: np.hstack, 2: np.dstack}


@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("shapes", [[(4,), (4,), (4,)], [(3, 2), (3, 2)], [(2, 2, 2), (2, 2, 2)], [(5,)]])
def test_stacking_is_that_of_numpy(storage, axis, shapes, begun):
    pieces = [np.arange(np.prod(s), dtype="f4").reshape(s) + i for i, s in enumerate(shapes)]
    wanted = STACKED[axis](pieces)
    with storage.create_task("t", commit_interval=0) as task:
        t = trial()
        array = t.add_array("x", stack_axis=axis)
        if begun:
            task.begin(t)
        for piece in pieces:
            array.stack(piece)
        assert np.array_equal(array.data, wanted) and array.data.shape == wanted.shape
        task.write(t)
        assert array.data is None
    back = storage.require_task("t").get(0, "x")
    assert back.shape == wanted.shape and np.array_equal(back, wanted)


def test_pieces_of_other_lengths_and_of_one_axis_go_end_to_end(storage):
    with storage.create_task("t") as task:
        t = task.begin(trial())
        one, two = t.add_array("one"), t.add_array("two")
        for n in (1, 3, 0, 2):
            one.stack(np.full(n, n))
            two.stack(np.full((2, n), n))
        task.write(t)
    reader = storage.require_task("t")
    assert reader.get(0, "one").tolist() == [1, 3, 3, 3, 2, 2]
    assert reader.get(0, "two").tolist() == [[1, 3, 3, 3, 2, 2]] * 2


def test_a_piece_that_does_not_fit_is_refused_and_what_there_was_stays(storage):
    with storage.create_task("t") as task:
        for begun in (False, True):
            t = trial()
            array = t.add_array("x")
            if begun:
                task.begin(t)
            array.stack(np.zeros((2, 3)))
            for wrong, why in [
                (np.zeros((3, 3)), "cannot be joined"),
                (np.zeros(3), "cannot be joined"),
                (np.zeros((2, 3), "f4"), "float32"),
                (np.float64(1), "single value"),
            ]:
                with pytest.raises(InvalidError, match=why):
                    array.stack(wrong)
            array.stack(np.ones((2, 1)))
            task.write(t)
    for back in storage.require_task("t").iterarray("x"):
        assert back.shape == (2, 4)


@pytest.mark.parametrize("data", [["a", "b"], [object()], np.array(["2020"], "M8[D]"),
                                  np.zeros(2, [("a", "f4")]), np.ma.array([1, 2], mask=[0, 1])])
def test_arrays_that_are_no_numbers_are_refused(data):
    with pytest.raises(WrongTypeError):
        Array(data)
    with pytest.raises(WrongTypeError):
        Array().stack(data)
    with pytest.raises(InvalidError):
        Array(stack_axis=3)


def test_an_array_that_was_never_filled_refuses_the_trial_and_nothing_is_left(storage):
    with storage.create_task("t") as task:
        for begun in (False, True):
            t = trial(label="keep me")
            t.add_array("full").stack([1.0, 2.0])
            t.add_array("empty")
            if begun:
                task.begin(t)
                task.commit()
            with pytest.raises(InvalidError, match="'empty' was declared and never filled"):
                task.write(t)
            reader = storage.require_task("t")
            assert len(reader) == 0 and reader.unfinished == []
        # Nothing in the store but what the last trial will have.
        with vlstore.open(os.path.join(storage.root, "p01", "t.vls")) as store:
            assert len(store) == 0
        # It keeps its data, and can be written once it is complete.
        t.arrays["empty"].stack([3])
        assert task.write(t) == 0
    reader = storage.require_task("t")
    assert reader.get(0, "full").tolist() == [1.0, 2.0] and reader.get(0, "empty").tolist() == [3]


def test_clear_empties_an_array_also_of_a_trial_under_way(storage):
    with storage.create_task("t", commit_interval=0) as task:
        t = task.begin(trial())
        array = t.add_array("x")
        array.stack([1.0])
        array.stack([2.0])
        array.clear()
        assert array.data is None
        array.stack([[7, 8]])
        array.stack([[9, 10]])
        task.write(t)
        t = trial(1)
        t.add_array("x", [1, 2]).clear()
        with pytest.raises(InvalidError, match="never filled"):
            task.write(t)
    reader = storage.require_task("t")
    assert reader.get(0, "x").tolist() == [[7, 8, 9, 10]]


def test_data_may_be_looked_at_and_set_while_a_trial_is_under_way(storage):
    with storage.create_task("t") as task:
        t = task.begin(trial())
        array = t.add_array("x", [1.0, 2.0])
        assert array.data.tolist() == [1.0, 2.0]
        for i in range(5):
            array.stack([float(i)])
            assert array.data.tolist() == [1.0, 2.0] + [float(k) for k in range(i + 1)]
        task.write(t)
        t = task.begin(trial(1))
        array = t.add_array("x")
        array.stack([1])
        array.data = [5, 6, 7]
        task.write(t)
        t = task.begin(trial(2))
        t.add_array("x").stack([1])
        t.add_array("x").stack([2, 3])
        t.add_array("gone").stack([1])
        del t.arrays["gone"]
        task.write(t)
    reader = storage.require_task("t")
    assert reader.get(0, "x").tolist() == [1, 2, 0, 1, 2, 3, 4]
    assert reader.get(1, "x").tolist() == [5, 6, 7]
    assert reader.get(2, "x").tolist() == [2, 3]
    assert list(reader.arrays(2)) == ["x"]
    keys = [k for k in vlstore.open(os.path.join(storage.root, "p01", "t.vls")) if isinstance(k, str)]
    assert not [k for k in keys if "gone" in k or k.startswith("begun")]


# Reading.


def test_arrays_are_read_one_by_one_or_stacked(storage):
    with storage.create_task("t") as task:
        for i in range(3):
            t = trial(i)
            t.add_array("even", np.full((2, 4), i))
            t.add_array("odd", np.arange(i + 1))
            if i != 1:
                t.add_array("some", [i])
            task.write(t)
    reader = storage.require_task("t")
    lazily = reader.iterarray("odd")
    assert next(lazily).tolist() == [0] and next(lazily).tolist() == [0, 1]
    assert reader.array("even").tolist() == [[i] * 4 for i in (0, 0, 1, 1, 2, 2)]
    with pytest.raises(InvalidError, match="do not stack"):
        reader.array("odd")
    some = reader.iterarray("some")
    next(some)
    with pytest.raises(InvalidError, match=r'trial 1 has no array "some"; its arrays: "even", "odd"'):
        next(some)
    with pytest.raises(InvalidError, match="has no array"):
        reader.get(0, "other")
    with pytest.raises(IndexError):
        reader.get(3, "odd")
    assert reader.get(-1, "odd").tolist() == [0, 1, 2]
    assert reader.array_names == ["even", "odd", "some"]


def test_single_objects_by_name(storage):
    class Custom:
        pass

    values = {"bytes": b"\x00\xff", "array": np.arange(6).reshape(2, 3),
              "json": {"a": [1, 0.1, None, True, "µ"]}, "pickle": pickle.dumps({1, 2})}
    with storage.create_task("t") as task:
        for name, value in values.items():
            task.put_object(name, value)
        task.put_object("bytes", b"replaced")
        with pytest.raises(WrongTypeError, match="pickle.dumps"):
            task.put_object("custom", Custom())
        with pytest.raises((WrongTypeError, InvalidError)):
            task.put_object("keys", {1: 2})
        with pytest.raises(InvalidError):
            task.put_object("nan", [float("nan")])
    reader = storage.require_task("t")
    assert reader.objects == ["array", "bytes", "json", "pickle"]
    assert reader.object("bytes") == b"replaced" and reader.object("json") == values["json"]
    assert np.array_equal(reader.object("array"), values["array"])
    assert pickle.loads(reader.object("pickle")) == {1, 2}
    with pytest.raises(InvalidError, match="\"x\" does not exist; objects: \"array\""):
        reader.object("x")


# Runs, processes, crashes.


def test_a_second_run_appends_and_a_run_keeps_its_tasks_open(tmp_path):
    for n in range(2):
        with StorageWriter(tmp_path, "p01") as run:
            assert run.task("t") is run.task("t")
            for i in range(3):
                assert run.write("t", trial(i, run=n)) == 3 * n + i
            run.task("u").write(trial())
            assert len(run.require_task("t")) == 3 * n + 3
            with pytest.raises(InvalidError, match="open in this run"):
                run.create_task("t")
        with pytest.raises(ClosedError):
            run.task("t")
    storage = Storage(tmp_path)
    storage.subject_id = "p01"
    assert storage.require_task("t").trials["run"] == [0, 0, 0, 1, 1, 1]
    assert list(storage.task_ids) == ["t", "u"]
    with pytest.raises(InvalidError):
        StorageWriter(tmp_path, "../p")


def test_two_writers_of_one_task_are_refused_and_other_tasks_are_free(storage):
    with storage.create_task("t") as task:
        task.write(trial())
        for second in (storage.append_task, lambda n: storage.create_task(n, overwrite=True)):
            with pytest.raises(LockedError):
                second("t")
        storage.create_task("u").close()
        task.write(trial(1))
    with pytest.raises(ClosedError):
        task.write(trial(2))
    with storage.append_task("t") as task:
        assert len(task) == 2


def test_several_processes_acquire_at_once_and_roots_are_merged(tmp_path):
    context = multiprocessing.get_context("spawn")
    roots = [tmp_path / "one", tmp_path / "one", tmp_path / "two"]
    work = [context.Process(target=acquire, args=(r, f"p{i}", 20)) for i, r in enumerate(roots)]
    for process in work:
        process.start()
    for process in work:
        process.join()
        assert process.exitcode == 0
    storage = Storage(tmp_path / "one")
    assert list(storage.subject_ids) == ["p0", "p1"]
    assert storage.merge(tmp_path / "two") == 1
    assert list(storage.subject_ids) == ["p0", "p1", "p2"]
    for subject in storage.subject_ids:
        storage.subject_id = subject
        reader = storage.require_task("t")
        assert reader.trials["who"] == [subject] * 20
        assert reader.array("x").shape == (80, 10)
    there = (tmp_path / "one" / "p2" / "t.vls").read_bytes()
    assert there == (tmp_path / "two" / "p2" / "t.vls").read_bytes()
    # A second time every task is there: nothing is changed.
    with pytest.raises(StoreExistsError):
        storage.merge(Storage(tmp_path / "two"))
    assert (tmp_path / "one" / "p2" / "t.vls").read_bytes() == there
    with pytest.raises(MissingFileError):
        storage.merge(tmp_path / "nothing")


KILLED = """
import sys, time, numpy as np
from vlstore.experiments import Storage, Trial
storage = Storage(sys.argv[1])
storage.subject_id = "p01"
task = storage.append_task("t", commit_interval=0)
for i in range(3):
    t = Trial({"block": 0, "trial": i})
    t.add_array("x", np.arange(i + 1))
    task.write(t)
t = task.begin(Trial({"label": "under way", "block": 0, "trial": 3}))
array = t.add_array("emg")
for i in range(100000):
    array.stack(np.full((64, 10), i))
    if i >= 5:
        print(i, flush=True)
    time.sleep(0.001)
"""


def test_a_killed_acquisition_keeps_all_committed_pieces(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", KILLED, tmp_path], stdout=subprocess.PIPE)
    for _ in range(20):
        last = int(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    process.wait()
    storage = Storage(tmp_path)
    storage.subject_id = "p01"
    reader = storage.require_task("t")
    assert len(reader) == 3 and reader.array_names == ["x"]
    (left,) = reader.unfinished
    assert left.attrs == {"label": "under way", "block": 0, "trial": 3}
    assert left.array_names == ["emg"]
    pieces = left.array("emg")
    assert pieces.shape[0] == 64 and pieces.shape[1] >= 10 * (last + 1)
    assert np.array_equal(pieces[0], np.arange(pieces.shape[1]) // 10)
    # The next run goes on, and decides what becomes of it.
    with storage.append_task("t") as task:
        assert len(storage.require_task("t").unfinished) == 1
        assert task.write(left.trial()) == 3
        assert task.discard_unfinished() == 1
        task.write(trial(4))
    reader = storage.require_task("t")
    assert reader.unfinished == [] and len(reader) == 5
    assert np.array_equal(reader.get(3, "emg"), pieces)
    assert vlstore.open(os.path.join(storage.root, "p01", "t.vls")).verify()


def test_readers_see_the_last_commit_while_a_trial_is_under_way(storage):
    with storage.create_task("t", commit_interval=0) as task:
        task.write(trial())
        t = task.begin(trial(1))
        t.add_array("x").stack([1, 2])
        reader = storage.require_task("t")
        assert len(reader) == 1 and reader.unfinished[0].array("x").tolist() == [1, 2]
        task.abandon(t)
        assert storage.require_task("t").unfinished == []
        assert len(reader) == 1
    assert t.arrays["x"].data.tolist() == [1, 2]


def test_a_program_that_ends_without_closing_keeps_its_pieces(tmp_path):
    code = KILLED.split("for i in range(100000)")[0] + "array.stack([[1], [2]])\n"
    code = code.replace("commit_interval=0", "commit_interval=3600")
    subprocess.run([sys.executable, "-c", code, tmp_path], check=True)
    storage = Storage(tmp_path)
    storage.subject_id = "p01"
    assert storage.require_task("t").unfinished[0].array("emg").tolist() == [[1], [2]]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_cannot_write(storage):
    task = storage.create_task("t")
    task.write(trial())
    child = os.fork()
    if child == 0:
        try:
            task.write(trial(1))
        except InvalidError as error:
            os._exit(0 if "fork" in str(error) else 2)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    task.write(trial(1))
    task.close()
    assert len(storage.require_task("t")) == 2


def test_a_storage_travels_to_another_process(storage):
    storage.create_task("t").close()
    back = pickle.loads(pickle.dumps(storage))
    assert back.subject_id == "p01" and list(back.task_ids) == ["t"]


def test_long_acquisition_in_small_pieces_is_whole(storage):
    pieces = 3000
    with storage.create_task("t", commit_interval=0.02) as task:
        t = task.begin(trial())
        emg, flat = t.add_array("emg"), t.add_array("flat")
        for i in range(pieces):
            emg.stack(np.full((8, 2), i, "i4"))
            flat.stack(np.full(3, i, "i4"))
        task.write(t)
    reader = storage.require_task("t")
    assert np.array_equal(reader.get(0, "emg"), np.tile(np.repeat(np.arange(pieces), 2), (8, 1)))
    assert np.array_equal(reader.get(0, "flat"), np.repeat(np.arange(pieces), 3))


def test_the_example_acquires_every_sample_in_real_time(tmp_path):
    example = pathlib.Path(__file__).parents[2] / "examples" / "acquire_emg.py"
    done = subprocess.run(
        [sys.executable, str(example), "data", "trial.png"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    storage = Storage(tmp_path / "data")
    storage.subject_id = "p01"
    reader = storage.require_task("reach")
    assert sorted(reader.trials["side"]) == ["left", "right"]
    # 64 channels at 1 kHz for 2 s: none is missing.
    assert [emg.shape for emg in reader.iterarray("emg")] == [(64, 2000)] * 2
    if "no picture" not in done.stdout:
        assert (tmp_path / "trial.png").read_bytes().startswith(b"\x89PNG")


def test_a_full_disk_is_an_error_and_what_was_committed_stays(tmp_path):
    if os.name != "posix" or os.geteuid() != 0:
        pytest.skip("a small file system needs root")
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", small], check=False).returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        (small / "mine.txt").write_text("keep")
        storage = Storage(small / "data")
        storage.subject_id = "p01"
        task = storage.create_task("t")
        rng = np.random.default_rng(1)
        written = 0
        with pytest.raises(OSError):
            for i in range(100):
                t = trial(i)
                t.add_array("x", rng.random((64, 500)))
                task.write(t)
                written += 1
        with pytest.raises(vlstore.Error):
            task.write(trial(0))
        try:
            task.close()
        except vlstore.Error:
            pass
        del task
        reader = storage.require_task("t")
        assert len(reader) == written > 3
        assert reader.get(written - 1, "x").shape == (64, 500)
        names = sorted(p.name for p in small.iterdir())
        for whole in (storage.to_zip, storage.to_hdf5):
            with pytest.raises(OSError):
                whole()
            assert sorted(p.name for p in small.iterdir()) == names
        assert (small / "mine.txt").read_text() == "keep"
        assert len(storage.require_task("t")) == written
    finally:
        subprocess.run(["umount", "-l", small], check=True)


def test_pieces_that_a_full_disk_refuses_stay_in_memory(tmp_path):
    if os.name != "posix" or os.geteuid() != 0:
        pytest.skip("a small file system needs root")
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", small], check=False).returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        storage, other = Storage(small / "data"), Storage(tmp_path / "other")
        storage.subject_id = other.subject_id = "p01"
        task = storage.create_task("t", commit_interval=0)
        pieces = [np.random.default_rng(i).random((64, 500)) for i in range(40)]
        t = task.begin(trial(0))
        emg = t.add_array("emg")
        stacked = 0
        with pytest.raises(OSError):
            for piece in pieces:
                stacked += 1
                emg.stack(piece)
        # The piece that failed is in memory, and so are those after it; each says that it is not on disk.
        with pytest.raises(vlstore.Error):
            emg.stack(pieces[stacked])
        assert np.array_equal(emg.data, np.hstack(pieces[:stacked + 1]))
        (left,) = storage.require_task("t").unfinished
        assert np.array_equal(left.array("emg"), np.hstack(pieces[:stacked - 1]))
        with pytest.raises(vlstore.Error):
            task.abandon(t)
        with other.create_task("t") as elsewhere:
            elsewhere.write(t)
        assert np.array_equal(other.require_task("t").get(0, "emg"), np.hstack(pieces[:stacked + 1]))
        with pytest.raises(vlstore.Error):
            task.close()
    finally:
        subprocess.run(["umount", "-l", small], check=True)


def test_arrays_that_are_replaced_renamed_or_taken_out_of_a_trial_under_way(storage):
    with storage.create_task("t") as task:
        t = task.begin(trial(0))
        old = t.add_array("emg")
        old.stack([1.0, 2.0])
        t.add_array("emg").stack([3.0])
        assert old.data.tolist() == [1.0, 2.0]
        old.stack([4.0])
        t.add_array("a").stack([5.0])
        t.arrays["b"] = t.arrays.pop("a")
        gone = t.add_array("gone")
        gone.stack([6.0])
        del t.arrays["gone"]
        task.write(t)
        gone.stack([7.0])
        assert gone.data.tolist() == [6.0, 7.0]
    reader = storage.require_task("t")
    assert list(reader.arrays(0)) == ["emg", "b"] and reader.unfinished == []
    assert reader.get(0, "emg").tolist() == [3.0] and reader.get(0, "b").tolist() == [5.0]


def test_trials_of_other_types_do_not_stack_unseen(storage):
    with storage.create_task("t") as task:
        for i, values in enumerate(([2**53 + 1], [0.5])):
            t = trial(i)
            t.add_array("x", np.array(values))
            task.write(t)
    with pytest.raises(InvalidError, match=r"int64 \(first in trial 0\), float64 \(first in trial 1\)"):
        storage.require_task("t").array("x")


def test_permission_denied_is_said_and_nothing_changes():
    if os.name != "posix" or os.geteuid() != 0:
        pytest.skip("only root can become somebody else for a moment")
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        storage = Storage(os.path.join(folder, "data"))
        storage.subject_id = "p01"
        with storage.create_task("t") as task:
            t = trial()
            t.add_array("x", [1.0])
            task.write(t)
        before = sorted(pathlib.Path(folder).rglob("*"))
        os.seteuid(65534)
        try:
            assert storage.require_task("t").get(0, "x").tolist() == [1.0]
            for denied in (
                lambda: setattr(storage, "subject_id", "p02"),
                lambda: storage.create_task("u"),
                lambda: storage.append_task("t"),
                lambda: storage.create_task("t", overwrite=True),
                storage.to_zip,
                storage.to_hdf5,
            ):
                with pytest.raises(PermissionError, match=re.escape(folder)):
                    denied()
        finally:
            os.seteuid(0)
        assert sorted(pathlib.Path(folder).rglob("*")) == before
        assert len(storage.require_task("t")) == 1


def test_a_root_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OSError):
        Storage(tmp_path / "file")


def test_what_a_task_keeps_is_documents_that_every_tool_reads(storage):
    with storage.create_task("t") as task:
        t = trial(label="a")
        t.add_array("x", [1.5])
        task.write(t)
    path = pathlib.Path(storage.root, "p01", "t.vls")
    with vlstore.open(path) as store:
        assert store.attrs["vlstore:layer"] == "experiment-task"
        assert store[0].arrays == [] and store[0].head["attributes"][0] == ["label", "a"]
        assert store.verify()
    copy = path.with_name("copy.vls")
    vlstore.copy(path, copy)
    assert storage.require_task("copy").get(0, "x").tolist() == [1.5]
    vlstore.compact(path)
    assert storage.require_task("t").trials[0]["label"] == "a"
    vlstore.recover(path, path.with_name("found.vls"))
    assert storage.require_task("found").get(0, "x").tolist() == [1.5]


def test_random_acquisitions_come_back(tmp_path):
    rng = np.random.default_rng(7)
    storage = Storage(tmp_path)
    for subject, n in itertools.product(("a", "b"), (0, 1, 17)):
        storage.subject_id = subject
        wanted = []
        with storage.create_task(f"t{n}", commit_interval=float(rng.choice([0, 0.001, 10]))) as task:
            for i in range(n):
                t = trial(i, x=float(rng.random()))
                if rng.random() < 0.7:
                    task.begin(t)
                held = {}
                for name in ("u", "v"):
                    if rng.random() < 0.2:
                        continue
                    array = t.add_array(name)
                    for _ in range(rng.integers(1, 6)):
                        array.stack(rng.random((3, rng.integers(0, 5))))
                        if rng.random() < 0.1:
                            array.clear()
                            array.stack(rng.random((3, 2)))
                    held[name] = array.data.copy()
                task.write(t)
                wanted.append((t.attrs, held))
        reader = storage.require_task(f"t{n}")
        assert len(reader) == n
        for i, (attrs, held) in enumerate(wanted):
            assert reader.attributes(i) == attrs and list(reader.arrays(i)) == list(held)
            for name, array in held.items():
                assert np.array_equal(reader.get(i, name), array)


@pytest.mark.parametrize("number", [2**64, -(2**63) - 1, 2**120 + 1])
def test_integers_of_objects_are_kept_to_the_digit_or_refused_by_name(storage, number):
    with storage.create_task("t") as task:
        task.put_object("fits", {"a": [2**64 - 1, -(2**63)]})
        with pytest.raises(InvalidError, match=r"object\['state'\]\['inc'\]\[1\].*64 bits"):
            task.put_object("long", {"state": {"inc": [0, number]}})
    reader = storage.require_task("t")
    assert reader.object("fits") == {"a": [2**64 - 1, -(2**63)]} and reader.objects == ["fits"]


def test_what_is_given_is_copied_and_data_is_read_only(storage):
    buffer = np.zeros(4)
    one = trial()
    array = one.add_array("x", buffer)
    grown = one.add_array("y")
    grown.stack(buffer)
    buffer[:] = 7
    assert not array.data.any() and not grown.data.any()
    for held in (array, grown):
        with pytest.raises(ValueError, match="read-only"):
            held.data[0] = 1
    grown.stack(buffer)
    with pytest.raises(ValueError, match="read-only"):
        grown.data[0] = 1
    array.data = buffer
    buffer[:] = 8
    assert array.data.tolist() == [7] * 4
    again = pickle.loads(pickle.dumps(grown))
    again.stack([1.0])
    assert again.data.tolist() == [0] * 4 + [7] * 4 + [1]


@pytest.mark.parametrize("begun", [False, True])
def test_a_thread_may_look_at_the_data_while_another_stacks(storage, begun):
    pieces, switch = 3000, sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with storage.create_task("t", commit_interval=100) as task:
            one = trial()
            array = one.add_array("x")
            if begun:
                task.begin(one)
            ended = threading.Event()

            def look():
                while not ended.is_set():
                    array.data

            thread = threading.Thread(target=look)
            thread.start()
            for n in range(pieces):
                array.stack([n])
            ended.set()
            thread.join()
            assert array.data.tolist() == list(range(pieces))
            task.write(one)
    finally:
        sys.setswitchinterval(switch)
    assert storage.require_task("t").get(0, "x").tolist() == list(range(pieces))


def test_pieces_are_committed_while_a_device_pauses(storage):
    with storage.create_task("t", commit_interval=0.1) as task:
        one = task.begin(trial())
        one.add_array("x").stack([1, 2])
        one.arrays["x"].stack([3])
        for _ in range(1000):
            found = storage.require_task("t").unfinished[0]
            if "x" in found.array_names and len(found.array("x")) == 3:
                break
            time.sleep(0.01)
        assert found.array("x").tolist() == [1, 2, 3]
        timer = task._timer
        task.write(one)
    assert not timer.is_alive()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_child_of_a_fork_ends_while_pieces_are_committed_in_time(storage):
    with storage.create_task("t", commit_interval=0.001) as task:
        one = task.begin(trial())
        array = one.add_array("x")
        for n in range(20):
            array.stack([n])
            child = os.fork()
            if child == 0:
                try:
                    task.close()
                except BaseException:
                    os._exit(3)
                os._exit(4)
            assert os.waitpid(child, 0)[1] >> 8 in (3, 4)
        task.write(one)
    assert storage.require_task("t").get(0, "x").tolist() == list(range(20))


def test_the_first_error_of_a_with_block_is_what_the_caller_sees(storage):
    class Full:
        closed = False

        def close(self):
            raise vlstore.errors.PoisonedError("follows")

    with pytest.raises(OSError, match="full") as seen:
        with storage.create_task("t") as task:
            inner, task._inner = task._inner, Full()
            raise OSError("full")
    inner.close()
    assert any("follows" in note for note in getattr(seen.value, "__notes__", ["follows"]))
    with pytest.raises(OSError, match="full"):
        with StorageWriter(storage.root, "p02") as run:
            inner = run.task("t")._inner
            run.task("t")._inner, run._tasks["t"]._inner = Full(), Full()
            raise OSError("full")
    inner.close()
