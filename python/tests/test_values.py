"""Objects with a buffer as values and targets, attributes from NumPy, options by name."""

import array
import collections
import ctypes
import enum
import fractions
import uuid

import numpy as np
import pytest

import vlstore
from vlstore.store import SChunkStore


class Pair(ctypes.Structure):
    _fields_ = [("x", ctypes.c_int32), ("Others", ctypes.c_double)]


VALUES = [
    np.array(5), np.float32(1.5), np.int64(-3), np.bool_(True), np.str_("ab").encode(),
    np.array(2.5, ">f8"), (ctypes.c_int * 3)(1, 2, 3), ctypes.c_double(2.5), Pair(1, 2.0),
    array.array("d", [1, 2]), array.array("H"), memoryview(b"abcd").cast("I"),
    memoryview(bytearray(12)).cast("B", (3, 4)), np.zeros((0, 3)), np.zeros(3, "i4,f8"),
    np.array([(1, 2)], [("Ordinal", "i4"), ("y", "f8")]), np.array("text"), np.array([1 + 2j]),
    np.void(b"void"), bytearray(b"x"),
]


@pytest.mark.parametrize("value", VALUES, ids=[f"{i}-{type(v).__name__}" for i, v in enumerate(VALUES)])
def test_whatever_has_a_buffer_without_gaps_is_a_value(value):
    right = bytes(memoryview(value).tobytes())
    store = vlstore.memory()
    store["a"] = value
    store.push(value)
    store.put_many([("b", value)])
    assert store["a"] == store.at[1] == store["b"] == right
    old = SChunkStore(location=None)
    if right:
        old.put("a", value)
        assert bytes(old.get("a")) == right


TARGETS = [
    lambda: np.array(0.0), lambda: (ctypes.c_char * 8)(), lambda: ctypes.c_double(),
    lambda: array.array("d", [0]), lambda: memoryview(bytearray(8)).cast("d"),
    lambda: np.zeros((2, 4), "u1"), lambda: bytearray(8), lambda: np.zeros(1, "f8,f4")[:1],
]


@pytest.mark.parametrize("make", TARGETS)
def test_whatever_has_a_writable_buffer_is_a_target(make):
    store = vlstore.memory()
    store["a"] = np.float64(2.5)
    for get in (lambda out: store.get_into("a", out), lambda out: store.at.get_into(0, out)):
        out = make()
        assert get(out) == 8
        assert memoryview(out).tobytes()[:8] == np.float64(2.5).tobytes()


def test_buffers_that_cannot_be_had_are_refused_with_their_reason():
    store = vlstore.memory()
    released = memoryview(b"abc")
    released.release()
    for value, why in (
        (np.array(["2024"], "M8[Y]"), "cannot be read"),
        (released, "released"), (np.array(None), "Python objects"),
        (np.array([(None,)], [("a", "O")]), "Python objects"), (object(), "not object"),
        (np.zeros((4, 4))[:, 1], "not contiguous"), (np.asfortranarray(np.zeros((2, 3))), "contiguous"),
    ):
        with pytest.raises((TypeError, ValueError), match=why) as caught:
            store["a"] = value
        assert isinstance(caught.value, vlstore.Error), value
    store["a"] = b"12345678"
    for out in (np.float64(1), b"12345678", np.broadcast_to(np.zeros(1), 8)):
        with pytest.raises(TypeError, match="read-only"):
            store.get_into("a", out)
    assert len(store) == 1


def test_no_records_fit_into_no_buffer():
    old = SChunkStore(location=None)
    old.put("a", b"1")
    for out in (bytearray(0), np.zeros(0), (ctypes.c_char * 0)(), memoryview(bytearray(0))):
        buffer, slices = old.fused_get([], out=out)
        assert len(memoryview(buffer)) == 0 and slices == []
        from vlstore.serialize import flatfloatndarray_codec
        from vlstore.store import Depot

        assert Depot(codec=flatfloatndarray_codec).fused_get([], buffer=out) == []


Point = collections.namedtuple("Point", "x y")
Color = enum.IntEnum("Color", "RED")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (np.int64(3), 3), (np.uint64(2**64 - 1), 2**64 - 1), (np.float32(0.5), 0.5),
        (np.float64(0.1), 0.1), (np.float16(0.5), 0.5), (np.bool_(True), True),
        (np.array(3), 3), (np.array([1, 2], "u1"), [1, 2]), (np.zeros((2, 2)), [[0.0, 0.0]] * 2),
        (np.array([True, False]), [True, False]), (np.array(["a", "bc"]), ["a", "bc"]),
        (np.str_("x"), "x"), ((1, (2, "x")), [1, [2, "x"]]), (Point(1, np.int8(2)), [1, 2]),
        (Color.RED, 1), ({"a": (np.float64(1.5), None)}, {"a": [1.5, None]}), ([], []),
        (collections.OrderedDict(a=np.arange(2)), {"a": [0, 1]}), (np.zeros((0, 3)), []),
        (-(2**63), -(2**63)), ("ä\n", "ä\n"),
    ],
)
def test_attributes_from_numpy_and_tuples_are_numbers_and_lists(path, given, kept):
    with vlstore.open(path, "w") as store:
        store.attrs["a"] = given
        store.attrs.update({"b": {"c": given}})
    attrs = vlstore.open(path).attrs
    assert attrs["a"] == kept and attrs["b"] == {"c": kept}
    assert type(attrs["a"]) is type(kept)


CIRCLE = []
CIRCLE.append(CIRCLE)


