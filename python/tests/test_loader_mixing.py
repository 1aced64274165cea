"""The training loader over what an epoch need not have once: mixed stores, buckets, chosen records, costs."""

import json
import math
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

import vlstore
from vlstore.loader import Balance, Loader


def served(loader):
    return [o for batch in loader for o in batch.ordinals.tolist()]


def make(path, first, n, seed=0):
    """Frames of 5 to 59 sites, whose `step` is their number in the whole data set."""
    random = np.random.default_rng(seed)
    with vlstore.open(path, "w", records="md-frame", chunk_size=65536) as store:
        for i, sites in enumerate(random.integers(5, 60, n)):
            store[f"m{first + i}"] = vlstore.MdFrame(
                np.full((sites, 3), float(first + i)), step=first + i, energy=-float(sites)
            )
    return path


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stores")
    return {
        "small": make(folder / "small.vls", 0, 40),
        "large": [make(folder / "a.vls", 40, 300), make(folder / "b.vls", 340, 260)],
    }


@pytest.fixture(scope="module")
def frames(stores):
    return stores["large"][0]


def test_stores_are_mixed_with_their_weights_pass_by_pass(stores):
    weights = {"large": 3, "small": 1}
    loader = Loader(stores, weights=weights, batch_size=16, seed=1, window=96, group=8, epoch_records=400)
    assert loader.shares == {"small": 100, "large": 300} and len(loader) == 25
    assert "600 of 3 stores" not in repr(loader) and "400 an epoch" in repr(loader)
    had = np.zeros(600, int)
    for epoch in range(4):
        seen = [0, 0]
        for batch in loader:
            assert (batch["step"] == batch.ordinals).all()
            seen[0] += (batch.ordinals < 40).sum()
            np.add.at(had, batch.ordinals, 1)
            small = (batch.ordinals < 40).sum()
            assert len(batch.ordinals) < 16 or small < 13
        assert seen[0] == 100 and loader.epoch == epoch + 1
    # 400 draws of 40, and 1200 of 560: whole passes, and a part of the next one.
    assert (had[:40] == 10).all() and set(had[40:].tolist()) == {2, 3}
    assert (had[40:] == 3).sum() == 1200 - 2 * 560


def test_a_mixture_goes_on_after_a_stop_on_any_ranks_and_refuses_other_weights(stores):
    how = {"batch_size": 16, "seed": 1, "window": 96, "group": 8}
    for limits in ({}, {"max_atoms": 400}, {"buckets": True}):
        new = lambda **more: Loader(stores, temperature=2, **how, **limits, **more)  # noqa: E731
        whole = sorted(served(new()))
        loader = new()
        batches = iter(loader)
        had = [o for _ in range(7) for o in next(batches).ordinals.tolist()]
        state = json.loads(json.dumps(loader.state_dict()))
        assert len(json.dumps(state)) < 500
        other = pickle.loads(pickle.dumps(new()))
        other.load_state_dict(state)
        assert sorted(had + served(other)) == whole
        for rank in range(3):
            part = new(rank=rank, world=3, rest="repeat")
            part.load_state_dict(state)
            had += [o for b in part if not b.repeated for o in b.ordinals.tolist()]
        assert sorted(had) == whole
    for change, why in (
        ({"temperature": 1}, "its mixture"),
        ({"temperature": None, "weights": {"small": 1, "large": 1}}, "its mixture"),
        ({"temperature": None}, "its mixture"),
        ({"epoch_records": 599}, "number of records is 600"),
    ):
        more = {"temperature": 2, "buckets": True, **how, **change}
        with pytest.raises(vlstore.InvalidError, match=why):
            Loader(stores, **more).load_state_dict(state)
    with pytest.raises(vlstore.InvalidError, match="its buckets"):
        Loader(stores, temperature=2, **how).load_state_dict(state)


