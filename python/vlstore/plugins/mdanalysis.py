"""Stores of frames in MDAnalysis: a reader, a writer and a parser of topologies.

MDAnalysis knows them once this module is imported::

    import MDAnalysis as mda
    import vlstore.plugins.mdanalysis

    u = mda.Universe("conf.gro", "run.vls")
    u = mda.Universe("run.vls")             # a store that has a topology
    u.atoms.write("copy.vls", frames="all")

Numbers are converted to the units of MDAnalysis: Å, ps, Å/ps, kJ/(mol Å), kJ/mol. The energy of a frame, its step and its
extra properties are in ``ts.data``.

Needs ``MDAnalysis`` (``pip install vlstore[MDAnalysis]``).
"""

from __future__ import annotations

import time as clock
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

import vlstore
from vlstore.errors import InvalidError
from vlstore.plugins import _units
from vlstore.plugins._elements import numbers, symbols_of
from vlstore.plugins._round import checked, rounded

try:
    import MDAnalysis  # noqa: F401
except ImportError as error:
    raise ImportError("vlstore.plugins.mdanalysis needs MDAnalysis: pip install MDAnalysis") from error

from MDAnalysis.coordinates.base import ReaderBase, WriterBase
from MDAnalysis.core import topologyattrs as attributes
from MDAnalysis.core.topology import Topology as _Topology
from MDAnalysis.lib.mdamath import triclinic_box, triclinic_vectors
from MDAnalysis.lib.util import store_init_arguments
from MDAnalysis.topology.base import TopologyReaderBase

try:
    from MDAnalysis.guesser import tables
except ImportError:  # before 2.8
    from MDAnalysis.topology import tables

__all__ = ["Parser", "Reader", "Writer"]

_UNITS = {"time": "ps", "length": "Angstrom", "velocity": "Angstrom/ps", "force": "kJ/(mol*Angstrom)"}
# Frames that are decoded in one call for a time series.
_AT_ONCE = 64
# Properties of atoms, by the names that the importer of PDB gives them, and the attributes of MDAnalysis.
_BY_ATOM = {
    "altloc": "altLocs",
    "chain": "chainIDs",
    "formal_charge": "formalcharges",
    "id": "ids",
    "occupancy": "occupancies",
    "radius": "radii",
    "tempfactor": "tempfactors",
    "type": "types",
}
_CLASSES = {
    "altLocs": attributes.AltLocs,
    "chainIDs": attributes.ChainIDs,
    "formalcharges": attributes.FormalCharges,
    "ids": attributes.Atomids,
    "occupancies": attributes.Occupancies,
    "radii": attributes.Radii,
    "tempfactors": attributes.Tempfactors,
    "types": attributes.Atomtypes,
}


