"""Batches shuffled chunk by chunk.

The original program says *block* where this project says *chunk*; its names are kept here.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Generic, TypeVar

from vlstore.errors import InvalidError, WrongTypeError
from vlstore.legacy.store import TYPE_KEY, Depot, LocationIndex

T = TypeVar("T")
K = TypeVar("K")


def block_ownership(
    index: LocationIndex[K],
    no_sharing: bool = False,
    sorted: bool = False,  # noqa: A002 - the original's name
) -> dict[int, list[K]]:
    """Which keys lie in which chunk: lists of keys by the number of the chunk.

    A record that lies in several chunks is in the list of each, or, with ``no_sharing``, raises
    :class:`~vlstore.errors.InvalidError`. With ``sorted`` the lists are in the order in which
    the records lie.

    >>> from vlstore.store import LocationIndex
    >>> index = LocationIndex.from_ordered_pairs([("b", 5, 15), ("a", 0, 5)], block_size=10)
    >>> block_ownership(index, sorted=True)
    {0: ['a', 'b'], 1: ['b']}
    """
    owned: dict[int, list[tuple[int, int, K]]] = {}
    for order, (key, place) in enumerate(index.backing.items()):
        if place.n_blocks > 1 and no_sharing:
            raise InvalidError(
                f"the record {key!r} lies in {place.n_blocks} chunks, and no_sharing was asked for"
            )
        for block in range(place.start_block, place.end_block):
            owned.setdefault(block, []).append((place.start, order, key))
    if sorted:
        for entries in owned.values():
            entries.sort(key=lambda entry: entry[:2])
    return {block: [key for *_, key in entries] for block, entries in owned.items()}


def batched(source: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of ``size`` items, of which the last may be shorter."""
    if size < 1:
        raise InvalidError(f"size: {size} is not 1 or more")
    items = iter(source)
    while batch := list(islice(items, size)):
        yield batch


class BlockShuffleBatch(Generic[T]):
    """Serves the objects of a depot in batches, shuffled in windows of chunks.

    ``read_size`` chunks, drawn at random, are read at once; their objects are shuffled and
    served, and the next chunks are read. So a window is shuffled well and memory is bounded:
    about ``read_size`` chunks, decoded.

    Every object comes once in each epoch. An epoch is one iteration; it may be left early, and
    several may run side by side. What was served stays as it is: each chunk has memory of its
    own, which lives as long as one of its objects.

    Parameters
    ----------
    read_size : int
        Chunks read at once.
    batch_size : int
        Objects in a batch; the last of an epoch may be smaller.
    backing : Depot
        Where objects come from. Which they are is looked up now; those that are put later are
        not served.
    shuffle : bool
        Whether to shuffle. Otherwise objects come chunk by chunk as they lie.
    end_block_merge : bool
        Whether the last chunk, which is often nearly empty, is read together with the one
        before.
    buffer_size, n_buffers : int
        Have no effect: no memory is used again while somebody may look at it.
    seed : int
        Makes the order the same each time the loader is made. Without it, it follows
        ``random.seed``. Epochs differ from each other either way.

    Raises
    ------
    InvalidError
        A size below 1. It is a ``ValueError``.
    WrongTypeError
        A ``backing`` that is no depot.

    Examples
    --------
    >>> import numpy as np
    >>> from vlstore.loader import BlockShuffleBatch
    >>> from vlstore.serialize import flatfloatndarray_codec
    >>> from vlstore.store import Depot
    >>> with Depot(codec=flatfloatndarray_codec) as depot:
    ...     for i in range(5):
    ...         depot.put(i, np.array([i], dtype=np.float32))
    >>> loader = BlockShuffleBatch(read_size=2, batch_size=2, backing=depot, shuffle=False)
    >>> [[int(array[0]) for array in batch] for batch in loader]
    [[0, 1], [2, 3], [4]]
    """

    def __init__(
        self,
        read_size: int,
        batch_size: int,
        backing: Depot[T],
        buffer_size: int | None = None,
        shuffle: bool = True,
        end_block_merge: bool = True,
        n_buffers: int = 2,
        *,
        seed: int | None = None,
    ) -> None:
        if not all(hasattr(backing, name) for name in ("backing", "lookup", "codec")):
            raise WrongTypeError(
                f"backing is a vlstore.store.Depot, not {type(backing).__name__} ({backing!r:.40})"
            )
        named = {"read_size": read_size, "batch_size": batch_size, "n_buffers": n_buffers}
        for name, value in named.items():
            if value < 1:
                raise InvalidError(f"{name}: {value} is not 1 or more")
        self.read_size = read_size
        self.batch_size = batch_size
        self.backing = backing
        self.shuffle = shuffle
        self.end_block_merge = end_block_merge
        self.n_buffers = n_buffers
        #: Always false: an iteration that runs keeps no other from starting.
        self.entered = False
        self.ownership = self._owned()
        #: Bytes from the first record to the end of the last of the largest group of keys,
        #: unless another number was given.
        self.buffer_size = self._largest() if buffer_size is None else buffer_size
        # Drawn from the common generator, as the original's order is, but used alone.
        self._random = random.Random(random.getrandbits(64) if seed is None else seed)

    def _owned(self) -> dict[int, list[TYPE_KEY]]:
        """The keys by the chunk in which their records begin, so that each comes once."""
        size = self.backing.backing.chunksize
        owned: dict[int, list[tuple[int, int, TYPE_KEY]]] = {}
        for order, (key, start, _) in enumerate(self.backing.lookup.to_ordered_pairs()):
            owned.setdefault(start // size, []).append((start, order, key))
        return {
            block: [key for *_, key in sorted(entries, key=lambda e: e[:2])]
            for block, entries in sorted(owned.items())
        }

    def _largest(self) -> int:
        return max(map(self.backing.fused_buffer_size, self.key_groups()), default=0)

    def __len__(self) -> int:
        """Number of batches in an epoch."""
        objects = sum(map(len, self.ownership.values()))
        return -(-objects // self.batch_size)

    def __bool__(self) -> bool:
        """A loader is true, also of an empty store."""
        return True

    def key_groups(self, shuffle: bool = False) -> list[list[TYPE_KEY]]:
        """The keys of each chunk, the last two together if ``end_block_merge``.

        ``shuffle`` shuffles the groups, not the keys within.
        """
        return self._groups(self._fresh() if shuffle else None)

    def _groups(self, generator: random.Random | None) -> list[list[TYPE_KEY]]:
        groups = [list(keys) for keys in self.ownership.values()]
        if self.end_block_merge and len(groups) > 1:
            groups[-2:] = [groups[-2] + groups[-1]]
        if generator is not None:
            generator.shuffle(groups)
        return groups

    def _fresh(self) -> random.Random:
        """A generator of its own for each epoch, so that several can run at once."""
        return random.Random(self._random.getrandbits(64))

    def stream(self) -> Iterator[T]:
        """Serve one epoch object by object."""
        # Drawn when the epoch is asked for, not when its first object is.
        return self._serve(self._fresh() if self.shuffle else None)

    def _serve(self, generator: random.Random | None) -> Iterator[T]:
        for window in batched(self._groups(generator), self.read_size):
            objects = [o for keys in window for o in self.backing._fetch(keys, recycle=False)]
            if generator is not None:
                generator.shuffle(objects)
            # From the end, letting go of what was served.
            objects.reverse()
            while objects:
                yield objects.pop()

    def __iter__(self) -> Iterator[list[T]]:
        """Serve one epoch in batches."""
        return batched(self.stream(), self.batch_size)
