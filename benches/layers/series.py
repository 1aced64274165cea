"""Time series: store, get and append beside one .npy a series, h5py, and Parquet.

    benches/layers/run series [--series 100000] [--rivals 100000] [--rounds 9]

The data is made: series of 10 to 10 000 points (the logarithm of the length is uniform), times that are not
equally spaced with 6 decimals, values with 3 decimals, as light curves have them. With --rivals the others store the
first so many series alone; rates and sizes are per byte, and the times of one call are of the series that are there.
"""

from __future__ import annotations

import argparse
import itertools
import os
import pathlib
import shutil
import statistics
import sys
import tempfile
import time

import numpy as np


def made(count, seed=0):
    random = np.random.default_rng(seed)
    lengths = np.exp(random.uniform(np.log(10), np.log(10_000), count)).astype(int)
    longest = int(lengths.max())
    times = np.round(48_000 + np.cumsum(random.exponential(0.7, longest)), 6)
    values = np.round(-9 + np.cumsum(random.normal(0, 0.01, longest * 4)), 3)
    for i, n in enumerate(lengths):
        at = int(random.integers(0, len(values) - n))
        # What is measured is not to be found in the cache of a compressor.
        yield f"lc_{i}", times[:n], values[at : at + n] + (i % 7) * 0.001


class Npy:
    name = ".npy a series"

    def __init__(self, folder):
        self.folder = folder / "npy"
        self.folder.mkdir()

    def store_all(self, series):
        for id, times, values in series:
            np.save(self.folder / f"{id}.npy", np.vstack((times, values)))

    def store(self, id, times, values):
        np.save(self.folder / f"{id}.npy", np.vstack((times, values)))

    def get(self, id):
        return np.load(self.folder / f"{id}.npy")

    def append(self, id, times, values):
        old = np.load(self.folder / f"{id}.npy")
        np.save(self.folder / f"{id}.npy", np.hstack((old, np.vstack((times, values)))))

    def size(self):
        return sum(f.stat().st_blocks * 512 for f in os.scandir(self.folder))


class H5:
    name = "h5py"

    def __init__(self, folder):
        import h5py

        self.path = folder / "series.h5"
        self.file = h5py.File(self.path, "w", libver="latest")

    def store_all(self, series):
        for id, times, values in series:
            self.store(id, times, values, flush=False)
        self.file.flush()

    def store(self, id, times, values, flush=True):
        if id in self.file:
            del self.file[id]
        self.file.create_dataset(
            id, data=np.vstack((times, values)), maxshape=(2, None), chunks=(2, min(max(len(times), 16), 8192)),
            compression="gzip", compression_opts=1, shuffle=True,
        )
        if flush:
            self.file.flush()

    def get(self, id):
        return self.file[id][:]

    def append(self, id, times, values):
        data = self.file[id]
        n = data.shape[1]
        data.resize((2, n + len(times)))
        data[:, n:] = np.vstack((times, values))
        self.file.flush()

    def size(self):
        self.file.flush()
        return self.path.stat().st_size


class Parquet:
    name = "Parquet a series"

    def __init__(self, folder):
        self.folder = folder / "parquet"
        self.folder.mkdir()

    def store_all(self, series):
        for one in series:
            self.store(*one)

    def store(self, id, times, values):
        import pyarrow as pa
        import pyarrow.parquet as parquet

        parquet.write_table(
            pa.table({"time": times, "value": values}), self.folder / f"{id}.parquet",
            compression="zstd", use_dictionary=False, use_byte_stream_split=True,
        )

    def get(self, id):
        import pyarrow.parquet as parquet

        table = parquet.read_table(self.folder / f"{id}.parquet")
        return table["time"].to_numpy(), table["value"].to_numpy()

    def append(self, id, times, values):
        old = self.get(id)
        self.store(id, np.append(old[0], times), np.append(old[1], values))

    def size(self):
        return sum(f.stat().st_blocks * 512 for f in os.scandir(self.folder))


class Ours:
    def __init__(self, folder, packing="pco"):
        from vlstore.series import FileStorageManager

        self.name = f"vlstore, {packing}"
        self.manager = FileStorageManager(folder / f"{packing}.vls", packing=packing, cache_bytes=0)

    def store_all(self, series):
        with self.manager.batch():
            for id, times, values in series:
                self.manager.store(id, (times, values))

    def store(self, id, times, values):
        self.manager.store(id, (times, values))

    def get(self, id):
        series = self.manager.get(id)
        return series.times(), series.values()

    def append(self, id, times, values):
        self.manager.append(id, (times, values))

    def size(self):
        return os.stat(self.manager.path).st_size


#: What time is: of the clock, or of the processor (--cpu).
clock = time.perf_counter


def timed(f):
    start = clock()
    f()
    return clock() - start


