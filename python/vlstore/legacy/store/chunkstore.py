"""Records by key, with the names and arguments of the original program."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterable, Iterator, KeysView, Mapping, MutableMapping
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, overload

import vlstore
from vlstore.errors import InvalidError, MissingFileError, NotAStoreError, WrongTypeError
from vlstore.legacy.store._types import TYPE_INPUTDATA, TYPE_KEY, TYPE_OUT, bytewise_memoryview
from vlstore.legacy.store.locations import (
    CONTIGUOUS_ALIGNMENT,  # noqa: F401 - a name of this module in the original
    DEFAULT_CHUNK_SIZE,
    NOCROSS_ALIGNMENT,
    START_ALIGNMENT,  # noqa: F401 - as above
    TYPE_ALIGNMENT,
    Location,
    LocationIndex,
    checked_alignment,
)
from vlstore.legacy.store.mapping import MappingVerbs
from vlstore.legacy.store.native import Native
from vlstore.legacy.store.parameters import as_dict, chunk_bytes, whole
from vlstore.legacy.store.superchunk import SuperChunk

T = TypeVar("T")

# Bytes of a buffer below which it does not matter how much of it is used.
_SMALL: Final = 64 << 10

_MAGIC: Final = b"\xa4\x9a3g\xcf}D\xd1\xb0\x97\xe0Q\x05\x836\xeb"


def _create_default_schunk(
    *,
    filename: str | os.PathLike[str] | None = None,
    chunksize: int = DEFAULT_CHUNK_SIZE,
    cparams: Mapping[str, Any] | None = None,
    dparams: Mapping[str, Any] | None = None,
    contiguous: bool = True,
    meta: Mapping[str | bytes, Any] | None = None,
) -> Any:
    """Make an empty ``blosc2.SChunk``, in memory or at ``filename``.

    By default it compresses with Zstandard, level 1, type size 1. ``meta`` is not changed.
    Needs the package ``blosc2``; a store of this package, made by giving a path to
    :class:`SChunkStore`, needs it not, and survives more.

    Raises :class:`~vlstore.errors.InvalidError` if ``chunksize`` is not a multiple of the type
    size.
    """
    try:
        blosc2 = importlib.import_module("blosc2")
    except ImportError as error:
        raise ImportError(
            "a super-chunk is made by the package blosc2, which is not installed; give a path, "
            "or nothing, as location instead"
        ) from error
    if cparams is None:
        cparams = {**blosc2.cparams_dflts, "typesize": 1, "codec": blosc2.Codec.ZSTD, "clevel": 1}
    typesize = as_dict("cparams", cparams).get("typesize", 1)
    chunksize = chunk_bytes(chunksize)
    if chunksize < 1 or chunksize % max(whole("typesize", typesize), 1):
        raise InvalidError(f"chunksize: {chunksize} is not a multiple of the type size {typesize}")
    arguments: dict[str, Any] = {
        "chunksize": chunksize,
        "cparams": cparams,
        "dparams": blosc2.dparams_dflts.copy() if dparams is None else dparams,
        "contiguous": contiguous,
        "meta": {**(meta or {}), SChunkStore.META_MAGIC: SChunkStore.MAGIC},
    }
    if filename is not None:
        arguments["urlpath"] = str(filename)
    return blosc2.SChunk(**arguments)


class _Places(MutableMapping[TYPE_KEY, Location]):
    """The locations of a store's records, read from it when asked for."""

    def __init__(self, inner: Native | SuperChunk) -> None:
        self._inner = inner

    def __getitem__(self, key: TYPE_KEY) -> Location:
        return Location.from_start_end(*self._inner.location(key), self._inner.chunksize)

    def __setitem__(self, key: TYPE_KEY, value: Location) -> None:
        raise WrongTypeError(
            "the index of a store follows its records: put a record to change it"
        )

    def __delitem__(self, key: TYPE_KEY) -> None:
        self._inner.delete(key, zero=False)

    def __contains__(self, key: object) -> bool:
        return self._inner.contains(key)

    def __iter__(self) -> Iterator[TYPE_KEY]:
        return self._inner.keys()

    def __len__(self) -> int:
        return len(self._inner)

    def _locations(self) -> Iterator[tuple[TYPE_KEY, Location]]:
        size = self._inner.chunksize
        for key, start, end in self._inner.places():
            yield key, Location.from_start_end(start, end, size)

    def values(self) -> Any:
        return dict(self._locations()).values()

    def items(self) -> Any:
        return dict(self._locations()).items()


