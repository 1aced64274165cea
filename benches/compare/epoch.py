"""Measures shuffled epochs: batches of frames as training takes them, from vlstore and from loaders over other stores.

    benches/compare/run epoch [--sets molecules ...] [--peers vlstore-dense ...] [--rounds 5] [--scale 1.0] [--out FOLDER]

A batch is positions and forces of 64 frames, concatenated, and the sizes of the frames; every frame comes once, in an
order that is drawn anew in each round. Of each store the loader is the one that its users write: where a store reads
many records at once, a batch is read so. `C, in order` is C-Blosc2 alone, on as many threads as there are cores: it
decodes the chunks of our own file one after the other, and makes neither batches nor arrays and checks nothing. The
original program is measured if VLSTORE_ORIGINAL names its folder `src` (and flatbuffers is installed). Each peer runs in a process of its own; rounds alternate in random order, the first is not counted, medians are reported.
Everything is in the page cache. Writes `epoch.md` and `epoch.json` into the folder.
"""

import argparse
import json
import multiprocessing
import os
import pathlib
import random
import shutil
import statistics
import sys
import tempfile
import time
import traceback

import numpy as np

import data
import peers
from compare import check, size_of, touch

BATCH = 64
SECONDS = 2.0  # of an epoch in one round, at most
CORES = len(os.sched_getaffinity(0))

#: Name, and how many frames of it are made: several windows of the loader.
SETS = {
    "molecules": (data.molecules, 120_000),
    "crystals": (data.crystals, 40_000),
    "mixed": (data.mixed, 6_000),
}
LOADERS = {}


def loader(key, store, label):
    """Registers how epochs come out of the peer `store`."""

    def add(function):
        LOADERS[key] = (store, label, function)
        return function

    return add


@peers.peer("original", "the original program")
class Original(peers.Peer):
    """The original program as it comes: Zstd, chunks of 4 MiB, records as its own codec encodes them."""

    def write(self, frames):
        sys.path.insert(0, os.environ["VLSTORE_ORIGINAL"])
        from vlstore.serialize import BackedAtomicData
        from vlstore.store import SChunkStore

        store = SChunkStore(location=pathlib.Path(self.path))
        for i, name in enumerate(frames.keys):
            sites = slice(frames.starts[i], frames.starts[i + 1])
            types = frames.types[sites].astype(np.int32)
            record = BackedAtomicData.from_values(
                name=name, atom_types=types, nsites=len(types), positions=frames.positions[sites],
                forces=frames.forces[sites], masses=np.ones(len(types), np.float32),
            )
            store.put(name, record.raw)
        store.close()

    def open(self):
        from vlstore.serialize import BackedAtomicDataCodec
        from vlstore.store import Depot, SChunkStore

        records = SChunkStore(location=pathlib.Path(self.path))
        self.store, self.count = Depot(codec=BackedAtomicDataCodec, backing=records), len(records)

    def batch(self, ordinals):
        return joined([self.store.get(f"{self.first}_{i:08d}") for i in ordinals])


def joined(frames):
    positions = [frame.pos for frame in frames]
    sizes = np.array([len(p) for p in positions])
    return np.concatenate(positions), np.concatenate([frame.forces for frame in frames]), sizes


@loader("original", "original", "the original program's BlockShuffleBatch, 5 chunks")
def original(store, seed):
    from vlstore.loader import BlockShuffleBatch

    random.seed(seed)
    for frames in BlockShuffleBatch(read_size=5, batch_size=BATCH, backing=store.store):
        yield joined(frames)


@loader("vlstore-dense", "vlstore-dense", "vlstore, Zstd, dense")
@loader("vlstore", "vlstore", "vlstore, Zstd, balanced")
@loader("vlstore-lz4", "vlstore-lz4", "vlstore, LZ4, balanced")
def ours(store, seed, **more):
    yield from epoch_of(store, store.path, seed, more)


def epoch_of(store, data, seed, more):
    """The next epoch of the one loader that a training has."""
    from vlstore.loader import Loader

    if not hasattr(store, "loader"):
        store.loader = Loader(data, batch_size=BATCH, seed=seed, fields=["positions", "forces"], **more)
    for batch in store.loader:
        yield batch["positions"], batch["forces"], np.diff(batch["ptr"])


@loader("vlstore-dense-one", "vlstore-dense", "vlstore, Zstd, dense, one thread")
@loader("vlstore-lz4-one", "vlstore-lz4", "vlstore, LZ4, balanced, one thread")
def one_thread(store, seed):
    import vlstore

    if not hasattr(store, "one_thread"):
        store.one_thread = vlstore.open(store.path, threads=1)
    yield from epoch_of(store, store.one_thread, seed, {})


@loader("vlstore-dense-whole", "vlstore-dense", "vlstore, Zstd, dense, one window")
@loader("vlstore-lz4-whole", "vlstore-lz4", "vlstore, LZ4, one window")
def whole(store, seed):
    return ours(store, seed, window=store.count)


@loader("c-dense", "vlstore-dense", "C, in order: Zstd, dense")
@loader("c", "vlstore", "C, in order: Zstd, balanced")
@loader("c-lz4", "vlstore-lz4", "C, in order: LZ4")
def model(store, seed):
    """Decodes the chunks of the file in order; gives the number of frames that were in them."""
    import blosc2

    blosc2.set_nthreads(CORES)
    frame = blosc2.schunk_from_cframe(pathlib.Path(store.path).read_bytes(), False)
    space, done = bytearray(frame.chunksize), 0
    for number in range(frame.nchunks):
        frame.decompress_chunk(number, space)
        done += 1
        yield done / frame.nchunks * store.count


