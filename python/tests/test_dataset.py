"""Data sets of many stores: published, opened by their folder, read as one store, loaded."""

import multiprocessing
import os
import pickle
import shutil
import subprocess
import sys

import numpy as np
import pytest

import vlstore
import vlstore_workers
from vlstore.errors import (
    ConflictError,
    DataSetError,
    InvalidError,
    LockedError,
    NotAStoreError,
    ReadOnlyError,
    ReplacedError,
    StoreExistsError,
    SystemCallError,
    UnsupportedError,
)
from vlstore.loader import Loader


@pytest.fixture
def folder(tmp_path, molecules):
    """A data set of three stores of frames, one of them empty."""
    folder = tmp_path / "set"
    folder.mkdir()
    parts = [molecules[:50], [], molecules[50:90]]
    first = 0
    for i, part in enumerate(parts):
        with vlstore.open(folder / f"part-{i}.vls", "w", records="md-frame") as store:
            for n, frame in enumerate(part):
                store[first + n] = frame
        first += len(part)
    done = vlstore.publish(folder)
    assert (done.publication, done.records) == (1, first)
    assert done.members == ["part-0.vls", "part-1.vls", "part-2.vls"]
    return folder


def test_a_folder_opens_as_one_store(folder, tmp_path):
    merged = tmp_path / "merged.vls"
    vlstore.merge([folder], merged)
    one, many = vlstore.open(merged), vlstore.open(folder)
    assert isinstance(many, vlstore.Trajectory)
    assert len(many) == len(one) == 90
    assert list(many) == list(one.keys()) == list(range(90))
    for ordinal in [0, 49, 50, 89, -1]:
        assert np.array_equal(many.at[ordinal].positions, one.at[ordinal].positions)
    assert many[60].energy == one[60].energy
    assert many.get(1000) is None and 60 in many and 1000 not in many
    asked = [70, 3, 55, 3]
    for fields in [None, ["positions", "types"]]:
        a, b = many.at.arrays(asked, fields), one.at.arrays(asked, fields)
        assert a.keys() == b.keys()
        assert all(np.array_equal(a[name], b[name]) for name in a)
    assert np.array_equal(many.get_arrays([80, 1])["ptr"], one.get_arrays([80, 1])["ptr"])
    for name in ["energy", "weight", "bytes"]:
        assert np.array_equal(many.column(name), one.column(name))
    assert np.array_equal(many.at.weights(), one.at.weights())
    assert [f.energy for f in many.values()] == [f.energy for f in one.values()]
    assert [f.energy for f in many.at[45:55]] == [f.energy for f in one.at[45:55]]
    assert many.get(70, fields=["energy"]).positions is None
    assert many.statistics() == one.statistics()
    assert many.verify()
    assert "90 md-frame records, reading" in repr(many)
    info = many.info()
    assert (info["records"], info["generation"], len(info["members"])) == (90, 1, 3)
    again = pickle.loads(pickle.dumps(many))
    assert again[60].energy == one[60].energy
    with pytest.raises(ReadOnlyError):
        many[1] = one[1]
    with pytest.raises(InvalidError, match="data set of several"):
        many.to_bytes()
    many.close()
    with pytest.raises(vlstore.errors.ClosedError):
        len(many)


def test_what_is_published_later_is_seen_after_a_refresh(folder, molecules):
    store = vlstore.open(folder)
    with vlstore.open(folder / "part-1.vls", "a") as part:
        part["more"] = molecules[0]
        with pytest.raises(LockedError):
            vlstore.publish(folder, ["part-1.vls"])
    assert len(vlstore.open(folder)) == 90
    with pytest.raises(ConflictError, match="publication 1"):
        vlstore.publish(folder, ["part-1.vls"], known=0)
    assert vlstore.publish(folder, [folder / "part-1.vls"], known=1).records == 91
    assert len(store) == 90
    assert store.refresh() and not store.refresh()
    assert store.at.key(50) == "more"
    done = vlstore.publish(folder, remove=["part-0.vls"])
    assert (done.publication, done.records) == (3, 41)
    with pytest.raises(vlstore.errors.NotFoundError):
        vlstore.publish(folder, remove=["part-0.vls"])
    with pytest.raises(InvalidError, match="is not in the folder"):
        vlstore.publish(folder, [__file__])


def test_what_travels_to_another_process_is_the_data_set_of_then(folder, molecules):
    """Or one that has more behind it: an ordinal never means another record there."""
    store = vlstore.open(folder)
    sent = pickle.dumps(store)
    with vlstore.open(folder / "part-3.vls", "w", records="md-frame") as part:
        part["more"] = molecules[0]
    vlstore.publish(folder)
    assert pickle.loads(sent).at[60].energy == store.at[60].energy
    vlstore.publish(folder, remove=["part-0.vls"])
    with pytest.raises(ReplacedError, match="has other members"):
        pickle.loads(sent)


