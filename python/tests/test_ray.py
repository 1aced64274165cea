"""Ray Data over stores and data sets, with two workers: nothing is lost or doubled, also where one is killed."""

import os
import signal

import numpy as np
import pytest

pytest.importorskip("pyarrow")
ray = pytest.importorskip("ray")
pytest.importorskip("ray.data")

import vlstore  # noqa: E402
from vlstore.errors import InvalidError, StoreExistsError  # noqa: E402
from vlstore.ray import Source, read_store, sink  # noqa: E402

FIELDS = ["key", "energy", "types", "positions"]


@pytest.fixture(scope="module", autouse=True)
def cluster():
    """Two workers on this machine, which may be busy with other tests."""
    os.environ.setdefault("RAY_raylet_start_wait_time_s", "300")
    ray.init(
        num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=256 << 20,
        runtime_env={"env_vars": {"RAY_DATA_DISABLE_PROGRESS_BARS": "1"}},
    )
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield
    ray.shutdown()


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


def same(folder, of, keys):
    """That a data set has these frames of another store, each once, in this order."""
    new, old = vlstore.open(folder), vlstore.open(of)
    assert list(new) == list(keys)
    for key in list(keys)[::17]:
        assert np.array_equal(new[key].positions, old[key].positions)
        assert np.array_equal(new[key].types, old[key].types) and new[key].energy == old[key].energy
    assert new.verify()
    assert not [name for name in os.listdir(folder) if name.startswith(".")]


def test_convert_filter_sort_reshard_and_statistics(folder, tmp_path):
    # Convert: to Parquet and back.
    read_store(folder, FIELDS).write_parquet(str(tmp_path / "parquet"))
    back = ray.data.read_parquet(str(tmp_path / "parquet")).sort("key")
    back.write_datasink(sink(tmp_path / "back", records="md-frame"))
    same(tmp_path / "back", folder, range(300))
    # Filter.
    read_store(folder).filter(lambda row: row["energy"] < 10).write_datasink(sink(tmp_path / "low"))
    low = vlstore.open(tmp_path / "low")
    assert sorted(low) == list(range(70))
    # Sort by size, into as many members as asked for.
    fields = [*FIELDS, "weight"]
    sized = read_store(folder, fields, override_num_blocks=4).sort("weight").repartition(3)
    sized.write_datasink(sink(tmp_path / "sized"))
    weights = vlstore.open(tmp_path / "sized").at.weights()
    assert np.array_equal(weights, np.sort(vlstore.open(folder).at.weights()))
    # Statistics.
    energies = read_store(folder, ["energy"])
    assert energies.count() == 300
    assert energies.mean("energy") == pytest.approx(np.mean(np.arange(300) / 7))
    # More members of the same data set, and a data set that is not written over.
    read_store(folder).write_datasink(sink(tmp_path / "low", mode="a", key=None))
    assert len(vlstore.open(tmp_path / "low")) == 370
    with pytest.raises(StoreExistsError, match="data set already"):
        sink(tmp_path / "low")
    with pytest.raises(InvalidError, match="mode"):
        sink(tmp_path / "low", mode="w")


def test_tasks_read_whole_chunks_and_every_record_once(folder):
    source = Source(folder, ["ordinal"])
    parts = list(source._parts(5))
    assert parts[0][0] == 0 and parts[-1][1] == 300
    assert all(a[1] == b[0] for a, b in zip(parts, parts[1:], strict=False))
    found = read_store(folder, ["ordinal"], override_num_blocks=7).take_all()
    assert sorted(row["ordinal"] for row in found) == list(range(300))
    with pytest.raises(InvalidError, match="open it for reading"):
        Source(vlstore.memory())
    with pytest.raises(InvalidError):
        Source(folder, ["none"])


def test_a_killed_worker_and_a_retried_task_neither_lose_nor_double_a_record(folder, tmp_path):
    mark = tmp_path / "killed"

    class Deadly(type(sink(tmp_path / "x"))):
        """Kills its worker in the middle of a task, behind the records that were put; once."""

        def write(self, blocks, ctx):
            def until_killed():
                for i, block in enumerate(blocks):
                    yield block
                    if i == 0 and not mark.exists():
                        mark.touch()
                        os.kill(os.getpid(), signal.SIGKILL)

            return super().write(until_killed(), ctx)

    new = tmp_path / "new"
    rows = {"records": None, "key": "key", "value": None, "columns": None}
    deadly = Deadly(new, mode="x", options={}, **rows)
    read_store(folder, FIELDS, override_num_blocks=4).write_datasink(deadly)
    assert mark.exists()
    assert sorted(vlstore.open(new)) == list(range(300))
    same(new, folder, list(vlstore.open(new)))


def test_a_job_that_fails_leaves_nothing(folder, tmp_path):
    def fail(table):
        if table["key"][0].as_py() >= 100:
            raise ValueError("no more")
        return table

    new = tmp_path / "new"
    job = read_store(folder, FIELDS, override_num_blocks=6).map_batches(fail, batch_format="pyarrow")
    with pytest.raises(Exception, match="no more"):
        job.write_datasink(sink(new))
    assert not new.exists() or os.listdir(new) == []
