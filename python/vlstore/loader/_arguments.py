"""The arguments of a loader as the compiled one takes them."""

from __future__ import annotations

import glob
import operator
import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from vlstore import _core
from vlstore.errors import InvalidError, MissingFileError, WrongTypeError

#: Ends of the names of stores in a folder.
_ENDS = (".vls", ".vlstore")


def type_names(dtype: Any) -> Any:
    """The types by their names, as the compiled loader takes them."""
    if isinstance(dtype, dict):
        return {name: _type_name(one) for name, one in dtype.items()}
    return None if dtype is None else _type_name(dtype)


def _type_name(dtype: Any) -> str:
    # Those of PyTorch are written as torch.float32.
    text = str(dtype)
    try:
        return np.dtype(text.removeprefix("torch.") if text.startswith("torch.") else dtype).name
    except TypeError as error:
        raise WrongTypeError(f"dtype: {text:.40} is not a type of numbers that NumPy knows") from error


def store_paths(given: Any) -> list[str]:
    """The paths of the stores that ``given`` says: one, a list, a folder or a pattern."""
    if not isinstance(given, (str, os.PathLike)):
        # An open store is an iterable of its keys.
        if isinstance(given, _core.Store) or not isinstance(given, Iterable):
            kind = type(given).__name__
            raise WrongTypeError(f"store must be an open store or paths, not {kind} ({given!r:.40})")
        paths = [_path(path) for path in given]
        if not paths:
            raise InvalidError("store: the list of stores is empty")
        return paths
    path = os.fspath(given)
    if os.path.isfile(os.path.join(path, "vlstore-dataset.json")):
        return [path]
    if os.path.isdir(path):
        found = sorted(f"{path}/{name}" for name in os.listdir(path) if name.endswith(_ENDS))
        if not found:
            raise MissingFileError(f"{path}: has no file {' or '.join('*' + end for end in _ENDS)}")
        return list(map(_absolute, found))
    if glob.has_magic(path) and not os.path.exists(path):
        found = sorted(glob.glob(path, recursive=True))
        if not found:
            raise MissingFileError(f"no file has a name like {path}")
        return list(map(_absolute, found))
    return [path]


def _path(given: Any) -> str:
    try:
        return _absolute(os.fspath(given))
    except TypeError as error:
        kind = type(given).__name__
        raise WrongTypeError(f"store: several stores are given by their paths, not as {kind}") from error


def _absolute(path: Any) -> Any:
    """The path of a file from the root: the working directory of a later process may be another one."""
    is_address = isinstance(path, str) and "://" in path
    return path if is_address else os.path.abspath(path)


def as_integer(name: str, value: Any) -> int:
    try:
        return operator.index(value)
    except TypeError as error:
        raise WrongTypeError(f"{name}: {value!r:.40} is not an integer") from error


def as_size(name: str, value: Any) -> int:
    """An integer from 0 to 2^63 - 1."""
    number = as_integer(name, value)
    if not 0 <= number < 1 << 63:
        raise InvalidError(f"{name}: {number} is not from 0 to 2^63 - 1")
    return number


def as_real(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise WrongTypeError(f"{name}: {value!r:.40} is not a number") from error


def as_costs(costs: Any) -> Any:
    """Costs as integers, none less than what was given."""
    array = np.asarray(costs)
    if array.ndim != 1 or array.dtype.kind not in "iuf":
        shown = "numbers" if array.ndim == 1 else f"an array of {array.ndim} axes"
        raise WrongTypeError(f"cost: is the name of a column or one number for each record, not {shown} "
                             f"of {array.dtype}")
    # What is not a number is no cost, which is said when the record is known.
    known = np.nan_to_num(np.ceil(array), nan=-1.0, posinf=-1.0, neginf=-1.0) if array.dtype.kind == "f" else array
    return known.astype(np.int64)


def as_weights(weights: Any, parts: list[tuple[str, int]] | None) -> list[float]:
    """The weights in the order of the stores."""
    if isinstance(weights, Mapping):
        if parts is None:
            raise InvalidError("weights: a dict of weights is for a dict of stores")
        names = [name for name, _ in parts]
        odd = sorted(set(weights).symmetric_difference(names), key=str)
        if odd:
            raise InvalidError(f"weights: the stores and the weights differ in {', '.join(map(str, odd))}")
        weights = [weights[name] for name in names]
    try:
        return [float(weight) for weight in weights]
    except (TypeError, ValueError) as error:
        raise WrongTypeError(f"weights are numbers: {error}") from error


def as_ordinals(records: Any, length: int) -> Any:
    """The ordinals that ``records`` says: a slice, a mask or ordinals."""
    if isinstance(records, slice):
        return np.arange(*records.indices(length), dtype=np.int64)
    if isinstance(records, range):
        return np.arange(records.start, records.stop, records.step, dtype=np.int64)
    records = np.asarray(records)
    if records.dtype == bool:
        if records.shape != (length,):
            raise InvalidError(
                f"records: a mask has one entry for each of the {length} records, not the shape "
                f"{records.shape}"
            )
        return np.flatnonzero(records)
    if records.ndim != 1:
        raise InvalidError(f"records: ordinals are one list, not an array of {records.ndim} axes")
    return records if records.size else records.astype(np.int64)
