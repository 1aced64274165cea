"""The names of the original program, from :mod:`vlstore.legacy.serialize.flatbuffer`."""

from vlstore.legacy.serialize.flatbuffer import (
    BackedAtomicData,
    BackedAtomicDataCodec,
    create_fbframe_buffer,
)

__all__ = ["BackedAtomicData", "BackedAtomicDataCodec", "create_fbframe_buffer"]
