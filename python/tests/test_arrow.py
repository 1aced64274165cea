"""Stores as streams of Arrow, read by other libraries, and such streams as stores."""

import numpy as np
import pytest

pa = pytest.importorskip("pyarrow")

import vlstore  # noqa: E402
import vlstore.arrow  # noqa: E402
from vlstore.errors import (  # noqa: E402
    InvalidError,
    RecordExistsError,
    StoreExistsError,
    WrongTypeError,
)


@pytest.fixture
def store(path, molecules):
    """Frames of different sizes; some have forces, one has no key."""
    with vlstore.open(path, "w", records="md-frame", chunk_size=32 << 10) as store:
        for i, frame in enumerate(molecules):
            forces = -frame.positions if i % 3 else None
            frame = vlstore.MdFrame(
                frame.positions, types=frame.types, cell=frame.cell, pbc=frame.pbc,
                energy=float(i), forces=forces, step=i,
            )
            if i == 5:
                store.push(frame)
            else:
                store[i] = frame
    return vlstore.open(path)


def check(table, store):
    """That a table of Arrow has the frames of a store."""
    assert table["key"].to_pylist() == [None if i == 5 else i for i in range(len(store))]
    assert table["energy"].to_pylist() == store.column("energy").tolist()
    for i in [0, 1, 5, len(store) - 1]:
        frame = store.at[i]
        assert np.array_equal(np.array(table["positions"][i].as_py()), frame.positions)
        assert np.array_equal(np.array(table["types"][i].as_py()), frame.types)
        assert np.array_equal(np.array(table["cell"][i].as_py()), frame.cell)
        assert table["pbc"][i].as_py() == list(frame.pbc)
        forces = table["forces"][i].as_py()
        assert forces is None if i % 3 == 0 else np.array_equal(np.array(forces), frame.forces)


def test_every_library_reads_frames(store):
    table = pa.table(store)
    check(table, store)
    assert table.schema.field("positions").type == pa.large_list(pa.list_(pa.float64(), 3))
    assert vlstore.arrow.schema(store) == table.schema
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame.from_arrow(store)
    assert frame["energy"].tolist() == store.column("energy").tolist()
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame(vlstore.arrow.reader(store))
    assert frame["energy"].to_list() == store.column("energy").tolist()
    assert np.array_equal(np.array(frame["positions"][3].to_list()), store.at[3].positions)
    check(frame.to_arrow(), store)


def test_duckdb_queries_a_store(store):
    duckdb = pytest.importorskip("duckdb")
    frames = vlstore.arrow.reader(store, ["key", "energy", "types"])  # noqa: F841 - named in the query
    found = duckdb.sql("select sum(energy), sum(len(types)) from frames").fetchall()
    assert found == [(store.column("energy").sum(), store.at.weights().sum())]


def test_parts_end_where_a_chunk_ends_and_dask_reads_them(store, tmp_path):
    size = store.options["chunk_size"]
    parts = vlstore.arrow.parts(store, 4)
    assert [i for part in parts for i in part] == list(range(len(store)))
    assert 2 <= len(parts) <= 4
    for part in parts[:-1]:
        first, last = store.at.location(part.stop)[0], store.at.location(part.stop - 1)[1] - 1
        assert first // size > store.at.location(part.stop - 1)[0] // size or first // size == last // size
    vlstore.shard(store, tmp_path / "set", parts=3)
    of_set = vlstore.arrow.parts(vlstore.open(tmp_path / "set"), 1000)
    assert [i for part in of_set for i in part] == list(range(len(store)))
    vlstore.open(tmp_path / "empty.vls", "w").close()
    assert vlstore.arrow.parts(vlstore.open(tmp_path / "empty.vls"), 4) == []
    with pytest.raises(InvalidError, match="at least 1"):
        vlstore.arrow.parts(store, 0)
    with pytest.raises(WrongTypeError):
        vlstore.arrow.parts("store.vls", 2)
    dataframe = pytest.importorskip("dask.dataframe")
    pandas = pytest.importorskip("pandas")

    def read(ordinals):
        with vlstore.open(tmp_path / "set") as part:
            stream = vlstore.arrow.reader(part, ["key", "energy", "positions"], ordinals=ordinals)
            return stream.read_all().to_pandas(types_mapper=pandas.ArrowDtype)

    frame = dataframe.from_map(read, of_set)
    assert frame.npartitions == len(of_set)
    assert frame["energy"].sum().compute() == store.column("energy").sum()
    whole = frame.compute()
    assert whole["energy"].tolist() == store.column("energy").tolist()
    assert np.array_equal(np.array(list(whole["positions"].iloc[3])), store.at[3].positions)
    # And back, part by part.
    with vlstore.open(tmp_path / "back.vls", "w", records="md-frame") as back:
        for part in frame.partitions:
            back.extend_arrow(part.compute())
    back = vlstore.open(tmp_path / "back.vls")
    assert list(back) == list(store) and np.array_equal(back.at[7].positions, store.at[7].positions)


