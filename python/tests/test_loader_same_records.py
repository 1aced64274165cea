"""A loader has the records that there were when it was made: in shares, copies and resumed runs, however stores grow."""

import pickle
import shutil

import numpy as np
import pytest

import vlstore
from vlstore.loader import Loader
from vlstore_workers import Odd, odd

FRAMES = 600


def write(path, start, stop, mode="w", **options):
    with vlstore.open(path, mode, records="md-frame", **options) as store:
        for i in range(start, stop):
            store[f"{path.stem} {i}"] = vlstore.MdFrame(
                np.full((3 + i % 11, 3), float(i)), energy=float(i), step=i, frame_properties={"edges": i % 5}
            )
    return path


def served(loader):
    return [o for batch in loader for o in batch.ordinals.tolist()]


@pytest.fixture
def frames(path):
    return write(path, 0, FRAMES)


@pytest.mark.parametrize("limits", [{"batch_size": 16}, {"max_atoms": 150}])
@pytest.mark.parametrize("before", [(1, 1), (1, 2), (2, 1), (1, 3), (2, 2)])
@pytest.mark.parametrize("after", [(1, 1), (1, 2), (2, 1), (1, 3), (2, 3)])
def test_shares_of_a_resumed_run_have_exactly_the_rest(frames, limits, before, after):
    def loader():
        return Loader(frames, seed=5, window=96, group=8, fields=["step"], rest="repeat", **limits)

    def shares(of, world, workers):
        return [
            of.share(rank=rank, world=world, worker=worker, workers=workers)
            for rank in range(world)
            for worker in range(workers)
        ]

    first = shares(loader(), *before)
    runs, had = [iter(share) for share in first], []
    for _ in range(3):
        # In the order of the steps: each worker has the next one.
        for worker in range(before[1]):
            for rank in range(before[0]):
                batch = next(runs[rank * before[1] + worker])
                had += batch.ordinals.tolist()
    state = first[0].state_dict(batch)
    assert not batch.repeated
    resumed = loader()
    resumed.load_state_dict(state)
    for copy in (resumed, pickle.loads(pickle.dumps(resumed))):
        rest = [
            o
            for share in shares(copy, *after)
            for batch in share
            if not batch.repeated
            for o in batch.ordinals.tolist()
        ]
        # A batch that comes twice is marked for one rank only if the other has it, too.
        assert set(had).isdisjoint(rest) and len(set(rest)) == len(rest)
        assert len(had) + len(rest) >= FRAMES - 16 * after[0] * after[1]
        if after[0] == 1:
            assert sorted(had + rest) == list(range(FRAMES))


