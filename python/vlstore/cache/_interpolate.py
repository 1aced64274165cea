"""A function evaluated from stored points where some are near, and run where none is."""

import collections
import functools
import inspect
import math
import warnings

import numpy as np

from vlstore.cache import _arguments, _base, _result
from vlstore.cache._cached import Options, _refuse, _require_name, warn_not_stored
from vlstore.cache._errors import ArgumentError, DamagedEntryError, DamagedEntryWarning, ResultError
from vlstore.cache._fork_lock import Lock
from vlstore.errors import Error, InvalidError, WrongTypeError

#: What ``info()`` of an interpolated function returns.
InterpolationInfo = collections.namedtuple("InterpolationInfo", "interpolated computed points")
_KINDS = ("linear", "cubic")


def _scipy(what):
    try:
        import scipy.interpolate
    except ImportError as error:
        raise ImportError(f"{what} needs SciPy: pip install 'vlstore[interpolation]'") from error
    return scipy.interpolate


class Interpolator:
    """Values at points, and between them.

    ``points`` has the shape (n,) or (n, d), ``values`` (n, ...). ``kind`` is ``"linear"`` or ``"cubic"``. With one
    dimension linear interpolation needs NumPy alone; all else needs SciPy
    (``pip install 'vlstore[interpolation]'``). Cubic interpolation works in one dimension from four points on, and in two;
    with fewer points it is linear.

    Called with points, returns their values, NaN for a point outside: ``interpolator(1.5)`` of shape (...),
    ``interpolator([1.5, 2.5])`` of shape (2, ...).
    """

    def __init__(self, points, values, kind="linear"):
        if kind not in _KINDS:
            raise InvalidError(f'kind: {kind!r} is neither "linear" nor "cubic"')
        points, values = np.asarray(points, float), np.asarray(values)
        if points.ndim not in (1, 2):
            raise InvalidError(f"points must have the shape (n,) or (n, d), not {points.shape}")
        if values.ndim == 0 or len(values) != len(points):
            raise InvalidError(f"{len(points)} points need as many values, not {values.shape}")
        if values.dtype.kind not in "biufc":
            raise WrongTypeError(f"values of type {values.dtype} cannot be interpolated: numbers can")
        self.flat = points.ndim == 1
        self.points = points.reshape(len(points), -1 if len(points) else 1)
        self.values, self.kind = values, kind
        self.shape = values.shape[1:]
        if kind == "cubic" and self.points.shape[1] > 2:
            raise InvalidError(f"cubic: works in one or two dimensions, not in {self.points.shape[1]}")
        self._made = None

    @property
    def dimension(self):
        """Number of coordinates of a point."""
        return self.points.shape[1]

    def get_distance(self, point):
        """The distance from ``point`` to the nearest stored one; infinite if there is none."""
        if not len(self.points):
            return math.inf
        point = np.asarray(point, float).reshape(-1)
        return float(np.sqrt(((self.points - point) ** 2).sum(axis=1).min()))

    def at(self, point):
        """The number of the stored point that is equal to ``point``; ``None`` if there is none."""
        found = np.flatnonzero((self.points == np.asarray(point, float).reshape(-1)).all(axis=1))
        return int(found[0]) if len(found) else None

    def __call__(self, point):
        point = np.asarray(point, float)
        if self.flat or self.dimension == 1 and (point.ndim == 0 or point.shape[-1] != 1):
            outer = point.shape
        else:
            if point.ndim == 0 or point.shape[-1] != self.dimension:
                raise InvalidError(f"a point here must have {self.dimension} coordinates, not the shape {point.shape}")
            outer = point.shape[:-1]
        asked = point.reshape(-1, self.dimension)
        return self._evaluate(asked).reshape(outer + self.shape)

    def _evaluate(self, asked):
        if self._made is None:
            flat = self.values.reshape(len(self.values), math.prod(self.shape))
            flat = flat.astype(np.result_type(flat.dtype, np.float64))
            self._made = self._make(flat)
        return self._made(asked)

    def _make(self, flat):
        n = len(self.points)
        if n == 0:
            return lambda asked: np.full((len(asked), math.prod(self.shape)), np.nan)
        if self.dimension == 1:
            order = np.argsort(self.points[:, 0], kind="stable")
            x, y = self.points[order, 0], flat[order]
            if self.kind == "cubic" and n >= 4:
                spline = _scipy("cubic interpolation").CubicSpline(x, y, axis=0, extrapolate=False)
                return lambda asked: spline(asked[:, 0])
            return lambda asked: _linear(x, y, asked[:, 0])
        if n <= self.dimension:
            return lambda asked: np.full((len(asked), flat.shape[1]), np.nan, flat.dtype)
        scipy = _scipy(f"interpolation in {self.dimension} dimensions")
        kind = scipy.CloughTocher2DInterpolator if self.kind == "cubic" else scipy.LinearNDInterpolator
        try:
            return kind(self.points, flat)
        except Exception as error:
            # All points on a line, or in a plane: there is no inside.
            if type(error).__name__ != "QhullError":
                raise
            return lambda asked: np.full((len(asked), flat.shape[1]), np.nan, flat.dtype)


