"""A store as a mapping: one rule for all of its verbs, for records with a key and without."""

import operator
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vlstore

#: Few enough that integers meet ordinals.
KEYS = st.one_of(st.integers(-1, 6), st.sampled_from(["a", "1", b"1", b""]))
VERBS = st.sampled_from(["put", "put", "del", "push", "push", "commit", "del at", "put many"])


class Model:
    """A list of keys and values, and what the mapping makes of it."""

    def __init__(self):
        self.records = []

    def place(self, key):
        for i, (known, _) in enumerate(self.records):
            if known is not None and known == key and type(known) is type(key):
                return i
        if isinstance(key, int) and 0 <= key < len(self.records) and self.records[key][0] is None:
            return key
        return None

    def unkeyed(self, key):
        place = self.place(key)
        return place is not None and self.records[place][0] is None

    def put(self, key, value):
        place = self.place(key)
        if place is not None:
            del self.records[place]
        self.records.append((key, value))

    def names(self):
        return [i if key is None else key for i, (key, _) in enumerate(self.records)]

    def clashes(self):
        return len(set(map(lambda k: (type(k), k), self.names()))) < len(self.records)


def change(store, model, verb, key, value):
    if verb == "push":
        assert store.push(value) == len(model.records)
        model.records.append((None, value))
    elif verb == "commit":
        store.commit()
    elif verb == "del at":
        if model.records:
            at = abs(hash(key)) % len(model.records)
            del model.records[at], store.at[at]
    elif model.unkeyed(key):
        put = {"put": lambda: store.put(key, value), "put many": lambda: store.put_many([(key, value)])}
        with pytest.raises(vlstore.InvalidError, match=rf"del store.at\[{key}\]"):
            put.get(verb, lambda: store.__delitem__(key))()
    elif verb == "del":
        if (at := model.place(key)) is None:
            with pytest.raises(KeyError):
                del store[key]
        else:
            del model.records[at], store[key]
    else:
        model.put(key, value)
        store.put_many([(key, value)]) if verb == "put many" else store.put(key, value)


def compare(store, model):
    values = [value for _, value in model.records]
    assert len(store) == len(store.at) == len(store.keys()) == len(store.items()) == len(values)
    assert list(store.values()) == list(store.at) == values
    assert [store.at.key(i) for i in range(len(values))] == [key for key, _ in model.records]
    if model.clashes():
        for view in (store, store.keys(), store.items()):
            with pytest.raises(vlstore.InvalidError, match=r"store.values\(\)"):
                list(view)
    else:
        names = model.names()
        assert list(store) == list(store.keys()) == names
        assert list(store.items()) == list(zip(names, values))
        assert dict(store) == dict(zip(names, values))
        assert [store[name] for name in names] == store.get_batch(names) == values
        assert [bytes(view) for view in store.view_batch(names)] == values
    for key in [*range(-1, 8), "a", "1", "no", b"1", b""]:
        place = model.place(key)
        assert (key in store) == (key in store.keys()) == (place is not None)
        assert store.find(key) == place
        if place is None:
            assert store.get(key, "none") == "none"
            for read in (store.__getitem__, store.view, store.location):
                with pytest.raises(KeyError):
                    read(key)
            with pytest.raises(KeyError):
                store.get_batch([key])
            continue
        out = bytearray(16)
        size = store.get_into(key, out)
        assert store[key] == store.get(key) == bytes(store.view(key)) == values[place]
        assert out[:size] == values[place] and store.location(key) == store.at.location(place)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(VERBS, KEYS, st.binary(max_size=8)), max_size=14))
def test_every_verb_of_the_mapping_sees_the_same_records(steps):
    store, model = vlstore.memory(), Model()
    for step in steps:
        change(store, model, *step)
    compare(store, model)
    compare(vlstore.from_bytes(store.to_bytes()), model)
    compare(pickle.loads(pickle.dumps(store)), model)


def test_frames_that_were_put_without_keys_are_what_a_loop_finds(path):
    positions = np.random.default_rng(3).normal(size=(50, 4, 3)).astype("float32")
    with vlstore.open(path, "w", records="md-frame") as store:
        assert store.put_frames(positions) == 50
        compared = [frame.positions for frame in store.values()]
        assert np.array_equal(compared, positions)
    store = vlstore.open(path)
    assert isinstance(store, vlstore.Depot) and store.codec == "md-frame"
    assert len(store) == 50 and list(store) == list(range(50)) and 49 in store and 50 not in store
    assert np.array_equal([frame.positions for frame in store.values()], positions)
    assert np.array_equal([store[i].positions for i in store], positions)
    for key, frame in store.items():
        assert np.array_equal(frame.positions, positions[key])
    assert np.array_equal(store.get(7, fields=["positions"]).positions, positions[7])
    arrays = store.get_arrays([3, 1])
    assert np.array_equal(arrays["positions"].reshape(2, 4, 3), positions[[3, 1]])


def test_an_integer_that_is_no_key_says_where_the_record_is():
    store = vlstore.memory()
    store["a"] = b"1"
    for read in (store.__getitem__, store.view, lambda key: store.get_batch([key])):
        with pytest.raises(KeyError, match=r"no record 0; .* store.at\[0\]"):
            read(0)
    with pytest.raises(KeyError) as caught:
        store[1]
    assert str(caught.value) == "no record 1"


def test_the_face_of_the_original_sees_the_records_with_a_key_alone(path):
    from vlstore.store import SChunkStore

    with vlstore.open(path, "w") as store:
        store.push(b"zero")
        store.put_many([("a", b"1"), (2, b"2")])
    old = SChunkStore(location=path)
    assert list(old.keys()) == ["a", 2] and 0 not in old
    with pytest.raises(KeyError):
        old.get(0)
    old.put(0, b"new")
    assert old.get(0) == b"new" and list(old.keys()) == ["a", 2, 0]
    old.close()
    # The modern face says that two records go by that number.
    store = vlstore.open(path)
    assert store[0] == b"new" and store.at[0] == b"zero" and len(list(store.values())) == 4
    with pytest.raises(vlstore.InvalidError, match="another record has the key 0"):
        operator.methodcaller("keys")(store).__iter__().__next__()
