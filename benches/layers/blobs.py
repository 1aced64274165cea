"""Blobs beside plain files with SHA-256: benches/layers/run blobs [--mib N] [--small N] [--rounds N] [--folder PATH]

Everything is measured in one run, the ways one after the other in each round, in changing order, each when what
was written before is on the medium; medians are shown. The data are random bytes, which nothing compresses. «synced» is
with fsync (a commit that is on the medium), «not synced» without. A ratio is the speed of ours as a part of the
speed of the plain way.
"""

import argparse
import hashlib
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from vlstore.blobs import FileStorage, StoreStorage

PIECE = 1 << 20


def timed(work):
    # What was written before must not be on its way to the disk while this is measured.
    os.sync()
    begin = time.perf_counter()
    result = work()
    return time.perf_counter() - begin, result


def pieces(data):
    view = memoryview(data)
    return (view[at : at + PIECE] for at in range(0, len(data), PIECE))


def rotated(items, by):
    by %= len(items)
    return items[by:] + items[:by]


def plain_blob(path, data, sync):
    digest = hashlib.sha256(data).hexdigest()
    with open(path, "wb") as file:
        file.write(data)
        if sync:
            file.flush()
            os.fsync(file.fileno())
    return digest


def plain_stream(path, data, sync):
    hasher = hashlib.sha256()
    with open(path, "wb") as file:
        for piece in pieces(data):
            hasher.update(piece)
            file.write(piece)
        if sync:
            file.flush()
            os.fsync(file.fileno())
    return hasher.hexdigest()


def plain_read(path):
    with open(path, "rb") as file:
        data = file.read()
    hashlib.sha256(data).hexdigest()
    return data


def plain_read_stream(path):
    hasher, size = hashlib.sha256(), 0
    with open(path, "rb") as file:
        while piece := file.read(PIECE):
            hasher.update(piece)
            size += len(piece)
    return hasher.hexdigest()


def large(folder, mib, rounds, times):
    for turn in range(rounds):
        data = os.urandom(mib << 20)
        for sync in (False, True):
            how = "synced" if sync else "not synced"
            there = folder / f"{turn}-{sync}"
            there.mkdir()
            durability = "sync" if sync else "kernel"

            def store(name, durability=durability, there=there):
                return StoreStorage(there / name, create=True, durability=durability)

            one, two = store("one.vls"), store("two.vls")
            files = FileStorage(there / "files", mkdir=True)
            blob = {
                "plain": lambda: plain_blob(there / "blob", data, sync),
                "store": lambda: one.write(data),
            }
            stream = {
                "plain": lambda: plain_stream(there / "stream", data, sync),
                "store": lambda: two.write_stream(pieces(data)),
            }
            if sync:
                # It always syncs what it writes.
                others = FileStorage(there / "others", mkdir=True)
                blob["files"] = lambda: files.write(data)
                stream["files"] = lambda: others.write_stream(pieces(data))
            for title, ways in (("write a blob", blob), ("write a stream", stream)):
                # Whose turn it is first changes from round to round.
                for way in rotated(list(ways), turn):
                    spent, where = timed(ways[way])
                    times[title, how, way].append(spent)
                    if (title, way) == ("write a blob", "store"):
                        at = where
            if sync:
                shutil.rmtree(there)
                continue
            at_file = files.write(data)
            again, again_files = StoreStorage(there / "one.vls"), FileStorage(there / "files")
            times["read a blob", "cached", "plain"].append(timed(lambda: plain_read(there / "blob"))[0])
            times["read a blob", "cached", "store"].append(timed(lambda: again.read(at))[0])
            times["read a blob", "cached", "files"].append(timed(lambda: again_files.read(at_file))[0])
            times["read a stream", "cached", "plain"].append(timed(lambda: plain_read_stream(there / "stream"))[0])
            for name, storage, where in (("store", again, at), ("files", again_files, at_file)):
                spent, total = timed(lambda: sum(map(len, storage.read_stream(where))))
                assert total == len(data)
                times["read a stream", "cached", name].append(spent)
            step = len(data) // 101
            spent, _ = timed(lambda: [again.read_range(at, i * step, i * step + 1000) for i in range(100)])
            times["100 ranges of 1000 bytes", "cached", "store"].append(spent)
            shutil.rmtree(there)


def small(folder, count, rounds, times):
    for turn in range(rounds):
        contents = [os.urandom(200 + i % 1800) for i in range(count)]
        there = folder / f"small-{turn}"
        (there / "plain").mkdir(parents=True)
        storage = StoreStorage(there / "b.vls", create=True)
        title = f"write {count} small blobs"

        def plain():
            for data in contents:
                name = hashlib.sha256(data).hexdigest()
                with open(there / "plain" / name, "xb") as file:
                    file.write(data)

        def ours():
            with storage.held():
                return [storage.write(data) for data in contents]

        times[title, "not synced", "plain"].append(timed(plain)[0])
        spent, places = timed(ours)
        times[title, "not synced", "store"].append(spent)
        title = f"read {count} small blobs"

        def plain_reads():
            for name in os.listdir(there / "plain"):
                data = (there / "plain" / name).read_bytes()
                assert hashlib.sha256(data).hexdigest() == name

        reading = StoreStorage(there / "b.vls")
        times[title, "cached", "plain"].append(timed(plain_reads)[0])
        times[title, "cached", "store"].append(timed(lambda: [reading.read(at) for at in places])[0])
        sizes = sum(f.stat().st_blocks * 512 for f in (there / "plain").iterdir())
        times["room on the disk, MB", "", "plain"].append(sizes / 1e6)
        times["room on the disk, MB", "", "store"].append((there / "b.vls").stat().st_blocks * 512 / 1e6)
        shutil.rmtree(there)


class Times(dict):
    def __missing__(self, key):
        return self.setdefault(key, [])


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--mib", type=int, default=256)
    options.add_argument("--small", type=int, default=100_000)
    options.add_argument("--rounds", type=int, default=6)
    options.add_argument("--folder", default=None)
    given = options.parse_args()
    times = Times()
    folder = Path(tempfile.mkdtemp(prefix="vlstore-bench-", dir=given.folder))
    try:
        large(folder, given.mib, given.rounds, times)
        small(folder, given.small, max(1, given.rounds // 2), times)
    finally:
        shutil.rmtree(folder)
    print(f"random bytes, {given.mib} MiB at once; medians of {given.rounds} rounds; seconds unless said otherwise\n")
    print(f"{'':36}{'':12}{'plain':>9}{'store':>9}{'ratio':>8}{'files':>9}{'ratio':>8}")
    for what, how in dict.fromkeys(key[:2] for key in times):
        median = {way: statistics.median(times[what, how, way]) for way in ("plain", "store", "files") if (what, how, way) in times}
        line = f"{what:36}{how:12}"
        base = median.get("plain")
        line += f"{base:9.3f}" if base else f"{'':9}"
        for way in ("store", "files"):
            if way in median:
                line += f"{median[way]:9.3f}" + (f"{base / median[way]:8.2f}" if base else f"{'':8}")
        print(line)


if __name__ == "__main__":
    main()
