"""A program that ends without ``close``: in order, by an exception, in threads and processes."""

import gc
import os
import signal
import subprocess
import sys
import textwrap

import pytest

import vlstore


def program(path, text, *, status=0):
    """Runs `text` with a store of its own, and returns what it said."""
    head = "import os, sys, vlstore\nPATH = sys.argv[1]\n"
    text = head + textwrap.dedent(text)
    run = [sys.executable, "-W", "ignore::ResourceWarning", "-c", text, str(path)]
    done = subprocess.run(run, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == status, done.stderr
    return done.stderr


def keys(path):
    return list(vlstore.open(path))


PUT = "for i in range(20): store[i] = b'x'\n"


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("store = vlstore.open(PATH, 'w')\n" + PUT, 0),
        ("store = vlstore.open(PATH, 'w')\n" + PUT + "sys.exit(3)", 3),
        ("store = vlstore.open(PATH, 'w')\n" + PUT + "raise KeyError('stop')", 1),
        ("store = vlstore.open(PATH, 'w')\n" + PUT + "raise KeyboardInterrupt", 130),
        # Held by a cycle, by a frame of a traceback, by nobody.
        ("store = vlstore.open(PATH, 'w')\n" + PUT + "a = [store]; a.append(a); del store, a", 0),
        ("def f():\n store = vlstore.open(PATH, 'w')\n " + PUT + " raise OSError\nf()", 1),
        ("def f():\n store = vlstore.open(PATH, 'w')\n " + PUT + "f()", 0),
        ("import atexit\nstore = vlstore.open(PATH, 'w')\n"
         "def late():\n " + PUT + "atexit.register(late)", 0),
        ("import threading\nstore = vlstore.open(PATH, 'w')\n"
         "def put():\n " + PUT + "threading.Thread(target=put).start()", 0),
        ("import threading\nstore = vlstore.open(PATH, 'w')\ndone = threading.Event()\n"
         "def put():\n " + PUT + " done.set(); threading.Event().wait()\n"
         "threading.Thread(target=put, daemon=True).start(); done.wait()", 0),
        # What a process of somebody else inherited is not touched by it.
        ("store = vlstore.open(PATH, 'w')\n" + PUT + "pid = os.fork()\n"
         "if pid: assert os.waitpid(pid, 0)[1] == 0\nelse: sys.exit(0)", 0),
        ("store = vlstore.open(PATH, 'w', records='md-frame')\n"
         "for i in range(20): store[i] = vlstore.MdFrame(energy=1.0)", 0),
        ("vlstore.open(PATH, 'w').close()\nstore = vlstore.open(PATH, 'a')\n" + PUT, 0),
        ("pid = os.fork()\nif pid: assert os.waitpid(pid, 0)[1] == 0\n"
         "else:\n store = vlstore.open(PATH, 'w')\n " + PUT + " sys.exit(0)", 0),
    ],
)
def test_what_was_put_is_committed_at_the_end(path, text, status):
    if status == 130:
        # Python ends itself by the signal.
        status = -signal.SIGINT
    said = program(path, text, status=status)
    assert "lost" not in said and "Warning" not in said, said
    assert keys(path) == list(range(20)) and vlstore.open(path).verify()


def test_a_child_commits_nothing_of_its_parent(path):
    text = """
        store = vlstore.open(PATH, "w")
        store["before"] = b"1"
        if os.fork() == 0:
            sys.exit(0)
        os.wait()
        # The child has ended: what is there is what was committed.
        assert len(vlstore.open(PATH)) == 0
        store["after"] = b"2"
    """
    program(path, text)
    assert keys(path) == ["before", "after"]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_worker_of_multiprocessing_commits_at_its_end(path, method, tmp_path):
    script = tmp_path / "work.py"
    script.write_text(textwrap.dedent("""
        import multiprocessing, sys, vlstore
        kept = []
        def work(path):
            store = vlstore.open(path, "w")
            kept.append(store)
            store["a"] = b"1"
        if __name__ == "__main__":
            context = multiprocessing.get_context(sys.argv[1])
            worker = context.Process(target=work, args=(sys.argv[2],))
            worker.start()
            worker.join()
            sys.exit(worker.exitcode)
    """))
    run = [sys.executable, str(script), method, str(path)]
    done = subprocess.run(run, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert keys(path) == ["a"]


def test_a_killed_program_loses_what_was_not_committed_and_no_more(path):
    text = """
        import signal
        store = vlstore.open(PATH, "w")
        store["a"] = b"1"
        store.commit()
        store["b"] = b"2"
        os.kill(os.getpid(), signal.SIGKILL)
    """
    program(path, text, status=-signal.SIGKILL)
    assert keys(path) == ["a"]
    program(path, "store = vlstore.open(PATH, 'w'); store['c'] = b'3'; os._exit(0)")
    assert keys(path) == []


def test_what_could_not_be_committed_at_the_end_is_said(path):
    # A limit on the size of files makes every write fail.
    text = """
        import resource, signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        store = vlstore.open(PATH, "w", compression="stored")
        store["a"] = os.urandom(100_000)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1, 1))
    """
    said = program(path, text)
    assert "RuntimeWarning" in said and "lost" in said and path.name in said
    resource = pytest.importorskip("resource")
    assert resource and keys(path) == []


def test_a_block_that_fails_because_the_disk_is_full_says_so(path):
    """The error was that of closing a store whose writing had failed before."""
    text = """
        import errno, resource, signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        try:
            with vlstore.open(PATH, "w", compression="stored", commit_bytes=100_000) as store:
                resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
                for i in range(100):
                    store[i] = os.urandom(100_000)
        except vlstore.SystemCallError as error:
            assert error.errno == errno.EFBIG, error
        else:
            raise AssertionError("100 times 100 kB fit")
    """
    pytest.importorskip("resource")
    program(path, text)
    assert 0 < len(keys(path)) < 100


def test_a_store_that_is_dropped_is_closed_and_that_is_said_on_request(path):
    store = vlstore.open(path, "w")
    store["a"] = b"1"
    with pytest.warns(ResourceWarning, match="unclosed store .*test.vls"):
        del store
    assert keys(path) == ["a"]
    # The lock is free again, and another view of a store keeps it open.
    store = vlstore.open(path, "a", records="bytes")
    view = vlstore.Depot(store, "raw")
    del store
    gc.collect()
    view["b"] = b"2"
    with pytest.raises(vlstore.LockedError):
        vlstore.open(path, "a")
    view.close()
    assert keys(path) == ["a", "b"]


def test_a_store_that_cannot_be_used_is_left_as_it_was(path):
    with vlstore.open(path, "w", records="md-frame") as store:
        store["a"] = vlstore.MdFrame(energy=1.0)
    before = path.read_bytes()
    with pytest.raises(vlstore.CodecError):
        vlstore.open(path, "a", records="array")
    assert path.read_bytes() == before and os.path.exists(path)
    vlstore.open(path, "a").close()
