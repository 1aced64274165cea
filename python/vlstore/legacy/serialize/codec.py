"""What turns an object into bytes and back."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Codec(Generic[T]):
    """A pair of functions.

    ``pack(value)`` gives a buffer; ``pack(value, out=buffer)`` may be offered, too. ``unpack``
    takes a buffer, ``bytes`` or a ``memoryview``, and gives the object, which may be a view of
    it.

    >>> text = Codec(pack=str.encode, unpack=lambda data: bytes(data).decode())
    >>> text.unpack(text.pack("words"))
    'words'
    """

    pack: Callable[..., Any]
    unpack: Callable[[Any], T]
