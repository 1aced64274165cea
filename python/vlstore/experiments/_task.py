"""One task of one subject: writing and reading."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from vlstore import _core
from vlstore.errors import InvalidError, OrdinalError, WrongTypeError
from vlstore.experiments._design import Array, Trial
from vlstore.experiments._table import Trials

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["TaskReader", "TaskWriter", "Unfinished"]

#: Writers that are open at the end of the program: their pieces are committed then.
_open: weakref.WeakSet[TaskWriter] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    for writer in list(_open):
        writer.close()


#: Held while a thread commits what waits: a fork comes before or after.
_timing = threading.Lock()


def _after_fork() -> None:
    # The threads are not in the child, and might have held the locks of these.
    for writer in list(_open):
        writer._ended, writer._timer = threading.Event(), None
    _timing.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_timing.acquire, after_in_parent=_timing.release, after_in_child=_after_fork
    )


def _commit_in_time(
    inner: _core._TaskWriter, ended: threading.Event, wait: float, failed: list[Exception]
) -> None:
    """Commits what waits every `wait` seconds, until `ended`: also where no further piece comes."""
    while not ended.wait(wait):
        with _timing:
            if ended.is_set():
                return
            try:
                inner.commit()
            except Exception as error:
                failed.append(error)
                return


class TaskWriter:
    """Writes the trials of one task. Made by :meth:`Storage.create_task` and
    :meth:`Storage.append_task`; there is one for a task at a time.

    A trial is written by :meth:`write`, in one commit. :meth:`begin` before it has the pieces of
    its arrays written while they are acquired.
    """

    def __init__(self, inner: _core._TaskWriter, commit_interval: float = 0.0) -> None:
        self._inner = inner
        self._interval = commit_interval
        #: What a commit in a pause failed with, until a caller is told.
        self._failed: list[Exception] = []
        self._ended = threading.Event()
        self._timer: threading.Thread | None = None
        _open.add(self)
        if not inner.locked:
            import warnings

            warnings.warn(
                "this file system has no locks; make sure that no other process writes the task",
                RuntimeWarning,
                stacklevel=3,
            )

    def begin(self, trial: Trial) -> Trial:
        """Begin a trial: from now on each piece that is stacked on its arrays is written.

        Pieces are committed once a second (``commit_interval``), also while no further ones come, and
        what is committed survives the end of the process. An error of a commit in a pause is raised
        by the next call of the writer, and the next piece is refused (``PoisonedError``).
        What is committed belongs to no trial until :meth:`write`; after a crash
        :attr:`TaskReader.unfinished` has it.
        """
        if trial._token is not None:
            raise InvalidError("trial: it was begun already; write or abandon it first")
        self._tell()
        trial._begin(self._inner, self._inner.begin(_attributes(trial)))
        if self._timer is None and self._interval > 0:
            # An hour is no longer than any system can wait, and a short wait costs others.
            wait = min(max(self._interval, 0.01), 3600.0)
            arguments = (self._inner, self._ended, wait, self._failed)
            self._timer = threading.Thread(
                target=_commit_in_time, args=arguments, name="vlstore-commit", daemon=True
            )
            # A writer that nobody has any more ends its thread, too.
            weakref.finalize(self, self._ended.set).atexit = False
            self._timer.start()
        return trial

    def write(self, trial: Trial) -> int:
        """Write the trial with its arrays, commit, empty the arrays, and return its number.

        A trial that is refused leaves nothing behind, and keeps its data in memory.

        Raises
        ------
        InvalidError
            The trial has no ``block`` or ``trial`` number, or an array was declared and never
            filled.
        """
        self._tell()
        begun = trial._writer is self._inner
        if trial._token is not None and not begun:
            raise InvalidError("trial: it was begun with another writer")
        token = trial._token if begun else None
        with contextlib.ExitStack() as locks:
            # A piece that another thread stacks meanwhile waits, and is in the emptied array then.
            for array in trial.arrays.values():
                locks.enter_context(array._lock)
            return self._write(trial, token)

    def _write(self, trial: Trial, token: int | None) -> int:
        try:
            for name, array in trial.arrays.items():
                if not array._filled:
                    if token is not None:
                        self._inner.abandon(token)
                    raise InvalidError(
                        f"trial: the array {name!r} was declared and never filled; stack data, or "
                        "remove it from `arrays`"
                    )
            arrays = [(n, a.stack_axis, a._given(n)) for n, a in trial.arrays.items()]
            number = self._inner.write(token, _attributes(trial), arrays)
        finally:
            trial._end()
        for array in trial.arrays.values():
            array.clear()
        return number

    def abandon(self, trial: Trial) -> None:
        """Give up a trial that was begun: nothing of it stays in the file. Its arrays stay in memory,
        and it may be begun or written again, here or with another writer. Where the disk failed this
        writer, that is an error, and what was committed of the trial stays in the file."""
        if trial._writer is self._inner and trial._token is not None:
            token = trial._token
            trial._end()
            self._inner.abandon(token)

    def put_object(self, name: str, value: Any) -> None:
        """Keep a single object under ``name``; one that is there is replaced.

        ``value`` is bytes, an array of numbers, or what JSON can say (dicts with str keys, lists,
        str, numbers, bool, None), with integers of 64 bits; longer ones are refused. Anything else
        is yours to make bytes of: a pickle, for example, is kept as bytes and never loaded by this
        package.
        """
        if isinstance(value, (bytes, bytearray, memoryview)):
            self._inner.put_object(name, "bytes", bytes(value))
        elif isinstance(value, (np.ndarray, np.generic)):
            self._inner.put_object(name, "array", value)
        else:
            self._inner.put_object(name, "json", _json(value))

    def discard_unfinished(self) -> int:
        """Remove what earlier runs left of trials that were never written; return how many."""
        return self._inner.discard_unfinished()

    def commit(self) -> None:
        """Commit all pieces that wait."""
        self._tell()
        self._inner.commit()

    def close(self) -> None:
        """Commit and close; nothing if it is closed."""
        _open.discard(self)
        self._ended.set()
        if self._timer is not None:
            self._timer.join()
        try:
            self._inner.close()
        finally:
            self._tell()

    def _tell(self) -> None:
        """Raises, once, what a commit in a pause failed with."""
        if self._failed:
            raise self._failed.pop()

    @property
    def closed(self) -> bool:
        return self._inner.closed

    def __len__(self) -> int:
        """Number of trials of the task."""
        return len(self._inner)

    def __bool__(self) -> bool:
        return True

    def __enter__(self) -> TaskWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _close_after(self.close, error)


def _close_after(close: Callable[[], None], error: BaseException | None) -> None:
    """Closes at the end of a `with` block. Where the block failed, its error is the first one, and
    what closing fails with follows from it: it becomes a note."""
    try:
        close()
    except Exception as second:
        if error is None:
            raise
        if hasattr(error, "add_note"):
            error.add_note(f"closing failed, too: {second}")


class TaskReader:
    """Reads the trials of one task, as they were when it was opened."""

    def __init__(self, inner: _core._Task, name: str = "") -> None:
        self._inner = inner
        self._name = name
        self._trials: Trials | None = None

    @property
    def trials(self) -> Trials:
        """The attributes of all trials, as a table."""
        if self._trials is None:
            self._trials = Trials(self._inner)
        return self._trials

    def __len__(self) -> int:
        """Number of trials."""
        return len(self._inner)

    def __bool__(self) -> bool:
        return True

    def _place(self, trial: int) -> int:
        """The place of a trial counted from 0, where negative ones count from the end."""
        try:
            return range(len(self))[trial]
        except IndexError as error:
            raise OrdinalError(
                f"{self._name}: trial {trial} does not exist; the task has {len(self)}, counted from 0"
            ) from error

    def attributes(self, trial: int) -> dict[str, Any]:
        """The attributes of one trial, in the order in which they were given; without those of
        other trials."""
        return dict(self._inner.attributes(self._place(trial)))

    def arrays(self, trial: int) -> dict[str, tuple[str, tuple[int, ...]]]:
        """Type and shape of each array of a trial; reads none."""
        return {n: (t, tuple(s)) for n, t, s in self._inner.arrays(self._place(trial))}

    @property
    def array_names(self) -> list[str]:
        """Names of the arrays of all trials, in order of appearance."""
        names: dict[str, None] = {}
        for trial in range(len(self)):
            names.update(dict.fromkeys(n for n, _, _ in self._inner.arrays(trial)))
        return list(names)

    def get(self, trial: int, name: str) -> np.ndarray:
        """The array ``name`` of one trial. ``InvalidError`` if the trial has none, ``OrdinalError`` if
        the trial does not exist."""
        return self._inner.array(self._place(trial), name)

    def iterarray(self, name: str) -> Iterator[np.ndarray]:
        """The array ``name`` of each trial, read when it is asked for.

        A trial that has no such array is an ``InvalidError`` that says which trial.
        """
        return (self._inner.array(trial, name) for trial in range(len(self)))

    def array(self, name: str) -> np.ndarray:
        """The arrays ``name`` of all trials, rows below rows (``numpy.vstack``).

        ``InvalidError`` if they do not have the same width, or not the same type: no value is
        converted unseen.
        """
        arrays = list(self.iterarray(name))
        if not arrays:
            raise InvalidError(f"array: the task has no trials, and so no {name!r} to stack")
        types: dict[np.dtype[Any], int] = {}
        for trial, array in enumerate(arrays):
            types.setdefault(array.dtype, trial)
        if len(types) > 1:
            found = ", ".join(f"{dtype} (first in trial {trial})" for dtype, trial in types.items())
            raise InvalidError(
                f"array: the trials of {name!r} do not stack, their types are {found}; convert them "
                f"one by one, for example numpy.vstack([a.astype(float) for a in "
                f"reader.iterarray({name!r})])"
            )
        try:
            return np.vstack(arrays)
        except ValueError as error:
            shapes = sorted({a.shape for a in arrays})
            raise InvalidError(
                f"array: the trials of {name!r} do not stack, their shapes are {shapes}; read "
                "them one by one with `iterarray`"
            ) from error

    @property
    def left_out(self) -> list[str]:
        """What of the task cannot be read here, by its place and with the reason: what other programs
        added to a consolidated file, such as attributes that are lists (``p01/reach/0@NAME``)."""
        return self._inner.left_out()

    @property
    def objects(self) -> list[str]:
        """Names of the single objects, sorted."""
        return self._inner.objects()

    def object(self, name: str) -> Any:
        """The single object ``name``: bytes, an array, or what JSON says. Pickles are bytes."""
        form, value = self._inner.object(name)
        return json.loads(value) if form == "json" else value

    @property
    def unfinished(self) -> list[Unfinished]:
        """Trials that were begun and never written: what a stopped acquisition left, or one that
        goes on. They are not among the :attr:`trials`."""
        found = self._inner.unfinished()
        return [Unfinished(self._inner, i, dict(a), dict(n)) for i, (a, n) in enumerate(found)]

    def __repr__(self) -> str:
        return f"<TaskReader {self._name} with {len(self)} trials>"


class Unfinished:
    """What is committed of a trial that was begun and never written."""

    def __init__(
        self, inner: _core._Task, place: int, attrs: dict[str, Any], axes: dict[str, int]
    ) -> None:
        self._inner, self._place, self._axes = inner, place, axes
        #: The attributes that it had when it was begun.
        self.attrs = attrs
        #: Names of its arrays.
        self.array_names = list(axes)

    def array(self, name: str) -> np.ndarray:
        """All committed pieces of an array."""
        return self._inner.unfinished_array(self._place, name)

    def trial(self) -> Trial:
        """It as a trial, which :meth:`TaskWriter.write` writes like any other."""
        trial = Trial(self.attrs)
        for name in self.array_names:
            trial.arrays[name] = Array(self.array(name), self._axes[name])
        return trial

    def __repr__(self) -> str:
        return f"<Unfinished {self.attrs} with the arrays {self.array_names}>"


def _attributes(trial: Trial) -> list[tuple[str, Any]]:
    if not isinstance(trial, Trial):
        raise WrongTypeError(f"a trial must be a Trial (see Block.add_trial), not {type(trial).__name__}")
    if not isinstance(trial.attrs, Mapping):
        raise WrongTypeError(f"the attributes of a trial must be a dict, not {trial.attrs!r}")
    return list(trial.attrs.items())


def _json(value: Any) -> str:
    def check(value: Any, at: str = "object") -> None:
        if isinstance(value, dict):
            if not all(isinstance(key, str) for key in value):
                raise WrongTypeError("the keys of an object must be str")
            for key, inner in value.items():
                check(inner, f"{at}[{key!r}]")
        elif isinstance(value, list):
            for place, inner in enumerate(value):
                check(inner, f"{at}[{place}]")
        elif isinstance(value, int) and not -(2**63) <= value < 2**64:
            raise InvalidError(
                f"{at}: the integer {value} does not fit 64 bits, and would come back as a rounded "
                "float; give it as a string, for example the whole object as json.dumps(...)"
            )
        elif value is not None and not isinstance(value, (str, int, float, bool)):
            raise WrongTypeError(
                f"an object must be bytes, an array of numbers, or what JSON can hold, not "
                f"{type(value).__name__}; make bytes of it yourself, for example with pickle.dumps"
            )

    check(value)
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError as error:
        raise InvalidError(f"object: {error}; JSON has no NaN and no infinity") from error
