"""A series that lies in a storage manager."""

from __future__ import annotations

import numbers
import operator
import threading

import numpy as np

from vlstore.errors import WrongTypeError
from vlstore.series._interface import SizedContainerTimeSeriesInterface
from vlstore.series._points import fitted, real, value_of
from vlstore.series._timeseries import TimeSeries

_LOCK = threading.Lock()


class SMTimeSeries(SizedContainerTimeSeriesInterface):
    """A series that is stored as soon as it is made, and read each time that it is used.

    Parameters
    ----------
    times, values
        As for :class:`TimeSeries`.
    id : str or int, optional
        By default a new one, which no process has used.
    manager : StorageManagerInterface, optional
        By default that of the class, ``SMTimeSeries.manager``. As long as nobody has set it, that is a
        :class:`FileStorageManager` on ``series.vls`` in the folder that is the current one when the first
        series is made.

    It keeps no numbers: all is asked of the manager, whose cache decides what is read again. What is
    computed of it is in memory; ``(a + b).stored()`` stores it.

    >>> from vlstore.series import MemoryStorageManager, SMTimeSeries
    >>> SMTimeSeries.manager = MemoryStorageManager()
    >>> heat = SMTimeSeries([0, 1], [20.0, 21.0], id="heat")
    >>> same = SMTimeSeries.from_db("heat")
    >>> same[1] = 25.0
    >>> heat
    SMTimeSeries(id 'heat', 2 points: [0: 20, 1: 25])
    >>> (heat * 2).stored("twice").id
    'twice'
    >>> SMTimeSeries.manager = None
    """

    __slots__ = ("_id", "_manager")

    #: The manager of series to which none is given.
    manager = None

    def __init__(self, times, values, id=None, manager=None):
        self._store(TimeSeries(times, values), id, manager)

    def _store(self, series, id, manager):
        manager = type(self)._default() if manager is None else manager
        self._manager = manager
        if id is None:
            id = manager.new_id() if hasattr(manager, "new_id") else _new()
        manager.store(id, series)
        self._id = id

    @classmethod
    def _of(cls, series, id, manager):
        out = cls.__new__(cls)
        out._store(series, id, manager)
        return out

    @classmethod
    def _default(cls):
        with _LOCK:
            if cls.manager is None:
                from vlstore.series._manager import FileStorageManager

                SMTimeSeries.manager = FileStorageManager("series.vls")
            return cls.manager

    @classmethod
    def from_db(cls, id, manager=None):
        """The series that is stored under ``id``; its values are read when they are asked for.

        Raises :class:`KeyError` that names the id if there is none.
        """
        out = cls.__new__(cls)
        out._manager = cls._default() if manager is None else manager
        out._id = id
        out._manager.size(id)
        return out

    @property
    def id(self):
        """The id under which it is stored."""
        return self._id

    def _fetched(self):
        return self._manager.get(self._id)

    def _arrays(self):
        return self._fetched()._arrays()

    def __len__(self):
        return self._manager.size(self._id)

    def __getitem__(self, index):
        """The value at a position, or a series of the points at a slice; only the blocks with them are read."""
        if isinstance(index, slice) and hasattr(self._manager, "range"):
            return self._slice(index)
        whole = isinstance(index, bool) or not isinstance(index, (numbers.Integral, np.integer))
        if whole or not hasattr(self._manager, "range"):
            return super().__getitem__(index)
        n, position = len(self), operator.index(index)
        if -n <= position < n:
            found = self._manager.range(self._id, position % n, position % n + 1).values()
            # Another writer may have stored a shorter series in between.
            if len(found):
                return found[0]
        raise IndexError(f"position {position} of a series of {n} points")

    def _slice(self, index):
        if index.step is None or operator.index(index.step) == 1:
            times, values = self._manager.range(self._id, index.start, index.stop)._points()
            return self._made(times, values)
        positions = range(len(self))[index]
        if positions:
            low = min(positions[0], positions[-1])
            found = self._manager.range(self._id, low, max(positions[0], positions[-1]) + 1)
            if len(found) == abs(positions[-1] - positions[0]) + 1:
                times, values = found._points()
                return self._made(times[:: positions.step], values[:: positions.step])
        # None, or another writer has stored a shorter series in between.
        return super().__getitem__(index)

    def between(self, start=None, stop=None):
        """The points with times from ``start`` to before ``stop``, in their order.

        Of a series whose times are sorted only the blocks with these points are read, and a few to find them.
        """
        found = None
        start, stop = (None if t is None else real(t, name) for t, name in ((start, "start"), (stop, "stop")))
        if hasattr(self._manager, "_between"):
            found = self._manager._between(self._id, start, stop)
        return super().between(start, stop) if found is None else found

    def append(self, series):
        """Store more points behind the last one; see :meth:`FileStorageManager.append`."""
        return self._manager.append(self._id, series)

    def lazy(self):
        """The series as the start of a chain of operations; see :class:`Lazy`."""
        return self._manager.lazy(self._id)

    def __setitem__(self, index, value):
        """Replace values at a position or a slice, in the store: every handle sees it.

        Positions side by side are replaced in one commit. A slice in other steps than 1 and -1 is written point by
        point, each a commit (``with manager.batch()`` makes them one), so that what others write in between stays.
        """
        n = len(self)
        if isinstance(index, (numbers.Integral, np.integer)) and not isinstance(index, bool):
            position = operator.index(index)
            if not -n <= position < n:
                raise IndexError(f"position {position} of a series of {n} points")
            positions = range(position % n, position % n + 1)
        elif isinstance(index, slice):
            positions = range(n)[index]
            if not positions:
                return
        else:
            raise WrongTypeError(f"a position must be an integer or a slice, not {type(index).__name__}")
        given = value_of(value)
        if hasattr(self._manager, "set"):
            # Only the shape of what is there matters: a value that was read and written back could undo what
            # others wrote.
            tail = self._manager.range(self._id, positions[0], positions[0] + 1).values().shape[1:]
            given = fitted(given, (len(positions), *tail))
            if abs(positions.step) == 1 or len(positions) == 1:
                self._manager.set(self._id, min(positions), given[:: positions.step])
            else:
                for position, value in zip(positions, given, strict=True):
                    self._manager.set(self._id, position, value[None])
        else:
            series = TimeSeries.of(self._fetched())
            series[index] = given
            self._manager.store(self._id, series)

    def __repr__(self):
        series = self._fetched()
        n = len(series)
        return f"{type(self).__name__}(id {self._id!r}, {n} point{'' if n == 1 else 's'}: {series})"

    def __reduce__(self):
        return type(self).from_db, (self._id, self._manager)


def _new():
    from vlstore.series._manager import new_id

    return new_id()
