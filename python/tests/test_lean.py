"""Lean frames: as docs/records.md describes their bytes, and equal to frames with a table however they are reached."""

import pickle
import struct

import numpy as np
import pytest

import vlstore

FRAMES = 60


def read(record):
    """The fields of a lean frame, by the page alone."""
    (word,) = struct.unpack_from("<I", record)
    assert word >> 31 == 1 and not word >> 18 & 1
    has = [word >> bit & 1 for bit in range(18)]
    n = word >> 19 & 0xFFF
    out, at = {"nsites": n}, 4

    def take(kind, *shape):
        nonlocal at
        values = np.frombuffer(record, kind, int(np.prod(shape)), at).reshape(shape)
        at += values.nbytes
        return values

    if has[17]:
        out["precision"] = take("<f4", 1)[0]
    elif has[5]:
        assert record[4:8] == bytes(4)
        at = 8
    scalars = {8: ("energy", "<f8", 1), 9: ("step", "<i8", 1), 10: ("time", "<f8", 1), 11: ("cell", "<f8", 3, 3)}
    scalars[12] = ("stress", "<f8", 3, 3)
    for bit, (name, kind, *shape) in scalars.items():
        if has[bit]:
            values = take(kind, *shape)
            out[name] = values if len(shape) == 2 else values[0]
    real = "<f8" if has[5] else "<f4"
    for bit, name in enumerate(("positions", "velocities", "forces")):
        if has[bit]:
            out[name] = take(real, n, 3)
    for bit, name in ((3, "masses"), (4, "charges")):
        if has[bit]:
            out[name] = take(real, n)
    assert not (has[6] and has[7])
    if has[6]:
        out["types"] = take("u1", n)
        assert record[at:] == bytes(-n % 4)
        at += -n % 4
    if has[7]:
        out["types"] = take("<i4", n)
    if has[13]:
        out["pbc"] = [bool(has[bit]) for bit in (14, 15, 16)]
    assert at == len(record)
    return out


def frame(i):
    rng = np.random.default_rng(i)
    n = int(rng.integers(0, 30))
    real = np.float64 if i % 5 == 4 else np.float32
    fields = {
        "positions": rng.normal(size=(n, 3)).astype(real),
        "velocities": rng.normal(size=(n, 3)).astype(real),
        "forces": rng.normal(size=(n, 3)).astype(real),
        "masses": rng.uniform(size=n).astype(real),
        "charges": rng.normal(size=n).astype(real),
        "types": rng.integers(0, 300 if i % 7 == 6 else 90, n).astype(np.int32),
        "cell": rng.normal(size=(3, 3)),
        "stress": rng.normal(size=(3, 3)),
        "pbc": (True, False, bool(i % 2)),
        "energy": float(rng.normal()),
        "step": i - 3,
        "time": i / 3,
        "precision": 1000.0,
    }
    given = {name: value for name, value in fields.items() if rng.random() < 0.7}
    return vlstore.MdFrame(**given, nsites=n), given


def equal(found, given):
    for name, value in given.items():
        assert np.array_equal(getattr(found, name), value), name
        if isinstance(value, np.ndarray):
            assert getattr(found, name).dtype == value.dtype, name


def test_the_bytes_are_those_that_the_page_describes(tmp_path):
    path = tmp_path / "frames.vls"
    made = [frame(i) for i in range(FRAMES)]
    with vlstore.open(path, "w", records="md-frame") as store:
        store.push_many(f for f, _ in made)
    with vlstore.open(path, records="bytes") as store:
        assert store.options["frames"] == "lean"
        for i, (_, given) in enumerate(made):
            found = read(bytes(store.at[i]))
            assert found.pop("nsites") == frame(i)[0].nsites
            assert found.keys() == given.keys()
            for name, value in given.items():
                assert np.array_equal(found[name], value), (i, name)
                if isinstance(value, np.ndarray) and name != "types":
                    assert found[name].dtype == value.dtype