def test_a_mixture_is_of_paths(stores):
    with vlstore.open(stores["small"]) as store:
        for given in ({"small": store}, [store, stores["small"]]):
            with pytest.raises(vlstore.WrongTypeError, match="paths"):
                Loader(given, weights=[1], batch_size=8)
    with pytest.raises(vlstore.MissingFileError):
        Loader({"none": "none.vls", **stores}, weights=[1, 1, 1], batch_size=8)
    alone = Loader({"small": stores["small"]}, temperature=2, batch_size=8, epoch_records=100)
    assert len(served(alone)) == 100 and alone.shares == {"small": 100}
    empty = Loader({"small": stores["small"]}, weights=[1], batch_size=8, epoch_records=0)
    assert served(empty) == [] and empty.epoch == 1


def test_a_temperature_makes_shares_alike(stores):
    shares = lambda t: list(Loader(stores, temperature=t, batch_size=8).shares.values())  # noqa: E731
    assert shares(1) == [40, 560] and shares(math.inf) == [300, 300]
    assert shares(2) == [round(600 / (1 + 14**0.5)), 600 - round(600 / (1 + 14**0.5))]
    assert sorted(served(Loader(stores, temperature=1, batch_size=8))) == list(range(600))


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"weights": [1]}, "there are 1, for 2 stores"),
        ({"weights": {"small": 1}}, "differ in large"),
        ({"weights": {"small": 1, "large": 1, "more": 1}}, "differ in more"),
        ({"weights": [1, -1]}, "-1 of large"),
        ({"weights": [1, "x"]}, "weights are numbers"),
        ({"weights": [0, 0]}, "all 0"),
        ({"weights": [1, 1e-9]}, "none of large.*larger weight"),
        ({"temperature": 0}, "temperature: 0 is not above 0"),
        ({"temperature": "x"}, "temperature: 'x' is not a number"),
        ({"temperature": 2, "weights": [1, 1]}, "one of them"),
        ({"epoch_records": 100}, "epoch_records"),
        ({"temperature": 2, "records": [500, 3]}, "another order than that of the stores"),
        ({"buckets": []}, "buckets"),
        ({"buckets": [16.5]}, "buckets: 16.5 is not an integer"),
        ({"buckets": [32, 16]}, "ascend"),
        ({"buckets": [16]}, r"\"m\d+\" \(ordinal \d+ of .*\) has weight \d+, above the last edge 16"),
        ({"records": [1], "keys": ["m1"]}, "one of them"),
        ({"keys": ["m9999"]}, "m9999"),
        ({"keys": "m1"}, "a list of keys, not one"),
        ({"cost": np.full(600, np.inf), "max_cost": 9}, "has no \"cost\" of 0 or more"),
        ({"cost": [1, 2], "max_cost": 9}, "there are 2 costs, for 600"),
        ({"cost": np.full(600, -1), "max_cost": 9}, "has no \"cost\" of 0 or more"),
        ({"cost": ["a"], "max_cost": 9}, "one number for each record"),
    ],
)
def test_what_cannot_be_mixed_or_chosen_is_refused_with_the_reason(stores, wrong, why):
    with pytest.raises(vlstore.Error, match=why):
        Loader(stores, **{"batch_size": 8, **wrong})


def test_buckets_leave_little_padding_and_few_shapes(frames):
    mixed = Loader(frames, batch_size=16, layout="padded")
    near = Loader(frames, batch_size=16, layout="padded", buckets=True)
    edged = Loader(frames, max_atoms=512, layout="padded", buckets=[16, 32, 64], window=128, group=8)
    assert near.padding() < 0.1 < edged.padding() < mixed.padding()
    for loader in (mixed, near, edged):
        shapes, filled, seen = [], 0, []
        for batch in loader:
            shapes.append(batch["positions"].shape)
            filled += batch["sites"].sum()
            seen += batch.ordinals.tolist()
        assert sorted(seen) == list(range(300))
        share = 1 - filled / sum(rows * width for rows, width, _ in shapes)
        assert loader.padding(0) == pytest.approx(share)
    # The last ones were those of the buckets: their widths, and the cap with its padding.
    assert {width for _, width, _ in shapes} == {16, 32, 64}
    assert all(rows * width <= 512 for rows, width, _ in shapes)
    assert Loader(frames, batch_size=16, layout="padded", pad_to=64).padding() > mixed.padding()
    assert "buckets=[16, 32, 64]" in repr(edged) and "buckets=True" in repr(near)
    assert len(Loader(frames, batch_size=32, buckets=[2**63])) == 10
    widths = {b["positions"].shape[1] for b in Loader(frames, batch_size=4, layout="padded", pad_to=[32, 64])}
    assert widths == {32, 64}


