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


def test_frames_from_a_checkpoint_on_are_dropped_before_they_come_again(tmp_path):
    path = tmp_path / "run.vls"
    with vlstore.open(path, "w", records="md-frame") as run:
        for step in range(0, 1000, 100):
            run[step] = vlstore.MdFrame(np.zeros((2, 3), np.float32), step=step)
    with vlstore.open(path, "a", records="md-frame") as run:
        assert run.drop_from(step=650) == 3  # 700, 800 and 900
        assert list(run) == list(range(0, 700, 100))
        assert run.drop_from(step=650) == 0
        assert run.drop_from(frame=600) == 1  # integer keys are the numbers of frames
        with pytest.raises(vlstore.InvalidError, match="a step or a frame"):
            run.drop_from()
        with pytest.raises(vlstore.InvalidError, match="a step or a frame"):
            run.drop_from(step=1, frame=1)
        run[600] = vlstore.MdFrame(np.ones((2, 3), np.float32), step=600)
    run = vlstore.open(path)
    assert [frame.step for frame in run.at] == list(range(0, 700, 100)) and run[600].positions[0, 0] == 1
    with pytest.raises(vlstore.ReadOnlyError):
        run.drop_from(step=0)  # it is open for reading
    with vlstore.open(tmp_path / "bare.vls", "w", records="md-frame") as bare:
        bare.push(vlstore.MdFrame(np.zeros((1, 3))))
        with pytest.raises(vlstore.InvalidError, match="step"):
            bare.drop_from(step=0)
        assert bare.drop_from(frame=0) == 1 and len(bare) == 0
