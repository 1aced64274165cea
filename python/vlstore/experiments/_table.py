"""The trials of a task as a table."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from os import PathLike
from typing import Any, overload

from vlstore import _core
from vlstore.errors import (
    Error,
    MissingFileError,
    NotFoundError,
    OrdinalError,
    PermissionDeniedError,
    StoreExistsError,
    SystemCallError,
)

__all__ = ["Trials"]


def _refused(path: str | PathLike[str], error: OSError) -> Error:
    """The error of this package for one of a file."""
    if isinstance(error, FileExistsError):
        return StoreExistsError(f"{os.fspath(path)} exists already")
    kinds = {FileNotFoundError: MissingFileError, PermissionError: PermissionDeniedError}
    raised = kinds.get(type(error), SystemCallError)(f"{os.fspath(path)}: {error.strerror}")
    raised.errno, raised.filename = error.errno, os.fspath(path)
    return raised


class Trials(Sequence[dict[str, Any]]):
    """The attributes of trials: ``trials[3]`` is the row of a trial, ``trials["label"]`` a column.

    A row is a dict with all columns; a trial without an attribute has ``None`` there. Columns
    stand in the order in which they first appear, ``block`` and ``trial`` last. Values have the
    types with which they were written.
    """

    def __init__(self, task: _core._Task) -> None:
        self._columns: dict[str, list[Any]] = dict(task.columns())
        self._count = len(task)
        self._task = task

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return list(self._columns)

    @property
    def index(self) -> range:
        """The numbers of the trials, from 0."""
        return range(self._count)

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, key: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, key: slice) -> list[dict[str, Any]]: ...
    @overload
    def __getitem__(self, key: str) -> list[Any]: ...
    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            if key not in self._columns:
                raise NotFoundError(f"the column {key!r} does not exist; columns: {self.columns}")
            return list(self._columns[key])
        if isinstance(key, slice):
            return [self[i] for i in self.index[key]]
        try:
            place = self.index[key]
        except IndexError as error:
            raise OrdinalError(f"trial {key} does not exist; the table has {self._count}") from error
        return {name: values[place] for name, values in self._columns.items()}

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self[i] for i in self.index)

    def iterrows(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Number and row of each trial."""
        return enumerate(self)

    def to_csv(self, path: str | PathLike[str] | None = None) -> str | None:
        """The table as comma-separated text: returned, or written to a new file at ``path``.

        Missing values are empty cells, an empty text is ``""``.
        """
        text = self._task.csv()
        if path is None:
            return text
        try:
            file = open(path, "x", encoding="utf-8", newline="")
            try:
                with file:
                    file.write(text)
            except BaseException:
                # Of this call, and not complete.
                os.unlink(path)
                raise
        except OSError as error:
            raise _refused(path, error) from error
        return None

    def to_pandas(self) -> Any:
        """The table as ``pandas.DataFrame`` (which this needs to be installed)."""
        try:
            import pandas
        except ImportError as error:
            raise ImportError("to_pandas needs pandas: pip install pandas") from error
        return pandas.DataFrame(self._columns, index=pandas.RangeIndex(self._count))

    def __repr__(self) -> str:
        return f"<Trials: {self._count}, columns {self.columns}>"
