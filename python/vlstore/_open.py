"""Opening stores; the arguments of the compiled functions by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from vlstore import _core
from vlstore._exit import watch
from vlstore.errors import InvalidError, WrongTypeError

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
        FrameForm,
        OriginalTable,
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
    store: Any = None,
    **options: Unpack[Options],
) -> _core.Trajectory: ...
@overload
def open(
    path: str | PathLike[str],
    mode: Mode = "r",
    *,
    records: Literal["array", "document", "flat-f32", "raw", "series"],
    store: Any = None,
    **options: Unpack[Options],
) -> _core.Depot: ...
@overload
def open(
    path: str | PathLike[str],
    mode: Mode = "r",
    *,
    records: Any = "auto",
    store: Any = None,
    **options: Unpack[Options],
) -> _core.Store | Any: ...
def open(  # noqa: A001 - the verb of the builtin, for stores
    path: str | PathLike[str],
    mode: Mode = "r",
    *,
    records: Any = "auto",
    purpose: Purpose | None = None,
    compression: Compression | None = None,
    level: int | None = None,
    filter: Filter | None = None,  # noqa: A002
    typesize: int | None = None,
    chunk_size: int | None = None,
    block_size: int | None = None,
    alignment: Alignment | None = None,
    original_table: OriginalTable | None = None,
    frames: FrameForm | None = None,
    threads: int | None = None,
    durability: Durability | None = None,
    commit_bytes: int | None = None,
    commit_interval: float | None = None,
    cache_bytes: int | None = None,
    access: Access | None = None,
    accept_older: bool = False,
    store: Any = None,
) -> _core.Store | Any:
    """Open the store at ``path``.

    Parameters
    ----------
    path : str or os.PathLike
        The file; or the address of an object, which is read where it lies: ``s3://bucket/key``,
        ``gs://bucket/key``, ``az://container/key``, ``https://host/path``, and with ``huggingface_hub``
        ``hf://datasets/user/name/path``. Credentials come from the environment.
    mode : {"r", "a", "w", "x"}
        Read; add (the store is created if it does not exist); create (an existing store is
        replaced); create (it must not exist). One process can write at a time, and any number can
        read at the same time.
    records : str or codec
        The type of the records. ``"auto"``, the default: as the file says. A store of frames is a
        :class:`Trajectory`, one of arrays or documents a :class:`Depot`, else the values are bytes (a
        :class:`Store`); a new store is one of bytes. Other values are the name of a codec
        (``"md-frame"``, ``"array"``, ``"document"``, ``"flat-f32"``, ``"raw"``, ``"series"``), or a codec written in Python (see
        :class:`Depot`), whose name a new store keeps. ``"bytes"`` returns the bytes of the records
        unchanged. In every case bytes that the codec of the store refuses cannot be
        put. Without its codec, a store of a codec written in Python returns bytes, and no record
        can be added.
    purpose : {"balanced", "dense", "random"}
        The use of a new store. ``dense`` makes the smallest file, ``random`` is fastest for single
        records in random order.
    compression : {"zstd", "lz4", "lz4hc", "zlib", "blosclz", "stored"}
        Compression of a new store; by default ``zstd``, for ``random`` ``lz4``.
    level : int
        Its effort, 1 to 9.
    filter : {"shuffle", "bitshuffle", "none"}
        The filter before compression.
    typesize : int
        Bytes of one number, for the filter: 4 (default) or 8 for numbers, 1 for strings.
    chunk_size, block_size : int
        Bytes, decoded. The default follows from the purpose, the block size also from the records.
    alignment : {"block", "no_cross", "contiguous", "start"}
        Where records are placed.
    original_table : {"auto", "always", "never"}
        Whether a seal writes the table by which the original program finds records, about 20 bytes
        for each. By default as the last seal of the file has it; a new store gets none.
    frames : {"table", "lean"}
        How a new store of frames keeps them: each as a FlatBuffer with its table, or small ones with the usual
        fields alone without it (the default), which saves about 60 to 100 bytes a frame and 3 bytes a site with
        ``types``. A frame is the same either way. The original program does not read lean frames, so that with
        ``original_table="always"`` the default is ``"table"``; ``vlstore.copy(path, new, frames="table")``
        converts.
    threads : int
        Threads that compress and that decode batches; by default one per core.
    durability : {"kernel", "sync", "none"}
        When a commit returns: when the operating system has it (survives a killed job), or when the
        disk has it (survives a power failure). With ``none`` commits happen only on request.
    commit_bytes, commit_interval : int, float
        A put commits after this many bytes (default 8 MiB) or seconds (default 5)
        since the last commit.
    cache_bytes : int
        Memory for decoded blocks, default 32 MiB.
    access : {"auto", "map", "pread"}
        Whether the file is mapped. ``auto`` and ``pread`` read by calls: if another program truncates
        the file, this is an error. ``map`` reads small records two to four times as fast, and views
        uncompressed ones without a copy, but if the file is truncated, or the disk fails, the
        process is killed by a signal (``SIGBUS``): only for your own files on a local disk.
    accept_older : bool
        Whether a store whose newest commit cannot be read is opened for writing in an
        older state: everything after it is lost. ``vlstore recover`` saves it first.
        Reading always opens what can be read, with a warning.
    store : object
        A store of obstore, or a file system of fsspec; ``path`` is then the path in it. It is only read.

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
        "compression": compression,
        "level": level,
        "filter": filter,
        "typesize": typesize,
        "chunk_size": chunk_size,
        "block_size": block_size,
        "alignment": alignment,
        "original_table": original_table,
        "frames": frames,
        "threads": threads,
        "durability": durability,
        "commit_bytes": commit_bytes,
        "commit_interval": commit_interval,
        "cache_bytes": cache_bytes,
        "access": access,
        "accept_older": accept_older or None,
    }
    mode = _checked(mode)
    on_hub = store is None and isinstance(path, str) and path.startswith("hf://")
    if store is not None or on_hub:
        from vlstore import _remote

        if on_hub:
            store, path = _remote.hub(path)
        if mode != "r":
            raise InvalidError(f"mode: {mode!r} does not work on an object in a store, which is only read")
        return _core._open_object(_remote.reader(store, path), records, options)
    opened = _core._open(path, mode, records, options)
    if mode != "r":
        watch()
    return opened


@overload
def memory(
    *, records: Literal["md-frame"], **options: Unpack[Options]
) -> _core.Trajectory: ...
@overload
def memory(*, records: Any = "auto", **options: Unpack[Options]) -> _core.Store | Any: ...
def memory(*, records: Any = "auto", **options: Unpack[Options]) -> _core.Store | Any:
    """Create a store in memory, with the options of :func:`open`.

    >>> import vlstore
    >>> store = vlstore.memory(compression="lz4")
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
        raise WrongTypeError(f"mode must be a string such as \"r\", not {mode!r}")
    return mode
