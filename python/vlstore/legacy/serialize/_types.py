"""Types of what turns objects into bytes, under the names that the original program has."""

from typing import Any, Protocol, TypeVar

from vlstore.legacy.serialize.codec import Codec

__all__ = ["Codec", "Packer", "Unpacker"]

T_contra = TypeVar("T_contra", contravariant=True)
T_co = TypeVar("T_co", covariant=True)


class Packer(Protocol[T_contra]):
    """Turns an object into a buffer, or fills ``out`` with its bytes and gives that back."""

    def __call__(self, target: T_contra, /, *, out: Any = None) -> Any:
        """The bytes of ``target``."""


class Unpacker(Protocol[T_co]):
    """Turns a buffer into an object."""

    def __call__(self, data: Any, /) -> T_co:
        """The object in ``data``."""
