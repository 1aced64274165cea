"""A store of this package behind the original's names.

A file is opened for reading until somebody writes, and again once the store was closed, so that
it is locked no longer than needed; what was closed can be used on.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import vlstore
from vlstore._views import plain
from vlstore.errors import (
    ClosedError,
    NotFoundError,
    ReadOnlyError,
    RecordExistsError,
    WrongTypeError,
)
from vlstore.legacy.store._types import EntryExistsError, ReadOnlyStoreError
from vlstore.legacy.store.parameters import META, creation_options, meta_from_json, meta_to_json

Buffer = Any


class Native:
    """Records in a :class:`vlstore.Store`."""

    def __init__(self, store: vlstore.Store | None, path: Path | None = None) -> None:
        self._store = None if store is None else store._keyed()
        self._path = path
        # The writer of a store in memory, while it is only read.
        self._resting: vlstore.Store | None = None
        self._lock = threading.Lock()

    @classmethod
    def create(cls, path: Path | None, alignment: str, given: dict[str, Any]) -> Native:
        """Make a new store, in memory without ``path``."""
        options = creation_options(given, alignment)
        meta = meta_to_json(given.get("meta"))
        # Refused before there is a file.
        plain(meta, "meta")
        if path is None:
            store = vlstore.memory(**options)
        else:
            store = vlstore.open(path, "x", records="bytes", **options)
        if meta:
            store.attrs[META] = meta
        return cls(store, path)

    @classmethod
    def open(cls, path: Path) -> Native:
        """Open the store at ``path``."""
        return cls(vlstore.open(path, records="bytes"), path)

    def __getstate__(self) -> dict[str, Any]:
        if self.store.mode != "r":
            self.store.commit()
        return {"store": self.store, "path": self._path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["store"], state["path"])  # type: ignore[misc]

    @property
    def store(self) -> vlstore.Store:
        """The store as it is open at the moment."""
        with self._lock:
            if self._store is None:
                # Only what has a path is ever let go of.
                self._store = vlstore.open(self._path or "", records="bytes")._keyed()
            return self._store

    def _writer(self) -> vlstore.Store:
        store = self.store
        if store.mode != "r":
            return store
        with self._lock:
            if self._store is not store:
                return self._store or store
            if self._resting is not None:
                self._store, self._resting = self._resting, None
            elif self._path is None:
                raise ReadOnlyStoreError("the store was opened for reading")
            else:
                try:
                    # Lean frames, which the original does not read, need no table by which it finds them.
                    lean = store.options["frames"] == "lean"
                    table: Literal["auto", "always"] = "auto" if lean else "always"
                    opened = vlstore.open(self._path, "a", records="bytes", original_table=table)
                    self._store = opened._keyed()
                except PermissionError as error:
                    raise ReadOnlyStoreError(f"the store cannot be written to: {error}") from error
            return self._store

    @property
    def read_only(self) -> bool:
        """Whether a put would be refused."""
        if self._path is not None:
            return not os.access(self._path, os.W_OK)
        return self._resting is None and self.store.mode == "r"

    @property
    def chunksize(self) -> int:
        return self.store.options["chunk_size"]

    @property
    def typesize(self) -> int:
        return self.store.options["typesize"]

    @property
    def alignment(self) -> str:
        return self.store.options["alignment"]

    @property
    def meta(self) -> dict[str, Any]:
        return meta_from_json(self.store.attrs.get(META))

    def location(self, key: Any) -> tuple[int, int]:
        start, end, _ = self.store.location(key)
        return start, end

    def contains(self, key: object) -> bool:
        try:
            return key in self.store
        except (WrongTypeError, ValueError):
            return False

    def places(self) -> list[tuple[Any, int, int]]:
        return self.store._places()

    def keys(self) -> Iterator[Any]:
        return iter(self.store)

    def __len__(self) -> int:
        # Records without a key, which the modern face can add, are not seen by this one.
        store = self.store
        last = len(store)
        if last and store.at.key(last - 1) is None:
            return len(store._places())
        return last

    def read(self, key: Any) -> bytes:
        return self.store[key]

    def read_into(self, key: Any, out: Buffer) -> int:
        return self.store.get_into(key, out)

    def span(self, keys: Iterable[Any]) -> int:
        return self.store._span(keys)

    def fused(
        self, keys: Iterable[Any], make: Callable[[int], Buffer] | None, packed: bool
    ) -> tuple[Any, list[slice]]:
        return self.store._fused(keys, make, packed)

    def put(self, key: Any, value: Buffer, overwrite: bool) -> None:
        try:
            writer = self._writer()
            (writer.put if overwrite else writer.insert)(key, value)
        except RecordExistsError as error:
            raise EntryExistsError(*error.args) from None
        except ReadOnlyError as error:
            raise ReadOnlyStoreError(*error.args) from error

    def delete(self, key: Any, zero: bool) -> None:  # noqa: ARG002 - space is reclaimed by compact
        # Looked up before the file is opened for writing.
        if not self.contains(key):
            raise NotFoundError(f"no record {key!r}")
        try:
            del self._writer()[key]
        except ReadOnlyError as error:
            raise ReadOnlyStoreError(*error.args) from error

    def commit(self) -> None:
        if self.store.mode != "r":
            self.store.commit()

    def close(self) -> None:
        with self._lock:
            store = self._store
            if store is None or store.mode == "r":
                return
            with contextlib.suppress(ClosedError):
                store.seal()
            if self._path is not None:
                store.close()
                self._store = None
            elif not store.closed and store.path is None:
                # A child of a fork reads what was closed, from memory too.
                self._store, self._resting = store._reader(), store
