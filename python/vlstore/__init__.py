"""A compressed store for variable-length records.

The file of a store is at every moment a valid Blosc2 frame and an append-only log with
atomic commits.

>>> import vlstore
>>> with vlstore.open("greetings.vls", "w") as store:
...     store["hello"] = b"world"
>>> vlstore.open("greetings.vls")["hello"]
b'world'
"""

import importlib

from vlstore import errors
from vlstore._core import (
    Depot,
    Exported,
    MdFrame,
    Ordinals,
    Record,
    Store,
    Topology,
    Verified,
    __version__,
)
from vlstore._open import from_bytes, memory, open  # noqa: A004
from vlstore._trajectory import export
from vlstore.errors import *  # noqa: F403

__all__ = [
    "Depot",
    "Exported",
    "MdFrame",
    "Ordinals",
    "Record",
    "Store",
    "Topology",
    "Verified",
    "__version__",
    "errors",
    "export",
    "from_bytes",
    "memory",
    "open",
]
__all__ += errors.__all__


def __getattr__(name):
    # The original program has these names here. They are imported when somebody uses them.
    if name in ("store", "serialize", "loader", "hash"):
        return importlib.import_module(f"vlstore.{name}")
    if name == "SChunkStore":
        return importlib.import_module("vlstore.store").SChunkStore
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