def grown(kind, folder):
    """What a loader is made of, and what lets it grow."""
    one, two = (write(folder / f"{name}.vls", 0, FRAMES // 2) for name in ("one", "two"))

    def grow():
        write(one, FRAMES, FRAMES + 50, "a")
        write(two, FRAMES, FRAMES + 70, "a")

    if kind == "folder":
        vlstore.publish(folder, [one.name, two.name])
        return str(folder), lambda: vlstore.publish(folder, [write(folder / "three.vls", 0, 50).name])
    return {"path": one, "list": [one, two], "dict": {"a": one, "b": [two]}, "open": vlstore.open(one)}[kind], grow


@pytest.mark.parametrize("kind", ["path", "open", "list", "dict", "folder"])
@pytest.mark.parametrize("how", [{}, {"records": range(250)}, {"max_cost": 150, "cost": "edges", "batch_size": None}])
def test_copies_and_shares_have_the_same_records_when_stores_grow(tmp_path, kind, how):
    store, grow = grown(kind, tmp_path)
    if kind == "dict":
        how = {**how, "temperature": 1.0}
    how = {"batch_size": 16, **how}
    loader = Loader(store, seed=1, fields=["step"], max_open=1, **how)
    dump = pickle.dumps(loader)
    wanted = [batch.ordinals.tolist() for batch in loader]
    loader.set_epoch(0)
    state, effect, balance = loader.state_dict(), loader.design_effect("energy"), loader.balance()
    grow()
    for other in (loader, loader.share(), pickle.loads(dump), pickle.loads(pickle.dumps(loader))):
        assert [batch.ordinals.tolist() for batch in other] == wanted, kind
        other.set_epoch(0)
        assert other.state_dict() == state
        assert (other.design_effect("energy"), other.balance()) == (effect, balance)
    workers = [loader.share(worker=worker, workers=2) for worker in range(2)]
    assert sorted(o for worker in workers for o in served(worker)) == sorted(sum(wanted, []))


def test_a_copy_of_a_loader_refuses_another_file(tmp_path):
    paths = [write(tmp_path / f"{name}.vls", 0, 40) for name in ("one", "two")]
    for store in (paths[0], paths):
        loader = Loader(store, batch_size=4)
        dump = pickle.dumps(loader)
        kept = paths[0].read_bytes()
        write(paths[0], 0, 40)
        with pytest.raises(vlstore.ReplacedError):
            pickle.loads(dump)
        paths[0].write_bytes(kept)
        assert len(served(pickle.loads(dump))) in (40, 80)


@pytest.mark.parametrize("records", [None, slice(FRAMES, None), [FRAMES + 9, 3]])
def test_a_state_of_a_copy_that_was_written_differently_is_refused(frames, records):
    copy = frames.with_name("copy.vls")
    shutil.copy(frames, copy)
    write(frames, FRAMES, FRAMES + 10, "a")

    def loader(path):
        return Loader(path, batch_size=4, group=8, records=records)

    state = loader(frames).state_dict()
    write(copy, FRAMES + 20, FRAMES + 30, "a")
    with pytest.raises(vlstore.InvalidError, match="two copies of a store were written differently"):
        loader(copy).load_state_dict(state)
    shutil.copy(frames, copy)
    loader(copy).load_state_dict(state)


def test_a_run_goes_on_in_the_first_records_of_a_store_that_has_grown(path):
    # What comes is much larger, so that the sizes of groups that suit it are others.
    write(path, 0, 400)
    loader = Loader(path, batch_size=16, fields=["step"], memory=200_000)
    wanted = served(loader)
    loader.set_epoch(0)
    run = iter(loader)
    had = [o for _ in range(7) for o in next(run).ordinals.tolist()]
    state = loader.state_dict()
    with vlstore.open(path, "a") as store:
        for i in range(400, 700):
            store[f"large {i}"] = vlstore.MdFrame(np.random.default_rng(i).random((400, 3)), step=i, energy=0.0)
    later = Loader(path, batch_size=16, fields=["step"], memory=200_000, records=slice(0, 400))
    assert later.state_dict()["group"] != state["group"]
    first = Loader(path, batch_size=16, fields=["step"], memory=200_000, records=slice(0, 300))
    later.load_state_dict(state)
    assert had + served(later) == wanted
    with pytest.raises(vlstore.InvalidError, match="number of records"):
        first.load_state_dict(state)


def test_an_order_with_a_window_that_just_holds_all_is_the_same_when_the_store_has_grown(path):
    # The window is rounded up to whole batches, and then has all records.
    with vlstore.open(path, "w", records="md-frame") as store:
        for i in range(1000):
            store[i] = vlstore.MdFrame(np.random.default_rng(i).random((50, 3)), step=i)
    loader = Loader(path, batch_size=64, window=970, fields=["step"])
    dump = pickle.dumps(loader)
    early, state = pickle.loads(dump), loader.state_dict()
    with vlstore.open(path, "a") as store:
        for i in range(200):
            store[f"large {i}"] = vlstore.MdFrame(np.random.default_rng(i).random((2000, 3)), step=i)
    late = pickle.loads(dump)
    assert late.order_id == early.order_id == loader.order_id
    both = [early.share(worker=0, workers=2), late.share(worker=1, workers=2)]
    assert sorted(o for one in both for o in served(one)) == list(range(1000))
    resumed = Loader(path, batch_size=64, window=970, fields=["step"], records=slice(0, 1000))
    resumed.load_state_dict(state)
    assert served(resumed) == served(loader)


@pytest.mark.parametrize("fields", [None, ["positions", "step"]])
@pytest.mark.parametrize("where", [0, 57, 199])
def test_a_damaged_frame_wherever_is_named_or_skipped(path, fields, where):
    with vlstore.open(path, "w", records="md-frame", compression="stored", chunk_size=4096) as store:
        for i in range(200):
            store[f"m{i}"] = vlstore.MdFrame(
                np.full((10, 3), i + 0.123), step=i, energy=float(i), frame_properties={"edges": i % 9}
            )
    data = bytearray(path.read_bytes())
    data[data.index(np.full(3, where + 0.123).tobytes())] ^= 1
    path.write_bytes(data)
    for how in ({"batch_size": 7}, {"max_cost": 40, "cost": "edges"}):
        loader = Loader(path, fields=fields, damaged="skip", **how)
        found = served(loader)
        assert where not in found and 0 < loader.skipped < 60
        assert len(found) + loader.skipped == 200
    assert sorted(served(Loader(path, batch_size=7, records=slice(60, 130)))) == list(range(60, 130))
    with pytest.raises(vlstore.CorruptError, match=r"record \"m\d+\" \(ordinal \d+\)"):
        served(Loader(path, batch_size=7, fields=fields))
    with pytest.raises(vlstore.CorruptError) as caught:
        Loader(path, max_cost=40, cost="edges", fields=fields)
    assert "for its cost 'edges'" in caught.value.__notes__[0]


def test_a_batch_of_damaged_frames_alone_has_the_shape_of_the_others(path):
    with vlstore.open(path, "w", records="md-frame", compression="stored", chunk_size=4096) as store:
        for i in range(200):
            store[i] = vlstore.MdFrame(np.full((10, 3), i + 0.123), step=i)
    data = bytearray(path.read_bytes())
    data[data.index(np.full(3, 57.123).tobytes())] ^= 1
    path.write_bytes(data)
    how = {"batch_size": 1, "shuffle": False, "layout": "padded", "pad_to": 12, "damaged": "skip", "fields": ["positions", "step"]}
    for rows in (False, True):
        plain = list(Loader(path, pad_rows=rows, **how))
        made = list(Loader(path, transform_record=dict, pad_rows=rows, **how))
        assert len(made) == len(plain) and any(len(batch.ordinals) == 0 for batch in made)
        for one, other in zip(made, plain, strict=True):
            assert list(one) == list(other)
            assert [(a.shape, a.dtype) for a in one.values()] == [(a.shape, a.dtype) for a in other.values()]


def test_the_fields_and_types_of_a_batch_depend_on_no_other_batch(tmp_path):
    odd, mixed = tmp_path / "odd.vls", tmp_path / "mixed.vls"
    with vlstore.open(odd, "w", records="md-frame") as store:
        for i in range(300):
            energy = {} if i == 150 else {"energy": 1.0}
            store[i] = vlstore.MdFrame(np.zeros((4, 3)), step=i, **energy)
    for memory in (1 << 20, 20_000):
        with pytest.raises(vlstore.InvalidError, match="150.*has no \"energy\""):
            list(Loader(odd, batch_size=10, memory=memory))
        found = list(Loader(odd, batch_size=10, memory=memory, missing="fill", mask=True))
        assert {tuple(batch) for batch in found} == {tuple(found[0])} and "energy_mask" in found[0]
    with vlstore.open(mixed, "w", records="md-frame") as store:
        for i in range(300):
            store[i] = vlstore.MdFrame(np.zeros((4, 3), np.float64 if i == 150 else np.float32))
    for memory in (1 << 20, 20_000):
        with pytest.raises(vlstore.InvalidError, match="dtype: \"positions\" is float32 in the first frame and float64"):
            list(Loader(mixed, batch_size=10, memory=memory))
        for dtype in ("float32", "float64"):
            found = list(Loader(mixed, batch_size=10, memory=memory, dtype={"positions": dtype}))
            assert {batch["positions"].dtype.name for batch in found} == {dtype}


def test_a_property_that_one_store_alone_has_is_filled_in_the_others(tmp_path):
    plain, more, empty = (tmp_path / f"{name}.vls" for name in ("plain", "more", "empty"))
    with vlstore.open(plain, "w", records="md-frame") as store:
        for i in range(40):
            store[i] = vlstore.MdFrame(np.zeros((1 + i % 3, 3)), step=i)
    with vlstore.open(more, "w", records="md-frame") as store:
        for i in range(40):
            n = 1 + i % 4
            properties = {"gap": float(i)} if i % 2 else {}
            store[i] = vlstore.MdFrame(
                np.zeros((n, 3)), step=i, atom_properties={"q": np.full((n, 2), float(i))}, frame_properties=properties
            )
    vlstore.open(empty, "w", records="md-frame").close()
    fields = ["positions", "step", "q", "gap"]
    for stores in ([plain, more], [more, plain], [empty, plain, more]):
        for size in (4, 100):
            seen = 0
            for batch in Loader(stores, batch_size=size, fields=fields, missing="fill", mask=True, seed=3):
                assert batch["q"].shape == (len(batch["positions"]), 2) and "q" in batch.per_site
                first = 40 if stores[0] != more else 0
                has = (batch.ordinals >= first) & (batch.ordinals < first + 40)
                assert (batch["q_mask"] == has).all()
                assert (batch["gap_mask"] == has & (batch["step"] % 2 == 1)).all()
                assert (batch["gap"][batch["gap_mask"]] == batch["step"][batch["gap_mask"]]).all()
                seen += len(batch.ordinals)
            assert seen == 80
        with pytest.raises(vlstore.InvalidError, match="has no \"(q|gap)\""):
            list(Loader(stores, batch_size=4, fields=fields))
        with pytest.raises(vlstore.InvalidError, match="\"charge\" does not exist"):
            Loader(stores, batch_size=4, fields=[*fields, "charge"], missing="fill")
    assert len(served(Loader([empty, plain], batch_size=8, cost="weight", max_cost=20))) == 40


def test_records_without_a_number_measure_no_order(path):
    with vlstore.open(path, "w", records="md-frame") as store:
        for i in range(200):
            energy = {} if i == 7 else {"energy": float(i)}
            store[f"m{i}"] = vlstore.MdFrame(np.zeros((2, 3)), **energy)
    loader = Loader(path, batch_size=8, fields=["positions"])
    for measure in (loader.design_effect, loader.window_for):
        with pytest.raises(vlstore.InvalidError, match="m7"):
            measure("energy")
        with pytest.raises(vlstore.InvalidError, match="m9"):
            measure([np.nan if i == 9 else i for i in range(200)])
    rest = Loader(path, batch_size=8, fields=["positions"], records=slice(8, None))
    assert rest.design_effect("energy") > 0


def test_ranks_have_the_same_cost_also_of_few_and_unlike_records(path):
    sizes = [200 if i % 50 == 0 else 3 for i in range(2000)]
    with vlstore.open(path, "w", records="md-frame") as store:
        for i, n in enumerate(sizes):
            store[i] = vlstore.MdFrame(np.zeros((n, 3), np.float32))
    for shuffle in (True, False, "global"):
        for world in (2, 4, 8):
            loaders = [
                Loader(path, max_atoms=400, shuffle=shuffle, rank=rank, world=world, seed=3) for rank in range(world)
            ]
            balance = loaders[0].balance()
            sums = [sum(sizes[o] for o in served(loader)) for loader in loaders]
            assert balance.sums == sums
            assert balance.apart < 0.05, (shuffle, world, balance)


def test_what_is_said_while_an_epoch_runs_holds_for_the_next(frames):
    loader = Loader(frames, batch_size=100, seed=2)
    first = []
    for batch in loader:
        first.append(batch.ordinals.tolist())
        loader.set_epoch(0)
    assert [batch.ordinals.tolist() for batch in loader] == first and loader.epoch == 1


def test_paths_are_those_of_the_folder_in_which_the_loader_was_made(tmp_path, monkeypatch):
    for name in "ab":
        write(tmp_path / f"{name}.vls", 0, 20)
    (tmp_path / "elsewhere").mkdir()
    for store in (["a.vls", "b.vls"], "*.vls", {"a": "a.vls", "b": "b.vls"}):
        monkeypatch.chdir(tmp_path)
        loader = Loader(store, batch_size=4, max_open=1)
        monkeypatch.chdir(tmp_path / "elsewhere")
        for one in (loader, loader.share(), pickle.loads(pickle.dumps(loader))):
            assert sorted(served(one)) == list(range(40))
            assert one.design_effect("energy") > 0


def test_names_of_stores_that_are_the_same_are_refused(frames):
    with pytest.raises(vlstore.InvalidError, match="the same as strings"):
        Loader({1: frames, "1": frames}, batch_size=4, temperature=1)


@pytest.mark.parametrize(("where", "kind"), [("caller", Odd), ("threads", Odd), ("processes", RuntimeError)])
def test_an_exception_of_a_transform_is_its_own_where_it_can_be(frames, where, kind):
    with pytest.raises(kind) as caught:
        list(Loader(frames, batch_size=4, transform=odd, transform_in=where, transform_workers=1))
    assert "in the transform" in caught.value.__notes__[0]


def test_a_mask_of_a_list_that_grows_meanwhile_fits(tmp_path):
    paths = [write(tmp_path / f"{name}.vls", 0, 40) for name in ("one", "two")]
    loader = None

    def chosen(column):
        first = column("energy")
        shutil.copy(paths[0], tmp_path / "kept.vls")
        write(paths[0], 40, 60, "a")
        return (first < 30) & (column("step") >= 10)

    loader = Loader(paths, batch_size=4, records=chosen)
    assert sorted(served(loader)) == [*range(10, 30), *range(50, 70)]
