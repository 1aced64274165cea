"""Frames: arrays in, views out, stacks and flat batches."""

import gc
import pickle
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vlstore

ARRAYS = ("positions", "velocities", "forces", "masses", "charges")


def some(n, kind="f4", seed=0):
    random = np.random.default_rng(seed)
    return {
        "positions": random.normal(size=(n, 3)).astype(kind),
        "velocities": random.normal(size=(n, 3)).astype(kind),
        "forces": random.normal(size=(n, 3)).astype(kind),
        "types": random.integers(-5, 100, n).astype("i4"),
        "masses": random.random(n).astype(kind),
        "charges": random.normal(size=n).astype(kind),
        "cell": random.normal(size=(3, 3)),
        "stress": random.normal(size=(3, 3)),
        "pbc": (True, False, True),
        "energy": -1.5,
        "time": 0.25,
        "step": 2**40,
        "name": "wäter",
    }


def same(frame, fields):
    for name, value in fields.items():
        found = getattr(frame, name)
        if isinstance(value, np.ndarray):
            assert found.dtype == value.dtype and found.shape == value.shape, name
            assert np.array_equal(found, value), name
        else:
            assert found == value, name
    return True


@pytest.mark.parametrize("kind", ["f4", "f8"])
@pytest.mark.parametrize("n", [0, 1, 64])
def test_every_field_comes_back_as_it_went_in(path, kind, n):
    fields = some(n, kind)
    frame = vlstore.MdFrame(**fields, precision=1000)
    assert same(frame, fields) and frame.nsites == len(frame) == n and frame.precision == 1000
    with vlstore.open(path, "w", records="md-frame") as depot:
        depot["a"] = frame
    depot = vlstore.open(path, records="auto")
    assert same(depot["a"], fields) and depot["a"] == frame
    assert hash(depot["a"]) == hash(frame) and depot["a"] != vlstore.MdFrame(nsites=2)
    assert same(pickle.loads(pickle.dumps(depot["a"])), fields)
    assert same(vlstore.MdFrame(**frame.to_dict()), fields)
    assert vlstore.MdFrame.from_bytes(bytes(frame.record)) == frame
    assert depot.at.weights().tolist() == [n]


def test_absent_fields_are_none_and_can_be_removed():
    frame = vlstore.MdFrame(nsites=3)
    assert all(getattr(frame, name) is None for name in some(1))
    full = vlstore.MdFrame(**some(3))
    assert full.replace(forces=None, energy=2).to_dict().keys() == full.to_dict().keys() - {"forces"}
    assert full.replace(energy=2).energy == 2.0 and full.energy == -1.5
    assert "3 sites: no field" in repr(frame) and "1 site: " in repr(vlstore.MdFrame([[0, 0, 0]]))
    assert "float32 (3, 3)" in full._repr_html_()


def test_arrays_are_views_without_a_copy_that_keep_what_they_need(path):
    with vlstore.open(path, "w", records="md-frame") as depot:
        depot.put_frames(np.ones((300, 50, 3)), keys=range(300))
    depot = vlstore.open(path, records="auto")
    frame = depot[7]
    positions = frame.positions
    assert positions.base is frame and not positions.flags.writeable
    assert np.shares_memory(positions, frame.positions)
    assert np.shares_memory(positions, np.frombuffer(frame.record, "u1"))
    assert frame.held == frame.record.held
    batch = depot.get_batch(range(10))
    kept = batch[3].positions
    assert batch[3].record.held == batch[4].record.held
    depot.close()
    del frame, batch, depot
    gc.collect()
    path.unlink()
    assert positions.sum() == kept.sum() == 150
    with pytest.raises(ValueError, match="read-only"):
        kept[0] = 1
    with pytest.raises(ValueError, match="WRITEABLE"):
        kept.flags.writeable = True


