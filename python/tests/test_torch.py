"""A store as a PyTorch data set, through a real DataLoader.

./test installs PyTorch where it can; where it is missing these are skipped.
"""

import copy
import importlib.util
import json
import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest

import vlstore

torch = pytest.importorskip("torch", reason="PyTorch is not installed: ./test installs it unless VLSTORE_TORCH is 0")

from torch.utils.data import DataLoader  # noqa: E402

from vlstore.loader import Loader  # noqa: E402
from vlstore.torch import Dataset, Sample, Stream, TensorBatch, collate  # noqa: E402
from vlstore_workers import centred  # noqa: E402

FIELDS = ["positions", "types", "cell", "pbc", "energy"]


@pytest.fixture
def depot(path, molecules):
    with vlstore.open(path, "w", records="md-frame", purpose="random") as depot:
        depot.put_many(enumerate(molecules))
    return vlstore.open(path, records="auto")


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("flat", [False, True])
def test_an_epoch_has_every_frame_once_and_whole(depot, molecules, workers, flat):
    dataset = Dataset(depot, fields=FIELDS, flat=flat)
    dataset[0], dataset.__getitems__([1, 2])
    order = torch.Generator().manual_seed(0)
    loader = DataLoader(
        dataset, batch_size=7, shuffle=True, num_workers=workers, collate_fn=collate,
        generator=order, persistent_workers=workers > 0,
    )
    for _ in range(2):
        seen = []
        for batch in loader:
            assert set(batch) == {*FIELDS, "ptr", "batch"}
            sites = len(batch["positions"])
            assert batch["ptr"][-1] == sites == len(batch["types"]) == len(batch["batch"])
            assert batch["cell"].shape == (len(batch["ptr"]) - 1, 3, 3)
            assert torch.equal(torch.bincount(batch["batch"]), batch["ptr"].diff())
            for i, (start, end) in enumerate(zip(batch["ptr"][:-1], batch["ptr"][1:])):
                seen.append((
                    float(batch["energy"][i]), batch["positions"][start:end].numpy().tobytes(),
                    batch["types"][start:end].numpy().tobytes(),
                ))
        expected = [(m.energy, m.positions.tobytes(), m.types.tobytes()) for m in molecules]
        assert sorted(seen) == sorted(expected)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_of_each_kind_read_with_a_transform(depot, method):
    dataset = Dataset(depot.path, fields=FIELDS, transform=centred, indices=range(0, 40, 2))
    dataset[3]
    context = torch.multiprocessing.get_context(method)
    if method == "forkserver":
        # Its workers begin with PyTorch loaded, which takes seconds.
        context.set_forkserver_preload(["torch", "vlstore.torch"])
    loader = DataLoader(
        dataset, batch_size=5, num_workers=2, collate_fn=collate, multiprocessing_context=context
    )
    batches = list(loader)
    assert len(batches) == 4
    sums = torch.zeros(5, 3, dtype=batches[0]["positions"].dtype)
    sums.index_add_(0, batches[0]["batch"], batches[0]["positions"])
    assert sums.abs().max() < 1e-9
    assert batches[0]["count"].tolist() == batches[0]["ptr"].diff().tolist()
    assert batches[0]["energy"][1] == depot.at[2].energy


def test_a_sample_is_a_dict_of_tensors(depot, molecules):
    dataset = Dataset(depot)
    sample = dataset[-1]
    assert torch.equal(sample["positions"], torch.tensor(molecules[-1].positions))
    assert sample["cell"].shape == (3, 3) and sample["energy"].ndim == 0
    assert len(dataset) == len(molecules) and "Dataset of" in repr(dataset)
    assert len(pickle.loads(pickle.dumps(dataset))) == len(dataset)
    with pytest.raises(IndexError):
        dataset[len(dataset)]
    split = Dataset(depot, indices=[4, 2])
    assert split[0]["energy"] == molecules[4].energy and split[-1]["energy"] == molecules[2].energy
    for wrong in (2, -3):
        with pytest.raises(IndexError, match="data set has 2"):
            split[wrong]


SITES = [0, 1, 2, 3, 3]


