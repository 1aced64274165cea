"""What stays in memory: a batch what it holds, a view its batch or block, and nothing more."""

import gc
import pathlib

import numpy as np
import pytest

import vlstore

FRAMES, SITES = 3000, 100
#: Bytes of the positions of a frame.
BYTES = SITES * 3 * 4


@pytest.fixture(scope="module")
def depot(tmp_path_factory):
    path = tmp_path_factory.mktemp("memory") / "frames.vls"
    random = np.random.default_rng(0)
    with vlstore.open(path, "w", records="md-frame", purpose="random", chunk_size=1 << 18) as depot:
        depot.put_frames(random.normal(size=(FRAMES, SITES, 3)).astype("f4"))
    return vlstore.open(path, records="auto", cache_bytes=0, threads=2)


def resident():
    """Bytes of memory that this process has of its own, mapped files apart."""
    try:
        text = pathlib.Path("/proc/self/status").read_text()
    except OSError:
        pytest.skip("this system does not tell a process how much memory it has")
    gc.collect()
    line = next(line for line in text.splitlines() if line.startswith("RssAnon"))
    return int(line.split()[1]) * 1024


def test_a_single_frame_keeps_its_block_alive_and_not_its_chunk(depot):
    kept, before = [], resident()
    for i in range(0, FRAMES, 3):
        kept.append(depot.at[i].positions)
        assert kept[-1].base.held <= 16 << 10
    grown = resident() - before
    # Chunks would be 256 MiB.
    assert grown < 2 * len(kept) * (16 << 10), grown
    assert len({array.ctypes.data for array in kept}) == len(kept)


def test_a_frame_that_is_kept_keeps_its_batch_and_no_other(depot):
    size = len(bytes(depot.at[0].record))
    kept, before = [], resident()

    def keep_from_each_batch():
        for i in range(200):
            batch = depot.at.batch(range(10 * i, 10 * i + 100))
            kept.append(batch[7].positions)
            assert kept[-1].base.held <= 100 * (size + 8)
        return resident() - before

    grown = keep_from_each_batch()
    one = kept[0].base.held
    assert grown < 1.5 * len(kept) * one + (8 << 20), (grown, one)
    # The allocator need not give back what it has got, but what is let go it uses again.
    kept.clear()
    assert keep_from_each_batch() < 1.25 * grown + (4 << 20)


def test_flat_arrays_are_as_large_as_what_is_in_them_and_live_alone(depot):
    kept, before = [], resident()
    for i in range(100):
        arrays = depot.at.arrays(range(10 * i, 10 * i + 1000))
        assert set(arrays) == {"positions", "ptr", "batch"}
        assert arrays["positions"].nbytes == 1000 * BYTES
        for array in arrays.values():
            # Its own memory, up to the place where it begins, and nobody else's.
            assert array.base.nbytes == array.nbytes + 63 and array.base.base is None
            assert array.flags.writeable and array.ctypes.data % 64 == 0
        kept.append(arrays["ptr"])
    # The positions, 114 MiB in all, are gone with their dicts.
    assert resident() - before < 30 << 20
    again = [depot.at.arrays(range(1000), ["positions"])["positions"] for _ in range(50)]
    grown = resident() - before
    assert grown < 1.2 * 50 * 1000 * BYTES + (30 << 20), grown
    del again


def test_reading_over_and_over_grows_nothing(depot):
    def read():
        for i in range(0, FRAMES, 100):
            depot.at.batch(range(i, i + 100))
            depot.at.arrays(range(i, i + 100))
            depot.at.view_batch(range(i, i + 100))
        for i in range(0, FRAMES, 10):
            frame = depot.at[i]
            frame.positions, frame.to_dict(), depot.at.view(i), bytes(frame.record)

    read()
    before = resident()
    for _ in range(10):
        read()
    assert resident() - before < 8 << 20


def test_a_view_of_a_stored_record_keeps_nothing_but_the_map(tmp_path):
    path = tmp_path / "stored.vls"
    # Chunks small enough that the first is full; what is in the last lies in the log.
    with vlstore.open(path, "w", records="md-frame", compression="stored", chunk_size=65536) as depot:
        depot.put_frames(np.ones((200, SITES, 3)))
    depot = vlstore.open(path, records="auto", access="map")
    positions = depot.at[7].positions
    assert positions.base.held == 0 and positions.sum() == 3 * SITES