def test_harmless_arrays_are_converted():
    wide = np.arange(12.0).reshape(4, 3)
    for given_as in (
        wide[::-1][::-1], np.asfortranarray(wide), wide.astype(">f8"), wide.tolist(),
        wide.astype("i8"), wide.astype("u2"),
    ):
        frame = vlstore.MdFrame(given_as)
        assert frame.positions.dtype == np.float64 and np.array_equal(frame.positions, wide)
    for narrow in (wide.astype("f2"), wide.astype(">f4"), np.asfortranarray(wide.astype("f4"))):
        frame = vlstore.MdFrame(narrow)
        assert frame.positions.dtype == np.float32 and np.array_equal(frame.positions, wide)
    odd = np.frombuffer(b"x" + wide.tobytes(), "u1")[1:].view("f8").reshape(4, 3)
    assert np.array_equal(vlstore.MdFrame(odd).positions, wide)
    frame = vlstore.MdFrame(wide, types=np.arange(4, dtype="u8"), cell=[1, 2, 3], pbc=True)
    assert frame.types.dtype == np.int32 and frame.pbc == (True, True, True)
    assert np.array_equal(frame.cell, np.diag([1.0, 2, 3]))
    assert len(vlstore.MdFrame([])) == len(vlstore.MdFrame(types=[])) == 0


X = np.zeros((2, 3))


@pytest.mark.parametrize(
    ("arguments", "kind", "why"),
    [
        ({"positions": [[1, 2]]}, ValueError, r"positions has shape \(1, 2\), but must have \(n, 3\)"),
        ({"positions": np.zeros(6)}, ValueError, r"positions has shape \(6,\)"),
        ({"positions": X.astype(complex)}, TypeError, "positions holds float32 or float64, not comp"),
        ({"positions": X.astype("g")}, TypeError, "positions holds float32 or float64"),
        ({"positions": X.astype(bool)}, TypeError, "positions holds float32 or float64, not bool"),
        ({"positions": "abc"}, TypeError, "positions holds"),
        ({"positions": [[1, 2, 3], [1]]}, TypeError, "NumPy cannot make an array"),
        ({"positions": X.astype(object)}, TypeError, "positions holds .*not object"),
        ({"positions": np.array([[2**53 + 1, 0, 0]])}, ValueError, "cannot hold exactly"),
        ({"positions": X, "forces": np.zeros((3, 3))}, ValueError, "forces has 3 sites, but positions"),
        ({"positions": X, "types": [1.0, 2]}, TypeError, "types holds integers"),
        ({"positions": X, "types": [2**31, 1]}, ValueError, "2147483648, which int32 cannot"),
        ({"positions": X, "types": [[1], [2]]}, ValueError, r"types has shape \(2, 1\)"),
        ({"positions": X, "nsites": 3}, ValueError, "nsites has 3 sites, but positions has 2"),
        ({"nsites": -1}, ValueError, "negative"),
        ({"nsites": 1.5}, TypeError, "nsites must be an integer"),
        ({"cell": [1, 2]}, ValueError, r"cell has shape \(2,\)"),
        ({"stress": np.zeros(6)}, ValueError, r"stress has shape \(6,\)"),
        ({"pbc": 3}, TypeError, "pbc holds booleans"),
        ({"pbc": [True]}, ValueError, r"pbc has shape \(1,\)"),
        ({"energy": "low"}, TypeError, "energy must be a number, not str"),
        ({"energy": True}, TypeError, "energy must be a number, not bool"),
        ({"time": [1.0, 2.0]}, TypeError, "time must be a number"),
        ({"step": 1.5}, TypeError, "step must be an integer"),
        ({"step": 2**63}, ValueError, "step: .* does not fit 64 bits"),
        ({"name": b"x"}, TypeError, "name must be a str"),
        ({"precision": -1}, ValueError, "must be positive"),
        ({"atom_properties": 3}, TypeError, "atom_properties must be a dict"),
        ({"atom_properties": {1: [1]}}, TypeError, "name of a property must be a str"),
        ({"atom_properties": {"q": 3}}, ValueError, 'atom property "q" is one number'),
        ({"positions": X, "atom_properties": {"q": [1]}}, ValueError, 'atom property "q" has 1 sites'),
        ({"frame_properties": {"q": object()}}, TypeError, 'frame property "q" holds'),
    ],
)
def test_what_does_not_fit_is_refused_by_name(arguments, kind, why):
    with pytest.raises(kind, match=why) as caught:
        vlstore.MdFrame(**arguments)
    assert isinstance(caught.value, vlstore.Error)