def stored(store, series, count):
    """Stores the first ``count`` series; the seconds of that alone, and the bytes of their numbers."""
    seconds = size = 0
    series = itertools.islice(series, count)
    while chunk := list(itertools.islice(series, 1000)):
        seconds += timed(lambda chunk=chunk: store.store_all(chunk))
        size += sum(16 * len(times) for _, times, _ in chunk)
    return seconds, size


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=100_000, help="number of series (default 100000)")
    parser.add_argument("--rivals", type=int, help="series that the others store, if not all")
    parser.add_argument("--rounds", type=int, default=9, help="how often one call is timed; the least counts (default 9)")
    parser.add_argument("--folder", type=pathlib.Path, help="where the files are made; by default that of the system")
    parser.add_argument("--cpu", action="store_true", help="time of the processor, where others use the machine too")
    args = parser.parse_args()
    if args.cpu:
        global clock
        clock = time.process_time
    folder = pathlib.Path(tempfile.mkdtemp(dir=args.folder))
    try:
        compare(folder, args)
        lengths(folder, args)
    finally:
        shutil.rmtree(folder)


def compare(folder, args):
    raw = sum(16 * len(t) for _, t, _ in made(args.series))
    stores = [Ours(folder), Ours(folder, "plain"), Npy(folder), H5(folder), Parquet(folder)]
    print(f"{args.series} series of 10 to 10 000 points, {raw / 1e6:.0f} MB of times and values", flush=True)
    rivals = min(args.rivals or args.series, args.series)
    counts = {s.name: args.series if isinstance(s, Ours) else rivals for s in stores}
    bulk, sizes, own = {}, {}, {}
    for s in stores:
        bulk[s.name], own[s.name] = stored(s, made(args.series), counts[s.name])
        sizes[s.name] = s.size()
        print(f"    {s.name}: {counts[s.name]} series in {bulk[s.name]:.1f} s", file=sys.stderr, flush=True)
    random = np.random.default_rng(1)
    calls = {"store one": [], "get one": [], "append 10 points": []}
    rows = {(s.name, what): [] for s in stores for what in calls}
    new = list(made(300, seed=5))
    for round in range(args.rounds):
        places = random.integers(0, rivals, 300)
        for s in stores:
            chosen = [f"lc_{i}" for i in places]
            t = timed(lambda s=s: [s.store(f"new_{round}_{id}", a, b) for id, a, b in new])
            rows[s.name, "store one"].append(t / 300)
            rows[s.name, "get one"].append(timed(lambda s=s: [s.get(id) for id in chosen]) / 300)
            more = (np.arange(10.0), np.arange(10.0))
            t = timed(lambda s=s: [s.append(id, *more) for id in chosen])
            rows[s.name, "append 10 points"].append(t / 300)
    best = stores[0].name
    head = ["", "all at once, MB/s", "size", *(f"{what}, us" for what in calls)]
    print("| " + " | ".join(head) + " |")
    print("| " + " | ".join(["---"] * len(head)) + " |")
    for s in stores:
        cells = [
            s.name,
            f"{own[s.name] / bulk[s.name] / 1e6:.0f} ({bulk[s.name] / own[s.name] / (bulk[best] / own[best]):.2f})",
            f"{sizes[s.name] / own[s.name]:.2f} ({sizes[s.name] / own[s.name] / (sizes[best] / own[best]):.2f})",
        ]
        for what in calls:
            ours = statistics.median(rows[best, what])
            mine = statistics.median(rows[s.name, what])
            cells.append(f"{mine * 1e6:.0f} ({mine / ours:.2f})")
        print("| " + " | ".join(cells) + " |")
    print("in brackets: time or size beside the first row; above 1: that much more", flush=True)


def lengths(folder, args):
    """Appends to series of very different lengths."""
    (folder / "long").mkdir()
    stores = [Ours(folder / "long"), Npy(folder / "long"), H5(folder / "long"), Parquet(folder / "long")]
    sizes = [1_000, 10_000, 100_000, 1_000_000]
    print("\nappend of 10 points to one series of so many points, us")
    print("| | " + " | ".join(f"{n:,}".replace(",", " ") for n in sizes) + " |")
    print("| --- |" + " ---: |" * len(sizes))
    random = np.random.default_rng(2)
    for s in stores:
        cells = []
        for n in sizes:
            s.store(f"x{n}", np.arange(n) * 0.5, np.round(random.normal(size=n), 3))
            times = []
            for _ in range(31):
                more = (np.arange(10.0), np.arange(10.0))
                times.append(timed(lambda s=s, n=n, more=more: s.append(f"x{n}", *more)))
            cells.append(f"{statistics.median(times) * 1e6:.0f}")
        print(f"| {s.name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
