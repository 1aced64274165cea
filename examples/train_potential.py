"""Fits a pair potential to energies and forces, in steps of batches, and goes on after a stop.

    vlstore import frames.extxyz frames.vls
    python examples/train_potential.py frames.vls run            # ends, or is killed
    python examples/train_potential.py frames.vls run            # goes on with the records not yet seen

The energy of a frame is a sum over pairs of atoms of a smooth function of their distance, one for each pair
of types, and a constant for each type: linear in its parameters, as are the forces. Needs NumPy alone;
Matplotlib, where it is there, plots the loss to ``run/loss.png``.
"""

import argparse
import json
import os
import pathlib

import numpy as np

from vlstore.loader import Loader

CUTOFF, BASIS = 6.0, 12


def neighbours(positions, cell, pbc):
    """Pairs (i, j) within the cutoff, and the vectors from i to j, over periodic images."""
    height = 1 / np.linalg.norm(np.linalg.inv(cell), axis=0) if np.any(pbc) else np.ones(3)
    reach = [np.arange(-n, n + 1) for n in np.where(pbc, np.ceil(CUTOFF / height), 0).astype(int)]
    shifts = np.stack(np.meshgrid(*reach, indexing="ij"), -1).reshape(-1, 3) @ cell
    vectors = positions[None, :, None] - positions[:, None, None] + shifts
    distance = np.linalg.norm(vectors, axis=-1)
    i, j, s = np.nonzero((distance < CUTOFF) & (distance > 1e-6))
    return i, j, vectors[i, j, s], distance[i, j, s]


def basis(r):
    """Values and slopes of the radial functions: bumps that end at the cutoff."""
    centre = np.linspace(1.0, CUTOFF, BASIS)
    width = centre[1] - centre[0]
    x = (r[:, None] - centre) / width
    bump, cut = np.exp(-(x**2)), 0.5 * (1 + np.cos(np.pi * r / CUTOFF))[:, None]
    slope = -0.5 * np.pi / CUTOFF * np.sin(np.pi * r / CUTOFF)[:, None]
    return bump * cut, bump * (slope - 2 * x / width * cut)


def features(batch, types):
    """The rows by which parameters give energies per atom, and forces, of a batch."""
    kinds = len(types)
    energy, force = [], []
    for frame, (start, end) in enumerate(zip(batch["ptr"][:-1], batch["ptr"][1:], strict=True)):
        kind = np.searchsorted(types, batch["types"][start:end])
        n, positions = end - start, batch["positions"][start:end].astype(float)
        i, j, vector, r = neighbours(positions, batch["cell"][frame], batch["pbc"][frame])
        value, slope = basis(r)
        pair = np.minimum(kind[i], kind[j]) * kinds + np.maximum(kind[i], kind[j])
        row = np.zeros((kinds * kinds, BASIS))
        np.add.at(row, pair, 0.5 * value)
        energy.append(np.concatenate([row.ravel(), np.bincount(kind, minlength=kinds)]) / n)
        rows = np.zeros((n, 3, kinds * kinds, BASIS))
        push = slope[:, None, :] * (vector / r[:, None])[:, :, None]
        np.add.at(rows.transpose(0, 2, 1, 3), (i, pair), push)
        force.append(np.pad(rows.reshape(3 * n, -1), ((0, 0), (0, kinds))))
    return np.array(energy), np.concatenate(force)


def huber(error):
    """A mean of squares in which atoms that nearly touch do not drown the others, and its slope."""
    root = np.sqrt(1 + error**2)
    return np.mean(root - 1), error / root / len(error)


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("store")
    options.add_argument("run", type=pathlib.Path)
    options.add_argument("--epochs", type=int, default=20)
    options.add_argument("--atoms", type=int, default=60, help="most atoms of a batch")
    options.add_argument("--stop-after", type=int, help="end after so many steps, as if killed")
    chosen = options.parse_args()
    chosen.run.mkdir(exist_ok=True)

    fields = ["positions", "types", "forces", "energy", "cell", "pbc"]
    loader = Loader(chosen.store, max_atoms=chosen.atoms, seed=1, fields=fields)
    types = np.unique(np.concatenate([b["types"] for b in Loader(loader.store, batch_size=64, fields=["types"])]))
    weights = np.zeros(len(types) ** 2 * BASIS + len(types))
    mean, square, losses = np.zeros_like(weights), np.zeros_like(weights), []

    saved = chosen.run / "checkpoint.npz"
    if saved.exists():
        with np.load(saved) as old:
            weights, mean, square, losses = old["weights"], old["mean"], old["square"], list(old["losses"])
            loader.load_state_dict(json.loads(str(old["loader"])))

    while loader.epoch < chosen.epochs:
        for batch in loader:
            rows, force_rows = features(batch, types)
            atoms = np.diff(batch["ptr"])
            error = rows @ weights - batch["energy"] / atoms
            force_error = force_rows @ weights - batch["forces"].ravel()
            (loss, slope), (force_loss, force_slope) = huber(error), huber(force_error)
            losses.append(loss + force_loss)
            slope = rows.T @ slope + force_rows.T @ force_slope
            # Adam: Kingma and Ba, 2015.
            step = len(losses)
            mean, square = 0.9 * mean + 0.1 * slope, 0.999 * square + 0.001 * slope**2
            weights -= 0.05 * mean / (1 - 0.9**step) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
            # Model and place together: what is there is always of one step.
            new = chosen.run / "new.npz"
            np.savez(new, weights=weights, mean=mean, square=square, losses=losses,
                     loader=json.dumps(loader.state_dict()))
            os.replace(new, saved)
            if step == chosen.stop_after:
                return
        print(f"epoch {loader.epoch}: loss {np.mean(losses[-len(loader):]):.4f}")

    try:
        import matplotlib
    except ImportError:
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot

    pyplot.semilogy(losses)
    pyplot.xlabel("step")
    pyplot.ylabel("loss of energies per atom and forces")
    pyplot.savefig(chosen.run / "loss.png")


if __name__ == "__main__":
    main()
