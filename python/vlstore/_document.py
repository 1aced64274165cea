"""What a record of the codec ``document`` is in Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np


class Document(NamedTuple):
    """A JSON value and arrays beside it: one record of a depot of documents.

    ``head`` is anything that :mod:`json` writes, without NaN and infinities. Each of ``arrays`` is
    anything that NumPy makes an array of, of a type that ``"array"`` records have; what is read is
    read-only and a view of the record.

    >>> import vlstore
    >>> with vlstore.memory(records="document") as depot:
    ...     depot["trial 1"] = vlstore.Document({"side": "left"}, [[0.5, 1.5]])
    ...     depot["trial 1"].head, depot["trial 1"].arrays[0].tolist()
    ({'side': 'left'}, [0.5, 1.5])
    """

    head: Any
    arrays: Sequence[np.ndarray] = ()
