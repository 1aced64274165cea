"""Maintaining stores: compact, copy, merge, split, shard, publish, recover.

Each writes a new file under a temporary name and renames it when it is complete: after
an error, after Ctrl-C, and when ``progress`` raises, nothing has changed. The interpreter lock is
released during the work; Ctrl-C ends it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Literal, TypeAlias

from vlstore import _core
from vlstore.errors import InvalidError, WrongTypeError

__all__ = [
    "Compacted",
    "Copied",
    "Merged",
    "Part",
    "Published",
    "Recovered",
    "compact",
    "copy",
    "merge",
    "publish",
    "recover",
    "shard",
    "split",
]

#: Called about twenty times a second with the amount done and the total.
Progress: TypeAlias = Callable[[int, int], object]
_Path: TypeAlias = str | PathLike[str]
_Key: TypeAlias = str | int | bytes


@dataclass(frozen=True)
class Compacted:
    """What :func:`compact` did."""

    #: Records in the store.
    records: int
    #: Their bytes, decoded.
    record_bytes: int
    #: Records that were deleted or replaced, and are now removed.
    dead_records: int
    #: Their bytes, decoded.
    dead_bytes: int
    #: Length of the file before and after.
    bytes_before: int
    bytes_after: int

    @property
    def freed(self) -> int:
        """By how many bytes the file is shorter."""
        return self.bytes_before - self.bytes_after


@dataclass(frozen=True)
class Copied:
    """What :func:`copy` did."""

    #: Records in the new store.
    records: int
    #: Their bytes, decoded.
    record_bytes: int
    #: Length of the new file.
    file_bytes: int


@dataclass(frozen=True)
class Merged(Copied):
    """What :func:`merge` did."""

    #: Records that were left out, because another source has one under the same key.
    left_out: int
    #: Attributes that differ between the sources: the value of the first is kept.
    differing: list[str]


@dataclass(frozen=True)
class Part(Copied):
    """One file that :func:`split` or :func:`shard` made."""

    path: Path


@dataclass(frozen=True)
class Published:
    """What :func:`publish` did."""

    #: How often the data set was published, this time included.
    publication: int
    #: The names of all members, in the order of their records.
    members: list[str]
    #: Records of all members.
    records: int


@dataclass(frozen=True)
class Recovered:
    """What :func:`recover` did."""

    #: Records in the new store.
    records: int
    #: Their bytes, decoded.
    record_bytes: int
    #: Records that are known to have existed and are not in the new store.
    lost: int
    #: By which means records were found: the means, how many, and how many without a checksum.
    found: list[tuple[str, int, int]]
    #: Every loss, one line each.
    losses: list[str]
    #: Further information.
    notes: list[str]
    #: Whether nothing is lost, as far as the damaged store shows.
    complete: bool

    def __bool__(self) -> bool:
        return self.complete


def _path(given: Any, what: str) -> str:
    if isinstance(given, _core.Store):
        if given.path is None:
            raise InvalidError(f"{what}: a store in memory has no file: use its path, or to_bytes()")
        return os.fspath(given.path)
    try:
        path = os.fspath(given)
    except TypeError:
        kind = type(given).__name__
        raise WrongTypeError(f"{what} must be a path or an open store, not {kind} ({given!r:.40})") from None
    return os.fsdecode(path)


def compact(
    path: _Path | _core.Store,
    *,
    threads: int | None = None,
    lookup: Literal["auto", "always", "never"] | None = None,
    verify: bool = True,
    accept_older: bool = False,
    progress: Progress | None = None,
) -> Compacted:
    """Free the space of deleted and replaced records.

    The store is rewritten to a new file, which takes the place of the old one in one step.
    Readers that have the old one open keep what they see. A store that is open for writing
    compacts itself: :meth:`Store.compact`.

    Parameters
    ----------
    path : str, os.PathLike or Store
        The store.
    verify : bool
        Whether every checksum of the new file is checked before.
    accept_older : bool
        Whether a store whose newest commit cannot be read may be compacted; that commit is lost.
    threads, lookup
        See :func:`vlstore.open`.
    progress : callable, optional
        Called with the number of bytes done and the total; if it raises, the work ends.

    Raises
    ------
    LockedError, CorruptError, InvalidError, SystemCallError
        The store is unchanged.

    Examples
    --------
    >>> import vlstore
    >>> with vlstore.open("keys.vls", "w") as store:
    ...     for i in range(1000):
    ...         store["one"] = i.to_bytes(8, "little") * 1000
    >>> done = vlstore.compact("keys.vls")
    >>> done.records, done.dead_records, done.freed > 0
    (1, 999, True)
    """
    options = {"threads": threads, "lookup": lookup}
    path = _path(path, "path")
    return Compacted(**_core._compact(path, options, verify, accept_older, progress))


def copy(
    source: _Path | _core.Store,
    target: _Path,
    *,
    keys: Iterable[_Key] | None = None,
    match: str | None = None,
    range: range | slice | None = None,  # noqa: A002
    topologies: Literal["never", "repeated", "always"] | None = None,
    positions: Literal["quantised", "given"] | None = None,
    frames: Literal["table", "lean"] | None = None,
    overwrite: bool = False,
    accept_older: bool = False,
    progress: Progress | None = None,
    **options: Any,
) -> Copied:
    """Copy records to a new store: with other options, or only some of them.

    Parameters
    ----------
    source, target : str or os.PathLike
        The store and the new one. For an open store its file is used, as of the last commit.
    keys : iterable of keys
    match : str
    range : range or slice
        Which records, by one of these: those with these ``keys``; those whose key matches a pattern
        (``*``, ``?``, ``[a-z]``); those at these ordinals, ascending. By default all.
    topologies, positions, frames : str
        As for ``vlstore copy``: values that frames have in common are stored once; positions of fixed
        precision are stored as integers; small frames have no table, or have one.
    overwrite : bool
        Whether an existing store is replaced.
    accept_older : bool
        Whether a source whose newest commit cannot be read is copied in an older state.
    progress
        See :func:`compact`.
    **options
        ``purpose``, ``compression``, ``level`` and other options of :func:`vlstore.open` that the new
        store should have.

    Raises
    ------
    StoreExistsError, NotFoundError, CorruptError, InvalidError, SystemCallError
        No new file is left.
    """
    source = _path(source, "source")
    given = {"keys": keys, "match": match, "range": range}
    named = [(name, value) for name, value in given.items() if value is not None]
    if len(named) > 1:
        raise InvalidError("choose records by one of keys, match and range")
    chosen = named[0] if named else None
    if range is not None:
        chosen = ("range", _ordinals(source, range))
    return Copied(
        **_core._copy(
            source, _path(target, "target"), chosen, options, topologies, positions, frames,
            overwrite, accept_older, progress,
        )
    )


def _ordinals(source: str, asked: Any) -> tuple[int, int, int]:
    """Start, end and step of the ordinals, as far as there are records."""
    if not isinstance(asked, (range, slice)):
        raise WrongTypeError(f"range must be a range or a slice, not {type(asked).__name__}")
    with_all = _core._open(source, "r", "bytes", None)
    length = len(with_all)
    with_all.close()
    if isinstance(asked, slice):
        asked = range(length)[asked]
    if asked.step < 0:
        raise InvalidError("range: a copy keeps the order of the store; the step must be above 0")
    if len(asked) and not 0 <= asked[0] <= asked[-1] < length:
        raise InvalidError(f"range: {asked} reaches beyond the {length} records of {source}")
    return (asked.start, asked.stop, asked.step) if len(asked) else (0, 0, 1)


def merge(
    sources: Iterable[_Path | _core.Store],
    target: _Path,
    *,
    clash: Literal["refuse", "keep-first", "keep-last", "prefix"] = "refuse",
    names: Iterable[str] | None = None,
    overwrite: bool = False,
    accept_older: bool = False,
    progress: Progress | None = None,
    **options: Any,
) -> Merged:
    """Join stores to a new one: the records of the first, then those of the second, and so on.

    ``clash`` says what to do with keys that more than one source has: refuse, keep the record
    of the first or of the last source, or put the name of its source in front of every key
    (``names``; by default those of the files). For the other arguments see :func:`copy`.

    Raises :class:`~vlstore.errors.RecordExistsError` with the key and both files for equal keys,
    :class:`~vlstore.errors.InvalidError` for sources with different codecs or units, and as
    :func:`copy`. No new file is left.
    """
    if isinstance(sources, (str, bytes, PathLike, _core.Store)):
        raise WrongTypeError("sources must be a list of paths")
    paths = [_path(source, "a source") for source in sources]
    return Merged(
        **_core._merge(
            paths, _path(target, "target"), clash, None if names is None else list(names),
            options, overwrite, accept_older, progress,
        )
    )


def split(
    source: _Path | _core.Store,
    target: _Path,
    *,
    records: int | None = None,
    bytes: int | None = None,  # noqa: A002
    keys: Iterable[_Key] | None = None,
    overwrite: bool = False,
    accept_older: bool = False,
    progress: Progress | None = None,
    **options: Any,
) -> list[Part]:
    """Split a store into several: ``name-000.vls``, ``name-001.vls`` … for a target ``name.vls``.

    A new file begins after this many ``records``, before the decoded ``bytes`` exceed this number, or at
    the records with these ``keys``. For the other arguments see :func:`copy`. The files appear when all are
    complete.
    """
    given = {"records": records, "bytes": bytes, "keys": keys}
    named = [(name, value) for name, value in given.items() if value is not None]
    if len(named) != 1:
        raise InvalidError("say where to cut by one of records, bytes and keys")
    made = _core._split(
        _path(source, "source"), _path(target, "target"), named[0], options, overwrite,
        accept_older, progress,
    )
    return [Part(path=Path(path), **done) for path, done in made]


def shard(
    source: _Path | _core.Store,
    folder: _Path,
    *,
    records: int | None = None,
    bytes: int | None = None,  # noqa: A002
    parts: int | None = None,
    balance: Literal["records", "bytes", "weight"] = "records",
    accept_older: bool = False,
    progress: Progress | None = None,
    **options: Any,
) -> list[Part]:
    """Write a store or a data set to a new data set, whose members have about the same size.

    A member has at most this many ``records`` or decoded ``bytes``, or there are so many ``parts``, which
    have about equally much of ``balance`` (``"weight"`` counts atoms of frames). The records keep their
    order. The folder appears when all is complete; one that is there and not empty is refused. For the
    other arguments see :func:`copy`.

    Examples
    --------
    >>> import vlstore
    >>> with vlstore.open("numbers.vls", "w") as store:
    ...     for i in range(100):
    ...         store[i] = bytes(i)
    >>> made = vlstore.shard("numbers.vls", "numbers", parts=4, balance="bytes")
    >>> [part.records for part in made]
    [50, 21, 16, 13]
    >>> vlstore.open("numbers")[70] == bytes(70)
    True
    """
    given = {"records": records, "bytes": bytes, "parts": None if parts is None else (parts, balance)}
    named = [(name, value) for name, value in given.items() if value is not None]
    if len(named) != 1:
        raise InvalidError("say how large the members are by one of records, bytes and parts")
    made = _core._shard(
        _path(source, "source"), _path(folder, "folder"), named[0], options, accept_older, progress
    )
    return [Part(path=Path(path), **done) for path, done in made]


def publish(
    folder: _Path,
    stores: Iterable[_Path | _core.Store] | None = None,
    *,
    remove: Iterable[str] = (),
    known: int | None = None,
    progress: Progress | None = None,
) -> Published:
    """Make stores in a folder members of one data set, which :func:`vlstore.open` opens by its folder.

    The new manifest takes the place of the old one in one step. Several processes may write members side by
    side and publish each its own: what others published meanwhile stays.

    Parameters
    ----------
    folder : str or os.PathLike
        The folder in which the members lie.
    stores : iterable of paths, optional
        The new members: paths in the folder, or names relative to it. A member that is named again is read
        again, which it must be after it was compacted, and to see what was added to it. By default the
        ``*.vls`` and ``*.vlstore`` that are not members yet.
    remove : iterable of str
        Names of members that are taken out of the data set. Their files stay.
    known : int, optional
        Publish only on top of this publication (0 if there is none yet).
    progress
        See :func:`compact`.

    Raises
    ------
    ConflictError
        If ``known`` is not the newest publication. Nothing is published.
    InvalidError
        For members of different codecs or units, and for a path outside the folder.
    LockedError
        If a new member is open for writing: close it first.

    Examples
    --------
    >>> import os, vlstore
    >>> os.mkdir("runs")
    >>> for name in ["a.vls", "b.vls"]:
    ...     with vlstore.open("runs/" + name, "w") as store:
    ...         store[name] = b"record"
    >>> vlstore.publish("runs").records
    2
    >>> list(vlstore.open("runs"))
    ['a.vls', 'b.vls']
    """
    folder = _path(folder, "folder")
    paths = None
    if stores is not None:
        if isinstance(stores, (str, bytes, PathLike, _core.Store)):
            raise WrongTypeError("stores is a list of paths")
        paths = [_path(store, "a store") for store in stores]
    if isinstance(remove, str):
        raise WrongTypeError("remove is a list of names")
    publication, members, records = _core._publish(folder, paths, list(remove), known, progress)
    return Published(publication, members, records)


def recover(
    source: _Path,
    target: _Path,
    *,
    records: str | None = None,
    chunks: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Recovered:
    """Write a new store with everything that is left of a damaged one, which is only read.

    Damage is returned, not raised: the result is true if nothing is missing. Raises
    :class:`~vlstore.errors.NotAStoreError` if nothing in the file belongs to a store.

    Parameters
    ----------
    records : str
        Codec of the records, such as ``"md-frame"``, if the damaged file does not name it any more.
    chunks : bool
        Whether chunks whose records are unknown are written too, each as one record ``chunk-N``.
    overwrite, progress
        See :func:`copy`.
    """
    return Recovered(
        **_core._recover(
            _path(source, "source"), _path(target, "target"), records, chunks, overwrite,
            progress,
        )
    )
