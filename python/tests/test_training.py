"""The example learns, and a stop in the middle changes nothing."""

import pathlib
import subprocess
import sys

import numpy as np
import pytest

import vlstore

ROOT = pathlib.Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "train_potential.py"
DATA = ROOT / ".." / "shared" / "data" / "extxyz" / "wfl-licu-rss.xyz"


def run(store, folder, *more):
    command = [sys.executable, EXAMPLE, store, folder, *map(str, more)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with np.load(folder / "checkpoint.npz") as saved:
        return saved["losses"], saved["weights"]


@pytest.fixture
def frames(path):
    """Clusters under a Lennard-Jones potential."""
    random = np.random.default_rng(0)
    with vlstore.open(path, "w", records="md-frame") as store:
        for _ in range(60):
            n = int(random.integers(2, 6))
            x = 2.6 * np.argwhere(np.ones((2, 2, 2)))[:n] + random.normal(size=(n, 3)) / 4
            vector = x[None] - x[:, None]
            r = np.linalg.norm(vector, axis=-1) + np.eye(n) * 1e9
            slope = -12 * 2.5**12 / r**13 + 6 * 2.5**6 / r**7
            forces = (slope[..., None] * vector / r[..., None]).sum(1)
            energy = 0.5 * ((2.5 / r) ** 12 - (2.5 / r) ** 6).sum()
            store.push(vlstore.MdFrame(
                x, forces=forces, energy=energy, types=np.full(n, 18), cell=np.zeros((3, 3)), pbc=False
            ))
    return path


def test_a_training_that_is_stopped_learns_what_one_in_one_go_does(frames, tmp_path):
    how = ("--epochs", 8, "--atoms", 20)
    losses, weights = run(frames, tmp_path / "whole", *how)
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])
    # In the middle of an epoch, twice.
    for steps in (8, 27):
        some, _ = run(frames, tmp_path / "parts", *how, "--stop-after", steps)
        assert len(some) == steps
    again, same = run(frames, tmp_path / "parts", *how)
    assert again.tolist() == losses.tolist() and (same == weights).all()


@pytest.mark.skipif(not DATA.exists(), reason="the data set is not on this machine")
def test_the_example_learns_from_a_real_data_set(tmp_path):
    store = tmp_path / "licu.vls"
    vlstore.import_(DATA, store, map={"REF_energy": "energy", "REF_forces": "forces"})
    losses, _ = run(store, tmp_path / "run", "--epochs", 3)
    third = len(losses) // 3
    # The median: some frames have atoms that nearly touch.
    assert np.median(losses[-third:]) < 0.6 * np.median(losses[:third])
