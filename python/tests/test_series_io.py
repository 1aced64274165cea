"""Series in other formats: what goes out comes in again bit for bit, and nothing is copied without need."""

import numpy as np
import pytest

import vlstore
from vlstore.series import FileStorageManager, MemoryStorageManager, TimeSeries, from_csv, to_arrow, to_csv

ODD = np.array([np.nan, -0.0, 5e-324, np.inf, -np.inf, 1.7976931348623157e308, 0.1, 1 / 3])


@pytest.fixture
def manager():
    return MemoryStorageManager()


def test_csv_goes_out_and_in_bit_for_bit(manager, tmp_path):
    n = 40_000
    values = np.resize(ODD, 2 * n).reshape(n, 2)
    manager.store("x", (np.resize(ODD[::-1], n), values))
    manager.store("counted", range(n))
    assert manager.export_csv("x", tmp_path / "x.csv", names=["a", "b,c"]) == n
    assert (tmp_path / "x.csv").read_text().startswith('time,a,"b,c"\n0.333')
    assert manager.import_csv("y", tmp_path / "x.csv", time=0, values=[1, 2]) == manager.get("x")
    found = manager.get("y").values()
    assert np.array_equal(np.signbit(found), np.signbit(values))
    manager.export_csv("counted", tmp_path / "c.csv")
    assert np.array_equal(from_csv(tmp_path / "c.csv").times(), np.arange(n))
    with pytest.raises(FileExistsError):
        manager.export_csv("x", tmp_path / "c.csv")
    to_csv(TimeSeries([1], [2]), tmp_path / "c.csv", overwrite=True)
    assert (tmp_path / "c.csv").read_text() == "time,value\n1.0,2.0\n"
    with pytest.raises(ValueError, match="names"):
        to_csv(TimeSeries([1], [2]), tmp_path / "c.csv", names=["a", "b"], overwrite=True)


