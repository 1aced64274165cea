"""Which library reads a file: by its first bytes, else by its name."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
from typing import Any

from vlstore.errors import InvalidError

#: Formats of trajectories that the compiled code does not read.
FORMATS = (
    "h5md", "mdtraj-h5", "amber-netcdf", "lammps-dump", "ase-traj", "ase-db", "aselmdb", "atompack", "ase", "mdanalysis",
)  # fmt: skip
#: Formats of the compiled code.
NATIVE = ("xtc", "trr", "dcd", "extxyz", "xyz", "pdb", "ent", "gro")
#: Ends of names of topologies that MDAnalysis reads, and its name of the format.
TOPOLOGIES = {
    ".tpr": "TPR",
    ".psf": "PSF",
    ".prmtop": "PRMTOP",
    ".parm7": "PRMTOP",
    ".top": "ITP",
    ".itp": "ITP",
    ".mol2": "MOL2",
    ".pqr": "PQR",
    ".pdbqt": "PDBQT",
    ".crd": "CRD",
    ".data": "DATA",
    ".xml": "XML",
    ".gsd": "GSD",
    ".mmtf": "MMTF",
}
# Those of them that have no frames which would be read.
_WITHOUT_FRAMES = ("TPR", "PSF", "PRMTOP", "ITP")
_PACKED = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
_HEADS = (
    (0, b"\x89HDF\r\n\x1a\n", "h5md"),
    (0, b"CDF", "amber-netcdf"),
    (0, b"SQLite format 3\0", "ase-db"),
    (16, b"\xde\xc0\xef\xbe", "aselmdb"),
    (0, b"- of Ulm", "ase-traj"),
    (0, b"ATPK", "atompack"),
    (0, b"ITEM: ", "lammps-dump"),
)


def is_packed(path: str | os.PathLike[str]) -> bool:
    """Whether a file is compressed (gzip, bzip2, xz)."""
    with open(path, "rb") as file:
        return file.read(8).startswith(tuple(_PACKED))


def opened(path: str | os.PathLike[str]) -> Any:
    """The bytes of a file, unpacked if they are compressed (gzip, bzip2, xz)."""
    with open(path, "rb") as file:
        head = file.read(8)
    unpack = next((unpack for start, unpack in _PACKED.items() if head.startswith(start)), open)
    return unpack(path, "rb")


def head_of(path: str | os.PathLike[str], size: int = 512) -> bytes:
    """The first bytes of a file, unpacked; none if it cannot be read, which the reader says."""
    if not os.path.isfile(path):
        return b""
    try:
        with opened(path) as file:
            return file.read(size)
    except (OSError, EOFError, lzma.LZMAError):
        return b""


def format_of(path: str | os.PathLike[str], given: str | None = None) -> str | None:
    """The format of a trajectory that a library reads; None if the compiled code is asked.

    ``given`` is that of the caller: one of :data:`FORMATS`, also with a format of the library behind a colon
    (``"ase:vasp-xdatcar"``).
    """
    if given is not None:
        if given.partition(":")[0] in FORMATS:
            return given
        if given.lower() in NATIVE:
            return None
        raise InvalidError(
            f"format: {given!r} is not one of {', '.join((*NATIVE, *FORMATS))}; ase:NAME and mdanalysis:NAME are "
            "the formats of these libraries"
        )
    head = head_of(path)
    found = next((name for at, start, name in _HEADS if head[at:].startswith(start)), None)
    if found not in (None, "lammps-dump") and is_packed(path):
        raise InvalidError(f"{os.fspath(path)}: it is compressed, and {found} is read unpacked: gunzip -k, or what packed it")
    if found == "h5md":
        from vlstore._libraries._mdtraj_h5 import is_mdtraj

        return "mdtraj-h5" if is_mdtraj(path) else found
    if found is None and (kind := topology_format(path)) in _WITHOUT_FRAMES:
        name = os.fspath(path)
        raise InvalidError(
            f"{name}: this is a topology ({kind}), not a trajectory: give it beside a trajectory, as topology={name!r}, on "
            f"the command line --topology {name}"
        )
    return found


def topology_format(path: str | os.PathLike[str]) -> str | None:
    """The name that MDAnalysis has for a file of a topology; None if the compiled code is asked."""
    if not os.path.isfile(path):
        return None  # it says what is wrong
    head = head_of(path)
    if head.startswith(b"%VERSION"):
        return "PRMTOP"
    if head.startswith(b"PSF"):
        return "PSF"
    stem, end = os.path.splitext(os.fspath(path))
    if end.lower() in (".gz", ".bz2", ".xz"):
        end = os.path.splitext(stem)[1]
    return TOPOLOGIES.get(end.lower())
