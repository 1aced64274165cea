"""Ray Data with two workers on one machine beside the command line, on the same jobs.

    target/layers-env/bin/pip install 'ray[data]'     # once; 70 MB
    benches/layers/run ray_data [--frames 60000] [--rounds 3]

Frames of 64 atoms with positions, forces, types and energy in a data set of 4 members. Jobs: re-sharding into 8 members, and a
copy of the frames below an energy (the command line has no such filter: it is given their ordinals, which is less work). Ray is started before
anything is timed, and its first job is not counted; the command line is timed with the start of its process. Rounds
alternate; medians, and the median of the ratios of the rounds, are printed.
"""

import argparse
import logging
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

os.environ["RAY_worker_niceness"] = "0"
os.environ["RAY_AUTH_MODE"] = "disabled"

import numpy as np
import ray
from ray.data.expressions import col

import vlstore
from vlstore.ray import read_store, sink

FIELDS = ["key", "energy", "types", "positions", "forces"]
ATOMS = 64


def written(folder, frames):
    """The data set; returns its bytes, decoded."""
    random = np.random.default_rng(1)
    folder.mkdir()
    types = np.tile(np.array([1, 6, 7, 8], np.int32), ATOMS // 4)
    at = random.normal(size=(ATOMS, 3)).astype(np.float32) * 3
    for member in range(4):
        first, last = member * frames // 4, (member + 1) * frames // 4
        with vlstore.open(folder / f"part-{member}.vls", "w", records="md-frame") as store:
            for i in range(first, last):
                at = at + random.normal(size=at.shape).astype(np.float32) * 0.01
                forces = random.normal(size=at.shape).astype(np.float32)
                store[i] = vlstore.MdFrame(at, types=types, forces=forces, energy=i / frames)
    vlstore.publish(folder)
    return vlstore.open(folder).info()["raw_bytes"]


def command(*arguments):
    subprocess.run([sys.executable, "-m", "vlstore", *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)


def jobs(source, place, frames):
    """What is compared: a name, the job of Ray, that of the command line."""

    def ours(name, data):
        data.write_datasink(sink(place / name, records="md-frame"))

    def theirs(name, *arguments):
        command(*arguments, source, place / name)

    rows = read_store(source, FIELDS, override_num_blocks=8)
    half = read_store(source, FIELDS).filter(expr=col("energy") < 0.5)
    return {
        "re-shard into 8 members": (
            lambda: ours("ray", rows),
            lambda: theirs("verb", "shard", "--parts", "8"),
        ),
        "copy half of the frames": (
            lambda: ours("ray", half),
            lambda: theirs("verb", "copy", "--range", f"0:{frames // 2}"),
        ),
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--frames", type=int, default=60_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    ray.init(
        num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=1 << 30, logging_level="WARNING"
    )
    logging.getLogger("ray.data").setLevel("WARNING")
    ray.data.DataContext.get_current().enable_progress_bars = False
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        size = written(folder / "set", given.frames) / 1e6
        print(f"{given.frames} frames of {ATOMS} atoms, {size:.0f} MB decoded; {os.cpu_count()} cores, Ray {ray.__version__}\n")
        print("| job | Ray Data, 2 workers, MB/s | command line, MB/s | ratio |")
        print("| --- | --- | --- | --- |")
        for name, both in jobs(folder / "set", folder, given.frames).items():
            seconds = []
            for number in range(given.rounds + 1):
                row = []
                for job, made in zip(both, ["ray", "verb"], strict=True):
                    begun = time.perf_counter()
                    job()
                    row.append(time.perf_counter() - begun)
                    made = folder / made
                    assert len(vlstore.open(made)) in (given.frames, given.frames // 2)
                    shutil.rmtree(made) if made.is_dir() else made.unlink()
                if number:
                    seconds.append(row)
            rate = [size / statistics.median(side) for side in zip(*seconds, strict=True)]
            ratio = statistics.median(verb / own for own, verb in seconds)
            print(f"| {name} | {rate[0]:.0f} | {rate[1]:.0f} | {ratio:.2f} |")


main()
