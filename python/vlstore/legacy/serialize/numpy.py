"""Arrays as bytes: the numbers alone, without shape and type."""

from typing import Any

import numpy as np

from vlstore.errors import InvalidError, LimitError, WrongTypeError
from vlstore.legacy.serialize.codec import Codec
from vlstore.legacy.store._types import bytewise_memoryview, writable_memoryview

_FLOAT = np.dtype("<f4")


def copy_to(out: Any, data: memoryview) -> None:
    """Copy ``data`` to the beginning of ``out``."""
    view = writable_memoryview(out)
    if len(view) < len(data):
        raise LimitError(f"the {len(data)} bytes do not fit into the buffer of {len(view)}")
    view[: len(data)] = data


def _pack(array: np.ndarray, /, *, out: Any = None) -> Any:
    """The memory of ``array``, float32 and C-contiguous, of any shape; or ``out`` with a copy.

    Raises :class:`~vlstore.errors.InvalidError` for another type of number or another order,
    :class:`~vlstore.errors.WrongTypeError` for something that is not an array.
    """
    if not isinstance(array, np.ndarray):
        raise WrongTypeError(f"the value is a NumPy array, not {type(array).__name__}")
    if not array.flags["C_CONTIGUOUS"]:
        raise InvalidError("the array is not C-contiguous: numpy.ascontiguousarray copies it")
    if array.dtype != _FLOAT:
        raise InvalidError(f"the array is of {array.dtype}, and float32 is needed")
    data = bytewise_memoryview(array)
    if out is None:
        return data
    copy_to(out, data)
    return out


def _unpack(data: Any, /) -> np.ndarray:
    """A float32 array ``(n,)`` over ``data``, without a copy."""
    view = bytewise_memoryview(data)
    if len(view) % _FLOAT.itemsize:
        raise InvalidError(f"the record of {len(view)} bytes is not a multiple of 4, the size of a float32")
    return np.frombuffer(view, dtype=_FLOAT)


flatfloatndarray_codec: Codec[np.ndarray] = Codec(pack=_pack, unpack=_unpack)
