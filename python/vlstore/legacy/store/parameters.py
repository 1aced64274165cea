"""Creation parameters of the original program, translated.

They are those of python-blosc2; its enumerations and plain numbers are both understood, and the
package itself is not needed.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from vlstore.errors import InvalidError, WrongTypeError
from vlstore.legacy.store.locations import DEFAULT_CHUNK_SIZE

_CODECS = {0: "blosclz", 1: "lz4", 2: "lz4hc", 4: "zlib", 5: "zstd"}
_FILTERS = {0: "none", 1: "shuffle", 2: "bitshuffle"}
_KNOWN = ("chunksize", "cparams", "dparams", "meta", "contiguous")
#: Name of the attribute that keeps the caller's metadata.
META = "meta"
_BYTES = "base64"


def creation_options(given: Mapping[str, Any], alignment: str) -> dict[str, Any]:
    """The options of :func:`vlstore.open` that stand for ``given``.

    Raises :class:`~vlstore.errors.InvalidError` and :class:`~vlstore.errors.WrongTypeError` for
    what cannot work, before anything is made.
    """
    for name in given:
        if name not in _KNOWN:
            listed = ", ".join(_KNOWN)
            raise WrongTypeError(f"unknown option {name!r}; the options are {listed}")
    chunk_size = chunk_bytes(given.get("chunksize", DEFAULT_CHUNK_SIZE))
    if chunk_size == 0:
        raise InvalidError("chunksize: is 0")
    options: dict[str, Any] = {
        "chunk_size": chunk_size,
        "alignment": alignment,
        "original_table": "always",
    }
    cparams = as_dict("cparams", given.get("cparams"))
    if not cparams:
        # Numbers are what is mostly stored; others lose little by it.
        options["typesize"] = 4 if chunk_size % 4 == 0 else 1
    else:
        options |= _compression(cparams, chunk_size)
    if chunk_size % options["typesize"]:
        raise InvalidError(
            f"chunksize: {chunk_size} is not a multiple of the type size {options['typesize']}"
        )
    threads = as_dict("dparams", given.get("dparams")).get("nthreads")
    if threads is not None and "threads" not in options:
        options["threads"] = whole("dparams: nthreads", threads)
    return options


def _compression(cparams: Mapping[str, Any], chunk_size: int) -> dict[str, Any]:
    options: dict[str, Any] = {}
    # What python-blosc2 takes where nothing is said.
    typesize = cparams.get("typesize", 8 if chunk_size % 8 == 0 else 1)
    options["typesize"] = whole("cparams: typesize", typesize)
    if options["typesize"] == 0:
        raise InvalidError("cparams: typesize: is 0; 1 is for bytes, 4 and 8 for numbers")
    level = whole("cparams: clevel", cparams.get("clevel", 1))
    if level == 0:
        options["compression"] = "stored"
    else:
        options |= {"compression": _codec(cparams.get("codec", 5)), "level": level}
    filters = cparams.get("filters")
    if filters is not None and level:
        options["filter"] = _filter(filters)
    threads = cparams.get("nthreads")
    if threads is not None:
        options["threads"] = whole("cparams: nthreads", threads)
    block = cparams.get("blocksize")
    # A block that the engine does not make is chosen by it, as where none is given.
    if block and 2048 <= whole("cparams: blocksize", block) <= min(chunk_size, 1 << 20):
        options["block_size"] = whole("cparams: blocksize", block)
    return options


def _number(value: Any) -> int | None:
    number = getattr(value, "value", value)
    return number if isinstance(number, int) and not isinstance(number, bool) else None


def _codec(codec: Any) -> str:
    name = _CODECS.get(_number(codec), codec)  # type: ignore[arg-type]
    if isinstance(name, str) and name.lower() in _CODECS.values():
        return name.lower()
    listed = ", ".join(_CODECS.values())
    raise InvalidError(f"cparams: codec: {codec!r} is not one of {listed}")


def _filter(filters: Any) -> str:
    try:
        pipeline = [_number(f) for f in filters]
    except TypeError:
        raise WrongTypeError("cparams: filters must be a list of filters") from None
    used = [(f, n) for f, n in zip(filters, pipeline, strict=True) if n != 0]
    if len(used) > 1 or any(n not in _FILTERS for _, n in used):
        names = ", ".join(repr(f) for f, _ in used)
        raise InvalidError(f"cparams: filters: one of shuffle and bitshuffle works, not {names}")
    return _FILTERS[used[0][1]] if used else "none"  # type: ignore[index]


def whole(name: str, value: Any) -> int:
    """``value`` as an integer that is not negative."""
    if not isinstance(value, bool) and hasattr(value, "__index__"):
        number = value.__index__()
        if number >= 0:
            return number
        raise InvalidError(f"{name}: {number} is negative")
    raise WrongTypeError(f"{name} must be an integer, not {value!r}")


def chunk_bytes(value: Any) -> int:
    """A chunk size, which may be written as a real number, such as ``1e6``."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return whole("chunksize", value)


def as_dict(name: str, value: Any) -> dict[str, Any]:
    """Parameters as a dict; a dataclass of python-blosc2 is understood, too."""
    if value is None:
        return {}
    if isinstance(value, Mapping):
        return dict(value)
    fields = getattr(value, "__dataclass_fields__", None)
    if fields is None:
        raise WrongTypeError(f"{name} is a dict, not {type(value).__name__}")
    return {field: getattr(value, field) for field in fields}


def meta_to_json(meta: Any) -> dict[str, Any]:
    """The caller's metadata as a store keeps it; bytes become text.

    A copy: what was given stays as it was.
    """
    kept = {}
    for name, value in as_dict("meta", meta).items():
        text = name.decode() if isinstance(name, bytes) else name
        if text == "magic":
            continue
        if isinstance(value, bytes):
            value = {_BYTES: base64.b64encode(value).decode("ascii")}
        kept[text] = value
    return kept


def meta_from_json(kept: Any) -> dict[str, Any]:
    """The metadata that :func:`meta_to_json` kept."""
    meta = {}
    for name, value in (kept or {}).items():
        if isinstance(value, dict) and value.keys() == {_BYTES}:
            value = base64.b64decode(value[_BYTES])
        meta[name] = value
    return meta
