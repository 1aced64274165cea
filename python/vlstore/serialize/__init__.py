"""The names of the original program, from :mod:`vlstore.legacy.serialize`."""

from vlstore.legacy.serialize import (
    BackedAtomicData,
    BackedAtomicDataCodec,
    Codec,
    create_fbframe_buffer,
    flatfloatndarray_codec,
)

__all__ = [
    "BackedAtomicData",
    "BackedAtomicDataCodec",
    "Codec",
    "create_fbframe_buffer",
    "flatfloatndarray_codec",
]
