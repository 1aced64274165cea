"""Compact, copy, merge, split and recover from Python."""

import os
import signal
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest

import vlstore


def fill(path, keys, **options):
    with vlstore.open(path, "w", **options) as store:
        store.attrs["made by"] = "a test"
        store.put_many((key, f"{key}!".encode() * 50) for key in keys)
    return path


def content(path):
    store = vlstore.open(path)
    return list(store.items())


def test_a_key_that_is_overwritten_again_and_again_gives_its_space_back(path):
    random = np.random.default_rng(1)
    with vlstore.open(path, "w") as store:
        for _ in range(60):
            store["one"] = random.bytes(20_000)
        store.push(b"kept")
        last = store["one"]
        told = []
        done = store.compact(progress=lambda done, total: told.append((done, total)))
        assert isinstance(done, vlstore.Compacted) and done.dead_records == 59
        assert done.freed > 1_000_000 and done.bytes_after < 40_000 < done.bytes_before
        assert told[0][0] == 0 and told[-1][0] == told[-1][1] == 20_004
        # The same store goes on, with its lock.
        assert store["one"] == last and list(store.values()) == [last, b"kept"]
        with pytest.raises(vlstore.LockedError):
            vlstore.open(path, "a")
        store["two"] = b"2"
    assert list(vlstore.open(path)) == ["one", 1, "two"] and path.stat().st_size < 80_000
    before = path.stat().st_size
    done = vlstore.compact(path)
    assert (done.records, done.dead_records) == (3, 0) and done.bytes_before == before
    memory = vlstore.memory()
    for _ in range(60):
        memory["one"] = random.bytes(20_000)
    assert memory.compact().freed > 1_000_000 and len(memory["one"]) == 20_000
    with pytest.raises(vlstore.ReadOnlyError):
        vlstore.open(path).compact()


def test_frames_and_their_topologies_stay_when_an_open_store_is_compacted(path):
    water = vlstore.Topology(types=[8, 1, 1])
    ice = vlstore.Topology(types=[8, 1, 1], name="ice")
    with vlstore.open(path, "w", records="md-frame") as store:
        store["a"] = vlstore.MdFrame(np.zeros((3, 3)), topology=water)
        store["b"] = vlstore.MdFrame(np.zeros((3, 3)), topology=ice)
        del store["b"]
        store.compact()
        assert store.topologies() == [water] and store["a"].topology == water
        # What was dropped comes back with the next frame that has it.
        store["c"] = vlstore.MdFrame(np.ones((3, 3)), topology=ice)
        store.commit()
        assert store.topologies() == [water, ice]
    assert vlstore.open(path)["c"].topology == ice and vlstore.open(path).verify()


def test_an_open_store_that_is_moved_or_replaced_is_not_compacted_over(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with vlstore.open(path.name, "w") as store:
        store["a"] = b"1"
        os.mkdir("elsewhere")
        monkeypatch.chdir("elsewhere")
        store.compact()
        store["b"] = b"2"
    assert dict(vlstore.open(path)) == {"a": b"1", "b": b"2"}


def test_progress_that_raises_and_ctrl_c_change_nothing(path, tmp_path):
    fill(path, range(3000))
    before = path.read_bytes()
    calls = (
        lambda **how: vlstore.compact(path, **how),
        lambda **how: vlstore.copy(path, tmp_path / "new.vls", **how),
        lambda **how: vlstore.merge([path], tmp_path / "new.vls", **how),
        lambda **how: vlstore.split(path, tmp_path / "new.vls", records=1000, **how),
        lambda **how: vlstore.recover(path, tmp_path / "new.vls", **how),
    )

    def stop(done, total):
        raise ZeroDivisionError(f"{done} of {total}")

    def interrupt(done, total):
        signal.raise_signal(signal.SIGINT)

    for call in calls:
        for progress, kind in ((stop, ZeroDivisionError), (interrupt, KeyboardInterrupt)):
            with pytest.raises(kind):
                call(progress=progress)
            assert os.listdir(tmp_path) == [path.name] and path.read_bytes() == before
        with pytest.raises(vlstore.WrongTypeError, match="progress"):
            call(progress=3)
    with vlstore.open(path, "a") as store:
        with pytest.raises(ZeroDivisionError):
            store.compact(progress=stop)
        with pytest.raises(vlstore.InvalidError, match="being compacted"):
            store.compact(progress=lambda done, total: len(store))
        store["after"] = b"1"
        assert len(store) == 3001
    assert vlstore.open(path).verify()


def test_ctrl_c_ends_a_long_copy_of_the_main_thread(path, tmp_path):
    script = textwrap.dedent("""
        import os, signal, sys, threading, time, vlstore
        began = threading.Event()
        def send():
            began.wait()
            os.kill(os.getpid(), signal.SIGINT)
        threading.Thread(target=send, daemon=True).start()
        def progress(done, total):
            began.set()
            time.sleep(0.02)
        while True:
            vlstore.copy(sys.argv[1], sys.argv[2], overwrite=True, progress=progress)
    """)
    fill(path, range(2000))
    run = [sys.executable, "-c", script, str(path), str(tmp_path / "new.vls")]
    done = subprocess.run(run, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == -signal.SIGINT and "KeyboardInterrupt" in done.stderr
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".partial")]


