"""The training loader through PyTorch: what worker processes cost, and how long a training step waits for data.

    target/layers-env/bin/pip install torch           # once; 3 GB
    benches/layers/run loader [--frames 30000] [--rounds 5] [--device cuda]

Frames of 64 atoms with positions, forces, types and energy, as batches of 64 frames: the rate of a shuffled epoch
through the loader alone, through `Stream(loader)`, through `DataLoader(Stream(loader), batch_size=None)` without workers and with one and two, and
through `DataLoader(Dataset(store))` with a sampler and with a batch sampler, from a store with purpose `random`. The rates are
those behind the first batch: starting a worker takes as long as many batches. Then a training step of a network over the
atoms on the device: the share of the time in which it waits for the next batch, with the copy to the device. Rounds
alternate, the first is not counted, medians are reported, ratios are those of each round.
"""

import argparse
import os
import pathlib
import statistics
import sys
import tempfile
import time

import numpy as np
import torch
from torch.utils.data import BatchSampler, DataLoader, RandomSampler

import vlstore
from vlstore.loader import Loader
from vlstore.torch import Dataset, Stream, collate

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "compare"))
import data

BATCH, FIELDS = 64, ["positions", "forces", "types", "energy"]


def written(path, frames, purpose):
    with vlstore.open(path, "w", records="md-frame", purpose=purpose) as store:
        for a in range(0, len(frames), 4096):
            b = min(a + 4096, len(frames))
            part = slice(frames.starts[a], frames.starts[b])
            store.put_frames(
                frames.positions[part], ptr=frames.starts[a : b + 1] - frames.starts[a],
                types=frames.types[part].astype(np.int32), forces=frames.forces[part], energy=frames.energy[a:b],
            )


def epochs(path, random):
    """Every way of one epoch, by its name: of a dense store, and of one for random access."""

    def loader(seed, **more):
        return Loader(path, batch_size=BATCH, seed=seed, fields=FIELDS, **more)

    def stream(seed, workers):
        return DataLoader(Stream(loader(seed)), batch_size=None, num_workers=workers)

    dataset = Dataset(random, fields=FIELDS)
    flat = Dataset(random, fields=FIELDS, flat=True)
    return {
        "the loader alone": lambda seed: loader(seed),
        "Stream by itself": lambda seed: Stream(loader(seed)),
        "Stream, no worker": lambda seed: stream(seed, 0),
        "Stream, 1 worker": lambda seed: stream(seed, 1),
        "Stream, 2 workers": lambda seed: stream(seed, 2),
        "Dataset and batch sampler, no worker": lambda seed: DataLoader(
            flat, collate_fn=collate, batch_sampler=BatchSampler(RandomSampler(flat), BATCH, False)
        ),
        "Dataset and batch sampler, 2 workers": lambda seed: DataLoader(
            flat, collate_fn=collate, num_workers=2, batch_sampler=BatchSampler(RandomSampler(flat), BATCH, False)
        ),
        "Dataset of samples, no worker": lambda seed: DataLoader(
            dataset, batch_size=BATCH, shuffle=True, collate_fn=collate
        ),
    }


def timed(batches, count):
    """Seconds until the first batch, and frames a second from there on."""
    start, done = time.perf_counter(), 0
    for batch in batches:
        if done == 0:
            first = time.perf_counter()
        done += len(batch["energy"])
    assert done == count
    return first - start, (done - BATCH) / (time.perf_counter() - first)


class Network(torch.nn.Module):
    """Energies as sums over atoms of a network of their features; its work is that of a small potential."""

    def __init__(self, width, layers):
        super().__init__()
        self.embed = torch.nn.Embedding(120, width)
        self.first = torch.nn.Linear(3, width)
        more = [torch.nn.Linear(width, width) for _ in range(layers)]
        self.layers = torch.nn.ModuleList(more)
        self.last = torch.nn.Linear(width, 1)

    def forward(self, batch):
        x = self.embed(batch["types"].long()) + self.first(batch["positions"].float())
        for layer in self.layers:
            x = torch.nn.functional.silu(layer(x))
        frames = len(batch["ptr"]) - 1
        return x.new_zeros(frames).index_add(0, batch["batch"], self.last(x).squeeze(1))


def waits(path, device, width, layers, steps):
    """Seconds of a step, and the share of it in which the loop waits for the next batch."""
    torch.manual_seed(0)
    model = Network(width, layers).to(device)
    optimizer = torch.optim.Adam(model.parameters())
    pin = device == "cuda"
    waited = total = 0.0
    loader = Loader(path, batch_size=BATCH, seed=1, fields=FIELDS)
    batches = iter(Stream(loader, **({"pin_memory": True} if pin else {})))
    sync = torch.cuda.synchronize if device == "cuda" else (lambda: None)
    for step in range(steps + 10):
        start = time.perf_counter()
        batch = next(batches, None)
        if batch is None:
            batches = iter(Stream(loader, **({"pin_memory": True} if pin else {})))
            batch = next(batches)
        batch = {name: value.to(device, non_blocking=True) for name, value in batch.items()}
        got = time.perf_counter()
        loss = ((model(batch) - batch["energy"]) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        sync()
        if step >= 10:
            waited, total = waited + got - start, total + time.perf_counter() - start
    return total / steps, waited / total


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=30_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    with tempfile.TemporaryDirectory() as folder:
        path, random = f"{folder}/dense.vls", f"{folder}/random.vls"
        frames = data.crystals(args.frames)
        written(path, frames, "dense")
        written(random, frames, "random")
        ways = epochs(path, random)
        found = {name: [] for name in ways}
        for turn in range(args.rounds + 1):
            for name, batches in ways.items():
                one = timed(batches(turn), args.frames)
                if turn:
                    found[name].append(one)
        print(f"\n{len(os.sched_getaffinity(0))} cores, {args.frames} frames of 64 atoms, batches of {BATCH}")
        print(f"{'an epoch through':<40}{'first batch, ms':>16}{'frames, k/s':>12}{'to the first':>14}")
        alone = [rate for _, rate in found["the loader alone"]]
        for name, samples in found.items():
            begins, rates = zip(*samples, strict=True)
            ratio = statistics.median(a / b for a, b in zip(rates, alone, strict=True))
            begin, rate = statistics.median(begins) * 1e3, statistics.median(rates) / 1e3
            print(f"{name:<40}{begin:>16.1f}{rate:>12.1f}{ratio:>14.2f}")
        print(f"\na training step on {args.device}\n{'network':<40}{'ms a step':>12}{'waits':>14}")
        for width, layers in ((128, 3), (512, 6), (1024, 12)):
            if args.device == "cpu" and width > 512:
                continue
            found = [waits(path, args.device, width, layers, 60) for _ in range(args.rounds)]
            seconds, share = (statistics.median(column) for column in zip(*found, strict=True))
            print(f"{f'{layers} layers of {width}':<40}{1e3 * seconds:>12.2f}{100 * share:>12.1f} %")


if __name__ == "__main__":
    main()
