"""The names of the original program, from :mod:`vlstore.legacy.store._types`."""

from vlstore.legacy.store._types import (
    TYPE_INPUTDATA,
    TYPE_KEY,
    TYPE_MINIMAL_RETURNDATA,
    TYPE_OUT,
    TYPE_RETURNDATA,
    T_OUT,
    SupportsBuffer,
)

__all__ = [
    "TYPE_INPUTDATA",
    "TYPE_KEY",
    "TYPE_MINIMAL_RETURNDATA",
    "TYPE_OUT",
    "TYPE_RETURNDATA",
    "T_OUT",
    "SupportsBuffer",
]
