"""The training loader: every record once, in every layout, after any stop, in any process."""

import json
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys

import numpy as np
import pytest

import vlstore
from vlstore.loader import Batch, Loader, Records, split
from vlstore_workers import in_processes, load_part

METHODS = [m for m in ("fork", "spawn", "forkserver") if m in multiprocessing.get_all_start_methods()]
FRAMES = 600


@pytest.fixture
def frames(path):
    """Frames of 5 to 59 sites whose numbers say which frame they are of; every third has no energy."""
    random = np.random.default_rng(0)
    with vlstore.open(path, "w", records="md-frame", chunk_size=65536) as store:
        for i, n in enumerate(random.integers(5, 60, FRAMES)):
            energy = {} if i % 3 == 0 else {"energy": float(i)}
            store[f"m{i}"] = vlstore.MdFrame(
                np.full((n, 3), float(i)), types=np.full(n, i % 7), step=i, **energy
            )
    return path


def served(loader):
    return [o for batch in loader for o in batch.ordinals.tolist()]


@pytest.mark.parametrize("shuffle", [True, False, "global", "windows", "sequential"])
@pytest.mark.parametrize("limits", [{"batch_size": 32}, {"max_atoms": 500}, {"batch_size": 7, "max_atoms": 300}])
def test_an_epoch_has_every_frame_once_with_its_arrays(frames, shuffle, limits):
    loader = Loader(frames, shuffle=shuffle, seed=3, window=128, group=16, **limits)
    seen = []
    for batch in loader:
        assert isinstance(batch, Batch) and not batch.repeated
        assert batch["ptr"].tolist()[-1] == len(batch["positions"]) == len(batch["batch"])
        assert (batch["step"] == batch.ordinals).all()
        assert (batch["positions"][:, 0] == batch["step"][batch["batch"]]).all()
        assert (np.diff(batch["ptr"]) == loader.store.at.weights(batch.ordinals)).all()
        assert len(batch["positions"]) <= limits.get("max_atoms", 10**9)
        assert len(batch.ordinals) <= limits.get("batch_size", 10**9)
        batch["positions"][:] = 0
        seen += batch.ordinals.tolist()
    assert sorted(seen) == list(range(FRAMES))
    assert (loader.epoch, loader.progress) == (1, 0.0)
    again = served(loader)
    assert sorted(again) == sorted(seen) and (again != seen) == (shuffle not in (False, "sequential"))
    if limits == {"batch_size": 32}:
        assert len(loader) == -(-FRAMES // 32)


def test_layouts_hold_the_same_numbers(frames):
    def first(**how):
        return next(iter(Loader(frames, batch_size=8, seed=1, fields=["positions", "types", "step"], **how)))

    ragged, padded, narrow = first(), first(layout="padded"), first(dtype="float32")
    assert narrow["positions"].dtype == np.float32 and narrow["types"].dtype == np.int32
    assert (narrow["positions"] == ragged["positions"]).all()
    assert list(padded) == ["positions", "types", "step", "sites", "site_mask"]
    assert padded["positions"].shape == (8, padded["sites"].max(), 3)
    assert (padded["positions"][padded["site_mask"]] == ragged["positions"]).all()
    assert not padded["types"][~padded["site_mask"]].any()
    fixed = first(layout="padded", pad_to=64, dtype=np.float32)
    assert fixed["positions"].shape == (8, 64, 3) and fixed["positions"].dtype == np.float32
    assert (fixed["positions"][fixed["site_mask"]] == ragged["positions"]).all()
    with pytest.raises(vlstore.InvalidError, match="sites, more than 20"):
        first(layout="padded", pad_to=20)


def test_numbers_come_in_the_types_that_are_asked_for_by_field(frames):
    how = {"batch_size": 8, "seed": 1, "fields": ["positions", "types", "step"]}
    plain = next(iter(Loader(frames, **how)))
    kinds = {"positions": np.float32, "types": "int64"}
    batch = next(iter(Loader(frames, dtype=kinds, **how)))
    assert [batch[name].dtype.name for name in how["fields"]] == ["float32", "int64", "int64"]
    assert all((batch[name] == plain[name]).all() for name in how["fields"])
    for wrong, why in [
        ({"energy": "float32"}, "\"energy\" is not one of the fields: positions, types, step"),
        ({"types": "float32"}, "\"types\" is int32 in the store, not to be turned to float32"),
        ({"step": "int32"}, "\"step\" is int64 in the store"),
        ({"positions": "float16"}, "float16"),
        ("int64", "int64"),
    ]:
        with pytest.raises(vlstore.InvalidError, match=why):
            Loader(frames, dtype=wrong, **how)
    with pytest.raises((vlstore.Error, TypeError)):
        Loader(frames, dtype={"positions": 7}, **how)


UNITS = {"length": "angstrom", "time": "fs", "velocity": "angstrom/fs", "energy": "eV", "force": "eV/angstrom"}


def test_types_have_the_names_of_numpy_or_of_another_library(frames):
    class Foreign:
        def __str__(self):
            return "torch.float32"

    batch = next(iter(Loader(frames, batch_size=4, fields=["positions"], dtype=Foreign())))
    assert batch["positions"].dtype == np.float32
    for odd in ("bfloat16", "torch.bfloat16", object()):
        for dtype in (odd, {"positions": odd}):
            with pytest.raises(vlstore.Error, match="dtype"):
                Loader(frames, batch_size=4, fields=["positions"], dtype=dtype)


def stated(path, width, **units):
    """A store with one frame of ones that states its units."""
    with vlstore.open(path, "w", records="md-frame") as store:
        if units:
            store.attrs["units"] = units
        ones = np.ones((2, 3), width)
        store.push(vlstore.MdFrame(
            ones, velocities=ones, forces=ones, types=[1, 8], cell=np.eye(3), pbc=True, energy=1.0, time=1.0,
            stress=np.ones((3, 3)), frame_properties={"gap": 1.0},
        ))
    return path


@pytest.mark.parametrize("width", ["f4", "f8"])
def test_numbers_come_in_the_units_that_are_asked_for(tmp_path, width):
    path = stated(tmp_path / "ev.vls", width, **UNITS)
    wanted = {"length": "nm", "velocity": "nm/ps", "force": "kcal/mol/angstrom", "energy": "kcal/mol",
              "stress": "GPa", "time": "ps"}
    # eV in kcal/mol, eV/A^3 in GPa: CODATA 2018.
    kcal, gpa = 96.48533212331002 / 4.184, 160.2176634
    fields = ["positions", "velocities", "forces", "cell", "energy", "stress", "time", "types", "gap"]
    expected = {"positions": 0.1, "velocities": 100.0, "forces": kcal, "cell": 0.1, "energy": kcal,
                "stress": gpa, "time": 0.001, "types": 1, "gap": 1}
    for dtype in (None, "float32", "float64"):
        (batch,) = Loader(path, batch_size=1, units=wanted, dtype=dtype, fields=fields)
        for name, factor in expected.items():
            got = batch[name][batch[name] != 0][0]
            assert got == pytest.approx(factor, rel=1e-12 if got.dtype == np.float64 else 1e-7), name
        # Rounded once, and a tenth is a tenth.
        assert batch["positions"][0, 0] == batch["positions"].dtype.type(0.1)
        assert batch["positions"].dtype == np.dtype(dtype or width)
    (batch,) = Loader(path, batch_size=1, units={"energy": "hartree"}, layout="padded")
    assert batch["energy"][0] == pytest.approx(1 / 27.211386245988, rel=1e-12)
    assert (batch["forces"] == 1).all(), "what is not asked for stays"


def test_units_that_cannot_be_are_refused_at_once(tmp_path):
    path = stated(tmp_path / "ev.vls", "f8", **UNITS)
    how = {"batch_size": 1}
    for wrong, why in [
        ({"energy": "calories"}, "\"calories\" is not a unit of energy: kJ/mol"),
        ({"energy": "nm"}, "\"nm\" is not a unit of energy"),
        ({"forces": "eV/angstrom"}, "numbers of forces are of force"),
        ({"mass": "u"}, "the store states no unit of mass"),
    ]:
        with pytest.raises(vlstore.InvalidError, match=why):
            Loader(path, units=wrong, **how)
    for wrong in ("eV", {1: "eV"}, {"energy": None}):
        with pytest.raises(vlstore.WrongTypeError, match="unit"):
            Loader(path, units=wrong, **how)
    with pytest.raises(vlstore.InvalidError, match="the store states no unit of energy") as caught:
        Loader(stated(tmp_path / "none.vls", "f8"), units={"energy": "eV"}, **how)
    assert "none.vls" in caught.value.__notes__[0]
    with pytest.raises(vlstore.InvalidError, match="have the units of the store"):
        Loader(path, units={"energy": "eV"}, layout="records", **how)
    with pytest.raises(vlstore.InvalidError, match="\"furlong\" as its unit of length"):
        Loader(stated(tmp_path / "odd.vls", "f8", length="furlong"), units={"length": "nm"}, **how)


def test_stores_in_different_units_are_one_data_set_only_in_one_unit(tmp_path):
    paths = [
        stated(tmp_path / "ev.vls", "f8", **UNITS),
        stated(tmp_path / "kj.vls", "f4", **{**UNITS, "energy": "kJ/mol"}),
    ]
    with pytest.raises(vlstore.InvalidError, match="energy is in eV in one store and in kJ/mol") as caught:
        Loader(paths, batch_size=2)
    assert "kj.vls" in caught.value.__notes__[0]
    assert len(Loader(paths, batch_size=2, fields=["positions", "types"])) == 1
    batch = next(iter(Loader(paths, batch_size=2, shuffle=False, units={"energy": "kJ/mol", "stress": "bar"})))
    assert batch["energy"] == pytest.approx([96.48533212331002, 1.0])
    assert batch["stress"][:, 0, 0] == pytest.approx([1602176.634, 1602176.634 / 96.48533212331002])
    # A loader that travels keeps its units.
    same = pickle.loads(pickle.dumps(Loader(paths, batch_size=2, units={"energy": "eV", "stress": "GPa"})))
    assert sorted(next(iter(same))["energy"]) == pytest.approx([1 / 96.48533212331002, 1.0])


@pytest.mark.parametrize("layout", ["ragged", "padded"])
def test_arrays_of_a_batch_are_exchanged_by_dlpack_without_a_copy(frames, layout):
    jax = pytest.importorskip("jax")
    fields = ["positions", "types"]
    for batch in Loader(frames, batch_size=7, seed=1, layout=layout, dtype="float32", fields=fields):
        for array in (batch[name] for name in fields):
            assert np.shares_memory(np.from_dlpack(array), array)
            made = jax.dlpack.from_dlpack(array)
            assert made.unsafe_buffer_pointer() == array.ctypes.data and made.shape == array.shape


def test_missing_fields_are_filled_and_masked(frames):
    for batch in Loader(frames, batch_size=50, fields=["energy"], fill_value=-1, mask=True):
        there = batch.ordinals % 3 != 0
        assert (batch["energy_mask"] == there).all()
        assert (batch["energy"] == np.where(there, batch.ordinals, -1)).all()
    with pytest.raises(vlstore.InvalidError, match="has no \"energy\""):
        list(Loader(frames, batch_size=50, fields=["energy"]))


def test_values_of_any_store_come_as_lists(path, frames):
    batch = next(iter(Loader(frames, batch_size=4, layout="records")))
    assert isinstance(batch, Records)
    assert [frame.step for frame in batch] == batch.ordinals.tolist()
    with vlstore.memory() as store:
        for i in range(50):
            store[i] = b"%d" % i
        loader = Loader(store, batch_size=8)
        with pytest.raises(vlstore.InvalidError, match="layout"):
            Loader(store, batch_size=8, layout="ragged")
        store.commit()
        batches = list(Loader(store, batch_size=8))
        assert sorted(int(value) for batch in batches for value in batch) == list(range(50))
        assert list(loader) == [], "what was committed later is not seen"
    with vlstore.memory(records="array") as arrays:
        arrays[0] = np.arange(3.0)
        arrays.commit()
        (batch,) = Loader(arrays, batch_size=8)
        assert batch[0].tolist() == [0, 1, 2]


def test_a_state_goes_on_with_exactly_the_rest(frames):
    for limits in ({"batch_size": 16}, {"max_atoms": 400}):
        make = lambda **more: Loader(frames, seed=5, window=96, group=8, **limits, **more)  # noqa: E731
        loader = make()
        loader.set_epoch(2)
        batches = iter(loader)
        had = [next(batches) for _ in range(5)]
        state = json.loads(json.dumps(loader.state_dict()))
        assert len(json.dumps(state)) < 400 and state["epoch"] == 2
        assert loader.state_dict(had[1])["batch"] == 2
        rest = [b.ordinals.tolist() for b in batches]
        other = make()
        other.load_state_dict(state)
        assert other.epoch == 2 and 0 < other.progress < 1
        assert [b.ordinals.tolist() for b in other] == rest
        assert other.epoch == 3
        # Two ranks instead of one.
        seen = [o for batch in had for o in batch.ordinals.tolist()]
        for rank in range(2):
            part = make(rank=rank, world=2, rest="repeat")
            part.load_state_dict(state)
            seen += [o for b in part if not b.repeated for o in b.ordinals.tolist()]
        assert sorted(seen) == list(range(FRAMES))


def test_workers_in_turn_are_one_sequence_and_their_batches_know_its_states(frames):
    loader = Loader(frames, batch_size=16, seed=5, window=96, group=8)
    workers = [iter(loader.share(worker=w, workers=3)) for w in range(3)]
    batches = []
    while (batch := next(workers[len(batches) % 3], None)) is not None:
        batches.append(batch)
    assert sorted(o for b in batches for o in b.ordinals) == list(range(FRAMES))
    state = loader.state_dict(pickle.loads(pickle.dumps(batches[10])))
    loader.load_state_dict(state)
    rest = [b.ordinals.tolist() for b in batches[11:]]
    assert [b.ordinals.tolist() for b in loader] == rest
    # Also with other workers, who keep the lanes of the state.
    loader.load_state_dict(state)
    workers = [iter(loader.share(worker=w, workers=2)) for w in range(2)]
    assert [next(workers[i % 2]).ordinals.tolist() for i in range(len(rest))] == rest


def test_an_iteration_that_is_left_begins_anew(frames):
    loader = Loader(frames, batch_size=16, seed=1)
    first = next(iter(loader)).ordinals.tolist()
    assert next(iter(loader)).ordinals.tolist() == first
    assert sorted(served(loader)) == list(range(FRAMES))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"seed": 6}, "seed is 5, that of this loader 6"),
        ({"window": 128}, "window is 96"),
        ({"batch_size": 8}, "batch size is 16"),
        ({"shuffle": "global"}, "shuffle is \"windows\""),
        ({"records": range(599)}, "number of records is 600"),
        ({"records": range(599, -1, -1)}, "data"),
    ],
)
def test_a_state_of_another_order_is_refused(frames, change, why):
    options = {"seed": 5, "window": 96, "batch_size": 16, "group": 8}
    state = Loader(frames, **options).state_dict()
    with pytest.raises(vlstore.InvalidError, match=why):
        Loader(frames, **{**options, **change}).load_state_dict(state)


