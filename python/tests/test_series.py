"""Time series: what is stored comes back bit for bit, whoever stores it and however the process ends."""

import json
import multiprocessing
import os
import pathlib
import pickle
import shutil
import signal
import struct
import subprocess
import sys
import threading

import numpy as np
import pytest

import vlstore
from vlstore import errors
from vlstore.series import (
    FileStorageManager,
    MemoryStorageManager,
    SizedContainerTimeSeriesInterface,
    SMTimeSeries,
    StorageManagerInterface,
    TimeSeries,
    new_id,
)

BLOCK = 1 << 14
ODD = np.array(
    [np.nan, -0.0, 0.0, 5e-324, -2.2e-308, np.inf, -np.inf, 1.7e308, 0.1], dtype=np.float64
)
ODD = np.append(ODD, np.array([0x7FF0000000000001, 0xFFF800000000BEEF], np.uint64).view(np.float64))


@pytest.fixture
def shared_data():
    data = pathlib.Path(__file__).parents[3] / "shared" / "data"
    if not (data / "seed-formats").is_dir():
        pytest.skip("there is no ../shared/data beside the checkout")
    return data


@pytest.fixture(params=["file", "memory"])
def manager(request, tmp_path):
    if request.param == "memory":
        return MemoryStorageManager()
    return FileStorageManager(tmp_path / "made" / "here" / "series.vls")


def same(a, b):
    a, b = np.asarray(a), np.asarray(b)
    assert a.dtype == b.dtype == np.float64
    assert a.shape == b.shape
    assert np.array_equal(np.ascontiguousarray(a).view(np.int64), np.ascontiguousarray(b).view(np.int64))


# -- storing and reading


@pytest.mark.parametrize("n", [0, 1, 2, 1000, BLOCK, BLOCK + 1, 3 * BLOCK + 7])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("packing", ["pco", "plain"])
def test_every_bit_comes_back(n, channels, packing, tmp_path):
    manager = FileStorageManager(tmp_path / "s.vls", packing=packing)
    values = np.resize(ODD, n * channels)
    values = values if channels == 1 else values.reshape(n, channels)
    times = np.resize(ODD[::-1], n)
    manager.store("x", (times, values))
    manager.store("y", (None, values))
    for found in (manager, FileStorageManager(tmp_path / "s.vls", "r")):
        series = found.get("x")
        same(series.values(), values)
        same(series.times(), times)
        same(found.get("y").times(), np.arange(n, dtype=float))
        assert found.size("x") == len(series) == n
        assert found.shape("x") == (n, channels, True)
    assert vlstore.open(tmp_path / "s.vls").verify().ok


def test_sources_of_any_kind_are_taken_alike(manager):
    for given in (
        [1, 2, 3],
        (None, (1.0, 2.0, 3.0)),
        range(1, 4),
        np.array([1, 2, 3], np.int16),
        np.array([1, 2, 3], np.float32),
        np.array([3, 2, 1.0])[::-1],
        (x for x in (1, 2, 3)),
        TimeSeries(None, [1, 2, 3]),
        TimeSeries.of([1, 2, 3]),
    ):
        manager.store("x", given)
        same(manager.get("x").values(), [1.0, 2.0, 3.0])
        same(manager.get("x").times(), [0.0, 1.0, 2.0])
    manager.store("x", ([5, 1, 1], [1, 2, 3]))
    same(manager.get("x").times(), [5.0, 1.0, 1.0])
    manager.store("y", manager.get("x"))
    assert manager.get("y") == manager.get("x")


def test_integers_that_would_be_rounded_are_refused_wherever_they_are(manager):
    big = 2**53 + 1
    for wrong in (
        [big, 0.5],
        [0.5, -big],
        [2**63, -1],
        [10**400, 0.5],
        [[big, 0.5], [1, 2]],
        ([big, 0.5], [1, 2]),
        (x for x in (0.5, big)),
        np.array([big, 0.5], object),
    ):
        with pytest.raises(ValueError, match="above 2"):
            manager.store("x", wrong)
    assert "x" not in manager
    manager.store("x", [2**53, 1e300, 0.5])
    same(manager.get("x").values(), [2.0**53, 1e300, 0.5])


def test_only_numbers_are_assigned(manager):
    big = 2**53 + 1
    stored = SMTimeSeries([0, 1], [1.0, 2.0], id="y", manager=manager)
    for target in (TimeSeries(None, [1.0, 2.0]), stored):
        for wrong in ("5", b"5", None, 1j, np.datetime64("2020"), ["5"], [None], {"a": 1}):
            for index in (0, slice(0, 1)):
                with pytest.raises((TypeError, ValueError)):
                    target[index] = wrong
        for wrong in (big, [big], [big, 0.5]):
            with pytest.raises(ValueError, match="above 2"):
                target[:] = wrong
        for index in (True, "a", None, 1.5):
            with pytest.raises(TypeError):
                target[index] = 1
        same(target.values(), [1.0, 2.0])
        target[0:2] = [3, 4]
        same(target.values(), [3.0, 4.0])


@pytest.mark.parametrize(
    "wrong",
    [
        ([1], [1, 2]),
        ([1, 2], [1]),
        ([1, 2], ["a", "b"]),
        ([1, 2], [1, None]),
        ([1, 2], [1j, 2]),
        ([[1, 2]], [1, 2]),
        ([1], [[[1]]]),
        ([1, 2], [[], []]),
        "text",
        b"bytes",
        None,
        7,
        {"a": 1},
        (1, 2, 3),
        [[1, 2], [3]],
        [2**53 + 1],
        np.ma.masked_array([1.0, 2.0], [0, 1]),
        np.array(["2020"], "datetime64[D]"),
        [True, False],
    ],
    ids=repr,
)
def test_what_is_no_series_is_refused_and_nothing_is_stored(manager, wrong):
    with pytest.raises((TypeError, ValueError)):
        manager.store("x", wrong)
    assert "x" not in manager
    assert len(manager) == 0
    assert manager.check() == []


