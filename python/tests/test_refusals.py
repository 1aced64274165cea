"""Bad input is refused by name, with an error that is also the builtin that fits."""

import itertools
import pickle

import numpy as np
import pytest

import vlstore
from vlstore import errors


@pytest.fixture
def store():
    store = vlstore.memory()
    store["a"] = b"1"
    return store


def test_every_error_is_one_of_ours_and_a_builtin():
    for name in errors.__all__:
        kind = getattr(errors, name)
        if issubclass(kind, Warning):
            continue
        assert issubclass(kind, vlstore.Error) and kind.__doc__ and getattr(vlstore, name) is kind
        error = kind("what")
        assert str(error) == "what"
        assert type(pickle.loads(pickle.dumps(error))) is kind
        if kind not in (errors.Error, errors.ExistsError):
            builtins = [k for k in kind.__mro__ if k.__module__ in ("builtins", "_pickle")]
            assert builtins[0] is not Exception, name


@pytest.mark.parametrize("key", [None, 1.5, True, False, ("a",), ["a"], object(), np.float64(1)])
def test_a_key_of_a_wrong_type_is_named(store, key):
    kind = type(key).__name__
    shown = "None" if key is None else kind
    for call in (
        lambda: store[key], lambda: key in store, lambda: store.put(key, b""),
        lambda: store.get(key), lambda: store.get_batch([key]), lambda: store.put_many([(key, b"")]),
        lambda: store.find(key), lambda: store.view(key), lambda: store.__delitem__(key),
    ):
        with pytest.raises(vlstore.WrongTypeError, match=rf"str, an int or bytes, not {shown}"):
            call()
    assert list(store) == ["a"]


@pytest.mark.parametrize("key", [2**64, -(2**63) - 1, "\ud800"])
def test_a_key_that_cannot_be_stored_is_refused(store, key):
    with pytest.raises(vlstore.InvalidError):
        store[key] = b""


def test_a_key_or_record_that_is_too_long_is_refused(store):
    with pytest.raises(vlstore.LimitError, match="key of 1048577 is above the limit of 1048576"):
        store["x" * (2**20 + 1)] = b""
    with pytest.raises(vlstore.LimitError, match="record of"):
        store["big"] = np.zeros(2**30 + 1, "u1")
    assert list(store) == ["a"]


@pytest.mark.parametrize(
    ("value", "kind", "why"),
    [
        ("text", TypeError, "encode strings first"),
        (None, TypeError, "not None"),
        (3, TypeError, "not int"),
        ([1, 2], TypeError, "not list"),
        (np.arange(6)[::2], ValueError, "not contiguous"),
        (np.array([None]), TypeError, "Python objects"),
    ],
)
def test_a_value_that_is_no_bytes_is_refused_and_changes_nothing(store, value, kind, why):
    for call in (
        lambda: store.put("a", value), lambda: store.push(value),
        lambda: store.put_many([("a", value)]), lambda: store.push_many([value]),
    ):
        with pytest.raises(kind, match=why) as caught:
            call()
        assert isinstance(caught.value, vlstore.Error)
    assert dict(store) == {"a": b"1"} and len(store) == 1


def test_an_overwrite_that_is_not_wanted_is_refused(store):
    with pytest.raises(KeyError, match='record "a" exists already') as caught:
        store.insert("a", b"2")
    assert isinstance(caught.value, vlstore.ExistsError) and store["a"] == b"1"


def test_what_comes_before_a_bad_item_is_kept(store):
    with pytest.raises(vlstore.WrongTypeError):
        store.put_many([("b", b"2"), ("c", None), ("d", b"4")])
    assert list(store) == ["a", "b"]
    with pytest.raises(vlstore.WrongTypeError, match="pair"):
        store.put_many([("b", b"2", 3)])
    with pytest.raises(vlstore.WrongTypeError, match="mapping"):
        store.put_many(3)


def test_a_missing_record_is_a_key_error_that_reads_well(store):
    for call in (lambda: store["no"], lambda: store.__delitem__("no"), lambda: store.view("no")):
        with pytest.raises(KeyError) as caught:
            call()
        assert str(caught.value) == 'no record "no"'
    for call in (lambda: store.at[1], lambda: store.at.batch([0, 1]), lambda: store.at.key(1)):
        with pytest.raises(IndexError, match="no record at ordinal 1: the store has 1 records"):
            call()


