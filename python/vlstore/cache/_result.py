"""Results as a tree of JSON and a list of plain arrays, and back as what they were.

``docs/cache.md`` has the table of the nodes.
"""

import importlib
import json
import math
import struct
import sys

import numpy as np

from vlstore.cache._arguments import module_name
from vlstore.cache._errors import DamagedEntryError, MissingClassError, ResultError

#: Types of array that a record holds as they are.
_PLAIN = frozenset(
    np.dtype(name).str
    for name in (
        "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 "
        "float16 float32 float64 complex64 complex128"
    ).split()
)
#: Most axes of an array that a record holds as it is.
_AXES = 16
#: Deepest nesting: readers of JSON follow 128 levels, and a dict takes three.
_DEEPEST = 100
_LONG = 1 << 63


def describe(dtype):
    """A dtype in JSON: a text such as ``<M8[ns]``, or an object for one with fields or a shape."""
    if dtype.hasobject or dtype.kind not in "biufcmMSUV":
        raise ResultError(f"an array of {dtype} cannot be stored")
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return {"base": describe(base), "shape": list(shape)}
    if dtype.names is None:
        return dtype.str
    fields = [dtype.fields[name] for name in dtype.names]
    out = {
        "names": list(dtype.names),
        "formats": [describe(field[0]) for field in fields],
        "offsets": [field[1] for field in fields],
        "itemsize": dtype.itemsize,
    }
    titles = [field[2] if len(field) > 2 else None for field in fields]
    if any(title is not None for title in titles):
        if not all(title is None or isinstance(title, str) for title in titles):
            raise ResultError(f"an array of {dtype} cannot be stored: a title of a field is not a string")
        out["titles"] = titles
    if dtype.isalignedstruct:
        out["aligned"] = True
    if dtype.type is np.record:
        out["record"] = True
    return out


def described(node):
    """The dtype of a description."""
    if isinstance(node, str):
        return np.dtype(node)
    if "base" in node:
        return np.dtype((described(node["base"]), tuple(node["shape"])))
    fields = {name: node[name] for name in ("names", "offsets", "itemsize", "titles") if name in node}
    fields["formats"] = [described(item) for item in node["formats"]]
    dtype = np.dtype(fields, align=node.get("aligned", False))
    return np.dtype((np.record, dtype)) if node.get("record") else dtype


def _array(value, arrays, name):
    """The node of an array or of a number of NumPy."""
    node = {name: len(arrays)}
    dtype = value.dtype
    if value.ndim > 1 and value.flags.f_contiguous and not value.flags.c_contiguous:
        node["order"] = "F"
        value = value.T
    # A field's bytes between its values are whatever was there, so copies are made by value.
    if dtype.str in _PLAIN and dtype.names is None and value.ndim <= _AXES:
        arrays.append(np.ascontiguousarray(value).reshape(value.shape))
        return node
    node["dtype"] = describe(dtype)
    node["shape"] = list(value.shape)
    whole = np.ascontiguousarray(value).reshape(-1)
    raw = whole.view(np.uint8) if whole.size and dtype.itemsize else np.empty(0, np.uint8)
    arrays.append(raw.reshape(-1))
    return node


def _float(value):
    if math.isfinite(value):
        return value
    return {"float": struct.pack(">d", value).hex()}


def _encode(value, arrays, depth):
    if depth > _DEEPEST:
        raise ResultError("the result is nested too deeply, or contains itself")
    kind = type(value)
    if value is None or kind is bool:
        return value
    if kind is int:
        return value if -_LONG <= value < _LONG else {"int": f"{value:x}"}
    if kind is float:
        return _float(value)
    if kind is np.ndarray or kind is np.memmap:
        return _array(value, arrays, "array")
    if kind is str:
        if value.isascii():
            return value
        try:
            value.encode()
        except UnicodeEncodeError:
            arrays.append(np.frombuffer(value.encode(errors="surrogatepass"), np.uint8))
            return {"text": len(arrays) - 1}
        return value
    if kind is list:
        return [_encode(item, arrays, depth + 1) for item in value]
    if kind is tuple:
        return {"tuple": [_encode(item, arrays, depth + 2) for item in value]}
    if kind is dict:
        pairs = [[_encode(k, arrays, depth + 3), _encode(v, arrays, depth + 3)] for k, v in value.items()]
        return {"dict": pairs}
    if kind is bytes or kind is bytearray:
        arrays.append(np.frombuffer(bytes(value), np.uint8))
        return {kind.__name__: len(arrays) - 1}
    if kind is complex:
        return {"complex": [_float(value.real), _float(value.imag)]}
    if getattr(kind, "storage_prepare", None) is not None:
        return _object(value, arrays, depth)
    if isinstance(value, np.generic) and not isinstance(value, np.object_):
        return _array(np.asarray(value), arrays, "scalar")
    if isinstance(value, np.ndarray):
        raise ResultError(
            f"a {kind.__qualname__} cannot be stored as what it is: return numpy.asarray(result), or give "
            "its class the storage protocol"
        )
    raise ResultError(
        f"a result with a {kind.__module__}.{kind.__qualname__} cannot be stored: numbers, strings, bytes, None, "
        "arrays, and tuples, lists and dicts of them can, and objects with storage_prepare and storage_retrieve"
    )


