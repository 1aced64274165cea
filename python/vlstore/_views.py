"""What a store shows of itself through the protocols of Python's own containers."""

import json
import math
from collections.abc import ItemsView, KeysView, Mapping, MutableMapping, ValuesView

from vlstore.errors import InvalidError, NotFoundError


class Keys(KeysView):
    """The keys of a store, in the order of insertion."""

    __slots__ = ()

    def __repr__(self):
        return f"<keys of {self._mapping!r}>"


class Values(ValuesView):
    """The values of a store, in the order of insertion."""

    __slots__ = ()

    def __iter__(self):
        return self._mapping._iter_values()

    def __contains__(self, value):
        return any(value is other or value == other for other in self)

    def __repr__(self):
        return f"<values of {self._mapping!r}>"


class Items(ItemsView):
    """The pairs of key and value of a store."""

    __slots__ = ()

    def __iter__(self):
        return self._mapping._iter_items()

    def __repr__(self):
        return f"<items of {self._mapping!r}>"


#: NumPy's kinds of numbers that are numbers in JSON; texts are a class of ``str``.
_NUMBERS = "biufU"


def plain(value, place):
    """``value`` as JSON holds it: numbers, strings, lists and dicts of Python; else a refusal.

    NumPy's numbers and arrays become numbers and lists, tuples become lists. ``place`` names the
    value in an error.
    """
    try:
        return _plain(value, place)
    except RecursionError:
        raise InvalidError(f"{place}: is nested too deeply, or contains itself") from None


def _plain(value, place):
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidError(f"{place}: JSON has no {value!r}: use None, or a string")
        return float(value)
    if isinstance(value, int):
        if not -(2**63) <= value < 2**64:
            raise InvalidError(f"{place}: {int(value)} is outside of -2^63 to 2^64-1")
        return int(value)
    if isinstance(value, Mapping):
        for name in value:
            if not isinstance(name, str):
                kind = type(name).__name__
                raise InvalidError(f"{place}: its keys must be strings, not {kind} ({name!r:.40})")
        return {str(name): _plain(entry, f"{place}[{name!r}]") for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry, f"{place}[{i}]") for i, entry in enumerate(value)]
    if hasattr(value, "__array_interface__") and hasattr(value, "tolist"):
        # What Python has no number for, as float128, would come back as another.
        if value.dtype.kind in _NUMBERS and not (value.dtype.kind == "f" and value.itemsize > 8):
            return _plain(value.tolist(), place)
        kind = f"an array of {value.dtype}" if getattr(value, "ndim", 0) else f"{value.dtype}"
        raise InvalidError(f"{place}: JSON cannot hold {kind} ({value!r:.40}): use strings or numbers")
    kind = type(value).__name__
    raise InvalidError(
        f"{place}: JSON cannot hold {kind} ({value!r:.40}): use numbers, strings, lists and dicts"
    )


def _name(name):
    if not isinstance(name, str):
        raise InvalidError(f"the name of an attribute must be a string, not {type(name).__name__}")
    return str(name)


class Attributes(MutableMapping):
    """The user's attributes of a store: names and JSON values.

    A change is seen at once through the same store, and saved by its next commit::

        >>> import vlstore
        >>> store = vlstore.memory()
        >>> store.attrs["units"] = {"length": "nm", "energy": "kJ/mol"}
        >>> store.attrs["units"]["length"]
        'nm'

    Numbers and arrays of NumPy are kept as numbers and lists, tuples as lists. What JSON has no form
    for (NaN, bytes, complex numbers, dates, keys that are not strings) is refused, with its place. A
    nested value is a copy: change it, then set it again.
    """

    __slots__ = ("_store",)

    def __init__(self, store):
        self._store = store

    def _read(self):
        return json.loads(self._store._attributes()) or {}

    def _write(self, attributes):
        self._store._set_attributes(json.dumps(attributes, allow_nan=False))

    def __getitem__(self, name):
        attributes = self._read()
        if name not in attributes:
            raise NotFoundError(f"attribute {name!r} not found")
        return attributes[name]

    def __setitem__(self, name, value):
        name = _name(name)
        value = plain(value, f"attrs[{name!r}]")
        self._write({**self._read(), name: value})

    def __delitem__(self, name):
        attributes = self._read()
        if name not in attributes:
            raise NotFoundError(f"attribute {name!r} not found")
        del attributes[name]
        self._write(attributes)

    def __iter__(self):
        return iter(self._read())

    def __len__(self):
        return len(self._read())

    def update(self, *args, **kwargs):
        """Set several at once: one write instead of one for each."""
        new = {_name(name): value for name, value in dict(*args, **kwargs).items()}
        new = {name: plain(value, f"attrs[{name!r}]") for name, value in new.items()}
        self._write({**self._read(), **new})

    def clear(self):
        """Remove all."""
        self._write({})

    def __repr__(self):
        return "<attributes of a closed store>" if self._store.closed else repr(self._read())
