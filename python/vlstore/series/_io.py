"""Series in other formats: CSV, Parquet, pandas, Polars, Arrow."""

from __future__ import annotations

import contextlib
import json
import numbers
import operator
import os
import sys
from collections import Counter

import numpy as np

from vlstore import _core
from vlstore.errors import (
    Error,
    FormatError,
    InvalidError,
    MissingFileError,
    NotAStoreError,
    StoreExistsError,
    SystemCallError,
    WrongTypeError,
)
from vlstore.series._points import arrays_of, numbers_of, stacked


def _pyarrow(what):
    try:
        import pyarrow
    except ImportError:
        raise ImportError(f"{what} needs pyarrow: pip install 'vlstore[series]'") from None
    return pyarrow


@contextlib.contextmanager
def _named(what):
    """Puts the name of a file or a column before what is wrong with it."""
    try:
        yield
    except (InvalidError, WrongTypeError) as error:
        raise type(error)(f"{what}: {error}") from error


@contextlib.contextmanager
def _parquet(path, cannot, advice):
    """Errors of pyarrow as those of this package, with the file and what to do."""
    pa = _pyarrow("a Parquet file")
    try:
        yield
    except Error:
        raise
    except FileNotFoundError as error:
        raise MissingFileError(f"{path}: this file or folder does not exist") from error
    except (pa.ArrowException, OSError) as error:
        why = f"{path}: {cannot} ({str(error).partition(chr(10))[0]}); {advice}"
        system = isinstance(error, OSError) and error.errno is not None
        raise (SystemCallError if system else FormatError)(why) from error


def from_csv(path, *, delimiter=None, time=None, values=()):
    """A CSV file as a :class:`TimeSeries`.

    Parameters
    ----------
    path : str or os.PathLike
        A first line without any number in it names the columns, if other lines follow or it names the column of
        times; so does the last line of comments (``#``) before the numbers. All other lines are numbers: what is none
        is an error with its line. A decimal fraction becomes the nearest float64; an integer that would be rounded
        (``9007199254740993``) and a number that would become infinite (``1e400``) are refused.
    delimiter : str, optional
        One character; by default a comma, or blanks where a line has no comma.
    time : str or int, optional
        The column of times, by name or number from 0; by default ``time``, or else the first of several. ``""``: there is none,
        and times count from 0.
    values : list of str or int
        The columns of values, each a channel; by default all others. An empty cell is NaN.
    """
    from vlstore.series._points import joined
    from vlstore.series._timeseries import TimeSeries

    if delimiter is not None and (not isinstance(delimiter, str) or len(delimiter) != 1):
        raise InvalidError(f"delimiter: one character, such as ';' or '\\t', not {delimiter!r}")
    values = [values] if isinstance(values, (str, int)) else () if values is None else values
    time = None if time is None else str(time)
    times, channels, _ = _core._read_csv(os.fspath(path), delimiter, time, [str(v) for v in values])
    return TimeSeries._over(times, joined(channels))


def to_csv(series, path, *, names=None, overwrite=False):
    """Write a series or a :class:`Lazy` as CSV, and return the number of points.

    The columns are ``time`` and ``names``, by default ``value``, or ``value0``, ``value1`` and so on. Numbers have as
    many digits as lead back to them bit for bit; NaN is ``NaN``. The file appears when it is whole.
    """
    from vlstore.series._lazy import Lazy

    lazy = series if isinstance(series, Lazy) else Lazy(series)
    names = _channel_names(lazy.channels) if names is None else list(names)
    if len(names) != lazy.channels:
        raise InvalidError(f"names: there are {len(names)} for {lazy.channels} channels")
    return _core._write_csv(os.fspath(path), lazy._core, names, overwrite)


def _must_not_be_store(path, what):
    """Refuses to replace a store, also a damaged one, as CSV and pictures do."""
    import vlstore

    if not os.path.isfile(path):
        return
    try:
        vlstore.open(path).close()
    except NotAStoreError:
        return
    except Error:
        pass
    raise InvalidError(f"{path}: this is a store, so it is not replaced by {what}; name another file")


def _channel_names(channels):
    return ["value"] if channels == 1 else [f"value{i}" for i in range(channels)]


