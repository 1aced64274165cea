"""Columns, chosen fields and statistics of frames: the same as of whole frames, with less work."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import vlstore

DATA = Path(__file__).parents[2] / "tests/data/ala2-npt-peptide.xtc"


def fill(store, count=60, sites=7):
    rng = np.random.default_rng(5)
    positions = rng.normal(size=(count, sites, 3)).astype("f4")
    forces = rng.normal(size=(count, sites, 3))
    energy = rng.normal(size=count)
    cell = np.stack([np.eye(3) * (1 + i) for i in range(count)])
    store.put_frames(
        positions=positions,
        forces=forces,
        energy=energy,
        cell=cell,
        types=np.arange(sites, dtype="i4") % 3,
        step=np.arange(count) * 10,
        time=np.arange(count) / 2,
        keys=range(count),
    )
    return positions, forces, energy, cell


@pytest.fixture(params=["uncommitted", "committed", "file"])
def filled(request, tmp_path):
    if request.param == "file":
        path = tmp_path / "frames.vls"
        with vlstore.open(path, "w", records="md-frame") as store:
            arrays = fill(store)
        store = vlstore.open(path, records="auto")
    else:
        store = vlstore.memory(records="md-frame")
        arrays = fill(store)
        if request.param == "committed":
            store.commit()
    return store, arrays


def test_columns_are_those_of_the_frames(filled):
    store, (_, _, energy, cell) = filled
    found = store.columns("energy", "cell", "step", "time", "weight")
    assert list(found) == ["energy", "cell", "step", "time", "weight"]
    assert np.array_equal(found["energy"], energy) and found["energy"].dtype == np.float64
    assert np.array_equal(found["cell"], cell) and found["cell"].shape == (60, 3, 3)
    assert np.array_equal(found["step"], np.arange(60) * 10) and found["step"].dtype == np.int64
    assert np.array_equal(found["time"], np.arange(60) / 2)
    assert np.array_equal(found["weight"], np.full(60, 7))
    lengths = [len(store.view(i)) for i in range(60)]
    assert np.array_equal(store.column("bytes"), lengths)
    assert set(store.columns()) == {"step", "time", "energy", "cell", "weight", "bytes"}
    found["energy"][0] = 7  # The arrays are the caller's own.
    assert store.column("energy")[0] == energy[0]
    with pytest.raises(vlstore.errors.InvalidError, match="energy"):
        store.column("enrgy")


def test_frames_put_one_by_one_as_bytes_and_many_at_once_have_columns_alike():
    store = vlstore.memory(records="md-frame")
    frame = vlstore.MdFrame([[0, 0, 0]], energy=-1.5, step=3)
    store["a"] = frame
    store["b"] = bytes(frame.record)
    store.push(vlstore.MdFrame([[0, 0, 0]]))
    store.put_many({"c": frame, "d": frame})
    energy = store.column("energy")
    assert energy[[0, 1, 3, 4]].tolist() == [-1.5] * 4 and math.isnan(energy[2])
    assert store.column("step").tolist() == [3, 3, -(2**63), 3, 3]
    assert np.isnan(store.column("cell")).all()
    del store["a"]
    assert len(store.column("energy")) == 4


def test_a_plain_store_has_what_every_store_has():
    store = vlstore.memory()
    store["a"] = b"four"
    assert store.column("bytes").tolist() == [4] and list(store.columns()) == ["weight", "bytes"]
    with pytest.raises(vlstore.errors.InvalidError):
        store.column("energy")
    with pytest.raises(TypeError):
        store.get("a", fields=["positions"])


def test_chosen_fields_of_a_frame_and_nothing_else(filled):
    store, (positions, _, energy, _) = filled
    frame = store.get(7, fields=["positions", "energy"])
    assert np.array_equal(frame.positions, positions[7]) and frame.energy == energy[7]
    assert frame.forces is None and frame.types is None and frame.step is None
    assert frame.nsites == 7
    assert store.get(99, "none", fields=["positions"]) == "none"
    with pytest.raises(vlstore.errors.InvalidError, match="velocities"):
        store.get(7, fields=["speed"])


def test_arrays_of_chosen_fields_from_frames_of_many_blocks(tmp_path):
    path = tmp_path / "large.vls"
    with vlstore.open(path, "w", records="md-frame", block_size=4096) as store:
        positions, forces, energy, _ = fill(store, 12, 2000)
    for mode in ["r", "a"]:
        with vlstore.open(path, mode, records="md-frame") as store:
            keys = [3, 11, 3, 0]
            some = store.get_arrays(keys, fields=["positions", "energy"])
            assert np.array_equal(some["positions"].reshape(4, 2000, 3), positions[keys])
            assert np.array_equal(some["energy"], energy[keys])
            assert some["ptr"].tolist() == [0, 2000, 4000, 6000, 8000] and "forces" not in some
            at = store.at.arrays([-1], fields=["forces"])
            assert np.array_equal(at["forces"], forces[11]) and at["forces"].dtype == np.float64
            with pytest.raises(KeyError):
                store.get_arrays([77], fields=["positions"])
            with pytest.raises(vlstore.errors.InvalidError, match="charges"):
                store.get_arrays([1], fields=["charges"])


def test_statistics_are_computed_kept_and_known_to_be_old(tmp_path):
    path = tmp_path / "frames.vls"
    with vlstore.open(path, "w", records="md-frame") as store:
        _, forces, energy, _ = fill(store)
        store.attrs["title"] = "kept"
        found = store.statistics(keep=True)
        assert store.attrs["title"] == "kept" and store.attrs["statistics"]["frames"] == 60
    assert (found["frames"], found["sites"], found["sites_range"]) == (60, 420, (7, 7))
    assert found["energy_mean"] == pytest.approx(energy.mean())
    assert found["energy_per_site_mean"] == pytest.approx((energy / 7).mean())
    assert found["energy_per_site_std"] == pytest.approx((energy / 7).std())
    assert found["force_rms"] == pytest.approx(np.sqrt((forces**2).mean()))
    assert found["force_max"] == np.abs(forces).max()
    assert found["types"] == {0: 180, 1: 120, 2: 120}
    with vlstore.open(path, "a", records="auto") as store:
        assert store.statistics() == found
        store.push(vlstore.MdFrame(np.zeros((3, 3))))
        with pytest.raises(vlstore.errors.InvalidError, match="commit"):
            store.statistics()
        store.commit()
        assert store.statistics()["sites_range"] == (3, 7)
        assert store.column("time").shape == (61,)
    with pytest.raises(vlstore.errors.ReadOnlyError):
        vlstore.open(path, records="md-frame").statistics(keep=True)


def test_columns_of_a_real_trajectory(tmp_path):
    path = tmp_path / "run.vls"
    # In a process of its own: what watches for signals there stays until it ends.
    command = [sys.executable, "-m", "vlstore", "import", "--quiet", DATA, path]
    subprocess.run(command, check=True)
    with vlstore.open(path, records="auto") as store:
        columns = store.columns()
        frames = list(store.at)
        assert np.array_equal(columns["time"], [f.time for f in frames])
        assert np.array_equal(columns["cell"], [f.cell for f in frames])
        assert np.array_equal(columns["step"], [f.step for f in frames])
        assert np.isnan(columns["energy"]).all()