def unchanged(frame):
    return frame


@pytest.mark.parametrize("how", [{}, {"transform_record": unchanged}])
@pytest.mark.parametrize(
    "limits",
    [
        {"batch_size": 16, "buckets": [16, 32, 64]},
        {"max_atoms": 512, "buckets": [16, 32, 64]},
        {"batch_size": 12, "max_atoms": 512, "buckets": [16, 32, 64]},
        {"batch_size": 7, "pad_to": 64},
        {"batch_size": 16, "max_cost": 9000, "cost": "bytes", "pad_to": 64},
    ],
)
def test_rows_without_a_frame_give_every_batch_of_a_bucket_one_shape(frames, limits, how):
    most = {width: min(limits.get("batch_size", 512), limits.get("max_atoms", 10**6) // width) for width in (16, 32, 64)}
    loader = Loader(frames, layout="padded", pad_rows=True, window=128, group=8, seed=2, **limits, **how)
    plain = Loader(frames, layout="padded", window=128, group=8, seed=2, **limits)
    seen, filled, short = [], 0, 0
    for batch, other in zip(loader, plain, strict=True):
        rows, width, _ = batch["positions"].shape
        n = len(batch.ordinals)
        assert rows == most[width] and batch["step"].shape == (rows,) and batch["site_mask"].shape == (rows, width)
        assert (batch["frame_mask"] == (np.arange(rows) < n)).all() and batch["frame_mask"].dtype == bool
        for name, array in other.items():
            assert (batch[name][:n] == array).all() and not batch[name][n:].any(), name
        seen += batch.ordinals.tolist()
        filled += rows * width
        short += n < rows
    assert sorted(seen) == list(range(300)) and short > 0
    share = 1 - vlstore.open(frames).at.weights().sum() / filled
    if "cost" not in limits:
        assert loader.padding(0) == pytest.approx(share) and loader.padding(0) > plain.padding(0)
    assert pickle.loads(pickle.dumps(loader)).padding(0) == loader.padding(0)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"max_atoms": 512, "layout": "padded"}, "pad_rows: nothing says how many rows"),
        ({"max_atoms": 512, "layout": "padded", "buckets": True}, "pad_rows: nothing says how many rows"),
        ({"batch_size": 8}, "pad_rows: is for layout=\"padded\""),
    ],
)
def test_rows_that_nothing_bounds_are_refused(frames, wrong, why):
    with pytest.raises(vlstore.InvalidError, match=why):
        Loader(frames, pad_rows=True, **wrong)