def test_others_run_while_a_store_is_copied(path, tmp_path):
    fill(path, range(200))
    seen = []
    inside = threading.Event()
    turn = threading.Event()

    def progress(done, total):
        inside.set()
        assert turn.wait(20)

    def other():
        inside.wait()
        seen.append(len(vlstore.open(path)))
        turn.set()

    thread = threading.Thread(target=other)
    thread.start()
    vlstore.copy(path, tmp_path / "new.vls", progress=progress)
    thread.join()
    assert seen == [200]


def test_a_copy_has_other_options_or_some_of_the_records(path, tmp_path):
    fill(path, [*range(20), "a", "b"])
    new = tmp_path / "new.vls"
    done = vlstore.copy(path, new, purpose="dense", compression="lz4", level=3)
    assert isinstance(done, vlstore.Copied) and done.records == 22
    assert done.file_bytes == new.stat().st_size
    options = vlstore.open(new).options
    assert (options["purpose"], options["compression"], options["level"]) == ("dense", "lz4", 3)
    assert content(new) == content(path) and vlstore.open(new).attrs["made by"] == "a test"
    all_ = content(path)
    for how, right in (
        ({"keys": ["a", 3]}, [all_[3], all_[20]]), ({"match": "[ab]"}, all_[20:]),
        ({"range": range(2, 8, 3)}, all_[2:8:3]), ({"range": slice(-3, None)}, all_[-3:]),
        ({"range": slice(5, 5)}, []),
    ):
        vlstore.copy(vlstore.open(path), new, overwrite=True, **how)
        assert content(new) == right
    with pytest.raises(vlstore.StoreExistsError):
        vlstore.copy(path, new)
    for how, kind, why in (
        ({"keys": ["no"]}, KeyError, "no"), ({"range": range(0, 23)}, ValueError, "beyond"),
        ({"range": slice(None, None, -1)}, ValueError, "order"), ({"range": 3}, TypeError, "slice"),
        ({"match": "a", "keys": ["a"]}, ValueError, "one of"), ({"sped": 3}, TypeError, "unknown option"),
        ({"level": 0}, ValueError, "level"), ({"positions": "x"}, ValueError, "positions"),
    ):
        with pytest.raises(kind, match=why) as caught:
            vlstore.copy(path, tmp_path / "none.vls", **how)
        assert isinstance(caught.value, vlstore.Error)
        assert not (tmp_path / "none.vls").exists()
    with pytest.raises(vlstore.WrongTypeError, match="path or an open store"):
        vlstore.copy(3, new)
    with pytest.raises(vlstore.InvalidError, match="memory"):
        vlstore.copy(vlstore.memory(), new)


def test_parts_of_a_split_merge_to_the_whole(path, tmp_path):
    fill(path, range(25))
    parts = vlstore.split(path, tmp_path / "part.vls", records=10)
    assert [part.records for part in parts] == [10, 10, 5]
    assert [part.path.name for part in parts] == ["part-000.vls", "part-001.vls", "part-002.vls"]
    whole = tmp_path / "whole.vls"
    done = vlstore.merge([part.path for part in parts], whole)
    assert isinstance(done, vlstore.Merged) and (done.records, done.left_out) == (25, 0)
    assert content(whole) == content(path)
    with pytest.raises(vlstore.RecordExistsError, match="record 0"):
        vlstore.merge([path, whole], tmp_path / "twice.vls")
    both = vlstore.merge([path, whole], tmp_path / "twice.vls", clash="keep-first")
    assert (both.records, both.left_out) == (25, 25)
    vlstore.merge([path, whole], tmp_path / "twice.vls", clash="prefix", overwrite=True)
    assert {"test/3", "whole/3"} <= set(vlstore.open(tmp_path / "twice.vls"))
    assert len(vlstore.split(path, tmp_path / "k.vls", keys=[7])) == 2
    assert len(vlstore.split(path, tmp_path / "b.vls", bytes=2000)) > 1
    with pytest.raises(vlstore.InvalidError, match="one of records"):
        vlstore.split(path, tmp_path / "x.vls")
    with pytest.raises(vlstore.WrongTypeError, match="list of paths"):
        vlstore.merge(path, tmp_path / "x.vls")
    with pytest.raises(vlstore.InvalidError, match="clash"):
        vlstore.merge([path], tmp_path / "x.vls", clash="both")


def test_recover_says_what_it_found_and_what_is_lost(path, tmp_path):
    fill(path, range(100))
    done = vlstore.recover(path, tmp_path / "good.vls")
    assert isinstance(done, vlstore.Recovered) and done and done.records == 100 and done.lost == 0
    assert content(tmp_path / "good.vls") == content(path)
    damaged = bytearray(path.read_bytes())
    # The first chunk begins behind the header.
    at = 12_288 + (len(damaged) - 12_288) // 2
    damaged[at : at + 64] = bytes(64)
    broken = tmp_path / "broken.vls"
    broken.write_bytes(damaged)
    done = vlstore.recover(broken, tmp_path / "saved.vls")
    assert done.records + done.lost >= 0 and isinstance(done.losses, list)
    assert broken.read_bytes() == damaged
    if not done:
        assert done.losses or done.notes or done.lost
    (tmp_path / "text").write_text("no store at all, but long enough to be looked at" * 50)
    with pytest.raises(vlstore.NotAStoreError):
        vlstore.recover(tmp_path / "text", tmp_path / "none.vls")