def test_csv_of_others_is_read(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("# a comment, of two parts\n#MJD Mag Err\n48823.5 -9.332 0.012\n48824 -9.4 0.01\n")
    series = from_csv(path, values=["Mag"])
    assert series.items() == [(48823.5, -9.332), (48824.0, -9.4)]
    path.write_text("1\n2\n")
    assert from_csv(path).items() == [(0.0, 1.0), (1.0, 2.0)]
    path.write_bytes(b"time,v\r0,1\r1,2")
    assert from_csv(path).items() == [(0.0, 1.0), (1.0, 2.0)]
    for text, why in [
        ("0,1O\n1,2\n", r"x.csv: CSV, line 1: \"1O\" is not a number; .* begins with #"),
        ("0,1\n1,9007199254740993\n", "line 2: the integer 9007199254740993 would be rounded"),
        ("0,1e400\n", "line 1: 1e400 is larger than any"),
        ("t,v\n", "line 1: it has no numbers"),
    ]:
        path.write_text(text)
        with pytest.raises(vlstore.errors.FormatError, match=why):
            from_csv(path)
    to_csv(TimeSeries([], []), path, overwrite=True)
    assert len(from_csv(path)) == 0
    for options, why in [({"delimiter": ";;"}, "delimiter: one character"), ({"values": ["z"]}, "x.csv: column: .*time")]:
        with pytest.raises(ValueError, match=why):
            from_csv(path, **options)
    path.write_text("t;v\n1;x\n")
    with pytest.raises(vlstore.errors.FormatError, match=r"x.csv: CSV, line 2: .*not a number"):
        from_csv(path, delimiter=";")
    with pytest.raises(ValueError, match='"z"'):
        from_csv(path, delimiter=";", time="z")
    with pytest.raises(FileNotFoundError):
        from_csv(tmp_path / "none.csv")


def test_light_curves_and_energies_of_others_are_read(shared_data, manager):
    for path in sorted((shared_data / "timeseries" / "macho").iterdir()):
        right = np.loadtxt(path)
        stored = manager.import_csv(path.stem, path, values=["Mag", "Err"])
        assert np.array_equal(stored.times(), right[:, 0])
        assert np.array_equal(manager.get(path.stem).values(), right[:, 1:])
    for path in sorted((shared_data / "timeseries" / "energies").iterdir()):
        right = np.loadtxt(path, delimiter=",", skiprows=1)
        stored = manager.import_csv(path.stem, path)
        assert np.array_equal(stored.times(), right[:, 0])
        assert np.array_equal(manager.get(path.stem).values(), right[:, 1:])
    assert len(manager) == 23


def test_parquet_goes_out_and_in_bit_for_bit(manager, tmp_path):
    pytest.importorskip("pyarrow")
    random = np.random.default_rng(0)
    for i in range(30):
        n = int(random.integers(1, 2000))
        manager.store(f"series {i}", (random.normal(size=n), np.resize(ODD, n)))
    manager.store("empty", [])
    points = sum(manager.lengths().values())
    assert manager.export_parquet(tmp_path / "all.parquet") == points
    other = FileStorageManager(tmp_path / "s.vls")
    assert other.import_parquet(tmp_path / "all.parquet") == manager.ids()
    assert other.shape("empty") == manager.shape("empty") == (0, 1, False)
    for i in range(30):
        a, b = other.get(f"series {i}"), manager.get(f"series {i}")
        assert np.array_equal(a.times().view(np.int64), b.times().view(np.int64))
        assert np.array_equal(a.values().view(np.int64), b.values().view(np.int64))
    with pytest.raises(FileExistsError):
        manager.export_parquet(tmp_path / "all.parquet")
    wide = MemoryStorageManager()
    wide.store(7, ([1, 2], [[1, 2], [3, 4]]))
    wide.export_parquet(tmp_path / "wide.parquet")
    assert other.import_parquet(tmp_path / "wide.parquet") == [7]
    assert other.get(7) == wide.get(7)
    manager.store(1, [1])
    with pytest.raises(ValueError, match="str or all int"):
        manager.export_parquet(tmp_path / "b.parquet")
    assert not (tmp_path / "b.parquet").exists()
    manager.export_parquet(tmp_path / "b.parquet", [1])


def test_parquet_of_others_is_one_series(manager, tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as parquet

    parquet.write_table(pa.table({"time": [0, 1], "v": [1.5, None]}), tmp_path / "heat.parquet")
    assert manager.import_parquet(tmp_path / "heat.parquet") == ["heat"]
    series = manager.get("heat")
    assert series[0] == 1.5
    assert np.isnan(series[1])


def test_pandas_goes_in_and_out(manager):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    values = np.resize(ODD, 100)
    manager.store("x", pandas.Series(values))
    assert manager.get("x") == TimeSeries(None, values)
    manager.store("x", pandas.Series(values, index=np.arange(100) * 0.5))
    assert manager.get("x") == TimeSeries(np.arange(100) * 0.5, values)
    days = pandas.date_range("2020-01-01", periods=3, freq="D", tz="UTC")
    manager.store("days", pandas.Series([1, 2, 3], index=days))
    assert manager.get("days").times()[1] == 1577836800 + 86400
    frame = pandas.DataFrame({"a": [1.0, 2], "b": [3.0, 4]}, index=[0.5, 1.5])
    manager.store("frame", frame)
    assert np.array_equal(manager.get("frame").values(), frame.to_numpy())
    back = to_arrow(manager.get("x")).to_pandas()
    assert list(back.columns) == ["time", "value"]
    assert np.array_equal(back["value"].to_numpy(), values, equal_nan=True)
    for wrong in (pandas.Series(["a"]), pandas.Series([1], index=["a"])):
        with pytest.raises(TypeError):
            manager.store("wrong", wrong)
    source = pandas.Series(values)
    assert np.shares_memory(TimeSeries.of(source).values(), source.to_numpy())


def test_polars_and_arrow_go_in_and_out(manager):
    polars = pytest.importorskip("polars")
    pa = pytest.importorskip("pyarrow")
    values = np.resize(ODD, 100)
    frame = polars.DataFrame({"time": np.arange(100.0), "v": values})
    manager.store("x", frame)
    assert manager.get("x") == TimeSeries(np.arange(100), values)
    back = polars.DataFrame(manager.get("x"))
    assert back.columns == ["time", "value"]
    assert np.array_equal(back["value"].to_numpy(), values, equal_nan=True)
    manager.store("y", frame["v"])
    assert manager.get("y") == TimeSeries(None, values)
    table = pa.table({"v": values, "time": np.arange(100.0)})
    manager.store("z", table)
    assert manager.get("z") == manager.get("x")
    for given in (pa.array([1.0, None]), pa.chunked_array([[1.0], [None]])):
        manager.store("array", given)
        assert np.isnan(manager.get("array")[1])
    with pytest.raises(TypeError):
        manager.store("wrong", polars.DataFrame({"v": ["a"]}))


def test_what_is_in_one_piece_is_not_copied():
    polars = pytest.importorskip("polars")
    pa = pytest.importorskip("pyarrow")
    manager = MemoryStorageManager()
    manager.store("x", (np.arange(1000.0), np.arange(1000.0)))
    series = manager.get("x")
    address = series.values().ctypes.data
    table = to_arrow(series)
    assert table["value"].chunk(0).buffers()[1].address == address
    assert TimeSeries.of(table).values().ctypes.data == address
    assert TimeSeries.of(pa.table(series)).times().ctypes.data == series.times().ctypes.data
    frame = polars.DataFrame({"time": np.arange(10.0), "v": np.arange(10.0)})
    assert np.shares_memory(TimeSeries.of(frame).values(), frame["v"].to_numpy())


def test_without_pyarrow_the_message_says_what_to_install(monkeypatch, tmp_path):
    import sys

    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"pip install 'vlstore\[series\]'"):
        to_arrow(TimeSeries([1], [2]))
    with pytest.raises(ImportError, match=r"vlstore\[series\]"):
        MemoryStorageManager().export_parquet(tmp_path / "x.parquet")


@pytest.fixture
def shared_data():
    import pathlib

    data = pathlib.Path(__file__).parents[3] / "shared" / "data"
    if not (data / "timeseries").is_dir():
        pytest.skip("there is no ../shared/data beside the checkout")
    return data


def test_no_table_replaces_a_store(manager, tmp_path):
    pytest.importorskip("pyarrow")
    manager.store("x", [1, 2])
    other = FileStorageManager(tmp_path / "s.vls")
    other.store("keep", range(100))
    link = tmp_path / "link"
    link.symlink_to(other.path)
    for path in (other.path, link):
        for export in (manager.export_parquet, lambda p, **o: manager.export_csv("x", p, **o)):
            with pytest.raises(ValueError, match="this is a store, so it is not replaced by a table"):
                export(path, overwrite=True)
    assert link.is_symlink()
    assert len(other.get("keep")) == 100
    # A damaged store is one.
    damaged = tmp_path / "damaged"
    content = bytearray((tmp_path / "s.vls").read_bytes())
    content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
    damaged.write_bytes(content)
    with pytest.raises(ValueError, match="this is a store"):
        manager.export_parquet(damaged, overwrite=True)
    for old in (b"", b"text"):
        (tmp_path / "p").write_bytes(old)
        assert manager.export_parquet(tmp_path / "p", overwrite=True) == 2
    assert manager.export_parquet(tmp_path / "p", overwrite=True) == 2


@pytest.mark.parametrize("channels", [1, 2])
def test_series_without_points_go_through_parquet(channels, tmp_path):
    pytest.importorskip("pyarrow")
    manager = MemoryStorageManager()

    def values(n):
        return np.arange(n * channels).reshape((n, channels) if channels > 1 else n)

    for id, n in (("first", 0), ("a", 3), ('m"1', 0), ("m2", 0), ("b", 2), ("last", 0)):
        manager.store(id, (np.arange(n), values(n)))
    manager.store("counted", (None, values(0)))
    for ids in (manager.ids(), ["last", "first"]):
        manager.export_parquet(tmp_path / "p", ids, overwrite=True)
        other = MemoryStorageManager()
        assert other.import_parquet(tmp_path / "p") == other.ids() == ids
        for id in ids:
            assert other.shape(id) == manager.shape(id)
            assert other.get(id) == manager.get(id)
    numbered = MemoryStorageManager()
    numbered.store(7, values(0))
    numbered.export_parquet(tmp_path / "n.parquet")
    assert other.import_parquet(tmp_path / "n.parquet") == [7]


def test_dates_that_are_missing_are_nan_or_refused(manager):
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    pa = pytest.importorskip("pyarrow")
    dates = pandas.to_datetime(["2020-01-01", None, "2020-01-02"])
    right = [1577836800.0, np.nan, 1577836800.0 + 86400]
    sorted_only = MemoryStorageManager(times="sorted")
    frame = pandas.DataFrame({"v": [1.0, 2, 3], "time": dates})
    table = pa.table({"time": pa.array([d.to_pydatetime() if d == d else None for d in dates]), "v": [1, 2, 3]})
    for given in (
        pandas.Series([1, 2, 3], index=dates),
        frame,
        frame.assign(time=dates.tz_localize("UTC")),
        table,
        polars.DataFrame({"time": table["time"].to_pylist(), "v": [1, 2, 3]}),
    ):
        manager.store("x", given)
        assert np.array_equal(manager.get("x").times(), right, equal_nan=True)
        assert manager.get("x").values().tolist() == [1, 2, 3]
        with pytest.raises(ValueError, match="position 1"):
            sorted_only.store("x", given)


def test_parquet_without_times_says_so_and_counts_when_told(manager, tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as parquet

    path = tmp_path / "v.parquet"
    parquet.write_table(pa.table({"t": [5, 6], "v": [1.5, 2.5]}), path)
    with pytest.raises(ValueError, match=r"v.parquet: the column of times 'time' does not exist; the columns are t, v"):
        manager.import_parquet(path)
    assert manager.ids() == []
    assert manager.import_parquet(path, time="t") == ["v"]
    assert manager.get("v").items() == [(5, 1.5), (6, 2.5)]
    manager.import_parquet(path, time=None)
    assert manager.shape("v") == (2, 2, False)


def test_dates_far_from_now_and_whole_numbers_of_others_are_exact(manager):
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    pa = pytest.importorskip("pyarrow")
    import datetime

    dates = [datetime.datetime(3000, 1, 1), datetime.datetime(1500, 1, 1, 0, 0, 0, 250_000)]
    right = [32503680000.0, -14831769600.0 + 0.25]
    for given in (
        pa.table({"time": pa.array(dates, pa.timestamp("us")), "v": [1, 2]}),
        pa.table({"time": pa.chunked_array([pa.array([d], pa.timestamp("us")) for d in dates]), "v": [1, 2]}),
        polars.DataFrame({"time": dates, "v": [1, 2]}),
        pandas.Series([1, 2], index=pandas.DatetimeIndex(np.array(dates, "datetime64[us]"))),
    ):
        manager.store("x", given)
        assert manager.get("x").times().tolist() == right
    days = [d.date() for d in dates]
    for given in (pa.table({"time": days, "v": [1, 2]}), polars.DataFrame({"time": days, "v": [1, 2]})):
        manager.store("x", given)
        assert manager.get("x").times()[0] == right[0]
    big = 2**53 + 1
    for wrong in (
        pa.array([big, None]),
        pa.array([big]),
        pa.table({"time": [1, 2], "a": [big, 1], "b": [0.5, 1.5]}),
        polars.Series([big, None]),
        polars.DataFrame({"time": [1, 2], "a": [big, 1], "b": [0.5, 1.5]}),
        pandas.Series([big, None], dtype="Int64"),
        pandas.DataFrame({"time": [1, 2], "a": [big, 1], "b": [0.5, 1.5]}),
    ):
        with pytest.raises(ValueError, match="above 2"):
            manager.store("wrong", wrong)
    for wrong in (pa.array(["a"]), pa.table({"a": pa.array([1], pa.duration("s"))}), pa.array([b"a"]), pa.nulls(2)):
        with pytest.raises(TypeError, match="column of"):
            manager.store("wrong", wrong)
    assert "wrong" not in manager
    for given in (pa.array([1, None]), polars.Series([1, None]), pandas.Series([1, None], dtype="Int64")):
        manager.store("x", given)
        assert np.array_equal(manager.get("x").values(), [1, np.nan], equal_nan=True)


def test_the_column_time_of_pandas_is_the_times_whatever_the_index_is(manager):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"v": [1.0, 2.0, 3.0], "time": [5.0, 4.0, 6.0]})
    for chosen in (frame[1:], frame[frame.v != 2], frame.sort_values("time"), frame.set_index("v", drop=False)):
        stored = manager.store("x", chosen)
        assert stored.times().tolist() == chosen.time.tolist() and stored.values().tolist() == chosen.v.tolist()
    by_index = frame.set_index("time")
    assert manager.store("x", by_index).items() == [(5, 1), (4, 2), (6, 3)]


