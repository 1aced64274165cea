"""Stores as tables of Arrow, and such tables as stores.

Every open store of frames, arrays or bytes has ``__arrow_c_stream__``, so that ``pyarrow.table(store)``,
``pandas.DataFrame.from_arrow(store)`` and others read it. :func:`reader` does the same for chosen fields, batch
by batch, in bounded memory; libraries that take a store for a mapping, as Polars does, are given its result. :func:`from_arrow` makes a store of any such stream,
:func:`extend` adds one to a store that is open for writing. Needs ``pyarrow``
(``pip install 'vlstore[arrow]'``).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from vlstore import _core
from vlstore._open import open as open_store
from vlstore.errors import InvalidError, StoreExistsError, WrongTypeError

if TYPE_CHECKING:
    from os import PathLike
    from typing import Literal

    import pyarrow

__all__ = ["extend", "from_arrow", "reader", "schema"]

#: Bytes of records that a batch has at least.
BATCH_BYTES = 4 << 20
#: Records from which the types of the columns are found out.
_SAMPLE = 64
#: Columns that every store has, in this order, before those of the codec.
_PLACE = ("key", "ordinal")
#: Fields of frames in the order of their columns.
_FRAME = (
    "step", "time", "energy", "cell", "pbc", "stress", "types", "positions", "velocities", "forces",
    "masses", "charges",
)
#: What of a frame has an entry for each atom.
_BY_SITE = frozenset(["types", "positions", "velocities", "forces", "masses", "charges"])
#: Numbers that the index has of every record.
_INDEX = ("weight", "bytes")


def _pyarrow() -> Any:
    try:
        import pyarrow
    except ImportError:
        raise ImportError("vlstore.arrow needs pyarrow: pip install 'vlstore[arrow]'") from None
    return pyarrow


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
    pa = _pyarrow()
    table = _table_of(store)(pa, store, None if fields is None else list(fields))
    start, end = _bounds(ordinals, len(store))
    batches = table.batches(start, end, batch_bytes)
    return pa.RecordBatchReader.from_batches(table.schema, batches)


def schema(store: _core.Store, fields: Iterable[str] | None = None) -> pyarrow.Schema:
    """The names and types of the columns that :func:`reader` has for these arguments."""
    return _table_of(store)(_pyarrow(), store, None if fields is None else list(fields)).schema


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


class _Table:
    """The columns of a store."""

    own: tuple[str, ...] = ("value",)

    def __init__(self, pa: Any, store: Any, fields: list[str] | None) -> None:
        self.pa, self.store = pa, store
        self.key_type = self._key_type() if fields is None or "key" in fields else None
        self.types = self._types(fields)
        if fields is None:
            fields = ["key", *self.types]
        known = {"key": self.key_type, "ordinal": pa.int64(), **dict.fromkeys(_INDEX, pa.int64()), **self.types}
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
            elif name in _INDEX:
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

    def _types(self, fields: list[str] | None) -> dict[str, Any]:
        raise NotImplementedError

    def _columns(self, start: int, stop: int, names: list[str]) -> dict[str, Any]:
        raise NotImplementedError


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
        names = [name for name in _FRAME if name in found]
        places = (*_PLACE, *_INDEX)
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


def from_arrow(
    stream: Any,
    path: str | PathLike[str],
    *,
    records: Literal["md-frame", "array", "flat-f32", "raw"] | None = None,
    key: str | None = "key",
    value: str | None = None,
    columns: dict[str, str] | None = None,
    mode: Literal["w", "x"] = "x",
    **options: Any,
) -> int:
    """Make a store of the rows of a stream of Arrow and return their number.

    ``stream`` is anything with ``__arrow_c_stream__``: a table or a reader of pyarrow, a frame of pandas or
    Polars, a relation of DuckDB, an open store. ``records`` says what the records are; by default frames where
    there is a column ``positions``, arrays where ``value`` is a column of lists or numbers, and bytes where it is
    one of bytes or strings. For the other arguments see :func:`extend`; ``options`` are those of
    :func:`vlstore.open`. After an error there is no store.

    Raises
    ------
    StoreExistsError
        If there is a file at ``path``; ``mode="w"`` replaces a store.
    InvalidError
        For columns of which no records can be made.

    Examples
    --------
    >>> import pyarrow, vlstore
    >>> table = pyarrow.table({"key": ["a", "b"], "value": [[1.0, 2.0], [3.0]]})
    >>> vlstore.from_arrow(table, "lists.vls")
    2
    >>> vlstore.open("lists.vls")["b"]
    array([3.])
    """
    source = _source(stream)
    made = _Rows(source.schema, records, key, value, columns)
    path = os.path.abspath(os.fspath(path))
    if mode not in ("w", "x"):
        raise InvalidError(f'mode: {mode!r} is not "w" (make anew) or "x" (make, must not exist)')
    if os.path.lexists(path):
        if mode == "x":
            raise StoreExistsError(f'{path} exists already; mode="w" replaces it')
        # What is not a store is not replaced by one.
        open_store(path).close()
    folder, name = os.path.split(path)
    staged = os.path.join(folder, f".{name}.{int.from_bytes(os.urandom(8), 'big'):016x}.partial")
    try:
        with open_store(staged, "x", records=made.records, **options) as store:
            count = made.put(store, source)
        if mode == "w":
            os.replace(staged, path)
        else:
            os.link(staged, path)
    except FileExistsError:
        raise StoreExistsError(f'{path} exists already; mode="w" replaces it') from None
    finally:
        if os.path.lexists(staged):
            os.unlink(staged)
    return count


def extend(
    store: _core.Store,
    stream: Any,
    *,
    key: str | None = "key",
    value: str | None = None,
    columns: dict[str, str] | None = None,
) -> int:
    """Put the rows of a stream of Arrow behind the records of ``store`` and return their number.

    Parameters
    ----------
    store : Store
        A store that is open for writing. What is put is committed as of other records: after an error the
        rows before it are there.
    stream
        Anything with ``__arrow_c_stream__``.
    key : str, optional
        The column of the keys: integers, strings or bytes; a row with null there gets no key. If there is no
        such column, or with ``None``, no record has one.
    value : str, optional
        Of a store of arrays or bytes, the column of the records; by default ``value``, or the only one beside
        the key.
    columns : dict, optional
        Of frames, which column a field is in where its name is another one: ``{"energy": "dft_energy"}``.
        Columns without a field are left out; fields are those of :meth:`vlstore.Trajectory.put_frames`.

    Raises
    ------
    InvalidError
        For columns of other types than the records have, by name.
    RecordExistsError
        For a key that is there.
    """
    if not isinstance(store, _core.Store):
        raise WrongTypeError(f"store is an open store, not {type(store).__name__}")
    source = _source(stream)
    records = "md-frame" if isinstance(store, _core.Trajectory) else (store.codec or "raw")
    return _Rows(source.schema, records, key, value, columns).put(store, source)


def _source(stream: Any) -> Any:
    pa = _pyarrow()
    if not hasattr(stream, "__arrow_c_stream__"):
        raise WrongTypeError(
            f"stream has __arrow_c_stream__ (a table of Arrow, a frame of pandas or Polars), "
            f"but {type(stream).__name__} has not"
        )
    return pa.RecordBatchReader.from_stream(stream)


class _Rows:
    """Rows of a stream as records."""

    def __init__(
        self,
        schema: Any,
        records: str | None,
        key: str | None,
        value: str | None,
        columns: dict[str, str] | None,
    ) -> None:
        self.pa = _pyarrow()
        names = schema.names
        if key not in (None, "key") and key not in names:
            raise InvalidError(f"key: there is no column {key!r}; there are {', '.join(names)}")
        self.key = key if key in names else None
        given = columns or {}
        for field, column in given.items():
            if field not in _FRAME:
                raise InvalidError(f"columns: {field!r} is no field of frames; there are {', '.join(_FRAME)}")
            if column not in names:
                raise InvalidError(f"columns: there is no column {column!r}; there are {', '.join(names)}")
        self.fields = {f: given.get(f, f) for f in _FRAME if given.get(f, f) in names}
        if records is None and "positions" in self.fields:
            records = "md-frame"
        if records == "md-frame":
            if not self.fields:
                raise InvalidError(f"no column is a field of frames: {', '.join(names)}")
            self.records = records
            return
        others = [n for n in names if n not in ("key", key, "ordinal", *_INDEX)]
        self.value = value or ("value" if "value" in names else others[0] if len(others) == 1 else None)
        if self.value not in names:
            raise InvalidError(
                f"value: say which column has the records; there are {', '.join(names)}"
            )
        kind = schema.field(self.value).type
        t = self.pa.types
        if records is None:
            bytes_like = t.is_binary(kind) or t.is_large_binary(kind) or t.is_binary_view(kind)
            text = t.is_string(kind) or t.is_large_string(kind) or t.is_string_view(kind)
            records = "raw" if bytes_like or text else "array"
        if records not in ("array", "flat-f32", "raw"):
            raise InvalidError(
                f"records of {records!r} are not made of a table: only md-frame, array, flat-f32 and raw"
            )
        self.records = records

    def put(self, store: Any, source: Any) -> int:
        count = 0
        for batch in source:
            if batch.num_rows:
                put = self._frames if self.records == "md-frame" else self._values
                put(store, batch, count)
                count += batch.num_rows
        return count

    def _keys(self, batch: Any) -> list[Any] | None:
        if self.key is None:
            return None
        keys = batch.column(self.key)
        kind = keys.type
        if self.pa.types.is_dictionary(kind):
            keys = keys.dictionary_decode()
        if self.pa.types.is_floating(kind):
            keys = self._whole(keys, self.key)
        return keys.to_pylist()

    def _whole(self, array: Any, name: Any) -> Any:
        """Floating-point numbers as the integers that they are: pandas makes them of integers with null."""
        numbers = array.to_numpy(zero_copy_only=False)
        there = ~np.isnan(numbers)
        if (numbers[there] != np.rint(numbers[there])).any() or (np.abs(numbers[there]) > 2**53).any():
            raise InvalidError(f"column {name!r}: there are numbers that are not integers")
        return self.pa.array(np.where(there, numbers, 0).astype(np.int64), mask=~there)

    def _values(self, store: Any, batch: Any, before: int) -> None:
        column = batch.column(self.value)
        if column.null_count:
            raise InvalidError(
                f"row {before + column.is_null().to_pylist().index(True)}: column {self.value!r} is null there"
            )
        values = column.to_pylist() if self.records == "raw" else self._arrays(column)
        if self.records == "raw":
            values = [v.encode() if isinstance(v, str) else v for v in values]
            if not all(isinstance(v, bytes) for v in values):
                raise InvalidError(f"column {self.value!r} has {column.type}, but the records are bytes")
        keys = self._keys(batch)
        for i, v in enumerate(values):
            if keys is None or keys[i] is None:
                store.push(v)
            else:
                store.insert(keys[i], v)

    def _arrays(self, column: Any) -> Iterator[Any]:
        t, kind = self.pa.types, column.type
        if t.is_struct(kind) and {"values", "shape"} <= {f.name for f in kind}:
            shapes = column.field("shape").to_pylist()
            flat = self._arrays(column.field("values"))
            return (a.reshape(shape) for a, shape in zip(flat, shapes, strict=True))
        if not (t.is_list(kind) or t.is_large_list(kind) or t.is_fixed_size_list(kind)):
            return iter(self._numbers(column, self.value))
        values, ptr = _flat(column)
        if values.null_count:
            raise InvalidError(f"column {self.value!r} has lists with null")
        numbers = self._numbers(values, self.value)
        dtype = np.float32 if self.records == "flat-f32" else numbers.dtype
        numbers = numbers.astype(dtype, copy=False)
        return (numbers[ptr[i] : ptr[i + 1]] for i in range(len(ptr) - 1))

    def _numbers(self, array: Any, name: str) -> Any:
        """Numbers as an array of NumPy, lists of a fixed length as further axes."""
        shape = []
        while self.pa.types.is_fixed_size_list(array.type):
            shape.append(array.type.list_size)
            array = array.flatten()
        kind = array.type
        if not (self.pa.types.is_primitive(kind) or self.pa.types.is_boolean(kind)):
            # Lists in lists, as formats without lists of a fixed length have them.
            if not (self.pa.types.is_list(kind) or self.pa.types.is_large_list(kind)) or shape:
                raise InvalidError(f"column {name!r}: {kind} is not numbers, nor lists of them")
            values, ptr = _flat(array)
            lengths = np.unique(np.diff(ptr))
            if values.null_count:
                raise InvalidError(f"column {name!r}: there is null in a list")
            if len(lengths) > 1:
                raise InvalidError(f"column {name!r}: lists in it have different lengths")
            inner = self._numbers(values, name)
            n = int(lengths[0]) if len(lengths) else 3
            return inner.reshape((-1, n, *inner.shape[1:]))
        if array.null_count:
            raise InvalidError(f"column {name!r}: there is null in a list")
        numbers = array.to_numpy(zero_copy_only=False)
        if numbers.dtype == object:
            raise InvalidError(f"column {name!r}: {kind} is not numbers")
        return numbers.reshape((-1, *shape)) if shape else numbers

    def _frames(self, store: Any, batch: Any, before: int) -> None:
        keys = self._keys(batch)
        columns = {field: batch.column(name) for field, name in self.fields.items()}
        if "step" in columns and self.pa.types.is_floating(columns["step"].type):
            columns["step"] = self._whole(columns["step"], self.fields["step"])
        # Frames that have the same fields are put together.
        has = np.array([c.is_valid().to_numpy(zero_copy_only=False) for c in columns.values()])
        named = np.array([k is not None for k in keys]) if keys else np.ones(batch.num_rows, bool)
        pattern = np.vstack([has, named])
        cuts = np.flatnonzero((pattern[:, 1:] != pattern[:, :-1]).any(axis=0)) + 1
        edges = [0, *cuts.tolist(), batch.num_rows]
        for start, stop in zip(edges, edges[1:], strict=False):
            there = [f for f, h in zip(columns, has[:, start], strict=True) if h]
            try:
                arrays = {f: columns[f].slice(start, stop - start) for f in there}
                given = self._stacked(arrays)
                if not any(f in _BY_SITE for f in there):
                    raise InvalidError("a frame has at least one column with an entry for each atom")
            except InvalidError as error:
                raise InvalidError(f"rows {before + start} to {before + stop - 1}: {error}") from None
            own = keys[start:stop] if keys and named[start] else None
            store.put_frames(**given, keys=own, overwrite=False)

    def _stacked(self, arrays: dict[str, Any]) -> dict[str, Any]:
        given: dict[str, Any] = {}
        ptr = None
        for field, array in arrays.items():
            name = self.fields[field]
            if field not in _BY_SITE:
                numbers = self._numbers(array, name)
                if field in ("cell", "stress", "pbc"):
                    numbers = numbers.reshape((len(array), *((3,) if field == "pbc" else (3, 3))))
                if field == "step":
                    numbers = numbers.astype(np.int64, copy=False)
                given[field] = numbers
                continue
            t, kind = self.pa.types, array.type
            if not (t.is_list(kind) or t.is_large_list(kind) or t.is_fixed_size_list(kind)):
                raise InvalidError(f"column {name!r}: {kind} is not a list with an entry for each atom")
            values, own = _flat(array)
            if ptr is None:
                ptr = own
            elif not np.array_equal(ptr, own):
                raise InvalidError(f"column {name!r} has not as many atoms as the columns before")
            numbers = self._numbers(values, name)
            if field == "types":
                numbers = numbers.astype(np.int32, copy=False)
            given[field] = numbers
        if ptr is not None:
            given["ptr"] = ptr
        return given


def _flat(array: Any) -> tuple[Any, Any]:
    """The entries of lists one behind the other, and where each list begins."""
    pa = _pyarrow()
    if pa.types.is_fixed_size_list(array.type):
        n = array.type.list_size
        return array.flatten(), np.arange(len(array) + 1, dtype=np.int64) * n
    offsets = array.offsets.to_numpy().astype(np.int64, copy=False)
    return array.values.slice(offsets[0], offsets[-1] - offsets[0]), offsets - offsets[0]
