"""Whole experiments in one file, and single arrays in HDF5."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from vlstore import _core
from vlstore.errors import FormatError, InvalidError, StoreExistsError
from vlstore.experiments._storage import _some

if TYPE_CHECKING:
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
        ``path`` is the folder of a subject, ``outfile`` is a file of the experiment, or a name has a
        backslash.
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
        ``outfile`` is a file that is read, or ``path`` is the folder of a subject.

    Warns
    -----
    UserWarning
        Unfinished trials are left out, or what is in no task (:attr:`Experiment.left_out`); it says what.
    """
    if not 0 <= level <= 9:
        raise InvalidError(f"level: {level} is not one of 0 to 9")
    target = None if outfile is None else os.fspath(outfile)
    out, unfinished, left_out = _core._to_hdf5(
        os.fspath(path), target, overwrite, level, progress
    )
    _warn_of(unfinished)
    if left_out:
        import warnings

        warnings.warn(
            f"{os.fspath(path)}: left out, since it is in no task: {_some(left_out)} "
            "(`Experiment(...).left_out` lists all)",
            UserWarning,
            stacklevel=2,
        )
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
    #: What is in no task, and stayed where it is: see :attr:`Experiment.left_out`.
    left_out: list[str]
    #: Trials that were begun and never written: they are not taken over.
    unfinished: int = 0


def import_experiment(
    path: _Path, root: _Path, *, progress: Progress | None = None
) -> ImportedExperiment:
    """Take an experiment over into ``root``, a folder of ours that is made if it does not exist.

    ``path`` is whatever :class:`Experiment` reads. Of a folder of AxoPy, the types of attributes
    follow from the table (integers, numbers, booleans, text; empty cells are missing), and
    pickles become single objects of bytes, under the names of their files. They are never loaded.
    """
    tasks, trials, left_out, unfinished = _core._import_experiment(
        os.fspath(path), os.fspath(root), progress
    )
    _warn_of(unfinished)
    return ImportedExperiment(tasks, trials, left_out, unfinished)


def write_hdf5(path: _Path, data: ArrayLike, dataset: str = "data") -> None:
    """Write one array to a file of HDF5, which is made if it does not exist; what is in it stays.

    A data set of the name that exists is refused (``StoreExistsError``). To some files that h5py made
    (many links in one group, or soft links) only h5py can add; where it is installed it does, and where it
    is not, that is a ``FormatError`` and the file is unchanged.
    """
    refused = _core._write_hdf5(os.fspath(path), data, dataset)
    if refused is not None:
        _write_by_h5py(os.fspath(path), np.asarray(data), dataset, refused)


def _write_by_h5py(path: str, data: np.ndarray, dataset: str, why: str) -> None:
    try:
        import h5py
    except ImportError as error:
        raise FormatError(
            f"{path}: HDF5, {dataset}: only h5py can add to this file ({why}), and it is not installed; the "
            "file is unchanged. `pip install h5py` and call this again, or write to another file"
        ) from error
    packed = data.ndim > 0 and data.size > 0
    options = {"compression": "gzip", "compression_opts": 4, "shuffle": True} if packed else {}
    try:
        with h5py.File(path, "r+") as file:
            *folders, name = dataset.split("/")
            group: Any = file
            for folder in folders:
                # A soft link is followed; what it leads to may be in another file.
                group = group.require_group(folder)
            if group.get(name, getlink=True) is not None:
                raise StoreExistsError(f'{path}: "{dataset}" exists already')
            group.create_dataset(name, data=data, **options)
    except TypeError as error:
        # `require_group` where there is a data set.
        raise StoreExistsError(f'{path}: "{dataset}" exists already: {error}') from error
    except (OSError, ValueError, KeyError) as error:
        if isinstance(error, StoreExistsError):
            raise
        raise FormatError(f"{path}: HDF5, {dataset}: h5py cannot add to it: {error}") from error


def read_hdf5(path: _Path, dataset: str = "data") -> np.ndarray:
    """Read one array from a file of HDF5."""
    return _core._read_hdf5(os.fspath(path), dataset)
