"""Trajectories of other programs; the arguments of the compiled functions by name."""

from __future__ import annotations

import os
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from vlstore import _core
from vlstore._open import open as open_store
from vlstore.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from os import PathLike
    from typing import Literal


def export(
    store: _core.Store | str | PathLike[str],
    output: str | PathLike[str],
    *,
    frames: slice | Iterable[int] | int | None = None,
    atoms: slice | None = None,
    atoms_of: Literal["protein", "nucleic", "water", "not-water"] | None = None,
    fields: Iterable[str] | None = None,
    format: Literal["xtc", "trr", "dcd", "extxyz", "h5md"] | None = None,  # noqa: A002
    precision: float | None = None,
    overwrite: bool = False,
    skip_unfit: bool = False,
    progress: Callable[[int, int], Any] | None = None,
) -> _core.Exported:
    """Write frames of a store to a trajectory file of another program.

    Numbers are converted to the units of the format if the store states its units. The file
    appears when it is complete: after an error or Ctrl-C there is none. A symbolic link stays and
    its target is replaced; pipes and devices are written to directly.

    Parameters
    ----------
    store : Store, str or os.PathLike
        An open store of frames, all of whose records are committed, or the path of one.
    output : str or os.PathLike
        The file to write.
    frames : slice, ordinals or None
        Which frames, as places in the store: ``slice(None, None, 10)``, ``[0, 5, -1]``, an array.
    atoms : slice
        Which atoms of each frame, as places in it: ``slice(0, 100)``; the step is 1 or more.
    atoms_of : {"protein", "nucleic", "water", "not-water"}
        Only the atoms in residues of this kind, as the topology of the frames names them.
    fields : names
        Only these fields: positions, velocities, forces, types, masses, charges, cell, pbc,
        energy, stress, step, time.
    format : {"xtc", "trr", "dcd", "extxyz", "h5md"}
        By default what the name of the file stands for. H5MD is written by ``h5py``, which must be installed.
    precision : float
        XTC: keep positions to ``1 / precision`` nm; by default the precision of each frame. H5MD: round positions
        to ``1 / precision`` of the unit of length of the store; by default they are not rounded.
    overwrite : bool
        Replace a file that is there; a store is never replaced.
    skip_unfit : bool
        Leave out frames that the format cannot hold, as those with NaN in XTC; ``skipped`` of
        the result lists them.
    progress : callable
        Called with the number of frames done and of all, some times a second; an exception of
        it ends the work.

    Raises
    ------
    FormatError
        For a frame that the format cannot hold; ``ordinal``, ``key``, ``field`` and ``site`` name
        it.
    InvalidError, StoreExistsError, CorruptError, SystemCallError
        See :mod:`vlstore.errors`.

    Examples
    --------
    >>> import numpy as np, vlstore
    >>> with vlstore.open("water.vls", "w", records="md-frame") as store:
    ...     for step in range(5):
    ...         store[step] = vlstore.MdFrame(np.zeros((3, 3)), types=[8, 1, 1], step=step)
    >>> vlstore.export("water.vls", "water.xyz", frames=slice(None, None, 2))
    <vlstore.Exported 3 frames as extxyz>
    """
    if atoms is not None and atoms_of is not None:
        raise InvalidError("atoms: give atoms or atoms_of, not both")
    opened = nullcontext(store) if isinstance(store, _core.Store) else open_store(store)
    with opened as source:
        if format == "h5md" or (format is None and os.fspath(output).lower().endswith((".h5md", ".h5"))):
            from vlstore._libraries._h5md_write import write_h5md

            chosen = None if fields is None else list(fields)
            return write_h5md(
                source,
                output,
                frames=frames,
                atoms=atoms,
                atoms_of=atoms_of,
                fields=chosen,
                precision=precision,
                overwrite=overwrite,
                skip_unfit=skip_unfit,
                progress=progress,
            )
        return _core._export(
            source,
            output,
            frames,
            None if atoms is None else (atoms.start, atoms.stop, atoms.step),
            atoms_of,
            None if fields is None else list(fields),
            format,
            precision,
            overwrite,
            skip_unfit,
            progress,
        )
