"""Shuffled batches as the original program serves them."""

from vlstore.legacy.loader.blockshuffle import BlockShuffleBatch, block_ownership

__all__ = ["BlockShuffleBatch", "block_ownership"]
