"""Storage of experiments: acquisition in real pieces, archives, consolidated files.

Compared with what a person would write by hand: a loop over the same arrays with zipfile and numpy.save, and one
with h5py. Every figure is the median of the runs of this call; the programs take turns. Times include closing the
file, and neither side syncs it beyond what its library does.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile

import h5py
import numpy as np

from vlstore.experiments import (
    Experiment,
    Storage,
    Trial,
    storage_from_zip,
    storage_to_hdf5,
    storage_to_zip,
)

CHANNELS, RATE = 64, 1000


def signals(seconds, seed):
    """Electromyography, made up: band-limited noise of 16 bits in bursts, as float64 in mV."""
    random = np.random.default_rng(seed)
    n = int(seconds * RATE)
    noise = random.normal(size=(CHANNELS, n + 8))
    noise = sum(noise[:, i:n + i] for i in range(8)) / 8**0.5
    level = 0.1 + np.sin(np.linspace(0, 6, n)) ** 2
    return np.round(noise * level * 3000) * (10 / 2**15)


def timed(work):
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


# Acquisition.


def acquire(folder, samples, seconds, interval, kind):
    """Feeds pieces of `samples` as fast as they are taken; the time of each."""
    data = signals(seconds, 1)
    pieces = [np.ascontiguousarray(data[:, i:i + samples]) for i in range(0, data.shape[1], samples)]
    times = []
    if kind == "vlstore":
        storage = Storage(folder)
        storage.subject_id = "p01"
        task = storage.create_task("t", commit_interval=interval)
        trial = task.begin(Trial({"block": 0, "trial": 0}))
        emg = trial.add_array("emg")
        for piece in pieces:
            begun = time.perf_counter()
            emg.stack(piece)
            times.append(time.perf_counter() - begun)
        begun = time.perf_counter()
        task.write(trial)
        last = time.perf_counter() - begun
        task.close()
        assert np.array_equal(storage.require_task("t").get(0, "emg"), data)
    elif kind == "h5py":
        with h5py.File(os.path.join(folder, "t.hdf5"), "w") as file:
            emg = file.create_dataset("emg", (CHANNELS, 0), "f8", maxshape=(CHANNELS, None),
                                      chunks=(CHANNELS, 1000), compression="gzip", shuffle=True)
            since = time.perf_counter()
            for piece in pieces:
                begun = time.perf_counter()
                emg.resize(emg.shape[1] + piece.shape[1], axis=1)
                emg[:, -piece.shape[1]:] = piece
                if begun - since >= interval:
                    file.flush()
                    since = begun
                times.append(time.perf_counter() - begun)
            begun = time.perf_counter()
            file.flush()
            last = time.perf_counter() - begun
    else:
        # As AxoPy does: joined in memory by each piece, written at the end.
        whole = None
        for piece in pieces:
            begun = time.perf_counter()
            whole = piece if whole is None else np.hstack([whole, piece])
            times.append(time.perf_counter() - begun)
        begun = time.perf_counter()
        with h5py.File(os.path.join(folder, "t.hdf5"), "w") as file:
            file["0"] = whole
        last = time.perf_counter() - begun
    return times, last, data.nbytes


def acquisition(seconds, runs):
    print(f"Acquisition: {CHANNELS} channels, float64, {seconds} s of data at {RATE} Hz, pieces as fast as they are "
          f"taken; {runs} runs, commits (flushes) each second")
    print(f"{'samples':>8} {'':>10} {'median / us':>12} {'99 % / us':>10} {'worst / ms':>11} "
          f"{'write / ms':>11} {'x real time':>12}")
    for samples in (1, 10, 50):
        for kind in ("vlstore", "h5py", "in memory"):
            if kind == "in memory" and samples == 1 and seconds > 20:
                continue
            found = []
            for _ in range(runs):
                with tempfile.TemporaryDirectory() as folder:
                    found.append(acquire(folder, samples, seconds, 1.0, kind))
            times = [t for run in found for t in run[0]]
            total = statistics.median(sum(run[0]) + run[1] for run in found)
            last = statistics.median(run[1] for run in found)
            print(f"{samples:>8} {kind:>10} {statistics.median(times) * 1e6:>12.1f} "
                  f"{np.quantile(times, 0.99) * 1e6:>10.1f} {max(times) * 1e3:>11.2f} {last * 1e3:>11.1f} "
                  f"{seconds / total:>12.0f}")
    print()


def real_time(seconds, samples):
    """As a device sends it: the pieces come on time, whatever the program does."""
    data = signals(seconds, 2)
    with tempfile.TemporaryDirectory() as folder:
        storage = Storage(folder)
        storage.subject_id = "p01"
        late = []
        with storage.create_task("t") as task:
            trial = task.begin(Trial({"block": 0, "trial": 0}))
            emg = trial.add_array("emg")
            begun = time.perf_counter()
            for start in range(0, data.shape[1], samples):
                due = begun + (start + samples) / RATE
                time.sleep(max(0.0, due - time.perf_counter()))
                emg.stack(data[:, start:start + samples])
                late.append(time.perf_counter() - due)
            task.write(trial)
        whole = np.array_equal(storage.require_task("t").get(0, "emg"), data)
    print(f"In real time: {seconds} s, a piece of {samples} samples each {1000 * samples / RATE:.0f} ms; nothing lost: "
          f"{whole}; a piece is stored {statistics.median(late) * 1e3:.2f} ms (median), {max(late) * 1e3:.2f} ms "
          f"(worst) after it came\n")


# Whole experiments.


def fill(root, subjects, trials, seconds):
    storage = Storage(root)
    total = 0
    for s in range(subjects):
        storage.subject_id = f"p{s:02}"
        with storage.create_task("reach") as task:
            for i in range(trials):
                trial = Trial({"side": "left", "score": 0.1 * i, "block": 0, "trial": i})
                trial.add_array("emg", signals(seconds, 1000 * s + i))
                trial.add_array("path", np.cumsum(np.random.default_rng(i).normal(size=(2, 200)), axis=1))
                total += trial.arrays["emg"].data.nbytes + trial.arrays["path"].data.nbytes
                task.write(trial)
    return total


def arrays_of(root):
    found = Experiment(root)
    return {
        (subject, task, i, name): reader.get(i, name)
        for subject in found.subject_ids for task in found.task_ids(subject)
        for reader in [found.task(subject, task)] for i in range(len(reader)) for name in reader.arrays(i)
    }


def by_zipfile(arrays, out):
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for (subject, task, i, name), array in arrays.items():
            with archive.open(f"data/{subject}/{task}/{name}/{i}.npy", "w") as file:
                np.save(file, array)


def by_h5py(arrays, out):
    with h5py.File(out, "w") as file:
        for (subject, task, i, name), array in arrays.items():
            file.create_dataset(f"{subject}/{task}/{i}/{name}", data=array, compression="gzip", shuffle=True)


def whole(runs, subjects, trials, seconds):
    with tempfile.TemporaryDirectory() as folder:
        root = os.path.join(folder, "data")
        total = fill(root, subjects, trials, seconds)
        stores = sum(os.path.getsize(os.path.join(d, f)) for d, _, names in os.walk(root) for f in names)
        arrays = arrays_of(root)
        out = os.path.join(folder, "out")
        work = {
            "storage_to_zip": lambda: storage_to_zip(root, out, overwrite=True),
            "  the same without views": lambda: storage_to_zip(root, out, views=False, overwrite=True),
            "zipfile loop": lambda: by_zipfile(arrays, out),
            "storage_to_hdf5": lambda: storage_to_hdf5(root, out, overwrite=True),
            "h5py loop": lambda: by_h5py(arrays, out),
        }
        times, sizes = {name: [] for name in work}, {}
        for _ in range(runs):
            for name, do in work.items():
                times[name].append(timed(do))
                sizes[name] = os.path.getsize(out)
        storage_to_zip(root, out, overwrite=True)
        back = []
        for _ in range(runs):
            back.append(timed(lambda: storage_from_zip(out, os.path.join(folder, "back"))))
            shutil.rmtree(os.path.join(folder, "back"))
        with_h5 = os.path.join(folder, "x.hdf5")
        storage_to_hdf5(root, with_h5)
        read = {
            "the folder": lambda: arrays_of(root),
            "the archive": lambda: arrays_of(out),
            "the consolidated file": lambda: arrays_of(with_h5),
        }
        reads = {name: [] for name in read}
        for _ in range(runs):
            for name, do in read.items():
                reads[name].append(timed(do))
    print(f"Whole experiments: {subjects} subjects, {trials} trials each of {CHANNELS} channels, {seconds} s, "
          f"{total / 1e6:.0f} MB of arrays in {stores / 1e6:.0f} MB of stores; {runs} runs")
    against = {"storage_to_zip": "zipfile loop", "  the same without views": "zipfile loop",
               "storage_to_hdf5": "h5py loop"}
    for name, found in times.items():
        median = statistics.median(found)
        line = f"{name:26} {median:7.2f} s {total / 1e6 / median:7.0f} MB/s {sizes[name] / 1e6:7.1f} MB"
        if name in against:
            line += f"   {statistics.median(times[against[name]]) / median:.2f} x the speed of the {against[name]}"
        print(line)
    print(f"{'storage_from_zip':26} {statistics.median(back):7.2f} s {total / 1e6 / statistics.median(back):7.0f} MB/s")
    for name, found in reads.items():
        median = statistics.median(found)
        print(f"{'reading ' + name:32} {median:7.2f} s {total / 1e6 / median:7.0f} MB/s")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=30, help="of data that is acquired")
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    print(f"{cores} cores, Python {sys.version.split()[0]}, NumPy {np.__version__}, h5py {h5py.__version__} "
          f"(HDF5 {h5py.version.hdf5_version})")
    subprocess.run(["uname", "-sr"], check=False)
    if args.quick:
        args.runs, args.seconds = 1, 2
    acquisition(args.seconds, args.runs)
    real_time(2 if args.quick else 20, 10)
    whole(args.runs, 2, 3 if args.quick else 20, 5)


if __name__ == "__main__":
    main()
