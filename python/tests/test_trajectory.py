"""Stores of frames have the methods for frames, and other stores do not."""

import pickle

import numpy as np
import pytest

import vlstore

X = np.zeros((2, 3, 3))
VERBS = ["put_frames", "get_arrays", "topologies", "statistics"]


@pytest.fixture
def path(tmp_path):
    with vlstore.open(tmp_path / "frames.vls", "w", records="md-frame") as store:
        assert type(store) is vlstore.Trajectory
        store.put_frames(X, keys=["a", "b"], energy=[1, 2])
    return tmp_path / "frames.vls"


def other_stores():
    yield vlstore.memory(), "Store"
    yield vlstore.memory(records="array"), "Depot"
    yield vlstore.memory(records=(bytes, bytes)), "Depot"


def test_every_way_to_open_gives_the_class_of_the_records(path, tmp_path):
    content = path.read_bytes()
    opened = [
        vlstore.open(path),
        vlstore.open(path, records="auto"),
        vlstore.open(path, records="md-frame"),
        vlstore.from_bytes(content),
        vlstore.from_bytes(content, "a"),
        vlstore.memory(records="md-frame"),
        pickle.loads(pickle.dumps(vlstore.open(path))),
        vlstore.Trajectory(vlstore.open(path, records="bytes")),
    ]
    for store in opened:
        assert type(store) is vlstore.Trajectory and isinstance(store, vlstore.Depot)
        assert store.codec == "md-frame" and type(store.at) is vlstore.Frames
        assert repr(store).startswith("<vlstore.Trajectory ")
        assert repr(store.at) == f"<vlstore.Frames of {len(store)} records>"
    assert type(vlstore.open(path, records="bytes")) is vlstore.Store
    assert type(pickle.loads(pickle.dumps(vlstore.open(path, records="bytes")))) is vlstore.Store
    with vlstore.open(tmp_path / "arrays.vls", "w", records="array") as arrays:
        assert type(arrays) is vlstore.Depot and type(arrays.at) is vlstore.Ordinals


def test_other_stores_say_where_the_methods_of_frames_are():
    for store, name in other_stores():
        for verb in VERBS:
            assert not hasattr(store, verb) and verb not in dir(store)
            with pytest.raises(AttributeError, match=f"'{name}' .*'{verb}'.*Trajectory.*md-frame"):
                getattr(store, verb)
        with pytest.raises(AttributeError, match="'Ordinals' .*'arrays'.*Trajectory.*md-frame"):
            store.at.arrays([])
        with pytest.raises(TypeError, match="fields"):
            store.get("a", fields=["positions"])
        for odd in (store, store.at):
            with pytest.raises(AttributeError, match="has no attribute 'speed'$"):
                odd.speed  # noqa: B018


def test_a_view_of_frames_on_a_store_that_was_opened_otherwise(path):
    store = vlstore.open(path, "a", records="bytes")
    frames = vlstore.Trajectory(store)
    assert frames.put_frames(X, keys=["c", "d"]) == 2 and len(store) == 4
    assert frames.get("a", fields=["energy"]).energy == 1 and isinstance(store["a"], bytes)
    assert frames.at.arrays([0, 1], ["energy"])["energy"].tolist() == [1, 2]
    frames.close()
    assert store.closed
    with pytest.raises(vlstore.CodecError, match="array"):
        vlstore.Trajectory(vlstore.memory(records="array"))
    with pytest.raises(vlstore.InvalidError, match="vlstore.Trajectory"):
        vlstore.Depot(vlstore.open(path), "md-frame")
