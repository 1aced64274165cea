"""Several processes, one cache: nothing is lost, none waits while another computes, any may be killed."""

import concurrent.futures
import multiprocessing
import os
import subprocess
import sys
import threading
import time

import cache_workers as workers
import numpy as np
import pytest

import vlstore
from vlstore import cache
from vlstore.cache import StorageFile, StorageMemory, cached

SPAWN = multiprocessing.get_context("spawn")


def run(target, *calls):
    with concurrent.futures.ProcessPoolExecutor(len(calls), mp_context=SPAWN) as pool:
        return [future.result(60) for future in [pool.submit(target, *call) for call in calls]]


@pytest.mark.parametrize("name", ["a.vls", "a.hdf5"])
def test_what_several_processes_store_is_all_there(tmp_path, name):
    path = str(tmp_path / name)
    run(workers.store_many, *[(path, first, 15, 3) for first in range(3)])
    storage = cache.StorageHDF5(path) if name.endswith("hdf5") else StorageFile(path)
    assert len(storage) == 45
    for i in range(45):
        assert np.array_equal(storage.retrieve([i])[0], workers.table(i))


def test_two_processes_may_store_one_key(tmp_path):
    path = str(tmp_path / "a.vls")
    ran = run(workers.call_all, *[(path, list(range(10)) * 2)] * 3)
    assert 10 <= sum(ran) <= 30 and len(StorageFile(path)) == 10
    assert run(workers.call_all, (path, range(10))) == [0]


def test_a_budget_holds_for_all_together(tmp_path):
    path = str(tmp_path / "a.vls")
    run(workers.call_all, *[(path, list(range(first, first + 40)), 60_000) for first in (0, 40)])
    assert StorageFile(path).info().bytes <= 60_000
    assert vlstore.open(path).verify().ok


def test_nobody_waits_while_another_computes(tmp_path):
    path = str(tmp_path / "a.vls")
    storage = StorageFile(path, lock_timeout=0.5)
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=SPAWN) as pool:
        slow = pool.submit(workers.compute_slowly, path, 3.0)
        while not slow.running():
            time.sleep(0.01)
        done = 0
        while not slow.done():
            storage.store(done, [done])
            done += 1
            time.sleep(0.005)
        assert slow.result() != os.getpid() and done > 10
    assert len(storage) == done + 1


def test_a_killed_process_leaves_whole_entries(tmp_path):
    path = str(tmp_path / "a.vls")
    for _ in range(2):
        process = SPAWN.Process(target=workers.store_until_killed, args=(path,))
        process.start()
        process.join(60)
        assert process.exitcode == -9
        storage = StorageFile(path)
        assert vlstore.open(path).verify().ok and len(storage) > 0
        for result, args, _, _ in storage.values():
            assert args == ("still works",) or np.array_equal(result, workers.table(args[0]))
        storage.store(1, ["still works"])
        # A new file that it was building may be left; repacking removes it when it is a quarter of an hour old.
        assert [name for name in os.listdir(tmp_path) if not name.endswith(".partial")] == ["a.vls"]


def test_a_repack_by_another_process_is_noticed(tmp_path):
    path = tmp_path / "a.vls"
    storage = StorageFile(path)
    for i in range(20):
        storage.store(workers.table(i), [i])
    for i in range(15):
        storage.delete([i])
    subprocess.run([sys.executable, "-m", "vlstore", "compact", str(path)], check=True, capture_output=True)
    assert np.array_equal(storage.retrieve([17])[0], workers.table(17)) and len(storage) == 5
    storage.store(1, ["more"])
    assert StorageFile(path).retrieve(["more"])[0] == 1


