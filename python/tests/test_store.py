"""A store is a mapping, a sequence by its ordinals, and a context manager."""

import os
import pickle
import threading
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vlstore

KEYS = st.one_of(
    st.integers(-(2**63), 2**64 - 1), st.binary(max_size=20), st.text(
        st.characters(exclude_categories=["Cs"]), max_size=20
    )
)


def test_a_store_is_a_mapping_in_the_order_of_insertion(path):
    with vlstore.open(path, "w") as store:
        store["a"] = b"1"
        store[2] = bytearray(b"22")
        store[b"c"] = memoryview(b"333")
        assert isinstance(store, Mapping)
        assert "a" in store and 3 not in store and np.int64(2) in store
        assert list(store) == list(store.keys()) == ["a", 2, b"c"]
        assert list(store.values()) == [b"1", b"22", b"333"]
        assert dict(store.items()) == {"a": b"1", 2: b"22", b"c": b"333"}
        assert store.get("no") is None and store.get("no", 5) == 5
        del store[2]
        assert list(store) == ["a", b"c"] and len(store) == 2
        store["a"] = b"new"
    with vlstore.open(path) as store:
        assert dict(store) == {b"c": b"333", "a": b"new"}
        assert b"333" in store.values() and ("a", b"new") in store.items()


def test_records_without_a_key_are_found_by_their_ordinals(path):
    with vlstore.open(path, "w") as store:
        assert store.push(b"zero") == 0
        assert store.put("one", b"1") == 1
        assert store.push_many([b"2", b"3"]) == 2
        assert len(store) == len(store.keys()) == 4 and list(store) == [0, "one", 2, 3]
        assert list(store.at) == [b"zero", b"1", b"2", b"3"]
        assert store.at[-1] == b"3" and store.at[1:-1] == [b"1", b"2"]
        assert store.at[::-2] == [b"3", b"1"]
        assert store.at[[3, -4]] == store.at[np.array([3, 0], "u1")] == [b"3", b"zero"]
        assert store.find("one") == 1 and store.find("no") is None
        assert store.at.key(1) == "one" and store.at.key(0) is None
        assert store.location("one") == store.at.location(1)
        del store.at[-1]
        assert len(store.at) == 3
        for wrong in (3, -4, 2**70):
            with pytest.raises(IndexError, match="3 records"):
                store.at[wrong]


def test_batches_come_in_the_order_asked_for_and_may_repeat(path):
    with vlstore.open(path, "w") as store:
        assert store.put_many((i, b"%d" % i * (i % 7)) for i in range(500)) == 500
        assert store.put_many({"x": b"y"}) == 1
    store = vlstore.open(path, threads=2)
    keys = [499, "x", 3, 3, 250]
    assert store.get_batch(iter(keys)) == [store[key] for key in keys]
    assert [bytes(view) for view in store.view_batch(keys)] == store.get_batch(keys)
    assert store.at.batch(range(10)) == store.at[:10] == store.at[np.arange(10)]
    assert store.get_batch([]) == [] and store.at[7:3] == []
    assert store.at.get_into(3, bytearray(10)) == 3


def test_a_view_outlives_the_overwrite_the_close_and_the_file(path):
    with vlstore.open(path, "w", compression="stored") as store:
        store["a"] = b"old" * 1000
        view = store.view("a")
        store.commit()
        store["a"] = b"new"
        assert view == b"old" * 1000
    mapped = vlstore.open(path, "r")
    again = mapped.view("a")
    mapped.close()
    os.remove(path)
    assert bytes(again) == b"new" and memoryview(again).readonly and len(again) == 3
    assert np.frombuffer(view, "S3")[0] == b"old" and pickle.loads(pickle.dumps(view)) == view
    with pytest.raises(TypeError):
        memoryview(again)[0] = 1


def test_a_buffer_takes_a_record_or_stays_as_it_is(path):
    with vlstore.open(path, "w") as store:
        store["a"] = np.arange(4.0)
        out = np.zeros(5)
        assert store.get_into("a", out) == 32 and out.tolist() == [0, 1, 2, 3, 0]
        small = bytearray(b"x" * 31)
        with pytest.raises(vlstore.LimitError, match="32 bytes do not fit a buffer of 31"):
            store.get_into("a", small)
        assert small == b"x" * 31
        with pytest.raises(TypeError, match="read-only"):
            store.get_into("a", bytes(32))
        with pytest.raises(TypeError, match="not None"):
            store.get_into("a", None)
        with pytest.raises(ValueError, match="contiguous"):
            store.get_into("a", np.zeros(10)[::2])