def test_only_what_is_asked_for_is_there_in_batches_of_whole_chunks(store):
    reader = vlstore.arrow.reader(store, ["energy", "ordinal", "weight", "bytes", "key"], batch_bytes=1)
    batches = list(reader)
    assert reader.schema.names == ["energy", "ordinal", "weight", "bytes", "key"]
    assert len(batches) > 3
    size = store.options["chunk_size"]
    before, first = None, 0
    for batch in batches:
        chunks = [store.at.location(i)[0] // size for i in batch["ordinal"].to_pylist()]
        # A chunk is in two batches only if one of its records crosses its end.
        end = None if before is None else (store.at.location(first - 1)[1] - 1) // size
        assert before is None or chunks[0] > before or chunks[0] == end
        before, first = chunks[-1], first + len(chunks)
    table = pa.Table.from_batches(batches)
    assert table["ordinal"].to_pylist() == list(range(len(store)))
    assert table["bytes"].to_pylist() == store.column("bytes").tolist()
    assert table["weight"].to_pylist() == store.at.weights().tolist()
    some = vlstore.arrow.reader(store, ["energy"], ordinals=slice(3, 9)).read_all()
    assert some["energy"].to_pylist() == [3.0, 4.0, 5.0, 6.0, 7.0, 8.0]
    for wrong, why in [(["none"], "does not exist"), (["energy", "energy"], "twice")]:
        with pytest.raises(InvalidError, match=why):
            vlstore.arrow.reader(store, wrong)
    with pytest.raises(InvalidError, match="beyond"):
        vlstore.arrow.reader(store, ["energy"], ordinals=range(5, 10**9))


def test_numbers_are_not_copied(store):
    batch = next(iter(vlstore.arrow.reader(store, ["positions"])))
    flat = batch["positions"].values.flatten()
    ptr = batch["positions"].offsets.to_numpy()
    assert flat.to_numpy(zero_copy_only=True).shape == (3 * ptr[-1],)
    assert pa.table(batch["positions"].to_frame() if hasattr(batch["positions"], "to_frame") else
                    {"p": batch["positions"]}).num_rows == batch.num_rows


@pytest.mark.parametrize("via", ["store", "pyarrow", "polars", "pandas"])
def test_frames_come_back_from_a_table(store, via, tmp_path):
    stream = store
    if via == "pyarrow":
        stream = pa.table(store)
    elif via != "store":
        library = pytest.importorskip(via)
        reader = vlstore.arrow.reader(store)
        stream = library.DataFrame(reader) if via == "polars" else library.DataFrame.from_arrow(store)
    new = tmp_path / "new.vls"
    assert vlstore.from_arrow(stream, new) == len(store)
    back = vlstore.open(new)
    assert isinstance(back, vlstore.Trajectory)
    assert list(back) == list(store)
    for i in range(len(store)):
        a, b = store.at[i], back.at[i]
        assert np.array_equal(a.positions, b.positions) and a.positions.dtype == b.positions.dtype
        assert np.array_equal(a.types, b.types) and a.energy == b.energy and a.step == b.step
        assert np.array_equal(a.cell, b.cell) and np.array_equal(a.pbc, b.pbc)
        assert (a.forces is None) == (b.forces is None)
    with pytest.raises(StoreExistsError):
        vlstore.from_arrow(stream, new)
    assert vlstore.from_arrow(store, new, mode="w", columns={"energy": "energy"}) == len(store)
    with vlstore.open(new, "a") as more:
        assert more.extend_arrow(pa.table(store), key=None) == len(store)
        assert len(more) == 2 * len(store)
        with pytest.raises(RecordExistsError):
            more.extend_arrow(pa.table(store))


def test_arrays_of_one_kind_are_lists_and_of_several_a_struct(tmp_path):
    shapes = {"lists": [(3,), (0,), (5,)], "rows": [(2, 3), (0, 3), (4, 3)], "mixed": [(2, 3), (4,), ()]}
    for name, own in shapes.items():
        path = tmp_path / f"{name}.vls"
        arrays = [np.random.default_rng(i).normal(size=shape) for i, shape in enumerate(own)]
        with vlstore.open(path, "w", records="array") as store:
            for i, array in enumerate(arrays):
                store[f"a{i}"] = array
        table = pa.table(vlstore.open(path))
        assert table["key"].to_pylist() == ["a0", "a1", "a2"]
        if name == "mixed":
            assert table["value"][1].as_py()["shape"] == [4]
        else:
            assert [np.array(v).shape[0] for v in table["value"].to_pylist()] == [s[0] for s in own]
        new = tmp_path / f"{name}-new.vls"
        assert vlstore.from_arrow(table, new) == 3
        back = vlstore.open(new)
        assert all(np.array_equal(back[f"a{i}"], array) for i, array in enumerate(arrays))
        assert [back[f"a{i}"].shape for i in range(3)] == own


def test_bytes_and_flat_f32_and_data_sets(tmp_path):
    with vlstore.open(tmp_path / "a.vls", "w") as store:
        store["x"] = b"\x00\xff"
        store.push(b"")
    table = pa.table(vlstore.open(tmp_path / "a.vls"))
    assert table["value"].to_pylist() == [b"\x00\xff", b""]
    assert vlstore.from_arrow(table, tmp_path / "b.vls") == 2
    assert vlstore.open(tmp_path / "b.vls")["x"] == b"\x00\xff"
    flat = pa.table({"id": [7, 8], "v": [[1.5], [2.5, 3.5]]})
    assert vlstore.from_arrow(flat, tmp_path / "c.vls", records="flat-f32", key="id", value="v") == 2
    assert vlstore.open(tmp_path / "c.vls")[8].tolist() == [2.5, 3.5]
    vlstore.publish(tmp_path, ["a.vls", "b.vls"])
    assert pa.table(vlstore.open(tmp_path))["value"].to_pylist() == [b"\x00\xff", b""] * 2
    empty = tmp_path / "empty.vls"
    for records in ["md-frame", "array", "bytes"]:
        vlstore.open(empty, "w", records=records).close()
        assert pa.table(vlstore.open(empty)).num_rows == 0


def test_what_is_no_table_is_refused_with_words(store, tmp_path):
    with vlstore.open(tmp_path / "mixed.vls", "w") as mixed:
        mixed[1] = b"x"
        mixed["one"] = b"y"
    with pytest.raises(InvalidError, match="not all int64"):
        vlstore.arrow.reader(vlstore.open(tmp_path / "mixed.vls")).read_all()
    vlstore.open(tmp_path / "doc.vls", "w", records="document").close()
    with pytest.raises(InvalidError, match="are no table"):
        pa.table(vlstore.open(tmp_path / "doc.vls"))
    with pytest.raises(WrongTypeError, match="__arrow_c_stream__"):
        vlstore.from_arrow([1, 2], tmp_path / "n.vls")
    refused = {
        "atoms as the columns before": {"positions": [[[0.0] * 3]], "types": [[1, 2]]},
        "different lengths": {"positions": [[[0.0] * 3, [0.0] * 2]]},
        "there is null in a list": {"positions": [[[0.0, None, 1.0]]]},
        "is not a list": {"positions": [1.0]},
        "at least one column": {"energy": [1.0], "positions": pa.array([None], pa.list_(pa.float64()))},
        "is null there": {"value": [[1.0], None]},
        "is not numbers": {"value": [["a"]]},
        "say which column": {"a": [1], "b": [2]},
        "not integers": {"key": [1.5], "value": [b"x"]},
    }
    for why, columns in refused.items():
        with pytest.raises(InvalidError, match=why):
            vlstore.from_arrow(pa.table(columns), tmp_path / "n.vls")
        assert not [p for p in tmp_path.iterdir() if "n.vls" in p.name], why
    notes = tmp_path / "notes.txt"
    notes.write_text("notes")
    with pytest.raises(vlstore.errors.NotAStoreError):
        vlstore.from_arrow(store, notes, mode="w")
    closed = vlstore.open(store.path)
    reader = vlstore.arrow.reader(closed, ["positions"], batch_bytes=1)
    closed.close()
    with pytest.raises(vlstore.errors.ClosedError):
        reader.read_all()
