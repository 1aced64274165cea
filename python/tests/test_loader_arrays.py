"""Records that are arrays, put together in batches as the arrays of frames are."""

import pickle

import numpy as np
import pytest

import vlstore
from vlstore.loader import Batch, Loader


def value(codec, i):
    flat = np.arange(i % 7 + 1, dtype=np.float32) + 100 * i
    return flat if codec == "flat-f32" else np.stack([flat, -flat], axis=1)


@pytest.fixture(params=["array", "flat-f32"])
def arrays(request, path):
    with vlstore.open(path, "w", records=request.param) as store:
        for i in range(100):
            store[f"k{i}"] = value(request.param, i)
    return path, [value(request.param, i) for i in range(100)]


def doubled(record):
    return {**record, "values": np.repeat(record["values"], 2, axis=0)}


@pytest.mark.parametrize("where", ["caller", "threads"])
def test_ragged_batches_are_the_records_one_behind_the_other(arrays, where):
    path, wanted = arrays
    loader = Loader(path, batch_size=16, layout="ragged", seed=1, transform_in=where)
    seen = []
    for batch in pickle.loads(pickle.dumps(loader)):
        assert isinstance(batch, Batch) and list(batch) == ["values", "ptr", "batch"] and batch.per_site == {"values"}
        assert batch["values"].flags.writeable and batch["values"].dtype == np.float32
        for i, ordinal in enumerate(batch.ordinals.tolist()):
            own = batch["values"][batch["ptr"][i] : batch["ptr"][i + 1]]
            assert (own == wanted[ordinal]).all() and own.shape == wanted[ordinal].shape
            assert (batch["batch"][batch["ptr"][i] : batch["ptr"][i + 1]] == i).all()
        seen += batch.ordinals.tolist()
    assert sorted(seen) == list(range(100))
    state = loader.state_dict(batch)
    loader.load_state_dict(state)
    wide = next(iter(Loader(path, batch_size=4, layout="ragged", dtype="float64", transform_record=doubled, shuffle=False)))
    assert wide["values"].dtype == np.float64
    assert (wide["values"] == np.concatenate([np.repeat(a, 2, axis=0) for a in wanted[:4]])).all()


def test_padded_batches_say_what_is_padding(arrays):
    path, wanted = arrays
    for batch in Loader(path, batch_size=16, layout="padded", pad_to=[4, 8], pad_rows=True):
        rows = len(batch.ordinals)
        assert batch["values"].shape[:2] == (16, 4 if max(batch["sites"]) <= 4 else 8)
        assert batch["frame_mask"].sum() == rows
        assert batch["sites"][:rows].tolist() == [len(wanted[o]) for o in batch.ordinals]
        assert (batch["values"][batch["site_mask"]] == np.concatenate([wanted[o] for o in batch.ordinals])).all()
        assert not batch["values"][~batch["site_mask"]].any()
    with pytest.raises(vlstore.InvalidError, match="pad_to: the frame has 7 sites, more than 5"):
        list(Loader(path, batch_size=16, layout="padded", pad_to=5))


def test_types_of_arrays_are_turned_where_they_are_real(tmp_path):
    path = tmp_path / "integers.vls"
    with vlstore.open(path, "w", records="array") as store:
        store["a"] = np.arange(5)
    for dtype in (None, "float32", {"values": "int64"}):
        assert next(iter(Loader(path, batch_size=1, layout="ragged", dtype=dtype)))["values"].dtype == np.int64
    with pytest.raises(vlstore.InvalidError, match="the record is int64, not to be turned to float32"):
        list(Loader(path, batch_size=1, layout="ragged", dtype={"values": "float32"}))
    for dtype, why in (("int32", "is not one of float32, float64"), ({"value": "float32"}, "\"value\"|'value'")):
        with pytest.raises(vlstore.InvalidError, match=why):
            Loader(path, batch_size=1, layout="ragged", dtype=dtype)


def test_what_is_no_array_or_does_not_join_is_refused(tmp_path):
    texts, shapes, numbers = (tmp_path / f"{name}.vls" for name in ("texts", "shapes", "numbers"))
    with vlstore.open(texts, "w") as store:
        store["a"] = b"text"
    with pytest.raises(vlstore.InvalidError, match="\"?ragged.*is for a store of frames .* or arrays, not of bytes"):
        Loader(texts, batch_size=1, layout="ragged")
    with vlstore.open(shapes, "w", records="array") as store:
        store["a"], store["b"] = np.zeros((2, 3)), np.zeros((2, 4))
    with pytest.raises(vlstore.InvalidError, match="only the first axis may differ") as caught:
        list(Loader(shapes, batch_size=2, layout="ragged", shuffle=False))
    assert "\"b\"" in caught.value.__notes__[0]
    with vlstore.open(numbers, "w", records="array") as store:
        store["a"] = np.array(1.5)
    with pytest.raises(vlstore.InvalidError, match="without an axis to join"):
        list(Loader(numbers, batch_size=2, layout="padded"))
    for wrong in ({"fields": ["values"]}, {"units": {"length": "nm"}}, {"layout": "dense"}, {"missing": "fill"}):
        with pytest.raises(vlstore.InvalidError):
            Loader(shapes, batch_size=2, **{"layout": "ragged", **wrong})