class _StoreIndex(LocationIndex[TYPE_KEY]):
    """The index of a store, as it is at the moment."""

    def __init__(self, inner: Native | SuperChunk) -> None:
        super().__init__(_Places(inner))
        self._inner = inner

    def _places(self) -> list[tuple[TYPE_KEY, int, int]]:
        return self._inner.places()

    # The store may change at any time, so nothing is remembered.
    @property
    def last(self) -> Location:
        return LocationIndex(dict(enumerate(self.backing.values()))).last

    @property
    def first(self) -> Location:
        return LocationIndex(dict(enumerate(self.backing.values()))).first


class SChunkStore(MappingVerbs):
    """Byte strings by key, compressed, in a file or in memory.

    Values are anything with a buffer and come back as ``bytes``. Keys are ``str``, ``int``
    (-2**63 to 2**64-1) and ``bytes``.

    Parameters
    ----------
    location : str, os.PathLike, blosc2.SChunk, vlstore.Store or None
        ``None`` makes a store in memory. A path opens the file, of this package or of the
        original program, or makes it if there is none; it is opened for writing by the first
        change. A super-chunk of python-blosc2 is used through its own functions: a used one
        keeps what is in it. An open :class:`vlstore.Store` is used as it is.
    alignment : {"no_cross", "contiguous", "start"}
        Where a new store places records. An existing file has its own.
    chunksize : int
        Bytes of a chunk, decoded, 128 bytes to 16 MiB, by default 4 MiB. This and what follows
        is for a new store and not looked at if the file exists.
    cparams, dparams : dict
        Compression as python-blosc2 has it: ``typesize``, ``codec``, ``clevel``, ``filters``,
        ``blocksize``, ``nthreads``. By default Zstandard, level 1, shuffled as 32-bit numbers.
    meta : dict
        Names with JSON values or ``bytes``, kept with the store; see :attr:`meta`.
    contiguous : bool
        Not used: a store is always one file.

    Raises
    ------
    InvalidError
        A combination of parameters that cannot work, a directory as location, or parameters
        together with a super-chunk. It is a ``ValueError``.
    WrongTypeError, NotAStoreError, CorruptError
        See :mod:`vlstore.errors`.

    Examples
    --------
    >>> from vlstore.store import SChunkStore
    >>> with SChunkStore(location="bytes.vls", alignment="contiguous") as store:
    ...     store.put("a", b"some bytes")
    ...     store["b"] = b"more"
    >>> store = SChunkStore(location="bytes.vls")
    >>> store["a"], list(store.keys())
    (b'some bytes', ['a', 'b'])
    >>> store.fused_get(["b", "a"])
    (b'some bytesmore', [slice(10, 14, None), slice(0, 10, None)])
    """

    VLMETA_SAVEDLOOKUP: Final = "saved_lookup"
    META_MAGIC: Final = "magic"
    MAGIC: Final = _MAGIC

    def __init__(
        self,
        location: Any = None,
        alignment: TYPE_ALIGNMENT = NOCROSS_ALIGNMENT,
        **kwargs: Any,
    ) -> None:
        checked_alignment(alignment)
        self._inner: Native | SuperChunk
        if location is None:
            self._inner = Native.create(None, alignment, kwargs)
        elif isinstance(location, vlstore.Store):
            _no_parameters(kwargs, "an open store")
            self._inner = Native(location)
        elif _is_schunk(location):
            _no_parameters(kwargs, "a super-chunk")
            self._inner = SuperChunk(location, alignment)
        else:
            self._inner = _at_path(location, alignment, kwargs)
        self.lookup: LocationIndex[TYPE_KEY] = _StoreIndex(self._inner)

    @classmethod
    def from_bytes(cls, data: Any) -> SChunkStore:
        """Open a store whose file content is ``data``, to read and to add to; a copy is made.

        A frame of the original program, or of python-blosc2, is understood, too.

        >>> store = SChunkStore()
        >>> store["a"] = b"bytes"
        >>> SChunkStore.from_bytes(store.to_bytes())["a"]
        b'bytes'
        """
        try:
            return cls(vlstore.from_bytes(data, "a"))
        except NotAStoreError:
            # A frame of another program is read, and becomes a store of ours.
            found = vlstore.from_bytes(data)
        options = found.options
        size = min(max(options["chunk_size"], 1 << 10), 16 << 20)
        typesize = options["typesize"] if size % options["typesize"] == 0 else 1
        copy = cls(alignment=options["alignment"], chunksize=size, cparams={"typesize": typesize})
        copy.backing.put_many(found.items())
        return copy

    def to_bytes(self) -> bytes:
        """The content of the store as that of a file, with everything that was put."""
        if isinstance(self._inner, SuperChunk):
            self._inner.commit()
            return bytes(self._inner.store.to_cframe())
        return self._inner.store.to_bytes()

    @property
    def backing(self) -> Any:
        """What holds the records: a :class:`vlstore.Store`, or the given super-chunk."""
        return self._inner.store

    @property
    def read_only(self) -> bool:
        """Whether the file, or what was given, cannot be written to."""
        return self._inner.read_only

    @property
    def alignment(self) -> str:
        """Where records are placed."""
        return self._inner.alignment

    @property
    def chunksize(self) -> int:
        """Bytes of a chunk, decoded."""
        return self._inner.chunksize

    @property
    def typesize(self) -> int:
        """Bytes of one number, as compression takes them."""
        return self._inner.typesize

    @property
    def meta(self) -> dict[str, Any]:
        """What was given as ``meta`` when the store was made, as a copy."""
        return self._inner.meta

    @property
    def locations(self) -> list[Location]:
        """The locations of all records, in the order of insertion."""
        return list(self.lookup.values())

    def put(
        self,
        key: TYPE_KEY,
        value: TYPE_INPUTDATA,
        overwrite: bool = True,
        check: bool = True,  # noqa: ARG002 - what it asks for is always done
    ) -> None:
        """Put ``value``, one byte or more, under ``key``.

        The value is looked at first: a put that is refused leaves what was there. Commits
        happen by themselves every few seconds and megabytes, and by :meth:`commit` and
        :meth:`close`. ``check`` has no effect.

        Raises ``ValueError`` if there is a record and ``overwrite`` is not true, if the value is
        empty, or if the store cannot be written to, :class:`~vlstore.errors.WrongTypeError` for
        a key or a value of another type.
        """
        view = bytewise_memoryview(value)
        if not view.nbytes:
            raise InvalidError("a value has one byte or more: an empty one cannot be read back")
        self._inner.put(key, view, bool(overwrite))

    @overload
    def get(
        self,
        key: TYPE_KEY,
        *,
        out: None = ...,
        return_location: Literal[False] = ...,
        method: Literal["slice", "chunk"] = ...,
    ) -> bytes: ...
    @overload
    def get(
        self,
        key: TYPE_KEY,
        *,
        out: T,
        return_location: Literal[False] = ...,
        method: Literal["slice", "chunk"] = ...,
    ) -> T: ...
    @overload
    def get(
        self,
        key: TYPE_KEY,
        *,
        out: TYPE_OUT | None = ...,
        return_location: Literal[True],
        method: Literal["slice", "chunk"] = ...,
    ) -> Location: ...
    def get(
        self,
        key: TYPE_KEY,
        *,
        out: TYPE_OUT | None = None,
        return_location: bool = False,
        method: str = "slice",
    ) -> Any:
        """The value under ``key`` as ``bytes``.

        With ``out``, a writable buffer, the value is copied to its beginning and ``out`` is
        returned. With ``return_location`` nothing is read and the :class:`Location` returned.
        ``method`` is ``"slice"`` or ``"chunk"``; both read the same way.

        Raises ``KeyError`` if there is no record, :class:`~vlstore.errors.WrongTypeError` if
        ``out`` cannot be written to, ``ValueError`` if it is too small.
        """
        if method not in ("slice", "chunk"):
            raise InvalidError(f'method: {method!r} is neither "slice" nor "chunk"')
        if return_location:
            return self.lookup[key]
        if out is None:
            return self._inner.read(key)
        self._inner.read_into(key, out)
        return out

    def fused_size(self, keys: Iterable[TYPE_KEY], *, presorted: bool = False) -> int:  # noqa: ARG002
        """Bytes that ``out`` of :meth:`fused_get` needs: from the first record to the end of the
        last.
        """
        return self._inner.span(keys)

    def fused_get(
        self,
        keys: Iterable[TYPE_KEY],
        *,
        presorted: bool = False,  # noqa: ARG002 - the index knows the order
        out: TYPE_OUT | None = None,
    ) -> tuple[Any, list[slice]]:
        """Read several records at once: ``(buffer, slices)``.

        The buffer is ``bytes``, or ``out``; ``buffer[slices[i]]`` is the value under the
        ``i``-th of ``keys``, which may be any iterable and name a key twice. Each block in which
        one of them lies is decoded once; what lies between is not decoded, and zero (in ``out``:
        left as it was). Records lie in the buffer as they do in the store; but in ``bytes`` one
        after the other, at multiples of 8, where most of it would be what lies between.
        ``presorted`` has no effect.

        Raises ``KeyError`` if there is no record, :class:`~vlstore.errors.WrongTypeError` if
        ``out`` cannot be written to, ``ValueError`` if it is smaller than :meth:`fused_size`.
        """
        make = None if out is None else (lambda _: out)
        if isinstance(keys, Iterable) and not isinstance(keys, (str, bytes)):
            keys = list(keys)
        return self._inner.fused(keys, make, packed=out is None and self._is_sparse(keys))

    def _is_sparse(self, keys: Iterable[TYPE_KEY]) -> bool:
        """Whether records lie so far from each other that a buffer over all would be a waste."""
        span = self._inner.span(keys)
        if span <= _SMALL:
            return False
        places = {self._inner.location(key) for key in keys}
        return span > 2 * sum(end - start for start, end in places)

    def disown(self, key: TYPE_KEY, zero: bool = False) -> None:
        """Remove the record under ``key``.

        Its space is given back by a compaction (``vlstore compact``); ``zero`` overwrites it at
        once in a super-chunk of python-blosc2, and has no effect elsewhere.

        Raises ``KeyError`` if there is no record.
        """
        self._inner.delete(key, zero)

    def commit(self) -> None:
        """Make everything that was put survive a crash."""
        self._inner.commit()

    def close(self) -> None:
        """Commit, and bring the file up to it for other programs.

        The store can be used on: it opens the file again when it is needed.
        """
        self._inner.close()

    def keys(self) -> KeysView[TYPE_KEY]:
        """The keys, in the order of insertion, as a view."""
        return self.lookup.keys()

    def __getitem__(self, key: TYPE_KEY) -> bytes:
        """The value under ``key``; see :meth:`get`."""
        return self.get(key)

    def __setitem__(self, key: TYPE_KEY, newvalue: TYPE_INPUTDATA) -> None:
        """Put a value; see :meth:`put`."""
        self.put(key, newvalue)

    def __delitem__(self, key: TYPE_KEY) -> None:
        """Remove a record; see :meth:`disown`."""
        self.disown(key, zero=True)

    def __contains__(self, key: object) -> bool:
        """Whether there is a record under ``key``."""
        return key in self.lookup

    def __iter__(self) -> Iterator[TYPE_KEY]:
        """Go over the keys."""
        return iter(self.lookup)

    def __len__(self) -> int:
        """Number of records."""
        return len(self.lookup)

    def __bool__(self) -> bool:
        """A store is true, also an empty one."""
        return True

    def __enter__(self) -> SChunkStore:
        """Give the store itself."""
        return self

    def __exit__(self, *_why: object) -> Literal[False]:
        """Close; what was put before an exception is kept."""
        self.close()
        return False

    def __repr__(self) -> str:
        """Say what it is."""
        return f"<SChunkStore of {len(self)} records on {self.backing!r}>"


def _no_parameters(given: dict[str, Any], what: str) -> None:
    if given:
        listed = ", ".join(given)
        raise InvalidError(f"{listed}: {what} has its own parameters, so none can be given")


def _is_schunk(location: object) -> bool:
    # An object of a class of blosc2 exists only where the package was imported.
    blosc2 = sys.modules.get("blosc2")
    return blosc2 is not None and isinstance(location, blosc2.SChunk)


def _at_path(location: Any, alignment: TYPE_ALIGNMENT, given: dict[str, Any]) -> Native:
    try:
        path = Path(location).absolute()
    except TypeError:
        raise WrongTypeError(
            "location must be a path, a super-chunk, an open store or None, not "
            f"{type(location).__name__}"
        ) from None
    if path.is_dir():
        raise InvalidError(f"location: {path} is a directory: give the name of a file in it")
    if path.exists():
        return Native.open(path)
    if not path.parent.is_dir():
        raise MissingFolderError(f"location: the folder {path.parent} does not exist")
    return Native.create(path, alignment, given)


class MissingFolderError(MissingFileError, ValueError):
    """There is no folder to make a file in; the original program raised ``ValueError``."""
