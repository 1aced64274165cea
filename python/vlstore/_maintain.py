"""Maintaining stores: compact, copy, merge, split, recover.

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
    "Recovered",
    "compact",
    "copy",
    "merge",
    "recover",
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
    """One file that :func:`split` made."""

    path: Path


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
    topologies, positions : str
        As for ``vlstore copy``: values that frames have in common are stored once; positions of fixed
        precision are stored as integers.
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
            source, _path(target, "target"), chosen, options, topologies, positions, overwrite,
            accept_older, progress,
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
