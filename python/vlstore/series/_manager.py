"""Storage managers: on a file, and in memory."""

from __future__ import annotations

import contextlib
import os
from typing import NamedTuple

import numpy as np

from vlstore import _core
from vlstore.errors import ClosedError, WrongTypeError
from vlstore.series._interface import StorageManagerInterface
from vlstore.series._lazy import Lazy
from vlstore.series._points import arrays_of, flat, joined, points_of, whole
from vlstore.series._timeseries import TimeSeries


def new_id():
    """An id that no process has made before, such as ``'ts-01m8chmm8241qbby2hxraq4e0'``.

    Made of the time and of chance; it costs the same however many series there are.
    """
    return _core._new_id()


class FolderImport(NamedTuple):
    """What an import of a folder found."""

    ids: list
    #: Ids of the map without their data, and why.
    broken: dict
    #: Ids of files that the map does not name.
    unlisted: list


class _Manager(StorageManagerInterface):
    """What both managers do."""

    def __init__(self, path, existing, options):
        _replaces(existing)
        for name in ("cache_bytes", "threads"):
            whole(options[name], name)
        self._path, self._existing, self._options = path, existing, options
        self._open()

    def _open(self):
        self._core = _core._SeriesStore(self._path, **self._options)

    def _handle(self):
        if self._core.is_inherited():
            # A forked process opens the file for itself.
            self._open()
        return self._core

    # -- storing

    def store(self, id, series, *, existing=None):
        """Store a series under ``id`` and return it as a :class:`TimeSeries`.

        A :class:`Lazy` is returned as an :class:`SMTimeSeries`, whose values are read when they are asked for.

        Parameters
        ----------
        id : str, int or None
            ``1`` and ``"1"`` are two ids; any text is one. ``None``: a new id, see :meth:`store_new`.
        series
            Another series; a pair of times and values, where times are ``None`` to count from 0; values
            alone; a pandas Series or DataFrame; any object with the Arrow interface, such as a Polars
            DataFrame; or a :class:`Lazy`, which is evaluated block by block. Values are of shape ``(n,)``
            or ``(n, channels)``. Lists, tuples, ranges, arrays and iterables are taken alike.
        existing : {"replace", "refuse"}, optional
            What happens if there is a series under ``id``; by default as the manager was opened.

        What is refused (unequal lengths, what is no number, times that the rule does not allow) raises
        an error, and nothing is stored. The call is one commit.
        """
        replace = _replaces(self._existing if existing is None else existing)
        if isinstance(series, Lazy):
            return self._stored(self._store_lazy(id, series, replace))
        if id is None:
            id, stored = self._new(series)
            return stored
        times, values = points_of(series)
        self._handle().store(id, *flat(times, values), replace)
        return TimeSeries._over(times, values)

    def store_new(self, series):
        """Store a series under a new id, and return the id."""
        if isinstance(series, Lazy):
            return self._store_lazy(None, series, False)
        return self._new(series)[0]

    def _store_lazy(self, id, lazy, replace):
        if id is None:
            id, replace = self.new_id(), False
        self._handle().store_lazy(id, lazy._core, replace)
        return id

    def _stored(self, id):
        """What is larger than memory is not read back: its values come when they are asked for."""
        from vlstore.series._stored import SMTimeSeries

        return SMTimeSeries.from_db(id, self)

    def _new(self, series):
        times, values = points_of(series)
        id = self._handle().store_new(*flat(times, values))
        return id, TimeSeries._over(times, values)

    def append(self, id, series):
        """Store more points behind the last one of a series, and return its new length.

        ``series`` is as for :meth:`store`, with times if the stored one has times. This costs what is
        appended, and at most the writing of one block of 256 KiB more, however long the series is.

        A :class:`Lazy` is evaluated and appended block by block, in one commit.
        """
        if isinstance(series, Lazy):
            return self._handle().append_lazy(id, series._core)
        return self._handle().append(id, *flat(*points_of(series)))

    def set(self, id, start, values):
        """Replace values from the position ``start`` on."""
        _, values = arrays_of(None, values)
        _, values, channels = flat(None, values)
        self._handle().set(id, whole(start, "start"), values, channels)

    def remove(self, id):
        """Remove a series. Raises :class:`KeyError` that names the id if there is none."""
        self._handle().remove(id)

    def clear(self):
        """Remove all series, and return how many there were."""
        return self._handle().clear()

    def new_id(self):
        """An id that no process has used; see :func:`new_id`."""
        return new_id()

    @contextlib.contextmanager
    def batch(self):
        """Store many series at once: ``with manager.batch(): ...``.

        Calls within it are committed together at its end, which costs far less than a commit for each. Other
        processes see nothing of it before, and cannot write; this manager sees all of it, also in :meth:`lazy`
        and exports. If it ends with an error, all that was done in it is undone. A call within it that is refused
        changes nothing by itself; if its error is caught, the batch goes on. Memory stays bounded however much is
        stored.
        """
        core = self._handle()
        core.begin_batch()
        try:
            yield self
        except BaseException:
            # If the manager was closed meanwhile, nothing of the batch is left.
            with contextlib.suppress(ClosedError):
                core.end_batch(False)
            raise
        core.end_batch(True)

    # -- reading

    def size(self, id):
        """The number of points of a series, from the index.

        Raises :class:`KeyError` that names the id if the series does not exist.
        """
        return self._handle().size(id)

    def get(self, id):
        """A series, as a :class:`TimeSeries` whose arrays are views of one buffer, read-only.

        Raises :class:`KeyError` that names the id if the series does not exist.
        """
        times, channels = self._handle().get(id)
        return TimeSeries._over(times, joined(channels))

    def range(self, id, start, stop):
        """The points at the positions from ``start`` to before ``stop``; what holds them is read alone."""
        times, channels, first = self._handle().range(id, _place(start), _place(stop))
        values = joined(channels)
        if times is None and first:
            times = np.arange(first, first + len(values), dtype=np.float64)
        return TimeSeries._over(times, values)

    def _between(self, id, start, stop):
        """Points by time, where not all has to be looked at; else ``None``."""
        found = self._handle().between(id, start, stop)
        return None if found is None else TimeSeries._over(found[0], joined(found[1]))

    def lazy(self, id):
        """A stored series as the start of a chain of operations; see :class:`Lazy`.

        Within :meth:`batch` it is the series as the batch has it so far. If the batch is undone, so is the chain:
        its values are refused then.
        """
        return Lazy(self._handle().lazy(id))

    def ids(self):
        """All ids, in the order in which they were stored."""
        return list(self.lengths())

    def lengths(self):
        """All ids with the lengths of their series, from the index."""
        return self._handle().lengths()

    def shape(self, id):
        """Points, channels, and whether the series has times of its own; reads no value."""
        return self._handle().shape(id)

    def __contains__(self, id):
        # An integer outside the range of ids is the id of no series.
        if isinstance(id, int) and not -(2**63) <= id < 2**64:
            return False
        return self._handle().contains(id)

    def __len__(self):
        """Number of series."""
        return len(self.lengths())

    def __bool__(self):
        """A manager is true, also an empty one."""
        return True

    def __iter__(self):
        return iter(self.ids())

    def __getitem__(self, id):
        return self.get(id)

    def __setitem__(self, id, series):
        """Store a series as :meth:`store` does, so that a manager with ``existing="refuse"`` replaces none."""
        self.store(id, series)

    def __delitem__(self, id):
        self.remove(id)

    def check(self):
        """What does not fit together: a list of ids and reasons, empty if all is well.

        Names a series of which a part is missing, and parts of which no series knows. The id ``None`` is the
        file as a whole: its newest commit cannot be read, so that an older state is. The bytes are checked by
        ``vlstore verify``.
        """
        return self._handle().check()

    @property
    def cached(self):
        """Bytes of series that are kept for later reads."""
        return self._handle().cached()

    # -- other formats

    def import_folder(self, folder, *, existing=None, unlisted=False):
        """Import a folder of ``<id>.npy`` with its map ``id_length_map.json``, in one commit.

        Such folders are what student storage managers of the course CS207 write: the first row of each
        file is times, the others are channels. An entry of the map whose file is missing, damaged or of
        another length is named in the result, and so is a file that the map does not name, which is
        imported too with ``unlisted=True``. All else comes, bit for bit; ids are text, as in the map.
        """
        replace = _replaces(self._existing if existing is None else existing)
        ids, broken, left = self._handle().import_folder(os.fspath(folder), replace, unlisted)
        return FolderImport(ids, dict(broken), left)

    def import_csv(self, id, path, *, existing=None, **options):
        """Store a CSV file as a series; ``existing`` as for :meth:`store`, the options of :func:`vlstore.series.from_csv`."""
        from vlstore.series._io import from_csv

        return self.store(id, from_csv(path, **options), existing=existing)

    def export_csv(self, id, path, *, names=None, overwrite=False):
        """Write a series as CSV, block by block; see :func:`vlstore.series.to_csv`."""
        from vlstore.series._io import to_csv

        return to_csv(self.lazy(id), path, names=names, overwrite=overwrite)

    def import_parquet(self, path, *, id="id", time="time", existing=None):
        """Store the series of a Parquet file, in a batch of its own; needs ``pyarrow``.

        ``time``: the column of times; ``None``: there is none, and times count from 0.

        With a column ``id`` each run of rows with the same id is a series (or more points of it), and
        without one the file is one series, under the name of the file. Series without points come from the
        metadata that :meth:`export_parquet` writes. Returns the ids.
        """
        from vlstore.series._io import import_parquet

        return import_parquet(self, path, id, time, existing)

    def export_parquet(self, path, ids=None, *, overwrite=False):
        """Write series to one Parquet file with the columns id, time and values; needs ``pyarrow``.

        Series without points have no row, and are named in the metadata of the file (``vlstore:empty``).
        """
        from vlstore.series._io import export_parquet

        return export_parquet(self, path, ids, overwrite)


