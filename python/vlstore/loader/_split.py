"""Training, validation and test: records divided at random."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from vlstore import _core
from vlstore.loader._arguments import as_size

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def split(
    records: int | ArrayLike,
    shares: Iterable[float],
    *,
    seed: int = 0,
    groups: ArrayLike | None = None,
) -> list[NDArray[np.int64]]:
    """Divide records at random into parts, as arrays of ordinals for ``records`` of a loader.

    Parameters
    ----------
    records : int or array of ordinals
        The number of records of a store, or those that are divided.
    shares : numbers
        The share of each part, 1 together at most.
    seed : int
        The same seed divides the same records in the same way.
    groups : array, optional
        For each record what it belongs to (a molecule, a trajectory): what belongs together comes into
        the same part, so that no part is tested with neighbours of what another one has learned.

    Examples
    --------
    >>> from vlstore.loader import split
    >>> train, test = split(10, [0.8, 0.2], seed=1)
    >>> len(train), len(test)
    (8, 2)
    """
    ordinals = np.arange(as_size("records", records)) if np.ndim(records) == 0 else np.asarray(records)
    if groups is not None:
        groups = np.unique(np.asarray(groups), return_inverse=True)[1].reshape(-1)
    return _core._split_records(ordinals, [float(share) for share in shares], as_size("seed", seed), groups)
