"""Positions that are stored as integers read as all others do."""

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import vlstore

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=["tests/data/ala2-npt-peptide.xtc", "cli/data/ala2-npt-160.xtc"])
def both(request, tmp_path):
    """The same trajectory twice: with positions as given, and as integers."""
    depots = []
    for how in ["given", "quantised"]:
        path = tmp_path / f"{how}.vls"
        command = [sys.executable, "-m", "vlstore", "import", "--quiet", "--positions", how]
        subprocess.run([*command, ROOT / request.param, path], check=True)
        depots.append(vlstore.open(path, records="auto"))
    given, quantised = depots
    assert quantised.path.stat().st_size * 3 < given.path.stat().st_size * 2
    return given, quantised


def test_every_way_of_reading_gives_the_same_frames(both):
    given, quantised = both
    order = [5, 0, 99, 5, 42]
    assert quantised.at[7] == given.at[7]
    assert quantised[7].positions.tobytes() == given[7].positions.tobytes()
    assert quantised.get_batch(order) == given.get_batch(order)
    assert list(quantised.at[10:20]) == list(given.at[10:20])
    for mine, right in zip(quantised.values(), given.values(), strict=True):
        assert mine == right
    for fields in [["positions"], ["positions", "time", "cell"], ["time"]]:
        mine, right = (d.get(3, fields=fields) for d in (quantised, given))
        assert mine == right
        assert (mine.positions is not None) == ("positions" in fields)
    assert pickle.loads(pickle.dumps(quantised.at[3])) == given.at[3]


def test_flat_arrays_and_columns_are_the_same(both):
    given, quantised = both
    order = [5, 0, 99, 5, 42]
    mine, right = quantised.at.arrays(order), given.at.arrays(order)
    assert set(mine) == set(right)
    for name, array in right.items():
        assert mine[name].dtype == array.dtype and np.array_equal(mine[name], array), name
    assert np.array_equal(quantised.column("time"), given.column("time"))
    assert quantised.statistics() == given.statistics()


def test_an_array_of_a_whole_frame_outlives_its_store(both):
    given, quantised = both
    positions = quantised.at[11].positions
    right = given.at[11].positions.copy()
    quantised.close()
    del quantised
    assert np.array_equal(positions, right)
    with pytest.raises(ValueError):
        positions[0, 0] = 1


def test_what_is_stored_goes_from_store_to_store_as_it_is(both, tmp_path):
    given, quantised = both
    bytes_ = vlstore.open(quantised.path, records="bytes")
    assert len(bytes_.at[0]) < len(vlstore.open(given.path, records="bytes").at[0])
    with vlstore.open(tmp_path / "next.vls", "w", records="md-frame") as store:
        store["as stored"] = bytes(bytes_.at[0])
        store["as seen"] = quantised.at[0]
    with vlstore.open(tmp_path / "next.vls", records="md-frame") as store:
        assert store["as stored"] == store["as seen"] == given.at[0]