@pytest.fixture
def properties(path):
    """Frames with an atom property ``q`` and ``axis``, and a frame property ``dipole``."""
    with vlstore.open(path, "w", records="md-frame") as depot:
        for i, n in enumerate(SITES):
            depot.put(i, vlstore.MdFrame(
                positions=np.full((n, 3), i), types=np.full(n, i), energy=i,
                atom_properties={"q": np.arange(n) + 10.0 * i, "axis": np.full((n, 3), i)},
                frame_properties={"dipole": np.full(3, i), "charge": i},
            ))
    return vlstore.open(path, records="auto")


EXTRA = ["positions", "types", "dipole", "q", "axis", "charge"]


def test_what_is_per_site_is_known_and_not_guessed_from_lengths(properties):
    dataset = Dataset(properties, fields=EXTRA)
    # As many sites as frames, one site, none, and as many frames as a property has entries.
    for asked in ([0], [1], [2], [0, 2], [0, 1, 2], [1, 1], [3, 4], [3, 4, 3], [4, 3, 0, 4], range(5)):
        counts = [SITES[i] for i in asked]
        samples = dataset.__getitems__(asked)
        for sample, i, n in zip(samples, asked, counts):
            alone = dataset[i]
            assert sample["q"].shape == alone["q"].shape == (n,)
            assert sample["axis"].shape == alone["axis"].shape == (n, 3)
            assert sample["dipole"].shape == alone["dipole"].shape == (3,)
            assert sample["charge"].shape == alone["charge"].shape == ()
            assert sample["q"].tolist() == alone["q"].tolist() == [10 * i + k for k in range(n)]
        flat = collate(Dataset(properties, fields=EXTRA, flat=True).__getitems__(asked))
        for batch in (collate(samples), collate([dataset[i] for i in asked])):
            assert batch["dipole"].shape == (len(asked), 3)
            assert batch["charge"].shape == (len(asked),)
            assert batch["q"].shape == (sum(counts),) and batch["axis"].shape == (sum(counts), 3)
            assert batch.keys() == flat.keys()
            assert all(torch.equal(batch[name], flat[name]) for name in flat)


def test_an_atom_property_alone_says_which_site_is_of_which_frame(properties):
    batch = collate(Dataset(properties, fields=["q", "dipole"]).__getitems__([2, 0, 1]))
    assert batch["ptr"].tolist() == [0, 2, 2, 3] and batch["dipole"].shape == (3, 3)


def test_a_text_for_each_atom_does_not_hide_the_frame_property_of_its_name(path):
    with vlstore.open(path, "w", records="md-frame") as depot:
        depot["a"] = vlstore.MdFrame(
            positions=np.zeros((1, 3)), atom_properties={"x": ["C"]}, frame_properties={"x": 2.0}
        )
    assert Dataset(path, fields=["positions", "x"])[0]["x"].shape == ()


# Each way to start a worker, which takes seconds for some, with one of the two transforms.
@pytest.mark.parametrize(
    ("method", "transform"), [("fork", None), ("fork", dict), ("spawn", dict), ("forkserver", None)]
)
def test_workers_know_what_is_per_site(properties, method, transform):
    dataset = Dataset(properties, fields=EXTRA, transform=transform)
    # The samples travel to the parent, which collates them, or are collated where they are read.
    join = collate if (method == "fork") == (transform is dict) else list
    loader = DataLoader(
        dataset, batch_size=3, num_workers=1, collate_fn=join, multiprocessing_context=method
    )
    batches = list(loader) if join is collate else [collate(samples) for samples in loader]
    assert [batch["q"].shape for batch in batches] == [(3,), (6,)]
    assert [batch["dipole"].shape for batch in batches] == [(3, 3), (2, 3)]


def test_a_sample_keeps_what_is_per_site_through_copies(properties):
    sample = Dataset(properties, fields=EXTRA)[3]
    assert isinstance(sample, dict) and {"q", "axis", "positions"} <= sample.per_site
    assert not {"dipole", "charge"} & sample.per_site
    for other in (pickle.loads(pickle.dumps(sample)), copy.copy(sample), copy.deepcopy(sample)):
        assert type(other) is Sample and other.per_site == sample.per_site
        assert collate([other, sample])["dipole"].shape == (2, 3)