@loader("atompack", "atompack", "Atompack")
@loader("atompack-lz4", "atompack-lz4", "Atompack, LZ4")
@loader("atompack-zstd", "atompack-zstd", "Atompack, Zstd")
@loader("lmdb", "lmdb", "LMDB")
@loader("lmdb-zstd", "lmdb-zstd", "LMDB, Zstd a record")
@loader("hdf5", "hdf5", "HDF5, Blosc2 filter")
@loader("hdf5-lzf", "hdf5-lzf", "HDF5, shuffle and LZF")
@loader("lance", "lance", "Lance")
@loader("bagz", "bagz", "Bagz, Zstd")
def shuffled(store, seed):
    """Records in the order of a permutation, read by batches."""
    order = np.random.default_rng(seed).permutation(store.count)
    for first in range(0, store.count, BATCH):
        yield store.batch(order[first : first + BATCH])


@loader("grain", "array-record", "Grain over ArrayRecord")
def grain(store, seed):
    import grain

    source = grain.sources.ArrayRecordDataSource(store.path)
    frames = grain.MapDataset.source(source).shuffle(seed=seed)
    options = grain.ReadOptions(num_threads=CORES, prefetch_buffer_size=4 * BATCH)
    frames = frames.batch(BATCH, batch_fn=peers.Packed.arrays)
    yield from frames.to_iter_dataset(options)


def serve(pipe, key, path, made, count):
    """One loader: writes the frames, then serves an epoch when it is told to."""
    try:
        peer, _, epoch = LOADERS[key]
        cls, _, options = peers.PEERS[peer]
        frames, store = made(count), cls(path, **options)
        store.first = frames.name[:3]
        store.write(frames)
        store.open()
        check(store, frames, np.random.default_rng(5))
        # Every frame once: as many as there are, and the sum of their numbers.
        if epoch is not model:
            total = sum(float(batch[0].sum(dtype=np.float64)) for batch in epoch(store, 1))
            if not np.isclose(total, frames.positions.sum(dtype=np.float64), rtol=1e-9, atol=1e-3):
                raise ValueError("an epoch does not have every frame once")
        pipe.send(size_of(path) / frames.raw)
        raw = frames.raw
        del frames
        while (seed := pipe.recv()) is not None:
            done, start = 0, time.perf_counter()
            for batch in epoch(store, seed):
                if isinstance(batch, float):
                    done = batch
                else:
                    touch(batch)
                    done += len(batch[2])
                if (spent := time.perf_counter() - start) > SECONDS:
                    break
            pipe.send({"k/s": done / spent / 1e3, "MB/s": done / spent / store.count * raw / 1e6})
    except Exception:
        pipe.send({"error": traceback.format_exc()})


def measure(name, keys, rounds, scale, folder):
    """All loaders on one set: by loader its size and the samples of its rate."""
    context = multiprocessing.get_context("spawn")
    made, count = SETS[name]
    running, figures = {}, {}
    for key in keys:
        ours, theirs = context.Pipe()
        path = folder / f"{name}-{key}"
        where = (theirs, key, path, made, int(count * scale))
        context.Process(target=serve, args=where, daemon=True).start()
        print(f"{name}: {key} writes", file=sys.stderr, flush=True)
        first = ours.recv()
        if isinstance(first, dict):
            print(f"{key} is left out:\n{first['error']}", file=sys.stderr)
            continue
        running[key], figures[key] = ours, {"size": first, "k/s": [], "MB/s": []}
    for turn in range(rounds + 1):
        for key in random.sample(list(running), len(running)):
            running[key].send(turn + 10)
            answer = running[key].recv()
            if "error" in answer:
                raise SystemExit(answer["error"])
            if turn > 0:
                for unit, value in answer.items():
                    figures[key][unit].append(value)
    for pipe in running.values():
        pipe.send(None)
    return figures


def table(name, figures):
    lines = [f"## {name}", "", "| loader | size | frames, k/s | MB/s |", "| --- | ---: | ---: | ---: |"]
    for key in sorted(figures, key=lambda k: -statistics.median(figures[k]["k/s"])):
        rate, bytes_ = (statistics.median(figures[key][unit]) for unit in ("k/s", "MB/s"))
        lines.append(f"| {LOADERS[key][1]} | {figures[key]['size']:.3f} | {rate:.1f} | {bytes_:.0f} |")
    for ours, reference in (("vlstore-dense", "c-dense"), ("vlstore-lz4", "c-lz4"), ("vlstore-dense", "atompack"),
                            ("vlstore-dense", "atompack-lz4"), ("vlstore-lz4", "atompack"), ("vlstore-lz4", "atompack-lz4")):
        if ours in figures and reference in figures:
            ratio = statistics.median(
                a / b for a, b in zip(figures[ours]["k/s"], figures[reference]["k/s"], strict=True)
            )
            lines.append(f"\n{LOADERS[ours][1]} to {LOADERS[reference][1]}: {ratio:.2f}")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--peers", nargs="+", choices=LOADERS, default=list(LOADERS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="times as many frames")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("target/compare"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    results, folder = {}, pathlib.Path(tempfile.mkdtemp(prefix="vlstore-epoch-"))
    try:
        for name in args.sets:
            results[name] = measure(name, args.peers, args.rounds, args.scale, folder)
            for file in folder.iterdir():
                shutil.rmtree(file) if file.is_dir() else file.unlink()
            (args.out / "epoch.json").write_text(json.dumps(results, indent=1))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    head = f"{CORES} cores; size is relative to the raw arrays; medians of {args.rounds} rounds."
    text = "\n\n".join([head, *(table(name, figures) for name, figures in results.items())])
    (args.out / "epoch.md").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
