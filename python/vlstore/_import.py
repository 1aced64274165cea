"""Trajectories of other programs into a store; the arguments of the compiled function by name."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any

from vlstore import _core
from vlstore.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from os import PathLike
    from typing import Literal, Unpack

    from vlstore._options import Options


def import_(
    inputs: str | PathLike[str] | Iterable[str | PathLike[str]],
    store: str | PathLike[str],
    *,
    append: bool = False,
    overwrite: bool = False,
    from_step: int | None = None,
    from_frame: int | None = None,
    drop_newer: bool = False,
    keep_all: bool = False,
    same_units: bool = False,
    mixed: bool = False,
    out_of_order: bool = False,
    growing: bool | None = None,
    duplicates: Literal["keep", "drop", "latest", "refuse"] | None = None,
    format: str | None = None,  # noqa: A002
    map: dict[str, str] | None = None,  # noqa: A002
    topology: str | PathLike[str] | _core.Topology | None = None,
    masses: Literal["given", "elements"] = "given",
    float32: bool = False,
    precision: float | None = None,
    positions: Literal["quantised", "given"] = "quantised",
    topologies: Literal["never", "repeated", "always"] = "repeated",
    key_prefix: str | None = None,
    commit_frames: int | None = None,
    progress: Callable[[int, int], Any] | None = None,
    reader: dict[str, Any] | None = None,
    **options: Unpack[Options],
) -> _core.Imported:
    """Put the frames of trajectory files into a store: XTC, TRR, DCD, extended XYZ, PDB or GRO, also
    compressed (gzip), and what MDAnalysis, ASE and h5py read: H5MD, AMBER NetCDF, dumps of LAMMPS,
    trajectories and databases of ASE, and files of Atompack.

    The store keeps a record of its inputs. With ``append`` the frames that it does not have yet
    are added, independent of their steps, so the same call can be repeated after the process was
    stopped or killed, and no frame is lost or stored twice. If it is not clear which frames are new,
    it raises :class:`~vlstore.ResumeError`. Frames get the keys 0, 1, 2 and so on, across all inputs. Ctrl-C
    commits what was read and raises ``KeyboardInterrupt``.

    Parameters
    ----------
    inputs : path or paths
        The files, in order.
    store : path
        The store to create or, with ``append``, to add to.
    append : bool
        Add the frames that the store does not have yet; create the store if it does not exist.
    overwrite : bool
        Replace an existing store.
    from_step, from_frame : int
        Begin at this simulation step, or at this frame of the inputs, counted from 0 across all.
    drop_newer : bool
        Delete the stored frames from ``from_step`` or ``from_frame`` on.
    keep_all : bool
        Add every frame of the inputs, also those that the store has.
    same_units : bool
        The store has the units of the inputs, although it does not state them.
    mixed : bool
        Accept frames with another number of atoms than those of the store.
    out_of_order : bool
        Store new frames of an input after those of later inputs.
    growing : bool
        Whether the inputs may still be written to: then an incomplete last frame is left
        for the next import. The default is the value of ``append``.
    duplicates : {"keep", "drop", "latest", "refuse"}
        What to do with frames that the inputs or the store have already, as a simulation writes them
        that is started again from a checkpoint. ``"keep"``, the default, stores them, with a warning that says
        how many there are and where. ``"drop"`` stores a frame with the same step, time and content once.
        ``"latest"`` also stores, of two frames with the same step and other content, the later one: the
        earlier one and what was stored after it are deleted. ``"refuse"`` raises an error.
    format : str
        By default detected by content: ``"xtc"``, ``"trr"``, ``"dcd"``, ``"extxyz"``, ``"pdb"``, ``"gro"``, or one
        that a library reads: ``"h5md"``, ``"mdtraj-h5"``, ``"amber-netcdf"``, ``"lammps-dump"``, ``"ase-traj"``, ``"ase-db"``,
        ``"aselmdb"``, ``"atompack"``, ``"mdanalysis:NAME"`` and ``"ase:NAME"`` with a format of these libraries. With
        such a format ``from_step``, ``from_frame``, ``drop_newer``, ``same_units``, ``out_of_order`` and ``map`` are
        refused.
    map : dict
        Keys and columns of the inputs that are read as fields, for example
        ``{"REF_energy": "energy"}``.
    topology : path or Topology
        What the frames have in common (names, residues, types, masses, bonds), for inputs that do not
        say it: a file such as PDB or GRO whose first frame says it, one that MDAnalysis reads (TPR, PSF,
        PRMTOP), or an object. Frames with another number of atoms are an error. Needed again with ``append``.
    masses : {"given", "elements"}
        Masses of atoms for which the input states none: absent, or the standard atomic weights of the IUPAC
        (2016, conventional values, in u) of their types, which must be atomic numbers.
    float32 : bool
        Store float64 arrays as float32.
    precision : float
        Round positions to integers of ``1 / precision`` of the unit of length.
    positions : {"quantised", "given"}
        Store positions as integers of the precision that the input states, if this is exact to
        the last bit, or as floating-point numbers.
    topologies : {"repeated", "never", "always"}
        Whether values that frames have in common are stored once.
    key_prefix : str
        Keys are this string and the number of the frame. ``append`` keeps the form of the
        store.
    commit_frames : int
        Commit after this many frames, in addition to the options.
    progress : callable
        Called several times a second with the number of bytes read and the total;
        if it raises, the import ends and can be resumed.
    reader : dict
        Arguments for the reader of the library, such as ``{"units": "metal"}``.
    **options
        Those of :func:`vlstore.open`.

    Warns
    -----
    UserWarning
        For example for a frame that is not complete yet, or one that two inputs share.

    Examples
    --------
    >>> import vlstore
    >>> with open("two.xyz", "w") as file:
    ...     _ = file.write("1\\n\\nH 0 0 0\\n1\\n\\nH 0 0 1\\n")
    >>> vlstore.import_("two.xyz", "two.vls")
    <vlstore.Imported 2 frames, 0 skipped, 2 in all>
    >>> vlstore.import_("two.xyz", "two.vls", append=True)
    <vlstore.Imported 0 frames, 2 skipped, 2 in all>
    """
    listed = [inputs] if isinstance(inputs, (str, bytes, os.PathLike)) else list(inputs)
    choices = {
        "append": append,
        "overwrite": overwrite,
        "from_step": from_step,
        "from_frame": from_frame,
        "drop_newer": drop_newer,
        "keep_all": keep_all,
        "same_units": same_units,
        "mixed": mixed,
        "out_of_order": out_of_order,
        "growing": growing,
        "duplicates": duplicates,
        "format": format,
        "map": map,
        "topology": topology,
        "masses": masses,
        "float32": float32,
        "precision": precision,
        "positions": positions,
        "topologies": topologies,
        "key_prefix": key_prefix,
        "commit_frames": commit_frames,
    }
    from vlstore import _libraries

    if isinstance(topology, (str, os.PathLike)):
        choices["topology"] = _libraries.topology_of(topology)
    foreign = [_libraries.format_of(path, format) for path in listed]
    by_libraries = [kind for kind in foreign if kind is not None]
    if not by_libraries:
        if reader:
            raise InvalidError("reader: only for formats that a library reads")
        done = _core._import(listed, store, choices, dict(options), progress)
    elif len(by_libraries) < len(listed):
        own = listed[foreign.index(None)]
        raise InvalidError(
            f"inputs: {os.fspath(own)} is not read through a library as the others are: import it in a call of its own"
        )
    else:
        done = _libraries.import_by_libraries(
            listed, by_libraries, store, choices, reader, dict(options), progress
        )
    for note in done.notes:
        warnings.warn(note, UserWarning, stacklevel=2)
    return done
