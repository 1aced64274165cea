"""Measures vlstore and other stores on the same frames: size, writing, random batches in one process and in two,
reading in order, single frames, opening with the first frame.

    benches/compare/run [--sets molecules crystals chains] [--peers vlstore bagz ...] [--rounds 5] [--out FOLDER]

Writes `compare.md` (a table a set), `compare.json` (every sample) and `compare.png` (rate against size) into the
folder. Each peer runs in a process of its own; rounds of all peers alternate in random order, the first is not
counted, the median of the others is reported. Batches are drawn at random from all frames. Everything is in the page
cache: no cold disk is measured. Files are made new and removed at the end.
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

from data import SETS
from peers import PEERS

BATCH = 256
SECONDS = 1.0  # of one kind of reading in one round
SINGLE = 2000  # frames that are read one by one in one round
OPENED = 15  # times that a store is opened in one round


def size_of(path):
    path = pathlib.Path(path)
    files = [path] if path.is_file() else [f for f in path.rglob("*") if f.is_file()]
    return sum(f.stat().st_size for f in files)


def touch(made):
    """One number of each cache line, so that nobody is faster by not having read it."""
    return sum(float(array.ravel()[::16].sum()) for array in made[:2])


def check(store, frames, rng):
    """The store gives back what it was given."""
    ordinals = np.sort(rng.choice(len(frames), min(64, len(frames)), replace=False))
    positions, forces, sizes = store.batch(ordinals)
    sites = np.concatenate([np.arange(frames.starts[i], frames.starts[i + 1]) for i in ordinals])
    same = np.array_equal(positions, frames.positions[sites]) and np.array_equal(forces, frames.forces[sites])
    if not same or not np.array_equal(sizes, np.diff(frames.starts)[ordinals]):
        raise ValueError("what was read is not what was written")


def rate_of(store, rng):
    """Frames a second in random batches."""
    done, start = 0, time.perf_counter()
    while (spent := time.perf_counter() - start) < SECONDS:
        touch(store.batch(rng.integers(0, store.count, BATCH)))
        done += BATCH
    return done / spent


def in_order(store):
    done, start = 0, time.perf_counter()
    for part in store.scan():
        touch(part)
        done += len(part[2])
        if (spent := time.perf_counter() - start) > SECONDS:
            break
    return done / spent


def one_by_one(store, rng):
    """Seconds a single frame takes, each of which is read for the first time in this call."""
    ordinals = rng.permutation(store.count)[:SINGLE].tolist()
    start = time.perf_counter()
    for i in ordinals:
        positions, forces = store.one(i)
        positions[0, 0] + forces[0, 0]
    return (time.perf_counter() - start) / len(ordinals)


def opened(cls, path, options):
    """Seconds from nothing open to the arrays of the first frame; the median of some times."""
    times = []
    for _ in range(OPENED):
        store = cls(path, **options)
        start = time.perf_counter()
        store.open()
        store.one(0)
        times.append(time.perf_counter() - start)
        store.close()
    return statistics.median(times)


def serve(pipe, key, path, made):
    """One peer: writes the frames if there are some, then reads as it is told to."""
    try:
        cls, _, options = PEERS[key]
        store = cls(path, **options)
        if made:
            frames = made()
            start = time.perf_counter()
            store.write(frames)
            wrote = time.perf_counter() - start
            store.open()
            check(store, frames, np.random.default_rng(5))
            pipe.send({"size": size_of(path) / frames.raw, "write MB/s": frames.raw / wrote / 1e6})
            del frames
        else:
            store.open()
            pipe.send({})
        rng = np.random.default_rng(7 if made else 8)
        while told := pipe.recv():
            if told == "batches":
                pipe.send(rate_of(store, rng) / 1e3)
                continue
            found = {"batches, k/s": rate_of(store, rng) / 1e3, "in order, k/s": in_order(store) / 1e3}
            found["one, us"] = one_by_one(store, rng) * 1e6
            if cls.opens_again:
                found["open, ms"] = opened(cls, path, options) * 1e3
            pipe.send(found)
    except Exception:
        pipe.send({"error": traceback.format_exc()})


def measure(name, peers, rounds, folder):
    """All peers on one set: by peer the figures, as lists of samples."""
    context = multiprocessing.get_context("spawn")

    def begin(key, made):
        ours, theirs = context.Pipe()
        args = (theirs, key, folder / f"{name}-{key}", made)
        context.Process(target=serve, args=args, daemon=True).start()
        return ours, ours.recv()

    running, figures = {}, {}
    for key in peers:
        print(f"{name}: {key} writes", file=sys.stderr, flush=True)
        first, found = begin(key, SETS[name])
        second, failed = begin(key, None) if "error" not in found else (None, found)
        if "error" in failed:
            print(f"{key} is left out:\n{failed['error']}", file=sys.stderr)
            continue
        running[key] = (first, second)
        figures[key] = {figure: [value] for figure, value in found.items()}
    for turn in range(rounds + 1):
        print(f"{name}: round {turn} of {rounds}", file=sys.stderr, flush=True)
        for key in random.sample(list(running), len(running)):
            both = running[key]
            both[0].send("all")
            found = both[0].recv()
            for pipe in both:
                pipe.send("batches")
            rates = [pipe.recv() for pipe in both]
            failed = [f for f in (found, *rates) if isinstance(f, dict) and "error" in f]
            if failed:
                print(f"{key} is left out:\n{failed[0]['error']}", file=sys.stderr)
                del running[key], figures[key]
                continue
            found["2 processes"] = sum(rates)
            for figure, value in found.items():
                if turn > 0:
                    figures[key].setdefault(figure, []).append(value)
    for pipe in (pipe for both in running.values() for pipe in both):
        pipe.send(None)
    return figures


def table(name, figures):
    columns = {"size": 3, "write MB/s": 0, "batches, k/s": 1, "2 processes": 1, "in order, k/s": 0}
    columns |= {"one, us": 1, "open, ms": 2}
    lines = [f"## {name}", "", f"| store | {' | '.join(columns)} |", "| --- |" + " ---: |" * len(columns)]
    for key in sorted(figures, key=lambda k: figures[k]["size"]):
        found = figures[key]
        cells = (f"{statistics.median(found[c]):.{digits}f}" if c in found else "" for c, digits in columns.items())
        lines.append(f"| {PEERS[key][1]} | {' | '.join(cells)} |")
    return "\n".join(lines)


ATOMS = {"molecules": "9 to 29 atoms", "crystals": "64 atoms", "chains": "100 to 1900 atoms"}


def plot(results, path):
    """Each store is a number, which the list at the right explains: up is faster, left is smaller."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    keys = sorted({key for figures in results.values() for key in figures}, key=lambda k: (not k.startswith("vlstore"), list(PEERS).index(k)))
    fig, axes = plt.subplots(1, len(results), figsize=(4.4 * len(results) + 2.6, 4.6), squeeze=False)
    for axis, (name, figures) in zip(axes[0], results.items()):
        at = {key: [statistics.median(found[c]) for c in ("size", "batches, k/s")] for key, found in figures.items()}
        ours = sorted(point for key, point in at.items() if key.startswith("vlstore"))
        axis.plot([x for x, _ in ours], [y for _, y in ours], color="tab:red", alpha=0.3, zorder=1)
        for key, (x, y) in at.items():
            mine = key.startswith("vlstore")
            axis.plot(x, y, "o" if mine else "s", color="tab:red" if mine else "tab:gray", markersize=12, alpha=0.8)
            axis.annotate(keys.index(key) + 1, (x, y), color="white", fontsize=7, ha="center", va="center", weight="bold")
        axis.set(title=ATOMS.get(name, name), xlabel="size (raw arrays = 1)", yscale="log")
        axis.grid(alpha=0.3)
    axes[0][0].set_ylabel("random batches of 256, 1000 frames / s")
    listed = "\n".join(f"{number:2} {PEERS[key][1]}" for number, key in enumerate(keys, 1))
    axes[0][-1].annotate(listed, (1.04, 0.98), xycoords="axes fraction", fontsize=8, va="top", linespacing=1.5)
    fig.tight_layout()
    fig.savefig(path, dpi=120)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("target/compare"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    results = {}
    folder = pathlib.Path(tempfile.mkdtemp(prefix="vlstore-compare-"))
    try:
        for name in args.sets:
            results[name] = measure(name, args.peers, args.rounds, folder)
            for file in folder.iterdir():
                shutil.rmtree(file) if file.is_dir() else file.unlink()
            (args.out / "compare.json").write_text(json.dumps(results, indent=1))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    machine = f"{os.cpu_count()} cores; size is relative to the raw arrays; medians of {args.rounds} rounds."
    text = "\n\n".join([machine, *(table(name, figures) for name, figures in results.items())])
    (args.out / "compare.md").write_text(text + "\n")
    plot(results, args.out / "compare.png")
    print(text)
    print(f"\nwritten: {args.out}/compare.md, compare.json, compare.png")


if __name__ == "__main__":
    main()