@pytest.mark.parametrize("form", ["lean", "table"])
def test_frames_are_equal_however_they_are_kept(tmp_path, form):
    path, other = tmp_path / "frames.vls", tmp_path / "other.vls"
    made = [frame(i) for i in range(FRAMES)]
    with vlstore.open(path, "w", records="md-frame", frames=form) as store:
        for i, (one, _) in enumerate(made):
            store[f"f{i:03}"] = one
    with vlstore.open(path) as store:
        assert store.options["frames"] == form
        for i, (one, given) in enumerate(made):
            found = store.at[i]
            assert found == one and hash(found) == hash(one)
            equal(found, given)
            assert pickle.loads(pickle.dumps(found)) == one
            assert bytes(found.to_flatbuffer()) == bytes(one.record)
            assert vlstore.MdFrame.from_bytes(found.record) == one
        # From store to store, in either form.
        for wanted in ("table", "lean"):
            new = vlstore.memory(records="md-frame", frames=wanted)
            new.push_many(store.at[i] for i in range(FRAMES))
            assert [new.at[i] for i in range(FRAMES)] == [one for one, _ in made]
    wanted = {"lean": "table", "table": "lean"}[form]
    vlstore.copy(path, other, frames=wanted)
    with vlstore.open(other) as store:
        assert store.options["frames"] == wanted
        assert [store[f"f{i:03}"] for i in range(FRAMES)] == [one for one, _ in made]


def test_put_frames_and_arrays_are_the_same_in_both_forms():
    rng = np.random.default_rng(1)
    sizes = rng.integers(1, 30, 500)
    ptr = np.concatenate([[0], np.cumsum(sizes)])
    arrays = {
        "positions": rng.normal(size=(ptr[-1], 3)).astype(np.float32),
        "forces": rng.normal(size=(ptr[-1], 3)).astype(np.float32),
        "types": rng.integers(1, 90, ptr[-1]).astype(np.int32),
        "energy": rng.normal(size=500),
        "cell": rng.normal(size=(500, 3, 3)),
        "pbc": rng.random((500, 3)) < 0.5,
    }
    keys = [f"mol_{i:07}" for i in range(500)]
    order = rng.permutation(500)
    found = {}
    for form in ("lean", "table"):
        store = vlstore.memory(records="md-frame", frames=form, compression="stored")
        store.put_frames(keys=keys, ptr=ptr, **arrays)
        store.commit()
        found[form] = (store.at.arrays(order), store.at.arrays(order, fields=["types", "pbc"]), len(store.to_bytes()))
    for lean, table in zip(found["lean"][:2], found["table"][:2], strict=True):
        assert lean.keys() == table.keys()
        for name, values in lean.items():
            assert values.dtype == table[name].dtype and np.array_equal(values, table[name]), name
    assert found["lean"][2] < 0.85 * found["table"][2]
    sites = np.concatenate([np.arange(ptr[i], ptr[i + 1]) for i in order])
    assert np.array_equal(found["lean"][0]["types"], arrays["types"][sites])
    assert np.array_equal(found["lean"][0]["pbc"], arrays["pbc"][order])


def test_what_cannot_be_is_refused_with_what_to_do(tmp_path):
    path = tmp_path / "x.vls"
    with pytest.raises(vlstore.InvalidError, match='"table", "lean"'):
        vlstore.open(path, "w", records="md-frame", frames="short")
    with pytest.raises(vlstore.InvalidError, match="records="):
        vlstore.open(path, "w", records="array", frames="lean")
    with pytest.raises(vlstore.InvalidError, match="copy --frames table"):
        vlstore.open(path, "w", records="md-frame", frames="lean", original_table="always")
    assert not path.exists()
    with vlstore.open(path, "w", frames="lean") as store:
        store.push(vlstore.MdFrame([[0, 0, 0]], types=[1]))
    with pytest.raises(vlstore.InvalidError, match="frames=.*table"):
        vlstore.open(path, "a", frames="table")
    with pytest.raises(vlstore.InvalidError, match="copy --frames table"):
        vlstore.open(path, "a", original_table="always")
    with vlstore.open(path) as store:
        assert len(store) == 1
    # For the original, tables are the default.
    with vlstore.open(path, "w", records="md-frame", original_table="always") as store:
        assert store.options["frames"] == "table"
