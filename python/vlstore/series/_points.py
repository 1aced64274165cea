"""Whatever a caller gives as a series, as arrays of float64."""

from __future__ import annotations

import numbers
import operator

import numpy as np

from vlstore.errors import InvalidError, WrongTypeError


def numbers_of(given, what):
    """``given`` as a new or the same array of float64; what holds no real numbers is refused."""
    if isinstance(given, (str, bytes, bytearray, dict, set, frozenset)) or given is None:
        raise WrongTypeError(f"{what}: a sequence of numbers, not {type(given).__name__}")
    if isinstance(given, np.ma.MaskedArray):
        raise WrongTypeError(f"{what}: a masked array, whose mask would be lost; give array.filled(...)")
    if not hasattr(given, "__array__") and not isinstance(given, (list, tuple, range)):
        try:
            given = list(given)
        except TypeError:
            raise WrongTypeError(
                f"{what}: a sequence of numbers, not {type(given).__name__}"
            ) from None
    try:
        array = np.asarray(given)
    except (ValueError, TypeError, RuntimeError) as error:
        if isinstance(given, (list, tuple)):
            why = "its parts have different lengths; give as many values for each point"
        else:
            why = f"the object of type {type(given).__name__} cannot be made an array ({error}); give a NumPy array"
        raise InvalidError(f"{what}: {why}") from error
    if array.size == 0 and array.dtype == object:
        array = array.astype(np.float64)
    if array.dtype == object:
        for i, x in enumerate(array.flat):
            if not isinstance(x, numbers.Real):
                at = i // (array[0].size if array.ndim > 1 else 1)
                raise WrongTypeError(f"{what}: {x!r:.40} at position {at} is not a real number; convert it, or leave it out")
        _must_be_exact(array, what)
        try:
            array = array.astype(np.float64)
        except OverflowError as error:
            raise InvalidError(f"{what}: a number is larger than any float64; scale it first") from error
    elif array.dtype.kind == "f" and not hasattr(given, "__array__") and (np.abs(array) >= EXACT).any():
        # Integers beside other numbers are floats by now, and may have been rounded.
        _must_be_exact(np.asarray(given, dtype=object), what)
    if array.dtype.kind not in "fiu":
        raise WrongTypeError(f"{what}: real numbers, not {array.dtype}")
    if array.dtype.itemsize > 8:
        raise WrongTypeError(f"{what}: {array.dtype} is wider than float64; round it first")
    wide = array.dtype.kind in "iu" and array.dtype.itemsize == 8
    if wide and array.size and max(abs(int(array.max())), abs(int(array.min()))) > EXACT:
        raise InvalidError(_ROUNDED.format(what))
    return array.astype(np.float64, copy=False)


#: Integers up to this one are float64, each.
EXACT = 2**53
_ROUNDED = "{}: an integer above 2**53 would be rounded; scale or shift it first"


def _must_be_exact(objects, what):
    if any(isinstance(x, numbers.Integral) and abs(int(x)) > EXACT for x in objects.flat):
        raise InvalidError(_ROUNDED.format(what))


def whole(given, what, least=0):
    """A number of points, or a position: an integer."""
    try:
        number = operator.index(given)
    except TypeError:
        raise WrongTypeError(f"{what}: an integer, not {type(given).__name__}") from None
    if least is not None and number < least:
        raise InvalidError(f"{what}: {least} or more, not {number}")
    return number


def real(given, what):
    """A time, or a length of time: a real number."""
    if isinstance(given, bool) or not isinstance(given, numbers.Real):
        raise WrongTypeError(f"{what}: a real number, not {type(given).__name__}")
    return float(given)


def value_of(given):
    """What is assigned: one number, or an array of them; what is no real number is refused."""
    if np.ndim(given):
        return numbers_of(given, "value")
    if not isinstance(given, numbers.Real):
        raise WrongTypeError(f"value: a real number, not {type(given).__name__}")
    return numbers_of([given], "value")[0]


