"""Ray Data over stores and data sets, with two workers: nothing is lost or doubled, also where one is killed."""

import os
import pathlib
import re
import signal
import types

import numpy as np
import pytest

pa = pytest.importorskip("pyarrow")
ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'vlstore[ray]'")
pytest.importorskip("ray.data")

from ray.data.context import ShuffleStrategy  # noqa: E402

import vlstore  # noqa: E402
import vlstore.arrow  # noqa: E402
from vlstore.errors import ConflictError, InvalidError, StoreExistsError, WrongTypeError  # noqa: E402
from vlstore.ray import Sink, Source, read_store, sink  # noqa: E402

FIELDS = ["key", "energy", "types", "positions"]
PAGE = pathlib.Path(__file__).parents[2] / "docs" / "ray.md"


@pytest.fixture(scope="module", autouse=True)
def cluster():
    """One instance with two workers for all tests, on a machine that may be busy with others."""
    os.environ["RAY_raylet_start_wait_time_s"] = "300"
    # Nothing is written into the home of who runs the tests.
    os.environ["RAY_AUTH_MODE"] = "disabled"
    # By default workers wait for all other processes of a busy machine.
    os.environ["RAY_worker_niceness"] = "0"
    os.environ["RAY_DATA_DISABLE_PROGRESS_BARS"] = "1"
    # An environment of the job would need workers besides those that wait already.
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(pathlib.Path(__file__).parent)
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=256 << 20)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    # What suits clusters makes 200 tasks of the smallest table.
    context.default_hash_shuffle_parallelism = 2
    yield
    ray.shutdown()
    if before is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = before


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A data set of three members, 300 frames of different sizes in all."""
    folder = tmp_path_factory.mktemp("ray") / "set"
    folder.mkdir()
    random = np.random.default_rng(1)
    for part in range(3):
        path = folder / f"part-{part}.vls"
        with vlstore.open(path, "w", records="md-frame", chunk_size=16 << 10) as store:
            for i in range(100 * part, 100 * part + 100):
                n = int(random.integers(1, 40))
                positions = random.normal(size=(n, 3))
                store[i] = vlstore.MdFrame(positions, types=np.arange(n, dtype=np.int32), energy=i / 7)
    vlstore.publish(folder)
    return folder


def same(new, of, keys):
    """That a data set has these frames of another, each once, and nothing besides."""
    made, old = vlstore.open(new), vlstore.open(of)
    assert sorted(made) == list(keys)
    for key in list(keys)[::17]:
        assert np.array_equal(made[key].positions, old[key].positions)
        assert np.array_equal(made[key].types, old[key].types) and made[key].energy == old[key].energy
    assert made.verify()
    files = {str(p.relative_to(new)) for p in pathlib.Path(new).rglob("*") if p.is_file()}
    assert files == {"vlstore-dataset.json", *(m["name"] for m in made.info()["members"])}


def test_the_programs_of_the_page_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # Functions of a main program travel to the workers as they are.
    scope = {"__name__": "__main__"}
    parts = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(parts) >= 8
    context = ray.data.DataContext.get_current()
    usual = context.shuffle_strategy
    for code in parts:
        # How Ray divides the work of statistics is its own affair; this way starts no workers for it.
        context.shuffle_strategy = ShuffleStrategy.SORT_SHUFFLE_PULL_BASED if "aggregate" in code else usual
        exec(compile(code, "ray.md", "exec"), scope)  # noqa: S102
    context.shuffle_strategy = usual
    context.execution_options.preserve_order = False
    keys = sorted(vlstore.open("runs"))
    for name in ["back", "six", "sorted"]:
        same(name, "runs", keys)
    assert list(vlstore.open("six")) == list(vlstore.open("runs"))
    runs, low, more = vlstore.open("runs"), vlstore.open("low"), vlstore.open("kilojoules")
    assert sorted(low) == [key for key in keys if runs[key].energy < -20]
    assert more[1005].energy == runs[1005].energy * 96.485
    sizes = dict(zip(runs, runs.at.weights(), strict=True))
    assert list(vlstore.open("sorted").at.weights()) == sorted(sizes.values())
    assert scope["atoms"]["sum(weight)"] == sum(sizes.values()) and scope["atoms"]["count()"] == len(keys)
    assert scope["by_size"].count() == len(set(sizes.values()))


def test_tasks_read_whole_chunks_and_every_record_once(folder):
    tasks = Source(folder, ["ordinal"]).get_read_tasks(5)
    assert [t.metadata.num_rows for t in tasks] == [len(p) for p in vlstore.arrow.parts(vlstore.open(folder), 5)]
    blocks = read_store(folder, ["ordinal", "energy"], override_num_blocks=7).materialize()
    tables = ray.get(list(blocks.to_arrow_refs()))
    assert all(table.schema.names == ["ordinal", "energy"] for table in tables)
    assert sorted(pa.concat_tables(tables)["ordinal"].to_pylist()) == list(range(300))
    assert Source(folder, ["energy"]).estimate_inmemory_data_size() < 20 * 300
    # What is small is one task, and one member where it is written.
    assert read_store(folder, ["energy"]).materialize().num_blocks() == 1
    with pytest.raises(InvalidError, match="open it for reading"):
        Source(vlstore.memory())
    with pytest.raises(InvalidError, match="none"):
        Source(folder, ["none"])


def test_rows_and_arrays_that_functions_return_are_taken(folder, tmp_path):
    few = read_store(folder, FIELDS).limit(30)
    few.map(lambda row: row).write_datasink(sink(tmp_path / "rows", records="md-frame"))
    same(tmp_path / "rows", folder, range(30))
    charges = few.map_batches(lambda batch: {"key": batch["key"], "charges": batch["types"] / 2.0})
    charges.write_datasink(sink(tmp_path / "arrays", records="md-frame"))
    made, old = vlstore.open(tmp_path / "arrays"), vlstore.open(folder)
    assert all(np.array_equal(made[i].charges, old[i].types / 2.0) for i in range(30))
    values = few.map_batches(lambda batch: {"id": batch["key"], "value": np.ones((len(batch["key"]), 4, 2))})
    values.write_datasink(sink(tmp_path / "tensors", key="id"))
    assert vlstore.open(tmp_path / "tensors")[7].shape == (4, 2)
    with pytest.raises(Exception, match="objects of Python"):
        few.map_batches(lambda batch: batch).write_datasink(sink(tmp_path / "objects"))
    assert not (tmp_path / "objects").exists()


def test_a_data_set_is_added_to_and_not_written_over(folder, tmp_path):
    new = tmp_path / "new"
    part = read_store(folder, FIELDS, override_num_blocks=4)
    part.write_datasink(sink(new, min_rows=100))
    same(new, folder, range(300))
    assert list(vlstore.open(new)) == list(range(300))
    assert all(m["records"] >= 100 for m in vlstore.open(new).info()["members"])
    part.limit(10).write_datasink(sink(new, mode="a", key=None))
    assert len(vlstore.open(new)) == 310
    with pytest.raises(StoreExistsError, match="data set already"):
        sink(new)
    with pytest.raises(InvalidError, match="mode"):
        sink(new, mode="w")
    with pytest.raises(WrongTypeError, match="folder is a path"):
        sink(3)
    # Somebody publishes while a job writes.
    slow = tmp_path / "slow"
    late = sink(slow)
    late.on_write_start()
    part.limit(10).write_datasink(sink(slow))
    with pytest.raises(ConflictError):
        late.on_write_complete(types.SimpleNamespace(write_returns=[]))
    late.on_write_failed(None)
    same(slow, folder, range(10))
    nothing = read_store(folder, FIELDS).filter(lambda row: False)
    nothing.write_datasink(sink(tmp_path / "nothing"))
    assert len(vlstore.open(tmp_path / "nothing")) == 0


class Deadly(Sink):
    """Kills its worker in the middle of a task, behind records that were put; once."""

    def write(self, blocks, ctx):
        def until_killed():
            for i, block in enumerate(blocks):
                yield block
                try:
                    (pathlib.Path(self._folder).parent / "killed").touch(exist_ok=False)
                except FileExistsError:
                    continue
                os.kill(os.getpid(), signal.SIGKILL)

        return super().write(until_killed(), ctx)


class Torn(Sink):
    """Fails behind the writing of its member; once."""

    def write(self, blocks, ctx):
        done = super().write(blocks, ctx)
        try:
            (pathlib.Path(self._folder).parent / "failed").touch(exist_ok=False)
        except FileExistsError:
            return done
        raise OSError("the network is gone")


@pytest.mark.parametrize("kind", [Deadly, Torn])
def test_a_killed_worker_and_a_retried_task_neither_lose_nor_double_a_record(folder, tmp_path, kind):
    new = tmp_path / "new"
    rows = {"records": None, "key": "key", "value": None, "columns": None}
    trouble = kind(new, mode="x", rows=rows, min_rows=None, options={})
    data = read_store(folder, FIELDS, override_num_blocks=4)
    context = ray.data.DataContext.get_current()
    context.retried_io_errors, before = [*context.retried_io_errors, "the network is gone"], context.retried_io_errors
    try:
        data.write_datasink(trouble, ray_remote_args={"max_retries": 3, "retry_exceptions": True})
    finally:
        context.retried_io_errors = before
    assert (tmp_path / ("killed" if kind is Deadly else "failed")).exists()
    same(new, folder, range(300))


def test_a_job_that_fails_leaves_nothing(folder, tmp_path):
    def fail(table):
        if table["key"][0].as_py() >= 100:
            raise ValueError("no more")
        return table

    job = read_store(folder, FIELDS, override_num_blocks=6).map_batches(fail, batch_format="pyarrow")
    with pytest.raises(Exception, match="no more"):
        job.write_datasink(sink(tmp_path / "new"))
    assert not (tmp_path / "new").exists()
    read_store(folder, FIELDS).limit(5).write_datasink(sink(tmp_path / "there"))
    with pytest.raises(Exception, match="no more"):
        job.write_datasink(sink(tmp_path / "there", mode="a"))
    same(tmp_path / "there", folder, range(5))


def test_a_store_that_was_replaced_is_not_read(folder, tmp_path):
    path = tmp_path / "store.vls"
    vlstore.copy(folder, path)
    data = read_store(path, ["key"], override_num_blocks=2)
    vlstore.copy(folder, path, overwrite=True, range=range(100))
    with pytest.raises(Exception, match="another file has taken its place"):
        data.take_all()
