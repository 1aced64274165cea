"""What a call from Python costs more than the Rust call that it stands for.

    pip install .                # a release build of this very tree
    python benches/face.py       # prints a table; two minutes, the first build of the bench apart

The Rust side, ``benches/face.rs``, is started by ``cargo bench`` and works on the same files and
ordinals in this run. Rounds alternate, Rust, Python, Rust, Python, with one of each before that
does not count; a time is the median of its rounds, the ratio the median of their ratios. Where
``atompack-db`` is installed (``pip install atompack-db``), single frames are compared with it on
the same values, turn by turn.

``VLSTORE_ROUNDS`` (21) and ``VLSTORE_THREADS`` (2) can be set. A word as an argument runs only
the rows whose name contains it.
"""

import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import vlstore

ROOT = pathlib.Path(__file__).resolve().parents[1]
ROUNDS = max(7, int(os.environ.get("VLSTORE_ROUNDS", "21")))
THREADS = int(os.environ.get("VLSTORE_THREADS", "2"))
GETS = 4096
BATCHES, BATCH = 32, 256
FIELDS = ["positions", "forces", "types", "energy", "cell"]


class Rust:
    """The process of ``benches/face.rs``: a line asks for a round, a line answers."""

    def __init__(self):
        command = ["cargo", "bench", "--quiet", "--bench", "face"]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True)

    def ask(self, verb, path):
        self.process.stdin.write(f"{verb} {path}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        if not answer:
            sys.exit("the Rust side ended: see above")
        return answer

    def seconds(self, verb, path):
        return lambda: float(self.ask(verb, path))

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def timed(call):
    """Seconds that ``call`` takes."""

    def once():
        start = time.perf_counter()
        call()
        return time.perf_counter() - start

    return once


def interleave(*sides):
    """The seconds of each side, round by round."""
    for side in sides:
        side()
    rounds = [[side() for side in sides] for _ in range(ROUNDS)]
    return list(zip(*rounds, strict=True))


class Table:
    def __init__(self, only):
        self.only = only
        self.rows = []

    def row(self, name, reference, ours, calls, unit, most=None, least=None):
        """One comparison: the time ratio is at most ``most``, or the rate at least ``least``."""
        if self.only and not any(word in name for word in self.only):
            return
        theirs, mine = interleave(reference, ours)
        ratio = statistics.median(b / a for a, b in zip(theirs, mine, strict=True))
        scale = {"us": 1e6, "ms": 1e3}[unit] / calls
        times = [f"{statistics.median(side) * scale:.2f} {unit}" for side in (theirs, mine)]
        if least is not None:
            ratio = 1 / ratio
            target, met = f">= {least:.2f}", ratio >= least
        elif most is not None:
            target, met = f"<= {most:.2f}", ratio <= most
        else:
            target, met = "reported", None
        met = {True: "yes", False: "NO", None: ""}[met]
        self.rows.append((name, *times, f"{ratio:.3f}", target, met))
        print(f"  {name}: {ratio:.3f}", file=sys.stderr, flush=True)

    def show(self):
        head = ("call", "reference", "Python", "ratio", "target", "met")
        print("| " + " | ".join(head) + " |")
        print("|" + " --- |" * len(head))
        for row in self.rows:
            print("| " + " | ".join(row) + " |")


def frames(at, ordinals):
    """Single frames with their arrays."""

    def run():
        for i in ordinals:
            frame = at[i]
            frame.positions, frame.forces, frame.types, frame.cell, frame.energy

    return timed(run)


def items(container, ordinals):
    """Single objects, nothing done with them."""

    def run():
        for i in ordinals:
            container[i]

    return timed(run)


def molecules(database, ordinals):
    """The same of atompack's molecules."""

    def run():
        for i in ordinals:
            molecule = database[i]
            molecule.positions, molecule.forces, molecule.atomic_numbers
            molecule.cell, molecule.energy

    return timed(run)


def batches(store, ordinals, fields):
    parts = [ordinals[i * BATCH : (i + 1) * BATCH] for i in range(BATCHES)]

    def run():
        for part in parts:
            store.at.arrays(part, fields)

    return timed(run)


def writer(directory):
    return vlstore.open(
        directory / "python.vls", "w", records="md-frame", purpose="random", threads=THREADS
    )


def main():
    table = Table(sys.argv[1:])
    rust = Rust()
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        print(f"{rust.ask('prepare', directory)}\n{ROUNDS} rounds, {THREADS} threads\n")
        measure(table, rust, directory)
    rust.close()
    table.show()


def measure(table, rust, directory):
    every = np.fromfile(directory / "ordinals", "<u8").astype("i8")
    ordinals = every[:GETS].tolist()
    stores = {
        name: vlstore.open(directory / f"{name}.vls", records="auto", threads=THREADS)
        for name in ("lz4", "lz4, 2 KiB blocks", "stored")
    }
    stacked = stores["stored"].at.arrays(range(len(stores["stored"])), FIELDS)
    count = len(stacked["energy"])
    for field in ("positions", "forces", "types"):
        stacked[field] = stacked[field].reshape(count, -1, *stacked[field].shape[1:])
    for store in stores.values():
        for i in ordinals[:100]:
            assert np.array_equal(store.at[i].forces, stacked["forces"][i])
            assert np.array_equal(store.at[i].types, stacked["types"][i])

    for name, store in stores.items():
        path = directory / f"{name}.vls"
        get = rust.seconds("get", path)
        label = f"get, frame and arrays, {name}"
        table.row(label, get, frames(store.at, ordinals), GETS, "us", most=2.0)
    atompack(table, directory, stores, stacked, ordinals)
    for name, store in stores.items():
        path = directory / f"{name}.vls"
        arrays = batches(store, every, FIELDS)
        label = f"flat arrays of {BATCH}, {name}, against"
        verified, raw = rust.seconds("frames", path), rust.seconds("batch", path)
        table.row(f"{label} frames", verified, arrays, BATCHES, "ms", most=1.15)
        table.row(f"{label} mere bytes", raw, arrays, BATCHES, "ms")

    prepared = list(stores["lz4"].at)
    path = directory / "rust.vls"

    def put():
        store = writer(directory)
        start = time.perf_counter()
        for key, frame in enumerate(prepared):
            store.put(key, frame)
        store.commit()
        took = time.perf_counter() - start
        store.close()
        return took

    put_name = "put of a prepared frame, lz4"
    table.row(put_name, rust.seconds("put", path), put, count, "us", most=1.5)

    def ingest():
        store = writer(directory)
        start = time.perf_counter()
        store.put_frames(**{field: stacked[field] for field in FIELDS})
        store.commit()
        took = time.perf_counter() - start
        store.close()
        return took

    ingest_name = "ingest of stacked arrays, lz4"
    table.row(ingest_name, rust.seconds("ingest", path), ingest, count, "us", least=0.9)


def atompack(table, directory, stores, stacked, ordinals):
    try:
        from atompack import Database
    except ImportError:
        print("atompack-db is not installed: its rows are left out\n", file=sys.stderr)
        return
    kinds = {"lz4": "lz4", "lz4, 2 KiB blocks": "lz4", "stored": "none"}
    for name, compression in kinds.items():
        path = str(directory / f"{name}.atp")
        database = Database(path, compression=compression, overwrite=True)
        numbers = stacked["types"].astype("u1")
        values = {field: stacked[field] for field in ("forces", "energy", "cell")}
        database.add_arrays_batch(stacked["positions"], numbers, **values)
        database.flush()
        database = Database.open(path)
        for i in ordinals[:100]:
            assert np.array_equal(database[i].forces, stacked["forces"][i])
        at = stores[name].at
        label = f"frame and arrays against atompack, {name}"
        theirs, ours = molecules(database, ordinals), frames(at, ordinals)
        table.row(label, theirs, ours, GETS, "us", most=1.0)
        if compression != "none":
            off = vlstore.open(directory / f"{name}.vls", records="auto", cache_bytes=0).at
            table.row(f"{label}, cache off", theirs, frames(off, ordinals), GETS, "us")
        label = f"at[i] against db[i] of atompack, untouched, {name}"
        theirs, ours = items(database, ordinals), items(at, ordinals)
        table.row(label, theirs, ours, GETS, "us")
    defaults(table, directory, stacked, ordinals)


def defaults(table, directory, stacked, ordinals):
    """What somebody gets who says nothing: atompack does not compress then."""
    from atompack import Database

    theirs, ours = directory / "default.atp", directory / "default.vls"
    database = Database(str(theirs), overwrite=True)
    numbers = stacked["types"].astype("u1")
    values = {field: stacked[field] for field in ("forces", "energy", "cell")}
    database.add_arrays_batch(stacked["positions"], numbers, **values)
    database.flush()
    with vlstore.open(ours, "w", records="md-frame") as store:
        store.put_frames(**{field: stacked[field] for field in FIELDS})
    size = ours.stat().st_size / theirs.stat().st_size
    label = f"frame and arrays against atompack, both by default, {size:.2f} of its size"
    at = vlstore.open(ours, records="auto").at
    calls = molecules(Database.open(str(theirs)), ordinals), frames(at, ordinals)
    table.row(label, *calls, GETS, "us")


if __name__ == "__main__":
    main()