def to_arrow(series):
    """A table with the columns ``time`` and ``value`` (or ``value0`` and so on), over the memory of the series.

    For pandas ``to_arrow(series).to_pandas()``; for Polars ``polars.DataFrame(series)`` does the same. A series of
    one channel is not copied. Needs ``pyarrow``.
    """
    pa = _pyarrow("to_arrow")
    times, values = series._points()
    columns = [values] if values.ndim == 1 else [values[:, i] for i in range(values.shape[1])]
    arrays = [pa.array(np.ascontiguousarray(column)) for column in (times, *columns)]
    return pa.table(arrays, names=["time", *_channel_names(len(columns))])


def _numbers(column, name=None):
    """A column of Arrow as an array, without a copy where it is in one piece and has no nulls."""
    if name is not None:
        with _named(f"the column {name!r}"):
            return _numbers(column)
    pa = _pyarrow("a column of Arrow")
    if pa.types.is_temporal(column.type):
        if not (pa.types.is_timestamp(column.type) or pa.types.is_date(column.type)):
            raise WrongTypeError(f"a column of {column.type} is neither numbers nor dates; convert it, or leave it out")
        # The unit of a column of dates is kept: nanoseconds end in the year 2262.
        if pa.types.is_date(column.type):
            column = column.cast(pa.timestamp("s" if pa.types.is_date32(column.type) else "ms"))
        units = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
        null = np.asarray(column.is_null())
        ticks = np.asarray(column.cast(pa.int64()).fill_null(0))
        return _seconds(ticks, null, units[column.type.unit])
    if pa.types.is_null(column.type) or not (
        pa.types.is_floating(column.type) or pa.types.is_integer(column.type)
    ):
        raise WrongTypeError(f"a column of {column.type} is not of numbers; convert it, or leave it out")
    if isinstance(column, pa.ChunkedArray) and column.num_chunks == 1:
        column = column.chunk(0)
    if isinstance(column, pa.Array) and not column.null_count:
        return column.to_numpy(zero_copy_only=True)
    if pa.types.is_integer(column.type):
        null = np.asarray(column.is_null())
        return _with_nan(np.asarray(column.fill_null(0)), null)
    # Null becomes NaN.
    return column.to_numpy(zero_copy_only=False) if isinstance(column, pa.Array) else column.to_numpy()


def _seconds(ticks, null, unit=10**9):
    """Seconds since 1970 as float64, a few hundred nanoseconds apart in our time; NaN where ``null``.

    ``unit``: ticks of a second.
    """
    seconds = ticks // unit + (ticks % unit) / unit
    seconds[null] = np.nan
    return seconds


def _with_nan(values, null):
    """Numbers as float64, exact, and NaN where ``null``."""
    out = np.array(numbers_of(values, "values"), dtype=np.float64)
    out[null] = np.nan
    return out


def _table(names, columns):
    """Times and values of the columns of a table: the first is times if there are several."""
    if not columns:
        raise InvalidError("a table without columns is not a series; give one column of values or more")
    if len(columns) == 1:
        return None, stacked(names, columns)
    at = names.index("time") if "time" in names else 0
    times = numbers_of(columns.pop(at), f"the column {names.pop(at)!r}")
    return times, stacked(names, columns)


def foreign(series):
    """Times and values of an object of another library; ``None`` if it is none."""
    pandas, polars = sys.modules.get("pandas"), sys.modules.get("polars")
    if pandas is not None and isinstance(series, (pandas.Series, pandas.DataFrame)):
        return _of_pandas(pandas, series)
    if polars is not None and isinstance(series, polars.Series):
        return None, _of_polars(polars, series)
    if polars is not None and isinstance(series, polars.DataFrame):
        columns = {name: _of_polars(polars, series[name]) for name in series.columns}
        return _table(list(columns), list(columns.values()))
    pyarrow = sys.modules.get("pyarrow")
    if pyarrow is not None and isinstance(series, pyarrow.ChunkedArray):
        return None, _numbers(series)
    if hasattr(series, "__arrow_c_stream__") and not isinstance(series, np.ndarray):
        table = _of_arrow(series, "table")
        columns = [_numbers(c, name) for name, c in zip(table.column_names, table.columns, strict=True)]
        return _table(table.column_names, columns)
    if hasattr(series, "__arrow_c_array__") and not isinstance(series, np.ndarray):
        return None, _numbers(_of_arrow(series, "array"))
    return None


def _of_arrow(series, kind):
    """A table or an array of an object with the Arrow interface."""
    pa = _pyarrow("an object with the Arrow interface")
    try:
        return getattr(pa, kind)(series)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise InvalidError(
            f"series: the Arrow interface of {type(series).__name__} does not return {kind} ({error}); give times and values "
            "as arrays"
        ) from error


