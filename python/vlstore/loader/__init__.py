"""The names of the original program, from :mod:`vlstore.legacy.loader`."""

from vlstore.legacy.loader import BlockShuffleBatch, block_ownership

__all__ = ["BlockShuffleBatch", "block_ownership"]
