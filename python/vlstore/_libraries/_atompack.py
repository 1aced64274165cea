"""Files of Atompack (``.atp``), read with the package ``atompack`` (``pip install atompack-db``)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from vlstore._libraries._source import Draft, needs
from vlstore.errors import FormatError
from vlstore.plugins import _units
from vlstore.plugins._units import factor, scaled

# Its velocities are those of an ``Atoms``, in ASE's own unit of time.
_VELOCITY = factor("sqrt(eV/u)", "angstrom/fs", "velocities")
_ARRAYS = {"forces": "forces", "charges": "charges", "velocities": "velocities", "stress": "stress"}


class AtompackSource:
    """The molecules of a database in their order; numbers keep their width."""

    units = _units.ASE

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        try:
            import atompack
        except ImportError as error:
            raise needs("atompack", self.path, error) from error
        self.notes: list[str] = []
        self.growing = False
        self.attributes: dict[str, Any] = {}
        try:
            self._database = atompack.Database.open(self.path)
            self.total: int | None = len(self._database)
        except Exception as error:
            raise FormatError(f"{self.path}: Atompack cannot open it: {error}") from error

    def frames(self, start: int) -> Iterator[Draft]:
        """The frames from ``start`` on."""
        for row in range(start, self.total or 0):
            try:
                yield _draft(self._database[row])
            except (ValueError, OSError, RuntimeError, KeyError) as error:
                raise FormatError(f"{self.path}, frame {row}: Atompack cannot read it: {error}") from error

    def close(self) -> None:
        """Let go of the file."""
        del self._database


def _draft(molecule: Any) -> Draft:
    # What it gives may lie in the mapped file.
    fields: dict[str, Any] = {
        "positions": np.array(molecule.positions), "types": np.asarray(molecule.atomic_numbers, np.int32)
    }  # fmt: skip
    for name, field in _ARRAYS.items():
        value = getattr(molecule, name)
        if value is not None:
            fields[field] = np.array(value)
    if "velocities" in fields:
        fields["velocities"] = scaled(fields["velocities"], _VELOCITY)
    if molecule.energy is not None:
        fields["energy"] = float(molecule.energy)
    if molecule.cell is not None:
        fields["cell"] = np.array(molecule.cell, np.float64)
    if molecule.pbc is not None:
        fields["pbc"] = tuple(bool(one) for one in molecule.pbc)
    of_frame = {name: molecule.get_property(name) for name in molecule.property_keys(scope="molecule")}
    of_atoms = {name: np.array(molecule.get_property(name)) for name in molecule.property_keys(scope="atom")}
    # A property may be there without a value.
    of_frame = {name: value for name, value in of_frame.items() if value is not None}
    return Draft(len(molecule), fields, of_atoms, of_frame)
