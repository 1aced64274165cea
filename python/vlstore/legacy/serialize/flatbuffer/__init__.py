"""Frames of particles as FlatBuffers, under the names that the original program has for it."""

from vlstore.legacy.serialize.flatbuffer.atomicdata import (
    BackedAtomicData,
    BackedAtomicDataCodec,
    create_fbframe_buffer,
)

__all__ = ["BackedAtomicData", "BackedAtomicDataCodec", "create_fbframe_buffer"]
