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
from typing import TYPE_CHECKING

from vlstore import errors
from vlstore._core import (
    Depot,
    Exported,
    Frames,
    Imported,
    MdFrame,
    Ordinals,
    Record,
    Store,
    Topology,
    Trajectory,
    Verified,
    __version__,
)
from vlstore._document import Document
from vlstore._import import import_
from vlstore._open import from_bytes, memory, open  # noqa: A004
from vlstore._trajectory import export
from vlstore.errors import *  # noqa: F403

if TYPE_CHECKING:
    from vlstore.arrow import from_arrow
    from vlstore._maintain import (
        Compacted,
        Copied,
        Merged,
        Part,
        Published,
        Recovered,
        compact,
        copy,
        merge,
        publish,
        recover,
        shard,
        split,
    )
    from vlstore._remote import Pulled, Pushed, pull, push

__all__ = [
    "Compacted",
    "Copied",
    "Depot",
    "Document",
    "Exported",
    "Frames",
    "Imported",
    "MdFrame",
    "Merged",
    "Ordinals",
    "Part",
    "Published",
    "Pulled",
    "Pushed",
    "Record",
    "Recovered",
    "Store",
    "Topology",
    "Trajectory",
    "Verified",
    "__version__",
    "compact",
    "copy",
    "errors",
    "export",
    "from_arrow",
    "from_bytes",
    "import_",
    "memory",
    "merge",
    "open",
    "publish",
    "pull",
    "push",
    "recover",
    "shard",
    "split",
]
__all__ += errors.__all__


#: Imported when somebody uses them, so that programs that do not need not wait.
_MAINTAIN = frozenset(
    [
        "Compacted", "Copied", "Merged", "Part", "Published", "Recovered",
        "compact", "copy", "merge", "publish", "recover", "shard", "split",
    ]
)
_REMOTE = frozenset(["Pulled", "Pushed", "pull", "push"])


def __getattr__(name):
    if name in _MAINTAIN:
        return getattr(importlib.import_module("vlstore._maintain"), name)
    if name == "from_arrow":
        return importlib.import_module("vlstore.arrow").from_arrow
    if name in _REMOTE:
        return getattr(importlib.import_module("vlstore._remote"), name)
    # The original program has these names here. They are imported when somebody uses them.
    if name in ("store", "serialize", "loader", "hash"):
        return importlib.import_module(f"vlstore.{name}")
    if name == "SChunkStore":
        return importlib.import_module("vlstore.store").SChunkStore
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
