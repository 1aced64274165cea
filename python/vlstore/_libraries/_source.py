"""What a reader of trajectories gives: frames in the making, one after the other."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from vlstore._core import MdFrame, Topology, _standard_masses
from vlstore.errors import FormatError, InvalidError
from vlstore.plugins._units import Units

#: Fields that frames of one system have in common.
SHARED = ("types", "masses", "charges")


class Making(Protocol):
    """A frame that is not made yet, so that what it shares with others can be taken out."""

    sites: int
    fields: dict[str, Any]

    def topology(self) -> Topology:
        """What it may have in common with others."""

    def frame(self, topology: Topology | None) -> MdFrame:
        """The frame, without what is in the topology, which is that of :meth:`topology`."""


class Source(Protocol):
    """An opened trajectory."""

    units: Units
    #: Number of frames, if it is known without reading them.
    total: int | None
    #: What one should know.
    notes: list[str]
    #: Whether the file may still be written to; what is not whole at its end is left then.
    growing: bool
    #: Attributes for the store.
    attributes: dict[str, Any]

    def frames(self, start: int) -> Iterator[Making]:
        """The frames from ``start`` on."""

    def close(self) -> None:
        """Close the file."""


@dataclass
class Draft:
    """A frame of numbers and names."""

    sites: int
    fields: dict[str, Any]
    of_atoms: dict[str, Any] = field(default_factory=dict)
    of_frame: dict[str, Any] = field(default_factory=dict)
    #: Properties of the atoms that belong to the topology.
    labels: dict[str, Any] = field(default_factory=dict)
    #: Pairs of atoms; frames with them have a topology always.
    bonds: Any = None
    #: The topology that the file states, if it states one.
    known: Topology | None = None

    def topology(self) -> Topology:
        """What it may have in common with others."""
        if self.known is not None:
            return self.known
        fields = {name: self.fields[name] for name in SHARED if name in self.fields}
        return Topology(**fields, nsites=self.sites, bonds=self.bonds, atom_properties=self.labels)

    def frame(self, topology: Topology | None) -> MdFrame:
        """The frame, without what is in the topology."""
        fields, of_atoms = self.fields, self.of_atoms
        if topology is None:
            of_atoms = of_atoms | self.labels
        else:
            fields = {name: value for name, value in fields.items() if name not in SHARED}
        return MdFrame(
            **fields, nsites=self.sites, atom_properties=of_atoms, frame_properties=self.of_frame, topology=topology
        )


def with_topology(making: Making, topology: Topology) -> MdFrame:
    """The frame with a topology from elsewhere: types, masses and charges that are the same are not kept twice."""
    frame = making.frame(None)
    same = {
        name: None
        for name in SHARED
        if getattr(frame, name) is not None and np.array_equal(getattr(frame, name), getattr(topology, name))
    }
    return frame.replace(topology=topology, **same)


_OF_TOPOLOGY = (
    "types", "charges", "names", "residues", "residue_names", "residue_ids", "segments", "segment_names", "bonds",
    "bond_orders", "name", "nsites", "atom_properties",
)  # fmt: skip


def weighed(topology: Topology, what: str) -> Topology:
    """The topology with the masses of its elements, unless it has masses or no elements."""
    if topology.types is None or topology.masses is not None:
        return topology
    return Topology(
        **{name: getattr(topology, name) for name in _OF_TOPOLOGY}, masses=masses_of(topology.types, what)
    )


def masses_of(types: Any, what: str) -> Any:
    """The masses of atoms with these atomic numbers."""
    try:
        return np.array(_standard_masses(np.asarray(types).tolist()))
    except InvalidError as error:
        raise FormatError(f"{what}: {error}") from error


@contextlib.contextmanager
def elsewhere(path: str | os.PathLike[str]) -> Iterator[str]:
    """Another path of the same file, in a folder of its own that is deleted afterwards.

    For readers that write files beside their input.
    """
    full = os.path.abspath(path)
    with tempfile.TemporaryDirectory(prefix="vlstore-") as folder:
        link = os.path.join(folder, os.path.basename(full))
        try:
            os.symlink(full, link)
        except (OSError, NotImplementedError):  # Windows, without the right to make them
            shutil.copyfile(full, link)
        yield link


#: The extra of the package that brings a library.
_EXTRAS = {
    "MDAnalysis": "MDAnalysis", "ase": "ase", "h5py": "hdf5", "ase-db-backends": "aselmdb", "atompack": "atompack",
}  # fmt: skip


def needs(library: str, what: str, error: ImportError) -> ImportError:
    """The error for a library that is not installed."""
    return ImportError(f"{what} needs {library}: pip install \"vlstore[{_EXTRAS[library]}]\" ({error})")


class Hdf5Source:
    """An opened file of HDF5."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        try:
            import h5py
        except ImportError as error:
            raise needs("h5py", self.path, error) from error
        self.notes: list[str] = []
        self.growing = False
        self.attributes: dict[str, Any] = {}
        self.total: int | None = None
        try:
            self._file = h5py.File(path, "r")
        except OSError as error:
            raise FormatError(f"{self.path}: h5py cannot open it: {error}") from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()