def test_tables_of_parquet_that_are_no_series_are_refused_by_name(manager, tmp_path):
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "x.parquet"
    one = pa.array([1.0])
    parquet.write_table(pa.table([one, one, one], names=["time", "v", "v"]), path)
    with pytest.raises(ValueError, match="two columns have the name 'v'"):
        manager.import_parquet(path)
    parquet.write_table(pa.table({"id": pa.array(["a", None]), "time": [0.0, 1.0], "v": [1.0, 2.0]}), path)
    with pytest.raises(ValueError, match="rows have no id"):
        manager.import_parquet(path)
    assert manager.ids() == []
    manager.store("a", [1.0])
    manager.store(3, [1.0])
    manager.store(2**63, [1.0])
    for ids, why in [(["a", "a"], "'a' occurs 2 times"), ([2**63], "64 bits"), ("a", "a list of ids"), (3, "a list")]:
        with pytest.raises((ValueError, TypeError), match=why):
            manager.export_parquet(path, ids, overwrite=True)
    assert manager.export_parquet(path, [np.int64(3)], overwrite=True) == 1
    assert MemoryStorageManager().import_parquet(path) == [3]


def test_errors_of_other_libraries_name_the_file_and_the_column(manager, tmp_path):
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    path = tmp_path / "x.parquet"
    with pytest.raises(vlstore.errors.MissingFileError, match=f"^{path}: this file or folder does not exist"):
        manager.import_parquet(path)
    n = 10_000
    table = {"id": ["a"] * n, "time": np.arange(float(n)), "v": np.random.default_rng(0).normal(size=n)}
    parquet.write_table(pa.table(table), path, row_group_size=1000)
    content = path.read_bytes()
    middle = len(content) // 2
    for bad in (b"", b"text", content[:middle], content[:middle] + b"\xff" * 64 + content[middle + 64 :]):
        path.write_bytes(bad)
        with pytest.raises(vlstore.errors.FormatError, match=f"^{path}: this cannot be read as Parquet .*write it again"):
            manager.import_parquet(path)
    for wrong, why in [
        ({"time": [0.0], "v": ["a"]}, "the column 'v': a column of string"),
        ({"time": ["a"], "v": [0.0]}, "the column 'time': a column of string"),
        ({"time": [0.0], "v": [2**53 + 1]}, r"the column 'v': an integer above 2\*\*53"),
        ({"id": [1.5], "time": [0.0], "v": [1.0]}, "the column 'id': ids must be strings or integers, not double"),
        ({"id": [1], "time": [0.0]}, "it has no column of values"),
    ]:
        parquet.write_table(pa.table(wrong), path)
        with pytest.raises((ValueError, TypeError), match=f"^{path}: {why}"):
            manager.import_parquet(path)
    # The batch of the import is undone.
    assert manager.ids() == []
    with pytest.raises(vlstore.errors.MissingFileError, match="this file or folder does not exist"):
        manager.export_parquet(tmp_path / "none" / "x.parquet")

    class Broken:
        def __arrow_c_stream__(self, schema=None):
            raise ValueError("broken")

    for wrong, why in [
        (pandas.DataFrame({"time": [0, 1], "v": [1, "b"]}), "the column 'v': 'b' at position 1 is not a real number"),
        (polars.DataFrame({"time": [0], "v": ["a"]}), "the column 'v': a column of String"),
        ([[1, 2], [3]], "values: its parts have different lengths"),
        (Broken(), r"series: the Arrow interface of Broken does not return table \(broken\)"),
    ]:
        with pytest.raises((ValueError, TypeError), match=why):
            manager.store("x", wrong)
    series = TimeSeries(None, [1.0, 2.0])
    for target in (series, series.stored("x", manager)):
        with pytest.raises(ValueError, match=r"value: the shape of what is assigned is \(3,\), not \(2,\)"):
            target[:] = [1, 2, 3]
        with pytest.raises(IndexError, match="position 5 of a series of 2 points"):
            target[5] = 1
