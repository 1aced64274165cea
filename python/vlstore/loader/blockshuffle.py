"""The names of the original program, from :mod:`vlstore.legacy.loader.blockshuffle`."""

from vlstore.legacy.loader.blockshuffle import BlockShuffleBatch, batched, block_ownership

__all__ = ["BlockShuffleBatch", "batched", "block_ownership"]