def test_commands_work_on_a_cache(tmp_path):
    path = tmp_path / "a.vls"
    StorageFile(path).store(np.arange(3), [1, "x"], {"b": 2})

    def command(*args):
        found = subprocess.run([sys.executable, "-m", "vlstore", *map(str, args)], capture_output=True, text=True)
        assert found.returncode == 0, found.stderr
        return found.stdout

    assert '[[1,"x"],{"b":2}]' in command("ls", path).replace("\\", "")
    assert "cache" in command("info", path)
    command("verify", path)
    assert '"result":{"array":0}' in command("get", path, '[[1,"x"],{"b":2}]', "--as", "json").replace(" ", "")
    command("copy", path, tmp_path / "copy.vls")
    command("recover", path, tmp_path / "saved.vls")
    for name in ("copy.vls", "saved.vls"):
        assert StorageFile(tmp_path / name).retrieve([1, "x"], {"b": 2})[0].tolist() == [0, 1, 2]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_goes_on_with_the_cache(tmp_path):
    storage = StorageFile(tmp_path / "a.vls")

    @cached(storage)
    def f(x):
        return x

    f(1)
    stop = threading.Event()

    def busy():
        i = 0
        while not stop.is_set():
            f(100 + i % 50)
            i += 1

    thread = threading.Thread(target=busy)
    thread.start()
    try:
        for n in range(5):
            child = os.fork()
            if child == 0:
                try:
                    ok = f(1) == 1 and f(1000 + n) == 1000 + n
                    os._exit(0 if ok else 1)
                finally:
                    os._exit(2)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        stop.set()
        thread.join()
    assert {f.key(1000 + n) in storage for n in range(5)} == {True}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_does_not_remove_a_temporary_file(tmp_path):
    storage = StorageFile(tmp_path / "a.vls", temporary=True)
    child = os.fork()
    if child == 0:
        storage.close()
        os._exit(0)
    os.waitpid(child, 0)
    storage.store(1)
    assert len(storage) == 1


def test_the_name_of_a_function_is_the_same_as_a_program_and_as_a_module(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "import sys\nfrom vlstore.cache import StorageFile, cached\n"
        "@cached(StorageFile(sys.argv[1]))\ndef f(x):\n    print('ran')\n    return x\n"
        "if __name__ == '__main__':\n    print(f(1), f.key(1))\n"
    )
    path = str(tmp_path / "a.vls")
    first = subprocess.run([sys.executable, program, path], capture_output=True, text=True, check=True)
    assert first.stdout == 'ran\n1 ["program.f",1,[1],{}]\n'
    again = subprocess.run(
        [sys.executable, "-c", "import program; print(program.f(1))", path],
        capture_output=True, text=True, check=True, cwd=tmp_path,
    )
    assert again.stdout == "1\n"


def test_a_full_disk_is_a_warning_and_the_file_stays_whole(tmp_path):
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("needs to mount a small file system")
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(small)], capture_output=True).returncode:
        pytest.skip("cannot mount a file system")
    try:
        storage = StorageFile(small / "a.vls")

        @cached(storage)
        def f(n):
            return np.random.default_rng(n).random(n)

        f(1000)
        with pytest.warns(cache.NotStoredWarning, match="space"):
            assert f(2_000_000).size == 2_000_000
        assert np.array_equal(f(1000), np.random.default_rng(1000).random(1000)) and f.info().hits == 1
        f(2000)
        assert f.info().entries == 2 and vlstore.open(small / "a.vls").verify().ok
    finally:
        subprocess.run(["umount", "-l", str(small)], check=False)


def test_odd_names_of_files(tmp_path):
    for name in ("a b", "é\n", "-x", "#", "a.vls.tmp", "x" * 200):
        storage = StorageFile(tmp_path / name)
        storage.store(1)
        assert StorageFile(str(tmp_path / name), readonly=True).retrieve()[0] == 1
    with pytest.raises(vlstore.Error, match="folder"):
        StorageFile(tmp_path)
    with pytest.raises(OSError):
        StorageFile(tmp_path / "no" / "folder")


def test_a_relative_path_is_that_of_the_folder_where_it_was_opened(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    storage = StorageFile("a.vls")
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    storage.store(1)
    assert storage.retrieve()[0] == 1 and os.listdir(tmp_path / "other") == []
    assert StorageMemory().readonly is False
