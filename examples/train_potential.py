"""Fits a small potential to the energies and forces of a store, on a CPU, and goes on after a stop.

    python examples/train_potential.py frames.vls run            # ends, or is stopped (Ctrl-C) or killed
    python examples/train_potential.py frames.vls run            # goes on with the records not yet seen

What an atom sees are sums over its neighbours of radial functions of the distance, times numbers of the element of
the neighbour that are learned, and the lengths of the vectors and tensors that the directions make of them, which
know of angles. A network turns this into the energy of the atom; forces are derivatives of the sum of all energies.
Needs PyTorch (`pip install ".[torch]"` in a clone of the repository); Matplotlib, where it is there, draws
`run/loss.png`.

`run/checkpoint.pt` has the model, the optimizer, the place in the data and the errors so far together, so that all of
it is always of one step.
"""

import argparse
import math
import os
import pathlib
import shlex
import sys

import numpy as np
import torch

import vlstore
from vlstore.loader import Loader, split
from vlstore.torch import Stream

CUTOFF, RADIAL, SPECIES, WIDTH = 5.0, 8, 4, 64
UNITS = {"length": "angstrom", "energy": "eV", "force": "eV/angstrom"}


def neighbours(positions, cell, pbc):
    """Pairs (i, j) of atoms within the cutoff, and what moves j to its image that is near i."""
    shifts = np.zeros((1, 3))
    if pbc.any():
        inverse = np.linalg.inv(cell)
        # As many images as the cutoff reaches over, and as the atoms are spread beyond the cell.
        reach = CUTOFF * np.linalg.norm(inverse, axis=0) + np.ptp(positions @ inverse, axis=0)
        ranges = [np.arange(-n, n + 1) for n in np.where(pbc, np.floor(reach), 0).astype(int)]
        shifts = np.stack(np.meshgrid(*ranges, indexing="ij"), -1).reshape(-1, 3) @ cell
    distance = np.linalg.norm(positions + shifts[:, None, None] - positions[:, None], axis=-1)
    image, i, j = np.nonzero((distance < CUTOFF) & (distance > 1e-6))
    return i, j, shifts[image].astype(np.float32)


class Neighbours:
    """Adds the pairs of neighbours to a batch: the loader calls it for each. Those of a frame are found once."""

    def __init__(self):
        self.known = {}

    def __call__(self, batch):
        ptr, pairs = batch["ptr"], []
        for n, record in enumerate(batch.ordinals.tolist()):
            if record not in self.known:
                positions = batch["positions"][ptr[n] : ptr[n + 1]]
                self.known[record] = neighbours(positions, batch["cell"][n], batch["pbc"][n])
            i, j, shift = self.known[record]
            pairs.append((i + ptr[n], j + ptr[n], shift))
        batch["i"], batch["j"], batch["shift"] = map(np.concatenate, zip(*pairs, strict=True))
        return batch


