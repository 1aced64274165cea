"""What a store shows of itself through the protocols of Python's own containers."""

import json
from collections.abc import ItemsView, KeysView, MutableMapping, ValuesView

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


def _whole(digits):
    number = int(digits)
    if not -(2**63) <= number < 2**64:
        raise InvalidError(f"attributes: {digits} is outside of -2^63 to 2^64-1")
    return number


class Attributes(MutableMapping):
    """The user's attributes of a store: names and JSON values.

    A change is seen at once through the same store, and saved by its next commit::

        >>> import vlstore
        >>> store = vlstore.memory()
        >>> store.attrs["units"] = {"length": "nm", "energy": "kJ/mol"}
        >>> store.attrs["units"]["length"]
        'nm'

    What JSON cannot hold as it is (tuples, NaN, keys that are not text) is refused. A nested
    value is a copy: change it, then set it again.
    """

    __slots__ = ("_store",)

    def __init__(self, store):
        self._store = store

    def _read(self):
        return json.loads(self._store._attributes()) or {}

    def _write(self, attributes):
        try:
            text = json.dumps(attributes, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidError(f"attributes: JSON cannot hold this: {error}") from None
        if json.loads(text, parse_int=_whole) != attributes:
            raise InvalidError(
                "attributes: JSON would change this: use lists instead of tuples and text as keys"
            )
        self._store._set_attributes(text)

    def __getitem__(self, name):
        attributes = self._read()
        if name not in attributes:
            raise NotFoundError(f"attribute {name!r} not found")
        return attributes[name]

    def __setitem__(self, name, value):
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
        self._write({**self._read(), **dict(*args, **kwargs)})

    def clear(self):
        """Remove all."""
        self._write({})

    def __repr__(self):
        return "<attributes of a closed store>" if self._store.closed else repr(self._read())