def _linear(x, y, asked):
    """Between the neighbours in ``x``, which ascends; NaN outside."""
    if len(x) == 1:
        out = np.repeat(y, len(asked), axis=0)
        out[asked != x[0]] = np.nan
        return out
    right = np.clip(np.searchsorted(x, asked), 1, len(x) - 1)
    left = right - 1
    share = ((asked - x[left]) / (x[right] - x[left]))[:, None]
    out = y[left] * (1 - share) + y[right] * share
    out[(asked < x[0]) | (asked > x[-1]) | np.isnan(asked)] = np.nan
    return out


class _Set:
    """The stored points of one combination of the other arguments."""

    def __init__(self):
        self.points, self.values, self.example, self.interpolator = [], [], None, None
        # The place of each point in the lists.
        self.numbers = {}

    def put(self, point, value):
        """Adds a point; the value of one that is there is replaced."""
        number = self.numbers.setdefault(tuple(point.reshape(-1).tolist()), len(self.points))
        if number == len(self.points):
            self.points.append(point)
            self.values.append(value)
        else:
            self.values[number] = value
        self.interpolator = None


class _Function:
    """The stored points of a function."""

    def __init__(self, function, options, max_distance, kind):
        self.call = _arguments.Call(function, options.ignore, options.arrays, options.name, options.version)
        self.options, self.storage = options, options.storage
        self.max_distance, self.kind = max_distance, kind
        self.lock, self.sets, self.state = Lock(), {}, None
        self.interpolated = self.computed = 0
        if not self.call.positional and self.call.rest is None:
            raise WrongTypeError(f"{self.call.name} has no positional argument: the first one is the point")

    def named(self, args, kwargs):
        """The arguments beside the point, by their names, as text."""
        call = self.call
        out, named, names = call.arguments(args, kwargs)
        first = call.positional[0].name if call.positional else None
        if first in call.ignore:
            raise InvalidError(f"ignore_kwargs: {first!r} is the point, which cannot be ignored")
        if first in named:
            del named[first]
        else:
            out, names = out[1:], names[1:]
        for i, value in enumerate(out):
            named[names[i] if i < len(names) else f"{call.rest}[{i - len(names)}]"] = value
        return _arguments.named_text(named, call.arrays, call.where)

    def load(self):
        """All sets of points, from the storage if it has changed."""
        state = self.storage._state()
        if state is not None and state == self.state:
            return
        # What an error leaves half read is read again.
        self.sets, self.state = {}, None
        own = self.storage._select(None, None, self.call.name, self.options.version)
        for key, _, handle in own:
            try:
                packed = self.storage._read(key, handle)
                value = packed and packed.result(True, f"the entry of {key:.200}")
            except DamagedEntryError as error:
                warnings.warn(f"a damaged point is left out: {error}", DamagedEntryWarning, stacklevel=3)
                continue
            if packed is None:
                continue
            _, _, args, named = _arguments.parse_key(key)
            if len(args) != 1:
                continue
            text = _arguments.named_text(named, _arguments.VERBATIM)
            self.add(text, _point(args[0], self.call.where), value, packed)
        self.state = state

    def add(self, text, point, value, packed):
        found = self.sets.setdefault(text, _Set())
        self.fits(found, point, value)
        # A copy: the caller may go on with the array.
        found.put(point, np.array(value))
        found.example = _result.object_of(packed.node) and packed

    def fits(self, found, point, value):
        """Raises if point and value have other shapes than those that are there."""
        value = _numbers(value, self.call.where)
        if not found.points:
            return
        if point.shape != found.points[0].shape:
            raise InvalidError(
                f"{self.call.where}a point with {point.size} coordinates among points with {found.points[0].size}"
            )
        if value.shape != found.values[0].shape:
            raise InvalidError(
                f"{self.call.where}a value of shape {value.shape} among values of shape {found.values[0].shape}: "
                "values at all points have one shape"
            )

    def look(self, point, text, args):
        """The interpolated result, or ``None`` and why not."""
        found = self.sets.get(text)
        if found is None or not found.points:
            return None
        if point.shape != found.points[0].shape:
            self.fits(found, point, found.values[0])
        if found.interpolator is None:
            found.interpolator = Interpolator(np.array(found.points), np.array(found.values), self.kind)
        interpolator = found.interpolator
        if interpolator.get_distance(point) > self.max_distance:
            return None
        number = interpolator.at(point)
        if number is not None:
            value = found.values[number]
        else:
            value = interpolator._evaluate(point.reshape(1, -1)).reshape(interpolator.shape)
            if interpolator.points.shape[0] <= interpolator.dimension and interpolator.dimension > 1:
                return None
            if not self.inside(interpolator, point):
                return None
        return (found, np.array(value)) if value.shape else (found, value[()])

    @staticmethod
    def inside(interpolator, point):
        if interpolator.dimension == 1:
            x = interpolator.points[:, 0]
            return bool(x.min() <= point.reshape(-1)[0] <= x.max())
        tri = getattr(interpolator._made, "tri", None)
        return tri is not None and tri.find_simplex(point.reshape(1, -1))[0] >= 0

    def rebuild(self, found, value, args):
        if found.example is None:
            return value
        module, name, properties = _result.object_of(found.example.node)
        cls = _result._class(module, name)
        make = getattr(cls, "create_from_interpolated", None)
        if make is None:
            raise WrongTypeError(f"{module}.{name} has no method create_from_interpolated(array, args, extra)")
        extra = _result.decode(properties, found.example.arrays)
        return make(value, list(args), extra)


