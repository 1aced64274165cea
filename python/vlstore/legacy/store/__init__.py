"""Stores and depots as the original program has them.

For programs that were written for it. New ones find more in :func:`vlstore.open`; both work on
the same files, and on those that the original program wrote.

>>> from vlstore.serialize import flatfloatndarray_codec
>>> from vlstore.store import Depot
>>> import numpy as np
>>> with Depot(codec=flatfloatndarray_codec) as depot:
...     depot.put("a", np.arange(3, dtype=np.float32))
>>> depot.get("a")
array([0., 1., 2.], dtype=float32)
"""

from vlstore.legacy.store._types import TYPE_KEY
from vlstore.legacy.store.chunkstore import SChunkStore, _create_default_schunk
from vlstore.legacy.store.depot import Depot
from vlstore.legacy.store.locations import (
    CONTIGUOUS_ALIGNMENT,
    DEFAULT_CHUNK_SIZE,
    NOCROSS_ALIGNMENT,
    START_ALIGNMENT,
    TYPE_ALIGNMENT,
    Location,
    LocationIndex,
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
