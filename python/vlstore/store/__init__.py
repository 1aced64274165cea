"""The names of the original program, from :mod:`vlstore.legacy.store`."""

from vlstore.legacy.store import (
    CONTIGUOUS_ALIGNMENT,
    DEFAULT_CHUNK_SIZE,
    NOCROSS_ALIGNMENT,
    START_ALIGNMENT,
    TYPE_ALIGNMENT,
    TYPE_KEY,
    Depot,
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
    "TYPE_KEY",
    "Depot",
    "Location",
    "LocationIndex",
    "SChunkStore",
    "_create_default_schunk",
]
