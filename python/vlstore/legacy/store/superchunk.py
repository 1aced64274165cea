"""A super-chunk of python-blosc2 that is used as a store, through its own functions.

The chunk that is being filled is kept in memory and handed to the super-chunk when it is full,
at a commit and at close; the index goes into ``vlmeta["saved_lookup"]`` as the original program
has it. None of the promises of a store file hold here: use a path to have them. One promise of its
own holds: a store that is no longer up to date, because another one or another process has changed
the super-chunk, says so and neither reads nor writes.
"""

from __future__ import annotations

import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from vlstore.errors import (
    CorruptError,
    InvalidError,
    LimitError,
    NotFoundError,
    UnsupportedError,
    WrongTypeError,
)
from vlstore.legacy.store._types import (
    EntryExistsError,
    ReadOnlyStoreError,
    StaleError,
    bytewise_memoryview,
    writable_memoryview,
)
from vlstore.legacy.store.locations import TYPE_ALIGNMENT, next_start

LOOKUP = "saved_lookup"
# Counts the changes that stores of this process made, as an attribute of the super-chunk.
_CHANGES = "_vlstore_changes"
# Records that are added before the index is saved again; grows with the index, so that saving
# costs no more than a small multiple of the records.
_SAVE_AFTER = 1000

# From a warning here to the call of SChunkStore.
_STACK = 5

Key = Any
Place = tuple[int, int]


