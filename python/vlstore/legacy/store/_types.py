"""Types of what goes in and comes out."""

from typing import Any, Protocol, TypeAlias, TypeVar

from vlstore.errors import (
    InvalidError,
    ReadOnlyError,
    RecordExistsError,
    ReplacedError,
    WrongTypeError,
)

TYPE_KEY: TypeAlias = int | str | bytes
# Any object with a buffer: bytes, bytearray, memoryview, an array.
TYPE_INPUTDATA: TypeAlias = Any
TYPE_OUT: TypeAlias = Any
TYPE_RETURNDATA: TypeAlias = Any
TYPE_MINIMAL_RETURNDATA: TypeAlias = bytes | bytearray | memoryview
T_OUT = TypeVar("T_OUT")


class SupportsBuffer(Protocol):
    """Something with a buffer."""

    def __buffer__(self, flags: int, /) -> memoryview:
        """Its memory."""


class EntryExistsError(RecordExistsError, ValueError):
    """There is a record under this key already; the original program raised ``ValueError``."""


class StaleError(ReplacedError, ValueError):
    """Somebody else has changed the super-chunk since this store last looked at it."""


class GapsError(InvalidError, TypeError):
    """The memory of a value has gaps; the original program raised ``TypeError``."""


class ReadOnlyStoreError(ReadOnlyError, ValueError):
    """What is written to cannot be; the original program raised ``ValueError``."""


def bytewise_memoryview(x: Any) -> memoryview:
    """The memory of ``x`` as a ``memoryview`` of bytes, without a copy.

    Raises :class:`~vlstore.errors.WrongTypeError` if it has no buffer,
    a ``TypeError`` that is an :class:`~vlstore.errors.InvalidError` if the buffer has gaps.
    """
    try:
        view = memoryview(x)
    except TypeError:
        kind = type(x).__name__
        raise WrongTypeError(
            f"data is bytes or another object with a buffer, not {kind}"
        ) from None
    if view.nbytes == 0:
        return memoryview(b"")
    if not view.c_contiguous:
        raise GapsError("the data is not contiguous: copy it first (numpy.ascontiguousarray)")
    return view.cast("B")


def writable_memoryview(out: Any) -> memoryview:
    """As :func:`bytewise_memoryview`, for memory that is to be filled."""
    if memoryview_is_readonly(out):
        raise WrongTypeError("the buffer is read-only: give a bytearray or a writable array")
    view = bytewise_memoryview(out)
    # One without a byte is never written to, and must not look as if it could not be.
    return view if view.nbytes else memoryview(bytearray())


def memoryview_is_readonly(out: Any) -> bool:
    try:
        return memoryview(out).readonly
    except TypeError:
        kind = type(out).__name__
        raise WrongTypeError(
            f"the buffer is a bytearray or another object with writable memory, not {kind}"
        ) from None
