"""Whole experiments in one file, and single arrays in HDF5."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, TypeAlias

from vlstore import _core

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike

__all__ = [
    "ImportedExperiment",
    "import_experiment",
    "read_hdf5",
    "storage_from_zip",
    "storage_to_hdf5",
    "storage_to_zip",
    "write_hdf5",
]

_Path: TypeAlias = str | PathLike[str]
#: Called about twenty times a second with the amount done and the total; what it raises ends the work.
Progress: TypeAlias = Callable[[int, int], object]


def storage_to_zip(
    path: _Path,
    outfile: _Path | None = None,
    *,
    overwrite: bool = False,
    views: bool = True,
    progress: Progress | None = None,
) -> str:
    """Pack an experiment into one zip archive, and return its name.

    Everything below ``path`` is in it, under the name of the folder, empty folders too. The same
    files give the same bytes. :func:`storage_from_zip` restores them byte for byte; other programs
    find the trials of each task as ``trials.csv`` and its arrays as ``ARRAY/0.npy``;
    :class:`Experiment` reads the archive where it lies. The archive appears when it is complete.

    Parameters
    ----------
    path : str or os.PathLike
        The folder of an experiment: of ours, or of AxoPy, whose files are packed as they are.
    outfile : str or os.PathLike, optional
        The archive. By default beside the folder, with its name and ``.zip``.
    overwrite : bool
        Replace a file that has the name of the archive.
    views : bool
        Whether trials and arrays are in it once more for other programs. Without, the archive is
        about half as long, and a damaged task is packed as it is.
    progress : callable, optional
        Called with the bytes done and the total.

    Raises
    ------
    MissingFileError, StoreExistsError, LockedError (somebody is writing a task), SystemCallError
    CorruptError
        A task is damaged, and its views cannot be made.
    InvalidError
        ``outfile`` is a file of the experiment, or a name has a backslash.
    """
    target = None if outfile is None else os.fspath(outfile)
    return os.fspath(_core._to_zip(os.fspath(path), target, overwrite, views, progress))


def storage_from_zip(
    path: _Path, folder: _Path | None = None, *, progress: Progress | None = None
) -> str:
    """Restore an experiment from an archive byte for byte, and return its root.

    The root appears in ``folder`` (by default where the archive lies) when it is complete. If there
    is something of its name, it is refused. An archive that AxoPy made has lost its folders: it is
    refused, and the message names the losses.
    """
    target = None if folder is None else os.fspath(folder)
    return os.fspath(_core._from_zip(os.fspath(path), target, progress))


def storage_to_hdf5(
    path: _Path,
    outfile: _Path | None = None,
    *,
    overwrite: bool = False,
    level: int = 4,
    progress: Progress | None = None,
) -> str:
    """Consolidate an experiment into one file of HDF5, and return its name.

    ``/SUBJECT/TASK/TRIAL/ARRAY`` is a data set, attributes of a trial are those of its group. The
    file appears when it is complete; programs such as h5py read it and may add to it later.
    :class:`Experiment` reads it, too, with all types as they were.

    Parameters
    ----------
    path : str or os.PathLike
        An experiment: a folder of ours or of AxoPy, or an archive.
    outfile : str or os.PathLike, optional
        The file. By default beside ``path``, with its name and ``.hdf5``.
    overwrite : bool
        Replace a file that has the name of the new one.
    level : int
        Effort of the compression, 0 (none) to 9.
    progress : callable, optional
        Called with the trials done and the total.

    Raises
    ------
    InvalidError
        ``outfile`` is a file that is read.

    Warns
    -----
    UserWarning
        Unfinished trials are left out; it says how many.
    """
    target = None if outfile is None else os.fspath(outfile)
    out, unfinished = _core._to_hdf5(os.fspath(path), target, overwrite, level, progress)
    _warn_of(unfinished)
    return os.fspath(out)


def _warn_of(unfinished: int) -> None:
    if unfinished:
        import warnings

        warnings.warn(
            f"{unfinished} unfinished trials are left out: they were begun and never written; "
            "`TaskReader.unfinished` has them",
            UserWarning,
            stacklevel=3,
        )


@dataclass(frozen=True)
class ImportedExperiment:
    """What :func:`import_experiment` did."""

    #: Tasks that were made, of all subjects together.
    tasks: int
    #: Trials in them.
    trials: int
    #: Files that belong to no task, and stayed where they are.
    left_out: list[str]
    #: Trials that were begun and never written: they are not taken over.
    unfinished: int = 0


def import_experiment(
    path: _Path, root: _Path, *, progress: Progress | None = None
) -> ImportedExperiment:
    """Take an experiment over into ``root``, a folder of ours that is made if it does not exist.

    ``path`` is whatever :class:`Experiment` reads. Of a folder of AxoPy, the types of attributes
    follow from the table (integers, numbers, truth values, text; empty cells are missing), and
    pickles become single objects of bytes, under the names of their files. They are never loaded.
    """
    tasks, trials, left_out, unfinished = _core._import_experiment(
        os.fspath(path), os.fspath(root), progress
    )
    _warn_of(unfinished)
    return ImportedExperiment(tasks, trials, left_out, unfinished)


def write_hdf5(path: _Path, data: ArrayLike, dataset: str = "data") -> None:
    """Write one array to a file of HDF5, which is made if it does not exist; what is in it stays.

    A data set of the name that exists is refused (``StoreExistsError``).
    """
    _core._write_hdf5(os.fspath(path), data, dataset)


def read_hdf5(path: _Path, dataset: str = "data") -> np.ndarray:
    """Read one array from a file of HDF5."""
    return _core._read_hdf5(os.fspath(path), dataset)