class Reader(ReaderBase):
    """The frames of a store; what ``Universe(topology, "run.vls")`` has as ``trajectory``.

    The number of frames is that of the last commit at the time of opening; :meth:`refresh` looks for new ones, and
    :meth:`follow` waits for them. All frames must have the number of atoms of the first.

    Parameters
    ----------
    filename : path
        The store. It may be written to by another process at the same time.
    convert_units : bool
        Convert from the units that the store states; without, its numbers are taken as they are.
    dt : float
        Time between frames in ps. By default the times of the frames count.
    """

    format = "VLS"
    units = _UNITS

    @store_init_arguments
    def __init__(self, filename: Any, convert_units: bool = True, dt: float | None = None, **kwargs: Any) -> None:
        if dt is not None:
            kwargs["dt"] = dt
        super().__init__(filename, convert_units=convert_units, **kwargs)
        self._dt = dt
        self._store = vlstore.open(self.filename, records="md-frame")
        self._n_frames = len(self._store)
        if not self._n_frames:
            raise InvalidError(f"{self.filename} has no frame yet, so the number of its atoms is not known")
        self._by = _units.reading(self._store, _units.MDANALYSIS) if convert_units else _units.Factors()
        self._extra: list[str] = []
        self._warned = False
        first = self._store.at[0]
        self.n_atoms = first.nsites
        self.ts = self._Timestep(
            self.n_atoms,
            positions=first.positions is not None,
            velocities=first.velocities is not None,
            forces=first.forces is not None,
            **self._ts_kwargs,
        )
        if dt is None and self._n_frames > 1 and first.time is not None:
            second = self._store.at[1].time
            if second is not None:
                self.ts.dt = (second - first.time) * self._by.time
        self._fill(first, 0)

    @property
    def n_frames(self) -> int:
        """Frames that are read: those of the time of opening, or of the last :meth:`refresh`."""
        return self._n_frames

    @staticmethod
    def parse_n_atoms(filename: Any, **kwargs: Any) -> int:
        """The number of atoms of the first frame."""
        with vlstore.open(filename, records="md-frame") as store:
            if not len(store):
                raise InvalidError(f"{filename} has no frame yet, so the number of its atoms is not known")
            return int(store.at.weights([0])[0])

    def refresh(self) -> int:
        """Look for frames that were committed since; the number of new ones.

        It is negative if a run that went back to its checkpoint deleted frames that come again.
        """
        self._store.refresh()
        before, self._n_frames = self._n_frames, len(self._store)
        return self._n_frames - before

    def follow(self, start: int = 0, *, timeout: float = 60.0, poll: float = 0.2) -> Iterator[Any]:
        """Iterate over the frames from ``start`` on, and over those that are written meanwhile.

        Ends when there was no new frame for ``timeout`` seconds; looks for them every ``poll`` seconds. Frames that a
        run writes again after it went back to its checkpoint are not shown twice.
        """
        at, last = start, clock.monotonic()
        while True:
            while at < self._n_frames:
                yield self[at]
                at, last = at + 1, clock.monotonic()
            if self.refresh() <= 0:
                if clock.monotonic() - last >= timeout:
                    return
                clock.sleep(poll)

    def _reopen(self) -> None:
        if self._store.closed:
            self._store = vlstore.open(self.filename, records="md-frame")
        self._frame = -1

    def _read_next_timestep(self, ts: Any = None) -> Any:
        if self._frame + 1 >= self._n_frames:
            raise EOFError(f"{self.filename} has {self._n_frames} frames")
        return self._read_frame(self._frame + 1)

    def _read_frame(self, frame: int) -> Any:
        return self._fill(self._store.at[int(frame)], int(frame))

    def _fill(self, frame: vlstore.MdFrame, number: int) -> Any:
        """The numbers of the frame, in the time step."""
        ts, by = self.ts, self._by
        if frame.nsites != self.n_atoms:
            raise InvalidError(
                f"frame {number} of {self.filename} has {frame.nsites} atoms, the first one has {self.n_atoms}; "
                "MDAnalysis reads frames of one size: write them to stores of their own (vlstore.copy with a range)"
            )
        ts.frame = self._frame = number
        for name, values, factor in (
            ("positions", frame.positions, by.length),
            ("velocities", frame.velocities, by.velocity),
            ("forces", frame.forces, by.force),
        ):
            setattr(ts, f"has_{name}", values is not None)
            if values is not None:
                np.multiply(values, np.float32(factor) if values.dtype == np.float32 else factor,
                            out=getattr(ts, name), casting="same_kind")
        data = ts.data
        for name in self._extra:
            data.pop(name, None)
        extra = frame.frame_properties
        if frame.step is not None:
            extra["step"] = frame.step
        if frame.energy is not None:
            extra["energy"] = frame.energy * by.energy
        if frame.stress is not None:
            extra["stress"] = frame.stress * by.stress
        if frame.time is not None and self._dt is None:
            extra["time"] = frame.time * by.time
        self._extra = list(extra)
        data.update(extra)
        ts.dimensions = self._box(frame, number)
        return ts

    def _box(self, frame: vlstore.MdFrame, number: int) -> NDArray[np.float32] | None:
        cell = frame.cell
        if cell is None or frame.pbc == (False, False, False):
            return None
        box = triclinic_box(*cell)
        if not self._warned and (cell[0, 1] or cell[0, 2] or cell[1, 2]):
            self._warned = True
            warnings.warn(
                f"the cell of frame {number} of {self.filename} is not in the orientation that MDAnalysis takes for "
                "granted (the first vector along x, the second in the plane of x and y): distances across "
                "its faces are wrong until the positions are rotated",
                UserWarning,
                stacklevel=3,
            )
        box[:3] *= np.float32(self._by.length)
        return box

    def timeseries(
        self,
        asel: Any = None,
        atomgroup: Any = None,
        start: int | None = None,
        stop: int | None = None,
        step: int | None = None,
        order: str | None = "fac",
    ) -> NDArray[np.float32]:
        """Positions of many frames as one array, decoded on all cores; see ``ReaderBase.timeseries``."""
        if asel is not None:
            if atomgroup is not None:
                raise ValueError("Cannot provide both asel and atomgroup: they are the same")
            text = "the asel argument to timeseries is called atomgroup since MDAnalysis 2.7"
            warnings.warn(text, DeprecationWarning, stacklevel=2)
        chosen = asel if atomgroup is None else atomgroup
        if self.transformations or self._auxs or sorted(order or "") != list("acf"):
            return super().timeseries(
                atomgroup=chosen, start=start, stop=stop, step=step, order=order  # type: ignore[no-any-return]
            )
        if chosen is not None and len(chosen) == 0:
            raise ValueError("Timeseries requires at least one atom to analyze")
        frames = range(*self.check_slice_indices(start, stop, step))
        atoms = None if chosen is None else chosen.ix
        series = np.empty((len(frames), self.n_atoms if atoms is None else len(atoms), 3), np.float32)
        for first in range(0, len(frames), _AT_ONCE):
            part = frames[first : first + _AT_ONCE]
            found = self._store.at.arrays(part, ["positions"])
            if np.any(np.diff(found["ptr"]) != self.n_atoms):
                return super().timeseries(atomgroup=chosen, start=start, stop=stop, step=step, order=order)
            positions = found["positions"].reshape(len(part), self.n_atoms, 3)
            positions = positions if atoms is None else positions[:, atoms]
            factor = self._by.length
            np.multiply(
                positions, np.float32(factor) if positions.dtype == np.float32 else factor,
                out=series[first : first + len(part)], casting="same_kind",
            )
        return np.moveaxis(series, ["fac".index(axis) for axis in order], [0, 1, 2])

    def Writer(self, filename: Any, n_atoms: int | None = None, **kwargs: Any) -> Writer:  # noqa: N802
        """A writer for another store, of as many atoms."""
        return Writer(filename, self.n_atoms if n_atoms is None else n_atoms, **kwargs)

    def close(self) -> None:
        """Close the store."""
        store = getattr(self, "_store", None)
        if store is not None:
            store.close()