def test_a_data_set_is_found_from_another_working_folder(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(folder.parent)
    store = vlstore.open("set")
    monkeypatch.chdir(tmp_path.parent)
    assert store.at[60] is not None and store.refresh() is False


def test_a_full_disk_leaves_the_data_set_as_it_was(folder, tmp_path):
    before = (folder / "vlstore-dataset.json").read_bytes()
    shutil.copy(folder / "part-0.vls", folder / "part-4.vls")
    code = (
        "import resource, sys, vlstore\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "vlstore.publish(sys.argv[1])\n"
    )
    done = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "vlstore-dataset.json" in done.stderr and "File too large" in done.stderr
    assert (folder / "vlstore-dataset.json").read_bytes() == before
    assert sorted(os.listdir(folder)) == ["part-0.vls", "part-1.vls", "part-2.vls", "part-4.vls", "vlstore-dataset.json"]


def test_what_is_no_data_set_or_no_way_to_use_one_is_said(folder, tmp_path):
    for mode in "awx":
        with pytest.raises(InvalidError, match="data set, which is only read"):
            vlstore.open(folder, mode)
    with pytest.raises(InvalidError, match="give the folder"):
        vlstore.open(folder / "vlstore-dataset.json")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InvalidError, match=r"no \*\.vls"):
        vlstore.publish(empty)
    assert os.listdir(empty) == []
    for place in [tmp_path / "none", folder / "part-0.vls"]:
        with pytest.raises(SystemCallError, match="cannot open the folder"):
            vlstore.publish(place)
    os.remove(folder / "part-2.vls")
    os.mkdir(folder / "part-2.vls")
    assert "part-2.vls: member: is not a file" in vlstore.open(folder).verify().damages[0]
    manifest = folder / "vlstore-dataset.json"
    for left in [b"", b"\0" * 700]:
        manifest.write_bytes(left)
        with pytest.raises(NotAStoreError, match="nothing is left of it; delete it"):
            vlstore.open(folder)
    manifest.unlink()
    os.mkfifo(manifest)
    with pytest.raises(NotAStoreError, match="manifest is not a file"):
        vlstore.open(folder)


def test_a_member_that_is_missing_or_another_is_named(folder):
    shutil.copy(folder / "part-0.vls", folder / "other.vls")
    os.rename(folder / "part-2.vls", folder / "away")
    store = vlstore.open(folder)
    assert store.at[0] is not None
    with pytest.raises(DataSetError, match=r"part-2\.vls: is missing"):
        store.at[60]
    found = store.verify()
    assert not found and found.damages == [
        "part-2.vls: " + found.damages[0].removeprefix("part-2.vls: ")
    ]
    os.rename(folder / "other.vls", folder / "part-2.vls")
    with pytest.raises(DataSetError, match="is another file"):
        vlstore.open(folder).at[60]
    manifest = folder / "vlstore-dataset.json"
    text = manifest.read_text()
    manifest.write_text(text.replace('"version": 1', '"version": 9'))
    with pytest.raises(UnsupportedError, match="version of the data set 9"):
        vlstore.open(folder)
    manifest.write_text(text.replace("part-2", "part-3"))
    with pytest.raises(DataSetError, match="checksum"):
        vlstore.open(folder)
    manifest.unlink()
    with pytest.raises(NotAStoreError, match="publish"):
        vlstore.open(folder)


def test_shards_are_balanced_and_whole_store_functions_take_them(folder, tmp_path):
    made = vlstore.shard(folder, tmp_path / "new", parts=4, balance="weight")
    store, old = vlstore.open(tmp_path / "new"), vlstore.open(folder)
    assert [part.records for part in made] == [m["records"] for m in store.info()["members"]]
    weights = [m["weight"] for m in store.info()["members"]]
    assert max(weights) - min(weights) <= 2 * old.at.weights().max()
    assert list(store) == list(old)
    assert np.array_equal(store.column("energy"), old.column("energy"))
    with pytest.raises(StoreExistsError):
        vlstore.shard(folder, tmp_path / "new", parts=4)
    with pytest.raises(InvalidError, match="by one of"):
        vlstore.shard(folder, tmp_path / "other", parts=4, records=3)
    with pytest.raises(InvalidError, match="balance"):
        vlstore.shard(folder, tmp_path / "other", parts=4, balance="time")
    assert vlstore.copy(tmp_path / "new", tmp_path / "copy.vls", range=range(10, 80)).records == 70
    assert vlstore.open(tmp_path / "copy.vls").at.key(0) == 10
    parts = vlstore.split(tmp_path / "new", tmp_path / "part.vls", records=40)
    assert [part.records for part in parts] == [40, 40, 10]
    with pytest.raises(KeyboardInterrupt):
        vlstore.shard(folder, tmp_path / "stopped", parts=3, progress=vlstore_workers.interrupt)
    assert not [name for name in os.listdir(tmp_path) if "stopped" in name]


def test_the_loader_takes_a_data_set_with_the_numbering_of_a_store(folder, tmp_path):
    merged = tmp_path / "merged.vls"
    vlstore.merge([folder], merged)
    how = {"batch_size": 7, "seed": 3, "window": 30, "group": 5, "fields": ["positions", "energy"]}
    one, many = Loader(merged, **how), Loader(folder, **how, max_open=1)
    assert len(one) == len(many)
    for a, b in zip(one, many, strict=True):
        assert np.array_equal(a.ordinals, b.ordinals)
        assert all(np.array_equal(a[name], b[name]) for name in a)
    state = many.state_dict()
    fresh = pickle.loads(pickle.dumps(many))
    fresh.load_state_dict(state)
    records = Loader(folder, batch_size=8, layout="records", shuffle=False)
    assert sum(len(batch) for batch in records) == 90
    capped = Loader(folder, max_atoms=200, seed=1)
    assert sum(len(batch.ordinals) for batch in capped) == 90


def test_processes_publish_side_by_side(tmp_path):
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=vlstore_workers.publish_members, args=(str(tmp_path), who, 5))
        for who in "ab"
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    store = vlstore.open(tmp_path)
    assert (len(store.info()["members"]), store.generation) == (10, 10)
    assert sorted(store) == sorted(f"{who}-{i}" for who in "ab" for i in range(5))
