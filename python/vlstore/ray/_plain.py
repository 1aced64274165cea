"""Columns of Ray's own types as lists of Arrow.

Where a function of the user is given arrays of NumPy, Ray keeps what it returns as tensors, of one shape or of several.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from vlstore.errors import InvalidError


def plain(table: pa.Table) -> pa.Table:
    """The same rows, with lists in the place of tensors."""
    for i, field in enumerate(table.schema):
        if isinstance(field.type, pa.BaseExtensionType):
            array = pa.concat_arrays([_lists(chunk, field.name) for chunk in table.column(i).chunks])
            table = table.set_column(i, field.name, array)
    return table


def _lists(array: Any, name: str) -> Any:
    storage = array.storage
    mask = storage.is_null() if storage.null_count else None
    if pa.types.is_struct(storage.type) and {"data", "shape"} <= {f.name for f in storage.type}:
        return _of_several_shapes(storage.field("data"), storage.field("shape"), mask)
    shape = getattr(array.type, "shape", None)
    if shape is None:
        raise InvalidError(
            f'column {name!r} has objects of Python: a function that changes lists is given batch_format="pyarrow" or '
            f'"pandas", in map_batches'
        )
    if mask is not None:
        raise InvalidError(f"column {name!r}: there are tensors and null in it; leave the rows with null out")
    return _nested(storage.flatten(), tuple(shape))


def _of_several_shapes(data: Any, shape: Any, mask: Any) -> Any:
    shapes = shape.to_pylist()
    tails = {tuple(s[1:]) for s in shapes if s is not None}
    if len(tails) > 1:
        return pa.StructArray.from_arrays([data, shape], ["values", "shape"])
    counts = np.array([0 if s is None else s[0] for s in shapes], np.int64)
    ptr = pa.array(np.concatenate([[0], np.cumsum(counts)]))
    return pa.LargeListArray.from_arrays(ptr, _nested(data.flatten(), tails.pop() if tails else ()), mask=mask)


def _nested(values: Any, shape: tuple[int, ...]) -> Any:
    for n in reversed(shape):
        values = pa.FixedSizeListArray.from_arrays(values, n)
    return values