def test_a_transform_says_which_of_its_fields_are_per_site(properties):
    def add(sample):
        sample["moved"] = sample["positions"] + 1
        sample["three"] = torch.zeros(3)
        sample.per_site.add("moved")
        return sample

    def reduce(sample):
        sample["q"] = sample["q"].sum().reshape(1)
        return sample

    def reduce_and_say(sample):
        sample.per_site.discard("q")
        return reduce(sample)

    def scalar(sample):
        sample["q"] = sample["q"].sum()
        return sample

    fields = ["positions", "q"]
    batch = collate(Dataset(properties, fields=fields, transform=add).__getitems__([3, 4]))
    assert batch["moved"].shape == (6, 3) and batch["three"].shape == (2, 3)
    with pytest.raises(vlstore.InvalidError, match="q and positions are per site.*differ in length"):
        collate(Dataset(properties, fields=fields, transform=reduce).__getitems__([3, 4]))
    batch = collate(Dataset(properties, fields=fields, transform=reduce_and_say).__getitems__([3, 4]))
    assert batch["q"].shape == (2, 1)
    batch = collate(Dataset(properties, fields=fields, transform=scalar).__getitems__([3, 4]))
    assert batch["q"].tolist() == [93, 123]
    one = {"positions": torch.zeros(1, 3), "q": torch.zeros(1)}
    assert collate([one, one])["q"].shape == (2, 1)
    with pytest.raises(vlstore.InvalidError, match="per site in some samples.*: q"):
        collate([one, Sample(one, ["positions", "q"])])


@pytest.mark.parametrize(
    ("indices", "why"),
    [
        ([True, False, True], r"an ordinal must be an integer, not bool \(True\)"),
        ([0, True], r"an ordinal must be an integer, not bool \(True\)"),
        (np.array([True, False]), "ordinals must be integers, not an array of bool"),
        (torch.tensor([True, False]), "ordinals must be integers, not an array of bool"),
        ([torch.tensor(True)], "an ordinal must be an integer, not Tensor"),
        ([0.5, 1.0], r"an ordinal must be an integer, not float \(0.5\)"),
        (np.array([1.0]), "ordinals must be integers, not an array of float64"),
        (torch.tensor([1.5]), "ordinals must be integers, not an array of float32"),
        ([None], "an ordinal must be an integer, not None"),
        ("012", r"an ordinal must be an integer, not str \('0'\)"),
        (3, r"ordinals must be a sequence of integers, not int \(3\)"),
    ],
)
def test_indices_that_are_not_integers_are_refused(depot, indices, why):
    with pytest.raises(vlstore.WrongTypeError, match=why) as caught:
        Dataset(depot, indices=indices)
    assert isinstance(caught.value, TypeError)


def test_indices_are_integers_of_any_kind(depot):
    for indices in ([2, 0], (2, 0), iter([2, 0]), np.array([2, 0], "u1"), np.array([2, 0], ">i8"),
                    torch.tensor([2, 0]), [np.int32(2), torch.tensor(0)], range(2, -1, -2)):
        dataset = Dataset(depot, fields=["energy"], indices=indices)
        assert [s["energy"] for s in dataset] == [depot.at[2].energy, depot.at[0].energy]
    assert len(Dataset(depot, indices=[])) == 0
    mine = np.array([2, 0])
    dataset = Dataset(depot, fields=["energy"], indices=mine)
    mine[:] = 1
    assert dataset[0]["energy"] == depot.at[2].energy
    for wrong in ([[0, 1]], np.array([[0, 1]]), np.array(1), [2**70], np.array([2**64 - 1], "u8")):
        with pytest.raises(vlstore.Error):
            Dataset(depot, indices=wrong)


def test_fields_that_are_no_list_of_texts_are_refused_as_the_depot_does(depot):
    for wrong in ("positions", b"positions", 5, [5]):
        with pytest.raises(vlstore.WrongTypeError) as ours:
            Dataset(depot, fields=wrong)
        with pytest.raises(vlstore.WrongTypeError) as theirs:
            depot.at.arrays([0], wrong)
        assert str(ours.value) == str(theirs.value)
    for right in (["energy"], ("energy",), {"energy"}, iter(["energy"])):
        assert Dataset(depot, fields=right)[0].keys() == {"energy"}