def _of_polars(polars, column):
    if column.dtype == polars.Date:
        column = column.cast(polars.Datetime("ms"))
    if isinstance(column.dtype, polars.Datetime):
        units = {"ms": 10**3, "us": 10**6, "ns": 10**9}
        ticks = column.cast(polars.Int64)
        return _seconds(ticks.fill_null(0).to_numpy(), ticks.is_null().to_numpy(), units[column.dtype.time_unit])
    if not column.dtype.is_numeric() or column.dtype.is_decimal():
        name = f"the column {column.name!r}: " if column.name else ""
        raise WrongTypeError(f"{name}a column of {column.dtype} is neither numbers nor dates; convert it, or leave it out")
    if column.null_count() and column.dtype.is_integer():
        return _with_nan(column.fill_null(0).to_numpy(), column.is_null().to_numpy())
    return column.to_numpy()


def _dates(pandas, dates):
    dates = pandas.DatetimeIndex(dates)
    units = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
    return _seconds(dates.asi8, np.asarray(dates.isna()), units[dates.unit])


def _column_of_pandas(pandas, column):
    if pandas.api.types.is_datetime64_any_dtype(column.dtype):
        return _dates(pandas, column)
    if pandas.api.types.is_extension_array_dtype(column.dtype) and pandas.api.types.is_numeric_dtype(column.dtype):
        null = np.asarray(column.isna())
        return _with_nan(column.fillna(0).to_numpy(), null) if null.any() else column.to_numpy()
    return column.to_numpy()


def _of_pandas(pandas, series):
    index = series.index
    if isinstance(series, pandas.DataFrame) and "time" in series.columns:
        # Rows that were chosen or sorted keep the numbers of their index, which are no times then.
        columns = [_column_of_pandas(pandas, series.iloc[:, i]) for i in range(series.shape[1])]
        return _table([str(name) for name in series.columns], columns)
    counted = isinstance(index, pandas.RangeIndex) and index.start == 0 and index.step == 1
    if counted:
        times = None
    elif isinstance(index, pandas.DatetimeIndex):
        times = _dates(pandas, index)
    elif index.dtype.kind in "iuf":
        times = index.to_numpy()
    else:
        raise WrongTypeError(f"an index of {index.dtype} is neither numbers nor times; give times beside the values")
    if isinstance(series, pandas.DataFrame):
        names = [str(name) for name in series.columns]
        columns = [_column_of_pandas(pandas, series.iloc[:, i]) for i in range(len(names))]
        if counted:
            return _table(names, columns)
        return times, stacked(names, columns)
    return times, _column_of_pandas(pandas, series)


def import_parquet(manager, path, id, time, existing):
    """See :meth:`FileStorageManager.import_parquet`."""
    pa = _pyarrow("import_parquet")
    import pyarrow.parquet as parquet

    path = os.fspath(path)
    done = {}

    def put(key, part):
        if key in done:
            manager.append(key, part)
        else:
            manager.store(key, part, existing=existing)
            done[key] = None

    advice = "check what wrote the file, and write it again"
    with (
        _parquet(path, "this cannot be read as Parquet", advice),
        parquet.ParquetFile(path) as file,
        manager.batch(),
    ):
        names = file.schema_arrow.names
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InvalidError(f"{path}: two columns have the name {twice[0]!r}; give each column a name of its own")
        keyed = id in names
        empty = _empty_of(file.metadata.metadata, path) if keyed else []
        if time is not None and time not in names:
            raise InvalidError(
                f"{path}: the column of times {time!r} does not exist; the columns are {', '.join(names)}. Give time=... as "
                "one of them, or time=None for times that count from 0"
            )
        channels = len(names) - keyed - (time in names)
        if channels < 1:
            raise InvalidError(
                f"{path}: it has no column of values beside {', '.join(names)}; give the file one or more of numbers"
            )
        if keyed:
            kind = file.schema_arrow.field(id).type
            kind = kind.value_type if pa.types.is_dictionary(kind) else kind
            texts = pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_integer
            if not any(is_of(kind) for is_of in texts):
                raise WrongTypeError(f"{path}: the column {id!r}: ids must be strings or integers, not {kind}; convert it")
        nothing = np.empty(0) if channels == 1 else np.empty((0, channels))

        def put_empty(rows):
            """Those that stand before the first row of the next series, or all."""
            while empty and (rows is None or empty[0][1] <= rows):
                key, _, timed = empty.pop(0)
                put(key, (np.empty(0) if timed else None, nothing))

        rows = 0
        for batch in file.iter_batches():
            columns = {name: batch.column(i) for i, name in enumerate(names)}
            keys = columns.pop(id) if keyed else None
            with _named(path):
                times = _numbers(columns.pop(time), time) if time in columns else None
                values = [_numbers(column, name) for name, column in columns.items()]
                times, values = arrays_of(times, stacked(columns, values))
            for key, start, stop in _runs(keys, batch.num_rows, path):
                put_empty(rows + start)
                put(key, (None if times is None else times[start:stop], values[start:stop]))
            rows += batch.num_rows
        put_empty(None)
        if not keyed and not done:
            # A file without rows is a series without points.
            put(_stem(path), (np.empty(0) if time in names else None, nothing))
    return list(done)


