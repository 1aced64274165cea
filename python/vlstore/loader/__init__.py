"""Loading for training: :class:`Loader` and :func:`split`.

The names of the original program are here too, from :mod:`vlstore.legacy.loader`.
"""

from typing import TYPE_CHECKING, Any

from vlstore.legacy.loader import BlockShuffleBatch, block_ownership

if TYPE_CHECKING:
    from vlstore.loader._loader import Balance, Batch, Loader, Records, split
    from vlstore.loader._transform import Frame

__all__ = [
    "Balance", "Batch", "BlockShuffleBatch", "Frame", "Loader", "Records", "block_ownership", "split",
]


def __getattr__(name: str) -> Any:
    # NumPy is imported when somebody loads.
    if name in ("Balance", "Batch", "Loader", "Records", "split"):
        from vlstore.loader import _loader

        return getattr(_loader, name)
    if name == "Frame":
        from vlstore.loader._transform import Frame

        return Frame
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