def test_one_sample_is_at_one_index(depot):
    for dataset in (Dataset(depot), Dataset(depot, indices=[1, 2])):
        with pytest.raises(vlstore.WrongTypeError, match="not slice.*Subset"):
            dataset[0:2]
        for wrong in (1.0, True, None, "0", torch.tensor(True)):
            with pytest.raises(vlstore.WrongTypeError, match="an ordinal must be an integer, not"):
                dataset[wrong]
        assert dataset[torch.tensor(1)].keys() == dataset[np.int32(1)].keys()


@pytest.mark.parametrize("workers", [0, 1])
def test_a_flat_data_set_without_its_collate_function_says_so(depot, workers):
    loader = DataLoader(Dataset(depot, flat=True), batch_size=4, num_workers=workers)
    with pytest.raises(vlstore.InvalidError, match="collate_fn=vlstore.torch.collate"):
        next(iter(loader))


def test_extra_properties_are_not_among_the_default_fields(properties):
    assert Dataset(properties)[2].keys() == {"positions", "types", "energy"}


@pytest.mark.skipif(not importlib.util.find_spec("mypy"), reason="mypy is not installed")
def test_strict_callers_find_types(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "import numpy as np\n"
        "from torch.utils.data import DataLoader\n"
        "from vlstore.torch import Dataset, Sample, collate\n"
        "def moved(sample: Sample) -> Sample:\n"
        "    sample.per_site.add('moved')\n"
        "    return sample\n"
        "data = Dataset('a.vls', fields=['types'], transform=moved, indices=np.arange(3))\n"
        "loader = DataLoader(data, collate_fn=collate)\n"
        "print(len(data), data[0], collate([data[0]]), next(iter(loader)))\n"
        "Dataset(5)\n"
    )
    # What torch itself says is not read, which would take long.
    (tmp_path / "mypy.ini").write_text("[mypy]\n[mypy-torch.*]\nfollow_imports = skip\n")
    found = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", program], capture_output=True, text=True,
        cwd=tmp_path, check=False,
    ).stdout
    assert "program.py:10" in found and "Found 1 error" in found, found


def test_arrays_and_other_records_are_collated_too(path):
    with vlstore.open(path, "w", records="array") as depot:
        depot.put_many((i, np.arange(i + 1.0)) for i in range(4))
    batch = next(iter(DataLoader(Dataset(path), batch_size=3, collate_fn=collate)))
    assert batch["values"].tolist() == [0, 0, 1, 0, 1, 2] and batch["ptr"].tolist() == [0, 1, 3, 6]
    with pytest.raises(vlstore.InvalidError, match="store of frames"):
        Dataset(path, flat=True)
    with vlstore.open(path, "w") as store:
        store["a"] = b"\x01\x02"
        dataset = Dataset(store, transform=len)
    assert len(dataset) == 0 and dataset.store.refresh()
    assert collate(dataset.__getitems__([0, 0])).tolist() == [2, 2]


def test_what_a_data_set_cannot_be_made_of_is_named(depot):
    for wrong in (3, None, [depot]):
        with pytest.raises(vlstore.WrongTypeError, match="path or an open store"):
            Dataset(wrong)
    with pytest.raises(vlstore.InvalidError, match="exclude each other"):
        Dataset(depot, flat=True, transform=centred)
    with pytest.raises(vlstore.InvalidError, match="in memory"):
        Dataset(vlstore.memory())
    one = {"positions": torch.zeros(1, 3)}
    with pytest.raises(vlstore.InvalidError, match="differ in their fields: energy"):
        collate([one, {**one, "energy": torch.zeros(())}])
    with pytest.raises(vlstore.InvalidError, match='has no "forces"'):
        Dataset(depot, fields=["forces"])[0]


