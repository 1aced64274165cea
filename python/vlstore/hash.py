"""Hashes of bytes."""

from typing import Any, Final

from vlstore import _core
from vlstore.errors import InvalidError

HASH_SEED: Final = 617491234
# Names of the original program; nothing here uses them.
INT_MAX_BYTES: Final = 64
INT_BYTE_ORDER: Final = "big"


def byte_hash(content: Any, /, seed: int = HASH_SEED) -> str:
    """The 128-bit XXH3 hash of ``content`` as 32 hexadecimal digits.

    ``content`` is ``bytes`` or another contiguous buffer, whose shape and type do not count;
    ``seed`` is from 0 to 2**64-1. Fast, and no protection against somebody who means harm.

    >>> byte_hash(b"abc")
    '0688fcfc49968044a290bb639663f5e9'

    Raises :class:`~vlstore.errors.WrongTypeError` for something without a buffer.
    """
    if not 0 <= seed < 1 << 64:
        raise InvalidError(f"seed: {seed} is outside of 0 to 2**64-1")
    return _core._byte_hash(content, seed)
