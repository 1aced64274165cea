"""What a loader gives: arrays by field, or a list of values, and where it is in the epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Placed:
    """What a batch says of itself: `ordinals`, `repeated`, `at`."""

    ordinals: NDArray[np.int64]
    repeated: bool
    at: tuple[int, int, int, int]

    def _place(
        self,
        ordinals: Any,
        repeated: bool,
        at: tuple[int, int, int],
        lanes: int,
        per_site: frozenset[str],
    ) -> Any:
        self.ordinals, self.repeated, self.at = ordinals, repeated, (*at, lanes)
        if isinstance(self, Batch):
            self.per_site = per_site
        return self


class Batch(dict[str, Any], Placed):
    """A batch of frames: arrays by the name of the field.

    ``ordinals`` are those of its records, int64; ``repeated`` says whether another rank has the same
    batch (see ``rest`` of :class:`Loader`); ``at`` is the place behind it, for
    :meth:`Loader.state_dict`; ``per_site`` is the set of the names of fields with an entry for each site.
    """

    per_site: frozenset[str] = frozenset()


class Records(list[Any], Placed):
    """A batch of values, with ``ordinals``, ``repeated`` and ``at`` as a :class:`Batch` has them."""