@pytest.mark.parametrize("which", [1.0, "0", None, True, [0.5], np.array([0.0]), np.array([True])])
def test_an_ordinal_that_is_no_whole_number_is_refused(store, which):
    with pytest.raises(TypeError, match="integer"):
        store.at[which]


def test_a_record_cannot_be_put_at_an_ordinal(store):
    with pytest.raises(TypeError, match="under a key or pushed"):
        store.at[0] = b"2"


def test_a_closed_store_says_so(path):
    store = vlstore.open(path, "w")
    at, attrs, keys = store.at, store.attrs, store.keys()
    store.close()
    for call in (
        lambda: store["a"], lambda: store.put("a", b""), lambda: len(store), store.commit,
        lambda: list(store), lambda: at[0], lambda: attrs["a"], lambda: list(keys), store.info,
        store.to_bytes, store.verify, lambda: store.put_many([]), lambda: pickle.dumps(store),
    ):
        with pytest.raises(vlstore.ClosedError, match="closed"):
            call()
    reader = vlstore.open(path)
    reader.close()
    for call in (lambda: reader["a"], reader.refresh, lambda: reader.put("a", b"")):
        with pytest.raises(ValueError, match="closed"):
            call()


def test_a_store_open_for_reading_refuses_writes(path):
    vlstore.open(path, "w").close()
    store = vlstore.open(path)
    for call in (
        lambda: store.put("a", b""), lambda: store.push(b""), store.commit, store.seal,
        lambda: store.__delitem__("a"), lambda: store.put_many(iter([])),
        lambda: store.at.__delitem__(0),
    ):
        with pytest.raises(vlstore.ReadOnlyError):
            call()


def test_options_are_refused_by_name(path):
    for options, kind, why in (
        ({"purpose": "fast"}, ValueError, '"fast" is not one of "dense", "balanced", "random"'),
        ({"purpose": 3}, TypeError, "purpose must be one of"),
        ({"compression": "snappy"}, ValueError, "zstd"),
        ({"level": True}, TypeError, "level must be an integer"),
        ({"level": -1}, ValueError, "out of range"),
        ({"level": 300}, ValueError, "out of range"),
        ({"chunk_size": 100}, ValueError, "chunk size"),
        ({"chunk_size": 1001, "typesize": 4}, ValueError, "not a multiple of the type size"),
        ({"alignment": "left"}, ValueError, "alignment"),
        ({"commit_interval": "soon"}, ValueError, "seconds"),
        ({"records": "no such"}, ValueError, "no such"),
        ({"records": 7}, TypeError, "a codec is"),
        ({"nonsense": 1}, TypeError, "nonsense"),
    ):
        with pytest.raises(kind, match=why):
            vlstore.open(path, "w", **options)
        assert not path.exists()
    vlstore.open(path, "w").close()
    # What has an effect on a new store or on a writer alone is refused by a reader, not ignored.
    for options in ({"purpose": "dense"}, {"durability": "sync"}, {"commit_bytes": 1}, {"accept_older": True}):
        (name,) = options
        with pytest.raises(ValueError, match=f"{name}: "):
            vlstore.open(path, **options)
    assert len(vlstore.open(path, threads=1, cache_bytes=0, access="pread")) == 0
    with pytest.raises(vlstore.InvalidError, match="keeps what its file has"):
        vlstore.open(path, purpose="dense")
    with pytest.raises(vlstore.InvalidError, match="mode"):
        vlstore.open(path, "rw")
    with pytest.raises(vlstore.WrongTypeError, match="path must be a str"):
        vlstore.open(3)


def test_a_path_that_cannot_be_opened_is_named(tmp_path):
    missing = tmp_path / "no" / "such.vls"
    for mode in ("r", "w", "a", "x"):
        with pytest.raises(FileNotFoundError) as caught:
            vlstore.open(missing, mode)
        assert str(tmp_path / "no") in str(caught.value)
    with pytest.raises(vlstore.NotAStoreError, match="folder"):
        vlstore.open(tmp_path)
    other = tmp_path / "text"
    other.write_text("something else")
    with pytest.raises(vlstore.NotAStoreError):
        vlstore.open(other)