def test_tensors_take_the_memory_of_a_batch_without_a_copy(depot):
    arrays = depot.at.arrays([0, 1])
    for make in (torch.from_dlpack, torch.from_numpy):
        tensor = make(arrays["positions"])
        tensor[0, 0] = 42.0
        assert arrays["positions"][0, 0] == 42.0
    # A frame is read-only, which a tensor cannot be: it is copied, or refused, never changed.
    before = depot.at[0].positions.copy()
    assert torch.equal(torch.tensor(depot.at[0].positions), torch.from_numpy(before))


def test_names_of_fields_are_checked_when_the_data_set_is_made(depot, path):
    for flat in (True, False):
        with pytest.raises(vlstore.InvalidError, match='"position" does not exist.*positions'):
            Dataset(path, fields=["position"], flat=flat)
    empty = path.with_name("empty.vls")
    vlstore.open(empty, "w", records="md-frame").close()
    with pytest.raises(vlstore.InvalidError, match='"position" does not exist'):
        Dataset(empty, fields=["position"])
    assert len(Dataset(empty, fields=["positions"])) == 0


def test_frames_that_lack_a_field_are_filled_and_said(path):
    with vlstore.open(path, "w", records="md-frame") as depot:
        for i in range(4):
            depot.push(vlstore.MdFrame(
                np.full((i + 1, 3), i, "f4"), energy=i,
                forces=np.full((i + 1, 3), i, "f4") if i % 2 else None,
                atom_properties={"spin": np.arange(i + 1.0)} if i else None,
            ))
    fields = ["positions", "forces", "spin", "energy"]
    how = {"fields": fields, "missing": "fill", "fill_value": {"forces": 0.0}, "mask": True}
    for flat in (True, False):
        batch = collate(Dataset(path, flat=flat, **how).__getitems__([0, 3, 2]))
        assert batch["forces_mask"].tolist() == [False, True, False]
        assert batch["spin_mask"].tolist() == [False, True, True]
        assert batch["forces"].tolist() == [[0.0] * 3] + [[3.0] * 3] * 4 + [[0.0] * 3] * 3
        assert batch["forces"].dtype == torch.float32 and torch.isnan(batch["spin"][0])
    assert not Dataset(path, **how)[0]["forces_mask"]
    with pytest.raises(vlstore.InvalidError, match='ordinal 0.* has no "forces"'):
        Dataset(path, fields=fields)[0]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_stream_serves_every_frame_once_as_tensors_and_goes_on(path, workers):
    random = np.random.default_rng(0)
    with vlstore.open(path, "w", records="md-frame") as store:
        for i in range(200):
            sites = int(random.integers(3, 30))
            store[i] = vlstore.MdFrame(np.full((sites, 3), float(i)), step=i)
    stream = Stream(Loader(path, batch_size=9, seed=1))
    how = {"batch_size": None, "num_workers": workers}
    seen, state = [], None
    for batch in DataLoader(stream, **how):
        assert isinstance(batch["positions"], torch.Tensor)
        assert (batch["positions"][:, 0] == batch["step"][batch["batch"]]).all()
        seen.append(batch["step"].tolist())
        if len(seen) == 5:
            state = stream.state_dict(batch)
    assert sorted(sum(seen, [])) == list(range(200))
    again = Stream(Loader(path, batch_size=9, seed=1))
    again.load_state_dict(state)
    assert [b["step"].tolist() for b in DataLoader(again, **how)] == seen[5:]


@pytest.fixture
def numbered(path):
    with vlstore.open(path, "w", records="md-frame") as store:
        for i in range(30):
            store[i] = vlstore.MdFrame(np.full((i % 5 + 1, 3), float(i)), step=i)
    return path