def test_leaving_a_with_block_commits_also_by_an_exception(path):
    with pytest.raises(RuntimeError, match="stop"), vlstore.open(path, "x") as store:
        store["a"] = b"1"
        raise RuntimeError("stop")
    assert store.closed
    assert vlstore.open(path)["a"] == b"1"
    store.close()


def test_readers_see_a_commit_when_they_refresh(path):
    with vlstore.open(path, "w") as writer:
        reader = vlstore.open(path)
        writer["a"] = b"1"
        assert "a" in writer and not reader.refresh()
        generation = writer.commit()
        assert "a" not in reader
        assert reader.refresh() and reader["a"] == b"1" and reader.generation == generation
        assert not writer.refresh()


def test_modes_open_what_they_say(path):
    with pytest.raises(FileNotFoundError):
        vlstore.open(path)
    with vlstore.open(path, "a") as store:
        store["a"] = b"1"
    with vlstore.open(path, "a") as store:
        store["b"] = b"2"
        with pytest.raises(BlockingIOError, match="another writer"):
            vlstore.open(path, "a")
    with pytest.raises(FileExistsError):
        vlstore.open(path, "x")
    assert set(vlstore.open(path)) == {"a", "b"}
    with vlstore.open(path, "w") as store:
        assert len(store) == 0


def test_attributes_are_kept_by_the_next_commit(path):
    with vlstore.open(path, "w") as store:
        store.attrs["units"] = {"length": "nm"}
        store.attrs.update(n=2**53 + 1, list=[1, None, "é"])
        del store.attrs["units"]
        assert "units" not in store.attrs and len(store.attrs) == 2
        for wrong in (float("nan"), {1: 2}, object(), 2**80):
            with pytest.raises(vlstore.InvalidError):
                store.attrs["wrong"] = wrong
    store = vlstore.open(path)
    assert dict(store.attrs) == {"n": 2**53 + 1, "list": [1, None, "é"]}
    with pytest.raises(vlstore.ReadOnlyError):
        store.attrs["x"] = 1


def test_a_store_in_memory_travels_as_bytes():
    store = vlstore.memory(purpose="random")
    store["a"] = b"1"
    data = store.to_bytes()
    assert vlstore.from_bytes(data)["a"] == b"1"
    more = vlstore.from_bytes(bytearray(data), "a")
    more["b"] = b"2"
    assert dict(vlstore.from_bytes(more.to_bytes())) == {"a": b"1", "b": b"2"}
    assert pickle.loads(pickle.dumps(more))["b"] == b"2"
    for wrong in (b"", b"no store"):
        with pytest.raises(vlstore.NotAStoreError):
            vlstore.from_bytes(wrong)
    with pytest.raises(vlstore.CorruptError, match="cut short"):
        vlstore.from_bytes(data[:100])


def test_a_store_says_what_it_is(path):
    with vlstore.open(path, "w", purpose="dense", level=3) as store:
        assert "0 records, writing" in repr(store)
        store["<a>"] = b"1" * 1000
        assert "not committed" in repr(store)
        store.attrs["<x>"] = 1
    assert "closed" in repr(store)
    store = vlstore.open(path)
    assert "test.vls" in repr(store) and "1 records, reading" in repr(store)
    assert "&lt;x&gt;" in store._repr_html_() and "<caption>" in store._repr_html_()
    stat = store.info()
    assert (stat["records"], stat["raw_bytes"], stat["opened"]) == (1, 1000, "intact")
    assert store.options["purpose"] == "dense" and store.options["level"] == 3
    assert store.path == path and store.mode == "r"
    found = store.verify()
    assert found and found.ok and found.records == 1 and found.damages == []
    assert repr(found).endswith("intact>")


def test_damage_is_raised_for_the_record_and_listed_by_verify(path):
    with vlstore.open(path, "w", compression="stored", chunk_size=4096) as store:
        store["a"] = b"A" * 3000
        store["b"] = b"B" * 3000
    data = bytearray(path.read_bytes())
    at = data.index(b"A" * 100)
    data[at + 50] ^= 1
    path.write_bytes(data)
    store = vlstore.open(path)
    with pytest.raises(vlstore.CorruptError, match='record "a".*checksum differs') as caught:
        store["a"]
    assert isinstance(caught.value, OSError)
    assert caught.value.part == "block" and caught.value.offset <= at
    found = store.verify()
    assert not found.ok and any('"a"' in damage for damage in found.damages)
    assert store["b"] == b"B" * 3000