def test_states_that_are_none_are_refused(frames):
    loader = Loader(frames, batch_size=16)
    for bad in (None, {}, [1], {"vlstore-loader": "x"}):
        with pytest.raises(vlstore.InvalidError):
            loader.load_state_dict(bad)
    with pytest.raises(vlstore.UnsupportedError):
        loader.load_state_dict({**loader.state_dict(), "vlstore-loader": 99})
    with pytest.raises(vlstore.WrongTypeError):
        loader.load_state_dict({"a": object()})


PROGRAM = """
import json, os, sys
from vlstore.loader import Loader

loader = Loader(sys.argv[1], max_atoms=300, seed=2, window=64, group=8)
if os.path.exists("state.json"):
    loader.load_state_dict(json.load(open("state.json")))
log = open("seen.txt", "a")
for batch in loader:
    # A step, then its records and its state, both or none.
    line = " ".join(map(str, batch.ordinals))
    with open("state.new", "w") as file:
        json.dump(loader.state_dict(), file)
    log.write(line + "\\n")
    log.flush()
    os.replace("state.new", "state.json")
    print(flush=True)
    if not os.path.exists("go"):
        sys.stdin.readline()
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_a_killed_loop_goes_on_with_exactly_the_records_not_yet_seen(frames, tmp_path):
    def start():
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(frames)], cwd=tmp_path, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )

    for steps in (3, 5, 1):
        with start() as run:
            for i in range(steps):
                assert run.stdout.readline() == "\n"
                if i < steps - 1:
                    run.stdin.write("\n")
                    run.stdin.flush()
            run.send_signal(signal.SIGKILL)
    assert len((tmp_path / "seen.txt").read_text().splitlines()) == 9
    (tmp_path / "go").touch()
    with start() as run:
        run.communicate()
        assert run.returncode == 0
    seen = (tmp_path / "seen.txt").read_text().split()
    assert sorted(map(int, seen)) == list(range(FRAMES))


@pytest.mark.parametrize("method", METHODS)
def test_processes_load_disjoint_parts_also_when_the_parent_has_read(frames, method):
    loader = Loader(vlstore.open(frames, threads=2), batch_size=8, seed=4, window=64, group=8)
    under_way = iter(loader)
    next(under_way)
    parts = [loader.share(rank=rank, world=2, worker=worker, workers=2)
             for rank in range(2) for worker in range(2)]
    found = in_processes(multiprocessing.get_context(method), load_part, [(part,) for part in parts])
    seen = [o for batches in found for batch in batches for o in batch]
    # 75 batches: the last has none for the second rank.
    assert len(seen) == len(set(seen)) == FRAMES - 8
    assert sorted(len(batches) for batches in found) == [18, 18, 19, 19]
    assert sum(1 for _ in under_way) == 74


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_an_iteration_belongs_to_its_process(frames):
    batches = iter(Loader(frames, batch_size=100, window=100))
    next(batches)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            next(batches)
        except vlstore.InvalidError as error:
            code = 0 if "belongs to the process" in str(error) else 2
        os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    assert sum(1 for _ in batches) == 5


def test_ranks_have_equally_many_batches_and_say_what_is_repeated(frames):
    for rest in ("drop", "repeat"):
        parts = [list(Loader(frames, batch_size=32, seed=1, rank=r, world=4, rest=rest)) for r in range(4)]
        lengths = {len(part) for part in parts}
        assert lengths == {len(Loader(frames, batch_size=32, world=4, rest=rest))}
        repeated = [b for part in parts for b in part if b.repeated]
        # 19 batches: one step has none for one rank.
        assert (lengths, len(repeated)) == (({4}, 0) if rest == "drop" else ({5}, 1))
        assert rest == "drop" or repeated[0].ordinals.tolist() == parts[0][-1].ordinals.tolist()


def test_atoms_are_balanced_between_ranks(frames):
    sums = [
        sum(len(b["positions"]) for b in Loader(
            frames, max_atoms=300, seed=1, group=4, window=64, rank=rank, world=2, fields=["positions"]
        ))
        for rank in range(2)
    ]
    assert max(sums) <= 1.05 * min(sums)


def test_selections_and_splits(frames):
    store = vlstore.open(frames)
    heavy = store.at.weights() > 30
    loader = Loader(store, batch_size=16, records=heavy)
    assert sorted(served(loader)) == np.flatnonzero(heavy).tolist()
    assert sorted(served(Loader(store, batch_size=16, records=slice(100, None, 7)))) == list(range(100, 600, 7))
    assert served(Loader(store, batch_size=16, records=[5, 3, -1], shuffle=False)) == [5, 3, 599]
    assert served(Loader(store, batch_size=16, records=[])) == []
    with pytest.raises(vlstore.InvalidError, match="a mask has one entry"):
        Loader(store, batch_size=16, records=[True, False])
    with pytest.raises(vlstore.OrdinalError):
        Loader(store, batch_size=16, records=[600])
    families = np.arange(600) // 20
    train, valid, test = split(600, [0.7, 0.2, 0.1], seed=1, groups=families)
    assert sorted([*train, *valid, *test]) == list(range(600))
    assert not set(families[train]) & set(families[test])
    assert [len(part) for part in (train, valid, test)] == [420, 120, 60]
    assert (split(600, [0.5], seed=1)[0] == split(600, [0.5], seed=1)[0]).all()
    assert set(split(train, [0.5], seed=2)[0]) < set(train)
    with pytest.raises(vlstore.InvalidError, match="shares"):
        split(10, [0.7, 0.7])


def test_several_stores_are_one_data_set(tmp_path):
    first = 0
    for part, n in enumerate((40, 3, 60)):
        with vlstore.open(tmp_path / f"{part}.vls", "w", records="md-frame") as store:
            for i in range(first, first + n):
                kind = np.float32 if part == 1 else np.float64
                store[i] = vlstore.MdFrame(np.full((i % 5 + 1, 3), i, kind), step=i)
        first += n
    (tmp_path / "notes.txt").touch()
    paths = [tmp_path / f"{part}.vls" for part in range(3)]
    for given in (paths, tmp_path, f"{tmp_path}/*.vls", tuple(map(str, paths))):
        loader = Loader(given, batch_size=8, seed=1, window=64, group=4, max_open=1)
        seen = []
        for batch in loader:
            assert (batch["step"] == batch.ordinals).all()
            assert (batch["positions"][:, 0] == batch["step"][batch["batch"]]).all()
            seen += batch.ordinals.tolist()
        assert sorted(seen) == list(range(103)) and "103 records of 3 stores" in repr(loader)
    padded = Loader(paths, batch_size=50, layout="padded", dtype="float32", shuffle=False)
    batch = next(iter(padded))
    assert batch["positions"].dtype == np.float32
    assert (batch["positions"][batch["site_mask"]][:, 0] == np.repeat(batch["step"], batch["sites"])).all()
    last = Loader(paths, batch_size=8, records=[-1, 41], shuffle=False)
    assert served(last) == [102, 41]
    assert last.design_effect("step") == 1.0
    other = pickle.loads(pickle.dumps(loader))
    batches = iter(loader)
    had = [o for _ in range(3) for o in next(batches).ordinals.tolist()]
    other.load_state_dict(loader.state_dict())
    assert sorted(had + served(other)) == list(range(103))
    with pytest.raises(KeyError) as caught:
        next(iter(Loader(paths, batch_size=1, records=[42], transform=failing)))
    assert "42 (ordinal 2 of " in caught.value.__notes__[0]
    with pytest.raises(vlstore.InvalidError, match="several stores of frames"):
        Loader(paths, batch_size=8, layout="records")
    (tmp_path / "none").mkdir()
    for nothing in (tmp_path / "none", f"{tmp_path}/*.h5", tmp_path / "absent.vls"):
        with pytest.raises(vlstore.MissingFileError):
            Loader(nothing, batch_size=8)
    with pytest.raises(vlstore.InvalidError, match="empty"):
        Loader([], batch_size=8)
    with pytest.raises(vlstore.WrongTypeError):
        Loader(7, batch_size=8)


def test_the_spread_tells_a_shuffle_from_an_order(frames):
    effects = {
        shuffle: Loader(frames, batch_size=16, shuffle=shuffle).design_effect()
        for shuffle in ("sequential", "global")
    }
    assert effects["sequential"] > 10 and 0.6 < effects["global"] < 1.5
    narrow = Loader(frames, batch_size=16, window=32, group=8)
    window = narrow.window_for("step", excess=0.5)
    assert 32 < window <= 600
    wide = Loader(frames, batch_size=16, window=window, group=8)
    assert wide.design_effect("step") < narrow.design_effect("step")
    with pytest.raises(vlstore.InvalidError, match="found 3, but there are 600"):
        narrow.design_effect([1.0, 2.0, 3.0])
    with pytest.raises(vlstore.InvalidError, match="batch"):
        Loader(frames, max_atoms=100).window_for()


def scaled(batch):
    batch["positions"] *= 2
    return batch


def failing(batch):
    raise KeyError("no such thing")


def test_a_transform_is_applied_and_its_error_names_the_records(frames):
    batch = next(iter(Loader(frames, batch_size=4, transform=scaled)))
    assert (batch["positions"][:, 0] == 2 * batch["step"][batch["batch"]]).all()
    loader = Loader(frames, batch_size=12, transform=failing)
    with pytest.raises(KeyError, match="no such thing") as caught:
        next(iter(loader))
    (note,) = caught.value.__notes__
    first = next(iter(Loader(frames, batch_size=12))).ordinals[0]
    assert f'"m{first}"' in note and "and 4 more" in note


def test_a_damaged_record_is_named_or_skipped(path):
    with vlstore.open(path, "w", compression="stored") as store:
        for i in range(300):
            store[f"key {i}"] = b"%d." % i * 100
    data = bytearray(path.read_bytes())
    data[data.index(b"177." * 100)] ^= 1
    path.write_bytes(data)
    with pytest.raises(vlstore.CorruptError, match=r"record \"key \d+\" \(ordinal \d+\)"):
        list(Loader(path, batch_size=10))
    loader = Loader(path, batch_size=10, damaged="skip")
    values = [v for batch in loader for v in batch]
    assert 0 < loader.skipped < 200 and len(values) + loader.skipped == 300
    assert all(v == v[: len(v) // 100] * 100 for v in values)


def test_only_damage_is_skipped(tmp_path, frames):
    # Not what a frame lacks, and not a store that is another one.
    with pytest.raises(vlstore.InvalidError, match="has no \"energy\""):
        list(Loader(frames, batch_size=50, fields=["energy"], damaged="skip"))
    paths = [tmp_path / f"{part}.vls" for part in range(3)]
    for path in paths:
        with vlstore.open(path, "w") as store:
            for i in range(20):
                store[i] = b"%d" % i
    loader = Loader(paths, batch_size=4, damaged="skip", max_open=1)
    paths[1].unlink()
    vlstore.copy(paths[0], paths[1])
    with pytest.raises(vlstore.ReplacedError, match="1.vls"):
        list(loader)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({}, "how many records"),
        ({"batch_size": 0}, "batch size: is 0"),
        ({"batch_size": -1}, "batch_size"),
        ({"batch_size": 4, "world": 0}, "world: is 0"),
        ({"batch_size": 4, "rank": 2, "world": 2}, "2 is not below the number of ranks, 2"),
        ({"batch_size": 4, "shuffle": "all"}, "shuffle"),
        ({"batch_size": 4, "rest": "keep"}, "rest: \"keep\" is neither"),
        ({"batch_size": 4, "damaged": "ignore"}, "damaged"),
        ({"batch_size": 4, "layout": "dense"}, "layout"),
        ({"batch_size": 4, "pad_to": 9}, "pad_to"),
        ({"batch_size": 4, "dtype": "int32"}, "dtype"),
        ({"batch_size": 4, "layout": "records", "fields": ["types"]}, "fields"),
        ({"batch_size": 4, "fields": ["charge"]}, "charge"),
        ({"max_atoms": 40}, r"record \"m\d+\" \(ordinal \d+\) has weight \d+, above the cap of 40"),
        ({"max_cost": 9, "cost": "edges"}, "edges"),
        ({"max_atoms": 9, "max_cost": 9}, "max_atoms"),
        ({"batch_size": 4, "layout": "padded", "pad_to": -1}, "pad_to: -1 is not from 0"),
        ({"batch_size": 4, "records": np.zeros((2, 2), int)}, "records: ordinals are one list"),
    ],
)
def test_what_cannot_work_is_refused_when_it_is_asked_for(frames, wrong, why):
    with pytest.raises(vlstore.Error, match=why):
        Loader(frames, **wrong)


def test_numbers_that_are_none_are_refused(frames):
    for epoch in (-1, 1 << 63):
        with pytest.raises(vlstore.InvalidError, match="epoch: "):
            Loader(frames, batch_size=4).set_epoch(epoch)
    with pytest.raises(vlstore.InvalidError, match="records: -3"):
        split(-3, [0.5])


def test_worlds_larger_than_the_data_and_empty_stores_end_at_once(path):
    with vlstore.open(path, "w") as store:
        store["only"] = b"one"
    assert [list(Loader(path, batch_size=4, rank=r, world=3)) for r in range(3)] == [[]] * 3
    parts = [list(Loader(path, batch_size=4, rank=r, world=3, rest="repeat")) for r in range(3)]
    assert [[b.repeated for b in part] for part in parts] == [[False], [True], [True]]
    with vlstore.open(path, "w"):
        pass
    assert list(Loader(path, batch_size=4)) == [] and len(Loader(path, batch_size=4)) == 0


def test_a_loader_says_what_it_does(frames):
    text = repr(Loader(frames, max_atoms=500, seed=3, window=64, group=8, rank=1, world=2))
    for part in ("600 records", "max_cost=500", "cost='weight'", "windows of 64 in groups of 8",
                 "seed 3", "rank 1 of 2 (rest dropped)", "2 lanes", "epoch 0, 0 %", "256 MiB"):
        assert part in text, text
    loader = pickle.loads(pickle.dumps(Loader(frames, batch_size=100, seed=1)))
    assert loader and "batch_size=100" in repr(loader)


def test_the_order_id_says_whether_copies_have_the_same_order(copies):
    def loaders(**how):
        return [Loader(path, batch_size=5, window=40, seed=3, **how) for path in copies]

    def orders(pair):
        return [[batch.ordinals.tolist() for batch in loader] for loader in pair]

    one, other = loaders()
    assert one.order_id != other.order_id
    first, second = orders((one, other))
    assert first != second
    # Two ranks would have lost records.
    assert len({o for batch in first[::2] + second[1::2] for o in batch}) < 100
    one, other = loaders(group=4)
    assert one.order_id == other.order_id
    first, second = orders((one, other))
    assert first == second
    with pytest.raises(vlstore.InvalidError, match="its data .store or selection. is"):
        other.load_state_dict(one.state_dict())


def test_a_store_that_is_far_away_has_the_order_of_a_near_one_only_with_a_group(copies):
    obstore = pytest.importorskip("obstore.store")
    far = vlstore.open("one.vls", store=obstore.LocalStore(prefix=copies[0].parent))
    for how, same in (({}, False), ({"group": 4}, True)):
        near, away = (Loader(store, batch_size=5, window=40, seed=3, **how) for store in (copies[0], far))
        assert (near.order_id == away.order_id) == same
        assert ([b.ordinals.tolist() for b in near] == [b.ordinals.tolist() for b in away]) == same
        if same:
            away.load_state_dict(near.state_dict())
        else:
            with pytest.raises(vlstore.InvalidError, match="division into groups by the blocks of the file"):
                away.load_state_dict(near.state_dict())
