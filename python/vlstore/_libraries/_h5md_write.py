"""Frames of a store as H5MD: positions, velocities, forces, box, step and time, and numbers of frames as observables."""

from __future__ import annotations

import os
import time as clock
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

import vlstore
from vlstore._core import Exported, MdFrame
from vlstore._libraries import _h5md_units as units_of
from vlstore._libraries._source import needs
from vlstore.errors import FormatError, InvalidError, StoreExistsError

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
    fields: list[str] | None = None,
    overwrite: bool = False,
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
            writer = _Writer(file, store, chosen, atoms, fields)
            writer.write(progress)
        os.replace(partial, real)
    finally:
        if os.path.exists(partial):
            os.remove(partial)
    return Exported(len(chosen), "h5md", sorted(writer.left_out), [], store.attrs.get("units") is not None)


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


class _Writer:
    def __init__(self, file: Any, store: Any, chosen: Any, atoms: slice | None, fields: list[str] | None) -> None:
        self.file, self.store, self.chosen = file, store, chosen
        self.fields = set(_FIELDS) if fields is None else set(fields)
        self.left_out: set[str] = set()
        first = store.at[chosen[0]]
        self.atoms = None if atoms is None else np.arange(first.nsites)[atoms]
        self.sites = first.nsites if atoms is None else len(self.atoms)
        if not self.sites:
            raise InvalidError("atoms: none is in this range")
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
        self.step = held.create_dataset("step", (count,), np.int64)
        self.with_time = first.time is not None and "time" in self.fields
        self.time = held.create_dataset("time", (count,), np.float64) if self.with_time else None
        if self.time is not None and "time" in self.units:
            self.time.attrs["unit"] = self.units["time"]
        for name, called in _MOVING.items():
            value = getattr(first, name)
            if value is not None and name in self.fields:
                self._add(self.root.require_group(called), name, (self.sites, 3), value.dtype)
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
            "value", (count, *shape), dtype, chunks=(1, *shape) if large else True,
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

    def write(self, progress: Callable[[int, int], Any] | None) -> None:
        """All frames, a few at a time."""
        count, shown = len(self.chosen), clock.monotonic()
        for begin in range(0, count, _AT_ONCE):
            part = self.chosen[begin : begin + _AT_ONCE]
            for at, frame in enumerate(self.store.at.batch(part), begin):
                self._frame(at, frame)
            now = clock.monotonic()
            if progress is not None and (now - shown >= _EACH or begin + _AT_ONCE >= count):
                shown = now
                progress(min(begin + _AT_ONCE, count), count)

    def _frame(self, at: int, frame: MdFrame) -> None:
        if frame.nsites != self.whole:
            raise self._refused(
                at, frame, "positions", f"it has {frame.nsites} atoms, the first frame {self.whole}; H5MD has one number"
            )
        self.step[at] = at if frame.step is None or "step" not in self.fields else frame.step
        if self.time is not None:
            if frame.time is None:
                raise self._refused(at, frame, "time", "it has none, and the first frame has one; leave the field out")
            self.time[at] = frame.time
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
        if value.shape != data.shape[1:]:
            raise self._refused(
                at, frame, called, f"its shape is {value.shape}, that of the first frame {data.shape[1:]}"
            )
        if value.dtype == np.float64 and data.dtype == np.float32:
            raise self._refused(at, frame, called, "it is float64, the first frame has float32")
        data[at] = value
