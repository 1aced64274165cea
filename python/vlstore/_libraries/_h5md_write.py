"""Frames of a store as H5MD: positions, velocities, forces, box, step and time, and numbers of frames as observables."""

from __future__ import annotations

import os
import time as clock
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

import vlstore
from vlstore._core import Exported, MdFrame, Topology, _residues_of
from vlstore._libraries import _h5md_units as units_of
from vlstore._libraries._source import needs
from vlstore.errors import FormatError, InvalidError, StoreExistsError
from vlstore.plugins._round import checked, rounded

#: The group of the particles, as MDAnalysis names it.
GROUP = "trajectory"
# What is written at each frame, and its name in the file.
_MOVING = {"positions": "position", "velocities": "velocity", "forces": "force"}
# What is written once if it is the same in all frames, else for each.
_ATOMS = {"types": "species", "masses": "mass", "charges": "charge"}
_FIELDS = (*_MOVING, *_ATOMS, "cell", "pbc", "energy", "step", "time")
# Frames that are decoded and written in one call.
_AT_ONCE = 16
_EACH = 0.2


def write_h5md(
    store: Any,
    output: str | os.PathLike[str],
    *,
    frames: slice | Iterable[int] | int | None = None,
    atoms: slice | None = None,
    atoms_of: str | None = None,
    fields: list[str] | None = None,
    precision: float | None = None,
    overwrite: bool = False,
    skip_unfit: bool = False,
    progress: Callable[[int, int], Any] | None = None,
) -> Exported:
    """Write frames of a store; the file appears when it is complete."""
    try:
        import h5py
    except ImportError as error:
        raise needs("h5py", "H5MD", error) from error
    unknown = [name for name in fields or () if name not in (*_FIELDS, "stress")]
    if unknown:
        raise InvalidError(f"fields: {unknown[0]!r} is not one of {', '.join(_FIELDS)}")
    output = os.fspath(output)
    if os.path.lexists(output) and not overwrite:
        raise StoreExistsError(f"{output} exists; replace it with overwrite=True, or take another name")
    if _is_store(output):
        raise InvalidError(f"{output}: this is a store, which is not replaced; take another name")
    if not isinstance(store, vlstore.Trajectory):
        raise InvalidError(f"H5MD is made of frames: open the store with records=\"md-frame\", not {store.codec!r}")
    chosen = _chosen(store, frames)
    if not len(chosen):
        raise InvalidError("frames: none is selected")
    real = os.path.realpath(output)
    partial = os.path.join(os.path.dirname(real), f".{os.path.basename(real)}.{os.getpid()}.partial")
    try:
        with h5py.File(partial, "w") as file:
            writer = _Writer(file, store, chosen, atoms, atoms_of, fields, checked(precision))
            writer.write(progress, skip_unfit=skip_unfit)
            if not writer.written:
                raise InvalidError("frames: H5MD can hold none of them")
        os.replace(partial, real)
    finally:
        if os.path.exists(partial):
            os.remove(partial)
    stated = store.attrs.get("units") is not None
    return Exported(writer.written, "h5md", sorted(writer.left_out), writer.skipped, stated)


def _is_store(path: str) -> bool:
    if not os.path.isfile(path):
        return False
    with open(path, "rb") as file:
        return file.read(10)[2:] == b"b2frame\0"


def _chosen(store: Any, frames: Any) -> Any:
    count = len(store)
    if frames is None:
        return range(count)
    if isinstance(frames, slice):
        return range(count)[frames]
    every = [frames] if isinstance(frames, (int, np.integer)) else list(frames)
    for place in every:
        if not -count <= place < count:
            raise InvalidError(f"frames: {place} does not exist, the store has {count}")
    return [int(place) % count for place in every]


def _places(group: str, topology: Topology | None) -> Any:
    """The atoms in residues of a kind."""
    if topology is None or topology.residues is None or topology.residue_names is None:
        raise InvalidError(
            "atoms: the topology of the frames names no residues; give one when they are imported: "
            "vlstore import --topology FILE, a GRO or PDB file of these atoms"
        )
    among = np.array(_residues_of(group, list(topology.residue_names)), bool)
    return np.flatnonzero(among[topology.residues])


