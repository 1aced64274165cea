"""Tables of Arrow as stores."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from vlstore import _core
from vlstore._fields import BY_SITE
from vlstore._open import open as open_store
from vlstore.arrow._columns import FRAME, INDEX
from vlstore.arrow._pyarrow import load
from vlstore.errors import InvalidError, StoreExistsError, WrongTypeError

if TYPE_CHECKING:
    from os import PathLike
    from typing import Literal

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
    :func:`vlstore.open`. After an error no store exists.

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
    pa = load()
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
        self.pa = load()
        names = schema.names
        if key not in (None, "key") and key not in names:
            raise InvalidError(f"key: there is no column {key!r}; there are {', '.join(names)}")
        self.key = key if key in names else None
        given = columns or {}
        for field, column in given.items():
            if field not in FRAME:
                raise InvalidError(f"columns: {field!r} is no field of frames; there are {', '.join(FRAME)}")
            if column not in names:
                raise InvalidError(f"columns: there is no column {column!r}; there are {', '.join(names)}")
        self.fields = {f: given.get(f, f) for f in FRAME if given.get(f, f) in names}
        if records is None and "positions" in self.fields:
            records = "md-frame"
        if records == "md-frame":
            if not self.fields:
                raise InvalidError(f"no column is a field of frames: {', '.join(names)}")
            self.records = records
            return
        others = [n for n in names if n not in ("key", key, "ordinal", *INDEX)]
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
                if not any(f in BY_SITE for f in there):
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
            if field not in BY_SITE:
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
    pa = load()
    if pa.types.is_fixed_size_list(array.type):
        n = array.type.list_size
        return array.flatten(), np.arange(len(array) + 1, dtype=np.int64) * n
    offsets = array.offsets.to_numpy().astype(np.int64, copy=False)
    return array.values.slice(offsets[0], offsets[-1] - offsets[0]), offsets - offsets[0]
