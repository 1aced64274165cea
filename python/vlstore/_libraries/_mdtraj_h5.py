"""The HDF5 files of MDTraj, read with h5py."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from vlstore._core import Topology
from vlstore._libraries._source import Draft, Hdf5Source
from vlstore.errors import FormatError
from vlstore.plugins import _units
from vlstore.plugins._elements import numbers

# Data sets, and the unit in which the convention has them.
_UNITS = {
    "coordinates": "nanometers", "time": "picoseconds", "cell_lengths": "nanometers", "cell_angles": "degrees",
    "velocities": "nanometers/picosecond", "potentialEnergy": "kilojoules_per_mole",
}  # fmt: skip
# Numbers of frames that are properties, in their own units.
_PROPERTIES = ("kineticEnergy", "temperature", "lambda")


def is_mdtraj(path: str | os.PathLike[str]) -> bool:
    """Whether a file of HDF5 is of MDTraj; h5py may be missing, which the reader says."""
    try:
        import h5py

        with h5py.File(path, "r") as file:
            return "coordinates" in file and "particles" not in file
    except (ImportError, OSError):
        return False


class MdtrajSource(Hdf5Source):
    """The frames, in nm, ps and kJ/mol, with the topology of the file."""

    units = _units.NM_PS

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(path)
        try:
            for name, unit in _UNITS.items():
                said = self._file[name].attrs.get("units") if name in self._file else None
                said = said.decode() if isinstance(said, bytes) else said
                if said is not None and said != unit:
                    raise FormatError(f"{self.path}, {name}: its unit is {said!r}, and that of the format is {unit}")
            self.total, self.sites = self._file["coordinates"].shape[:2]
            self._topology = self._read_topology()
        except BaseException:
            self.close()
            raise

    def _read_topology(self) -> Topology | None:
        if "topology" not in self._file:
            return None
        said = np.ravel(self._file["topology"][()])[0]
        try:
            found = json.loads(said)
            chains = found["chains"]
            residues = [(at, residue) for at, chain in enumerate(chains) for residue in chain["residues"]]
            atoms = [(at, atom) for at, (_, residue) in enumerate(residues) for atom in residue["atoms"]]
            place = {atom["index"]: i for i, (_, atom) in enumerate(atoms)}
            bonds = [[place[pair[0]], place[pair[1]]] for pair in found.get("bonds", ())]
        except (ValueError, KeyError, TypeError) as error:
            raise FormatError(f"{self.path}, topology: it is not a topology of MDTraj: {error!r}") from error
        if len(atoms) != self.sites:
            raise FormatError(f"{self.path}: it has {self.sites} atoms, its topology {len(atoms)}")
        types = numbers("" if atom["element"] == "VS" else atom["element"] for _, atom in atoms)
        return Topology(
            types=types,
            names=[atom["name"] for _, atom in atoms],
            residues=[at for at, _ in atoms],
            residue_names=[residue["name"] for _, residue in residues],
            residue_ids=[residue["resSeq"] for _, residue in residues],
            segments=[at for at, _ in residues],
            segment_names=[str(chain.get("chain_id", chain["index"])) for chain in chains],
            bonds=bonds,
            nsites=self.sites,
        )

    def frames(self, start: int) -> Iterator[Draft]:
        """The frames from ``start`` on."""
        for row in range(start, self.total or 0):
            try:
                yield self._draft(row)
            except (OSError, FormatError) as error:
                raise FormatError(f"{self.path}, frame {row}: it cannot be read: {error}") from error

    def _draft(self, row: int) -> Draft:
        file, fields = self._file, {"positions": self._file["coordinates"][row]}
        if "velocities" in file:
            fields["velocities"] = file["velocities"][row]
        for name, field in (("time", "time"), ("potentialEnergy", "energy")):
            if name in file:
                fields[field] = float(file[name][row])
        if "cell_lengths" in file and "cell_angles" in file and np.any(file["cell_lengths"][row]):
            fields["cell"], fields["pbc"] = _cell(file["cell_lengths"][row], file["cell_angles"][row]), True
        properties = {name: file[name][row] for name in _PROPERTIES if name in file}
        return Draft(self.sites, fields, of_frame=properties, known=self._topology)


def _cell(lengths: Any, angles: Any) -> Any:
    """The vectors: the first along x, the second in the plane of x and y."""
    a, b, c = np.asarray(lengths, np.float64)
    angles = np.asarray(angles, np.float64)
    # The cosine of a right angle is 0.
    cosine = np.where(angles == 90.0, 0.0, np.cos(np.radians(angles)))
    sine = np.sin(np.radians(angles[2]))
    y = (cosine[0] - cosine[1] * cosine[2]) / sine
    rest = 1.0 - cosine[1] ** 2 - y**2
    if rest <= 0:
        raise FormatError(f"the angles {angles.tolist()} are not those of a cell")
    return np.array([[a, 0, 0], [b * cosine[2], b * sine, 0], [c * cosine[1], c * y, c * np.sqrt(rest)]])
