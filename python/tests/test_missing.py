"""Batches of frames of which some lack a field, batches of no frame, and names that do not exist."""

import numpy as np
import pytest

import vlstore

FIELDS = [
    "positions", "velocities", "forces", "types", "masses", "charges", "cell", "pbc", "energy",
    "stress", "step", "time",
]
BY_SITE = FIELDS[:6]


def frame(n, random, has, wide=False):
    kind = "f8" if wide else "f4"
    every = {
        "positions": random.normal(size=(n, 3)).astype(kind),
        "velocities": random.normal(size=(n, 3)).astype(kind),
        "forces": random.normal(size=(n, 3)).astype(kind),
        "types": random.integers(1, 9, n), "masses": random.normal(size=n).astype(kind),
        "charges": random.normal(size=n).astype(kind), "cell": random.normal(size=(3, 3)),
        "pbc": [True, False, True], "energy": random.normal(), "stress": random.normal(size=(3, 3)),
        "step": int(random.integers(0, 9)), "time": random.normal(),
    }
    atoms = {"spin": random.normal(size=(n, 2)), "tag": random.integers(0, 9, n).astype("i8")}
    whole = {"gap": np.float64(random.normal()), "kind": np.int32(7)}
    return vlstore.MdFrame(
        nsites=n, **{name: value for name, value in every.items() if name in has},
        atom_properties={name: value for name, value in atoms.items() if name in has},
        frame_properties={name: value for name, value in whole.items() if name in has},
    )


def field(frame, name):
    for where in (frame.atom_properties, frame.frame_properties):
        if name in where:
            return where[name]
    return getattr(frame, name, None)


@pytest.fixture(params=["reader", "writer", "topologies"])
def store(request, path):
    """Frames of which each has other fields."""
    random = np.random.default_rng(5)
    extra = ["spin", "tag", "gap", "kind"]
    frames = [frame(n + 1, random, [f for f in FIELDS + extra if random.random() < 0.6]) for n in range(40)]
    frames += [frame(3, random, FIELDS + extra), frame(5, random, [])]
    if request.param == "topologies":
        water = vlstore.Topology(types=[8, 1, 1], masses=[16.0, 1.0, 1.0])
        frames += [vlstore.MdFrame(np.zeros((3, 3)), topology=water) for _ in range(3)]
    store = vlstore.open(path, "w", records="md-frame")
    store.put_many(enumerate(frames))
    if request.param != "writer":
        store.close()
        store = vlstore.open(path)
    yield store
    store.close()


def expected(frames, name, fill):
    """The array of a field, site by site, from the frames alone."""
    there = [field(f, name) for f in frames]
    shape = next(np.shape(v) for v in there if v is not None)
    by_site = name in (*BY_SITE, "spin", "tag")
    tail = shape[1:] if by_site else shape
    return np.concatenate([
        np.full(((f.nsites if by_site else 1), *tail), fill, float) if v is None
        else np.reshape(v, ((f.nsites if by_site else 1), *tail)).astype(float)
        for f, v in zip(frames, there)
    ])


def test_what_is_missing_is_filled_and_said(store):
    frames = list(store.values())
    names = [*FIELDS, "spin", "tag", "gap", "kind"]
    fills = {"types": 0, "tag": 0, "kind": 0, "step": -(2**63), "pbc": 0}
    for ordinals in (range(len(frames)), [7, 3, 3, 40], [41, 40]):
        chosen = [frames[i] for i in ordinals]
        found = store.at.arrays(ordinals, fields=names, missing="fill", mask=True)
        assert np.array_equal(np.diff(found["ptr"]), [f.nsites for f in chosen])
        for name in names:
            assert found[f"{name}_mask"].dtype == bool
            assert found[f"{name}_mask"].tolist() == [field(f, name) is not None for f in chosen]
            right = expected(chosen, name, fills.get(name, np.nan))
            assert np.array_equal(found[name].astype(float), right, equal_nan=True), name
        given = store.get_arrays(ordinals, fields=names, fill_value=0)
        assert list(given) == [*names, "ptr", "batch"]
        for name in names:
            right = expected(chosen, name, 0)
            assert np.array_equal(given[name].astype(float), right), name


def test_a_field_that_no_frame_of_the_batch_has_is_there_all_the_same(store):
    bare = store.at.arrays([41], fields=["positions", "energy", "step", "spin", "kind"], mask=True)
    assert bare["positions"].shape == (5, 3) and np.isnan(bare["positions"]).all()
    assert bare["spin"].shape == (5, 2) and bare["spin"].dtype == np.float64
    assert bare["kind"].tolist() == [0] and bare["kind"].dtype == np.int32
    assert bare["step"].tolist() == [-(2**63)] and not bare["spin_mask"].any()


def test_without_names_a_filled_batch_has_every_field_that_a_frame_has(store):
    frames = list(store.values())
    for ordinals in ([41, 40], [40, 41], [41]):
        found = store.at.arrays(ordinals, missing="fill")
        there = [n for n in FIELDS if any(field(frames[i], n) is not None for i in ordinals)]
        assert list(found) == [*there, "ptr", "batch"]


def test_the_default_names_the_frame_and_what_to_do(store):
    with pytest.raises(vlstore.InvalidError, match=r'frame 1 .*ordinal 41\) has no "forces".*missing="fill"'):
        store.at.arrays([40, 41], fields=["forces"])
    with pytest.raises(vlstore.InvalidError, match='missing="fill"'):
        store.get_arrays([41], fields=["spin"], missing="error")