def _follows(before, after):
    """Whether one change lies between two states of a storage: our own."""
    if isinstance(before, tuple) and isinstance(after, tuple):
        return before[0] == after[0] and before[1] + 1 == after[1]
    return isinstance(before, int) and isinstance(after, int) and before + 1 == after


def _numbers(value, where):
    array = np.asarray(value)
    if array.dtype.kind not in "biufc":
        raise ResultError(f"{where}a value of type {array.dtype} cannot be interpolated: numbers can")
    return array


def _point(value, where):
    try:
        point = np.asarray(value)
        if point.dtype.kind not in "biuf":
            raise ValueError
        point = point.astype(float)
    except (TypeError, ValueError):
        raise ArgumentError(
            f"{where}the first argument is the point: a number or a short sequence of numbers, not {value!r:.60}"
        ) from None
    if point.ndim > 1 or point.size == 0:
        raise ArgumentError(f"{where}the point must be a number or a sequence of numbers, not of shape {point.shape}")
    if not np.isfinite(point).all():
        raise ArgumentError(f"{where}the point has a coordinate that is not finite: {value!r:.60}")
    return point


def interpolated(
    storage=None,
    max_distance=1,
    ignore_kwargs=None,
    *,
    kind="linear",
    version=1,
    name=None,
    arrays="refuse",
):
    """Decorates a function of one or more real arguments so that it is evaluated from stored points.

    The point is the first positional argument: a number, or a sequence of coordinates. Where a stored point is within
    ``max_distance``, and the point lies between stored ones, the result is interpolated, linearly or with
    ``kind="cubic"``; elsewhere the function runs, and its result is stored as a new point. At a stored point the result is
    the stored one.

    The other arguments keep separate sets of points, those in ``ignore_kwargs`` share one. Values are numbers or
    arrays of one shape for all points of a set, else ``InvalidError`` is raised. A damaged point is left out with a
    ``DamagedEntryWarning``. An object with the storage protocol is made
    by the classmethod ``create_from_interpolated(array, args, extra)`` of its class: the interpolated array, the positional
    arguments of the call, and the extra data of one of the stored objects.

    The decorated function has ``storage``, ``info()`` (calls that were interpolated and computed, and the stored points),
    ``clear()``, and ``__wrapped__``. ``version``, ``name`` and ``arrays`` are those of :func:`cached`.
    """
    options = Options(storage, ignore_kwargs, version, name, None, arrays, "raise", None)
    if isinstance(max_distance, bool) or not isinstance(max_distance, (int, float, np.number)) or not max_distance >= 0:
        raise InvalidError(f"max_distance must be a number, 0 or more, not {max_distance!r:.40}")
    if kind not in _KINDS:
        raise InvalidError(f'kind: {kind!r} is neither "linear" nor "cubic"')

    def decorate(function):
        inner = _refuse(function)
        if inspect.iscoroutinefunction(inner):
            raise WrongTypeError("interpolated decorates a plain function, not a coroutine")
        _require_name(inner, options.name)
        own = _Function(function, options, float(max_distance), kind)
        store = options.storage

        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            if not args:
                own.call.signature.bind(*args, **kwargs)
                raise TypeError(f"{own.call.where}the point is the first positional argument")
            point = _point(args[0], own.call.where)
            text = own.named(args, kwargs)
            with own.lock:
                own.load()
                found = own.look(point, text, args)
                if found is not None:
                    own.interpolated += 1
                    return own.rebuild(*found, args)
            store._writable()
            result = function(*args, **kwargs)
            packed = _base.pack(result, None, store._local)
            coordinates = point.tolist()
            key = _arguments.key_text(
                _arguments.positional_text((coordinates,)), text, own.call.name, options.version
            )
            with own.lock:
                own.load()
                value = packed.result(True)
                own.fits(own.sets.get(text) or _Set(), point, value)
                before = own.state
                try:
                    store._save(key, packed)
                except (Error, OSError, MemoryError) as error:
                    own.computed += 1
                    warn_not_stored(key, error, 3)
                    return result
                own.computed += 1
                after = store._state()
                if _follows(before, after):
                    own.add(text, point, value, packed)
                    own.state = after
            return result

        def info():
            """Calls that were interpolated and computed by this process, and stored points."""
            with own.lock:
                own.load()
                points = sum(len(found.points) for found in own.sets.values())
            return InterpolationInfo(own.interpolated, own.computed, points)

        def clear():
            """Deletes all stored points of this function and version, and returns how many."""
            return store.clear(function=own.call.name, version=options.version)

        wrapper.storage, wrapper.info, wrapper.clear = store, info, clear
        wrapper.cache_name, wrapper.cache_version = own.call.name, options.version
        return wrapper

    return decorate
