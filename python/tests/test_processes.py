"""A store goes to other processes: by fork, spawn and forkserver, read before or not."""

import multiprocessing
import os
import pickle
import sys
import time

import numpy as np
import pytest

import vlstore
from vlstore_workers import follow, in_processes, read

METHODS = [m for m in ("fork", "spawn", "forkserver") if m in multiprocessing.get_all_start_methods()]


@pytest.fixture
def frames(path):
    random = np.random.default_rng(0)
    with vlstore.open(path, "w", records="md-frame", chunk_size=65536) as depot:
        depot.put_frames(random.normal(size=(500, 30, 3)), types=range(30), keys=range(500))
    return vlstore.open(path, records="auto", threads=2)


@pytest.mark.parametrize("method", METHODS)
def test_workers_read_what_the_parent_reads(frames, method):
    # The parent reads first, on two threads: what it leaves behind must not hang the children.
    ordinals = np.random.default_rng(1).integers(0, 500, 256)
    expected = (
        sum(float(frames.at[int(i)].positions.sum()) for i in ordinals[:5]),
        float(frames.at.arrays(ordinals)["positions"].sum()),
        500,
        frames.generation,
    )
    found = in_processes(multiprocessing.get_context(method), read, [(frames, ordinals)] * 3)
    assert found == [expected] * 3
    assert frames.at[0] == frames[0]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_worker_that_outlives_a_killed_writer_keeps_nobody_out(path):
    program = f"""
import os, time, vlstore
store = vlstore.open({str(path)!r}, "w")
store["first"] = b"one"
store.commit()
# The child says so when it runs: until then it may have what it gives up first.
os.write(1, f"{{os.fork() or os.getpid()}} ".encode())
time.sleep(60)
"""
    import signal
    import subprocess

    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    said = ""
    while said.count(" ") < 2:
        said += parent.stdout.read(1)
    child = int(said.split()[0])
    try:
        with pytest.raises(vlstore.LockedError):
            vlstore.open(path, "a")
        parent.kill()
        parent.wait()
        os.kill(child, 0)  # It is there, and idles.
        with vlstore.open(path, "a") as store:
            store["second"] = b"two"
    finally:
        os.kill(child, signal.SIGKILL)
        parent.stdout.close()
    with vlstore.open(path) as store:
        assert list(store) == ["first", "second"]


def test_a_writer_whose_file_was_deleted_is_told_and_saves_it(path, tmp_path):
    store = vlstore.open(path, "w")
    store["first"] = b"one"
    store.commit()
    os.remove(path)
    store["second"] = b"two"
    with pytest.raises(vlstore.ReplacedError, match="save_as"):
        store.commit()
    store.save_as(tmp_path / "saved.vls")
    with pytest.raises(vlstore.ReplacedError, match="deleted or replaced"):
        store.close()
    with vlstore.open(tmp_path / "saved.vls") as saved:
        assert dict(saved.items()) == {"first": b"one", "second": b"two"}


@pytest.mark.parametrize("method", METHODS)
def test_a_pool_maps_over_a_store(frames, method):
    with multiprocessing.get_context(method).Pool(2) as pool:
        found = pool.map(frames.__getitem__, range(8))
    assert found == [frames[i] for i in range(8)]


def test_a_pickled_store_sees_at_least_what_it_was_pickled_with(path):
    with vlstore.open(path, "w") as store:
        store["a"] = b"1"
        store.commit()
        sent = pickle.dumps(store)
        store["b"] = b"2"
        store.commit()
        received = pickle.loads(sent)
        assert received.mode == "r" and dict(received) == {"a": b"1", "b": b"2"}
    vlstore.open(path, "w").close()
    with pytest.raises(vlstore.ReplacedError, match="another file"):
        pickle.loads(sent)
    # Also where the other one has as many commits.
    with vlstore.open(path, "w") as other:
        for i in range(20):
            other[i] = b""
            other.commit()
    with pytest.raises(vlstore.ReplacedError, match="another file"):
        pickle.loads(sent)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        pickle.loads(sent)


def test_a_relative_path_travels_to_another_folder(path, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with vlstore.open("test.vls", "w") as store:
        store["a"] = b"1"
    sent = pickle.dumps(vlstore.open("test.vls"))
    monkeypatch.chdir("/")
    assert pickle.loads(sent)["a"] == b"1"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_writer_is_refused_in_a_forked_child_and_works_on_in_the_parent(path):
    store = vlstore.open(path, "w", chunk_size=4096)
    store.put_many((i, bytes(1000)) for i in range(100))
    child = os.fork()
    if child == 0:
        code = 1
        try:
            store["x"] = b""
        except vlstore.InvalidError as error:
            code = 0 if "before a fork" in str(error) else 2
        try:
            store.close()
            del store
        except BaseException:  # noqa: BLE001
            code = 3
        os._exit(code)
    assert wait(child) == 0
    store["y"] = b"1"
    store.close()
    assert len(vlstore.open(path)) == 101 and vlstore.open(path).verify()


def wait(child, seconds=60):
    """The exit code of a child; one that hangs is killed."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return "hung"


def test_readers_in_other_processes_follow_a_writer(path):
    context = multiprocessing.get_context("spawn" if sys.platform == "win32" else "forkserver")
    with vlstore.open(path, "w") as store:
        store.commit()
        results = context.Queue()
        readers = [context.Process(target=follow, args=(path, results)) for _ in range(2)]
        for reader in readers:
            reader.start()
        for i in range(200):
            store[i] = b"%d" % i * 100
            store.commit()
        assert [results.get(timeout=120) for _ in readers] == [200, 200]
        for reader in readers:
            reader.join(60)
