"""Measures vlstore and other stores on the same frames: size, writing, random batches, reading in order.

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


def serve(pipe, key, path, made):
    """One peer: writes the frames, then reads when it is told to."""
    try:
        cls, _, options = PEERS[key]
        frames = made()
        store = cls(path, **options)
        start = time.perf_counter()
        store.write(frames)
        wrote = time.perf_counter() - start
        store.open()
        check(store, frames, np.random.default_rng(5))
        pipe.send({"size": size_of(path) / frames.raw, "write MB/s": frames.raw / wrote / 1e6})
        del frames
        rng = np.random.default_rng(7)
        while pipe.recv():
            done, start = 0, time.perf_counter()
            while (spent := time.perf_counter() - start) < SECONDS:
                touch(store.batch(rng.integers(0, store.count, BATCH)))
                done += BATCH
            random_rate = done / spent
            done, start = 0, time.perf_counter()
            for part in store.scan():
                touch(part)
                done += len(part[2])
                if (spent := time.perf_counter() - start) > SECONDS:
                    break
            pipe.send({"batches, k/s": random_rate / 1e3, "in order, k/s": done / spent / 1e3})
    except Exception:
        pipe.send({"error": traceback.format_exc()})


def measure(name, peers, rounds, folder):
    """All peers on one set: by peer the figures, as lists of samples."""
    context = multiprocessing.get_context("spawn")
    running, figures = {}, {}
    for key in peers:
        ours, theirs = context.Pipe()
        path = folder / f"{name}-{key}"
        process = context.Process(target=serve, args=(theirs, key, path, SETS[name]), daemon=True)
        process.start()
        print(f"{name}: {key} writes", file=sys.stderr, flush=True)
        first = ours.recv()
        if "error" in first:
            print(f"{key} is left out:\n{first['error']}", file=sys.stderr)
            continue
        running[key] = ours
        figures[key] = {figure: [value] for figure, value in first.items()}
    for turn in range(rounds + 1):
        print(f"{name}: round {turn} of {rounds}", file=sys.stderr, flush=True)
        for key in random.sample(list(running), len(running)):
            running[key].send(True)
            for figure, value in running[key].recv().items():
                if turn > 0:
                    figures[key].setdefault(figure, []).append(value)
    for pipe in running.values():
        pipe.send(False)
    return figures


def table(name, figures):
    columns = ["size", "write MB/s", "batches, k/s", "in order, k/s"]
    lines = [f"## {name}", "", f"| store | {' | '.join(columns)} |", "| --- |" + " ---: |" * len(columns)]
    for key in sorted(figures, key=lambda k: figures[k]["size"]):
        cells = [statistics.median(figures[key][c]) for c in columns]
        lines.append(f"| {PEERS[key][1]} | {cells[0]:.3f} | {cells[1]:.0f} | {cells[2]:.1f} | {cells[3]:.0f} |")
    return "\n".join(lines)


def plot(results, path):
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots(1, len(results), figsize=(5.2 * len(results), 4.6), squeeze=False)
    for axis, (name, figures) in zip(axes[0], results.items()):
        for key, found in figures.items():
            ours = key.startswith("vlstore")
            x, y = (statistics.median(found[c]) for c in ("size", "batches, k/s"))
            axis.plot(x, y, "o" if ours else "s", color="tab:red" if ours else "tab:gray")
            axis.annotate(PEERS[key][1], (x, y), xytext=(4, 4), textcoords="offset points", fontsize=7)
        axis.set(title=name, xlabel="size (raw arrays = 1)", yscale="log")
        axis.grid(alpha=0.3)
    axes[0][0].set_ylabel("random batches of 256, 1000 frames / s")
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
