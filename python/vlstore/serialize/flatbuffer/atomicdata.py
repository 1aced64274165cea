"""The names of the original program, from :mod:`vlstore.legacy.serialize.flatbuffer.atomicdata`."""

from vlstore.legacy.serialize.flatbuffer.atomicdata import (
    INI_SIZE,
    BackedAtomicData,
    BackedAtomicDataCodec,
    add_forces_vector,
    add_masses_vector,
    add_positions_vector,
    add_types_vector,
    create_fbframe_buffer,
)

__all__ = [
    "INI_SIZE",
    "BackedAtomicData",
    "BackedAtomicDataCodec",
    "add_forces_vector",
    "add_masses_vector",
    "add_positions_vector",
    "add_types_vector",
    "create_fbframe_buffer",
]
