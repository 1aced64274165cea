"""Stores as tables of Arrow."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from vlstore import _core
from vlstore.arrow._columns import FRAME, INDEX, PLACE
from vlstore.arrow._pyarrow import load
from vlstore.errors import InvalidError, WrongTypeError

if TYPE_CHECKING:
    import pyarrow

#: Bytes of records that a batch has at least.
BATCH_BYTES = 4 << 20
#: Records from which the types of the columns are found out.
_SAMPLE = 64


def reader(
    store: _core.Store,
    fields: Iterable[str] | None = None,
    *,
    batch_bytes: int = BATCH_BYTES,
    ordinals: range | slice | None = None,
) -> pyarrow.RecordBatchReader:
    """The records of ``store`` as a stream of Arrow, which any of its libraries reads.

    Parameters
    ----------
    store : Store
        A store of frames, arrays, ``flat-f32`` or bytes, or a data set of such stores.
    fields : iterable of str, optional
        The columns, in this order. By default ``key`` and, of frames, the fields that any of 64 frames spread
        over the store has; of other records ``value``. There are also ``ordinal`` (the place in the store),
        ``weight`` and ``bytes``, which decode nothing.
    batch_bytes : int
        Decoded bytes of records that a batch has at least. It ends where a chunk ends, so that none is
        decoded twice.
    ordinals : range or slice, optional
        Which records, with a step of 1.

    Returns
    -------
    pyarrow.RecordBatchReader
        ``key`` is int64, string or binary, whichever the first record with a key has, and null for a record
        without one. Of ``s`` atoms, ``positions``, ``velocities`` and ``forces`` are lists of ``s`` lists of
        3 numbers, ``types``, ``masses`` and ``charges`` lists of ``s``; ``cell`` and ``stress`` are 3 lists of 3,
        ``pbc`` a list of 3. Where a frame lacks a field there is null. Arrays of one number of axes are lists of
        lists of their entries, those of different ones a struct of ``values`` and ``shape``. Numbers are not
        copied after they were decoded.

    Raises
    ------
    InvalidError
        For a field that no record has, and for records that are no table: other codecs, keys or arrays of
        different kinds.

    Examples
    --------
    >>> import numpy as np, pyarrow, vlstore
    >>> with vlstore.open("water.vls", "w", records="md-frame") as store:
    ...     for step in range(3):
    ...         store[step] = vlstore.MdFrame(np.zeros((3 + step, 3)), energy=-step)
    >>> table = pyarrow.table(vlstore.open("water.vls"))
    >>> table.column_names
    ['key', 'energy', 'positions']
    >>> import vlstore.arrow
    >>> batch = vlstore.arrow.reader(vlstore.open("water.vls"), ["key", "energy"]).read_all()
    >>> batch["energy"].to_pylist()
    [0.0, -1.0, -2.0]
    """
    pa = load()
    table = _table_of(store)(pa, store, None if fields is None else list(fields))
    start, end = _bounds(ordinals, len(store))
    batches = table.batches(start, end, batch_bytes)
    return pa.RecordBatchReader.from_batches(table.schema, batches)


def schema(store: _core.Store, fields: Iterable[str] | None = None) -> pyarrow.Schema:
    """The names and types of the columns that :func:`reader` has for these arguments."""
    return _table_of(store)(load(), store, None if fields is None else list(fields)).schema


def parts(store: _core.Store, count: int) -> list[range]:
    """Ordinals of the records of ``store`` in at most ``count`` parts, for as many calls of :func:`reader`.

    The parts have about equally many records each and end where a chunk ends, so that no chunk is decoded for two of
    them; a store of few chunks has fewer parts.

    Examples
    --------
    >>> import vlstore, vlstore.arrow
    >>> with vlstore.open("bytes.vls", "w", chunk_size=4096) as store:
    ...     for i in range(100):
    ...         store[i] = bytes(256)
    >>> vlstore.arrow.parts(vlstore.open("bytes.vls"), 3)
    [range(0, 48), range(48, 80), range(80, 100)]
    """
    if not isinstance(store, _core.Store):
        raise WrongTypeError(f"store is an open store, not {type(store).__name__}")
    if count < 1:
        raise InvalidError("count: there is at least 1 part")
    made, start, length = [], 0, len(store)
    for i in range(1, count + 1):
        wanted = length * i // count
        if wanted > start:
            stop = min(store._batch_end(wanted - 1, 0), length)
            made.append(range(start, stop))
            start = stop
    return made


def _bounds(ordinals: range | slice | None, length: int) -> tuple[int, int]:
    if ordinals is None:
        return 0, length
    if isinstance(ordinals, slice):
        ordinals = range(length)[ordinals]
    if not isinstance(ordinals, range):
        raise WrongTypeError(f"ordinals is a range or a slice, not {type(ordinals).__name__}")
    if ordinals.step != 1:
        raise InvalidError("ordinals: the step is 1; take every n-th row of the table instead")
    if len(ordinals) and not 0 <= ordinals.start < ordinals.stop <= length:
        raise InvalidError(f"ordinals: {ordinals} reaches beyond the {length} records")
    return (ordinals.start, ordinals.stop) if len(ordinals) else (0, 0)


def _table_of(store: Any) -> type[_Table]:
    if not isinstance(store, _core.Store):
        raise WrongTypeError(f"store is an open store, not {type(store).__name__}")
    if isinstance(store, _core.Trajectory):
        return _Frames
    codec = store.codec
    if codec is None:
        return _Bytes
    if codec in ("array", "flat-f32"):
        return _Arrays
    raise InvalidError(
        f"the records are {codec!r}, which are no table: only frames, arrays, flat-f32 and bytes are"
    )


def _spread(length: int) -> list[int]:
    """Ordinals from the beginning to the end of a store."""
    return sorted({int(i) for i in np.linspace(0, length - 1, min(length, _SAMPLE))})


class _Table(ABC):
    """The columns of a store."""

    own: tuple[str, ...] = ("value",)

    def __init__(self, pa: Any, store: Any, fields: list[str] | None) -> None:
        self.pa, self.store = pa, store
        self.key_type = self._key_type() if fields is None or "key" in fields else None
        self.types = self._types(fields)
        if fields is None:
            fields = ["key", *self.types]
        known = {"key": self.key_type, "ordinal": pa.int64(), **dict.fromkeys(INDEX, pa.int64()), **self.types}
        wrong = [name for name in fields if name not in known]
        if wrong:
            raise InvalidError(f"fields: there is none named {wrong[0]!r}; there are {', '.join(known)}")
        if len(set(fields)) < len(fields):
            raise InvalidError("fields: a name is given twice")
        self.fields = fields
        self.schema = pa.schema([(name, known[name]) for name in fields])

    def batches(self, start: int, end: int, batch_bytes: int) -> Iterator[Any]:
        while start < end:
            stop = min(self.store._batch_end(start, batch_bytes), end)
            yield self.batch(start, stop)
            start = stop

    def batch(self, start: int, stop: int) -> Any:
        made = self._columns(start, stop, [name for name in self.fields if name in self.types])
        for name in self.fields:
            if name == "key":
                made[name] = self._keys(start, stop)
            elif name == "ordinal":
                made[name] = self.pa.array(np.arange(start, stop, dtype=np.int64))
            elif name in INDEX:
                made[name] = self.pa.array(self._index(name, start, stop))
        arrays = [made[name] for name in self.fields]
        return self.pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def _index(self, name: str, start: int, stop: int) -> Any:
        at = self.store.at
        if name == "weight":
            return at.weights(range(start, stop))
        places = (at.location(i) for i in range(start, stop))
        return np.fromiter((end - begin for begin, end, _ in places), np.int64, stop - start)

    def _key_type(self) -> Any:
        kinds = {str: self.pa.string(), bytes: self.pa.binary(), int: self.pa.int64()}
        at = self.store.at
        for ordinal in range(min(len(at), 1024)):
            key = at.key(ordinal)
            if key is not None:
                large = isinstance(key, int) and key >= 2**63
                return self.pa.uint64() if large else kinds[type(key)]
        return self.pa.int64()

    def _keys(self, start: int, stop: int) -> Any:
        at = self.store.at
        keys = [at.key(i) for i in range(start, stop)]
        try:
            return self.pa.array(keys, self.key_type)
        except (self.pa.ArrowInvalid, self.pa.ArrowTypeError, OverflowError):
            raise InvalidError(
                f"records {start} to {stop - 1} have keys that are not all {self.key_type}: leave the "
                'field "key" out, and take "ordinal" instead'
            ) from None

    @abstractmethod
    def _types(self, fields: list[str] | None) -> dict[str, Any]:
        """The columns of the codec, by name, with their types."""

    @abstractmethod
    def _columns(self, start: int, stop: int, names: list[str]) -> dict[str, Any]:
        """The values of these columns of the codec."""


class _Bytes(_Table):
    """Records of bytes."""

    def _types(self, fields: list[str] | None) -> dict[str, Any]:
        return {"value": self.pa.large_binary()}

    def _columns(self, start: int, stop: int, names: list[str]) -> dict[str, Any]:
        if not names:
            return {}
        return {"value": self.pa.array(self.store.at[start:stop], self.pa.large_binary())}


class _Arrays(_Table):
    """Arrays of any shape."""

    def _types(self, fields: list[str] | None) -> dict[str, Any]:
        sample = [np.asarray(a) for a in self.store.at.batch(_spread(len(self.store)))]
        self.dtype = np.result_type(*sample) if sample else np.dtype(np.float64)
        tails = {a.shape[1:] for a in sample if a.ndim} if all(a.ndim for a in sample) else set()
        self.tail = tails.pop() if len(tails) == 1 else None
        if not sample:
            self.tail = ()
        value = self.pa.from_numpy_dtype(self.dtype)
        if self.tail is None:
            parts = [("values", self.pa.large_list(value)), ("shape", self.pa.list_(self.pa.int64()))]
            return {"value": self.pa.struct(parts)}
        for n in reversed(self.tail):
            value = self.pa.list_(value, n)
        return {"value": self.pa.large_list(value)}

    def _columns(self, start: int, stop: int, names: list[str]) -> dict[str, Any]:
        if not names:
            return {}
        pa = self.pa
        arrays = [np.asarray(a) for a in self.store.at[start:stop]]
        for i, a in enumerate(arrays):
            fits = self.tail is None or (a.ndim == len(self.tail) + 1 and a.shape[1:] == self.tail)
            if not fits or np.result_type(a.dtype, self.dtype) != self.dtype:
                raise InvalidError(
                    f"ordinal {start + i}: an array of the type {a.dtype} and the shape {a.shape} does "
                    "not fit the others, which are {}".format(self.types["value"])
                )
        flat = [np.ascontiguousarray(a, self.dtype).ravel() for a in arrays]
        values = flat[0] if len(flat) == 1 else np.concatenate(flat)
        per = 1 if self.tail is None else int(np.prod(self.tail, dtype=np.int64))
        counts = [a.size if self.tail is None else a.shape[0] for a in arrays]
        ptr = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
        made = pa.LargeListArray.from_arrays(pa.array(ptr), _nested(pa, values, self.tail or (), per))
        if self.tail is not None:
            return {"value": made}
        shapes = pa.array([list(a.shape) for a in arrays], pa.list_(pa.int64()))
        return {"value": pa.StructArray.from_arrays([made, shapes], ["values", "shape"])}


class _Frames(_Table):
    """Frames of trajectories."""

    def _types(self, fields: list[str] | None) -> dict[str, Any]:
        at, pa = self.store.at, self.pa
        sample = _spread(len(self.store))
        found, by_site = at._arrays(sample, None, "fill", None, False)
        names = [name for name in FRAME if name in found]
        places = (*PLACE, *INDEX)
        extra = [name for name in fields or [] if name not in places and name not in found]
        if extra:
            more, sites = at._arrays(sample, extra, "fill", None, False)
            found, by_site, names = {**found, **more}, [*by_site, *sites], [*names, *extra]
        self.by_site = set(by_site)
        self.dtypes = {name: found[name].dtype for name in names}
        types = {}
        for name in names:
            array = found[name]
            kind = pa.from_numpy_dtype(array.dtype)
            for n in reversed(array.shape[1:]):
                kind = pa.list_(kind, n)
            types[name] = pa.large_list(kind) if name in self.by_site else kind
        return types

    def _columns(self, start: int, stop: int, names: list[str]) -> dict[str, Any]:
        if not names:
            return {}
        pa = self.pa
        arrays, _ = self.store.at._arrays(range(start, stop), names, "fill", None, True)
        made = {}
        for name in names:
            array, has = arrays[name], arrays[f"{name}_mask"]
            wanted = self.dtypes[name]
            if array.dtype != wanted:
                if np.result_type(array.dtype, wanted) != wanted:
                    raise InvalidError(
                        f"ordinals {start} to {stop - 1}: {name} is {array.dtype} there and {wanted} in "
                        "the frames before: read the two parts by themselves (ordinals=)"
                    )
                array = array.astype(wanted)
            mask = None if has.all() else pa.array(~has)
            tail = array.shape[1:]
            per = int(np.prod(tail, dtype=np.int64))
            flat = np.ascontiguousarray(array).reshape(-1)
            if name in self.by_site:
                ptr = pa.array(arrays["ptr"])
                values = _nested(pa, flat, tail, per)
                made[name] = pa.LargeListArray.from_arrays(ptr, values, mask=mask)
            elif tail:
                made[name] = _nested(pa, flat, tail, per, mask)
            else:
                made[name] = pa.array(flat, mask=None if has.all() else ~has)
        return made


def _nested(pa: Any, flat: Any, tail: tuple[int, ...], per: int, mask: Any = None) -> Any:
    """Numbers as lists of lists of the lengths ``tail``, without a copy (booleans are packed)."""
    values = pa.array(flat)
    for i, n in enumerate(reversed(tail)):
        last = mask if i == len(tail) - 1 else None
        values = pa.FixedSizeListArray.from_arrays(values, n, mask=last)
    return values
