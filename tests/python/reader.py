"""Reads a vlstore file as docs/format.md describes it, without the engine.

Needs `blosc2`, to decode single chunks (never to read the frame), and `xxhash`. Written for clarity:
the file is given whole, every checksum of what is read is compared.

    for ordinal, key, data in Reader(open(path, "rb").read()): ...
    Reader(open(path, "rb").read()).get("name")
"""

import json
import struct
from functools import cache, cached_property, partial

import blosc2
import packed
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


class Parts:
    """A list in parts, each of which is read when an item of it is first asked for."""

    def __init__(self):
        self.parts, self.count = [], 0

    def add(self, count, read):
        self.parts.append((self.count, read))
        self.count += count

    def __len__(self):
        return self.count

    def __getitem__(self, n):
        first, read = next(part for part in reversed(self.parts) if part[0] <= n)
        return read()[n - first]


class State:
    """What a slot leads to: its root and log, or with `sealed` the root that its seal names.

    Leaves, runs, dead lists and chunks are read when they are needed: what is damaged in them costs
    what lies there, and not the state.
    """

    def __init__(self, data, file, size, slot, sealed):
        self.data, self.file, self.size = data, file, size
        slot = struct.unpack("<24x5Q3Q10QQ3QQ48x", slot)
        (self.generation, end), root, (log, log_len, live), seal = slot[:2], slot[2:5], slot[5:8], slot[8:18]
        if sealed:
            self.generation, end, root, log_len = seal[4], seal[0], seal[7:], 0
        check(max(end, log + log_len) <= len(data), "the file is shorter than the state")
        self.records, self.entries, self.attributes, self.pieces, self.killed = Parts(), Parts(), {}, [], set()
        self.leaves, self.references, self.lists, self.base = [], [], [], (0, 0, ())
        self.cursor = gone = open_block = generation = 0
        if any(root):
            c = self.segment(*root, b"VLroot\0\1")
            generation = struct.unpack_from("<Q", c.data, 24)[0]
            total, chunks, gone, _, self.cursor, _, _, fill, sums = c.one("7Q2I")
            entry, counts = c.one("QQIII4x"), c.one("8I")
            open_block, self.base = counts[6], (chunks, fill, (entry, c.list("Q", sums)))
            pages = [self.segment(*page, b"VLpage\0\1") for page in c.list("3Q16x", counts[0])]
            self.leaves = [(p.list("5Q4IQ", 64), p) for p in pages]
            self.leaves.append((c.list("5Q4IQ", counts[1]), Cursor(c.data, c.at)))
            c.bytes(c.one("2I")[1])
            for leaf in sum((leaves for leaves, _ in self.leaves), []):
                read = cache(partial(self.leaf, leaf))
                self.records.add(leaf[5], lambda read=read: read()[0])
                self.entries.add(leaf[6], lambda read=read: read()[1])
            check((len(self.records), len(self.entries)) == (total, chunks), "leaves of the root")
            self.references, self.lists = c.list("4QI4x", counts[2]), c.list("4Q8x", counts[3])
            c.list("3Q", counts[4])  # Log extents: for the writer.
            self.attributes = json.loads(c.bytes(counts[5]))
        at, self.logged = log, len(self.records)
        while at < log + log_len:
            now, first, self.cursor, c, length = self.entry(at)
            check(at + length <= log + log_len, "end of the log")
            check(first == [len(self.records), len(self.entries)], "order of the log")
            check(generation <= now <= self.generation, "generations of the log")
            *counts, keys, attributes, open_block = c.one("8I")
            records, entries, dead, table = self.lists_of(c, *counts)
            c.bytes(keys)
            self.records.add(len(records), lambda records=records: records)
            self.entries.add(len(entries), lambda entries=entries: entries)
            self.killed.update(record for _, record, _, _ in dead)
            if attributes:
                self.attributes = json.loads(c.bytes(attributes - 1))
            for start, size, stored, _ in table:
                c.at = -(-c.at // 8) * 8
                self.pieces.append((len(self.entries), start, size, c.bytes(stored)))
            at, generation = at + length, now
        filled = self.base[1] if open_block and self.base[0] == len(self.entries) else 0
        for _, start, size, _ in (p for p in self.pieces if p[0] == len(self.entries)):
            check(start == filled, "order of the pieces")
            filled += size
        check(not open_block or filled == self.cursor - len(self.entries) * self.size, "open chunk")
        check(self.cursor <= (len(self.entries) + bool(open_block)) * self.size, "end of the records")
        live = seal[5] if sealed else live
        check(len(self.records) - gone - len(self.killed) == live, "number of records")
        # Two commits behind the log: the second was begun after the first was there for all to see.
        self.followed, last = 0, self.generation
        while log and not sealed and (found := self.next(at)) and found[0] > last:
            (last, length), self.followed = found, self.followed + 1
            at += length

    def entry(self, at):
        magic, total, length, now, *first, cursor = struct.unpack_from("<8s6Q", self.data, at)
        body = self.data[at : at + length]
        right = xxh3(body[16:]) ^ identify(self.file, now, at) == total
        check(right and magic == b"VLlog\0\0\1" and len(body) == length > 87, "log entry")
        return now, first, cursor, Cursor(body, 56), length

    def next(self, at):
        try:
            return self.entry(at)[::4]
        except (struct.error, ValueError):
            return None

    @cached_property
    def dead(self):
        lists = [self.segment(*place, b"VLdead\0\1").list("Q", count) for *place, count in self.lists]
        return self.killed.union(n for (n,) in sum(lists, []))

    def segment(self, offset, length, total, magic, copy=0):
        body, place = length - 8 * -(-length // 16392), identify(self.file, offset, length)
        for at in (offset, copy or offset):
            data, table = Cursor(self.data, at).bytes(length)[:body], self.data[at + body : at + length]
            sums = b"".join(struct.pack("<Q", xxh3(data[i : i + 16384])) for i in range(0, body, 16384))
            if (sums, data[:24]) == (table, magic + self.file) and xxh3(table) ^ place == total:
                return Cursor(data, 64)
        check(False, "index page")

    def leaf(self, reference):
        *place, _, _, records, chunks, sums, words, copy = reference
        c = self.segment(*place, b"VLleaf\0\1", copy)
        check(c.one("4I32x") == reference[5:9], "counts of a leaf")
        entries, sums = c.list("QQIII4x", chunks), c.list("Q", sums)
        return packed.records(c.bytes(8 * words), records), [(entry, sums) for entry in entries]

    def lists_of(self, c, records, n_chunks, sums, n_dead, n_pieces):
        """The lists of a log entry up to the keys, which follow."""
        records, entries, sums = c.list("QIIIHBB", records), c.list("QQIII4x", n_chunks), c.list("Q", sums)
        dead, pieces = c.list("2Q2I", n_dead), c.list("4I", n_pieces)
        for i, (start, length, _, key_at, key_len, kind, row) in enumerate(records):
            key = Cursor(c.data, c.at + key_at).bytes(row >> 1 << 16 | key_len)
            records[i] = (start, length, kind, key)
        return records, [(entry, sums) for entry in entries], dead, pieces

    @cache
    def chunk_bytes(self, number):
        if number < len(self.entries):
            return self.chunk(number, *self.entries[number])
        out, (base, fill, chunk) = bytearray(self.size), self.base
        if fill and base == number:
            out[:fill] = self.chunk(number, *chunk)[:fill]
        for _, start, size, piece in (p for p in self.pieces if p[0] == number):
            out[start : start + size] = blosc2.decompress2(piece)[:size]
        return bytes(out)

    def chunk(self, number, entry, sums):
        offset, prefix_sum, cbytes, first, blocks = entry
        chunk = Cursor(self.data, offset).bytes(cbytes)
        nbytes, block, claimed = struct.unpack_from("<3i", chunk, 4)
        check(0 <= nbytes <= self.size and block > 0, "chunk header")
        count, stored = -(-nbytes // block), chunk[2] & 2
        listed = 0 if stored or chunk[31] >> 4 & 7 else count
        starts = struct.unpack_from(f"<{listed}I", chunk, 32)
        starts = starts or [32 + i * block if stored else 32 for i in range(count)]
        prefix = xxh3(chunk[: 32 + 4 * listed]) ^ identify(self.file, number, MASK)
        right = (prefix, claimed, count) == (prefix_sum, cbytes, blocks)
        check(right, "chunk header")
        for i, start in enumerate(starts):
            data = chunk[start : min((s for s in starts if s > start), default=cbytes)]
            check(xxh3(data) ^ identify(self.file, number, i) == sums[first + i][0], "block")
        return blosc2.decompress2(chunk)


def slot_of(slot, file, parity):
    """The generation of a slot, if it is right."""
    generation, total = struct.unpack("<24xQ216xQ", slot)
    right = xxh3(slot[:248]) ^ identify(file, generation, 0) == total
    right = right and slot[:24] == b"VLslot\0\1" + file and generation % 2 == parity
    return generation if right else None


def mark_of(mark, file):
    """The generation that a mark names, if it is right."""
    generation, total = struct.unpack("<2Q", mark)
    return generation if xxh3(mark[:8]) ^ identify(file, generation, 1) == total else None


class Reader:
    """The newest whole state of a file; `older` says that a newer one could not be read."""

    def __init__(self, data):
        magic, version, length, file, total = struct.unpack_from("<8sII16sQ", data, 1024)
        check(magic == b"VLstore\1", "not a vlstore file")
        check(version <= 1, f"format version {version}, newest known is 1")
        text = data[1064 : 1064 + length]
        check(xxh3(data[1024:1056] + text) == total, "configuration")
        self.config, slots, marks, lost, failure = json.loads(text), set(), [], [], ValueError("no whole slot")
        for parity, page in enumerate((data[4096:8192], data[8192:12288])):
            both = [mark_of(page[at : at + 16], file) for at in (256, 2304)]
            marks.append(max((mark for mark in both if mark is not None), default=None))
            found = {(slot_of(page[at : at + 256], file, parity), page[at : at + 256]) for at in (0, 2048)}
            found = {slot for slot in found if slot[0] is not None}
            slots, lost = slots | found, lost if found else [*lost, 1 - parity]
        # The mark in one page says what the other held.
        newest = max([m for m in marks if m is not None] + [generation for generation, _ in slots], default=0)
        unknown = len(lost) > 1 or any(marks[other] is None for other in lost)
        slots = sorted(slots, reverse=True)
        for sealed, (generation, slot) in [(False, s) for s in slots] + [(True, s) for s in slots]:
            try:
                self.state = State(data, file, self.config["chunk_size"], slot, sealed)
                self.older = sealed or unknown or generation < newest or self.state.followed > 1
                return
            except (struct.error, RuntimeError, ValueError, IndexError) as e:
                failure = e
        raise failure

    def bytes_of(self, number):
        start, length, out, size = *self.state.records[number][:2], b"", self.state.size
        check(start + length <= self.state.cursor, "place of a record")
        while len(out) < length:
            chunk, at = divmod(start + len(out), size)
            out += self.state.chunk_bytes(chunk)[at : at + length - len(out)]
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
