"""Hashes of bytes."""

import operator
from typing import Any, Final, SupportsIndex

from vlstore import _core
from vlstore.errors import WrongTypeError

HASH_SEED: Final = 617491234
# Names of the original program; nothing here uses them.
INT_MAX_BYTES: Final = 64
INT_BYTE_ORDER: Final = "big"


def byte_hash(content: Any, /, seed: SupportsIndex = HASH_SEED) -> str:
    """The 128-bit XXH3 hash of ``content`` as 32 hexadecimal digits.

    ``content`` is ``bytes`` or another contiguous buffer, whose shape and type do not count;
    ``seed`` is an integer, taken modulo 2**64. Fast, and no protection against somebody who
    means harm.

    >>> byte_hash(b"abc")
    '0688fcfc49968044a290bb639663f5e9'

    Raises :class:`~vlstore.errors.WrongTypeError` for something without a buffer
    and for a seed that is not an integer.
    """
    try:
        number = operator.index(seed)
    except TypeError:
        kind = type(seed).__name__
        raise WrongTypeError(f"seed must be an integer, not {kind} ({seed!r:.40})") from None
    return _core._byte_hash(content, number % (1 << 64))
