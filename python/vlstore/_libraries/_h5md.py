"""H5MD, https://h5md.nongnu.org/: the frames of one group of particles."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from vlstore._libraries import _h5md_units as units_of
from vlstore._libraries._source import Draft, Hdf5Source
from vlstore.errors import FormatError, InvalidError
from vlstore.plugins._units import scaled

#: The elements of a group of particles, and the fields of frames; some programs write the plural.
ELEMENTS = {
    "position": "positions", "positions": "positions", "velocity": "velocities", "velocities": "velocities",
    "force": "forces", "forces": "forces", "mass": "masses", "charge": "charges", "species": "types",
}  # fmt: skip


class _Element:
    """A value at each of its steps, or the same one always."""

    def __init__(self, node: Any, where: str) -> None:
        self.where = where
        self.fixed = not hasattr(node, "keys")
        self.data = node if self.fixed else node["value"]
        self.step = None if self.fixed or "step" not in node else node["step"]
        self.time = None if self.fixed or "time" not in node else node["time"]
        unit = self.data.attrs.get("unit")
        self.unit = unit.decode() if isinstance(unit, bytes) else unit
        self._all = self.data[()] if self.fixed else None
        self._steps: Any = None

    def at(self, row: int, step: int | None) -> Any:
        """The value of a frame; None if there is none at its step."""
        if self.fixed:
            return self._all
        if self._steps is not None:
            row = int(np.searchsorted(self._steps, step))
            if row == len(self._steps) or self._steps[row] != step:
                return None
        return self.data[row] if row < len(self.data) else None

    def sampled_as(self, other: _Element) -> None:
        """Finds the frames of ``other`` by their steps, if this one has others."""
        if self.fixed or self.step is None or other.step is None or self.step == other.step:
            return
        mine, theirs = steps(self, len(self.data)), steps(other, len(other.data))
        if not np.array_equal(mine, theirs):
            self._steps = mine


def steps(element: _Element, count: int) -> Any:
    """The step of each frame: stated for each, or by a first one and a distance."""
    return _rows(element.step, count)


def _rows(node: Any, count: int) -> Any:
    if node.shape == ():
        return node.attrs.get("offset", node.dtype.type(0)) + np.arange(count) * node[()]
    return node[:]


class H5mdSource(Hdf5Source):
    """The frames of a group of particles; numbers keep their width."""

    def __init__(self, path: str | os.PathLike[str], group: str | None = None, units: str | None = None) -> None:
        super().__init__(path)
        try:
            self._open(group, units)
        except BaseException:
            self.close()
            raise

    def _open(self, group: str | None, units: str | None) -> None:
        particles = self._file.get("particles")
        if particles is None or not len(particles):
            raise FormatError(
                f"{self.path}: it has no group `particles`, so it is not H5MD, and it is not of MDTraj; what "
                "h5py reads of it can be put into a store with put_frames"
            )
        if group is None and len(particles) > 1:
            raise InvalidError(
                f"{self.path}: it has several groups of particles: {', '.join(particles)}; say which one: "
                'reader={"group": NAME}'
            )
        name = next(iter(particles)) if group is None else group
        if name not in particles:
            raise InvalidError(f"{self.path}: the group {name!r} does not exist; the groups are {', '.join(particles)}")
        root = particles[name]
        self._elements: dict[str, _Element] = {}
        self._others: dict[str, _Element] = {}
        for key, node in root.items():
            if key == "box" or not self._is_element(node):
                continue
            to, as_ = (self._elements, ELEMENTS[key]) if key in ELEMENTS else (self._others, key)
            to[as_] = _Element(node, f"{self.path}, particles/{name}/{key}")
        if "positions" not in self._elements or self._elements["positions"].fixed:
            raise FormatError(f"{self.path}: particles/{name} has no positions that change with time")
        position = self._elements["positions"]
        if position.data.ndim != 3 or position.data.shape[2] != 3:
            raise FormatError(f"{self.path}: positions of shape {position.data.shape} are not (frames, atoms, 3)")
        self.total, self.sites = position.data.shape[:2]
        self._box(root.get("box"), name)
        self._observables(name)
        self._units(units)
        boxes = () if self.edges is None else (self.edges,)
        for element in (*self._elements.values(), *self._others.values(), *self._seen.values(), *boxes):
            element.sampled_as(position)
        self._steps = None if position.step is None else steps(position, self.total)
        self._times = None if position.time is None else _rows(position.time, self.total)
        self._bonds = self._connectivity(root)

    @staticmethod
    def _is_element(node: Any) -> bool:
        return not hasattr(node, "keys") or "value" in node

    def _box(self, box: Any, name: str) -> None:
        self.edges: _Element | None = None
        self.pbc = (False, False, False)
        if box is None:
            return
        said = box.attrs.get("boundary", ["none"] * 3)
        said = [word.decode() if isinstance(word, bytes) else word for word in said]
        self.pbc = tuple(word == "periodic" for word in said)  # type: ignore[assignment]
        if "edges" in box:
            self.edges = _Element(box["edges"], f"{self.path}, particles/{name}/box/edges")

    def _observables(self, name: str) -> None:
        self._seen: dict[str, _Element] = {}
        every = self._file.get("observables")
        for key, node in () if every is None else every.items():
            if self._is_element(node):
                self._seen[key] = _Element(node, f"{self.path}, observables/{key}")
            elif key == name:
                for inner, held in node.items():
                    if self._is_element(held):
                        self._seen[inner] = _Element(held, f"{self.path}, observables/{key}/{inner}")

    def _units(self, given: str | None) -> None:
        energies = [self._elements.get("forces"), self._seen.get("energy")]
        stated = next((e.unit for e in energies if e is not None and e.unit), None)
        position = self._elements["positions"]
        if given is not None and given not in units_of.NAMED:
            raise InvalidError(f"units: {given!r} is not one of {', '.join(units_of.NAMED)}")
        if given is not None:
            self.units = units_of.NAMED[given]
        else:
            self.units = units_of.of_length(position.unit, stated, f"{self.path}, positions")
        target = units_of.fields(self.units)
        self._by = {
            name: units_of.factor(element.unit, target[name], element.where)
            for name, element in self._elements.items()
            if name in target
        }
        if self.edges is not None:
            self._by["cell"] = units_of.factor(self.edges.unit, target["cell"], self.edges.where)
        if "energy" in self._seen:
            energy = self._seen["energy"]
            self._by["energy"] = units_of.factor(energy.unit, target["energy"], energy.where)
        if position.time is not None:
            unit = position.time.attrs.get("unit")
            unit = unit.decode() if isinstance(unit, bytes) else unit
            self._by["time"] = units_of.factor(unit, target["time"], f"{self.path}, time of positions")
        kept = {name: e.unit for name, e in (self._others | self._seen).items() if e.unit and name != "energy"}
        if kept:
            self.attributes["units of properties"] = kept

    def _connectivity(self, root: Any) -> Any:
        """Bonds between these particles; those of other groups say so."""
        every = self._file.get("connectivity")
        for node in () if every is None else every.values():
            if not hasattr(node, "shape") or node.ndim != 2 or node.shape[1] != 2:
                continue
            group = node.attrs.get("particles_group")
            if group is None or self._file[group] == root:
                return node[:]
        return None

    def frames(self, start: int) -> Iterator[Draft]:
        """The frames from ``start`` on."""
        for row in range(start, self.total or 0):
            try:
                yield self._draft(row)
            except (OSError, KeyError) as error:
                raise FormatError(f"{self.path}, frame {row}: h5py cannot read it: {error}") from error

    def _draft(self, row: int) -> Draft:
        step = None if self._steps is None else int(self._steps[row])
        fields: dict[str, Any] = {}
        for name, element in self._elements.items():
            value = element.at(row, step)
            if value is None:
                continue
            if name == "types":
                fields[name] = np.asarray(value).astype(np.int32)
            elif name in ("masses", "charges") and np.ndim(value) == 0:
                fields[name] = np.full(self.sites, value * self._by[name])
            else:
                value = value if value.dtype in (np.float32, np.float64) else value.astype(np.float64)
                fields[name] = scaled(value, self._by[name])
        if step is not None:
            fields["step"] = step
        if self._times is not None:
            fields["time"] = float(self._times[row]) * self._by["time"]
        cell = None if self.edges is None else self.edges.at(row, step)
        if cell is not None and np.any(cell):
            cell = np.asarray(cell, np.float64) * self._by["cell"]
            fields["cell"], fields["pbc"] = np.diag(cell) if cell.ndim == 1 else cell, self.pbc
        of_atoms: dict[str, Any] = {}
        of_frame: dict[str, Any] = {}
        for name, element in self._others.items():
            self._property(name, element.at(row, step), of_atoms, of_frame)
        for name, element in self._seen.items():
            value = element.at(row, step)
            if name == "energy" and value is not None and np.ndim(value) == 0:
                fields["energy"] = float(value) * self._by["energy"]
            else:
                self._property(name, value, of_atoms, of_frame)
        return Draft(self.sites, fields, of_atoms, of_frame, bonds=self._bonds)

    def _property(self, name: str, value: Any, of_atoms: dict[str, Any], of_frame: dict[str, Any]) -> None:
        if value is None:
            return
        value = value.decode() if isinstance(value, bytes) else value
        kind = getattr(value, "dtype", np.dtype(type(value))).kind if not isinstance(value, str) else "U"
        if kind not in "bifuU":
            return
        if np.shape(value)[:1] == (self.sites,):
            value = np.asarray(value)
            of_atoms[name] = value.astype(np.int64) if value.dtype.kind in "iu" else value
        else:
            of_frame[name] = value if isinstance(value, str) else value[()]
