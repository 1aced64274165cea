"""Objects by key, with the names and arguments of the original program."""

from __future__ import annotations

from collections.abc import Iterable, KeysView
from os import PathLike
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

import vlstore
from vlstore.errors import InvalidError, WrongTypeError
from vlstore.legacy.store._types import TYPE_KEY, TYPE_OUT, writable_memoryview
from vlstore.legacy.store.chunkstore import SChunkStore
from vlstore.legacy.store.locations import LocationIndex
from vlstore.legacy.store.mapping import MappingVerbs

if TYPE_CHECKING:
    from vlstore.legacy.serialize.codec import Codec

T = TypeVar("T")


class Depot(MappingVerbs, Generic[T]):
    """Objects in a store, turned to bytes and back by a codec.

    Parameters
    ----------
    codec : Codec
        An object with ``pack`` and ``unpack``; see :class:`vlstore.serialize.Codec`.
    backing : SChunkStore, str, os.PathLike, vlstore.Store or None
        Where the bytes go. A path makes a :class:`SChunkStore` there or opens it, ``None`` makes
        one in memory.
    initial_buffer_size : int
        Bytes of the buffer that is used again, at first; it grows as needed.
    recycle_buffer : bool
        Whether :meth:`fused_get` uses one buffer again and again. Then objects that are views of
        it, as arrays and frames are, change with the next call.

    Examples
    --------
    >>> import numpy as np
    >>> from vlstore.serialize import flatfloatndarray_codec
    >>> from vlstore.store import Depot
    >>> with Depot(codec=flatfloatndarray_codec, backing="arrays.vls") as depot:
    ...     for i in range(3):
    ...         depot.put(f"a{i}", np.full(i + 1, i, dtype=np.float32))
    >>> depot.fused_get(["a2", "a0"])
    [array([2., 2., 2.], dtype=float32), array([0.], dtype=float32)]
    """

    def __init__(
        self,
        codec: Codec[T],
        backing: SChunkStore | str | PathLike[str] | vlstore.Store | None = None,
        initial_buffer_size: int = 0,
        recycle_buffer: bool = False,
    ) -> None:
        if not (callable(getattr(codec, "pack", None)) and callable(getattr(codec, "unpack", None))):
            raise WrongTypeError(
                f"codec is an object with pack and unpack, not {type(codec).__name__}"
            )
        if initial_buffer_size < 0:
            raise InvalidError(f"initial_buffer_size: {initial_buffer_size} is negative")
        if backing is None or isinstance(backing, (str, PathLike, vlstore.Store)):
            backing = SChunkStore(location=backing)
        elif not (hasattr(backing, "put") and hasattr(backing, "fused_get")):
            raise WrongTypeError(
                "backing is a SChunkStore, a path, an open store or None, not "
                f"{type(backing).__name__} ({backing!r:.40})"
            )
        self.backing = backing
        self.codec = codec
        self.recycle_buffer = recycle_buffer
        self._buffer = bytearray(initial_buffer_size if recycle_buffer else 0)

    def put(self, key: TYPE_KEY, value: T) -> None:
        """Put an object under ``key``; see :meth:`SChunkStore.put`.

        It is packed first: one that cannot be leaves what was there.
        """
        self.backing.put(key, self.codec.pack(value))

    def get(self, key: TYPE_KEY, **kwargs: Any) -> T:
        """The object under ``key``; ``kwargs`` are those of :meth:`SChunkStore.get`."""
        return self.codec.unpack(self.backing.get(key, **kwargs))

    def fused_buffer_size(self, keys: Iterable[TYPE_KEY], *, presorted: bool = False) -> int:
        """Bytes that ``buffer`` of :meth:`fused_get` must have for ``keys``."""
        return self.backing.fused_size(keys, presorted=presorted)

    def fused_get(
        self,
        keys: Iterable[TYPE_KEY],
        *,
        presorted: bool = False,  # noqa: ARG002 - the index knows the order
        buffer: TYPE_OUT | None = None,
    ) -> list[T]:
        """The objects under ``keys``, in the order asked for; far faster than one by one.

        ``buffer``, of :meth:`fused_buffer_size` bytes or more, takes the records as they lie in
        the store, and objects that are views are views of it. Without it, they share memory of
        their own, which lives as long as one of them. ``presorted`` has no effect.
        """
        if buffer is not None:
            out = writable_memoryview(buffer)
            _, slices = self.backing.fused_get(keys, out=out)
            return [self.codec.unpack(out[place]) for place in slices]
        return self._fetch(keys, self.recycle_buffer)

    def _fetch(self, keys: Iterable[TYPE_KEY], recycle: bool) -> list[T]:
        make = self._recycled if recycle else bytearray
        memory, slices = self.backing._inner.fused(keys, make, packed=True)
        view = memoryview(memory)
        return [self.codec.unpack(view[place]) for place in slices]

    def _recycled(self, size: int) -> bytearray:
        # A bytearray with views cannot grow, so a larger one takes its place.
        if len(self._buffer) < size:
            self._buffer = bytearray(size)
        return self._buffer

    def keys(self) -> KeysView[TYPE_KEY]:
        """The keys, in the order of insertion, as a view."""
        return self.backing.keys()

    @property
    def lookup(self) -> LocationIndex[TYPE_KEY]:
        """Where the records lie."""
        return self.backing.lookup

    def commit(self) -> None:
        """Make everything that was put survive a crash."""
        self.backing.commit()

    def close(self) -> None:
        """Close the store; see :meth:`SChunkStore.close`."""
        self.backing.close()

    def __getitem__(self, key: TYPE_KEY) -> T:
        """The object under ``key``."""
        return self.get(key)

    def __setitem__(self, key: TYPE_KEY, value: T) -> None:
        """Put an object under ``key``."""
        self.put(key, value)

    def __delitem__(self, key: TYPE_KEY) -> None:
        """Remove an object."""
        del self.backing[key]

    def __contains__(self, key: object) -> bool:
        """Whether there is an object under ``key``."""
        return key in self.backing

    def __iter__(self) -> Any:
        """Go over the keys."""
        return iter(self.backing)

    def __len__(self) -> int:
        """Number of objects."""
        return len(self.backing)

    def __bool__(self) -> bool:
        """A depot is true, also an empty one."""
        return True

    def __enter__(self) -> Depot[T]:
        """Give the depot itself."""
        return self

    def __exit__(self, *why: object) -> Literal[False]:
        """Close."""
        self.backing.__exit__(*why)
        return False
