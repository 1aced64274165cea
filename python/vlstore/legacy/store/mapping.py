"""What a dict can do beside giving and taking one value, for stores and depots."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from vlstore.errors import NotFoundError

Self = TypeVar("Self", bound="MappingVerbs")


class MappingVerbs:
    """The changes of a dict that are made of ``[]``, ``del`` and ``in``."""

    def update(self: Any, other: Mapping[Any, Any] | Iterable[tuple[Any, Any]] = (), /, **more: Any) -> None:
        """Put every value of a mapping, or of pairs of key and value."""
        pairs = other.items() if isinstance(other, Mapping) or hasattr(other, "items") else other
        for key, value in pairs:
            self[key] = value
        for key, value in more.items():
            self[key] = value

    def pop(self: Any, key: Any, *default: Any) -> Any:
        """Remove a value and return it; ``default``, if it is given, where there is none.

        Raises ``KeyError`` where there is none and no default.
        """
        if len(default) > 1:
            raise TypeError(f"pop takes a key and one default, not {len(default)} defaults")
        if default and key not in self:
            return default[0]
        value = self[key]
        del self[key]
        return value

    def popitem(self: Any) -> tuple[Any, Any]:
        """Remove the last key and its value and return both.

        Raises ``KeyError`` if there is none.
        """
        last = None
        for last in ((key,) for key in self):
            pass
        if last is None:
            raise NotFoundError("the store is empty")
        return last[0], self.pop(last[0])

    def setdefault(self: Any, key: Any, default: Any) -> Any:
        """The value under ``key``, which is put there first if there is none."""
        if key not in self:
            self[key] = default
        return self[key]

    def clear(self: Any) -> None:
        """Remove every value."""
        for key in list(self):
            del self[key]
