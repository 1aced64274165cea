"""What users' functions make of batches and records, wherever they run."""

import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import vlstore
from vlstore.loader import Frame, Loader
from vlstore_workers import doubled, refusing

PLACES = ("caller", "threads", "processes")
HOW = {"batch_size": 16, "seed": 1, "window": 64, "group": 8}


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    path = tmp_path_factory.mktemp("frames") / "frames.vls"
    random = np.random.default_rng(0)
    with vlstore.open(path, "w", records="md-frame") as store:
        for i, n in enumerate(random.integers(5, 30, 200)):
            store[f"m{i}"] = vlstore.MdFrame(np.full((n, 3), float(i)), types=np.full(n, i % 7), step=i)
    return path


@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("layout", ["ragged", "padded"])
def test_each_record_is_transformed_in_its_place(frames, where, layout):
    loader = Loader(frames, **HOW, layout=layout, transform_record=doubled, transform_in=where, transform_workers=2)
    plain = Loader(frames, **HOW, layout=layout)
    for made, batch in zip(loader, plain, strict=True):
        assert (made["positions"] == 2 * batch["positions"]).all()
        sites = batch["sites"] if layout == "padded" else np.diff(batch["ptr"])
        assert (made.pop("count") == sites).all()
        assert list(made) == list(batch) and all((made[k] == batch[k]).all() for k in list(batch)[1:])
        assert all(made[k].dtype == batch[k].dtype for k in batch)
        assert made.ordinals.tolist() == batch.ordinals.tolist() and made.at == batch.at


def test_a_state_is_that_of_what_was_served(frames):
    for where in ("threads", "caller"):
        loader = Loader(frames, **HOW, transform_record=doubled, transform_in=where)
        whole = [b.ordinals.tolist() for b in Loader(frames, **HOW)]
        batches = iter(loader)
        assert [next(batches).ordinals.tolist() for _ in range(3)] == whole[:3]
        other = pickle.loads(pickle.dumps(loader))
        other.load_state_dict(loader.state_dict())
        assert [b.ordinals.tolist() for b in other] == whole[3:]
        batches.close()
        assert not [t for t in threading.enumerate() if t.name.startswith("vlstore transform")]


@pytest.mark.parametrize("where", PLACES)
def test_an_error_comes_where_its_record_does_with_its_key(frames, where):
    order = [b.ordinals.tolist() for b in Loader(frames, **HOW)]
    before = next(i for i, ordinals in enumerate(order) if 77 in ordinals)
    loader = Loader(frames, **HOW, transform_record=refusing, transform_in=where, transform_workers=2)
    served = []
    with pytest.raises(KeyError, match="no 77") as caught:
        for batch in loader:
            served.append(batch.ordinals.tolist())
    assert served == order[:before]
    assert caught.value.__notes__ == ['in the transform of the record "m77" (ordinal 77)']
    # Where it was raised is said.
    assert caught.value.__context__ is None
    assert "refusing" in str(caught.value.__cause__ or caught.traceback[-1].name)
    assert loader.load_state_dict(loader.state_dict()) is None


def test_sites_may_change_and_arrays_come_and_go(frames):
    def first_three(frame):
        assert isinstance(frame, Frame) and frame.per_site == {"positions", "types"}
        frame["twice"] = frame.pop("positions")[:3] * 2
        frame["types"] = frame["types"][:3]
        frame["pairs"] = np.zeros(frame["step"] % 3)
        frame.per_site.add("twice")
        return frame

    batch = next(iter(Loader(frames, **HOW, transform_record=first_three)))
    assert batch["twice"].shape == (48, 3) and batch["ptr"].tolist() == list(range(0, 49, 3))
    assert isinstance(batch["pairs"], list) and len(batch["pairs"]) == 16
    padded = next(iter(Loader(frames, **HOW, layout="padded", pad_to=[2, 4], transform_record=first_three)))
    assert padded["twice"].shape == (16, 4, 3) and padded["site_mask"].sum() == 48
    with pytest.raises(vlstore.InvalidError, match="more than 2") as caught:
        next(iter(Loader(frames, **HOW, layout="padded", pad_to=2, transform_record=first_three)))
    assert "in the transform of the record" in caught.value.__notes__[0]

    def uneven(frame):
        frame["types"] = frame["types"][:1]
        return frame

    with pytest.raises(vlstore.InvalidError, match="different numbers of sites: positions"):
        next(iter(Loader(frames, **HOW, transform_record=uneven)))
    with pytest.raises(vlstore.WrongTypeError, match="returns the dict of a frame, not NoneType"):
        next(iter(Loader(frames, **HOW, transform_record=lambda frame: None)))
    with pytest.raises(vlstore.InvalidError, match="differs from that of the first record in odd"):
        next(iter(Loader(frames, **HOW, transform_record=lambda f: {**f, "odd": 1} if f["step"] % 2 else f)))


def test_values_of_any_store_are_transformed_and_batches_behind_them(path):
    with vlstore.open(path, "w") as store:
        for i in range(40):
            store[i] = b"%d" % i
    for where in ("caller", "threads"):
        loader = Loader(path, batch_size=8, transform_record=int, transform=sum, transform_in=where)
        assert sum(loader) == sum(range(40))
    with ThreadPoolExecutor(1) as executor:
        loader = Loader(path, batch_size=8, transform_record=int, transform_in=executor)
        assert sorted(v for batch in loader for v in batch) == list(range(40))
        assert executor.submit(int, 1).result() == 1, "it is its owner's to end"


def test_what_was_read_before_a_damaged_record_is_served_before_its_error(path):
    with vlstore.open(path, "w", compression="stored") as store:
        for i in range(300):
            store[i] = b"%d." % i * 100
    data = bytearray(path.read_bytes())
    data[data.index(b"290." * 100)] ^= 1
    path.write_bytes(data)
    counts = []
    for where in ("caller", "threads"):
        how = {"shuffle": False, "memory": 1 << 15, "transform_record": len, "transform_in": where}
        batches = iter(Loader(path, batch_size=10, **how))
        with pytest.raises(vlstore.CorruptError):
            counts.append(0)
            while True:
                next(batches)
                counts[-1] += 1
    assert counts[0] == counts[1] > 0


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"transform": 3}, "transform is a function, not int"),
        ({"transform_record": "x"}, "transform_record is a function"),
        ({"transform_in": "somewhere"}, "'caller', 'threads', 'processes'"),
        ({"transform_workers": 0}, "is 0, and must be 1 or more"),
        ({"transform": lambda batch: batch, "transform_in": "processes"}, "functions that pickle"),
    ],
)
def test_transforms_that_cannot_work_are_refused_at_once(frames, wrong, why):
    with pytest.raises(vlstore.Error, match=why):
        Loader(frames, batch_size=4, **wrong)


def ending(record):
    raise StopIteration("enough")


@pytest.mark.parametrize("where", ["caller", "threads"])
def test_a_transform_that_stops_an_iteration_ends_no_epoch(frames, where):
    loader = Loader(frames, batch_size=8, transform_record=ending, transform_in=where)
    with pytest.raises(RuntimeError, match="StopIteration: enough") as caught:
        list(loader)
    assert "in the transform of the record" in caught.value.__notes__[0]
