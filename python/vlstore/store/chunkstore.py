"""The names of the original program, from :mod:`vlstore.legacy.store.chunkstore`."""

from vlstore.legacy.store.chunkstore import (
    CONTIGUOUS_ALIGNMENT,
    DEFAULT_CHUNK_SIZE,
    NOCROSS_ALIGNMENT,
    START_ALIGNMENT,
    TYPE_ALIGNMENT,
    Location,
    LocationIndex,
    SChunkStore,
    _create_default_schunk,
)

__all__ = [
    "CONTIGUOUS_ALIGNMENT",
    "DEFAULT_CHUNK_SIZE",
    "NOCROSS_ALIGNMENT",
    "START_ALIGNMENT",
    "TYPE_ALIGNMENT",
    "Location",
    "LocationIndex",
    "SChunkStore",
    "_create_default_schunk",
]
