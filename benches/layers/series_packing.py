"""Bytes and speeds of ways to store the light curves and energies of ../shared/data/timeseries.

    benches/layers/run series_packing

Needs blosc2 and pcodec, which hold the same compressors as this package.
"""

from __future__ import annotations

import pathlib
import time

import blosc2
import numpy as np
from pcodec import ChunkConfig, standalone

DATA = pathlib.Path(__file__).parents[3] / "shared" / "data" / "timeseries"


def light_curves():
    for path in sorted((DATA / "macho").glob("*.mjd")):
        columns = np.loadtxt(path).T
        yield [np.ascontiguousarray(columns[i]) for i in (0, 1)]


def energies():
    for path in sorted((DATA / "energies").glob("*.csv")):
        columns = np.loadtxt(path, delimiter=",", skiprows=1).T
        for values in columns[1:]:
            yield [np.ascontiguousarray(columns[0]), np.ascontiguousarray(values)]


def blosc(codec, filter, level):
    def way(series):
        data = b"".join(a.tobytes() for one in series for a in one)
        options = {"codec": codec, "clevel": level, "filters": [filter], "filters_meta": [0]}
        packed, t = timed(lambda: blosc2.compress2(data, **options, typesize=8, blocksize=32 << 10, nthreads=1))
        return len(packed), t, timed(lambda: blosc2.decompress2(packed, nthreads=1))[1]

    return way


def pco(level):
    def way(series):
        arrays = [a for one in series for a in one]
        config = ChunkConfig(compression_level=level)
        packed, t = timed(lambda: [standalone.simple_compress(a, config) for a in arrays])
        return sum(map(len, packed)), t, timed(lambda: [standalone.simple_decompress(p) for p in packed])[1]

    return way


def timed(f, rounds=7):
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        out = f()
        times.append(time.perf_counter() - start)
    return out, sorted(times)[rounds // 2]


def main():
    if not DATA.is_dir():
        print(f"left out: there is no {DATA}")
        return
    zstd, shuffle, bits = blosc2.Codec.ZSTD, blosc2.Filter.SHUFFLE, blosc2.Filter.BITSHUFFLE
    ways = {
        "Zstd 1": blosc(zstd, blosc2.Filter.NOFILTER, 1),
        "shuffle, Zstd 1": blosc(zstd, shuffle, 1),
        "shuffle, Zstd 9": blosc(zstd, shuffle, 9),
        "bitshuffle, Zstd 1": blosc(zstd, bits, 1),
        "bitshuffle, Zstd 9": blosc(zstd, bits, 9),
        "pco 1": pco(1),
        "pco 4 (the choice)": pco(4),
        "pco 8": pco(8),
    }
    for name, series in (("light curves", list(light_curves())), ("energies", list(energies()))):
        raw = sum(a.nbytes for one in series for a in one)
        print(f"\n{name}: {len(series)} series, {raw} bytes")
        print("| | ratio | write, MB/s | read, MB/s |\n| --- | ---: | ---: | ---: |")
        for way, f in ways.items():
            n, write, read = f(series)
            print(f"| {way} | {raw / n:.2f} | {raw / write / 1e6:.0f} | {raw / read / 1e6:.0f} |")


if __name__ == "__main__":
    main()
