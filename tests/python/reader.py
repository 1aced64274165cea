"""Reads a vlstore file as docs/format.md describes it, without the engine.

Needs `blosc2`, to decode single chunks (never to read the frame), and `xxhash`. Written for clarity:
the file is given whole, every checksum is compared, every chunk is decoded once.

    for ordinal, key, data in Reader(open(path, "rb").read()): ...
    Reader(open(path, "rb").read()).get("name")
"""

import json
import struct

import blosc2
from xxhash import xxh3_64_intdigest as xxh3

MASK = (1 << 64) - 1


def check(right, what):
    if not right:
        raise ValueError(f"damaged: {what}")


def identify(file, a, b):
    h = 0x9E3779B97F4A7C15
    for word in (*struct.unpack("<2Q", file), a, b):
        x = ((h ^ word) + 0x9E3779B97F4A7C15) & MASK
        x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & MASK
        x = (x ^ x >> 27) * 0x94D049BB133111EB & MASK
        h = x ^ x >> 31
    return h


class Cursor:
    """Takes structures, lists of them and bytes from `data`, one behind the other."""

    def __init__(self, data, at=0):
        self.data, self.at = data, at

    def bytes(self, count):
        self.at += count
        check(self.at <= len(self.data), "cut short")
        return self.data[self.at - count : self.at]

    def list(self, fmt, count):
        return list(struct.iter_unpack("<" + fmt, self.bytes(struct.calcsize("<" + fmt) * count)))

    def one(self, fmt):
        return self.list(fmt, 1)[0]