def test_a_batch_of_a_stream_moves_and_says_where_it_is_of(numbered):
    stream = Stream(Loader(numbered, batch_size=4, seed=1))
    for batch in stream:
        moved = pickle.loads(pickle.dumps(batch.to(torch.float32)))
        assert type(moved) is TensorBatch and moved["positions"].dtype == torch.float32
        moved["positions"][:] = 7
        half = pickle.loads(pickle.dumps(batch.to(torch.bfloat16)))
        assert half["positions"].dtype == torch.bfloat16 and (half.ordinals == batch.ordinals).all()
        assert (moved.ordinals == batch.ordinals).all() and moved.per_site >= {"positions"}
        assert stream.state_dict(moved) == stream.state_dict()
        # As a DataLoader does with each batch: the same memory, and the same place.
        copied = copy.copy(batch)
        assert type(copied) is TensorBatch and copied is not batch and stream.state_dict(copied) == stream.state_dict()
        assert all(copied[name] is batch[name] for name in batch) and copied.per_site == batch.per_site
        assert torch.from_dlpack(batch["positions"]).data_ptr() == batch["positions"].data_ptr()
    for name in ("positions", "step"):
        array = next(iter(Loader(numbered, batch_size=4)))[name]
        assert torch.from_dlpack(array).data_ptr() == array.ctypes.data


def test_pinned_memory_is_refused_where_it_cannot_be(numbered, monkeypatch):
    loader = Loader(numbered, batch_size=4, seed=1)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(vlstore.UnsupportedError, match="finds no CUDA GPU"):
        Stream(loader, pin_memory=True)
    # As if there were one: what is served went through PyTorch's own function.
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor + 1000)
    batches = list(Stream(loader, pin_memory=True))
    assert all((batch["step"] - 1000 == torch.from_numpy(batch.ordinals)).all() for batch in batches)
    assert "in pinned memory" in repr(Stream(loader, pin_memory=True)) and len(batches) == 8
    with pytest.raises(vlstore.InvalidError, match="a worker process has no GPU"):
        next(iter(DataLoader(Stream(loader, pin_memory=True), batch_size=None, num_workers=1)))


def orders(path, epochs, **how):
    """The records of each batch, of each of the first epochs."""
    loader = Loader(path, **how)
    return [[batch.ordinals.tolist() for batch in loader] for _ in range(epochs)]


def records(batches):
    return [batch.ordinals.tolist() for batch in batches]


ORDER = {"batch_size": 4, "seed": 1, "window": 10, "group": 2}


@pytest.mark.parametrize(
    ("workers", "persistent"), [(0, False), (1, False), (1, True), (2, False), (2, True), (3, False)]
)
def test_states_of_torchdata_go_on_with_exactly_the_rest(numbered, workers, persistent):
    stateful = pytest.importorskip("torchdata.stateful_dataloader", reason="torchdata is not installed")
    expected = orders(numbered, 3, lanes=max(workers, 1), **ORDER)
    # Two batches of eight before the end, between two snapshots, and behind the end.
    for every, stop in ((1, 1), (1, 6), (3, 5), (3, 8)):
        def made(every=every):
            stream = Stream(Loader(numbered, **ORDER))
            how = {"num_workers": workers, "persistent_workers": persistent, "snapshot_every_n_steps": every}
            return stream, stateful.StatefulDataLoader(stream, batch_size=None, **how)

        stream, loader = made()
        assert records(loader) == expected[0]
        stream.set_epoch(1)
        seen = []
        for batch in loader:
            seen.append(batch.ordinals.tolist())
            if len(seen) == stop < 8:
                break
        state = pickle.loads(pickle.dumps(loader.state_dict()))
        stream, loader = made()
        loader.load_state_dict(state)
        if stop < 8:
            assert seen + records(loader) == expected[1], (every, stop)
        stream.set_epoch(2)
        assert records(loader) == expected[2], (every, stop)


def test_a_state_of_a_worker_is_refused_by_another_number_of_workers(numbered):
    stream = Stream(Loader(numbered, lanes=1, **ORDER))
    state = {**stream.state_dict(), "turn": 1, "workers": 2}
    stream.load_state_dict(state)
    # All ways of a copy to a worker keep it.
    for other in (stream, pickle.loads(pickle.dumps(stream))):
        for workers, here in ((0, "none"), (1, "1")):
            with pytest.raises(vlstore.InvalidError, match=f"one of 2 workers, and here are {here}:.*state_dict.batch"):
                records(DataLoader(other, batch_size=None, num_workers=workers))
        batches = records(DataLoader(other, batch_size=None, num_workers=2))
        # The second worker has the first step.
        first, second = (records(Loader(numbered, lanes=1, **ORDER).share(worker=i, workers=2)) for i in (0, 1))
        assert batches[::2] == second and batches[1::2] == first
    stream.set_epoch(0)
    assert records(stream) == orders(numbered, 1, **ORDER)[0]
    # What somebody added to a state is left out.
    stream.load_state_dict({**stream.state_dict(), "more": "x" * 5000})
    assert "more" not in stream.state_dict()
    stream.set_epoch(0)
    assert records(stream) == orders(numbered, 1, **ORDER)[0]
    for wrong in ({"turn": 2, "workers": 2}, {"turn": "a", "workers": 2}, {"turn": 0}):
        with pytest.raises(vlstore.InvalidError, match="there is no worker"):
            stream.load_state_dict({**state, "workers": None, **wrong})


