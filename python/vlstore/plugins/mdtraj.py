"""Stores of frames in MDTraj: load, iterate, open and save.

MDTraj knows the format once this module is imported; what needs no other topology than that of the store is here::

    import mdtraj as md
    import vlstore.plugins.mdtraj as vmd

    traj = vmd.load("run.vls")                       # with the topology of the store
    traj = md.load("run.vls", top="conf.pdb", stride=10)
    for part in vmd.iterload("run.vls", chunk=100):
        ...
    vmd.save(traj, "copy.vls")

Lengths are in nm and times in ps.

Needs ``mdtraj`` (``pip install vlstore[mdtraj]``).
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

import vlstore
from vlstore.errors import InvalidError, StoreExistsError
from vlstore.plugins import _units
from vlstore.plugins._elements import SYMBOLS, symbols_of
from vlstore.plugins._round import checked, rounded

try:
    import mdtraj
except ImportError as error:
    raise ImportError("vlstore.plugins.mdtraj needs MDTraj: pip install mdtraj") from error

from mdtraj.core.element import Element, virtual
from mdtraj.formats.registry import FormatRegistry
from mdtraj.utils.unitcell import box_vectors_to_lengths_and_angles, lengths_and_angles_to_box_vectors

__all__ = ["VlsTrajectoryFile", "iterload", "load", "save", "topology"]

# Frames that are decoded, or written, in one call.
_AT_ONCE = 64
_Arrays = tuple[NDArray[np.float32], NDArray[Any] | None, NDArray[Any] | None, NDArray[Any] | None]


class VlsTrajectoryFile:
    """A store as a file of MDTraj: what ``md.open("run.vls")`` returns.

    Parameters
    ----------
    filename : path
        The store.
    mode : {"r", "w", "a"}
        Read; create; add to it, or create it.
    force_overwrite : bool
        Whether a store that exists is replaced in mode ``"w"``.
    topology : mdtraj.Topology
        What is stored with the frames that are written.
    precision : float
        Round positions that are written to 1 / ``precision`` nm.
    **options
        Those of :func:`vlstore.open`.
    """

    distance_unit = "nanometers"

    def __init__(
        self,
        filename: Any,
        mode: str = "r",
        force_overwrite: bool = True,
        topology: Any = None,
        precision: float | None = None,
        **options: Any,
    ) -> None:
        if mode not in ("r", "w", "a"):
            raise InvalidError(f"mode must be r, w or a, not {mode!r}")
        if mode == "w" and not force_overwrite and os.path.exists(filename):
            raise StoreExistsError(f"{filename} exists already: give force_overwrite=True to replace it")
        self._mode, self._at, self._precision = mode, 0, checked(precision)
        self._topology = None if topology is None else topology_from(topology)
        if mode == "r":
            self._store = vlstore.open(filename, records="md-frame", **options)
            self._by = _units.reading(self._store, _units.NM_PS)
        else:
            self._store = _units.writable(filename, mode, _units.NM_PS, options)

    @property
    def n_frames(self) -> int:
        """The number of frames."""
        return len(self._store)

    @property
    def n_atoms(self) -> int:
        """The number of atoms of the first frame."""
        if not len(self._store):
            raise InvalidError(f"{self._store.path} has no frame yet, so the number of its atoms is not known")
        return int(self._store.at.weights([0])[0])

    @property
    def topology(self) -> Any:
        """The topology of the first frame, as MDTraj has it."""
        if not len(self._store):
            raise InvalidError(f"{self._store.path} has no frame yet, so its topology is not known")
        return _topology_to(self._store.at[0])

    def read_as_traj(
        self, topology: Any = None, n_frames: int | None = None, stride: int | None = None, atom_indices: Any = None
    ) -> Any:
        """The next frames as a ``Trajectory``; by default with the topology of the store."""
        topology = self.topology if topology is None else topology
        if atom_indices is not None:
            topology = topology.subset(atom_indices)
        xyz, time, lengths, angles = self.read(n_frames, stride, atom_indices)
        if not len(xyz):
            xyz = np.zeros((0, topology.n_atoms, 3), np.float32)
        return mdtraj.Trajectory(
            xyz, topology, time=time, unitcell_lengths=lengths, unitcell_angles=angles
        )

    def read(
        self, n_frames: int | None = None, stride: int | None = None, atom_indices: Any = None
    ) -> _Arrays:
        """The next ``n_frames`` frames, of each ``stride``-th one.

        Returns positions (frames, atoms, 3) in nm, times in ps, lengths (nm) and angles (degrees) of the cell; the
        last three are None if the frames have none.
        """
        if self._mode != "r":
            raise InvalidError(f"{self._store.path} is open for writing: open it with mode r to read")
        frames = range(self._at, len(self._store), stride or 1)[:n_frames]
        self._at = min(frames[-1] + (stride or 1), len(self._store)) if len(frames) else len(self._store)
        atoms = slice(None) if atom_indices is None else np.asarray(atom_indices, np.int64)
        sites = self.n_atoms if len(frames) else 0
        width = sites if atom_indices is None else len(atoms)
        xyz = np.empty((len(frames), width, 3), np.float32)
        times = np.full(len(frames), np.nan)
        cells = np.full((len(frames), 3, 3), np.nan)
        for first in range(0, len(frames), _AT_ONCE):
            for i, frame in enumerate(self._store.at.batch(frames[first : first + _AT_ONCE]), first):
                self._check(frame, frames[i], sites)
                np.multiply(frame.positions[atoms], self._by.length, out=xyz[i], casting="same_kind")
                if frame.time is not None:
                    times[i] = frame.time * self._by.time
                if frame.cell is not None and frame.pbc != (False, False, False):
                    cells[i] = frame.cell * self._by.length
        time = self._complete(times, "time")
        cells = self._complete(cells, "cell")
        if cells is None or not len(frames):
            return xyz, time, None, None
        found = box_vectors_to_lengths_and_angles(*np.moveaxis(cells, 1, 0))
        return xyz, time, np.stack(found[:3], 1), np.stack(found[3:], 1)

    def _check(self, frame: vlstore.MdFrame, number: int, sites: int) -> None:
        if frame.nsites != sites:
            raise InvalidError(
                f"frame {number} of {self._store.path} has {frame.nsites} atoms, the first one has {sites}; MDTraj reads "
                "frames of one size: write them to stores of their own (vlstore.copy with a range)"
            )
        if frame.positions is None:
            raise InvalidError(f"frame {number} of {self._store.path} has no positions")

    def _complete(self, values: NDArray[np.float64], what: str) -> NDArray[np.float64] | None:
        """The values of all frames; None if a frame has none."""
        missing = np.isnan(values.reshape(len(values), 9 if values.ndim == 3 else 1)).any(1)
        if not missing.any():
            return values
        if not missing.all():
            warnings.warn(
                f"{self._store.path} has frames with a {what} and frames without; MDTraj has it for all frames or none, "
                "so it is left out",
                UserWarning,
                stacklevel=3,
            )
        return None

    def write(
        self, xyz: Any, time: Any = None, cell_lengths: Any = None, cell_angles: Any = None
    ) -> None:
        """Add frames: positions (frames, atoms, 3) in nm, times in ps, cells as lengths and angles."""
        if self._mode == "r":
            raise InvalidError(f"{self._store.path} is open for reading: open it with mode w or a to write")
        xyz = np.asarray(xyz, np.float32)
        xyz = xyz[None] if xyz.ndim == 2 else xyz
        fields: dict[str, Any] = {}
        if time is not None:
            fields["time"] = np.asarray(time, np.float64).reshape(len(xyz))
        if (cell_lengths is None) != (cell_angles is None):
            raise InvalidError("a cell has lengths and angles: give both, or none")
        if cell_lengths is not None:
            lengths, angles = (np.asarray(v, np.float64).reshape(len(xyz), 3) for v in (cell_lengths, cell_angles))
            vectors = lengths_and_angles_to_box_vectors(*lengths.T, *angles.T)
            fields["cell"] = np.stack(vectors, 1)
        for i in range(0, len(xyz), _AT_ONCE):
            part = slice(i, i + _AT_ONCE)
            of_part = {name: values[part] for name, values in fields.items()}
            if "cell" in fields:
                of_part["pbc"] = True
            if self._precision is None:
                self._store.put_frames(xyz[part], topology=self._topology, **of_part)
            else:
                self._store.push_many(self._rounded(xyz[part], of_part))

    def _rounded(self, xyz: NDArray[np.float32], fields: dict[str, Any]) -> Iterator[vlstore.MdFrame]:
        for i, positions in enumerate(xyz):
            of_frame = {name: value if name == "pbc" else value[i] for name, value in fields.items()}
            yield vlstore.MdFrame(
                rounded(positions, self._precision), precision=self._precision, topology=self._topology, **of_frame
            )

    def seek(self, offset: int, whence: int = 0) -> None:
        """Go to a frame: counted from the first one (0), from here (1), from the end (2)."""
        at = offset + {0: 0, 1: self._at, 2: len(self._store)}[whence]
        if not 0 <= at <= len(self._store):
            raise InvalidError(f"{self._store.path} has {len(self._store)} frames, not a frame {at}")
        self._at = at

    def tell(self) -> int:
        """The number of the next frame."""
        return self._at

    def flush(self) -> None:
        """Commit what was written."""
        if self._mode != "r":
            self._store.commit()

    def close(self) -> None:
        """Close the store; a writer commits."""
        self._store.close()

    def __len__(self) -> int:
        return len(self._store)

    def __enter__(self) -> VlsTrajectoryFile:
        return self

    def __exit__(self, *why: object) -> None:
        self.close()


def load(
    filename: Any, top: Any = None, stride: int | None = None, atom_indices: Any = None, frame: int | None = None
) -> Any:
    """The frames of a store as an ``mdtraj.Trajectory``.

    Parameters
    ----------
    filename : path
        The store.
    top : path, Topology or Trajectory
        By default the topology of the store. ``md.load`` wants one in any case, ``md.load_frame`` does not.
    stride : int
        Only each ``stride``-th frame.
    atom_indices : indices
        Only these atoms.
    frame : int
        Only this frame.
    """
    with VlsTrajectoryFile(filename) as file:
        if frame is not None:
            file.seek(frame, 2 if frame < 0 else 0)
            return file.read_as_traj(_topology_of(top), n_frames=1, atom_indices=atom_indices)
        return file.read_as_traj(_topology_of(top), stride=stride, atom_indices=atom_indices)


def iterload(
    filename: Any,
    chunk: int = 100,
    *,
    top: Any = None,
    stride: int | None = None,
    atom_indices: Any = None,
    skip: int = 0,
) -> Iterator[Any]:
    """The frames of a store in parts of ``chunk`` frames, as ``md.iterload``; ``top`` may be that of the store."""
    with VlsTrajectoryFile(filename) as file:
        topology = file.topology if top is None else _topology_of(top)
        file.seek(min(skip, len(file)))
        while True:
            part = file.read_as_traj(topology, n_frames=chunk or None, stride=stride, atom_indices=atom_indices)
            if not len(part):
                return
            yield part


def save(
    trajectory: Any,
    filename: Any,
    *,
    append: bool = False,
    force_overwrite: bool = True,
    precision: float | None = None,
    **options: Any,
) -> None:
    """Write an ``mdtraj.Trajectory`` to a store, with its topology.

    Parameters
    ----------
    trajectory : mdtraj.Trajectory
        Its positions, times and cells.
    filename : path
        The store.
    append : bool
        Add the frames to an existing store.
    force_overwrite : bool
        Whether an existing store is replaced.
    precision : float
        Round positions to 1 / ``precision`` nm.
    **options
        Those of :func:`vlstore.open`.
    """
    with VlsTrajectoryFile(
        filename, "a" if append else "w", force_overwrite, trajectory.topology, precision, **options
    ) as file:
        file.write(trajectory.xyz, trajectory.time, trajectory.unitcell_lengths, trajectory.unitcell_angles)


def topology(filename: Any) -> Any:
    """The topology of the first frame of a store, as an ``mdtraj.Topology``."""
    with VlsTrajectoryFile(filename) as file:
        return file.topology


def _topology_of(top: Any) -> Any:
    if top is None or isinstance(top, mdtraj.Topology):
        return top
    if isinstance(top, mdtraj.Trajectory):
        return top.topology
    return topology(top) if str(top).endswith(".vls") else mdtraj.load_topology(top)


def topology_from(top: Any) -> vlstore.Topology:
    """What a store keeps of an ``mdtraj.Topology``: names, residues, chains, elements and bonds."""
    atoms, residues, chains = list(top.atoms), list(top.residues), list(top.chains)
    of_atoms: dict[str, Any] = {}
    segments = [atom.residue.segment_id for atom in atoms]
    if any(segments):
        of_atoms["segid"] = segments
    if atoms and all(atom.serial is not None for atom in atoms):
        of_atoms["id"] = np.array([atom.serial for atom in atoms], np.int64)
    names = [getattr(chain, "chain_id", None) for chain in chains]
    fields: dict[str, Any] = {}
    bonds = list(top.bonds)
    if bonds:
        fields["bonds"] = [(bond[0].index, bond[1].index) for bond in bonds]
        if all(bond.order is not None for bond in bonds):
            fields["bond_orders"] = [float(bond.order) for bond in bonds]
    return vlstore.Topology(
        nsites=len(atoms),
        names=[atom.name for atom in atoms],
        types=np.array([0 if atom.element is None else atom.element.atomic_number for atom in atoms], np.int32),
        residues=[atom.residue.index for atom in atoms],
        residue_names=[residue.name for residue in residues],
        residue_ids=[residue.resSeq for residue in residues],
        segments=[residue.chain.index for residue in residues],
        segment_names=[str(i) if name is None else str(name) for i, name in enumerate(names)],
        atom_properties=of_atoms,
        **fields,
    )


def _mass_of(symbol: str) -> float | None:
    return Element.getBySymbol(symbol).mass if symbol else None


def _guessed(name: str) -> str:
    """The symbol in the name of an atom, as MDTraj finds it in GRO files: the first letter, and small ones after it."""
    symbol = name[:1] + "".join(letter for letter in name[1:] if letter.islower())
    return symbol if symbol in SYMBOLS else ""


def _topology_to(frame: vlstore.MdFrame) -> Any:
    known = frame.topology or vlstore.Topology(nsites=frame.nsites)
    made = mdtraj.Topology()
    symbols = symbols_of(frame.types, frame.masses, _mass_of)
    if symbols is None:
        named = frame.types is None and known.names is not None
        symbols = [_guessed(name) for name in known.names] if named else [""] * frame.nsites
    names: Iterable[str] = known.names or [symbol or "X" for symbol in symbols]
    of_atoms = frame.atom_properties
    of_residue = np.zeros(frame.nsites, np.int64) if known.residues is None else known.residues
    count = int(np.max(of_residue, initial=0)) + 1
    segments = np.zeros(count, np.int64) if known.segments is None else known.segments
    segids = [""] * count
    for residue, name in zip(of_residue, of_atoms.get("segid", ()), strict=False):
        segids[residue] = name
    chains = [made.add_chain(name) for name in known.segment_names or ["A"]]
    residues = [
        made.add_residue(
            "UNK" if known.residue_names is None else known.residue_names[i],
            chains[segments[i]],
            i + 1 if known.residue_ids is None else int(known.residue_ids[i]),
            segids[i],
        )
        for i in range(count)
    ]
    serials = of_atoms.get("id")
    for i, (name, symbol) in enumerate(zip(names, symbols, strict=True)):
        element = Element.getBySymbol(symbol) if symbol else virtual
        made.add_atom(name, element, residues[of_residue[i]], None if serials is None else int(serials[i]))
    if known.bonds is None:
        made.create_standard_bonds()
    else:
        atoms = list(made.atoms)
        orders = [None] * len(known.bonds) if known.bond_orders is None else known.bond_orders.tolist()
        for (a, b), order in zip(known.bonds.tolist(), orders, strict=True):
            made.add_bond(atoms[a], atoms[b], order=int(order) if order in (1, 2, 3) else None)
    return made


FormatRegistry.register_fileobject(".vls")(VlsTrajectoryFile)
FormatRegistry.register_loader(".vls")(load)