def test_a_codec_that_does_not_travel_is_named():
    depot = vlstore.memory(records=(lambda text: text.encode(), lambda data: bytes(data).decode()))
    depot["a"] = "ä"
    depot.commit()
    assert depot["a"] == "ä"
    with pytest.raises(pickle.PicklingError, match="top of a module") as caught:
        pickle.dumps(depot)
    assert isinstance(caught.value, vlstore.PickleError)
    plain = vlstore.memory()
    plain["a"] = b"1"
    with pytest.raises(vlstore.PickleError, match="commit before"):
        pickle.dumps(plain)


@pytest.mark.parametrize("fields", ["positions", b"positions", 5, [5], [b"x"], [None], {"a": 1}.get])
def test_fields_are_texts(fields):
    depot = vlstore.memory(records="md-frame")
    depot["a"] = vlstore.MdFrame(np.zeros((2, 3)))
    for call in (
        lambda: depot.get("a", fields=fields), lambda: depot.get_arrays(["a"], fields),
        lambda: depot.at.arrays([0], fields),
    ):
        with pytest.raises(vlstore.WrongTypeError, match="fields"):
            call()
    for call in (lambda: depot.column(fields), lambda: depot.columns("step", fields)):
        with pytest.raises((vlstore.WrongTypeError, vlstore.InvalidError), match="column"):
            call()
    assert set(depot.at.arrays([0], (name for name in ["positions"]))) == {"positions", "ptr", "batch"}


def test_what_numpy_makes_no_array_of_is_refused():
    depot = vlstore.memory(records="array")
    endless = []
    endless.append(endless)
    for value in ([[1], [1, 2]], endless, object(), "text"):
        with pytest.raises(vlstore.WrongTypeError):
            depot["a"] = value
    assert len(depot) == 0
    with pytest.raises(vlstore.InvalidError, match="nested too deeply"):
        depot.attrs["a"] = endless


def test_names_without_an_end_are_refused():
    depot = vlstore.memory(records="md-frame")
    for ask in (depot.get_arrays, depot.at.arrays):
        with pytest.raises(vlstore.InvalidError, match="fields has more than 4096 entries"):
            ask([], fields=itertools.repeat("positions"))
    # A record has room for four of these.
    name = "x" * (1 << 28)
    with pytest.raises(vlstore.InvalidError, match="names has more than 4 entries"):
        vlstore.Topology(names=itertools.repeat(name))


def test_what_cannot_be_kept_of_a_value_is_refused():
    for value in ({"x": 1}, {"x"}, frozenset("ab")):
        for which in ("frame_properties", "atom_properties"):
            with pytest.raises(vlstore.WrongTypeError, match="property 'c'|property \"c\""):
                vlstore.MdFrame(np.zeros((1, 3), "f4"), **{which: {"c": value}})
    masked = np.ma.masked_array(np.zeros((2, 3), "f4"), mask=True)
    with pytest.raises(vlstore.WrongTypeError, match="positions is a masked array"):
        vlstore.MdFrame(masked)
    with pytest.raises(vlstore.WrongTypeError, match="masked array"):
        vlstore.memory(records="array")["a"] = masked


def test_a_mode_and_an_attribute_that_are_none_of_ours(path):
    for mode in (None, b"r", 1):
        with pytest.raises(vlstore.WrongTypeError, match="mode must be a string"):
            vlstore.open(path, mode)
        with pytest.raises(vlstore.WrongTypeError, match="mode must be a string"):
            vlstore.from_bytes(b"", mode)
    store = vlstore.memory()
    for call in (store.attrs.__getitem__, store.attrs.__delitem__):
        with pytest.raises(vlstore.NotFoundError, match="attribute 'nope' not found"):
            call("nope")
    assert "nope" not in store.attrs and store.attrs.get("nope") is None


def test_a_store_that_has_a_writer_is_not_replaced(path):
    with vlstore.open(path, "w") as store:
        store["a"] = b"1"
        store.commit()
        with pytest.raises(vlstore.LockedError):
            vlstore.open(path, "w")
        store["b"] = b"2"
    assert list(vlstore.open(path)) == ["a", "b"]


def test_the_table_of_a_notebook_counts_what_the_store_shows(path):
    with vlstore.open(path, "w") as store:
        store["a"] = b"1"
        html = store._repr_html_()
        assert ">1</td>" in html and "not committed" in html and "not committed" in repr(store)
        store.commit()
        assert "not committed" not in store._repr_html_()


def test_what_belongs_to_a_closed_store_still_says_what_it_is():
    store = vlstore.memory()
    at, attrs = store.at, store.attrs
    store.close()
    for each in (store, at, attrs):
        assert "closed" in repr(each)