@pytest.mark.parametrize("workers", [0, 2])
def test_a_stream_says_where_what_it_serves_is(numbered, workers):
    stream = Stream(Loader(numbered, **ORDER))
    # As in a process group, where the loader itself is not what is served.
    stream._rank = lambda: (1, 2)
    expected = records(Loader(numbered, rank=1, world=2, **ORDER))
    assert len(stream) == len(DataLoader(stream, batch_size=None, num_workers=workers)) == len(expected) == 4
    seen = []
    for batch in stream:
        seen.append(batch.ordinals.tolist())
        assert stream.state_dict() == stream.state_dict(batch)
        assert stream.progress > 0.2 * len(seen)
        if len(seen) == 2:
            state = stream.state_dict()
    assert seen == expected and stream.epoch == 1 and stream.progress == 0 and stream.state_dict()["epoch"] == 1
    stream.load_state_dict(state)
    assert stream.epoch == 0 and records(stream) == expected[2:]
    # Told meanwhile where to go on.
    for batch in stream:
        stream.set_epoch(7)
    assert stream.epoch == 7


def test_the_length_of_a_stream_is_that_of_every_epoch_or_none(numbered, recwarn):
    stream = Stream(Loader(numbered, **ORDER))
    for workers in (0, 2):
        loader = DataLoader(stream, batch_size=None, num_workers=workers)
        for epoch in range(2):
            stream.set_epoch(epoch)
            assert len(loader) == len(stream) == len(records(loader)) == 8
    assert not [warning for warning in recwarn if "Length" in str(warning.message)]
    for how in ({"max_atoms": 20}, {"batch_size": 4, "buckets": True}):
        stream = Stream(Loader(numbered, **how))
        with pytest.raises(TypeError, match="changes from epoch to epoch.*len.stream.loader"):
            len(DataLoader(stream, batch_size=None))
        assert stream and len(list(stream)) == len(records(Loader(numbered, **how)))


def aloud(worker):
    """Lets a worker print its warnings: forked from a test it has a place where they are collected."""
    warnings.showwarning = lambda message, *_: print(message, file=sys.stderr, flush=True)


@pytest.mark.parametrize(
    ("method", "persistent", "workers"),
    [("fork", False, 1), ("fork", True, 1), ("fork", True, 2), ("spawn", True, 2), ("forkserver", False, 2)],
)
def test_workers_serve_the_epoch_that_is_told_and_say_it_if_none_is(numbered, capfd, method, persistent, workers):
    expected = orders(numbered, 4, lanes=workers, **ORDER)
    context = torch.multiprocessing.get_context(method)
    if method == "forkserver":
        context.set_forkserver_preload(["torch", "vlstore.torch"])
    stream = Stream(Loader(numbered, **ORDER))
    how = {"num_workers": workers, "persistent_workers": persistent, "multiprocessing_context": context}
    loader = DataLoader(stream, batch_size=None, worker_init_fn=aloud if method == "fork" else None, **how)
    for epoch in (0, 2, 1):
        stream.set_epoch(epoch)
        assert records(loader) == expected[epoch]
    assert "again" not in capfd.readouterr().err
    # One that was left early begins again, as without workers, and nothing is said.
    next(iter(loader))
    assert records(loader) == records(loader) == expected[1]
    # Workers of the fork server print where that prints, which another test may have begun.
    said = capfd.readouterr().err.count("serve epoch 1 again, in the same order: call stream.set_epoch(epoch)")
    assert said == 1 or method == "forkserver"
    stream.set_epoch(3)
    seen = []
    for batch in loader:
        seen.append(batch.ordinals.tolist())
        if len(seen) == 3:
            break
    stream.load_state_dict(json.loads(json.dumps(stream.state_dict(batch))))
    assert seen + records(loader) == expected[3]
    # The same rest is not served twice.
    with pytest.raises(vlstore.InvalidError, match="epoch 3 was served to its end.*call stream.set_epoch.4. before"):
        records(loader)
    stream.set_epoch(0)
    assert records(loader) == expected[0]