def _object(value, arrays, depth):
    kind = type(value)
    prepared = value.storage_prepare()
    if not isinstance(prepared, tuple) or len(prepared) != 2:
        raise ResultError(f"{kind.__qualname__}.storage_prepare returns a pair (array, extra), not {prepared!r:.60}")
    if "<locals>" in kind.__qualname__:
        if not arrays.local:
            raise ResultError(
                f"an object of {kind.__module__}.{kind.__qualname__} cannot be stored in a file: a class inside a "
                "function is not found again; define it at the top of its module"
            )
        _local[module_name(kind.__module__), kind.__qualname__] = kind
    data, properties = prepared
    return {
        "object": [module_name(kind.__module__), kind.__qualname__],
        "data": _encode(data, arrays, depth + 1),
        "extra": _encode(properties, arrays, depth + 1),
    }


class _Arrays(list):
    """The arrays of a tree; ``local`` says whether classes inside of functions may be stored."""

    local = False


#: Classes inside of functions, of which there are objects in memory.
_local = {}


def encode(result, local=False):
    """The tree of a result and its arrays, each contiguous and of a plain type.

    ``ResultError`` names what cannot be stored; an object whose class is inside of a function, unless ``local``.
    """
    arrays = _Arrays()
    arrays.local = local
    return _encode(result, arrays, 0), arrays


def _taken(node, name, arrays):
    array = arrays[node[name]]
    if "dtype" in node:
        dtype, shape = described(node["dtype"]), tuple(node["shape"])
        if array.size == 0 or dtype.itemsize == 0:
            array = np.zeros(shape, dtype)
            array.flags.writeable = False
        else:
            array = array.view(dtype).reshape(shape)
    if node.get("order") == "F":
        array = array.T
    # A view: who changes its shape or type changes nobody else's.
    return array.view()


def _class(module, name):
    main = sys.modules.get("__main__")
    if (module, name) in _local:
        return _local[module, name]
    try:
        # The program itself is not imported a second time.
        found = main if module == module_name("__main__") else importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise MissingClassError(
            f"the class {module}.{name} of a stored object is gone: {error}; make it importable under that name again"
        ) from error
    return found


def _decode(node, arrays, raw):
    kind = type(node)
    if kind is list:
        return [_decode(item, arrays, raw) for item in node]
    if kind is not dict:
        return node
    if "array" in node:
        return _taken(node, "array", arrays)
    if "scalar" in node:
        found = _taken(node, "scalar", arrays)
        # NumPy takes the zeros at the end of bytes away.
        return np.bytes_(found.tobytes()) if found.dtype.kind == "S" else found[()]
    if "tuple" in node:
        return tuple(_decode(item, arrays, raw) for item in node["tuple"])
    if "dict" in node:
        return {_decode(k, arrays, raw): _decode(v, arrays, raw) for k, v in node["dict"]}
    if "float" in node:
        return struct.unpack(">d", bytes.fromhex(node["float"]))[0]
    if "int" in node:
        return int(node["int"], 16)
    if "complex" in node:
        return complex(*(_decode(part, arrays, raw) for part in node["complex"]))
    if "text" in node:
        return arrays[node["text"]].tobytes().decode(errors="surrogatepass")
    if "bytes" in node:
        return arrays[node["bytes"]].tobytes()
    if "bytearray" in node:
        return bytearray(arrays[node["bytearray"]].tobytes())
    if "object" in node:
        data = _decode(node["data"], arrays, raw)
        if raw:
            return data
        return _Rebuild(*node["object"], data, _decode(node["extra"], arrays, raw))
    raise ValueError(f"a node with the members {', '.join(sorted(node)) or 'none'}")


class _Rebuild:
    """An object that is still to be made by its class, outside of what finds damage."""

    __slots__ = ("data", "extra", "module", "name")

    def __init__(self, module, name, data, extra):
        self.module, self.name, self.data, self.extra = module, name, data, extra


def _rebuild(value):
    kind = type(value)
    if kind is _Rebuild:
        cls = _class(value.module, value.name)
        retrieve = getattr(cls, "storage_retrieve", None)
        if retrieve is None:
            raise MissingClassError(f"the class {value.module}.{value.name} has no method storage_retrieve any more")
        return retrieve(_rebuild(value.data), _rebuild(value.extra))
    if kind is list:
        return [_rebuild(item) for item in value]
    if kind is tuple:
        return tuple(_rebuild(item) for item in value)
    if kind is dict:
        return {_rebuild(key): _rebuild(item) for key, item in value.items()}
    return value


def has_object(node):
    """Whether an object with the storage protocol is in a tree."""
    if type(node) is list:
        return any(has_object(item) for item in node)
    if type(node) is not dict:
        return False
    return "object" in node or any(has_object(item) for item in node.values())


def decode(node, arrays, raw=False, what="the entry"):
    """The result of a tree; with ``raw`` the data of objects instead of the objects.

    ``DamagedEntryError`` if it is not a tree; ``MissingClassError`` names a class that is gone; an
    error in the class itself is passed on.
    """
    if type(node) is dict and len(node) == 1 and node.get("array") == 0 and arrays:
        # What most results are.
        return arrays[0].view()
    try:
        value = _decode(node, arrays, raw)
        objects = not raw and type(node) is not str and has_object(node)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, RecursionError, struct.error) as error:
        raise DamagedEntryError(f"{what} is malformed: {type(error).__name__}: {error}") from error
    return _rebuild(value) if objects else value


def object_of(node):
    """Module, class and extra data of an object that is the whole result; ``None`` for other results."""
    if type(node) is dict and "object" in node:
        return (*node["object"], node["extra"])
    return None


def extra_text(extra):
    """Extra data as a text of JSON. ``ResultError`` if JSON cannot hold it."""
    try:
        return json.dumps(extra)
    except (TypeError, ValueError, RecursionError) as error:
        raise ResultError(f"extra data is JSON: {error}") from None