#: The key of the metadata of a Parquet file that names series without points, which have no row: a JSON list of
#: ids, the number of rows before them, and whether they have times of their own.
_EMPTY = b"vlstore:empty"


def _empty_of(metadata, path):
    try:
        found = json.loads((metadata or {}).get(_EMPTY, b"[]"))
        return [(id, int(rows), bool(timed)) for id, rows, timed in found]
    except (ValueError, TypeError) as error:
        raise InvalidError(f"{path}: the metadata {_EMPTY.decode()} is not what export_parquet writes") from error


def _stem(path):
    return os.path.splitext(os.path.basename(path))[0]


def _runs(keys, rows, path):
    """Runs of rows with the same id."""
    if keys is None:
        yield _stem(path), 0, rows
        return
    encoded = keys.dictionary_encode() if not hasattr(keys, "dictionary") else keys
    if keys.null_count:
        raise InvalidError(f"{path}: some rows have no id; give each one, or leave them out of the file")
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    names = encoded.dictionary.to_pylist()
    starts = [0, *(np.flatnonzero(np.diff(codes)) + 1).tolist()] if rows else []
    for start, stop in zip(starts, [*starts[1:], rows], strict=True):
        yield names[int(codes[start])], start, stop


def export_parquet(manager, path, ids, overwrite):
    """See :meth:`FileStorageManager.export_parquet`."""
    pa = _pyarrow("export_parquet")
    import pyarrow.parquet as parquet

    path = os.fspath(path)
    if not overwrite and os.path.exists(path):
        raise StoreExistsError(f"{path} exists already; overwrite=True replaces it")
    _must_not_be_store(path, "a table")
    if ids is None:
        ids = manager.ids()
    elif isinstance(ids, (str, numbers.Integral)):
        raise WrongTypeError(f"ids: a list of ids, not {type(ids).__name__}; give ids=[{ids!r}]")
    else:
        # NumPy's integers are integers.
        ids = [operator.index(id) if isinstance(id, numbers.Integral) else id for id in ids]
    for id, count in Counter(ids).items():
        if count > 1:
            raise InvalidError(f"ids: {id!r} occurs {count} times; name each series once")
        if isinstance(id, int) and not -(2**63) <= id < 2**63:
            raise InvalidError(f"ids: {id} does not fit the 64 bits of an integer in Parquet; store it under a string")
    kinds = {type(id) for id in ids}
    if len(kinds) > 1:
        raise InvalidError("ids must be all str or all int in one Parquet file; choose some with ids=[...]")
    empty, rows, shapes = {}, 0, set()
    for id in ids:
        n, channels, timed = manager.shape(id)
        shapes.add(channels)
        rows += n
        if not n:
            empty[id] = [id, rows, timed]
    if len(shapes) > 1:
        raise InvalidError("series with different numbers of channels do not fit one Parquet file; choose some")
    channels = shapes.pop() if shapes else 1
    kind = pa.int64() if kinds == {int} else pa.string()
    fields = [(name, pa.float64()) for name in ("time", *_channel_names(channels))]
    schema = pa.schema([("id", pa.dictionary(pa.int32(), kind)), *fields])
    if empty:
        schema = schema.with_metadata({_EMPTY: json.dumps(list(empty.values()))})
    temporary = f"{path}.{os.getpid()}.part"
    points = 0
    try:
        with (
            _parquet(path, "this cannot be written as Parquet", "give another path, or make room"),
            parquet.ParquetWriter(temporary, schema) as writer,
        ):
            for id in ids:
                if id in empty:
                    continue
                for block in manager.lazy(id).blocks(1 << 20):
                    n = len(block)
                    key = pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, np.int32)), pa.array([id], kind))
                    columns = to_arrow(block).columns
                    writer.write_table(pa.table([key, *columns], schema=schema))
                    points += n
        os.replace(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise
    return points