def test_extra_properties_keep_name_type_and_shape():
    atoms = {
        "q": np.arange(6, dtype="f4").reshape(2, 3), "tag": np.array([1, 2], "i8"),
        "small": np.array([1, 2], "u1"), "fixed": np.array([True, False]), "label": ["CA", "N"],
        "tensor": np.ones((2, 2, 2)), "empty": np.zeros((2, 0)), "pair": [["a", "b"], ["c", "d"]],
    }
    whole = {"gap": 1.5, "count": 3, "ok": True, "id": "x", "ids": ["a", "b"], "dipole": np.ones(3),
             "table": [["a", "b", "c"], ["d", "e", "f"]]}
    frame = vlstore.MdFrame(X, atom_properties=atoms, frame_properties=whole)
    found = frame.atom_properties
    assert list(found) == list(atoms) and found["label"] == ["CA", "N"]
    assert found["small"].dtype == np.int32 and found["tag"].dtype == np.int64
    assert all(np.array_equal(found[n], atoms[n]) for n in atoms if n not in ("label", "pair"))
    assert found["pair"] == atoms["pair"] and vlstore.MdFrame(**frame.to_dict()) == frame
    found = frame.frame_properties
    assert {n: v for n, v in found.items() if n != "dipole"} == {
        n: v for n, v in whole.items() if n != "dipole"
    }
    assert np.array_equal(found["dipole"], np.ones(3)) and type(found["count"]) is int


def test_a_stack_becomes_frames_without_a_loop(path):
    f, n = 700, 5
    random = np.random.default_rng(0)
    positions = random.normal(size=(n, f, 3)).astype("f4").transpose(1, 0, 2)
    forces = random.normal(size=(f, n, 3)).astype(">f8")
    energy, step, cell = random.normal(size=f), np.arange(f), random.normal(size=(f, 3, 3))
    with vlstore.open(path, "w", records="md-frame") as depot:
        count = depot.put_frames(
            positions, keys=(f"k{i}" for i in range(f)), forces=forces, energy=energy, step=step,
            cell=cell, types=range(n), masses=np.ones((f, n)), pbc=True, name="all",
        )
        assert count == len(depot) == f
        assert depot.put_frames(positions[:2], pbc=np.eye(3, dtype=bool)[:2], time=[1, 2]) == 2
    depot = vlstore.open(path, records="auto")
    for i in (0, 255, 256, f - 1):
        frame = depot[f"k{i}"]
        assert frame.positions.dtype == np.float32
        assert np.array_equal(frame.positions, positions[i])
        assert np.array_equal(frame.forces, forces[i]) and np.array_equal(frame.cell, cell[i])
        assert (frame.energy, frame.step, frame.name) == (energy[i], i, "all")
        assert frame.types.tolist() == list(range(n)) and frame.pbc == (True, True, True)
    assert depot.at[-1].pbc == (False, True, False) and depot.at[-1].time == 2.0


def test_frames_of_different_sizes_go_in_as_they_come_out(path):
    sizes = [3, 0, 7, 1]
    ptr = np.concatenate([[0], np.cumsum(sizes)])
    fields = some(11)
    with vlstore.open(path, "w", records="md-frame") as depot:
        depot.put_frames(
            fields["positions"], ptr=ptr, types=fields["types"], charges=fields["charges"],
            energy=np.arange(4.0), keys=range(4),
        )
    depot = vlstore.open(path, records="auto")
    assert depot.at.weights().tolist() == sizes and depot.at.weights([2, -1]).tolist() == [7, 1]
    assert np.array_equal(depot[2].positions, fields["positions"][3:10])
    arrays = depot.get_arrays(range(4))
    assert list(arrays) == ["positions", "types", "charges", "energy", "ptr", "batch"]
    assert np.array_equal(arrays["positions"], fields["positions"])
    assert arrays["ptr"].tolist() == ptr.tolist() and arrays["ptr"].dtype == np.int64
    assert arrays["batch"].tolist() == np.repeat(range(4), sizes).tolist()
    with vlstore.open(path, "a", records="md-frame") as more:
        ptr = arrays.pop("ptr")
        del arrays["batch"]
        assert more.put_frames(**arrays, ptr=ptr) == 4
        assert more.at[6] == depot[2]


@pytest.mark.parametrize(
    "keys",
    [
        np.array([5, -3, 7], "i2"), np.array([5, 2**63 + 1, 0], "u8"), np.array([1, 2, 2**62], ">i8"),
        np.arange(6, dtype="u4")[::2], np.array(["a", "", "kü\U0001f980"]), np.array(["ab", "c\0d"], ">U4"),
        np.array([b"ab", b"", b"c\0d"]), np.array(["x", 3, b"y"], object), np.array([], "U3"),
    ],
    ids=repr,
)
def test_keys_in_an_array_are_those_of_its_items(keys):
    depot = vlstore.memory(records="md-frame")
    assert depot.put_frames(np.ones((len(keys), 1, 3)), keys=keys) == len(keys)
    items = [key.item() if isinstance(key, np.integer) else key for key in keys]
    assert list(depot) == items
    assert all(type(key) in (str, int, bytes) for key in depot)


