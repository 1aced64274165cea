"""The stores that are compared, each behind the same four verbs: write, open, batch, scan.

`batch(ordinals)` and each step of `scan()` return positions and forces of the frames, concatenated, and the number
of sites of each. Whatever a store offers to read many at once is used; where it has nothing, frames are read one by
one and concatenated, as its user would.
"""

import numpy as np

STEP = 256  # frames that a scan delivers at once
PEERS = {}


def peer(key, label, **options):
    """Registers a class under `key`, once for each set of options."""

    def add(cls):
        PEERS[key] = (cls, label, options)
        return cls

    return add


class Peer:
    opens_again = True  # in a process in which it is open

    def __init__(self, path, **options):
        self.path, self.options = str(path), options

    def one(self, i):
        return self.batch(np.array([i]))[:2]

    def close(self):
        """Closes what `open` opened."""

    def scan(self):
        for first in range(0, self.count, STEP):
            yield self.batch(np.arange(first, min(first + STEP, self.count)))


@peer("vlstore", "vlstore, Zstd, balanced")
@peer("vlstore-dense", "vlstore, Zstd, dense", purpose="dense")
@peer("vlstore-random", "vlstore, Zstd, random", purpose="random", compression="zstd")
@peer("vlstore-lz4", "vlstore, LZ4, balanced", compression="lz4")
@peer("vlstore-lz4-random", "vlstore, LZ4, random", purpose="random", compression="lz4")
@peer("vlstore-lz4-random-map", "vlstore, LZ4, random, mapped", purpose="random", compression="lz4", access="map")
@peer("vlstore-lz4-random-1", "vlstore, LZ4, random, one thread", purpose="random", compression="lz4", threads=1)
@peer(
    "vlstore-lz4-2k-map", "vlstore, LZ4, blocks of 2 KiB, mapped", purpose="random", compression="lz4", block_size=2048, access="map"
)
@peer(
    "vlstore-lz4-plain-map", "vlstore, LZ4 without a filter, mapped", purpose="random", compression="lz4", filter="none", access="map"
)
@peer("vlstore-stored", "vlstore, stored, mapped", purpose="random", compression="stored", access="map")
@peer(
    "vlstore-lz4-random-table-map", "vlstore, LZ4, random, mapped, tables", purpose="random", compression="lz4", access="map", frames="table"
)
@peer("vlstore-stored-table", "vlstore, stored, mapped, tables", purpose="random", compression="stored", access="map", frames="table")
class Vlstore(Peer):
    def write(self, frames):
        import vlstore

        layout = {name: value for name, value in self.options.items() if name not in ("threads", "access")}
        with vlstore.open(self.path, "w", records="md-frame", **layout) as store:
            step, keys = 8192, frames.keys
            for a in range(0, len(frames), step):
                b = min(a + step, len(frames))
                part = slice(frames.starts[a], frames.starts[b])
                store.put_frames(
                    frames.positions[part],
                    ptr=frames.starts[a : b + 1] - frames.starts[a],
                    keys=keys[a:b],
                    types=frames.types[part].astype(np.int32),
                    forces=frames.forces[part],
                    energy=frames.energy[a:b],
                )

    def open(self):
        import vlstore

        reading = {name: self.options[name] for name in ("threads", "access") if name in self.options}
        self.store = vlstore.open(self.path, cache_bytes=0, **reading)
        self.count = len(self.store)

    def batch(self, ordinals):
        made = self.store.at.arrays(ordinals, fields=["positions", "forces"])
        return made["positions"], made["forces"], np.diff(made["ptr"])

    def one(self, i):
        frame = self.store.at[i]
        return frame.positions, frame.forces

    def close(self):
        self.store.close()


@peer("atompack", "Atompack", compression="none")
@peer("atompack-lz4", "Atompack, LZ4", compression="lz4")
@peer("atompack-zstd", "Atompack, Zstd", compression="zstd")
class Atompack(Peer):
    def write(self, frames):
        import atompack

        store = atompack.Database(self.path, level=3, overwrite=True, **self.options)
        part = []
        for i, key in enumerate(frames.keys):
            sites = slice(frames.starts[i], frames.starts[i + 1])
            part.append(
                atompack.Molecule.from_arrays(
                    frames.positions[sites],
                    frames.types[sites],
                    forces=frames.forces[sites],
                    energy=frames.energy[i],
                    name=key,
                )
            )
            if len(part) == STEP:
                store.add_molecules(part)
                part = []
        if part:
            store.add_molecules(part)
        store.flush()

    def open(self):
        import atompack

        self.store = atompack.Database.open(self.path)
        self.count = len(self.store)

    def one(self, i):
        molecule = self.store[i]
        return molecule.positions, molecule.forces

    def batch(self, ordinals):
        made = self.store.get_molecules_flat(ordinals.tolist())
        return made["positions"], made["forces"], made["n_atoms"]


class Packed(Peer):
    """A store of bytes: a record is the number of sites, positions, forces, types and energy, one after the other."""

    @staticmethod
    def records(frames):
        for i in range(len(frames)):
            sites = slice(frames.starts[i], frames.starts[i + 1])
            parts = (frames.positions[sites], frames.forces[sites], frames.types[sites], frames.energy[i : i + 1])
            yield np.int64(sites.stop - sites.start).tobytes() + b"".join(a.tobytes() for a in parts)

    @staticmethod
    def arrays(records):
        sizes = np.array([int.from_bytes(r[:8], "little") for r in records])
        positions = [np.frombuffer(r, np.float32, 3 * n, 8) for r, n in zip(records, sizes)]
        forces = [np.frombuffer(r, np.float32, 3 * n, 8 + 12 * n) for r, n in zip(records, sizes)]
        return np.concatenate(positions).reshape(-1, 3), np.concatenate(forces).reshape(-1, 3), sizes


