"""The folder of an experiment, and a whole run of one subject."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from vlstore import _core
from vlstore.errors import InvalidError
from vlstore.experiments._task import TaskReader, TaskWriter, _close_after

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Experiment", "Storage", "StorageWriter"]

_Path: TypeAlias = str | PathLike[str]
Progress: TypeAlias = Callable[[int, int], object]
_Durability: TypeAlias = Literal["kernel", "sync", "none"]


class Storage:
    """The data of an experiment: ``root/SUBJECT/TASK.vls``.

    Parameters
    ----------
    root : str or os.PathLike
        The folder; it is made if it does not exist.
    allow_overwrite : bool
        Whether :meth:`create_task` replaces a task that exists.

    >>> from vlstore.experiments import Design, Storage
    >>> storage = Storage("experiment")
    >>> storage.subject_id = "p01"
    >>> trial = Design().add_block().add_trial({"side": "left"})
    >>> trial.add_array("emg").stack([0.5, 1.5, 2.5])
    >>> with storage.create_task("reach") as task:
    ...     task.write(trial)
    0
    >>> list(storage.subject_ids), list(storage.task_ids)
    (['p01'], ['reach'])
    >>> storage.require_task("reach").trials[0]
    {'side': 'left', 'block': 0, 'trial': 0}
    """

    def __init__(self, root: _Path = "data", allow_overwrite: bool = False) -> None:
        self.root = os.fspath(root)
        self.allow_overwrite = allow_overwrite
        self._inner = _core._Storage(self.root, True)
        self._subject: str | None = None

    @property
    def subject_ids(self) -> Iterator[str]:
        """Names of the subjects, sorted as text."""
        return iter(self._inner.subjects())

    @property
    def subject_id(self) -> str | None:
        """The subject whose tasks are written and read. Setting it takes the subject or makes it."""
        return self._subject

    @subject_id.setter
    def subject_id(self, subject: str) -> None:
        self._inner.make_subject(subject)
        self._subject = subject

    @property
    def task_ids(self) -> Iterator[str]:
        """Names of the tasks of the subject, sorted as text; none without a subject."""
        return iter([] if self._subject is None else self._inner.tasks(self._subject))

    def create_task(
        self,
        task_id: str,
        *,
        overwrite: bool | None = None,
        commit_interval: float = 1.0,
        durability: _Durability | None = None,
    ) -> TaskWriter:
        """Make a task of the subject and return its writer.

        Parameters
        ----------
        task_id : str
            Its name, new for the subject.
        overwrite : bool, optional
            Replace a task that exists (and only that one). By default as ``allow_overwrite`` of the
            storage.
        commit_interval : float
            Seconds between commits of pieces: what a killed acquisition can lose. 0 commits
            each piece by itself.
        durability : {"kernel", "sync", "none"}
            As for :func:`vlstore.open`.

        Raises
        ------
        StoreExistsError
            The subject has such a task, and it is not to be replaced.
        LockedError
            Somebody is writing the task that is to be replaced.
        """
        subject = self._need("making a task")
        replace = self.allow_overwrite if overwrite is None else overwrite
        made = self._inner.create_task(
            subject, task_id, replace, commit_interval, durability
        )
        return TaskWriter(made, commit_interval)

    def append_task(
        self,
        task_id: str,
        *,
        commit_interval: float = 1.0,
        durability: _Durability | None = None,
    ) -> TaskWriter:
        """Open a task to append trials, for a second run; it is made if it does not exist."""
        subject = self._need("writing a task")
        opened = self._inner.append_task(subject, task_id, commit_interval, durability)
        return TaskWriter(opened, commit_interval)

    def require_task(self, task_id: str) -> TaskReader:
        """Open a task that exists, for reading. Makes nothing."""
        subject = self._need("reading a task")
        return TaskReader(self._inner.require_task(subject, task_id), f"{subject}/{task_id}")

    def merge(self, other: _Path | Storage) -> int:
        """Bring all subjects and tasks of the experiment at ``other`` here, byte for byte; return
        how many tasks. A task of a subject that is here already is refused before anything is
        brought."""
        root = other.root if isinstance(other, Storage) else os.fspath(other)
        return self._inner.merge(root)

    def to_zip(
        self,
        outfile: _Path | None = None,
        *,
        overwrite: bool = False,
        views: bool = True,
        progress: Progress | None = None,
    ) -> str:
        """See :func:`storage_to_zip`."""
        from vlstore.experiments._archive import storage_to_zip

        return storage_to_zip(
            self.root, outfile, overwrite=overwrite, views=views, progress=progress
        )

    def to_hdf5(
        self,
        outfile: _Path | None = None,
        *,
        overwrite: bool = False,
        level: int = 4,
        progress: Progress | None = None,
    ) -> str:
        """See :func:`storage_to_hdf5`."""
        from vlstore.experiments._archive import storage_to_hdf5

        return storage_to_hdf5(
            self.root, outfile, overwrite=overwrite, level=level, progress=progress
        )

    def _need(self, what: str) -> str:
        if self._subject is None:
            raise InvalidError(f"subject: set `subject_id` before {what}")
        return self._subject

    def __reduce__(self) -> tuple[Any, ...]:
        return (_restored, (self.root, self.allow_overwrite, self._subject))

    def __repr__(self) -> str:
        return f"<Storage at {self.root!r}, subject {self._subject!r}>"


def _restored(root: str, allow_overwrite: bool, subject: str | None) -> Storage:
    storage = Storage(root, allow_overwrite)
    if subject is not None:
        storage.subject_id = subject
    return storage


class StorageWriter:
    """The run of one subject: opened once, keeps each task open until its end.

    >>> from vlstore.experiments import Design, StorageWriter
    >>> with StorageWriter("experiment", "p02") as run:
    ...     for name in ("calibration", "reach"):
    ...         trial = Design().add_block().add_trial()
    ...         trial.add_array("emg", [0.5, 1.5])
    ...         run.task(name).write(trial)
    <Array, float64 of shape (2,), stacked along axis 1>
    0
    <Array, float64 of shape (2,), stacked along axis 1>
    0
    """

    def __init__(
        self,
        root: _Path = "data",
        subject_id: str = "",
        *,
        commit_interval: float = 1.0,
        durability: _Durability | None = None,
    ) -> None:
        self.storage = Storage(root)
        self.storage.subject_id = subject_id
        self._options: dict[str, Any] = {
            "commit_interval": commit_interval,
            "durability": durability,
        }
        self._tasks: dict[str, TaskWriter] = {}
        self._closed = False

    @property
    def subject_id(self) -> str | None:
        return self.storage.subject_id

    def create_task(self, task_id: str, *, overwrite: bool | None = None) -> TaskWriter:
        """Make a task; one that exists is refused unless it is to be replaced."""
        self._usable()
        if task_id in self._tasks:
            raise InvalidError(f"task: {task_id!r} is open in this run; use `task`")
        made = self.storage.create_task(task_id, overwrite=overwrite, **self._options)
        self._tasks[task_id] = made
        return made

    def task(self, task_id: str) -> TaskWriter:
        """The writer of a task: opened (or made) at the first call, the same one after."""
        self._usable()
        if task_id not in self._tasks or self._tasks[task_id].closed:
            self._tasks[task_id] = self.storage.append_task(task_id, **self._options)
        return self._tasks[task_id]

    def write(self, task_id: str, trial: Any) -> int:
        """Write a trial to a task; return its number."""
        return self.task(task_id).write(trial)

    def require_task(self, task_id: str) -> TaskReader:
        """Open a task of the subject for reading, such as one that an earlier run wrote."""
        return self.storage.require_task(task_id)

    def close(self) -> None:
        """Close all tasks; nothing if it is closed. Where some cannot be closed without an error, the
        others are closed, and the first error is raised."""
        self._closed = True
        tasks, self._tasks = list(self._tasks.values()), {}
        first: BaseException | None = None
        for task in tasks:
            try:
                task.close()
            except BaseException as error:
                first = first or error
        if first is not None:
            raise first

    def _usable(self) -> None:
        if self._closed:
            from vlstore.errors import ClosedError

            raise ClosedError("the run is closed: make a new StorageWriter")

    def __enter__(self) -> StorageWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _close_after(self.close, error)


def _some(names: list[str]) -> str:
    """The first of these names, and how many there are."""
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"


class Experiment:
    """An experiment for reading, in whatever form: a folder of ours or of AxoPy, an archive (zip,
    read where it lies), or a consolidated file (HDF5)."""

    def __init__(self, path: _Path) -> None:
        self.path = os.fspath(path)
        self._inner = _core._Experiment(self.path)

    @property
    def subject_ids(self) -> list[str]:
        """Names of the subjects, sorted as text."""
        return self._inner.subjects()

    def task_ids(self, subject_id: str) -> list[str]:
        """Names of the tasks of a subject, sorted as text."""
        return self._inner.tasks(subject_id)

    def task(self, subject_id: str, task_id: str) -> TaskReader:
        """One task. What other programs added to a consolidated file and cannot be read here is in no
        trial: a ``UserWarning`` names it, and so does :attr:`TaskReader.left_out`."""
        task = TaskReader(self._inner.task(subject_id, task_id), f"{subject_id}/{task_id}")
        if task.left_out:
            import warnings

            warnings.warn(
                f"{self.path}: in no trial, since it cannot be read here (h5py reads it): "
                f"{_some(task.left_out)}",
                UserWarning,
                stacklevel=2,
            )
        return task

    @property
    def left_out(self) -> list[str]:
        """What is in no task, by its place below the root: files and folders (these end with ``/``), and
        what of a task cannot be read here. Consolidation and import leave it out."""
        return self._inner.left_out()

    def __reduce__(self) -> tuple[Any, ...]:
        return (Experiment, (self.path,))

    def __repr__(self) -> str:
        return f"<Experiment at {self.path!r}>"