class FileStorageManager(_Manager):
    """Time series in one store file.

    Each call that changes something is one commit: if the process is killed at any moment, the series is
    as before the call or as after it, and ids and lengths are those of the data. The file is opened for
    writing for the moment of a write only, so that many processes can use it at a time; each read sees the
    newest commit. All methods may be called from several threads.

    If the newest commit of the file cannot be read, an older state is, with a
    :class:`~vlstore.errors.RecoveredWarning` that says what to do; :meth:`check` says so too. A write is refused
    then (:class:`~vlstore.errors.OlderStateError`), unless ``accept_older`` was given.

    Parameters
    ----------
    path : str or os.PathLike
        The file, or a folder, in which it is called ``series.vls``. Folders that are missing are made.
    mode : {"a", "r"}
        ``"r"`` changes nothing, and makes no file.
    existing : {"replace", "refuse"}
        What happens to a series under whose id another is stored.
    times : {"any", "sorted", "increasing"}
        Which times are taken. ``any``: all, kept in the order in which they come, unsorted, repeated or
        NaN. ``sorted``: none less than the one before. ``increasing``: each greater than the one before.
        What the rule does not allow is refused by position, also where points are appended.
    packing : {"pco", "plain"}
        How numbers are stored. ``pco`` makes light curves and energies half as large or less; ``plain``
        stores and reads faster. Both kinds can lie in one file.
    durability : {"kernel", "sync", "none"}
        What a commit waits for, as for :func:`vlstore.open`.
    cache_bytes : int
        Memory for what was read, default 32 MiB; 0 keeps nothing. What is kept is never older than the
        newest commit.
    lock_timeout : float
        Seconds that a write waits while another process writes; then :class:`~vlstore.errors.LockedError`.
    threads : int
        Threads that decode; 0: one per core.
    accept_older : bool
        Whether a file whose newest commit cannot be read may be written to in an older state: everything after it
        is lost then. ``vlstore recover`` saves it first.

    Examples
    --------
    >>> from vlstore.series import FileStorageManager
    >>> manager = FileStorageManager("lab/series.vls")
    >>> _ = manager.store("a/b", [1.0, 2.0])
    >>> _ = manager.store(7, (range(3), [1, 2, 3]))
    >>> manager.ids(), manager.size(7), "7" in manager
    (['a/b', 7], 3, False)
    >>> manager.get("missing")
    Traceback (most recent call last):
        ...
    vlstore.errors.NotFoundError: .../lab/series.vls: no record of the series "missing"
    """

    def __init__(
        self,
        path,
        mode="a",
        *,
        existing="replace",
        times="any",
        packing="pco",
        durability="kernel",
        cache_bytes=32 << 20,
        lock_timeout=10.0,
        threads=0,
        accept_older=False,
    ):
        if mode not in ("a", "r"):
            raise WrongTypeError(f'mode must be "a" or "r", not {mode!r}')
        path = os.fspath(path)
        if isinstance(path, bytes):
            path = os.fsdecode(path)
        if os.path.isdir(path) or path.endswith(("/", os.sep)):
            path = os.path.join(path, "series.vls")
        # The file stays the same when the process, a child of it, or one that unpickles this is in another folder.
        path = os.path.abspath(path)
        options = {
            "packing": packing,
            "times": times,
            "durability": durability,
            "cache_bytes": cache_bytes,
            "wait": lock_timeout,
            "threads": threads,
            "writable": mode == "a",
            "accept_older": bool(accept_older),
        }
        super().__init__(path, existing, options)

    @property
    def path(self):
        """The file: an absolute path, made when the manager is, so that a change of folder changes nothing."""
        return self._path

    def close(self):
        """Close the file. What was stored is committed already."""
        self._core.close()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def __reduce__(self):
        return _opened, (self._path, self._existing, self._options)

    def __repr__(self):
        return f"<vlstore.series.FileStorageManager {self._path!r}>"


class MemoryStorageManager(_Manager):
    """Time series in memory, with the methods of :class:`FileStorageManager`, a batch that fails among them."""

    def __init__(self, *, existing="replace", times="any", packing="pco", cache_bytes=32 << 20, threads=0):
        options = {
            "packing": packing,
            "times": times,
            "durability": "kernel",
            "cache_bytes": cache_bytes,
            "wait": 0.0,
            "threads": threads,
            "writable": True,
            "accept_older": False,
        }
        super().__init__(None, existing, options)

    def _handle(self):
        return self._core

    def __repr__(self):
        return "<vlstore.series.MemoryStorageManager>"

    def __reduce__(self):
        raise WrongTypeError("a manager in memory cannot be pickled; use a FileStorageManager")


def _place(position):
    """A position of a slice, as far as one can be."""
    return None if position is None else max(-(2**62), min(whole(position, "position", None), 2**62))


def _opened(path, existing, options):
    manager = FileStorageManager.__new__(FileStorageManager)
    _Manager.__init__(manager, path, existing, options)
    return manager


def _replaces(existing):
    if existing not in ("replace", "refuse"):
        raise WrongTypeError(f'existing must be "replace" or "refuse", not {existing!r}')
    return existing == "replace"