def test_an_unknown_id_is_a_key_error_that_names_it_everywhere(manager):
    manager.store("there", [1])
    for call in (
        manager.size,
        manager.get,
        manager.remove,
        manager.lazy,
        manager.shape,
        lambda id: manager.append(id, [1]),
        lambda id: manager.set(id, 0, [1]),
        lambda id: manager.range(id, 0, 1),
        lambda id: manager[id],
        lambda id: manager.__delitem__(id),
        lambda id: SMTimeSeries.from_db(id, manager),
    ):
        for id in ("not/there", 404):
            with pytest.raises(KeyError) as found:
                call(id)
            assert repr(id).strip("'") in str(found.value)
        # What no series can be called is unknown, too.
        for id in (2**64, "x" * 5000, "\ud800"):
            with pytest.raises(KeyError, match=repr(id)[:40].replace("\\", ".")):
                call(id)
    for id in (1.5, True, b"x", ("a",), None):
        with pytest.raises(TypeError, match="an id must be a str or an int, not"):
            manager.get(id)


NAMES = [
    "",
    "a/b",
    "../../etc/passwd",
    "..",
    ".",
    "C:\\x",
    "a.npy",
    "id_length_map",
    "id_length_map.json",
    "series.vls",
    "vlstore:layer",
    "ÅÄÖ 日本語",
    "👩‍👩‍👧 🙂",
    "x" * 300,
    "new\nline\ttab",
    "1",
    "-1",
    "g",
    "b",
]


def test_ids_are_kept_apart_and_never_escape_or_clash(manager, tmp_path):
    ids = [*NAMES, 1, -1, 0, 2**63, -(2**63)]
    for i, id in enumerate(ids):
        manager.store(id, [i, i])
        manager.append(id, [i])
    assert manager.ids() == ids
    assert manager.lengths() == dict.fromkeys(ids, 3)
    for i, id in enumerate(ids):
        same(manager.get(id).values(), [i * 1.0] * 3)
    manager.remove("1")
    assert 1 in manager
    assert "1" not in manager
    assert manager.check() == []
    found = {os.path.relpath(os.path.join(d, f), tmp_path) for d, _, fs in os.walk(tmp_path) for f in fs}
    assert found <= {os.path.join("made", "here", "series.vls")}
    with pytest.raises(ValueError, match="4096"):
        manager.store("x" * 5000, [1])


def test_storing_again_replaces_or_is_refused(manager):
    manager.store("x", range(3 * BLOCK))
    manager.append("x", range(5))
    manager.store("x", [1, 2])
    assert (manager.size("x"), len(manager), manager.check()) == (2, 1, [])
    with pytest.raises(errors.RecordExistsError, match='series "x" exists already'):
        manager.store("x", [3], existing="refuse")
    same(manager.get("x").values(), [1.0, 2.0])
    careful = MemoryStorageManager(existing="refuse")
    careful.store("x", [1])
    with pytest.raises(errors.RecordExistsError):
        careful.store("x", [2])
    careful.store("x", [3], existing="replace")
    same(careful.get("x").values(), [3.0])
    assert manager.clear() == 1
    assert manager.ids() == []


def test_times_that_the_rule_does_not_allow_are_refused_by_position(tmp_path):
    for rule, wrong in (("sorted", [0, 2, 1]), ("increasing", [0, 1, 1]), ("sorted", [0, np.nan, 1])):
        manager = MemoryStorageManager(times=rule)
        with pytest.raises(ValueError, match="position"):
            manager.store("x", (wrong, [1, 2, 3]))
        assert "x" not in manager
        manager.store("x", ([0, 1, 2], [1, 2, 3]))
        with pytest.raises(ValueError, match="position 3"):
            manager.append("x", ([-1], [1]))
        assert manager.size("x") == 3
    MemoryStorageManager().store("x", ([0, 2, 1, 1, np.nan], range(5)))


# -- one buffer, the cache


def test_arrays_are_views_of_one_buffer(manager):
    for n in (100, 3 * BLOCK):
        manager.store("x", (range(n), np.stack([np.arange(n), np.arange(n)], axis=1)))
        series = manager.get("x")
        times, values = series.times(), series.values()
        assert not times.flags.writeable
        assert not values.flags.writeable
        assert not times.flags.owndata
        assert not values.flags.owndata
        # The values lie behind the times.
        assert values.ctypes.data == times.ctypes.data + 8 * n
        assert values.T.flags.c_contiguous
    first, second = manager.get("x"), manager.get("x")
    assert first.values().ctypes.data == second.values().ctypes.data, "kept"


def test_the_cache_is_as_large_as_it_was_said_and_never_stale(tmp_path):
    path = tmp_path / "s.vls"
    small = FileStorageManager(path, cache_bytes=100_000)
    none = FileStorageManager(path, cache_bytes=0)
    other = FileStorageManager(path)
    for i in range(30):
        other.store(i, np.full(400, i))
    for _ in range(2):
        for i in range(30):
            assert small.get(i)[0] == none.get(i)[0] == i
            assert small.cached <= 100_000
    assert small.cached > 50_000
    assert none.cached == 0
    for change in (
        lambda: other.store(29, np.full(400, -1.0)),
        lambda: other.append(29, [-2.0]),
        lambda: other.set(29, 0, [-3.0]),
        lambda: vlstore.compact(path),
        lambda: other.store(29, [5.0]),
    ):
        small.get(29)
        change()
        assert small.get(29) == none.get(29) == other.get(29)
    other.remove(29)
    with pytest.raises(KeyError):
        small.get(29)


# -- new ids


def _ids(path, n, out):
    manager = FileStorageManager(path)
    out.put([*(new_id() for _ in range(n)), *(manager.store_new([1.0]) for _ in range(5))])


