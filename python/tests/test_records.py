"""What the records of a store are: by its file, by name, and never something else."""

import subprocess
import sys

import numpy as np
import pytest

import vlstore
from vlstore.store import SChunkStore

JUNK = (b"junk", bytes(1000), b"", bytearray(8))


def frames(path, **how):
    with vlstore.open(path, "w", records="md-frame", **how) as store:
        store["a"] = vlstore.MdFrame(np.zeros((2, 3)), energy=1.0)
        store.push(vlstore.MdFrame(np.ones((3, 3), "float32")))
    return path


def whole(path, count=2):
    store = vlstore.open(path)
    assert len(store) == len(list(store.values())) == count and store.verify()
    assert store.at.arrays(range(count), fields=["positions"])["ptr"][-1] == store.at.weights().sum()
    assert store.statistics()["frames"] == count


@pytest.mark.parametrize("mode", ["r", "a"])
def test_open_takes_the_codec_that_the_file_names(path, mode):
    frames(path)
    for records in ({}, {"records": "auto"}, {"records": None}, {"records": "md-frame"}):
        with vlstore.open(path, mode, **records) as store:
            assert isinstance(store, vlstore.Depot) and store.codec == "md-frame"
            assert store["a"].energy == 1.0
    with vlstore.open(path, mode, records="bytes") as store:
        assert type(store) is vlstore.Store and isinstance(store["a"], bytes)
    for codec, value in (("array", np.arange(3)), ("flat-f32", np.ones(3, "float32"))):
        other = path.with_suffix("." + codec)
        vlstore.open(other, "x", records=codec).put("a", value)
        with vlstore.open(other, mode) as store:
            assert store.codec == codec and np.array_equal(store["a"], value)
    plain = path.with_suffix(".bytes")
    for made in ("w", "a"):
        with vlstore.open(plain, made) as store:
            store["a"] = b"1"
            assert type(store) is vlstore.Store and store.options["record_codec"] == "raw"
    content = vlstore.open(path).to_bytes()
    assert vlstore.from_bytes(content, mode)["a"].energy == 1.0
    assert isinstance(vlstore.from_bytes(content, mode, records="bytes")["a"], bytes)


@pytest.mark.parametrize("records", [None, "auto", "bytes", "md-frame"])
def test_bytes_that_are_no_frame_get_into_a_store_of_frames_by_no_way(path, records):
    frames(path)
    with vlstore.open(path, "a", records=records) as store:
        good = bytes(vlstore.MdFrame(np.zeros((4, 3)), energy=2.0).record)
        referring = vlstore.MdFrame(np.zeros((4, 3)), topology=vlstore.Topology(nsites=4)).record
        for junk in (*JUNK, good[:-1], bytes(referring)):
            for put in (
                lambda: store.__setitem__("x", junk), lambda: store.put("a", junk),  # noqa: B023
                lambda: store.push(junk), lambda: store.put_many({"x": junk}),  # noqa: B023
                lambda: store.push_many([junk]),  # noqa: B023
            ):
                with pytest.raises(vlstore.Error):
                    put()
        # What the codec takes is taken as bytes, too, and counted.
        store["b"] = good
        store["b"] = good
        assert store.at.weights().tolist() == [2, 3, 4] and store.column("energy")[2] == 2.0
    whole(path, 3)


def test_the_face_of_the_original_and_the_command_refuse_them_too(path):
    frames(path)
    old = SChunkStore(location=path)
    for junk in filter(len, JUNK):
        with pytest.raises(vlstore.Error, match="md-frame"):
            old.put("x", junk)
    old.close()
    command = [sys.executable, "-m", "vlstore", "put", str(path), "x"]
    done = subprocess.run(command, input=b"junk", capture_output=True, check=False)
    assert done.returncode == 1 and b"md-frame" in done.stderr
    whole(path)


def test_records_of_a_codec_of_somebody_else_are_shown_and_not_added_to(path):
    class Words:
        name = "words"

        def encode(self, words):
            return " ".join(words).encode()

        def decode(self, record):
            return bytes(record).decode().split()

    with vlstore.open(path, "w", records=Words()) as store:
        store["a"] = ["two", "words"]
    with vlstore.open(path, "a") as store:
        assert store["a"] == b"two words"
        with pytest.raises(vlstore.InvalidError, match='"words".*records="bytes"'):
            store["b"] = b"more"
    # Who asks for bytes by name vouches for them.
    with vlstore.open(path, "a", records="bytes") as store:
        store["b"] = b"more words"
    assert vlstore.open(path, records=Words())["b"] == ["more", "words"]
    # By name or without, "auto" is the same.
    for how in ({}, {"records": "auto"}):
        store = vlstore.open(path, **how)
        assert type(store) is vlstore.Store and store["a"] == b"two words"


def test_zeros_are_no_frame():
    from vlstore.serialize import BackedAtomicDataCodec

    for length in (0, 4, 12, 1000):
        with pytest.raises(vlstore.CodecError, match="not a frame"):
            vlstore.MdFrame.from_bytes(bytes(length))
        with pytest.raises(vlstore.CodecError):
            BackedAtomicDataCodec.unpack(bytes(length))
        with pytest.raises(vlstore.CodecError):
            vlstore.Topology.from_bytes(bytes(length))
    assert vlstore.MdFrame.from_bytes(vlstore.MdFrame().record).nsites == 0


def test_a_document_is_json_and_arrays(tmp_path):
    path = tmp_path / "d.vls"
    head = {"name": "ä", "trial": 3, "missing": None, "nested": [1.5, True]}
    arrays = [np.arange(6, dtype="int16").reshape(2, 3), np.array(2.5), np.zeros((0, 4), "complex64")]
    with vlstore.open(path, "w", records="document") as depot:
        depot["a"] = vlstore.Document(head, arrays)
        depot["b"] = ([], [])
    with vlstore.open(path) as depot:
        found = depot["a"]
        assert isinstance(found, vlstore.Document) and found.head == head
        for here, there in zip(found.arrays, arrays, strict=True):
            assert here.dtype == there.dtype and here.shape == there.shape
            assert not here.flags.writeable
            np.testing.assert_array_equal(here, there)
        assert depot["b"] == ([], [])


@pytest.mark.parametrize(
    "value", [None, "ab", {"a": 1}, ({"x": float("nan")}, []), ({}, [["text"]]), ({1, 2}, []), ({}, 3), ({}, [], 0)]
)
def test_what_is_no_document_is_refused_and_nothing_is_put(value):
    with vlstore.memory(records="document") as depot:
        with pytest.raises((TypeError, ValueError)):
            depot["a"] = value
        assert len(depot) == 0
