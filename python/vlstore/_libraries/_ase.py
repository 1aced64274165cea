"""Trajectories and databases that ASE reads."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

from vlstore._libraries._source import elsewhere, needs
from vlstore.errors import FormatError
from vlstore.plugins import _units
from vlstore.plugins._atoms import Parts, parts_of


class _AseSource:
    """What the readers have in common: the units of ASE."""

    units = _units.ASE

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self.total: int | None = None
        self.notes: list[str] = []
        self.growing = False
        self.attributes: dict[str, Any] = {}
        self._held = contextlib.ExitStack()

    def _refused(self, error: Exception, frame: int | None = None) -> FormatError:
        at = self.path if frame is None else f"{self.path}, frame {frame}"
        return FormatError(f"{at}: ASE cannot read it: {type(error).__name__}: {error}")

    def close(self) -> None:
        """Close the file."""
        self._held.close()


class FileSource(_AseSource):
    """A file that ``ase.io.iread`` reads."""

    def __init__(self, path: str | os.PathLike[str], kind: str | None, options: dict[str, Any]) -> None:
        super().__init__(path)
        try:
            import ase.io
        except ImportError as error:
            raise needs("ase", self.path, error) from error
        self._kind, self._options = kind, options
        if kind == "traj":
            from ase.io.trajectory import Trajectory

            try:
                with Trajectory(self.path) as file:
                    self.total = len(file)
            except Exception as error:
                raise self._refused(error) from error
        self._read = ase.io.iread

    def frames(self, start: int) -> Iterator[Parts]:
        """The frames from ``start`` on."""
        at = start
        if self.total is not None and start >= self.total:
            return
        images = self._read(
            self.path, index=slice(start, None), format=self._kind, do_not_split_by_at_sign=True, **self._options
        )
        while True:
            try:
                atoms = next(images, None)
            except Exception as error:
                raise self._refused(error, at) from error
            if atoms is None:
                return
            yield parts_of(atoms)
            at += 1


class DatabaseSource(_AseSource):
    """The rows of a database of ASE, in the order of their numbers.

    Key-value pairs and entries of ``data`` are properties of the frame.
    """

    def __init__(self, path: str | os.PathLike[str], kind: str, options: dict[str, Any]) -> None:
        super().__init__(path)
        try:
            from ase.db import connect

            if kind == "aselmdb":
                import ase_db_backends  # noqa: F401
        except ImportError as error:
            raise needs("ase-db-backends" if kind == "aselmdb" else "ase", self.path, error) from error
        link = self._held.enter_context(elsewhere(path))
        if kind == "aselmdb":
            options = {"readonly": True} | options
        named = "db" if kind == "ase-db" and not self.path.endswith(".json") else kind
        try:
            self._db = connect(link, type="json" if named == "ase-db" else named, use_lock_file=False, **options)
            # The numbers alone: rows are read one by one.
            self._rows = self._numbers(kind)
            metadata = dict(self._db.metadata)
        except Exception as error:
            self._held.close()
            raise self._refused(error) from error
        if kind == "aselmdb":
            self._held.callback(self._db.close)
        self.total = len(self._rows)
        if metadata:
            self.attributes["metadata"] = metadata

    def _numbers(self, kind: str) -> list[int]:
        if kind == "aselmdb":
            return sorted(int(number) for number in self._db.ids)
        return sorted(row.id for row in self._db.select(columns=["id"], include_data=False))

    def frames(self, start: int) -> Iterator[Parts]:
        """The frames from ``start`` on."""
        for at in range(start, len(self._rows)):
            try:
                row = self._db.get(id=self._rows[at])
                atoms = row.toatoms()
                pairs, data = dict(row.key_value_pairs), dict(row.data)
            except Exception as error:
                raise self._refused(error, at) from error
            atoms.info = {"unique_id": row.unique_id} | pairs
            for name, value in data.items():
                # A name of both: the pair is found under it, and the other in `ase_data`.
                if name in atoms.info:
                    atoms.info.setdefault("ase_data", {})[name] = value
                else:
                    atoms.info[name] = value
            yield parts_of(atoms)