def test_new_ids_are_unused_also_in_other_processes(tmp_path):
    path = tmp_path / "s.vls"
    manager = FileStorageManager(path)
    context = multiprocessing.get_context("fork")
    out = context.Queue()
    children = [context.Process(target=_ids, args=(path, 2000, out)) for _ in range(4)]
    for child in children:
        child.start()
    found = [id for _ in children for id in out.get(timeout=60)]
    for child in children:
        child.join()
        assert child.exitcode == 0
    assert len(set(found)) == len(found) == 4 * 2005
    assert len(manager) == 20
    assert all(isinstance(id, str) for id in found)
    stored = manager.store(None, [1.0])
    assert isinstance(stored, TimeSeries)
    assert len(manager) == 21


# -- kills, damage, other processes

STORING = """
import sys
from vlstore.series import FileStorageManager
manager = FileStorageManager(sys.argv[1])
n = manager.size("x") if "x" in manager else 0
if not n:
    manager.store("x", [0.0])
    n = 1
for i in range(10**9):
    if i == 3:
        print("go", flush=True)
    manager.append("x", [float(n), float(n + 1)])
    n += 2
    manager.store("y", [float(n)] * (n % 700 + 1))
"""


def test_after_a_kill_at_any_moment_lengths_and_data_agree(tmp_path):
    path = tmp_path / "s.vls"
    for i in range(6):
        child = subprocess.Popen(
            [sys.executable, "-c", STORING, str(path)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout.readline() == "go\n"
        threading.Event().wait(0.02 + 0.03 * i)
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        manager = FileStorageManager(path)
        assert manager.check() == []
        for id, n in manager.lengths().items():
            assert len(manager.get(id)) == n
        same(manager.get("x").values(), np.arange(manager.size("x"), dtype=float))
        if "y" in manager:
            y = manager.get("y").values()
            assert (y == y[0]).all()
            assert len(y) == int(y[0]) % 700 + 1
    assert manager.size("x") > 10
    assert vlstore.open(path).verify().ok


def _append(path, worker, n):
    manager = FileStorageManager(path)
    for i in range(n):
        manager.append("x", ([worker], [i]))


def test_processes_that_write_at_once_lose_nothing(tmp_path):
    path = tmp_path / "s.vls"
    manager = FileStorageManager(path)
    manager.store("x", ([], []))
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=_append, args=(path, w, 20)) for w in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join()
        assert child.exitcode == 0
    series = manager.get("x")
    for worker in range(3):
        same(series.values()[series.times() == worker], np.arange(20.0))


def test_threads_a_fork_and_pickle_share_a_manager(tmp_path):
    manager = FileStorageManager(tmp_path / "s.vls")
    manager.store("x", range(100))

    def read():
        for _ in range(50):
            assert len(manager.get("x")) == 100

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    again = pickle.loads(pickle.dumps(manager))
    again.store("y", [1])
    assert "y" in manager
    series = pickle.loads(pickle.dumps(SMTimeSeries.from_db("x", manager)))
    assert len(series) == 100
    same(pickle.loads(pickle.dumps(TimeSeries([1], [2]))).values(), [2.0])
    pid = os.fork()
    if pid == 0:
        try:
            manager.store("child", [7])
            os._exit(0 if manager.get("child")[0] == 7 and len(manager.get("x")) == 100 else 1)
        except BaseException:
            os._exit(2)
    assert os.waitpid(pid, 0)[1] == 0
    assert manager.get("child")[0] == 7


def test_a_batch_is_one_commit(tmp_path):
    manager = FileStorageManager(tmp_path / "s.vls")
    other = FileStorageManager(tmp_path / "s.vls", lock_timeout=0.05)
    manager.store("x", [1])
    before = vlstore.open(manager.path).generation
    with manager.batch():
        for i in range(200):
            manager.store(i, [i])
        manager.append("x", [2])
        assert manager.size("x") == 2
        assert other.size("x") == 1
        with pytest.raises(errors.LockedError):
            other.store("y", [1])
    assert vlstore.open(manager.path).generation <= before + 2
    assert len(other) == 201


def test_a_batch_that_fails_undoes_all_of_it(manager, tmp_path):
    manager.store("x", range(BLOCK + 5))
    manager.store("gone", [1.0])
    (tmp_path / "y.csv").write_text("1\n2\n")
    for end in (RuntimeError, KeyboardInterrupt):
        with pytest.raises(end), manager.batch():
            manager.append("x", [9])
            manager.store("x", [9])
            manager.set("x", 0, [7])
            manager.remove("gone")
            manager.import_csv("y", tmp_path / "y.csv")
            manager.store("lazy", manager.lazy("y") * 2)
            with pytest.raises(KeyError):
                manager.append("none", [1])
            # What is refused changes nothing by itself, and the batch goes on.
            assert manager.ids() == ["x", "y", "lazy"] and manager.get("x")[0] == 7
            raise end
        assert manager.ids() == ["x", "gone"] and manager.check() == []
        same(manager.get("x").values(), np.arange(BLOCK + 5.0))
    with manager.batch():
        manager.clear()
        manager.store("x", [1.0])
    assert manager.lengths() == {"x": 1}
    with pytest.raises(KeyError), manager.batch():
        manager.store("x", [2.0, 3.0])
        chain = manager.lazy("x")
        assert chain.sum() == 5
        manager.append("none", [1])
    with pytest.raises(ValueError, match='"x" was read in a batch that has been undone'):
        chain.sum()
    assert manager.lengths() == {"x": 1} and manager.lazy("x").sum() == 1


def test_chains_and_exports_see_a_batch_and_do_not_commit_it(manager, tmp_path):
    manager.store("x", [1.0, 2.0])
    paths = [tmp_path / "a.csv", tmp_path / "a.parquet"]
    with pytest.raises(RuntimeError), manager.batch():
        manager.append("x", range(BLOCK))
        manager.store("y", [5.0])
        assert manager.lazy("x").max() == BLOCK - 1 and len(manager.lazy("y")) == 1
        assert manager.export_csv("x", paths[0]) == BLOCK + 2
        pytest.importorskip("pyarrow")
        assert manager.export_parquet(paths[1]) == BLOCK + 3
        x = manager.get("x")
        if isinstance(manager, FileStorageManager):
            assert FileStorageManager(manager.path, "r").lengths() == {"x": 2}
        raise RuntimeError
    assert manager.lengths() == {"x": 2}
    other = MemoryStorageManager()
    assert other.import_parquet(paths[1]) == ["x", "y"]
    assert other.get("x") == x == other.import_csv("csv", paths[0])


def test_an_older_state_is_said_at_open_and_by_check(tmp_path):
    path = tmp_path / "s.vls"
    manager = FileStorageManager(path)
    manager.store("x", [1])
    manager.store("x", [1, 2])
    content = bytearray(path.read_bytes())
    newest = 4096 * (1 + vlstore.open(path).generation % 2)
    content[newest : newest + 4096] = bytes(4096)
    path.write_bytes(content)
    # One that was open is told by the next call that reads.
    with pytest.warns(errors.RecoveredWarning, match="is missing") as told:
        assert manager.size("x") == 1
    assert told[0].filename == __file__
    with pytest.warns(errors.RecoveredWarning) as told:
        again = FileStorageManager(path)
        assert again.size("x") == 1
    assert len(told) == 1 and told[0].filename == __file__
    message = str(told[0].message)
    assert message.startswith(f"{path}: the newest commit cannot be read") and "vlstore recover" in message
    ((id, why),) = again.check()
    assert id is None and f"{path}: {why}" == message
    with pytest.raises(errors.OlderStateError, match="vlstore recover"):
        again.store("x", [3])
    with pytest.warns(errors.RecoveredWarning):
        whole = FileStorageManager(path, accept_older=True)
    whole.append("x", [5])
    assert whole.check() == again.check() == [] and again.size("x") == 2


def test_a_file_of_something_else_and_damage_are_refused(tmp_path):
    with vlstore.open(tmp_path / "other.vls", "w") as store:
        store["x"] = b"bytes"
    with pytest.raises(ValueError, match="a store of raw, not of time series"):
        FileStorageManager(tmp_path / "other.vls")
    (tmp_path / "text").write_text("no store at all")
    with pytest.raises(errors.Error):
        FileStorageManager(tmp_path / "text")
    with pytest.raises(FileNotFoundError):
        FileStorageManager(tmp_path / "none.vls", "r")
    reader = FileStorageManager(tmp_path / "s.vls")
    reader.store("x", np.random.default_rng(0).normal(size=5000))
    reader = FileStorageManager(tmp_path / "s.vls", "r")
    with pytest.raises(errors.ReadOnlyError):
        reader.store("x", [1])
    damaged = bytearray((tmp_path / "s.vls").read_bytes())
    at = len(damaged) // 2
    damaged[at : at + 64] = bytes(64)
    (tmp_path / "d.vls").write_bytes(damaged)
    with pytest.raises(errors.Error):
        FileStorageManager(tmp_path / "d.vls").get("x")
    (tmp_path / "c.vls").write_bytes(damaged[: at // 2])
    with pytest.raises(errors.Error):
        FileStorageManager(tmp_path / "c.vls").get("x")


FULL = """
import resource, signal, sys
import numpy as np
from vlstore.series import FileStorageManager
manager = FileStorageManager(sys.argv[1])
manager.store("x", [1.0, 2.0])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
data = np.random.default_rng(0).normal(size=60_000)
for call in (
    lambda: manager.store("y", data),
    lambda: manager.store("x", data),
    lambda: manager.append("x", data),
):
    try:
        call()
    except OSError as error:
        print(type(error).__name__)
    assert manager.ids() == ["x"] and manager.check() == []
    assert list(manager.get("x")) == [1.0, 2.0]
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
manager.append("x", data)
assert len(manager.get("x")) == 60_002
"""


def test_a_full_disk_leaves_what_was_there(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / "s.vls")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["SystemCallError"] * 3
    assert vlstore.open(tmp_path / "s.vls").verify().ok


def test_a_part_that_is_missing_is_named_and_the_rest_comes(tmp_path):
    path = tmp_path / "s.vls"
    manager = FileStorageManager(path)
    for id in ("a", "b", "c"):
        manager.store(id, range(3 * BLOCK))
    with vlstore.open(path, "a", records="bytes") as store:
        keys = list(store)
        del store[next(k for k in keys if isinstance(k, bytes) and k.endswith(b"sa"))]
        del store["b"]
    found = dict(manager.check())
    assert set(found) == {"a", "b"}
    assert manager.ids() == ["a", "c"]
    with pytest.raises(errors.Error, match='series "a"'):
        manager.get("a")
    with pytest.raises(KeyError):
        manager.get("b")
    assert len(manager.get("c")) == 3 * BLOCK
    for id in ("a", "b"):
        manager.store(id, [1])
    assert manager.check() == []


def test_the_commands_of_stores_work_on_series(tmp_path):
    path = tmp_path / "s.vls"
    manager = FileStorageManager(path)
    manager.store("x", ([0.5], [1.5]))
    manager.store(7, range(2 * BLOCK))
    manager.append(7, [1])

    def run(*words):
        done = subprocess.run(
            [sys.executable, "-m", "vlstore", *map(str, words)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    shown = run("get", path, "x", "--as", "json")
    assert '"times":[0.5],"values":[[1.5]]' in shown
    assert '"part":"growth"' in run("get", path, "hex:6769" + f"{7:032x}", "--as", "json")
    assert "series" in run("info", path)
    run("verify", path)
    run("copy", path, tmp_path / "copy.vls")
    run("compact", path)
    run("recover", path, tmp_path / "recovered.vls")
    for name in ("s.vls", "copy.vls", "recovered.vls"):
        found = FileStorageManager(tmp_path / name)
        assert found.lengths() == {"x": 1, 7: 2 * BLOCK + 1}
        assert len(found.get(7)) == 2 * BLOCK + 1
        assert found.check() == []


def test_a_reader_that_knows_the_documentation_alone_finds_every_point(tmp_path):
    path = tmp_path / "s.vls"
    manager = FileStorageManager(path, packing="plain")
    n = 2 * BLOCK + 100
    times, values = np.arange(n) * 0.5, np.arange(2 * n).reshape(n, 2) * 1.0
    manager.store("x", (times[:10], values[:10]))
    manager.append("x", (times[10:-5], values[10:-5]))
    manager.append("x", (times[-5:], values[-5:]))
    manager.store(7, [1.5, 2.5])

    def record(store, key):
        head, body = store.get(key)[:32], store.get(key)[32:]
        magic, version, part, flags, channels, first, points, mark = struct.unpack("<4BI3Q", head)
        assert (magic, version) == (0x5E, 1)
        return part, flags, channels, first, points, mark, np.frombuffer(body, "<f8"), body

    with vlstore.open(path, records="bytes") as store:
        assert record(store, 7)[:6] == (0, 0, 1, 0, 2, 0)
        assert record(store, 7)[6].tolist() == [1.5, 2.5]
        part, flags, channels, first, length, mark, _, body = record(store, b"gsx")
        block, blocks, last, *pieces = struct.unpack(f"<2Qd{len(body) // 8 - 3}Q", body)
        assert (part, flags, channels, first, length, last) == (2, 1 | 4, 2, 10, n, times[-1])
        assert mark
        keys = ["x", *(b"b" + struct.pack(">Q", i) + b"sx" for i in range(blocks))]
        keys += [b"p" + struct.pack(">Q", i) + b"sx" for i in range(len(pieces))]
        assert len(store) == len(keys) + 2
        found, at = [], 0
        for key, count in zip(keys, [first, *[block] * blocks, *pieces], strict=True):
            part, flags, channels, begin, points, own, numbers, _ = record(store, key)
            assert (part, flags, channels, begin, points, own) == (at > 0, 1, 2, at, count, mark)
            found.append(numbers.reshape(3, points))
            at += points
    found = np.concatenate(found, axis=1)
    same(found[0], times)
    same(found[1:].T, values)


def _long(path, id, n, factor=1.0):
    manager = FileStorageManager(path)
    manager.store(id, (np.arange(n) * 0.5, np.arange(n) * factor))
    return manager


def _store_of_two(tmp_path, first, second, **options):
    """Two stores that both have "x", of these lengths, merged."""
    a, b = tmp_path / "a.vls", tmp_path / "b.vls"
    _long(a, "x", first)
    _long(b, "x", second, 2.0)
    for path in (a, b):
        FileStorageManager(path).store("short", [1, 2])
    vlstore.merge([a, b], tmp_path / "both.vls", **options)
    return FileStorageManager(tmp_path / "both.vls")


@pytest.mark.parametrize("policy", ["keep-first", "keep-last"])
@pytest.mark.parametrize(
    ("first", "second"),
    [(10, 3 * BLOCK), (3 * BLOCK, 10), (2 * BLOCK, 4 * BLOCK + 7), (4 * BLOCK + 7, 2 * BLOCK), (3, 5)],
)
def test_a_merge_never_mixes_two_series_in_silence(policy, first, second, tmp_path):
    merged = _store_of_two(tmp_path, first, second, clash=policy)
    n, factor = (first, 1.0) if policy == "keep-first" else (second, 2.0)
    try:
        found = merged.get("x")
    except errors.Error as error:
        assert 'series "x"' in str(error)
        assert "is mixed" in str(error)
        assert "manager.store(id" in str(error)
        assert any(id == "x" and "mixed" in why for id, why in merged.check())
        for call in (merged.size, merged.lazy, lambda id: merged.append(id, ([1], [1]))):
            with pytest.raises(errors.Error, match="mixed"):
                call("x")
    else:
        same(found.values(), np.arange(n) * factor)
    assert merged.get("short")[1] == 2
    assert merged.ids() == ["x", "short"]
    # Storing it again leaves nothing of either.
    merged.store("x", ([1], [2]))
    assert merged.get("x").items() == [(1, 2)]
    assert merged.check() == []


def test_a_part_of_another_series_is_never_returned(tmp_path):
    # The same length and layout, so that the marks alone tell them apart.
    _long(tmp_path / "a.vls", "x", 3 * BLOCK)
    _long(tmp_path / "b.vls", "x", 3 * BLOCK, 2.0)
    block = b"b" + bytes(8) + b"sx"
    vlstore.copy(tmp_path / "b.vls", tmp_path / "block.vls", keys=[block])
    vlstore.merge([tmp_path / "a.vls", tmp_path / "block.vls"], tmp_path / "mixed.vls", clash="keep-last")
    manager = FileStorageManager(tmp_path / "mixed.vls")
    for call in (
        lambda: manager.get("x"),
        lambda: manager.range("x", BLOCK, BLOCK + 1),
        lambda: manager.lazy("x").sum(),
        lambda: manager.set("x", BLOCK, [1.0]),
    ):
        with pytest.raises(errors.Error, match=r'series "x".*is mixed'):
            call()
    assert manager.range("x", 5, 6).values()[0] == 5
    assert [id for id, why in manager.check() if "mixed" in why] == ["x"]


def test_commands_that_choose_records_cut_no_series_in_silence(tmp_path):
    manager = _long(tmp_path / "s.vls", "x", 3 * BLOCK)
    manager.store("grown", [1, 2])
    manager.append("grown", [3])
    manager.store("short", [1, 2])
    vlstore.copy(manager.path, tmp_path / "some.vls", keys=["x", "grown", "short"])
    some = FileStorageManager(tmp_path / "some.vls")
    for id in ("x", "grown"):
        for call in (some.get, some.size, some.lazy, some.shape, lambda id: some.append(id, [1])):
            with pytest.raises(errors.Error, match=rf'series "{id}".*is cut.*copy --keys'):
                call(id)
    assert some.get("short").values().tolist() == [1, 2]
    assert some.ids() == ["x", "grown", "short"]
    assert {id for id, why in some.check() if "is cut" in why} == {"x", "grown"}
    some.store("x", manager.lazy("x"))
    same(some.get("x").values(), manager.get("x").values())
    some.remove("grown")
    assert some.check() == []
    with vlstore.open(manager.path, "a") as store:
        del store["x"]
    with pytest.raises(KeyError, match='"x"'):
        manager.get("x")
    assert any(id == "x" for id, _ in manager.check())
    manager.store("x", [7])
    assert manager.check() == []


# -- appending


def test_appends_come_back_in_order_and_cost_what_is_appended(tmp_path):
    manager = FileStorageManager(tmp_path / "s.vls")
    random = np.random.default_rng(0)
    all_values = random.normal(size=2 * BLOCK + 3000)
    manager.store("x", all_values[:10])
    at = 10
    for n in [1] * 40 + [7, 500, BLOCK, 3, 0, 1]:
        assert manager.append("x", all_values[at : at + n]) == at + n
        at += n
        assert manager.size("x") == at
    same(manager.get("x").values(), all_values[:at])
    same(manager.range("x", 45, BLOCK + 50).values(), all_values[45 : BLOCK + 50])
    same(manager.range("x", 45, 47).times(), [45.0, 46.0])
    written = {}
    for n in (1000, 500_000):
        manager.store("long", random.normal(size=n))
        manager.append("long", [1.0])
        before = vlstore.open(manager.path).info()["raw_bytes"]
        manager.append("long", [1.0])
        written[n] = vlstore.open(manager.path).info()["raw_bytes"] - before
    assert max(written.values()) < 1000, written


# -- the interface


def make(kind, times, values):
    if kind == "memory":
        return TimeSeries(times, values)
    return SMTimeSeries(times, values, manager=MemoryStorageManager())


@pytest.mark.parametrize("kind", ["memory", "stored"])
def test_a_series_behaves_as_a_container(kind):
    series = make(kind, [0, 1, 3, 4], [1, 2, 6, np.nan])
    assert isinstance(series, SizedContainerTimeSeriesInterface)
    assert len(series) == 4
    same(list(series)[:3], [1.0, 2.0, 6.0])
    same(list(series.itervalues())[:3], [1.0, 2.0, 6.0])
    same(list(series.itertimes()), [0.0, 1.0, 3.0, 4.0])
    assert list(series.iteritems())[:2] == series.items()[:2] == [(0.0, 1.0), (1.0, 2.0)]
    assert series[1] == series[-3] == 2
    assert series[1:3].items() == [(1.0, 2.0), (3.0, 6.0)]
    assert series[::2].items() == [(0.0, 1.0), (3.0, 6.0)]
    assert series.between(1, 4).items() == [(1.0, 2.0), (3.0, 6.0)]
    assert series.between(stop=1).items() == [(0.0, 1.0)]
    assert len(series.between(7, 9)) == 0
    for index in (4, -5):
        with pytest.raises(IndexError):
            series[index]
    for index in ("a", 1.5, None, True):
        with pytest.raises(TypeError):
            series[index]
    assert 2 in series
    assert 3 not in series
    assert np.nan in series
    assert "a" not in series
    assert series == series[:]
    assert series == make(kind, [0, 1, 3, 4], [1, 2, 6, np.nan])
    assert series != make(kind, [0, 1, 3, 5], [1, 2, 6, np.nan])
    assert series != series[:3]
    assert series != [1, 2, 6]
    assert not make(kind, [], [])
    assert make(kind, [0], [0])
    with pytest.raises(TypeError):
        hash(series)


@pytest.mark.parametrize("kind", ["memory", "stored"])
def test_arithmetic_goes_with_numbers_and_with_series_on_the_same_times(kind):
    series, other = make(kind, [0, 1, 3], [1, 2, 6]), make(kind, [0, 1, 3], [2, 4, 8])
    for found, right in (
        (series + 1, [2, 3, 7]),
        (1 + series, [2, 3, 7]),
        (series - 1.0, [0, 1, 5]),
        (1 - series, [0, -1, -5]),
        (series * 2, [2, 4, 12]),
        (np.float64(2) * series, [2, 4, 12]),
        (series / 2, [0.5, 1, 3]),
        (12 / series, [12, 6, 2]),
        (series**2, [1, 4, 36]),
        (2**series, [2, 4, 64]),
        (series + other, [3, 6, 14]),
        (other - series, [1, 2, 2]),
        (series * other, [2, 8, 48]),
        (other / series, [2, 2, 8 / 6]),
        (-series, [-1, -2, -6]),
        (+series, [1, 2, 6]),
    ):
        assert isinstance(found, TimeSeries)
        same(found.values(), np.array(right, float))
        same(found.times(), [0.0, 1.0, 3.0])
    for wrong in (make(kind, [0, 1, 2], [1, 1, 1]), make(kind, [0, 1], [1, 1]), make(kind, None, [1, 1, 1])):
        with pytest.raises(ValueError, match="position 2|points"):
            series + wrong
    for wrong in ("a", [1, 2, 3], np.array([1, 2, 3]), None, 1j, True):
        with pytest.raises(TypeError):
            series + wrong
        with pytest.raises(TypeError):
            wrong * series


@pytest.mark.parametrize("kind", ["memory", "stored"])
def test_numbers_of_a_series(kind):
    series = make(kind, [0, 1, 3], [1, 2, 6])
    assert abs(series) == pytest.approx(np.sqrt(41))
    assert series.mean() == 3
    assert series.std() == pytest.approx(np.std([1, 2, 6], ddof=1))
    assert series.std(ddof=0) == pytest.approx(np.std([1, 2, 6]))
    assert np.isnan(series[:1].std())
    assert np.isnan(series[:0].mean())
    assert abs(series[:0]) == 0
    same(series.interpolate([-5, 0, 0.5, 2, 3, 9]).values(), [1.0, 1, 1.5, 4, 6, 6])
    same(series.interpolate(make(kind, [2], [0])).times(), [2.0])
    with pytest.raises(ValueError, match="sorted"):
        make(kind, [1, 0], [1, 2]).interpolate([0.5])
    with pytest.raises(ValueError, match="without points"):
        series[:0].interpolate([0.5])
    wide = make(kind, [0, 1], [[1, 10], [3, 30]])
    same(wide.mean(), np.array([2.0, 20.0]))
    same((wide + make(kind, [0, 1], [1, 1])).values(), np.array([[2.0, 11.0], [4.0, 31.0]]))
    same(wide.interpolate([0.5]).values(), np.array([[2.0, 20.0]]))
    assert wide.channels == 2


@pytest.mark.parametrize("kind", ["memory", "stored"])
def test_a_print_is_shortened_in_the_middle(kind):
    short, long = make(kind, [0, 1], [1, 2.5]), make(kind, None, range(1000))
    assert str(short) == "[0: 1, 1: 2.5]"
    assert str(long) == "[0: 0, 1: 1, 2: 2, ..., 997: 997, 998: 998, 999: 999]"
    assert "2 points" in repr(short)
    assert "1000 points" in repr(long)
    assert ("id 'ts-" in repr(long)) == (kind == "stored")
    assert "(1, 10)" in str(make(kind, [0], [[1, 10]]))


def test_a_stored_series_is_stored_at_once_and_written_through_to_every_handle(tmp_path):
    manager = FileStorageManager(tmp_path / "s.vls")
    a = SMTimeSeries([0, 1, 2, 3], [1, 2, 3, 4], id="x", manager=manager)
    assert manager.size("x") == 4
    b = SMTimeSeries.from_db("x", FileStorageManager(tmp_path / "s.vls"))
    assert a == b
    assert b.id == "x"
    a[1] = 20
    b[-1] = 40.5
    a[0:2] = [7, 8]
    b[::2] = -1
    same(a.values(), [-1.0, 8.0, -1.0, 40.5])
    same(b.values(), a.values())
    b[3:1:-1] = [1, 2]
    same(a.values(), [-1.0, 8.0, 2.0, 1.0])
    a[4:] = []
    a.append(([9], [9]))
    assert (len(b), b[4]) == (5, 9)
    for index, value, error in ((9, 1, IndexError), ("a", 1, TypeError), (0, "a", TypeError), (slice(2), [1, 2, 3], ValueError)):
        with pytest.raises(error):
            a[index] = value
    assert len(b) == 5
    twice = (a + b).stored(manager=manager)
    assert twice.id in manager
    assert twice == a * 2
    assert (a - 1).stored("less", manager).id == "less"
    wide = SMTimeSeries([0, 1], [[1, 2], [3, 4]], id="wide", manager=manager)
    wide[1] = [5, 6]
    same(wide.values(), np.array([[1.0, 2], [5, 6]]))


def test_the_manager_of_the_class_serves_where_none_is_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(SMTimeSeries, "manager", MemoryStorageManager())
    series = SMTimeSeries(None, [1, 2])
    assert series.id in SMTimeSeries.manager
    assert SMTimeSeries.from_db(series.id) == series
    monkeypatch.setattr(SMTimeSeries, "manager", None)
    SMTimeSeries(None, [1], id="x")
    assert FileStorageManager(tmp_path).ids() == ["x"]


def test_a_slice_in_steps_keeps_what_others_write_in_between(tmp_path):
    class Crowded(FileStorageManager):
        def range(self, id, start, stop):
            found = super().range(id, start, stop)
            other.set(id, 1, [100.0])
            return found

    other = FileStorageManager(tmp_path / "s.vls")
    series = SMTimeSeries(None, range(6), id="x", manager=Crowded(tmp_path / "s.vls"))
    series[::2] = [7, 8, 9]
    assert other.get("x").values().tolist() == [7, 100, 8, 3, 9, 5]
    series[4:1:-1] = [1, 2, 3]
    assert other.get("x").values().tolist() == [7, 100, 3, 2, 1, 5]
    with pytest.raises(ValueError):
        series[::2] = [1, 2]
    assert other.get("x").values().tolist() == [7, 100, 3, 2, 1, 5]


def test_a_change_of_folder_changes_no_file(tmp_path, monkeypatch):
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(SMTimeSeries, "manager", None)
    series = SMTimeSeries(None, [1, 2], id="default")
    manager = FileStorageManager("s.vls")
    manager.store("x", [1])
    monkeypatch.chdir(tmp_path / "other")
    assert manager.path == str(tmp_path / "s.vls")
    manager.append("x", [2])
    series[0] = 5
    pickle.loads(pickle.dumps(manager)).append("x", [3])
    pid = os.fork()
    if pid == 0:
        try:
            manager.append("x", [4])
            series[1] = 6
            os._exit(0)
        except BaseException:
            os._exit(2)
    assert os.waitpid(pid, 0)[1] == 0
    assert manager.get("x").values().tolist() == [1, 2, 3, 4]
    assert series.values().tolist() == [5, 6]
    assert os.listdir(tmp_path / "other") == []


def test_a_call_fetches_the_whole_once():
    """Two fetches could be of two versions, if another thread stores in between."""

    class Alternating(StorageManagerInterface):
        fetched = 0

        def store(self, id, series): ...

        def size(self, id):
            return 3 + self.fetched % 2

        def get(self, id):
            self.fetched += 1
            return TimeSeries(np.arange(self.size(id)) * 2.0, [self.fetched] * self.size(id))

    series = SMTimeSeries.from_db("x", Alternating())
    for call in (
        series.items,
        lambda: list(series.iteritems()),
        lambda: series.between(1, 5),
        lambda: series == TimeSeries([0], [0]),
        lambda: series.interpolate([1]),
        lambda: TimeSeries([0], [0]).interpolate(series),
        lambda: str(series),
        lambda: repr(series),
        lambda: series * 2,
        lambda: series[1],
        lambda: series[::2],
        lambda: abs(series),
        lambda: 2 in series,
        series.mean,
        series.times,
    ):
        before = series._manager.fetched
        call()
        assert series._manager.fetched == before + 1
    with pytest.raises(ValueError, match="points"):
        series + series
    before = series._manager.fetched
    assert series != series
    assert series._manager.fetched == before + 2


def test_three_methods_make_a_manager():
    with pytest.raises(TypeError):
        StorageManagerInterface()

    class Own(StorageManagerInterface):
        def __init__(self):
            self.all = {}

        def store(self, id, series):
            self.all[id] = TimeSeries.of(series)
            return self.all[id]

        def size(self, id):
            return len(self.all[id])

        def get(self, id):
            return self.all[id]

    own = Own()
    series = SMTimeSeries([0, 1], [1, 2], manager=own)
    series[0] = 5
    assert own.get(series.id)[0] == 5
    assert (series + 1)[1] == 3
    with pytest.raises(KeyError):
        SMTimeSeries.from_db("no", own)


def test_the_folder_of_a_student_manager_is_imported_whole_and_exact(shared_data, tmp_path):
    folder = tmp_path / "fsm"
    shutil.copytree(shared_data / "seed-formats" / "cs207-fsm", folder)
    folder.chmod(0o755)
    for manager in (FileStorageManager(tmp_path / "s.vls"), MemoryStorageManager()):
        done = manager.import_folder(folder)
        lengths = json.loads((folder / "id_length_map.json").read_text())
        assert done.ids == sorted(lengths)
        assert (done.broken, done.unlisted) == ({}, [])
        assert manager.lengths() == lengths
        for id in lengths:
            times, values = np.load(folder / f"{id}.npy")
            same(manager.get(id).times(), times)
            same(manager.get(id).values(), values)
    (folder / "1.npy").unlink()
    (folder / "water216-nvt-1.npy").write_bytes(b"\x93NUMPY")
    np.save(folder / "ala2-npt-1.npy", np.zeros((2, 3)))
    np.save(folder / "extra.npy", np.zeros((2, 3)))
    rest = MemoryStorageManager()
    done = rest.import_folder(folder)
    assert set(done.broken) == {"1", "water216-nvt-1", "ala2-npt-1"}
    assert "101 points, and the file has 3" in done.broken["ala2-npt-1"]
    assert done.unlisted == ["extra"]
    assert len(rest) == len(lengths) - 3
    assert "extra" in MemoryStorageManager().import_folder(folder, unlisted=True).ids
    with pytest.raises(FileNotFoundError):
        rest.import_folder(tmp_path)


def test_assigning_keeps_what_the_manager_was_told_of_existing_series():
    manager = MemoryStorageManager(existing="refuse")
    manager["a"] = [1.0]
    with pytest.raises(errors.RecordExistsError, match="a"):
        manager["a"] = [2.0]
    assert manager.get("a")[0] == 1.0
    free = MemoryStorageManager()
    free["a"] = [1.0]
    free["a"] = [2.0]
    assert free.get("a")[0] == 2.0


def test_wrong_numbers_are_refused_by_name(manager):
    manager.store("x", (range(5), range(5)))
    x, series = manager.lazy("x"), SMTimeSeries.from_db("x", manager)
    for call, why in [
        (lambda: x.aggregate("min", points=-1), "points: 0 or more, not -1"),
        (lambda: x.aggregate("min", points=1.5), "points: an integer, not float"),
        (lambda: x.aggregate("min", width="a"), "width: a real number, not str"),
        (lambda: x.resample("a"), "step: a real number"),
        (lambda: x.resample(1, count=-3), "count: 0 or more, not -3"),
        (lambda: x.percentile("a"), "q: a real number"),
        (lambda: manager.set("x", -1, [1]), "start: 0 or more"),
        (lambda: manager.set("x", 4, [1, 2]), "points 4 to 6 do not exist .* has 5"),
        (lambda: manager.set("x", 0, [[1, 2]]), "has 1 channels, and 2 are given"),
        (lambda: manager.range("x", 0, 1.5), "position: an integer"),
        (lambda: series.between("a"), "start: a real number"),
        (lambda: manager.get("x").between(0, "a"), "stop: a real number"),
        (lambda: MemoryStorageManager(cache_bytes=-1), "cache_bytes: 0 or more"),
        (lambda: MemoryStorageManager(threads=1.5), "threads: an integer"),
    ]:
        with pytest.raises((errors.InvalidError, errors.WrongTypeError), match=why):
            call()


def test_edges_of_numbers_shapes_and_batches(tmp_path):
    for manager in (MemoryStorageManager(), FileStorageManager(tmp_path / "s.vls")):
        stored = manager.store("x", [[1.0], [2.0]])
        assert stored.values().shape == manager.get("x").values().shape == (2,)
        assert 2**200 not in manager and -(2**200) not in manager
        with manager.batch():
            with pytest.raises(ValueError, match="one already"), manager.batch():
                pass
            manager.store("y", [1.0])
        assert manager.ids() == ["x", "y"]
    for values, norm in [([3e200, 4e200], 5e200), ([3e-200, 4e-200], 5e-200), ([3.0, -4.0], 5.0), ([], 0.0)]:
        assert abs(TimeSeries(None, values)) == pytest.approx(norm, rel=1e-15, abs=0)
    assert abs(TimeSeries(None, [np.inf, 1.0])) == np.inf and np.isnan(abs(TimeSeries(None, [np.nan, 1.0])))
