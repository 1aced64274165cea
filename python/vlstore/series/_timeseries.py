"""A series in memory."""

from __future__ import annotations

import numbers

import numpy as np

from vlstore.errors import WrongTypeError
from vlstore.series._interface import SizedContainerTimeSeriesInterface
from vlstore.series._points import arrays_of, fitted, points_of, value_of


class TimeSeries(SizedContainerTimeSeriesInterface):
    """A series in memory: times, or ``None`` to count from 0, and values.

    Arrays are taken as they are, not copied. Those that a storage manager returns are views of what was
    read and read-only: the first assignment makes a copy.

    >>> from vlstore.series import TimeSeries
    >>> series = TimeSeries([0, 1, 3], [1.0, 2.0, 6.0])
    >>> series
    TimeSeries(3 points: [0: 1, 1: 2, 3: 6])
    >>> series.interpolate([0.5, 2, 9]).values()
    array([1.5, 4. , 6. ])
    >>> (series - series.mean()).between(1).items()
    [(np.float64(1.0), np.float64(-1.0)), (np.float64(3.0), np.float64(3.0))]
    """

    __slots__ = ("_times", "_values")

    def __init__(self, times, values):
        self._times, self._values = arrays_of(times, values)

    @classmethod
    def of(cls, series):
        """A series of whatever is one: see :meth:`FileStorageManager.store`."""
        return cls._over(*points_of(series))

    @classmethod
    def _over(cls, times, values):
        out = cls.__new__(cls)
        out._times, out._values = times, values
        return out

    def _arrays(self):
        return self._times, self._values

    def __setitem__(self, index, value):
        """Replace values at a position, a slice, or a list of positions."""
        if isinstance(index, bool) or not isinstance(index, (numbers.Integral, slice, list, np.ndarray)):
            raise WrongTypeError(f"a position must be an integer or a slice, not {type(index).__name__}")
        value = value_of(value)
        if not self._values.flags.writeable:
            self._values = np.array(self._values)
        n = len(self._values)
        if isinstance(index, numbers.Integral) and not -n <= index < n:
            raise IndexError(f"position {index} of a series of {n} points")
        self._values[index] = fitted(value, self._values[index].shape)

    def __reduce__(self):
        return type(self), (self._times, self._values)
