"""Python values as JSON, and the same values back: types, shapes and bits."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from vlstore.errors import WrongTypeError

_DEEPEST = 50


def pack(value: Any, what: str, depth: int = 0) -> Any:
    """The JSON of a value; ``what`` names it in an error.

    Numbers, strings, booleans, None, lists, tuples, sets, dicts, bytes, complex numbers, NumPy arrays
    and scalars, and objects that ASE writes as JSON.
    """
    if depth > _DEEPEST:
        raise WrongTypeError(f"{what} is nested more than {_DEEPEST} deep")
    kind = type(value)
    if value is None or kind in (bool, int, float, str):
        return value
    if kind is list:
        return [pack(item, what, depth + 1) for item in value]
    if kind is tuple:
        return {"tuple": [pack(item, what, depth + 1) for item in value]}
    if kind in (set, frozenset):
        return {kind.__name__: [pack(item, what, depth + 1) for item in sorted(value, key=repr)]}
    if kind is dict:
        return {"dict": [[pack(k, what, depth + 1), pack(v, what, depth + 1)] for k, v in value.items()]}
    if kind is complex:
        return {"complex": [value.real, value.imag]}
    if kind is bytes:
        return {"bytes": base64.b64encode(value).decode()}
    if kind is np.ndarray and value.dtype == object:
        return {"objects": [list(value.shape), [pack(v, what, depth + 1) for v in value.ravel()]]}
    if kind is np.ndarray and value.dtype.fields is None:
        return {"array": [value.dtype.str, list(value.shape), base64.b64encode(value.tobytes()).decode()]}
    if isinstance(value, np.generic) and value.dtype.fields is None:
        return {"scalar": [value.dtype.str, base64.b64encode(value.tobytes()).decode()]}
    if hasattr(value, "ase_objtype"):
        from ase.io.jsonio import encode

        return {"ase": encode(value)}
    if kind.__module__.startswith("ase.spacegroup"):
        return {"spacegroup": [int(value.no), int(value.setting)]}
    raise WrongTypeError(
        f"{what} is a {kind.__module__}.{kind.__qualname__}, which cannot be stored: delete it, or replace it "
        "with numbers, strings, arrays, lists or dicts"
    )


def unpack(value: Any) -> Any:
    """The value that :func:`pack` was given."""
    if type(value) is list:
        return [unpack(item) for item in value]
    if type(value) is not dict:
        return value
    ((kind, held),) = value.items()
    if kind == "tuple":
        return tuple(unpack(item) for item in held)
    if kind == "set":
        return {unpack(item) for item in held}
    if kind == "frozenset":
        return frozenset(unpack(item) for item in held)
    if kind == "dict":
        return {unpack(k): unpack(v) for k, v in held}
    if kind == "complex":
        return complex(*held)
    if kind == "bytes":
        return base64.b64decode(held)
    if kind == "objects":
        array = np.empty(len(held[1]), object)
        for i, item in enumerate(held[1]):
            array[i] = unpack(item)
        return array.reshape(held[0])
    if kind == "array":
        dtype, shape, data = held
        return np.ndarray(shape, np.dtype(dtype), bytearray(base64.b64decode(data)))
    if kind == "scalar":
        return np.frombuffer(base64.b64decode(held[1]), np.dtype(held[0]))[0]
    if kind == "ase":
        from ase.io.jsonio import decode

        return decode(held)
    if kind == "spacegroup":
        from ase.spacegroup import Spacegroup

        return Spacegroup(*held)
    raise WrongTypeError(f"a value of kind {kind!r} was stored by a later release of vlstore")