class Potential(torch.nn.Module):
    """Energies of frames: sums of what a network makes of each atom."""

    def __init__(self, types):
        super().__init__()
        self.register_buffer("types", torch.as_tensor(types))  # the elements that occur, ascending
        self.register_buffer("alone", torch.zeros(len(types), dtype=torch.float64))
        self.register_buffer("scale", torch.ones(3 * RADIAL * SPECIES))
        self.neighbour = torch.nn.Parameter(torch.randn(len(types), SPECIES))
        self.centre = torch.nn.Parameter(torch.randn(len(types), SPECIES))
        self.network = torch.nn.Sequential(
            torch.nn.Linear(3 * RADIAL * SPECIES + SPECIES, WIDTH), torch.nn.SiLU(),
            torch.nn.Linear(WIDTH, WIDTH), torch.nn.SiLU(), torch.nn.Linear(WIDTH, 1),
        )

    def descriptors(self, kinds, positions, batch):
        """What each atom sees, (atoms, 3 * RADIAL * SPECIES); does not change when all atoms turn or move."""
        i, j = batch["i"], batch["j"]
        vector = positions[j] + batch["shift"] - positions[i]
        r = vector.norm(dim=1, keepdim=True)
        centres = torch.linspace(0.8, CUTOFF, RADIAL)
        cut = 0.5 * (1 + torch.cos(math.pi / CUTOFF * r))
        radial = cut * torch.exp(-(((r - centres) / (centres[1] - centres[0])) ** 2))
        learned = (radial[:, :, None] * self.neighbour[kinds[j]][:, None, :]).flatten(1)
        x, y, z = (vector / r).unbind(1)
        two = math.sqrt(2)
        directions = [torch.ones_like(x), x, y, z]
        directions += [x * x - 1 / 3, y * y - 1 / 3, z * z - 1 / 3, two * x * y, two * x * z, two * y * z]
        each = torch.stack(directions, 1)[:, :, None] * learned[:, None, :]
        moments = each.new_zeros(len(kinds), *each.shape[1:]).index_add(0, i, each)
        lengths = [(part.square().sum(1) + 1e-4).sqrt() for part in (moments[:, 1:4], moments[:, 4:])]
        return torch.cat([moments[:, 0], *lengths], 1)

    def energies_and_forces(self, batch, training=False):
        """Of each frame in eV, and of each atom in eV/Å."""
        kinds = torch.searchsorted(self.types, batch["types"])
        positions = batch["positions"].requires_grad_()
        seen = self.descriptors(kinds, positions, batch) / self.scale
        atoms = self.network(torch.cat([seen, self.centre[kinds]], 1)).squeeze(1)
        (slope,) = torch.autograd.grad(atoms.sum(), positions, create_graph=training)
        atoms = atoms.double() + self.alone[kinds]
        frames = atoms.new_zeros(len(batch["ptr"]) - 1).index_add(0, batch["batch"], atoms)
        return frames, -slope

    @torch.no_grad()
    def fit(self, stream):
        """Energies of the atoms alone, by least squares, and the scale of what atoms see."""
        counts, energies, seen = [], [], []
        for batch in stream:
            kinds = torch.searchsorted(self.types, batch["types"])
            hot = torch.nn.functional.one_hot(kinds, len(self.types)).double()
            counts.append(hot.new_zeros(len(batch["ptr"]) - 1, len(self.types)).index_add(0, batch["batch"], hot))
            energies.append(batch["energy"])
            seen.append(self.descriptors(kinds, batch["positions"], batch))
        rows, atoms = torch.cat(counts), torch.cat(counts).sum(1, keepdim=True)
        rows, right = rows / atoms, torch.cat(energies) / atoms.squeeze(1)
        ridge = 1e-6 * len(rows) * torch.eye(len(self.types), dtype=torch.float64)
        self.alone.copy_(torch.linalg.solve(rows.T @ rows + ridge, rows.T @ right))
        self.scale.copy_(torch.cat(seen).square().mean(0).sqrt() + 1e-3)


def errors(model, stream):
    """Mean absolute errors of energies, meV/atom, and of components of forces, meV/Å."""
    energy, forces = [], []
    for batch in stream:
        found, pushed = model.energies_and_forces(batch)
        energy.append((found - batch["energy"]).detach().abs() / batch["ptr"].diff())
        forces.append((pushed - batch["forces"]).abs().flatten())
    return [1000 * float(torch.cat(energy).mean()), 1000 * float(torch.cat(forces).mean())]


def baseline(training, validation):
    """The same errors of who knows the mean alone: of the energy per atom, and no force."""
    mean = torch.cat([b["energy"] / b["ptr"].diff() for b in training]).mean()
    energy = torch.cat([(b["energy"] / b["ptr"].diff() - mean).abs() for b in validation])
    forces = torch.cat([b["forces"].abs().flatten() for b in validation])
    return [1000 * float(energy.mean()), 1000 * float(forces.mean())]


