"""Positions of a fixed precision, as XTC has them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vlstore.errors import InvalidError


def checked(precision: float | None) -> float | None:
    """The precision, if it is one."""
    if precision is not None and not 0 < precision < float("inf"):
        raise InvalidError(f"precision must be positive, not {precision}")
    return precision


def rounded(positions: NDArray[Any], precision: float) -> NDArray[np.float32]:
    """Positions as float32 multiples of 1 / ``precision``: those that ``vlstore copy`` can store as integers."""
    # An integer has no zero with a sign.
    whole = np.rint(positions.astype(np.float64) * precision) + 0.0
    return whole.astype(np.float32) * np.float32(1.0 / precision)
