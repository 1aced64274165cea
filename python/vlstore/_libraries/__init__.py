"""Trajectories and topologies that libraries read: MDAnalysis, ASE, h5py.

Importing this package imports none of them.
"""

from __future__ import annotations

import inspect
import os
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from vlstore._core import Topology
from vlstore._libraries._detect import FORMATS, format_of, topology_format
from vlstore.errors import InvalidError

if TYPE_CHECKING:
    from vlstore._core import Imported
    from vlstore._libraries._source import Source

__all__ = ["FORMATS", "format_of", "import_by_libraries", "topology_of"]

# Arguments of `vlstore.import_` that only the compiled readers know.
_NATIVE_ONLY = (
    "from_step", "from_frame", "drop_newer", "same_units", "out_of_order", "map",
)


def topology_of(given: Any) -> Any:
    """A topology that the compiled code knows: an object, or the path of a file that it reads itself."""
    if given is None or isinstance(given, Topology):
        return given
    kind = topology_format(given)
    if kind is None:
        return given
    from vlstore._libraries._mdanalysis import read_topology

    return read_topology(given, kind)


def import_by_libraries(
    inputs: list[Any],
    formats: list[str],
    store: Any,
    choices: dict[str, Any],
    reader: dict[str, Any] | None,
    options: dict[str, Any],
    progress: Any,
) -> Imported:
    """Put the frames of files that libraries read into a store."""
    from vlstore._libraries._fill import Choices, Input, fill

    for name in _NATIVE_ONLY:
        if choices.get(name) not in (None, False):
            raise InvalidError(f"{name}: not for the format {formats[0]}, which a library reads")
    topology = choices["topology"]
    if topology is not None and not isinstance(topology, Topology):
        topology = _native_topology(topology)
    known = {one.name for one in fields(Choices)}
    of_store = Choices(
        **{name: value for name, value in choices.items() if name in known} | {"topology": topology},
        progress=progress,
        options=options,
    )
    given = [
        Input(path, kind, lambda path=path, kind=kind: _opened(path, kind, topology, dict(reader or {})))
        for path, kind in zip(inputs, formats, strict=True)
    ]
    return fill(given, store, of_store)


def _native_topology(path: Any) -> Topology:
    """The topology in a file that the compiled code reads: that of a store of its first frame."""
    import tempfile

    import vlstore

    with tempfile.TemporaryDirectory(prefix="vlstore-") as folder:
        held = os.path.join(folder, "topology.vls")
        vlstore.import_(path, held, topologies="always")
        with vlstore.open(held) as store:
            found = store.at[0].topology
    if found is None:
        raise InvalidError(f"{os.fspath(path)}: it does not say what its atoms are; give a topology such as PDB, GRO or TPR")
    return found


def _known(source: type, kind: str, reader: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a reader of ours, if it has all of them."""
    has = list(inspect.signature(source).parameters)[1:]
    for name in reader:
        if name not in has:
            which = f"it has {' and '.join(has)}" if has else "it has none"
            raise InvalidError(f"reader: the reader of {kind} has no argument {name!r}; {which}")
    return reader


def _opened(path: Any, kind: str, topology: Topology | None, reader: dict[str, Any]) -> Source:
    name, _, inner = kind.partition(":")
    if name in ("ase", "ase-traj"):
        from vlstore._libraries._ase import FileSource

        return FileSource(path, "traj" if name == "ase-traj" else inner or None, reader)
    if name in ("ase-db", "aselmdb"):
        from vlstore._libraries._ase import DatabaseSource

        return DatabaseSource(path, name, reader)
    if name == "atompack":
        from vlstore._libraries._atompack import AtompackSource

        return AtompackSource(path, **reader)
    if name == "mdtraj-h5":
        from vlstore._libraries._mdtraj_h5 import MdtrajSource

        return MdtrajSource(path, **_known(MdtrajSource, kind, reader))
    if name == "h5md":
        from vlstore._libraries._h5md import H5mdSource

        return H5mdSource(path, **_known(H5mdSource, kind, reader))
    if name == "lammps-dump":
        from vlstore._libraries._lammps import LammpsSource

        return LammpsSource(path, **_known(LammpsSource, kind, reader))
    from vlstore._libraries._mdanalysis import MDAnalysisSource

    format_ = "NCDF" if name == "amber-netcdf" else inner or None
    return MDAnalysisSource(path, format_, topology, reader)