class SuperChunk:
    """Records in a ``blosc2.SChunk``."""

    def __init__(self, schunk: Any, alignment: TYPE_ALIGNMENT) -> None:
        """Take over ``schunk`` with the records that its index names.

        Raises :class:`~vlstore.errors.CorruptError` if the index names places outside of it, or
        was never saved although there are records.
        """
        self.store = schunk
        self.alignment = alignment
        self.chunksize: int = schunk.chunksize
        self.typesize: int = schunk.typesize
        self.read_only: bool = schunk.mode == "r"
        self._lock = threading.RLock()
        if self.chunksize < 1 or self.chunksize % self.typesize:
            raise InvalidError(
                f"chunksize: {self.chunksize} of the super-chunk is not a multiple of its type size "
                f"{self.typesize}"
            )
        # Number and bytes of the chunk that is being filled, and whether it was changed.
        self._open: tuple[int, bytearray] | None = None
        self._dirty = False
        self._places: dict[Key, Place] = {}
        self._unsaved = 0
        self._changes: list[int] = vars(schunk).setdefault(_CHANGES, [0])
        self._load()
        self._end = self._used()
        self._look()

    def _load(self) -> None:
        size = self.store.nbytes
        if LOOKUP not in self.store.vlmeta:
            self._unsaved = 1
            self._saved = None
            if size:
                self._without_index(size)
            return
        entries = self.store.vlmeta[LOOKUP]
        self._saved = fingerprint(entries)
        for entry in entries:
            try:
                key, start, end = entry
                right = 0 <= start < end <= size
            except (TypeError, ValueError):
                raise CorruptError(f"saved_lookup: {entry!r} is no key with a place") from None
            if not right:
                raise CorruptError(
                    f"saved_lookup: the record {key!r} from {start} to {end} is not within the "
                    f"{size} bytes of the super-chunk"
                )
            self._places[key] = (start, end)

    def _without_index(self, size: int) -> None:
        """Say that nothing tells what is in the super-chunk."""
        if "magic" in self.store.meta:
            raise CorruptError(
                f"{LOOKUP}: the super-chunk has {size} bytes of records, and no index that says "
                "where they are: the program that put them ended before it closed the store. "
                f'schunk.vlmeta["{LOOKUP}"] = [] begins a new index; new records go behind the bytes'
            )
        warnings.warn(
            f"the super-chunk has {size} bytes that no index of records names: they stay, and "
            "records go behind them",
            RuntimeWarning,
            stacklevel=_STACK,
        )

    def _used(self) -> int:
        """Where what is in the super-chunk ends: nothing before it is ever overwritten."""
        end = max((end for _, end in self._places.values()), default=0)
        if self._saved is not None and self._is_used_behind(end):
            warnings.warn(
                f"the super-chunk has bytes behind those of the last record that its index names, at "
                f"{end}: of a record that was removed, or of records that were put by a program "
                "that ended before commit() or close() saved where they are",
                RuntimeWarning,
                stacklevel=_STACK,
            )
        last = self.store.nchunks - 1
        if end <= last * self.chunksize or not end % self.chunksize:
            # Chunks that the index does not know are somebody's data, too.
            return max(end, self.store.nbytes)
        rest = self.store.decompress_chunk(last)[end - last * self.chunksize :]
        return end if not any(rest) else self.store.nbytes

    def _is_used_behind(self, end: int) -> bool:
        """Whether something but zeros lies behind ``end``."""
        first, into = divmod(end, self.chunksize)
        return any(
            any(self.store.decompress_chunk(number)[into if number == first else 0 :])
            for number in range(first, self.store.nchunks)
        )

    def _stamp(self) -> tuple[int, int, int] | None:
        """What tells that a file was written to; ``None`` in memory."""
        if not self.store.urlpath:
            return None
        path = os.fspath(self.store.urlpath)
        if not self.store.contiguous:
            path = os.path.join(path, "chunks.b2frame")
        try:
            found = os.stat(path)
        except FileNotFoundError:
            return (0, 0, 0)
        return found.st_ino, found.st_size, found.st_mtime_ns

    def _look(self) -> None:
        """Take what is in the super-chunk for known."""
        self._known = self._changes[0]
        self._seen = self._stamp()

    def _changed(self) -> None:
        """Note a change of our own."""
        self._changes[0] += 1
        self._look()

    def _fresh(self) -> None:
        """Refuse if somebody else has changed the super-chunk.

        Raises :class:`StaleError`; nothing was read or written then.
        """
        if self._known == self._changes[0]:
            stamp = self._stamp()
            if stamp == self._seen:
                return
            if self._is_as_it_was():
                self._seen = stamp
                return
        unsaved = "; what was put here and not committed is lost" if self._dirty else ""
        raise StaleError(
            "another store or another process has changed the super-chunk since it was opened "
            f"here{unsaved}: open it again, blosc2.open(path), and make a new store of it"
        )

    def _is_as_it_was(self) -> bool:
        """Whether the file holds the chunks and the index that are known here."""
        try:
            # The package is there, as it made the super-chunk.
            now = sys.modules["blosc2"].open(self.store.urlpath, mode="r")
            saved = fingerprint(now.vlmeta[LOOKUP]) if LOOKUP in now.vlmeta else None
        except Exception:  # noqa: BLE001 - it raises whatever its C library says
            return False
        here = (self.store.nchunks, self.store.cbytes, self._saved)
        return (now.nchunks, now.cbytes, saved) == here

    def __getstate__(self) -> dict[str, Any]:
        raise UnsupportedError(
            "a store on a super-chunk of another package cannot travel to another process: use "
            "a path as location"
        )

    @property
    def meta(self) -> dict[str, Any]:
        return {name: self.store.meta[name] for name in self.store.meta if name != "magic"}

    def location(self, key: Key) -> Place:
        try:
            return self._places[checked(key)]
        except KeyError:
            raise NotFoundError(f"no record {key!r}") from None

    def contains(self, key: object) -> bool:
        try:
            return checked(key) in self._places
        except (WrongTypeError, InvalidError):
            return False

    def places(self) -> list[tuple[Key, int, int]]:
        return [(key, *place) for key, place in self._places.items()]

    def keys(self) -> Iterator[Key]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def read(self, key: Key) -> bytes:
        return self._bytes(*self.location(key))

    def read_into(self, key: Key, out: Any) -> int:
        view = writable_memoryview(out)
        data = self.read(key)
        if len(view) < len(data):
            raise LimitError(
                f"the record of {len(data)} bytes does not fit into the buffer of {len(view)}"
            )
        view[: len(data)] = data
        return len(data)

    def _bytes(self, start: int, end: int) -> bytes:
        with self._lock:
            self._fresh()
            cut = end
            if self._open is not None and self._dirty:
                number, memory = self._open
                at = number * self.chunksize
                cut = min(end, max(start, at))
                tail = bytes(memory[cut - at : end - at]) if cut < end else b""
            else:
                tail = b""
            return self._stored(start, cut) + tail if start < cut else tail

    def _stored(self, start: int, end: int) -> bytes:
        first, last = start // self.typesize, -(-end // self.typesize)
        items = bytes(self.store.get_slice(first, last))
        begin = start - first * self.typesize
        data = items if begin == 0 and len(items) == end - start else items[begin:][: end - start]
        if len(data) != end - start:
            raise CorruptError(f"the super-chunk gave {len(data)} of {end - start} bytes")
        return data

    def span(self, keys: Iterable[Key]) -> int:
        places = [self.location(key) for key in iterable(keys)]
        if not places:
            return 0
        return max(end for _, end in places) - min(start for start, _ in places)

    def fused(
        self, keys: Iterable[Key], make: Callable[[int], Any] | None, packed: bool
    ) -> tuple[Any, list[slice]]:
        with self._lock:
            places = [self.location(key) for key in iterable(keys)]
            order = sorted(set(places))
            to: dict[Place, int] = {}
            size = 0
            base = order[0][0] if order else 0
            for start, end in order:
                at = -(-size // 8) * 8 if packed else start - base
                to[start, end] = at
                size = max(size, at + end - start)
            out = bytearray(size) if make is None else make(size)
            view = writable_memoryview(out)
            if len(view) < size:
                raise LimitError(
                    f"the records need a buffer of {size} bytes, and it has {len(view)}"
                )
            for (start, end), at in to.items():
                view[at : at + end - start] = self._bytes(start, end)
        slices = [slice(to[place], to[place] + place[1] - place[0]) for place in places]
        return (bytes(out) if make is None else out), slices

    def put(self, key: Key, value: Any, overwrite: bool) -> None:
        key = checked(key)
        view = bytewise_memoryview(value)
        if self.read_only:
            raise ReadOnlyStoreError("the super-chunk was opened for reading")
        with self._lock:
            self._fresh()
            if not overwrite and key in self._places:
                raise EntryExistsError(f"there is a record {key!r} already")
            if self.store.nbytes % self.chunksize:
                raise UnsupportedError(
                    "the last chunk of the super-chunk is not full, so nothing can be added"
                )
            start = next_start(self._end, len(view), self.alignment, self.chunksize)
            self._write(start, view)
            self._end = start + len(view)
            self._places.pop(key, None)
            self._places[key] = (start, self._end)
            self._unsaved += 1

    def _write(self, start: int, view: memoryview) -> None:
        done = 0
        while done < len(view):
            number, offset = divmod(start + done, self.chunksize)
            memory = self._opened(number)
            part = view[done : done + self.chunksize - offset]
            memory[offset : offset + len(part)] = part
            self._dirty = True
            done += len(part)

    def _opened(self, number: int) -> bytearray:
        if self._open is not None and self._open[0] == number:
            return self._open[1]
        self._flush()
        self._open = None
        if number < self.store.nchunks:
            memory = bytearray(self.store.decompress_chunk(number))
        else:
            memory = bytearray(self.chunksize)
        self._open = (number, memory)
        if self._unsaved > max(_SAVE_AFTER, len(self._places) // 4):
            self._save()
        return memory

    def _flush(self) -> None:
        if self._open is None or not self._dirty:
            return
        number, memory = self._open
        if number < self.store.nchunks:
            self.store.update_data(number, memory, copy=True)
        else:
            self.store.append_data(memory)
        self._dirty = False
        self._changed()

    def _save(self) -> None:
        known = self.store.nbytes
        entries = [p for p in self.places() if p[2] <= known]
        self.store.vlmeta[LOOKUP] = entries
        self._saved = fingerprint(entries)
        self._unsaved = 0
        self._changed()

    def delete(self, key: Key, zero: bool) -> None:
        place = self.location(key)
        if self.read_only:
            raise ReadOnlyStoreError("the super-chunk was opened for reading")
        with self._lock:
            self._fresh()
            del self._places[key]
            self._unsaved += 1
            if zero:
                self._wipe(*place)

    def _wipe(self, start: int, end: int) -> None:
        while start < end:
            number, offset = divmod(start, self.chunksize)
            part = min(end - start, self.chunksize - offset)
            if self._open is not None and self._open[0] == number:
                self._open[1][offset : offset + part] = bytes(part)
                self._dirty = True
            else:
                memory = bytearray(self.store.decompress_chunk(number))
                memory[offset : offset + part] = bytes(part)
                self.store.update_data(number, memory, copy=True)
                self._changed()
            start += part

    def commit(self) -> None:
        if self.read_only:
            return
        with self._lock:
            if not self._dirty and not self._unsaved:
                return
            self._fresh()
            self._flush()
            self._save()

    def close(self) -> None:
        self.commit()


def fingerprint(entries: Any) -> int:
    """A number that tells one index from another."""
    return hash(tuple(map(tuple, entries)))


def checked(key: Any) -> Key:
    """``key`` if the index can hold it, an integer of NumPy as ``int``."""
    if isinstance(key, bytes):
        return key
    if isinstance(key, str):
        try:
            key.encode()
        except UnicodeEncodeError:
            raise InvalidError(f"key: {key!r} is no valid Unicode") from None
        return key
    if hasattr(key, "__index__") and not isinstance(key, bool):
        number = key.__index__()
        if -(1 << 63) <= number < 1 << 64:
            return number
        raise InvalidError(f"key: {number} is outside of -2**63 to 2**64-1")
    raise WrongTypeError(f"a key must be a str, an int or bytes, not {type(key).__name__} ({key!r})")


def iterable(keys: Any) -> Iterable[Key]:
    """``keys`` unless it is one key."""
    if isinstance(keys, (str, bytes)):
        raise WrongTypeError(f"keys are an iterable of keys, not {type(keys).__name__}")
    return keys
