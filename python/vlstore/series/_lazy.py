"""Chains of operations on series that may be larger than memory."""

from __future__ import annotations

import numbers
import operator
from typing import NamedTuple

import numpy as np

from vlstore import _core
from vlstore.errors import InvalidError, WrongTypeError
from vlstore.series._points import flat, joined, must_be_sorted, points_of, real, whole


class Aggregates(NamedTuple):
    """Aggregates of windows: the time at which each begins, and a dict of arrays, one for each name."""

    times: np.ndarray
    columns: dict

    def __getitem__(self, name):
        """The array of one name, ``(windows,)`` or ``(windows, channels)``."""
        return self.columns[name] if isinstance(name, str) else tuple(self)[name]


class Lazy:
    """A series that is computed block by block when its values are asked for.

    ``manager.lazy(id)`` is the start; numbers, other series and other chains are combined with it by
    ``+ - * / **``, and :meth:`sqrt`, :meth:`exp`, :meth:`log`, :meth:`abs` and slices apply to each
    value. Nothing is read by that. A block of 16 384 points of each series is in memory at a time. It
    sees the store as it was when ``lazy`` was called.

    >>> from vlstore.series import MemoryStorageManager
    >>> manager = MemoryStorageManager()
    >>> _ = manager.store("x", (range(6), [1, 2, 3, 4, 5, 9]))
    >>> x = manager.lazy("x")
    >>> z = (x - x.mean()) / x.std()
    >>> z
    <vlstore.series.Lazy of 6 points>
    >>> round(z.max(), 3), round(z.percentile(50), 3)
    (1.768, -0.177)
    >>> x.aggregate(["mean", "p50"], points=3)["mean"]
    array([2., 6.])
    >>> _ = manager.store("z", z)
    """

    __slots__ = ("_core",)
    __array_ufunc__ = None

    def __init__(self, core):
        if isinstance(core, Lazy):
            core = core._core
        elif not isinstance(core, _core._Lazy):
            core = _core._lazy_of(*flat(*points_of(core)))
        self._core = core

    def __len__(self):
        return len(self._core)

    @property
    def channels(self):
        """Number of values of each point."""
        return self._core.channels

    def _with(self, other, op, swapped=False):
        if isinstance(other, numbers.Real) and not isinstance(other, bool):
            return Lazy(self._core.number(op, float(other), swapped))
        if not isinstance(other, Lazy):
            from vlstore.series._interface import SizedContainerTimeSeriesInterface

            if not isinstance(other, SizedContainerTimeSeriesInterface):
                return NotImplemented
            other = Lazy(other)
        first, second = (other, self) if swapped else (self, other)
        return Lazy(first._core.pair(op, second._core))

    def __add__(self, other):
        return self._with(other, "add")

    def __radd__(self, other):
        return self._with(other, "add", True)

    def __sub__(self, other):
        return self._with(other, "sub")

    def __rsub__(self, other):
        return self._with(other, "sub", True)

    def __mul__(self, other):
        return self._with(other, "mul")

    def __rmul__(self, other):
        return self._with(other, "mul", True)

    def __truediv__(self, other):
        return self._with(other, "div")

    def __rtruediv__(self, other):
        return self._with(other, "div", True)

    def __pow__(self, other):
        return self._with(other, "pow")

    def __rpow__(self, other):
        return self._with(other, "pow", True)

    def __neg__(self):
        return Lazy(self._core.each("neg"))

    def __pos__(self):
        return self

    def abs(self):
        """Each value without its sign. (``abs`` of a series is its L2 norm, so this is a method.)"""
        return Lazy(self._core.each("abs"))

    def sqrt(self):
        """The square root of each value."""
        return Lazy(self._core.each("sqrt"))

    def exp(self):
        """The exponential function of each value."""
        return Lazy(self._core.each("exp"))

    def log(self):
        """The natural logarithm of each value."""
        return Lazy(self._core.each("log"))

    def __getitem__(self, index):
        """The points at a slice, still not read; or the value at a position."""
        n = len(self)
        if isinstance(index, slice):
            start, stop, step = index.indices(n)
            if step != 1:
                raise InvalidError("a chain is sliced in steps of 1; evaluate it first for others")
            return Lazy(self._core.slice(start, max(start, stop)))
        if not isinstance(index, (numbers.Integral, np.integer)):
            raise WrongTypeError(f"a position must be an integer or a slice, not {type(index).__name__}")
        position = operator.index(index)
        if not -n <= position < n:
            raise IndexError(f"position {position} of a series of {n} points")
        position %= n
        return self._read(position, position + 1).values()[0]

    def _read(self, start, stop):
        from vlstore.series._timeseries import TimeSeries

        times, channels = self._core.read(start, stop)
        values = joined(channels)
        if times is None and start:
            times = np.arange(start, start + len(values), dtype=np.float64)
        return TimeSeries._over(times, values)

    def evaluate(self):
        """All points as a :class:`TimeSeries`, in memory."""
        from vlstore.series._timeseries import TimeSeries

        parts = list(self.blocks())
        if len(parts) < 2:
            return parts[0] if parts else self._read(0, 0)
        times = None if parts[0]._arrays()[0] is None else np.concatenate([p.times() for p in parts])
        return TimeSeries._over(times, np.concatenate([p.values() for p in parts]))

    def _parts(self, points):
        """As :meth:`blocks`, but as times and values: times are ``None`` if those of the chain count from 0."""
        for start in range(0, len(self), points):
            times, channels = self._core.read(start, start + points)
            yield times, joined(channels)

    def blocks(self, points=1 << 14):
        """The points as :class:`TimeSeries` of at most ``points`` points, one after the other."""
        for start in range(0, len(self), points):
            yield self._read(start, start + points)

    def __iter__(self):
        for block in self.blocks():
            yield from block.values()

    def _summary(self, which, ddof=1):
        found = [row[which] for row in self._core.summary(ddof)]
        return found[0] if self.channels == 1 else np.array(found)

    def min(self):
        """The least value, or one for each channel; NaN if there is NaN among them, or no point."""
        return self._summary(1)

    def max(self):
        """The greatest value."""
        return self._summary(2)

    def mean(self):
        """The mean."""
        return self._summary(3)

    def sum(self):
        """The sum."""
        return self._summary(4)

    def std(self, ddof=1):
        """The standard deviation, with the divisor n - ``ddof``."""
        return self._summary(5, ddof)

    def percentile(self, q):
        """Percentiles, 0 to 100, exact: a number, or an array for a list of them.

        Between two neighbours by a straight line, as NumPy's default. Up to two million values they are
        sorted in memory; more are read again for each 16 bits of the number, in bounded memory.
        """
        found = np.array(self._core.percentiles([real(x, "q") for x in np.atleast_1d(q)]))
        found = found[0] if self.channels == 1 else found.T
        if np.ndim(q) == 0:
            return found[0] if self.channels > 1 else float(found[0])
        return found

    def aggregate(self, what, *, points=None, width=None, origin=None):
        """Aggregates of windows, in one pass and bounded memory; returns :class:`Aggregates`.

        Parameters
        ----------
        what : list of str
            Of ``count``, ``min``, ``max``, ``mean``, ``sum``, ``std``, ``first``, ``last``, ``median``, and
            percentiles such as ``p5`` or ``p99.9``.
        points : int
            Windows of so many points each; the last may have fewer.
        width, origin : float
            Windows by time: from ``origin + n * width`` to before ``origin + (n + 1) * width``; ``origin`` is
            by default the first time. Times must be sorted. A window without points is left out.
        """
        names = [what] if isinstance(what, str) else list(what)
        points = None if points is None else whole(points, "points")
        width = None if width is None else real(width, "width")
        origin = None if origin is None else real(origin, "origin")
        times, columns = self._core.aggregate(points, width, origin, names)
        return Aggregates(times, {name: joined(tuple(c)) for name, c in zip(names, columns, strict=True)})

    def resample(self, step, *, start=None, count=None):
        """The series on the grid ``start + n * step``, by straight lines: an iterator of blocks.

        From the first time to the last unless ``start`` and ``count`` say otherwise; outside it has the
        values of the first and the last point. Times must be sorted, which is checked by reading the series once
        more. Each block is a :class:`TimeSeries` of
        at most 16 384 points; ``manager.append(id, block)`` stores one behind the other.
        """
        from vlstore.series._timeseries import TimeSeries

        start = None if start is None else real(start, "start")
        count = None if count is None else whole(count, "count")
        grid = self._core.resample(real(step, "step"), start, count)
        # The grid reads no more than it needs, and where times go back that may be nothing.
        before, first = -np.inf, 0
        for times, values in self._parts(1 << 14):
            if times is None:
                break
            before = must_be_sorted(times, before, first)
            first += len(values)

        def blocks():
            while (block := grid.next_block()) is not None:
                times, channels = block
                yield TimeSeries._over(times, joined(channels))

        return blocks()

    def __repr__(self):
        n = len(self)
        return f"<vlstore.series.Lazy of {n} point{'' if n == 1 else 's'}>"