def test_fill_values_are_checked_by_field(store):
    get = lambda **how: store.at.arrays([40, 41], ["energy", "types", "pbc"], **how)  # noqa: E731
    found = get(fill_value={"energy": -1, "types": 9, "pbc": True})
    assert found["energy"][1] == -1 and (found["types"][3:] == 9).all() and found["pbc"][1].all()
    assert get(fill_value=float("nan"))["types"][3:].tolist() == [0] * 5
    for wrong, why in (
        (0.5, '0.5 is not a valid value of "types".*int32'), ({"types": 2**31}, "int32"),
        ({"pbc": 2}, "bool"), ({"position": 0}, '"position" is not one of the fields'),
    ):
        with pytest.raises(vlstore.InvalidError, match=why):
            get(fill_value=wrong)
    for wrong in ("x", [1], {"energy": "x"}, {1: 1}):
        with pytest.raises(vlstore.WrongTypeError):
            get(fill_value=wrong)
    with pytest.raises(vlstore.WrongTypeError, match='"error" or "fill"'):
        get(missing="skip")
    with pytest.raises(vlstore.InvalidError, match="no effect"):
        get(missing="error", fill_value=0)


@pytest.mark.parametrize("empty", [True, False])
@pytest.mark.parametrize("mode", ["r", "a"])
def test_names_are_checked_where_they_are_given_also_for_no_frame(path, empty, mode):
    with vlstore.open(path, "w", records="md-frame") as store:
        if not empty:
            random = np.random.default_rng(1)
            store["a"] = frame(2, random, ["positions", "energy", "spin"]).replace(name="x")
            store["b"] = vlstore.MdFrame(nsites=1, frame_properties={"label": "text"})
    with vlstore.open(path, mode) as store:
        for asked in ([], [0]) if not empty else ([],):
            with pytest.raises(vlstore.InvalidError, match='"position" does not exist.*positions, ') as caught:
                store.at.arrays(asked, fields=["position"])
            assert ("spin" in str(caught.value)) != empty
        with pytest.raises(vlstore.InvalidError, match='"position".*positions'):
            store.get("no such key", fields=["position"])
        with pytest.raises(vlstore.InvalidError, match='"enrgy".*energy'):
            store.columns("enrgy")
        if not empty:
            with pytest.raises(vlstore.InvalidError, match="is a string"):
                store.get_arrays([], fields=["label"])


def test_a_batch_of_no_frame_has_its_fields(path):
    with vlstore.open(path, "w", records="md-frame") as store:
        pass
    store = vlstore.open(path)
    found = store.at.arrays([])
    assert list(found) == [*FIELDS, "ptr", "batch"] and found["ptr"].tolist() == [0]
    assert found["positions"].shape == (0, 3) and found["cell"].shape == (0, 3, 3)
    with vlstore.open(path, "a") as store:
        store.push(frame(3, np.random.default_rng(1), ["positions", "types", "energy", "spin"]))
        for get in (store.at.arrays, store.get_arrays):
            found = get([])
            assert list(found) == ["positions", "types", "energy", "ptr", "batch"]
            assert found["positions"].dtype == np.float32 and found["types"].dtype == np.int32
            one = store.at.arrays([0], fields=["positions", "spin", "energy"])
            none = get([], fields=["positions", "spin", "energy"], mask=True)
            for name, array in one.items():
                if name != "ptr":
                    assert none[name].dtype == array.dtype
                    assert none[name].shape == (0, *array.shape[1:])
            assert none["spin_mask"].shape == (0,)


def test_a_frame_that_claims_sites_without_an_array_takes_no_memory(path):
    with vlstore.open(path, "w", records="md-frame") as store:
        store["small"] = vlstore.MdFrame(nsites=10, energy=1.0)
        store["huge"] = vlstore.MdFrame(nsites=2**31 - 1, energy=1.0)
    store = vlstore.open(path)
    assert store.at.arrays([0])["batch"].tolist() == [0] * 10
    for call in (
        lambda: store.get_arrays(["small", "huge"]),
        lambda: store.at.arrays([1], ["positions"], missing="fill"),
    ):
        with pytest.raises(vlstore.CodecError, match="frame . of the batch .*2147483647 sites"):
            call()


def test_large_frames_are_read_in_parts_and_filled_too(path):
    random = np.random.default_rng(1)
    with vlstore.open(path, "w", records="md-frame", compression="lz4", block_size=4096) as store:
        for i in range(3):
            store[f"k{i}"] = frame(4000, random, ["positions", "types"] + ["forces"] * (i != 1))
    store = vlstore.open(path)
    found = store.get_arrays(["k0", "k1", "k2"], ["forces", "energy"], missing="fill", mask=True)
    assert found["forces_mask"].tolist() == [True, False, True]
    assert np.isnan(found["forces"][4000:8000]).all() and not np.isnan(found["forces"][8000:]).any()
    assert np.array_equal(found["forces"][8000:], store["k2"].forces) and np.isnan(found["energy"]).all()
    with pytest.raises(vlstore.InvalidError, match='record "k1".* has no "forces"'):
        store.get_arrays(["k0", "k1"], ["forces"])
