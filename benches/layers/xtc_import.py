"""The import of XTC, beside what reading with molly and compressing with Blosc2 take together.

    benches/layers/run xtc_import [--files a.xtc b.xtc] [--megabytes 40] [--rounds 9]

A file of more than 9 atoms is repeated, with other steps, until it has the size that is asked for. In each round, in turn: `molly` (a Rust program, `benches/molly`,
needs cargo) reads all frames; Blosc2 compresses the decoded chunks of our store, with the same compressor, level, filter and
block sizes, in two processes (its package for Python compresses in one thread at a time); `vlstore.import_` makes the store, from opening the file to closing the store. The
ratio is that of the speeds: (molly + Blosc2) / import, the median of the rounds; 1 would be an import that costs no
more than the two, one after the other. `data` is the megabytes of XTC.
"""

from __future__ import annotations

import argparse
import pathlib
import shutil
import statistics
import struct
import subprocess
import tempfile
import time
from multiprocessing import get_context

import blosc2
import vlstore

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHARED = ROOT / ".." / "shared" / "data"
FILES = [SHARED / "md" / "ala2-npt.xtc", SHARED / "mdanalysis" / "adk_oplsaa.xtc", SHARED / "md" / "water216-nvt.xtc"]
ENOUGH = [path for path in FILES if path.exists()] or [ROOT / "tests" / "data" / "ala2-npt-peptide.xtc"]
CORES = 2
# The decoded chunks of the store, for the processes that compress them.
CHUNKS = []


def timed(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def molly(program, path):
    done = subprocess.run([program, path, "1"], capture_output=True, text=True, check=True)
    seconds, frames, _ = done.stdout.split()
    return float(seconds), int(frames)


def chunks_of(path):
    """The decoded chunks of a store, and the size of the blocks of each."""
    frame = blosc2.open(str(path), mode="r")
    found = []
    for i in range(frame.nchunks):
        chunk = frame.get_chunk(i)
        size, compressed, block = blosc2.get_cbuffer_sizes(chunk)
        found.append((frame.decompress_chunk(i)[:size], block, compressed))
    return found


def compress(share):
    """Every second chunk as our writer compresses it by default: Zstd at level 1 behind the shuffle of 4 bytes."""
    return sum(
        len(blosc2.compress2(
            content, codec=blosc2.Codec.ZSTD, clevel=1, filters=[blosc2.Filter.SHUFFLE], filters_meta=[0], typesize=4,
            blocksize=block, nthreads=1,
        ))
        for content, block, _ in CHUNKS[share::CORES]
    )


def repeated(content, times):
    """The frames again and again, each with a step and a time of its own: frames of equal steps would be
    compared as those of a run that was restarted."""
    starts, at = [], 0
    while at < len(content):
        starts.append(at)
        (packed,) = struct.unpack_from(">i", content, at + 88)
        at += 92 + (packed + 3) // 4 * 4
    out = bytearray(content * times)
    for i in range(times):
        for k, start in enumerate(starts):
            number = i * len(starts) + k
            struct.pack_into(">if", out, i * len(content) + start + 8, number, float(number))
    return out


def measure(program, source, folder, megabytes, rounds, positions):
    content = source.read_bytes()
    path, store = folder / "run.xtc", folder / "run.vls"
    path.write_bytes(repeated(content, max(1, round(megabytes * 1e6 / len(content)))))
    size = path.stat().st_size
    options = {"overwrite": True, "positions": positions, "threads": CORES}
    done = vlstore.import_(path, store, **options)
    CHUNKS[:] = chunks_of(store)
    times = {"molly reads": [], f"Blosc2 compresses, {CORES} cores": [], "vlstore imports": []}
    reads, compresses, imports = times.values()
    with get_context("fork").Pool(CORES) as pool:
        total = sum(pool.map(compress, range(CORES)))
        ours = sum(compressed for *_, compressed in CHUNKS)
        assert abs(total - ours) < 0.02 * ours, f"Blosc2 makes {total} bytes of the chunks, the store has {ours}"
        for _ in range(rounds):
            seconds, frames = molly(program, path)
            assert frames == done.frames
            reads.append(seconds)
            compresses.append(timed(lambda: pool.map(compress, range(CORES), chunksize=1)))
            imports.append(timed(lambda: vlstore.import_(path, store, **options)))
    print(f"\n{source.name}, {size / 1e6:.0f} MB of XTC, {frames} frames, positions={positions!r}: "
          f"{sum(len(c) for c, *_ in CHUNKS) / 1e6:.0f} MB of records, {store.stat().st_size / 1e6:.0f} MB of store")
    for name, values in times.items():
        middle = statistics.median(values)
        print(f"  {name:<32} {middle * 1e3:8.1f} ms {size / middle / 1e6:8.0f} MB/s")
    ratio = statistics.median((a + b) / c for a, b, c in zip(reads, compresses, imports, strict=True))
    print(f"  {'ratio of the speeds':<32} {ratio:8.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", nargs="+", type=pathlib.Path, default=ENOUGH)
    parser.add_argument("--megabytes", type=float, default=40)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--positions", nargs="+", default=["quantised", "given"])
    parser.add_argument("--molly", help="the program, if it is built already")
    given = parser.parse_args()
    if given.molly is None:
        if shutil.which("cargo") is None:
            parser.error("cargo is needed to build benches/molly, or --molly PROGRAM")
        target = ROOT / "target" / "molly"
        subprocess.run(
            ["cargo", "build", "--release", "--quiet", "--manifest-path", ROOT / "benches" / "molly" / "Cargo.toml",
             "--target-dir", target], check=True,
        )
        given.molly = target / "release" / "read-with-molly"
    with tempfile.TemporaryDirectory() as folder:
        for source in given.files:
            for positions in given.positions:
                measure(given.molly, source, pathlib.Path(folder), given.megabytes, given.rounds, positions)


if __name__ == "__main__":
    main()