def fitted(value, shape):
    """A value, or values, for all positions of this shape."""
    try:
        return np.broadcast_to(value, shape)
    except ValueError as error:
        raise InvalidError(f"value: the shape of what is assigned is {np.shape(value)}, not {shape}") from error


def stacked(names, columns):
    """Columns as one array ``(n, channels)``; each by itself is checked, as all together would be rounded."""
    columns = [numbers_of(column, f"the column {name!r}") for name, column in zip(names, columns, strict=True)]
    return columns[0] if len(columns) == 1 else np.stack(columns, axis=1)


def must_be_sorted(times, before=-np.inf, first=0):
    """Refuses times that are less than the one before, NaN, or infinite, with the position.

    ``before``: the time before them, ``first``: the position of the first of them. Returns the last one.
    """
    ahead = np.concatenate([[before], times])
    # Not less than NaN is not sorted either.
    wrong = np.flatnonzero(~(ahead[1:] >= ahead[:-1]))
    if len(wrong):
        raise InvalidError(
            f"the times are not sorted: {float(times[wrong[0]])!r} at position {first + int(wrong[0])}; sort the series "
            "first: series[numpy.argsort(series.times())]"
        )
    infinite = np.flatnonzero(np.isinf(times))
    if len(infinite):
        raise InvalidError(
            f"the times are not finite: {float(times[infinite[0]])!r} at position {first + int(infinite[0])}; there is "
            "no straight line to it"
        )
    return ahead[-1]


def arrays_of(times, values):
    """Times of shape (n,) or ``None``, and values of shape (n,), or (n, channels) of several; lengths agree."""
    values = numbers_of(values, "values")
    if values.ndim not in (1, 2) or (values.ndim == 2 and values.shape[1] == 0):
        raise InvalidError(
            f"values: of shape (n,), or (n, channels) with one channel or more, not {values.shape}"
        )
    if values.ndim == 2 and values.shape[1] == 1:
        # One channel has one shape, as it comes back.
        values = values[:, 0]
    if times is not None:
        times = numbers_of(times, "times")
        if times.ndim != 1 or len(times) != len(values):
            raise InvalidError(f"found {times.size} times, but {len(values)} values")
    return times, values


def flat(times, values):
    """What the compiled half takes: contiguous arrays, the values channel by channel."""
    if times is not None:
        times = np.ascontiguousarray(times)
    channels = 1 if values.ndim == 1 else values.shape[1]
    return times, np.ascontiguousarray(values.T), channels


def joined(channels):
    """Values of shape (n,) or (n, channels) of what the compiled half returns."""
    if len(channels) == 1:
        return channels[0]
    first = channels[0]
    base, n = first.base, len(first)
    if base is not None and all(
        c.base is base and c.ctypes.data == first.ctypes.data + 8 * n * i for i, c in enumerate(channels)
    ):
        # They lie side by side in one buffer.
        offset = first.ctypes.data - np.frombuffer(base, np.uint8).ctypes.data
        return np.ndarray((len(channels), n), np.float64, base, offset).T
    return np.stack(channels, axis=1)


def points_of(series):
    """Times or ``None``, and values, of whatever is a series.

    Another series, a chain of operations (evaluated in memory), a pair of times and values, a pandas Series or DataFrame, an object with the Arrow
    interface (the first column is times if there are several), or a sequence of values.
    """
    from vlstore.series import _io
    from vlstore.series._interface import SizedContainerTimeSeriesInterface
    from vlstore.series._lazy import Lazy

    if isinstance(series, SizedContainerTimeSeriesInterface):
        return series._arrays()
    if isinstance(series, Lazy):
        return series.evaluate()._arrays()
    found = _io.foreign(series)
    if found is not None:
        return arrays_of(*found)
    if isinstance(series, tuple):
        if len(series) != 2:
            raise WrongTypeError(
                f"series: a pair of times and values, not a tuple of {len(series)}; values alone are a list"
            )
        return arrays_of(*series)
    if isinstance(series, (str, bytes, dict, numbers.Number)) or series is None:
        raise WrongTypeError(
            f"series: a series, a pair of times and values, or values, not {type(series).__name__}"
        )
    return arrays_of(None, series)
