"""What a dict can do to itself a store can do, too."""

import pytest

import vlstore


def test_a_store_is_updated_popped_and_cleared_as_a_dict(path):
    with vlstore.open(path, "w") as store:
        store.update({"a": b"1", 2: b"2"})
        store.update([(b"c", b"3"), ("a", b"4")], d=b"5")
        store.update(e=b"6")
        assert dict(store.items()) == {2: b"2", b"c": b"3", "a": b"4", "d": b"5", "e": b"6"}
        assert store.pop(2) == b"2" and store.pop(2, None) is None
        with pytest.raises(KeyError):
            store.pop(2)
        with pytest.raises(TypeError):
            store.pop(2, 3, 4)
        assert store.setdefault("a", b"x") == b"4" and store.setdefault("f", b"7") == b"7"
        assert store.popitem() == ("f", b"7") and list(store) == [b"c", "a", "d", "e"]
    store = vlstore.open(path, "a")
    assert store.pop("d") == b"5"
    store.clear()
    assert len(store) == 0 and list(store) == [] and store.verify().ok
    with pytest.raises(KeyError):
        store.popitem()
    store.push(b"no key")
    store.clear()
    assert len(store) == 0
    store.close()
    reader = vlstore.open(path)
    for change in (reader.clear, lambda: reader.update(a=b"1"), lambda: reader.setdefault("a", b"1")):
        with pytest.raises(vlstore.ReadOnlyError):
            change()
