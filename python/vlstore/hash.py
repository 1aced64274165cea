"""The names of the original program, from :mod:`vlstore.legacy.hash`."""

from vlstore.legacy.hash import HASH_SEED, INT_BYTE_ORDER, INT_MAX_BYTES, byte_hash

__all__ = ["HASH_SEED", "INT_BYTE_ORDER", "INT_MAX_BYTES", "byte_hash"]