@peer("bagz", "Bagz, Zstd")
class Bagz(Packed):
    def write(self, frames):
        import bagz

        with bagz.Writer(self.path) as out:
            for record in self.records(frames):
                out.write(record)

    def open(self):
        import bagz

        self.store = bagz.Reader(self.path)
        self.count = len(self.store)

    def batch(self, ordinals):
        return self.arrays(self.store.read_indices(ordinals.tolist()))


@peer("array-record", "ArrayRecord")
class ArrayRecord(Packed):
    def write(self, frames):
        from array_record.python.array_record_module import ArrayRecordWriter

        # A record a group, as its documentation has it for random access.
        out = ArrayRecordWriter(self.path, "group_size:1")
        for record in self.records(frames):
            out.write(record)
        out.close()

    def open(self):
        from array_record.python.array_record_data_source import ArrayRecordDataSource

        self.store = ArrayRecordDataSource(self.path)
        self.count = len(self.store)

    def batch(self, ordinals):
        return self.arrays(self.store.__getitems__(ordinals.tolist()))


@peer("lmdb", "LMDB")
@peer("lmdb-zstd", "LMDB, Zstd a record", packed=True)
class Lmdb(Packed):
    opens_again = False

    def write(self, frames):
        import lmdb
        import zstandard

        pack = zstandard.ZstdCompressor(1).compress if self.options.get("packed") else bytes
        with lmdb.open(self.path, map_size=1 << 36, subdir=False, sync=False) as env, env.begin(write=True) as out:
            for i, record in enumerate(self.records(frames)):
                out.put(b"%08d" % i, pack(record), append=True)

    def open(self):
        import lmdb
        import zstandard

        self.unpack = zstandard.ZstdDecompressor().decompress if self.options.get("packed") else bytes
        self.env = lmdb.open(self.path, subdir=False, readonly=True, lock=False)
        self.count = self.env.stat()["entries"]

    def batch(self, ordinals):
        with self.env.begin(buffers=True) as store:
            return self.arrays([self.unpack(store.get(b"%08d" % i)) for i in ordinals])


@peer("hdf5", "HDF5, Blosc2 filter")
@peer("hdf5-lzf", "HDF5, shuffle and LZF", builtin=True)
class Hdf5(Peer):
    def write(self, frames):
        import h5py

        if self.options.get("builtin"):
            packed = {"compression": "lzf", "shuffle": True}
        else:
            import hdf5plugin

            packed = hdf5plugin.Blosc2(cname="zstd", clevel=1, filters=hdf5plugin.Blosc2.SHUFFLE)
        with h5py.File(self.path, "w") as out:
            out["starts"], out["keys"] = frames.starts, np.array(frames.keys, "S")
            for name in ("positions", "forces", "types", "energy"):
                array = getattr(frames, name)
                chunks = (min(4096, len(array)), *array.shape[1:])
                out.create_dataset(name, data=array, chunks=chunks, **packed)

    def open(self):
        import h5py

        if not self.options.get("builtin"):
            import hdf5plugin  # noqa: F401

        self.file = h5py.File(self.path, "r")
        self.starts = self.file["starts"][:]
        self.count = len(self.starts) - 1

    def close(self):
        self.file.close()

    def batch(self, ordinals):
        sites = [slice(self.starts[i], self.starts[i + 1]) for i in ordinals]
        if np.all(np.diff(ordinals) == 1):
            sites = [slice(sites[0].start, sites[-1].stop)]
        both = [np.concatenate([self.file[name][s] for s in sites]) for name in ("positions", "forces")]
        return *both, self.starts[ordinals + 1] - self.starts[ordinals]


@peer("lance", "Lance")
class Lance(Peer):
    def write(self, frames):
        import lance
        import pyarrow as pa

        columns = {"key": pa.array(frames.keys), "energy": pa.array(frames.energy)}
        for name, each in (("positions", 3), ("forces", 3), ("types", 1)):
            values = pa.array(getattr(frames, name).ravel())
            columns[name] = pa.LargeListArray.from_arrays(pa.array(frames.starts * each), values)
        lance.write_dataset(pa.table(columns), self.path)

    def open(self):
        import lance

        self.set = lance.dataset(self.path)
        self.count = self.set.count_rows()

    def batch(self, ordinals):
        return self.arrays(self.set.take(ordinals.tolist(), columns=["positions", "forces"]))

    def scan(self):
        return map(self.arrays, self.set.to_batches(columns=["positions", "forces"], batch_size=STEP))

    @staticmethod
    def arrays(table):
        made = []
        for name in ("positions", "forces"):
            column = table[name]
            parts = column.chunks if hasattr(column, "chunks") else [column]
            made.append(np.concatenate([p.flatten().to_numpy() for p in parts]).reshape(-1, 3))
            sizes = np.concatenate([np.diff(p.offsets.to_numpy()) for p in parts]) // 3
        return *made, sizes
