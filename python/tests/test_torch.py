"""A store as a PyTorch data set, through a real DataLoader.

./test installs PyTorch where it can; where it is missing these are skipped.
"""

import pickle

import numpy as np
import pytest

import vlstore

torch = pytest.importorskip("torch", reason="PyTorch is not installed: ./test installs it unless VLSTORE_TORCH is 0")

from torch.utils.data import DataLoader  # noqa: E402

from vlstore.torch import Dataset, collate  # noqa: E402
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
    loader = DataLoader(
        dataset, batch_size=5, num_workers=2, collate_fn=collate, multiprocessing_context=method
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
    with pytest.raises(vlstore.InvalidError, match='has no field of numbers "forces"'):
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