def test_keys_in_an_array_are_refused_as_its_items_are():
    depot = vlstore.memory(records="md-frame")
    for keys, error in (
        (np.array(["a\ud800"]), vlstore.InvalidError),
        (np.array([[1], [2]]), vlstore.WrongTypeError),
        (np.array([True]), vlstore.WrongTypeError),
        (np.array([1.0]), vlstore.WrongTypeError),
        (np.ma.array([1], mask=[True]), vlstore.WrongTypeError),
    ):
        with pytest.raises(error):
            depot.put_frames(np.ones((len(keys), 1, 3)), keys=keys)
    assert len(depot) == 0


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({}, "no array has an entry for each frame"),
        ({"positions": X}, r"positions has shape \(2, 3\), but must have \(frames, sites, 3\)"),
        ({"positions": [X], "energy": [1, 2]}, "energy has 2 frames, but positions has 1"),
        ({"positions": [X], "types": [1]}, "types has 1 sites, but positions has 2"),
        ({"positions": [X], "cell": np.zeros((2, 2))}, r"cell has shape \(2, 2\), but must have"),
        ({"positions": [X], "keys": [1, 2]}, "2 keys, but positions has 1 frames"),
        ({"positions": X, "ptr": [0, 1]}, "positions has 2 sites, but ptr has 1"),
        ({"positions": X, "ptr": [1, 2]}, "begin with 0"),
        ({"positions": X, "ptr": [0, 2, 1]}, "never decrease"),
        ({"positions": X, "ptr": []}, "ptr has shape"),
        ({"positions": X, "ptr": [0.0, 2]}, "ptr holds integers"),
    ],
)
def test_a_stack_that_does_not_fit_is_refused_whole(arguments, why):
    depot = vlstore.memory(records="md-frame")
    with pytest.raises((vlstore.InvalidError, vlstore.WrongTypeError), match=why):
        depot.put_frames(**arguments)
    assert len(depot) == 0


def test_a_batch_has_what_all_of_its_frames_have(path):
    depot = vlstore.memory(records="md-frame")
    depot["a"] = vlstore.MdFrame(X.astype("f4"), energy=1, atom_properties={"q": [1, 2]},
                                 frame_properties={"gap": 0.5})
    depot["b"] = vlstore.MdFrame(X[:1] + 1, forces=X[:1], energy=2, atom_properties={"q": [3]},
                                 frame_properties={"gap": 1.5})
    arrays = depot.get_arrays(["b", "a", "b"])
    assert set(arrays) == {"positions", "energy", "ptr", "batch"}
    assert arrays["positions"].dtype == np.float64 and arrays["positions"][:, 0].tolist() == [1, 0, 0, 1]
    assert arrays["energy"].tolist() == [2, 1, 2] and arrays["energy"].flags.writeable
    arrays = depot.at.arrays([0, 1], fields=["q", "gap"])
    assert arrays["q"].tolist() == [1, 2, 3] and arrays["gap"].tolist() == [0.5, 1.5]
    with pytest.raises(vlstore.InvalidError, match='frame 1 of the batch .record "a". has no "forces"'):
        depot.get_arrays(["b", "a"], ["forces"])
    empty = depot.get_arrays([])
    assert empty["ptr"].tolist() == [0] and len(empty["batch"]) == 0


def test_real_molecules_come_back(path, molecules):
    with vlstore.open(path, "w", records="md-frame", purpose="random") as depot:
        depot.put_many(enumerate(molecules))
    depot = vlstore.open(path, records="auto")
    assert depot.at[:] == molecules
    order = np.random.default_rng(0).permutation(len(molecules))
    arrays = depot.at.arrays(order)
    expected = np.concatenate([molecules[i].positions for i in order])
    assert np.array_equal(arrays["positions"], expected)
    assert np.diff(arrays["ptr"]).tolist() == [len(molecules[i]) for i in order]