class _Writer:
    def __init__(
        self,
        file: Any,
        store: Any,
        chosen: Any,
        atoms: slice | None,
        atoms_of: str | None,
        fields: list[str] | None,
        precision: float | None,
    ) -> None:
        self.file, self.store, self.chosen, self.precision = file, store, chosen, precision
        self.fields = set(_FIELDS) if fields is None else set(fields)
        self.left_out: set[str] = set()
        self.skipped: list[int] = []
        self.written = 0
        first = store.at[chosen[0]]
        self.atoms_of, self.named = atoms_of, first.topology
        self.atoms = None if atoms is None else np.arange(first.nsites)[atoms]
        if atoms_of is not None:
            self.atoms = _places(atoms_of, first.topology)
        self.sites = first.nsites if self.atoms is None else len(self.atoms)
        if not self.sites:
            what = "in this range" if atoms_of is None else f"in residues of the kind {atoms_of}"
            raise InvalidError(f"atoms: of the {first.nsites} atoms of the frame none is {what}")
        self.whole = first.nsites
        self.units = units_of.fields_stated(store.attrs.get("units"))
        self.data: dict[str, Any] = {}
        self._begin(first)

    def _begin(self, first: MdFrame) -> None:
        file = self.file
        about = file.create_group("h5md")
        about.attrs["version"] = np.array([1, 1], np.int32)
        about.create_group("author").attrs["name"] = "N/A"
        creator = about.create_group("creator")
        creator.attrs["name"], creator.attrs["version"] = "vlstore", vlstore.__version__
        self.root = file.create_group(f"particles/{GROUP}")
        box = self.root.create_group("box")
        self.pbc = first.pbc if first.cell is not None and "pbc" in self.fields else None
        self.pbc = self.pbc or ((True,) * 3 if first.cell is not None and first.pbc is None else (False,) * 3)
        box.attrs["dimension"] = np.int32(3)
        box.attrs["boundary"] = ["periodic" if one else "none" for one in self.pbc]
        if first.positions is None or "positions" not in self.fields:
            raise self._refused(0, first, "positions", "it has none, and H5MD is written with positions")
        count = len(self.chosen)
        held = self.root.create_group("position")
        self.step = held.create_dataset("step", (count,), np.int64, maxshape=(None,))
        self.with_time = first.time is not None and "time" in self.fields
        self.time = held.create_dataset("time", (count,), np.float64, maxshape=(None,)) if self.with_time else None
        if self.time is not None and "time" in self.units:
            self.time.attrs["unit"] = self.units["time"]
        for name, called in _MOVING.items():
            value = getattr(first, name)
            if value is not None and name in self.fields:
                round_ = name == "positions" and self.precision is not None
                dtype = np.dtype(np.float32) if round_ else value.dtype
                self._add(self.root.require_group(called), name, (self.sites, 3), dtype)
        if first.cell is not None and "cell" in self.fields:
            self._add(box.create_group("edges"), "cell", (3, 3), np.dtype(np.float64))
        for name, called in _ATOMS.items():
            value = getattr(first, name)
            if value is not None and name in self.fields:
                self._add(self.root.create_group(called), name, (self.sites,), value.dtype)
        if first.energy is not None and "energy" in self.fields:
            self._add(self.file.require_group(f"observables/{GROUP}/energy"), "energy", (), np.dtype(np.float64))
        self._extra(first)
        self._once(first)

    def _add(self, group: Any, name: str, shape: tuple[int, ...], dtype: Any) -> None:
        count = len(self.chosen)
        large = int(np.prod(shape, dtype=np.int64)) > 64
        data = group.create_dataset(
            "value", (count, *shape), dtype, maxshape=(None, *shape), chunks=(1, *shape) if large else True,
            **({"compression": "gzip", "compression_opts": 1, "shuffle": True} if large else {}),
        )
        if name in self.units:
            data.attrs["unit"] = self.units[name]
        # All are sampled as the positions are: the same data sets under other names.
        if "step" not in group:
            group["step"] = self.step
            if self.time is not None:
                group["time"] = self.time
        self.data[name] = data

    def _extra(self, first: MdFrame) -> None:
        """Properties that are numbers: of frames as observables, of atoms as elements."""
        self.of_frame: dict[str, Any] = {}
        self.of_atoms: dict[str, Any] = {}
        for name, value in first.frame_properties.items():
            array = np.asarray(value)
            if array.dtype.kind in "bif" and "/" not in name and name != "energy":
                self._add(self.file.require_group(f"observables/{GROUP}/{name}"), f"p:{name}", array.shape, array.dtype)
                self.of_frame[name] = self.data[f"p:{name}"]
            else:
                self.left_out.add(name)
        for name, value in first.atom_properties.items():
            array = np.asarray(value)
            taken = {*_MOVING.values(), *_ATOMS.values(), "box", *units_of.OTHER_NAMES}
            if array.dtype.kind in "bif" and "/" not in name and name not in taken:
                shape = (self.sites, *array.shape[1:])
                self._add(self.root.create_group(name), f"a:{name}", shape, array.dtype)
                self.of_atoms[name] = self.data[f"a:{name}"]
            else:
                self.left_out.add(name)

    def _once(self, first: MdFrame) -> None:
        """Bonds are the only thing of a topology that has a place, beside types, masses and charges."""
        topology = first.topology
        if topology is None:
            return
        for name in ("names", "residues", "segments", "bond_orders"):
            if getattr(topology, name) is not None:
                self.left_out.add(name)
        if topology.bonds is not None:
            bonds = np.asarray(topology.bonds, np.int64)
            if self.atoms is not None:
                place = np.full(self.whole, -1)
                place[self.atoms] = np.arange(self.sites)
                bonds = place[bonds]
                bonds = bonds[(bonds >= 0).all(axis=1)]
            data = self.file.create_dataset("connectivity/bonds", data=bonds)
            data.attrs["particles_group"] = self.root.ref

    def _refused(self, at: int, frame: MdFrame, field: str, why: str) -> FormatError:
        ordinal = int(self.chosen[at])
        key = self.store.at.key(ordinal)
        error = FormatError(f"frame {ordinal} (key {key!r}), {field}: {why}")
        error.ordinal, error.key, error.field = ordinal, str(key), field
        return error

    def write(self, progress: Callable[[int, int], Any] | None, *, skip_unfit: bool) -> None:
        """All frames, a few at a time."""
        count, shown = len(self.chosen), clock.monotonic()
        for begin in range(0, count, _AT_ONCE):
            part = self.chosen[begin : begin + _AT_ONCE]
            for at, frame in enumerate(self.store.at.batch(part), begin):
                try:
                    self._frame(at, frame)
                except FormatError:
                    if not skip_unfit:
                        raise
                    self.skipped.append(int(self.chosen[at]))
                else:
                    self.written += 1
            now = clock.monotonic()
            if progress is not None and (now - shown >= _EACH or begin + _AT_ONCE >= count):
                shown = now
                progress(min(begin + _AT_ONCE, count), count)
        if self.skipped:
            every = [self.step, *self.data.values(), *([] if self.time is None else [self.time])]
            for data in every:
                data.resize(self.written, axis=0)

    def _frame(self, at: int, frame: MdFrame) -> None:
        if frame.nsites != self.whole:
            raise self._refused(
                at, frame, "positions", f"it has {frame.nsites} atoms, the first frame {self.whole}; H5MD has one number"
            )
        if self.atoms_of is not None and frame.topology != self.named:
            self.named = frame.topology
            self.atoms = _places(self.atoms_of, frame.topology)
        if self.atoms is not None and len(self.atoms) != self.sites:
            raise self._refused(
                at, frame, "positions", f"{len(self.atoms)} of its atoms are chosen, of the first frame {self.sites}"
            )
        row = self.written
        self.step[row] = at if frame.step is None or "step" not in self.fields else frame.step
        if self.time is not None:
            if frame.time is None:
                raise self._refused(at, frame, "time", "it has none, and the first frame has one; leave the field out")
            self.time[row] = frame.time
        elif frame.time is not None and "time" in self.fields:
            self.left_out.add("time")
        for name in (*_MOVING, *_ATOMS, "cell", "energy"):
            value = getattr(frame, name)
            self._put(at, frame, name, value, of_atoms=name in _MOVING or name in _ATOMS)
        if frame.stress is not None:
            self.left_out.add("stress")
        of_frame, of_atoms = frame.frame_properties, frame.atom_properties
        for name in self.of_frame:
            self._put(at, frame, f"p:{name}", of_frame.get(name), of_atoms=False)
        for name in self.of_atoms:
            self._put(at, frame, f"a:{name}", of_atoms.get(name), of_atoms=True)
        self.left_out |= (of_frame.keys() - self.of_frame.keys()) | (of_atoms.keys() - self.of_atoms.keys())

    def _put(self, at: int, frame: MdFrame, name: str, value: Any, *, of_atoms: bool) -> None:
        data = self.data.get(name)
        called = name.partition(":")[2] or name
        if data is None:
            if value is not None and called in self.fields:
                self.left_out.add(called)
            return
        if value is None:
            raise self._refused(
                at, frame, called, "it has none, and the first frame has one; choose the other fields with `fields`"
            )
        value = np.asarray(value)
        value = value if self.atoms is None or not of_atoms else value[self.atoms]
        if name == "positions" and self.precision is not None:
            value = rounded(value, self.precision)
        if value.shape != data.shape[1:]:
            raise self._refused(
                at, frame, called, f"its shape is {value.shape}, that of the first frame {data.shape[1:]}"
            )
        if value.dtype == np.float64 and data.dtype == np.float32:
            raise self._refused(at, frame, called, "it is float64, the first frame has float32")
        data[self.written] = value
