"""Places of records in the logical byte space, which is cut into chunks of one size.

The original program says *block* where this project says *chunk*; its names are kept here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, KeysView, MutableMapping, ValuesView
from dataclasses import dataclass
from typing import Any, Final, Generic, Literal, TypeAlias, TypeVar, get_args

from vlstore.errors import InvalidError

DEFAULT_CHUNK_SIZE: Final = 4 << 20

TYPE_ALIGNMENT: TypeAlias = Literal["no_cross", "contiguous", "start"]
#: Behind the last record, unless the new one would cross the end of the chunk.
NOCROSS_ALIGNMENT: Final = "no_cross"
#: Directly behind the last record.
CONTIGUOUS_ALIGNMENT: Final = "contiguous"
#: At the start of the next chunk.
START_ALIGNMENT: Final = "start"

K = TypeVar("K")


def checked_alignment(alignment: Any) -> TYPE_ALIGNMENT:
    """``alignment`` if it is one.

    Raises :class:`~vlstore.errors.InvalidError` otherwise.
    """
    known = get_args(TYPE_ALIGNMENT)
    if alignment not in known:
        listed = ", ".join(map(repr, known))
        raise InvalidError(f"alignment: {alignment!r} is not one of {listed}")
    return alignment


@dataclass(frozen=True)
class Location:
    """The bytes from ``start`` to ``end`` of the logical byte space.

    Told by the chunks that they touch, ``start_block`` to ``end_block`` (exclusive), and by
    offsets into the first (0 or more) and from the end of the last (0 or less).

    >>> place = Location.from_start_end(10, 25, block_size=10)
    >>> place
    Location(start_block=1, end_block=3, block_size=10, start_offset=0, end_offset=-5)
    >>> len(place), [(part.start, part.end) for part in place.block_split()]
    (15, [(10, 20), (20, 25)])

    Raises :class:`~vlstore.errors.InvalidError` for offsets that do not fit the chunk size.
    """

    start_block: int
    end_block: int
    block_size: int
    start_offset: int = 0
    end_offset: int = 0

    def __post_init__(self) -> None:
        """Look at the offsets."""
        if not -self.block_size < self.end_offset <= 0:
            raise InvalidError(
                f"end_offset: {self.end_offset} is not above -{self.block_size}, the chunk size, "
                "and up to 0"
            )
        if not 0 <= self.start_offset < self.block_size:
            raise InvalidError(
                f"start_offset: {self.start_offset} is not from 0 to below {self.block_size}, "
                "the chunk size"
            )

    @classmethod
    def from_start_end(cls, start: int, end: int, block_size: int) -> Location:
        """Make the location from its first byte and the byte behind its last."""
        first, into = divmod(start, block_size)
        last, over = divmod(end, block_size)
        if over:
            return cls(first, last + 1, block_size, into, over - block_size)
        return cls(first, last, block_size, into, 0)

    @property
    def start(self) -> int:
        """The first byte."""
        return self.start_block * self.block_size + self.start_offset

    @property
    def end(self) -> int:
        """The byte behind the last."""
        return self.end_block * self.block_size + self.end_offset

    @property
    def length(self) -> int:
        """Number of bytes."""
        return self.end - self.start

    @property
    def n_blocks(self) -> int:
        """Number of chunks that it touches."""
        return self.end_block - self.start_block

    def __len__(self) -> int:
        """Number of bytes."""
        return self.length

    def block_split(self) -> list[Location]:
        """Cut it where chunks end: one location for each chunk that it touches."""
        if self.n_blocks <= 1:
            return [self]
        size = self.block_size
        cuts = [self.start, *(b * size for b in range(self.start_block + 1, self.end_block))]
        ends = [*cuts[1:], self.end]
        return [Location.from_start_end(a, b, size) for a, b in zip(cuts, ends, strict=True)]


class LocationIndex(Generic[K]):
    """Locations by key, in the order of insertion: like a dict.

    The index of a store is one, too: it shows what is in the store at the moment, and deleting
    from it deletes the record.
    """

    def __init__(self, locs: MutableMapping[K, Location] | None = None) -> None:
        """Start from ``locs``, which is not copied, or empty."""
        self.backing: MutableMapping[K, Location] = {} if locs is None else locs
        self._first: Location | None = None
        self._last: Location | None = None

    def _places(self) -> Iterable[tuple[K, int, int]]:
        return ((key, place.start, place.end) for key, place in self.backing.items())

    @property
    def last(self) -> Location:
        """The location that ends last.

        Raises :class:`~vlstore.errors.InvalidError` if there is none.
        """
        if self._last is None:
            self._last = max(self.backing.values(), key=lambda place: place.end, default=None)
        return _there(self._last)

    @property
    def first(self) -> Location:
        """The location that starts first.

        Raises :class:`~vlstore.errors.InvalidError` if there is none.
        """
        if self._first is None:
            self._first = min(self.backing.values(), key=lambda place: place.start, default=None)
        return _there(self._first)

    def __setitem__(self, key: K, value: Location) -> None:
        """Set the location of ``key``."""
        replaced = key in self.backing
        self.backing[key] = value
        if replaced:
            self._first = self._last = None
            return
        # Where neither is known, both are looked for when somebody asks.
        if len(self.backing) == 1:
            self._first = self._last = value
        if self._first is not None and value.start < self._first.start:
            self._first = value
        if self._last is not None and value.end > self._last.end:
            self._last = value

    def __getitem__(self, key: K) -> Location:
        """The location of ``key``. Raises ``KeyError`` if there is none."""
        return self.backing[key]

    def __delitem__(self, key: K) -> None:
        """Remove the location of ``key``. Raises ``KeyError`` if there is none."""
        del self.backing[key]
        self._first = self._last = None

    def __contains__(self, key: object) -> bool:
        """Whether ``key`` has a location."""
        return key in self.backing

    def __len__(self) -> int:
        """Number of keys."""
        return len(self.backing)

    def __iter__(self) -> Iterator[K]:
        """Go over the keys."""
        return iter(self.backing)

    def keys(self) -> KeysView[K]:
        """The keys, as a view."""
        return self.backing.keys()

    def values(self) -> ValuesView[Location]:
        """The locations, as a view."""
        return self.backing.values()

    def __repr__(self) -> str:
        """Say what it is."""
        return f"<LocationIndex of {len(self)} keys>"

    def to_ordered_pairs(self) -> list[tuple[K, int, int]]:
        """The triples ``(key, start, end)``, in bytes."""
        return list(self._places())

    @classmethod
    def from_ordered_pairs(
        cls, content: Iterable[tuple[K, int, int]], block_size: int
    ) -> LocationIndex[K]:
        """Make the index from triples ``(key, start, end)``."""
        return cls(
            {key: Location.from_start_end(a, b, block_size) for key, a, b in content}
        )

    def plan(
        self,
        size: int,
        alignment: TYPE_ALIGNMENT = NOCROSS_ALIGNMENT,
        block_size: int | None = None,
    ) -> Location:
        """Where a record of ``size`` bytes would go; nothing is recorded.

        ``block_size`` is that of the last location unless given. Raises
        :class:`~vlstore.errors.InvalidError` for another alignment than the three, and without
        ``block_size`` if there is no location.
        """
        checked_alignment(alignment)
        last = self.last if len(self) else None
        if block_size is None:
            if last is None:
                raise InvalidError("block_size: is needed, as there is no location to take it from")
            block_size = last.block_size
        end = 0 if last is None else last.end
        start = next_start(end, size, alignment, block_size)
        return Location.from_start_end(start, start + size, block_size)


def next_start(end: int, size: int, alignment: TYPE_ALIGNMENT, block_size: int) -> int:
    """Where a record of ``size`` bytes starts if the one before ends at ``end``."""
    free = -end % block_size
    if alignment == CONTIGUOUS_ALIGNMENT or (alignment == NOCROSS_ALIGNMENT and free >= size):
        return end
    return end + free


def _there(location: Location | None) -> Location:
    if location is None:
        raise InvalidError("the index has no location")
    return location