class State:
    """What a slot leads to: its root and log, or with `sealed` the root that its seal names."""

    def __init__(self, data, file, size, slot, sealed):
        self.data, self.file, self.size = data, file, size
        slot = struct.unpack("<24x5Q3Q10QQ3QQ48x", slot)
        (self.generation, end), root, (log, log_len, live), seal = slot[:2], slot[2:5], slot[5:8], slot[8:18]
        if sealed:
            self.generation, end, root, log_len = seal[4], seal[0], seal[7:], 0
        check(max(end, log + log_len) <= len(data), "the file is shorter than the state")
        self.records, chunks, self.dead, self.runs, self.attributes, pieces = [], [], set(), [], {}, []
        self.cursor = open_block = filled = generation = old_chunks = fill = 0
        if any(root):
            c = self.segment(*root, b"VLroot\0\1")
            generation = struct.unpack_from("<Q", c.data, 24)[0]
            _, old_chunks, _, _, self.cursor, _, _, fill, sums = c.one("7Q2I")
            entry, counts = c.one("QQIII4x"), c.one("8I")
            open_block, base = counts[6], (entry, c.list("Q", sums))
            pages = [self.segment(*page, b"VLpage\0\1").list("5Q4I", 64) for page in c.list("3Q16x", counts[0])]
            for *place, _, _, records, n_chunks, sums, _ in sum(pages, []) + c.list("5Q4I", counts[1]):
                self.add(self.segment(*place, b"VLleaf\0\1"), chunks, records, n_chunks, sums)
            self.runs = [(self.segment(*r[:3], b"VLrun\0\0\1").data, r) for r in c.list("4QI4x", counts[2])]
            for *place, count in c.list("4Q8x", counts[3]):
                self.dead.update(n for (n,) in self.segment(*place, b"VLdead\0\1").list("Q", count))
            c.list("3Q", counts[4])  # Log extents: for the writer.
            self.attributes = json.loads(c.bytes(counts[5]))
        at, self.logged = log, len(self.records)
        while at < log + log_len:
            magic, total, length, now, *first, self.cursor = struct.unpack_from("<8s6Q", data, at)
            body = data[at : min(at + length, log + log_len)]
            right = xxh3(body[16:]) ^ identify(file, now, at) == total
            check(right and magic == b"VLlog\0\0\1" and len(body) == length > 87, "log entry")
            check(first == [len(self.records), len(chunks)], "order of the log")
            check(generation <= now <= self.generation, "generations of the log")
            c, generation = Cursor(body, 56), now
            *counts, keys, attributes, open_block = c.one("8I")
            dead, table = self.add(c, chunks, *counts)
            c.bytes(keys)
            self.dead.update(record for _, record in dead)
            if attributes:
                self.attributes = json.loads(c.bytes(attributes - 1))
            for start, size, stored, _ in table:
                c.at = -(-c.at // 8) * 8
                pieces.append((len(chunks), start, size, c.bytes(stored)))
            at += length
        open_chunk, number = bytearray(self.size), len(chunks)
        if open_block and fill and number == old_chunks:
            open_chunk[:fill], filled = self.chunk(number, *base)[:fill], fill
        for _, start, size, piece in (p for p in pieces if p[0] == number):
            check(start == filled, "order of the pieces")
            filled += size
            open_chunk[start:filled] = blosc2.decompress2(piece)[:size]
        check(not open_block or filled == self.cursor - number * self.size, "open chunk")
        check(self.cursor <= (number + bool(open_block)) * self.size, "end of the records")
        self.chunks = [self.chunk(n, *c) for n, c in enumerate(chunks)] + [bytes(open_chunk)]
        check(len(self.records) - len(self.dead) == (seal[5] if sealed else live), "number of records")

    def segment(self, offset, length, total, magic):
        body = length - 8 * -(-length // 16392)
        data, table = Cursor(self.data, offset).bytes(length)[:body], self.data[offset + body : offset + length]
        check(xxh3(table) ^ identify(self.file, offset, length) == total, "page checksums")
        for i, (page,) in enumerate(struct.iter_unpack("<Q", table)):
            check(xxh3(data[16384 * i : 16384 * (i + 1)]) == page, "index page")
        check(data[:24] == magic + self.file, "kind of segment")
        return Cursor(data, 64)

    def add(self, c, chunks, records, n_chunks, sums, n_dead=0, n_pieces=0):
        """Takes the lists of a leaf or log entry up to the keys, which follow."""
        records, entries, sums = c.list("QIIIHBB", records), c.list("QQIII4x", n_chunks), c.list("Q", sums)
        dead, pieces = c.list("2Q", n_dead), c.list("4I", n_pieces)
        chunks += [(entry, sums) for entry in entries]
        for start, length, _, key_at, key_len, kind, row in records:
            key = Cursor(c.data, c.at + key_at).bytes(row >> 1 << 16 | key_len)
            self.records.append((start, length, kind, key))
        return dead, pieces

    def chunk(self, number, entry, sums):
        offset, prefix_sum, cbytes, first, blocks = entry
        chunk = Cursor(self.data, offset).bytes(cbytes)
        nbytes, block, claimed = struct.unpack_from("<3i", chunk, 4)
        count, stored = -(-nbytes // block), chunk[2] & 2
        listed = 0 if stored or chunk[31] >> 4 & 7 else count
        starts = struct.unpack_from(f"<{listed}I", chunk, 32)
        starts = starts or [32 + i * block if stored else 32 for i in range(count)]
        prefix = xxh3(chunk[: 32 + 4 * listed]) ^ identify(self.file, number, MASK)
        right = (prefix, claimed, count) == (prefix_sum, cbytes, blocks)
        check(right and nbytes <= self.size, "chunk header")
        for i, start in enumerate(starts):
            data = chunk[start : min((s for s in starts if s > start), default=cbytes)]
            check(xxh3(data) ^ identify(self.file, number, i) == sums[first + i][0], "block")
        return blosc2.decompress2(chunk)


class Reader:
    """The newest whole state of a file; `older` says that a newer one could not be read."""

    def __init__(self, data):
        magic, version, length, file, total = struct.unpack_from("<8sII16sQ", data, 1024)
        check(magic == b"VLstore\1", "not a vlstore file")
        check(version <= 1, f"format version {version}, newest known is 1")
        text = data[1064 : 1064 + length]
        check(xxh3(data[1024:1056] + text) == total, "configuration")
        self.config, slots, failure = json.loads(text), [], ValueError("no whole slot")
        for parity, slot in enumerate((data[4096:4352], data[8192:8448])):
            generation, total = struct.unpack("<24xQ216xQ", slot)
            right = xxh3(slot[:248]) ^ identify(file, generation, 0) == total
            if right and slot[:24] == b"VLslot\0\1" + file and generation % 2 == parity:
                slots.append((generation, slot))
        self.older = len(slots) < 2
        slots.sort(reverse=True)
        for sealed, (_, slot) in [(False, s) for s in slots] + [(True, s) for s in slots]:
            try:
                self.state = State(data, file, self.config["chunk_size"], slot, sealed)
                return
            except (struct.error, RuntimeError, ValueError, IndexError) as e:
                self.older, failure = True, e
        raise failure

    def bytes_of(self, number):
        start, length, out, size = *self.state.records[number][:2], b"", self.state.size
        check(start + length <= self.state.cursor, "place of a record")
        while len(out) < length:
            chunk, at = divmod(start + len(out), size)
            out += self.state.chunks[chunk][at : at + length - len(out)]
        return out

    def __iter__(self):
        live = (n for n in range(len(self.state.records)) if n not in self.state.dead)
        for ordinal, number in enumerate(live):
            kind, raw = self.state.records[number][2:]
            whole = int.from_bytes(raw, "little", signed=kind == 2)
            key = (None, raw.decode(errors="replace"), whole, whole, raw)[kind]
            yield ordinal, key, self.bytes_of(number)

    def get(self, key):
        """The bytes under `key`, or None."""
        return next((data for _, k, data in self if type(k) is type(key) and k == key), None)