@pytest.mark.parametrize(
    ("given", "where"),
    [
        (float("nan"), r"attrs\['m'\]: .*nan"), ([1, np.float32("inf")], r"attrs\['m'\]\[1\]"),
        ({"a": [0, 1, b"x"]}, r"attrs\['m'\]\['a'\]\[2\].*bytes"), ({1: 2}, "keys must be strings, not int"),
        ({"a": {None: 1}}, r"attrs\['m'\]\['a'\]: its keys"), (1 + 2j, "complex"), ({1}, "set"),
        (np.datetime64("2024"), "datetime64"), (np.array([1j]), "complex128"),
        (np.longdouble(1), "longdouble|float128|float64|float96"), (2**64, "2\\^64"),
        (np.array([{"a": 1}]), "object"), (uuid.UUID(int=0), "UUID"), (fractions.Fraction(1, 2), "Fraction"),
        (CIRCLE, "nested"), (np.array([0.0, np.nan]), r"attrs\['m'\]\[1\]"),
    ],
)
def test_what_json_has_no_form_for_is_refused_by_its_place(given, where):
    store = vlstore.memory()
    store.attrs["kept"] = 1
    for put in (
        lambda: store.attrs.__setitem__("m", given), lambda: store.attrs.update(m=given, n=1),
        lambda: store.attrs.setdefault("m", given),
    ):
        with pytest.raises(vlstore.InvalidError, match=where):
            put()
    assert dict(store.attrs) == {"kept": 1}
    with pytest.raises(vlstore.InvalidError, match="name of an attribute"):
        store.attrs[3] = 1


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"chunk_size": 0}, "chunk_size"), ({"block_size": 0}, "block_size"), ({"level": 0}, "level"),
        ({"typesize": 0}, "typesize"), ({"chunk_size": -1}, "chunk_size"), ({"level": 10}, "level"),
        ({"commit_interval": float("nan")}, "commit_interval"), ({"compression": "zip"}, "compression"),
        ({"chunk_size": 4097, "typesize": 8}, "chunk size"), ({"records": "pickle"}, "pickle"),
    ],
)
def test_options_that_cannot_work_are_refused_by_name_and_leave_nothing(path, options, why):
    for mode in ("w", "x", "a"):
        with pytest.raises(vlstore.InvalidError, match=why):
            vlstore.open(path, mode, **options)
        assert not path.exists() and list(path.parent.iterdir()) == []
    vlstore.open(path, "w").close()
    before = path.read_bytes()
    with pytest.raises(vlstore.InvalidError, match=why):
        vlstore.open(path, "w", **options)
    assert path.read_bytes() == before


def test_options_that_the_file_does_not_have_are_refused_in_mode_a(path):
    made = {
        "purpose": "dense", "compression": "lz4", "level": 3, "filter": "bitshuffle", "typesize": 8,
        "chunk_size": 8192, "block_size": 4096, "alignment": "contiguous",
    }
    vlstore.open(path, "a", **made).close()
    before = path.read_bytes()
    other = {
        "purpose": "random", "compression": "zstd", "level": 4, "filter": "shuffle", "typesize": 4,
        "chunk_size": 16384, "block_size": 2048, "alignment": "block",
    }
    for name, value in other.items():
        with pytest.raises(vlstore.InvalidError, match=f"^{name}: the store has {made[name]}"):
            vlstore.open(path, "a", **{name: value})
        assert path.read_bytes() == before
    with vlstore.open(path, "a", threads=1, **made) as store:
        assert store.options["level"] == 3


def test_metadata_that_is_refused_leaves_no_file(path):
    for meta in ({"a": float("nan")}, {"a": {1}}, {"a": {1: 2}}):
        with pytest.raises(vlstore.InvalidError, match="meta"):
            SChunkStore(location=path, meta=meta)
        assert not path.exists()
    store = SChunkStore(location=path, meta={"a": np.int64(3), "b": (1, 2)})
    store.close()
    assert SChunkStore(location=path).meta == {"a": 3, "b": [1, 2]}


def test_what_is_no_store_is_not_replaced(path):
    path.write_bytes(b"a trajectory of somebody" * 100)
    before = path.read_bytes()
    for mode in ("w", "a", "x", "r"):
        with pytest.raises(vlstore.Error, match=path.name):
            vlstore.open(path, mode)
        assert path.read_bytes() == before
    with pytest.raises(vlstore.Error):
        vlstore.copy(fine(path), path, overwrite=True)
    assert path.read_bytes() == before


def fine(path):
    other = path.with_name("fine.vls")
    with vlstore.open(other, "w") as store:
        store["a"] = b"1"
    return other


def test_records_that_lie_about_sizes_are_errors_that_name_them(path):
    # An axis without an entry beside three that no memory would hold.
    head = bytes([0xA7, 1, 9, 4, 0, 0, 0, 0])
    record = head + b"".join(n.to_bytes(8, "little") for n in (2**32 - 1, 2**32 - 1, 2**32 - 1, 0))
    with vlstore.open(path, "w", records="array") as store:
        store["good"] = np.arange(3)
    with vlstore.open(path, "a", records="bytes") as store:
        store["lie"] = record
        store.push(record)
        with pytest.raises(vlstore.CodecError):
            store["cut"] = head
    store = vlstore.open(path)
    for read, name in (
        (lambda: store["lie"], "record .lie."), (lambda: store.at[2], "ordinal 2"),
        (lambda: store.get_batch(["good", "lie"]), "record .lie."),
        (lambda: store.at[0:3], "ordinal 1"), (lambda: list(store.values()), "lie|ordinal 1"),
        (lambda: store.get("lie"), "record .lie."),
    ):
        with pytest.raises(vlstore.CodecError, match=name):
            read()