def test_a_commit_that_cannot_be_read_is_said(path):
    with vlstore.open(path, "w") as store:
        store["a"] = b"1"
        store.commit()
        store["b"] = b"2"
        store.commit()
        generation = store.generation
        data = bytearray(path.read_bytes())
    # The two commit slots take turns, each in a page of its own, in which it stands twice.
    page = 4096 if generation % 2 == 0 else 8192
    whole = bytes(data)
    data[page + 40] ^= 1
    path.write_bytes(data)
    with vlstore.open(path) as store:
        assert store.opened == "intact" and len(store) == 2 and not store.verify().ok
    data = bytearray(whole)
    data[page : page + 4096] = bytes(4096)
    path.write_bytes(data)
    with pytest.warns(vlstore.RecoveredWarning, match="newest commit cannot be read"):
        store = vlstore.open(path)
    assert store.opened.startswith("older commit") and len(store) < 2
    store.close()
    # Nobody writes over what is left without saying so.
    with pytest.raises(vlstore.OlderStateError, match="vlstore recover"):
        vlstore.open(path, "a")
    with pytest.raises(vlstore.CorruptError):
        vlstore.open(path, "a", records="auto")
    assert path.read_bytes() == data
    with pytest.warns(vlstore.RecoveredWarning):
        store = vlstore.open(path, "a", accept_older=True)
    store["c"] = b"3"
    store.close()
    with vlstore.open(path) as store:
        assert store.opened == "intact" and "c" in store and "b" not in store


def test_a_seal_stays_one_when_the_store_is_closed(path):
    with vlstore.open(path, "w") as store:
        store["a"] = b"1" * 1000
        store.seal()
        assert store.info()["sealed"] and store.info()["sealed_records"] == 1
    for _ in range(2):
        assert vlstore.open(path).info()["sealed"]
        vlstore.open(path, "a").close()
    with vlstore.open(path, "a") as store:
        store["b"] = b"2"
        store.commit()
        assert not store.info()["sealed"] and store.info()["sealed_records"] == 1


def test_what_another_program_adds_to_a_sealed_file_costs_nothing(path):
    blosc2 = pytest.importorskip("blosc2")
    # It took the mark of closing for a commit that the other program had overwritten.
    with vlstore.open(path, "w", chunk_size=4096) as store:
        store.put_many((i, b"%d" % i * 50) for i in range(100))
        store.seal()
    other = blosc2.open(str(path), mode="a")
    other.append_data(bytes(4096))
    del other
    store = vlstore.open(path)
    assert store.opened == "extended by another program"
    assert [store[i] for i in range(100)] == [b"%d" % i * 50 for i in range(100)]
    assert store.verify()


def test_a_changed_store_ends_an_iteration():
    store = vlstore.memory()
    store.put_many((i, b"") for i in range(10))
    with pytest.raises(RuntimeError, match="changed during the iteration"):
        for key in store:
            del store[key]
    for key in list(store):
        del store[key]
    assert len(store) == 0


def test_a_reader_goes_on_with_what_it_saw(path):
    with vlstore.open(path, "w") as writer:
        writer.put_many((i, b"%d" % i) for i in range(600))
        writer.commit()
        reader = vlstore.open(path)
        steps = iter(reader.items())
        next(steps)
        del writer[5]
        writer.commit()
        reader.refresh()
        assert len(list(steps)) == 599 and len(reader) == 599



def test_a_handle_works_from_many_threads(path):
    with vlstore.open(path, "w") as store:
        def write(t):
            for i in range(300):
                store[f"{t}-{i}"] = b"%d" % (t * i)
                assert store[f"{t}-{i // 2}"] == b"%d" % (t * (i // 2))

        run_all(write, 6)
        assert len(store) == 1800
    store = vlstore.open(path)
    run_all(lambda t: [store[f"{t}-{i}"] for i in range(300)] + list(store.items()), 6)


def run_all(work, count):
    failures = []

    def guarded(t):
        try:
            work(t)
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(t,)) for t in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_pairs_may_be_lists_as_they_may_for_a_dict():
    store = vlstore.memory()
    assert store.put_many([["a", b"1"], ("b", b"2")]) == 2
    assert dict(store) == {"a": b"1", "b": b"2"}
    for pair in (["a"], ["a", b"1", b"2"], "ab"):
        with pytest.raises(vlstore.WrongTypeError, match="pair"):
            store.put_many([pair])
