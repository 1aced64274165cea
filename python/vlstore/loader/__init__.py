"""Loading for training: :class:`Loader` and :func:`split`.

The names of the original program are here too, from :mod:`vlstore.legacy.loader`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vlstore.legacy.loader import BlockShuffleBatch, block_ownership

if TYPE_CHECKING:
    from vlstore.loader._batch import Batch, Records
    from vlstore.loader._loader import Balance, Loader
    from vlstore.loader._split import split
    from vlstore.loader._transform import Frame

__all__ = [
    "Balance", "Batch", "BlockShuffleBatch", "Frame", "Loader", "Records", "block_ownership", "split",
]


#: Where each name is: NumPy is imported when somebody loads.
_HOMES = {
    "Balance": "_loader", "Batch": "_batch", "Frame": "_transform", "Loader": "_loader", "Records": "_batch",
    "split": "_split",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"vlstore.loader.{_HOMES[name]}"), name)