def test_balance_is_that_of_the_batches(stores):
    parts = [Loader(stores["large"], max_atoms=400, seed=2, group=4, window=64, rank=r, world=2) for r in range(2)]
    atoms = [[len(b["positions"]) for b in part] for part in parts]
    found = parts[0].balance()
    assert isinstance(found, Balance) and found == parts[1].balance()
    assert (found.sums, found.steps) == ([sum(own) for own in atoms], len(atoms[0]))
    ratios = sorted(2 * max(step) / sum(step) for step in zip(*atoms, strict=True))
    assert found.median == pytest.approx(ratios[len(ratios) // 2]) and found.worst == pytest.approx(ratios[-1])
    assert found.apart <= 0.05
    # Without a cap too: what batches by count cost.
    assert sum(Loader(stores["large"], batch_size=7).balance().sums) == sum(
        int(vlstore.open(path).at.weights().sum()) for path in stores["large"]
    )


def test_records_are_chosen_by_key_by_condition_and_by_costs(stores):
    paths = stores["large"]
    by_key = Loader(paths, batch_size=2, keys=["m341", "m40", "m42"], shuffle=False)
    assert [step for batch in by_key for step in batch["step"].tolist()] == [341, 40, 42]
    light = Loader(paths, batch_size=8, records=lambda column: column("energy") > -20)
    sites = np.concatenate([vlstore.open(path).at.weights() for path in paths])
    assert sorted(served(light)) == np.flatnonzero(sites < 20).tolist()
    # Edges that no column has.
    edges = sites**2
    loader = Loader(paths, max_cost=8000, cost=edges, records=slice(10, 500), seed=1)
    seen = []
    for batch in loader:
        assert edges[batch.ordinals].sum() <= 8000
        seen += batch.ordinals.tolist()
    assert sorted(seen) == list(range(10, 500)) and "cost=given" in repr(loader)
    state = loader.state_dict()
    pickle.loads(pickle.dumps(loader)).load_state_dict(state)
    with pytest.raises(vlstore.InvalidError, match="its cost is"):
        Loader(paths, max_cost=8000, cost=edges + 1, records=slice(10, 500), seed=1).load_state_dict(state)
    with pytest.raises(vlstore.InvalidError, match="above the cap of 100 a batch"):
        Loader(paths, max_cost=100, cost=edges)


def test_a_property_of_the_frames_is_their_cost(path):
    edges = np.random.default_rng(2).integers(1, 400, 500)
    with vlstore.open(path, "w", records="md-frame") as store:
        for i, n in enumerate(edges.tolist()):
            store[i] = vlstore.MdFrame(np.zeros((3, 3)), step=i, frame_properties={"edges": n, "pair": [n, n]})
    loader = Loader(path, max_cost=1000, cost="edges", seed=1, fields=["edges"])
    sums = [int(batch["edges"].sum()) for batch in loader]
    assert max(sums) <= 1000 and np.mean(sums) > 900 and sum(sums) == edges.sum()
    assert "max_cost=1000, cost='edges'" in repr(loader)
    state = loader.state_dict()
    pickle.loads(pickle.dumps(loader)).load_state_dict(state)
    with pytest.raises(vlstore.InvalidError, match="its cost is"):
        Loader(path, max_cost=1000, seed=1).load_state_dict(state)
    with pytest.raises(vlstore.InvalidError, match=r"record 0 .* has cost \d+, above the cap of"):
        Loader(path, max_cost=int(edges[0]) - 1, cost="edges", records=[0])
    with pytest.raises(vlstore.InvalidError, match="\"edgse\" is not one of"):
        Loader(path, max_cost=1000, cost="edgse")
    with pytest.raises(vlstore.WrongTypeError, match="an array of 2 axes"):
        Loader(path, max_cost=1000, cost="pair")


def test_an_iteration_that_is_left_holds_nothing_and_changes_no_place(frames):
    loader = Loader(frames, batch_size=16, seed=1)
    batches = iter(loader)
    next(batches)
    loader.set_epoch(7)
    assert sum(1 for _ in batches) == 18 and loader.epoch == 7
    batches = iter(loader)
    next(batches)
    batches.close()
    assert loader.skipped == 0 and loader._run.skipped == 0
    with pytest.raises(StopIteration):
        next(loader._run)


LIMITED = """
import resource, sys
from vlstore.loader import Loader

text = open("/proc/self/status").read()
data = int(next(line for line in text.splitlines() if line.startswith("VmData")).split()[1]) << 10
loader = Loader(sys.argv[1], batch_size=32, window=3000, group=8, memory=int(sys.argv[2]))
resource.setrlimit(resource.RLIMIT_DATA, (data + (20 << 20), data + (20 << 20)))
print(sum(len(batch.ordinals) for batch in loader))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the limit is one of Linux")
def test_an_epoch_needs_less_memory_than_the_store_has(path):
    random = np.random.default_rng(0)
    with vlstore.open(path, "w", records="md-frame") as store:
        store.put_frames(random.normal(size=(3000, 900, 3)).astype("f4"))

    def run(memory):
        command = [sys.executable, "-c", LIMITED, path, str(memory)]
        # One thread for NumPy, whose threads have memory of their own.
        limited = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        return subprocess.run(command, capture_output=True, text=True, env=limited, check=False)

    done = run(4 << 20)
    assert done.stdout.strip() == "3000", done.stderr
    # A window of all records does not fit, which says that the limit is one.
    done = run(256 << 20)
    assert done.returncode != 0 and "memory" in done.stderr.lower(), done.stderr
