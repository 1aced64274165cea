"""What a storage manager is, and what a series is."""

from __future__ import annotations

import abc
import numbers
import operator

import numpy as np

from vlstore.errors import InvalidError, WrongTypeError


class StorageManagerInterface(abc.ABC):
    """What stores series by id.

    A class with these three methods can serve :class:`SMTimeSeries`.
    """

    @abc.abstractmethod
    def store(self, id, series):
        """Store ``series`` under ``id`` (``None``: a new one) and return it as it is stored."""

    @abc.abstractmethod
    def size(self, id):
        """The number of points of a series, without reading its values.

        Raises :class:`KeyError` that names the id if the series does not exist.
        """

    @abc.abstractmethod
    def get(self, id):
        """A series. Raises :class:`KeyError` that names the id if there is none."""


#: Points from which a print is shortened in the middle, and those that are shown on each side.
SHORTENED, SHOWN = 10, 3


class SizedContainerTimeSeriesInterface(abc.ABC):
    """A series of known length: points of a time and a value, or several values.

    A subclass says what its arrays are in :meth:`_arrays`; all else follows. Times are those that were
    given, in their order, or count from 0. Two series are *on the same times* if their times are equal
    one by one; NaN is taken as equal to NaN.
    """

    __slots__ = ()
    __hash__ = None
    # NumPy's numbers and arrays leave the arithmetic to the series.
    __array_ufunc__ = None

    @abc.abstractmethod
    def _arrays(self):
        """Times (``None``: they count from 0) and values, as arrays of float64."""

    def _made(self, times, values):
        from vlstore.series._timeseries import TimeSeries

        return TimeSeries._over(times, values)

    def _points(self):
        """Times and values, as arrays. Both are of one fetch: two could be of two versions of the series."""
        times, values = self._arrays()
        return np.arange(len(values), dtype=np.float64) if times is None else times, values

    def times(self):
        """The times, ``(n,)`` float64."""
        return self._points()[0]

    def values(self):
        """The values, ``(n,)`` float64, or ``(n, channels)``."""
        return self._arrays()[1]

    @property
    def channels(self):
        """Number of values of each point."""
        values = self.values()
        return 1 if values.ndim == 1 else values.shape[1]

    def items(self):
        """The pairs of time and value, as a list."""
        return list(self.iteritems())

    def __len__(self):
        return len(self.values())

    def __bool__(self):
        """Whether there are points."""
        return len(self) > 0

    def __iter__(self):
        """Goes over the values."""
        return iter(self.values())

    def itervalues(self):
        """Goes over the values."""
        return iter(self.values())

    def itertimes(self):
        """Goes over the times."""
        return iter(self.times())

    def iteritems(self):
        """Goes over the pairs of time and value."""
        return zip(*self._points(), strict=True)

    def __contains__(self, value):
        """Whether a point has this value; NaN is found if there is one."""
        if not isinstance(value, numbers.Real):
            return False
        values = self.values()
        found = np.isnan(values) if value != value else values == value
        return bool(found.any())

    def __getitem__(self, index):
        """The value at a position, or a series of the points at a slice or a list of positions."""
        times, values = self._arrays()
        if isinstance(index, (numbers.Integral, np.integer)) and not isinstance(index, bool):
            position = operator.index(index)
            if not -len(values) <= position < len(values):
                raise IndexError(f"position {position} of a series of {len(values)} points")
            return values[position]
        if not isinstance(index, (slice, list, np.ndarray)):
            raise WrongTypeError(
                f"a position must be an integer or a slice, not {type(index).__name__}; times are for between()"
            )
        if times is None:
            # Other positions have other times than those that count from 0.
            times = np.arange(len(values), dtype=np.float64)
        return self._made(times[index], values[index])

    def between(self, start=None, stop=None):
        """The points with times from ``start`` to before ``stop``, in their order."""
        from vlstore.series._points import real

        times, values = self._points()
        chosen = np.ones(len(times), bool)
        if start is not None:
            chosen &= times >= real(start, "start")
        if stop is not None:
            chosen &= times < real(stop, "stop")
        at = np.flatnonzero(chosen)
        if len(at) and at[-1] - at[0] + 1 == len(at):
            return self._made(times[at[0] : at[-1] + 1], values[at[0] : at[-1] + 1])
        return self._made(times[at], values[at])

    @staticmethod
    def _must_have_same_times(own, their, n, m):
        """Two arrays of times (``None``: they count from 0) of ``n`` and ``m`` points."""
        if n != m:
            raise InvalidError(f"one series has {n} points and the other {m}")
        if own is None and their is None:
            return
        own, their = (np.arange(n, dtype=np.float64) if t is None else t for t in (own, their))
        if own is not their and not np.array_equal(own, their, equal_nan=True):
            at = int(np.flatnonzero((own != their) & ~(np.isnan(own) & np.isnan(their)))[0])
            raise InvalidError(
                f"the times differ at position {at}: {float(own[at])!r} and {float(their[at])!r}; bring both series to "
                "the same times first (interpolate)"
            )

    def __eq__(self, other):
        """Whether times and values are equal; NaN is equal to NaN here."""
        if not isinstance(other, SizedContainerTimeSeriesInterface):
            return NotImplemented
        (own, a), (their, b) = self._points(), other._points()
        return (
            a.shape == b.shape
            and np.array_equal(a, b, equal_nan=True)
            and np.array_equal(own, their, equal_nan=True)
        )

    def _with(self, other, op, swapped=False):
        times, values = self._arrays()
        if isinstance(other, SizedContainerTimeSeriesInterface):
            their, second = other._arrays()
            self._must_have_same_times(times, their, len(values), len(second))
            if values.ndim != second.ndim:
                values, second = (v[:, None] if v.ndim == 1 else v for v in (values, second))
            if values.ndim == 2 and 1 not in (values.shape[1], second.shape[1]):
                if values.shape[1] != second.shape[1]:
                    raise InvalidError(
                        f"one series has {values.shape[1]} channels and the other {second.shape[1]}"
                    )
            if times is None:
                times = their
        elif isinstance(other, numbers.Real) and not isinstance(other, bool):
            second = float(other)
        else:
            return NotImplemented
        with np.errstate(all="ignore"):
            return self._made(times, op(second, values) if swapped else op(values, second))

    def __add__(self, other):
        return self._with(other, operator.add)

    def __radd__(self, other):
        return self._with(other, operator.add, True)

    def __sub__(self, other):
        return self._with(other, operator.sub)

    def __rsub__(self, other):
        return self._with(other, operator.sub, True)

    def __mul__(self, other):
        return self._with(other, operator.mul)

    def __rmul__(self, other):
        return self._with(other, operator.mul, True)

    def __truediv__(self, other):
        return self._with(other, operator.truediv)

    def __rtruediv__(self, other):
        return self._with(other, operator.truediv, True)

    def __pow__(self, other):
        return self._with(other, operator.pow)

    def __rpow__(self, other):
        return self._with(other, operator.pow, True)

    def __neg__(self):
        times, values = self._arrays()
        return self._made(times, -values)

    def __pos__(self):
        return self._made(*self._arrays())

    def __abs__(self):
        """The L2 norm: the square root of the sum of the squares of all values."""
        values = np.abs(self.values().ravel())
        largest = values.max(initial=0.0)
        if not 0 < largest < np.inf:
            return float(np.linalg.norm(values))
        # The squares of large numbers are infinite, and those of small ones zero.
        if 1e-140 < largest < 1e140:
            return float(np.linalg.norm(values))
        scale = 2.0 ** (np.frexp(largest)[1] - 1)
        return float(np.linalg.norm(values / scale) * scale)

    def mean(self):
        """The mean of the values: a number, or one for each channel; NaN of none."""
        values = self.values()
        if not len(values):
            return _each(np.full(values.shape[1:], np.nan))
        return _each(values.mean(axis=0))

    def std(self, ddof=1):
        """The standard deviation: that of a sample, with the divisor n - 1.

        ``ddof=0`` gives that of the whole, with the divisor n. NaN if the divisor is not positive.
        """
        values = self.values()
        if len(values) <= ddof:
            return _each(np.full(values.shape[1:], np.nan))
        return _each(values.std(axis=0, ddof=ddof))

    def interpolate(self, times):
        """A series at other times, by straight lines between the points.

        Before the first point and behind the last it has their values. The times of this series must be
        sorted; of points at the same time the last counts behind it.
        """
        from vlstore.series._points import must_be_sorted, numbers_of

        wanted = numbers_of(times.times() if hasattr(times, "times") else times, "times")
        own, values = self._points()
        if not len(own):
            raise InvalidError("a series without points has no values in between")
        must_be_sorted(own)
        if values.ndim == 1:
            return self._made(wanted, np.interp(wanted, own, values))
        columns = [np.interp(wanted, own, values[:, c]) for c in range(values.shape[1])]
        return self._made(wanted, np.stack(columns, axis=1))

    def stored(self, id=None, manager=None):
        """Store the series and return it as an :class:`SMTimeSeries`.

        ``manager``: by default that of the class :class:`SMTimeSeries`.
        """
        from vlstore.series._stored import SMTimeSeries

        return SMTimeSeries._of(self, id, manager)

    def __arrow_c_stream__(self, requested_schema=None):
        """A table of times and values, for other programs; needs ``pyarrow``."""
        from vlstore.series._io import to_arrow

        return to_arrow(self).__arrow_c_stream__(requested_schema)

    @staticmethod
    def _shown(times, values):

        def pair(at):
            value = values[at]
            shown = f"{value:g}" if values.ndim == 1 else "(" + ", ".join(f"{v:g}" for v in value) + ")"
            return f"{times[at]:g}: {shown}"

        n = len(times)
        if n <= SHORTENED:
            return "[" + ", ".join(map(pair, range(n))) + "]"
        first = ", ".join(map(pair, range(SHOWN)))
        last = ", ".join(map(pair, range(n - SHOWN, n)))
        return f"[{first}, ..., {last}]"

    def __str__(self):
        return self._shown(*self._points())

    def __repr__(self):
        times, values = self._points()
        n = len(times)
        return f"{type(self).__name__}({n} point{'' if n == 1 else 's'}: {self._shown(times, values)})"


def _each(numbers_):
    return float(numbers_) if np.ndim(numbers_) == 0 else numbers_