def test_codecs_of_arrays_keep_type_and_shape():
    depot = vlstore.memory(records="array")
    arrays = [
        np.arange(6, dtype=">i2").reshape(2, 3), np.float64(3), np.zeros((0, 3), "c8"),
        np.array([True, False]), np.arange(8.0).reshape(2, 2, 2)[:, ::-1], np.float16([1.5]),
    ]
    for i, array in enumerate(arrays):
        depot[i] = array
        assert depot[i].shape == np.shape(array) and np.array_equal(depot[i], array)
        assert depot[i].dtype == np.asarray(array).dtype.newbyteorder("=")
    with pytest.raises(vlstore.WrongTypeError, match="cannot be stored"):
        depot["x"] = np.array(["text"])
    flat = vlstore.memory(records="flat-f32")
    flat["a"] = np.ones((2, 3), "f4")
    assert flat["a"].tolist() == [1] * 6 and flat["a"].dtype == np.float32
    with pytest.raises(vlstore.WrongTypeError, match="narrow it first"):
        flat["b"] = np.ones(3)
    assert vlstore.memory(records="raw").put("a", b"1") == 0


class Words:
    """A codec of a user."""

    name = "words"
    version = 3

    def encode(self, words):
        return " ".join(words).encode()

    def decode(self, data):
        return bytes(data).decode().split(" ")

    def weight(self, words):
        return len(words)


def test_a_codec_in_python_is_kept_by_name_and_travels(path):
    with vlstore.open(path, "w", records=Words()) as depot:
        depot["a"] = ["some", "words"]
        assert depot["a"] == ["some", "words"] and isinstance(depot.codec, Words)
    depot = vlstore.open(path, records=Words())
    assert depot.at.weights().tolist() == [2] and depot.options["record_codec"] == "words"
    assert pickle.loads(pickle.dumps(depot))["a"] == ["some", "words"]
    plain = vlstore.open(path)
    assert plain["a"] == b"some words" and vlstore.Depot(plain, Words())["a"] == ["some", "words"]
    assert vlstore.open(path, records=Words)["a"] == ["some", "words"]
    older = Words()
    older.version = 2
    for wrong, why in (("md-frame", "words"), (older, "version 3 of codec words")):
        with pytest.raises(vlstore.Error, match=why):
            vlstore.open(path, records=wrong)


def test_a_codec_that_fails_changes_nothing():
    depot = vlstore.memory(records=(lambda x: 1 / x, bytes))
    with pytest.raises(ZeroDivisionError):
        depot["a"] = 0
    with pytest.raises(vlstore.WrongTypeError, match="what codec custom encodes to"):
        depot["a"] = 1
    assert len(depot) == 0
    for wrong in ((1, 2), (bytes,), object(), b"raw"):
        with pytest.raises(vlstore.WrongTypeError, match="a codec is"):
            vlstore.memory(records=wrong)
    frames = vlstore.memory(records="md-frame")
    for wrong in (b"no frame at all", 3, None, {"positions": X}):
        with pytest.raises(vlstore.Error):
            frames["a"] = wrong
    frames["a"] = bytes(vlstore.MdFrame(X).record)
    assert len(frames["a"]) == 2


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_are_taken_for_a_frame_by_accident(data):
    try:
        frame = vlstore.MdFrame.from_bytes(data)
    except vlstore.Error:
        return
    frame.to_dict()


def test_batches_speak_dlpack():
    depot = vlstore.memory(records="md-frame")
    depot.put_frames(np.ones((4, 5, 3)))
    arrays = depot.at.arrays(range(4))
    again = np.from_dlpack(arrays["positions"])
    again[0] = 7
    assert arrays["positions"][0, 0] == 7
    assert np.from_dlpack(depot.at[0].positions).sum() == 15


JAX = """
import jax, numpy as np, vlstore
depot = vlstore.memory(records="md-frame")
depot.put_frames(np.ones((400, 50, 3), "f4"))
arrays = depot.at.arrays(range(400))
taken = jax.dlpack.from_dlpack(arrays["positions"])
assert taken.unsafe_buffer_pointer() == arrays["positions"].ctypes.data
assert float(taken.sum()) == 400 * 50 * 3
# A single frame is read-only, which DLPack as JAX speaks it cannot say: it is copied.
assert float(jax.numpy.asarray(depot.at[0].positions).sum()) == 150
"""


@pytest.mark.skipif(find_spec("jax") is None, reason="JAX is not installed: pip install jax")
def test_jax_takes_a_batch_without_a_copy():
    # In a process of its own: JAX starts threads, and other tests fork.
    done = subprocess.run([sys.executable, "-c", JAX], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