def test_ranks_may_have_other_numbers_of_workers_if_lanes_are_given(numbered):
    seen = []
    for rank, workers in ((0, 0), (1, 2)):
        stream = Stream(Loader(numbered, rank=rank, world=2, lanes=2, rest="repeat", **ORDER))
        batches = DataLoader(stream, batch_size=None, num_workers=workers)
        seen += [ordinal for batch in batches if not batch.repeated for ordinal in batch.ordinals.tolist()]
    assert sorted(seen) == list(range(30))


def test_batches_in_order_may_come_again(numbered, capfd):
    stream = Stream(Loader(numbered, batch_size=8, shuffle=False))
    loader = DataLoader(stream, batch_size=None, num_workers=1, worker_init_fn=aloud)
    assert records(loader) == records(loader) and "again" not in capfd.readouterr().err


def test_workers_of_a_copy_from_another_process_say_that_they_cannot_hear(numbered):
    stream = Stream(Loader(numbered, **ORDER))
    stream._told._process = -1
    loader = DataLoader(stream, batch_size=None, num_workers=1, persistent_workers=True)
    expected = orders(numbered, 2, **ORDER)
    assert records(loader) == expected[0]
    stream.set_epoch(1)
    with pytest.raises(vlstore.InvalidError, match="make the Stream in the process that makes the DataLoader"):
        records(loader)
    # What is told from here on is heard by workers that begin now.
    assert records(DataLoader(stream, batch_size=None, num_workers=1, persistent_workers=True)) == expected[1]


@pytest.mark.parametrize("workers", [0, 1])
def test_lists_of_arrays_come_as_tensors_that_may_be_written_to(path, workers, recwarn):
    with vlstore.open(path, "w", records="array") as store:
        store.put_many((i, np.full((2, i + 1), i, "f4")) for i in range(9))
    stream = Stream(Loader(path, batch_size=3, seed=1))
    for batch in stream if workers == 0 else DataLoader(stream, batch_size=None, num_workers=workers):
        for value, ordinal in zip(batch, batch.ordinals, strict=True):
            assert isinstance(value, torch.Tensor) and (value == ordinal).all() and value.dtype == torch.float32
            value += 1
        assert stream.state_dict(batch)["epoch"] == 0
    assert not [warning for warning in recwarn if "writable" in str(warning.message)]


def test_what_a_transform_returns_says_where_it_is_or_that_it_cannot(numbered):
    plain = Stream(Loader(numbered, batch_size=4, transform=dict))
    with pytest.raises(vlstore.WrongTypeError, match="a dict does not say where it is: let the transform"):
        plain.state_dict(next(iter(plain)))

    def fixed(batch):
        batch["fixed"] = np.broadcast_to(np.float32(1), (3,))
        return batch

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        batch = next(iter(Stream(Loader(numbered, batch_size=4, transform=fixed))))
    batch["fixed"] += 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU on this machine")
@pytest.mark.parametrize("workers", [0, 1])
def test_batches_come_in_pinned_memory_to_the_gpu(numbered, workers):
    loader = Loader(numbered, batch_size=4, seed=1)
    batches = Stream(loader, pin_memory=True)
    if workers:
        batches = DataLoader(Stream(loader), batch_size=None, num_workers=1, pin_memory=True)
    seen = []
    for batch in batches:
        assert batch["positions"].is_pinned() and type(batch) is TensorBatch
        there = batch.to("cuda", non_blocking=True)
        assert there["step"].device.type == "cuda" and (there.ordinals == batch.ordinals).all()
        seen += there["step"].tolist()
    assert sorted(seen) == list(range(30))