def draw(run, rows, base):
    """The errors by epoch, as a picture."""
    try:
        import matplotlib
    except ImportError:
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot

    table, what = np.array(rows), [("energy", "meV/atom"), ("forces", "meV/Å")]
    figure, axes = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for axis, (name, unit), mean, column in zip(axes, what, base, (1, 2), strict=True):
        axis.semilogy(table[:, 0], table[:, column], label="training")
        axis.semilogy(table[:, 0], table[:, column + 2], label="validation")
        axis.axhline(mean, color="gray", linestyle="--", label="the mean alone (validation)")
        axis.set(xlabel="epoch", ylabel=f"mean absolute error of {name}, {unit}")
        axis.legend()
    figure.savefig(run / "new.png", dpi=120)
    pyplot.close(figure)
    os.replace(run / "new.png", run / "loss.png")


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("store", help="frames with energies and forces")
    options.add_argument("run", type=pathlib.Path, help="folder of the checkpoint")
    options.add_argument("--epochs", type=int, default=100)
    options.add_argument("--atoms", type=int, default=150, help="most atoms of a batch, at least those of the largest frame")
    options.add_argument("--rate", type=float, default=5e-3, help="how far the first steps go")
    options.add_argument("--weight", type=float, default=10.0, help="of energies beside forces, in the loss")
    options.add_argument("--save-every", type=int, default=50, metavar="STEPS")
    options.add_argument("--stop-after", type=int, metavar="STEPS", help="end after so many steps, as if killed")
    chosen = options.parse_args()
    chosen.run.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(1)
    torch.use_deterministic_algorithms(True)

    store = vlstore.open(chosen.store)
    largest = int(store.at.weights().max(initial=0))
    if largest > chosen.atoms:
        sys.exit(
            f"{chosen.store}: a frame has {largest} atoms, and a batch {chosen.atoms} at most: "
            f"give --atoms {largest} or more"
        )
    known, unknown = split(len(store), [0.9, 0.1], seed=1)
    how = {
        "max_atoms": chosen.atoms,
        "fields": ["positions", "types", "forces", "energy", "cell", "pbc"],
        "dtype": {"positions": "float32", "forces": "float32", "energy": "float64", "cell": "float64"},
        "units": UNITS if "units" in store.attrs else None,
        "missing": "fill",
        "fill_value": {"cell": 0.0, "pbc": 0},
        "transform": Neighbours(),
    }
    loader = Loader(store, records=known, seed=1, **how)
    # The same frames in order, for the errors of an epoch, and those that are never learned.
    training, validation = (
        Stream(Loader(store, records=part, shuffle=False, **how)) for part in (known, unknown)
    )
    base = baseline(training, validation)
    if not np.isfinite(base).all():
        sys.exit(f"{chosen.store}: some frames have no energy or no forces (vlstore import --map NAME=energy)")

    types = torch.unique(torch.cat([batch["types"] for batch in training]))
    model = Potential(types)
    optimizer = torch.optim.Adam(model.parameters())
    losses, rows = [], []
    if (chosen.run / "checkpoint.pt").exists():
        saved = torch.load(chosen.run / "checkpoint.pt", weights_only=True)
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        loader.load_state_dict(saved["loader"])
        losses, rows = saved["losses"], saved["errors"]
        print(f"goes on in epoch {loader.epoch + 1} at {100 * loader.progress:.0f} %, behind step {len(losses)}")
    else:
        model.fit(training)

    def save():
        """Model and place together, all of it or none."""
        state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "loader": loader.state_dict()}
        torch.save({**state, "losses": losses, "errors": rows}, chosen.run / "new.pt")
        os.replace(chosen.run / "new.pt", chosen.run / "checkpoint.pt")

    while len(rows) < chosen.epochs:
        for batch in Stream(loader):
            # The rate falls to zero, by a half cosine.
            done = (len(rows) + loader.progress) / chosen.epochs
            optimizer.param_groups[0]["lr"] = chosen.rate * 0.5 * (1 + math.cos(math.pi * min(done, 1)))
            energies, forces = model.energies_and_forces(batch, training=True)
            atoms = batch["ptr"].diff()
            off = torch.nn.functional.smooth_l1_loss
            loss = chosen.weight * off(energies / atoms, batch["energy"] / atoms, beta=0.1)
            loss = loss + off(forces, batch["forces"], beta=0.1)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
            optimizer.step()
            losses.append(loss.item())
            if len(losses) % chosen.save_every == 0 or len(losses) == chosen.stop_after:
                save()
            if len(losses) == chosen.stop_after:
                return
        rows.append([len(rows) + 1, *errors(model, training), *errors(model, validation)])
        save()
        line = "epoch {:4d}: training {:7.1f} meV/atom {:7.1f} meV/Å, validation {:7.1f} meV/atom {:7.1f} meV/Å"
        print(line.format(*rows[-1]), flush=True)
    print("the mean alone: {:.1f} meV/atom {:.1f} meV/Å".format(*base))
    draw(chosen.run, rows, base)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        command = shlex.join(["python", *sys.argv])
        print(f"stopped; this goes on behind the last checkpoint: {command}", file=sys.stderr)
        sys.exit(130)
