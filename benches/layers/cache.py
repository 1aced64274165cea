"""A function cached by vlstore, by diskcache and by joblib.Memory: hits, stores, space, and eight processes.

    benches/layers/run cache [--quick]

All three are asked in turn, in one run, and the medians are shown with their ratios to vlstore. Times are per call, in
microseconds. Data are float64 arrays: `random` (numbers that no compressor makes smaller) and `smooth` (a signal with
noise in its last digits, as measured or simulated data have).
"""

import argparse
import multiprocessing
import os
import pathlib
import shutil
import statistics
import tempfile
import time

import numpy as np

#: Of the file of vlstore; the others do not compress.
COMPRESSION = "stored"
SIZES = {"1 KB": 1 << 7, "1 MB": 1 << 17, "100 MB": 100 << 17}


def data(kind, n, seed=0):
    random = np.random.default_rng(seed)
    if kind == "random":
        return random.random(n)
    return np.round(np.sin(np.arange(n) / 50) + random.normal(scale=1e-4, size=n), 6)


def peers(folder):
    """Decorators by name, and where each keeps its results."""
    import diskcache
    import joblib

    from vlstore.cache import StorageFile, cached

    folder = pathlib.Path(folder)
    disk = diskcache.Cache(str(folder / "diskcache"), size_limit=1 << 40)
    memory = joblib.Memory(str(folder / "joblib"), verbose=0)
    return {
        "vlstore": (cached(StorageFile(folder / "cache.vls", compression=COMPRESSION)), folder / "cache.vls"),
        "diskcache": (disk.memoize(), folder / "diskcache"),
        "joblib": (memory.cache, folder / "joblib"),
    }


def size(path):
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def make(kind, n):
    def function(seed, scale=1.0):
        return data(kind, n, seed)

    function.__qualname__ = function.__name__ = f"{kind}_{n}"
    return function


def measure(calls, rounds, each):
    """Median seconds of one call of each, asked in turn."""
    times = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            begin = time.perf_counter()
            for _ in range(each):
                call()
            times[name].append((time.perf_counter() - begin) / each)
    return {name: statistics.median(found) for name, found in times.items()}


def row(what, values, form="{:12.1f}"):
    first = values["vlstore"]
    cells = [form.format(value) for value in values.values()]
    ratios = [f"{value / first:7.2f}x" for name, value in values.items() if name != "vlstore"]
    print(f"{what:32}" + "".join(cells) + "   " + " ".join(ratios), flush=True)


def hits(quick):
    print(f"\n{'a hit, microseconds':32}" + "".join(f"{n:>12}" for n in ("vlstore", "diskcache", "joblib")))
    space, stores = {}, {}
    for kind in ("random", "smooth"):
        for label, n in SIZES.items():
            if quick and n > 1 << 20:
                continue
            folder = tempfile.mkdtemp(prefix="cache-bench-")
            try:
                calls, paths = {}, {}
                stores[kind, label] = {}
                for name, (decorate, path) in peers(folder).items():
                    function = decorate(make(kind, n))
                    calls[name] = lambda function=function: function(0)
                    paths[name] = path
                    begin = time.perf_counter()
                    found = function(0)
                    made = time.perf_counter() - begin
                    begin = time.perf_counter()
                    data(kind, n)
                    stores[kind, label][name] = (made - (time.perf_counter() - begin)) * 1e6
                    assert np.array_equal(function(0), found)
                rounds, each = (31, 200) if n < 1 << 10 else (31, 5) if n < 1 << 20 else (7, 1)
                row(f"{label} {kind}", {k: v * 1e6 for k, v in measure(calls, rounds, each).items()})

                def touched(call):
                    return lambda: call().sum()

                if n > 1 << 10:
                    summed = {name: touched(call) for name, call in calls.items()}
                    row(
                        f"{label} {kind}, and its sum",
                        {k: v * 1e6 for k, v in measure(summed, max(5, rounds // 3), each).items()},
                    )
                space[kind, label] = {name: size(path) for name, path in paths.items()}
            finally:
                shutil.rmtree(folder)
    print("\nthe first call without computing: storing, microseconds (one measurement)")
    for (kind, label), found in stores.items():
        row(f"{label} {kind}", found)
    print("\nbytes on disk for that one result")
    for (kind, label), found in space.items():
        row(f"{label} {kind}", found, "{:12d}")


def many(quick):
    """Many small results: what each takes to store, and on disk."""
    n = 300 if quick else 2000
    folder = tempfile.mkdtemp(prefix="cache-bench-")
    try:
        times, space, fetched = {}, {}, {}
        for name, (decorate, path) in peers(folder).items():
            function = decorate(make("smooth", 128))
            begin = time.perf_counter()
            for i in range(n):
                function(i)
            times[name] = (time.perf_counter() - begin) / n * 1e6
            begin = time.perf_counter()
            for i in np.random.default_rng(0).permutation(n).tolist():
                function(i)
            fetched[name] = (time.perf_counter() - begin) / n * 1e6
            space[name] = size(path) // n
        print(f"\n{n} results of 1 KB, smooth: per result")
        row("computed and stored, us", times)
        row("fetched at random, us", fetched)
        row("bytes on disk", space, "{:12d}")
    finally:
        shutil.rmtree(folder)


def work(name, folder, seed, n, start):
    decorate, _ = peers(folder)[name]
    function = decorate(make("smooth", 1 << 12))
    order = np.random.default_rng(seed).permutation(n).tolist()
    start.wait()
    for i in order:
        function(i)


def processes(quick):
    """Eight processes call one function with the same arguments, in different orders."""
    n, count = (40, 8) if quick else (200, 8)
    context = multiprocessing.get_context("spawn")
    names = ("vlstore", "diskcache", "joblib")
    found = {name: [] for name in names}
    for _ in range(1 if quick else 3):
        for name in names:
            folder = tempfile.mkdtemp(prefix="cache-bench-")
            try:
                # One more party: the clock starts when all are there.
                start = context.Barrier(count + 1)
                running = [context.Process(target=work, args=(name, folder, i, n, start)) for i in range(count)]
                for process in running:
                    process.start()
                start.wait()
                begin = time.perf_counter()
                for process in running:
                    process.join()
                    assert process.exitcode == 0
                found[name].append((time.perf_counter() - begin) / (n * count) * 1e6)
            finally:
                shutil.rmtree(folder)
    print(f"\n{count} processes, {n} results of 32 KB each, in different orders: microseconds a call")
    row("stored or fetched", {name: statistics.median(times) for name, times in found.items()})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="smaller and fewer")
    parser.add_argument("--compression", default=COMPRESSION, help="of vlstore: stored, lz4, zstd, ...")
    options = parser.parse_args()
    globals()["COMPRESSION"], quick = options.compression, options.quick
    print(f"{os.cpu_count()} cores; ratios are to vlstore, above 1 the other takes more")
    hits(quick)
    many(quick)
    processes(quick)


if __name__ == "__main__":
    main()
