"""What other processes do in the tests: a module that they can import by its name."""

import os
import runpy
import sys
import time

import numpy as np

import vlstore
from vlstore.experiments import StorageWriter, Trial


def read(store, ordinals, results):
    """What a worker does: single records, a batch, a view; then says what it saw."""
    total = sum(float(store.at[int(i)].positions.sum()) for i in ordinals[:5])
    arrays = store.at.arrays(ordinals)
    results.put((total, float(arrays["positions"].sum()), len(store), store.generation))


def follow(path, results):
    store = vlstore.open(path)
    seen, generation = 0, 0
    while seen < 200:
        store.refresh()
        assert store.generation >= generation and len(store) >= seen
        seen, generation = len(store), store.generation
        for i in range(max(0, seen - 3), seen):
            assert store[i] == b"%d" % i * 100
    results.put(seen)


def centred(sample):
    sample["positions"] = sample["positions"] - sample["positions"].mean(0)
    sample["count"] = len(sample["types"])
    return sample


def read_fifty(store, results):
    results.put([store[i] for i in range(50)])


def load_part(loader, results):
    results.put([batch.ordinals.tolist() for batch in loader])


def doubled(frame):
    return {**frame, "positions": frame["positions"] * 2, "count": len(frame["positions"])}


def refusing(frame):
    if frame["step"] == 77:
        raise KeyError("no 77")
    return frame


def in_processes(context, target, each):
    """What ``target(*args, results)`` puts for each of the ``args``, in a process of its own; in any order."""
    results = context.Queue()
    workers = [context.Process(target=target, args=(*args, results)) for args in each]
    for worker in workers:
        worker.start()
    found = [results.get(timeout=120) for _ in workers]
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    return found


def acquire(root, subject, trials):
    with StorageWriter(root, subject) as run:
        for i in range(trials):
            trial = Trial({"who": subject, "block": 0, "trial": i})
            run.task("t").begin(trial)
            trial.add_array("x").stack(np.full((4, 10), i))
            run.write("t", trial)


def centre_of(given):
    universe, frame = given
    universe.trajectory[frame]
    return universe.atoms.positions.mean(0)


def simulate(path, frames):
    """Adds frames to a store in nm, one commit each."""
    with vlstore.open(path, "a", records="md-frame") as store:
        for step in range(1, frames + 1):
            store.push(vlstore.MdFrame(np.full((2, 3), float(step)), step=step, time=float(step)))
            store.commit()
            time.sleep(0.01)


def interrupt(done, total):
    """A progress that ends the work in its middle."""
    if done > total // 2:
        raise KeyboardInterrupt


def publish_members(folder, who, count):
    """Writes stores and publishes each as a member of the data set in a folder."""
    for i in range(count):
        name = f"{who}-{i}"
        with vlstore.open(f"{folder}/{name}.vls", "w") as store:
            store[name] = name.encode()
        vlstore.publish(folder, [name + ".vls"])


def run_program(arguments, output):
    """Runs a program of Python in this process, with one thread of PyTorch; what it prints goes into a file."""
    import torch

    with open(output, "wb", buffering=0) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    torch.set_num_threads(1)
    sys.argv = arguments
    runpy.run_path(arguments[0], run_name="__main__")


class Odd(Exception):
    """An exception that does not pickle."""

    def __init__(self, one, two):
        super().__init__(one)


def odd(batch):
    raise Odd(1, 2)
