"""Opening stores; the arguments of the compiled functions by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from vlstore import _core
from vlstore._exit import watch
from vlstore.errors import WrongTypeError

if TYPE_CHECKING:
    from os import PathLike
    from typing import Literal, Unpack

    from typing_extensions import Buffer

    from vlstore._options import (
        Access,
        Alignment,
        Compression,
        Durability,
        Filter,
        Lookup,
        Mode,
        Options,
        Purpose,
    )


@overload
def open(
    path: str | PathLike[str],
    mode: Mode = "r",
    *,
    records: Literal["md-frame"],
    **options: Unpack[Options],
) -> _core.Trajectory: ...
@overload
def open(
    path: str | PathLike[str],
    mode: Mode = "r",
    *,
    records: Literal["array", "flat-f32", "raw"],
    **options: Unpack[Options],
) -> _core.Depot: ...
@overload
def open(
    path: str | PathLike[str],
    mode: Mode = "r",
    *,
    records: Any = "auto",
    **options: Unpack[Options],
) -> _core.Store | Any: ...
def open(  # noqa: A001 - the verb of the builtin, for stores
    path: str | PathLike[str],
    mode: Mode = "r",
    *,
    records: Any = "auto",
    purpose: Purpose | None = None,
    codec: Compression | None = None,
    level: int | None = None,
    filter: Filter | None = None,  # noqa: A002
    typesize: int | None = None,
    chunk_size: int | None = None,
    block_size: int | None = None,
    alignment: Alignment | None = None,
    lookup: Lookup | None = None,
    threads: int | None = None,
    durability: Durability | None = None,
    commit_bytes: int | None = None,
    commit_interval: float | None = None,
    cache_bytes: int | None = None,
    access: Access | None = None,
    accept_older: bool = False,
) -> _core.Store | Any:
    """Open the store at ``path``.

    Parameters
    ----------
    path : str or os.PathLike
        The file.
    mode : {"r", "a", "w", "x"}
        Read; add (the store is made if there is none); make anew (what is there is replaced);
        make (it must not be there). One process can write at a time, any number can read
        meanwhile.
    records : str or codec
        What the records are. ``"auto"``, the default: what the file says. A store of frames is a
        :class:`Trajectory`, one of arrays a :class:`Depot`, else the values are bytes (a
        :class:`Store`); a new store is one of bytes. The name of a codec (``"md-frame"``,
        ``"array"``, ``"flat-f32"``, ``"raw"``), or a codec written in Python (see :class:`Depot`),
        which a new store keeps by name. ``"bytes"`` shows the bytes of the records as they are,
        whatever the file names. Whichever way: bytes that the codec of the store refuses are not
        put. The records of a codec of yours are shown as bytes without it, and none are added.
    purpose : {"balanced", "dense", "random"}
        What a new store is for. ``dense`` makes the smallest file, ``random`` serves single
        records in random order fastest.
    codec : {"zstd", "lz4", "lz4hc", "zlib", "blosclz", "stored"}
        Compressor of a new store; by default ``zstd``, for ``random`` ``lz4``.
    level : int
        Its effort, 1 to 9.
    filter : {"shuffle", "bitshuffle", "none"}
        What comes before compression.
    typesize : int
        Bytes of one number, for the filter: 4 (default) or 8 for numbers, 1 for text.
    chunk_size, block_size : int
        Bytes, decoded; by default chosen by purpose, and the block size from the records.
    alignment : {"block", "no_cross", "contiguous", "start"}
        Where records are placed.
    lookup : {"auto", "always", "never"}
        Whether a seal writes the table that the original program reads.
    threads : int
        Threads that compress and that decode batches; by default one per core.
    durability : {"kernel", "sync", "none"}
        What a commit waits for: that the system has it (survives a killed job), that the disk
        has it (survives a power cut), or that somebody asks for one.
    commit_bytes, commit_interval : int, float
        A put commits when so many bytes (default 8 MiB) or seconds (default 5) have passed
        since the last commit.
    cache_bytes : int
        Memory for decoded blocks, default 32 MiB.
    access : {"auto", "map", "pread"}
        Whether the file is mapped. ``auto`` and ``pread`` read by calls: a file that another program
        cuts short is an error. ``map`` reads small records two to four times as fast, and views
        stored ones where they lie, but a file that is cut short, or a disk that fails, then ends the
        process by a signal (``SIGBUS``): only for files of your own on a local disk.
    accept_older : bool
        Whether a store whose newest commit cannot be read is opened for writing all the same, as
        of an older state: what came after that is lost then. ``vlstore recover`` saves it first.
        Reading always opens what can be read, and warns.

    Raises
    ------
    MissingFileError, PermissionDeniedError, StoreExistsError, LockedError, NotAStoreError,
    CorruptError, OlderStateError, UnsupportedError, InvalidError, WrongTypeError
        See :mod:`vlstore.errors`.

    Examples
    --------
    >>> import vlstore
    >>> with vlstore.open("results.vls", "w") as store:
    ...     store["first"] = b"some bytes"
    ...     store[2] = b"keys may be numbers"
    >>> with vlstore.open("results.vls") as store:
    ...     store["first"], len(store), list(store)
    (b'some bytes', 2, ['first', 2])
    """
    options = {
        "purpose": purpose,
        "codec": codec,
        "level": level,
        "filter": filter,
        "typesize": typesize,
        "chunk_size": chunk_size,
        "block_size": block_size,
        "alignment": alignment,
        "lookup": lookup,
        "threads": threads,
        "durability": durability,
        "commit_bytes": commit_bytes,
        "commit_interval": commit_interval,
        "cache_bytes": cache_bytes,
        "access": access,
        "accept_older": accept_older,
    }
    store = _core._open(path, _checked(mode), records, options)
    if mode != "r":
        watch()
    return store


@overload
def memory(
    *, records: Literal["md-frame"], **options: Unpack[Options]
) -> _core.Trajectory: ...
@overload
def memory(*, records: Any = "auto", **options: Unpack[Options]) -> _core.Store | Any: ...
def memory(*, records: Any = "auto", **options: Unpack[Options]) -> _core.Store | Any:
    """Make a store in memory, with the options of :func:`open`.

    >>> import vlstore
    >>> store = vlstore.memory(codec="lz4")
    >>> store["a"] = b"bytes"
    >>> vlstore.from_bytes(store.to_bytes())["a"]
    b'bytes'
    """
    return _core._memory(records, dict(options))


@overload
def from_bytes(
    data: Buffer,
    mode: Literal["r", "a"] = "r",
    *,
    records: Literal["md-frame"],
    **options: Unpack[Options],
) -> _core.Trajectory: ...
@overload
def from_bytes(
    data: Buffer,
    mode: Literal["r", "a"] = "r",
    *,
    records: Any = "auto",
    **options: Unpack[Options],
) -> _core.Store | Any: ...
def from_bytes(
    data: Buffer,
    mode: Literal["r", "a"] = "r",
    *,
    records: Any = "auto",
    **options: Unpack[Options],
) -> _core.Store | Any:
    """Open the store whose file content is ``data``, a copy of which is kept.

    ``mode`` is ``"r"``, or ``"a"`` to add to the copy; ``records`` and the options of the
    handle (``threads``, ``cache_bytes``) are those of :func:`open`.
    """
    return _core._from_bytes(data, _checked(mode), records, dict(options))


def _checked(mode: Any) -> str:
    if not isinstance(mode, str):
        raise WrongTypeError(f"mode is a text such as \"r\", not {mode!r}")
    return mode