class Writer(WriterBase):
    """Writes atoms to a store: ``Writer("run.vls", n_atoms=u.atoms.n_atoms)``, then ``write(u.atoms)`` for each frame.

    Positions, velocities and forces are float32, as MDAnalysis has them. A box is stored as cell vectors.

    Parameters
    ----------
    filename : path
        The store.
    n_atoms : int
        Number of atoms of all frames.
    append : bool
        Add to an existing store; without, it is replaced.
    positions, velocities, forces : bool
        Whether they are stored, if the atoms have them.
    data : bool
        Whether ``ts.data`` is stored: ``energy`` (kJ/mol) and ``step`` as fields, other numbers, strings and arrays as
        properties of the frame.
    topology : bool
        Whether names, residues, segments, elements, masses, charges and bonds are stored, once for all frames.
    precision : float
        Round positions to 1 / ``precision`` Å. By default they are stored as they are. A
        :func:`vlstore.copy` with ``positions="quantised"`` stores rounded positions as integers.
    options : dict
        Options of :func:`vlstore.open`, such as ``commit_interval``.
    **kwargs
        What MDAnalysis gives to all writers (``start``, ``step``, ``dt``, ``remarks``) has no effect.
    """

    format = "VLS"
    multiframe = True
    units = _UNITS

    def __init__(
        self,
        filename: Any,
        n_atoms: int | None = None,
        *,
        append: bool = False,
        positions: bool = True,
        velocities: bool = True,
        forces: bool = True,
        data: bool = True,
        topology: bool = True,
        precision: float | None = None,
        options: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if n_atoms == 0:
            raise ValueError("a writer needs at least one atom")
        self.filename = str(filename)
        self.n_atoms = n_atoms
        self._chosen = {"positions": positions, "velocities": velocities, "forces": forces}
        self._data, self._with_topology, self._precision = data, topology, checked(precision)
        self._topology: vlstore.Topology | None = None
        self._written: Any = None
        self._store = _units.writable(self.filename, "a" if append else "w", _units.MDANALYSIS, options or {})

    def _write_next_frame(self, obj: Any) -> None:
        try:
            atoms = obj.atoms
            ts = getattr(obj, "ts", None) or obj.trajectory.ts
        except AttributeError:
            raise TypeError(f"an AtomGroup or a Universe is written, not a {type(obj).__name__}") from None
        if self.n_atoms is None:
            self.n_atoms = len(atoms)
        if len(atoms) != self.n_atoms:
            raise InvalidError(f"{self.filename} is written with {self.n_atoms} atoms, not {len(atoms)}")
        fields: dict[str, Any] = {}
        for name, chosen in self._chosen.items():
            if chosen and getattr(ts, f"has_{name}"):
                fields[name] = getattr(ts, name)
        if self._precision is not None and "positions" in fields:
            fields["positions"] = rounded(fields["positions"], self._precision)
            fields["precision"] = self._precision
        extra = self._extra(ts.data, fields) if self._data else {}
        if "time" in ts.data or "dt" in ts.data:
            fields["time"] = float(ts.time)
        if ts.dimensions is not None:
            # In this width they give the same lengths and angles again.
            fields["cell"], fields["pbc"] = triclinic_vectors(ts.dimensions, dtype=np.float64), True
        frame = vlstore.MdFrame(
            nsites=self.n_atoms, topology=self._topology_of(atoms), frame_properties=extra, **fields
        )
        self._store.push(frame)

    @staticmethod
    def _extra(data: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
        extra: dict[str, Any] = {}
        for name, value in data.items():
            if name in ("dt", "time", "time_offset"):
                continue
            if name == "step":
                fields["step"] = int(value)
            elif name == "energy" and np.ndim(value) == 0:
                fields["energy"] = float(value)
            elif name == "stress" and np.shape(value) == (3, 3):
                fields["stress"] = np.asarray(value, np.float64)
            elif isinstance(value, (bool, int, float, str, np.bool_, np.integer, np.floating)):
                extra[name] = value
            elif isinstance(value, np.ndarray) and value.dtype.kind in "bif":
                extra[name] = value
        return extra

    def _topology_of(self, atoms: Any) -> vlstore.Topology | None:
        if not self._with_topology:
            return None
        if self._written is None or not np.array_equal(self._written, atoms.ix):
            self._written, self._topology = atoms.ix.copy(), topology_of(atoms)
        return self._topology

    def close(self) -> None:
        """Commit, and close the store."""
        store = getattr(self, "_store", None)
        if store is not None:
            store.close()


def topology_of(atoms: Any) -> vlstore.Topology:
    """The topology of an ``AtomGroup``: names, residues, segments, elements, masses, charges, bonds inside of it."""
    residues, segments = atoms.residues, atoms.segments
    fields: dict[str, Any] = {"nsites": len(atoms), "residues": np.searchsorted(residues.ix, atoms.resindices)}
    for name, attribute in (("masses", "masses"), ("charges", "charges"), ("names", "names")):
        if hasattr(atoms, attribute):
            fields[name] = getattr(atoms, attribute)
    if "masses" in fields and np.isnan(fields["masses"]).any():
        del fields["masses"]
    for name, attribute in (("residue_names", "resnames"), ("residue_ids", "resids")):
        if hasattr(residues, attribute):
            fields[name] = getattr(residues, attribute)
    if hasattr(segments, "segids"):
        fields["segments"] = np.searchsorted(segments.ix, residues.segindices)
        fields["segment_names"] = segments.segids
    types = numbers(atoms.elements) if hasattr(atoms, "elements") else None
    if types is not None:
        fields["types"] = types
    if hasattr(atoms, "bonds"):
        pairs = np.array(atoms.bonds.indices).reshape(-1, 2)
        place = np.full(max(atoms.ix.max(initial=-1), pairs.max(initial=-1)) + 1, -1)
        place[atoms.ix] = np.arange(len(atoms))
        pairs = place[pairs]
        fields["bonds"] = pairs[(pairs >= 0).all(axis=1)]
    of_atoms: dict[str, Any] = {}
    for name, attribute in _BY_ATOM.items():
        if hasattr(atoms, attribute):
            values = getattr(atoms, attribute)
            of_atoms[name] = [str(v) for v in values] if values.dtype == object else values
    if hasattr(atoms, "record_types"):
        of_atoms["hetatm"] = np.array(atoms.record_types == "HETATM", bool)
    if hasattr(atoms, "icodes"):
        of_atoms["icode"] = [str(v) for v in atoms.icodes]
    fields = {
        name: [str(v) for v in value] if name in ("names", "residue_names", "segment_names") else value
        for name, value in fields.items()
    }
    return vlstore.Topology(**fields, atom_properties=of_atoms)


class Parser(TopologyReaderBase):
    """The topology of the first frame of a store; what ``Universe("run.vls")`` takes its atoms from.

    Without a topology, the types, masses and charges of the frame count. Elements are taken from types that are atomic
    numbers.
    """

    format = "VLS"

    def parse(self, **kwargs: Any) -> _Topology:
        """The topology, for MDAnalysis."""
        with vlstore.open(self.filename, records="md-frame") as store:
            if not len(store):
                raise InvalidError(f"{self.filename} has no frame yet, so its topology is not known")
            return _parsed(store.at[0])


def _parsed(frame: vlstore.MdFrame) -> _Topology:
    known = frame.topology or vlstore.Topology(nsites=frame.nsites)
    n = frame.nsites
    texts = lambda values: np.array(values, dtype=object)  # noqa: E731
    attrs: list[Any] = []
    elements = symbols_of(frame.types, frame.masses, tables.masses.get)
    if elements is not None:
        attrs.append(attributes.Elements(texts(elements)))
    if known.names is not None:
        attrs.append(attributes.Atomnames(texts(known.names)))
    elif elements is not None:
        attrs.append(attributes.Atomnames(texts(elements), guessed=True))
    if frame.masses is not None:
        attrs.append(attributes.Masses(np.array(frame.masses, np.float64)))
    if frame.charges is not None:
        attrs.append(attributes.Charges(np.array(frame.charges, np.float64)))
    of_atoms = frame.atom_properties
    if "type" not in of_atoms and frame.types is not None:
        of_atoms["type"] = elements or [str(number) for number in frame.types]
    if "id" not in of_atoms:
        of_atoms["id"] = np.arange(1, n + 1)
    for name, attribute in _BY_ATOM.items():
        if name in of_atoms:
            values = of_atoms[name]
            attrs.append(_CLASSES[attribute](texts(values) if isinstance(values, list) else np.array(values)))
    if "hetatm" in of_atoms:
        hetero = np.asarray(of_atoms["hetatm"], bool)
        attrs.append(attributes.RecordTypes(np.where(hetero, "HETATM", "ATOM").astype(object)))

    residues = np.zeros(n, np.int64) if known.residues is None else np.array(known.residues, np.int64)
    count = int(residues.max(initial=-1)) + 1
    ids = np.arange(1, count + 1) if known.residue_ids is None else np.array(known.residue_ids[:count], np.int64)
    attrs += [attributes.Resids(ids), attributes.Resnums(ids.copy())]
    if known.residue_names is not None:
        attrs.append(attributes.Resnames(texts(known.residue_names[:count])))
    if "icode" in of_atoms:
        first = np.zeros(count, np.int64)
        first[residues[::-1]] = np.arange(n)[::-1]
        attrs.append(attributes.ICodes(texts(of_atoms["icode"])[first]))
    if known.segments is None:
        segments, names = np.zeros(count, np.int64), ["SYSTEM"]
    else:
        segments, names = np.array(known.segments[:count], np.int64), known.segment_names
    attrs.append(attributes.Segids(texts(names)))
    if known.bonds is not None:
        attrs.append(attributes.Bonds([tuple(pair) for pair in known.bonds.tolist()]))
    return _Topology(n, count, len(names), attrs=attrs, atom_resindex=residues, residue_segindex=segments)
