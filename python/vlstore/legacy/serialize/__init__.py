"""Objects as bytes and back, as the original program has it.

>>> import numpy as np
>>> from vlstore.serialize import BackedAtomicData
>>> frame = BackedAtomicData.from_values(
...     name="water",
...     atom_types=[8, 1, 1],
...     masses=[15.999, 1.008, 1.008],
...     nsites=3,
...     positions=np.zeros((3, 3), dtype=np.float32),
...     forces=np.zeros((3, 3), dtype=np.float32),
... )
>>> frame.name, frame.n_sites, frame.atom_types
('water', 3, array([8, 1, 1], dtype=int32))
"""

from vlstore.legacy.serialize.codec import Codec
from vlstore.legacy.serialize.flatbuffer import (
    BackedAtomicData,
    BackedAtomicDataCodec,
    create_fbframe_buffer,
)
from vlstore.legacy.serialize.numpy import flatfloatndarray_codec

__all__ = [
    "BackedAtomicData",
    "BackedAtomicDataCodec",
    "Codec",
    "create_fbframe_buffer",
    "flatfloatndarray_codec",
]
