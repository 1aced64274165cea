"""Data sets that the comparison makes for itself, the same ones each time.

What decides how well such data compresses, and how much a record costs beside its numbers, is the number of sites,
the scatter of the last bits and what repeats: so positions are displaced thermally from a geometry, forces follow
from the displacements, and the numbers keep all bits of float32.
"""

from dataclasses import dataclass

import numpy as np

SPRING = 20.0  # eV / angstrom^2
KT = 0.02585  # eV, at 300 K


@dataclass
class Frames:
    """Frames of different sizes, site after site; `starts` has one entry more than there are frames."""

    name: str
    starts: np.ndarray
    types: np.ndarray  # uint8, one a site
    positions: np.ndarray  # float32, angstrom, (sites, 3)
    forces: np.ndarray  # float32, eV / angstrom, (sites, 3)
    energy: np.ndarray  # float64, eV, one a frame

    def __len__(self):
        return len(self.starts) - 1

    @property
    def raw(self):
        """Bytes of the arrays as they are."""
        return sum(a.nbytes for a in (self.types, self.positions, self.forces, self.energy))

    @property
    def keys(self):
        """A string key for each frame, ascending."""
        return [f"{self.name[:3]}_{i:08d}" for i in range(len(self))]


def _rotations(rng, count):
    """Random rotation matrices, by the QR decomposition of Gaussian ones (Stewart 1980)."""
    q, r = np.linalg.qr(rng.normal(size=(count, 3, 3)))
    q *= np.sign(np.diagonal(r, axis1=1, axis2=2))[:, None, :]
    q[:, :, 0] *= np.sign(np.linalg.det(q))[:, None]
    return q


def _grown(rng, sites):
    """A molecule grown atom by atom: 1.4 angstrom from one that is there, 1.1 from all others at least."""
    x = np.zeros((sites, 3))
    n = 1
    while n < sites:
        step = rng.normal(size=3)
        new = x[rng.integers(n)] + 1.4 * step / np.linalg.norm(step)
        if np.min(np.linalg.norm(x[:n] - new, axis=1)) > 1.1:
            x[n] = new
            n += 1
    return x


def _thermal(rng, name, geometries, types, counts):
    """Frames that scatter around geometries: harmonic displacements, their forces and their energy."""
    sizes = np.concatenate([np.full(c, len(g)) for g, c in zip(geometries, counts)])
    starts = np.concatenate([[0], np.cumsum(sizes)])
    positions = np.empty((starts[-1], 3), np.float32)
    forces = np.empty((starts[-1], 3), np.float32)
    kinds = np.empty(starts[-1], np.uint8)
    energy = np.empty(len(sizes))
    frame = 0
    for geometry, kind, count in zip(geometries, types, counts):
        moved = rng.normal(scale=np.sqrt(KT / SPRING), size=(count, *geometry.shape))
        turned = _rotations(rng, count)
        part = slice(starts[frame], starts[frame + count])
        positions[part] = ((geometry + moved) @ turned).reshape(-1, 3)
        forces[part] = (-SPRING * moved @ turned).reshape(-1, 3)
        kinds[part] = np.tile(kind, count)
        energy[frame : frame + count] = 0.5 * SPRING * (moved**2).sum((1, 2))
        frame += count
    order = rng.permutation(frame)
    sites = np.concatenate([np.arange(starts[i], starts[i + 1]) for i in order])
    starts = np.concatenate([[0], np.cumsum(sizes[order])])
    return Frames(name, starts, kinds[sites], positions[sites], forces[sites], energy[order])


def molecules(count=200_000, seed=1):
    """Molecules of 9 to 29 sites, 0.5 KB each."""
    rng = np.random.default_rng(seed)
    shapes = [_grown(rng, int(n)) for n in rng.integers(9, 30, 400)]
    types = [rng.choice(np.array([1, 6, 7, 8], np.uint8), len(s)) for s in shapes]
    counts = np.bincount(rng.integers(0, len(shapes), count), minlength=len(shapes))
    return _thermal(rng, "molecules", shapes, types, counts)


def crystals(count=50_000, seed=2):
    """Crystals of 64 sites, 1.6 KB each."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*[np.arange(4.0)] * 3, indexing="ij"), -1).reshape(-1, 3)
    strains = np.eye(3) + rng.normal(scale=0.02, size=(200, 3, 3))
    shapes = [2.6 * grid @ strain for strain in strains]
    types = [np.tile(rng.choice(np.arange(3, 60, dtype=np.uint8), 2), 32) for _ in shapes]
    counts = np.bincount(rng.integers(0, len(shapes), count), minlength=len(shapes))
    return _thermal(rng, "crystals", shapes, types, counts)


def chains(count=2_000, seed=3):
    """Chains of 100 to 1 900 sites, 25 KB on average."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(100, 1_900, 20)
    shapes = [np.cumsum(rng.normal(scale=2.2, size=(int(n), 3)), 0) for n in sizes]
    types = [np.full(len(s), 6, np.uint8) for s in shapes]
    counts = np.bincount(rng.integers(0, len(shapes), count), minlength=len(shapes))
    return _thermal(rng, "chains", shapes, types, counts)


def mixed(count=3_000, seed=4):
    """Chains of 100 to 1 200 sites, 16 KB on average."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(100, 1_201, 60)
    shapes = [np.cumsum(rng.normal(scale=2.2, size=(int(n), 3)), 0) for n in sizes]
    types = [rng.choice(np.array([1, 6, 7, 8], np.uint8), len(s)) for s in shapes]
    counts = np.bincount(rng.integers(0, len(shapes), count), minlength=len(shapes))
    return _thermal(rng, "mixed", shapes, types, counts)


SETS = {"molecules": molecules, "crystals": crystals, "chains": chains}
