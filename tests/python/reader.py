"""Reads a vlstore file as docs/format.md describes it, without the engine.

Needs `blosc2` (to decode single chunks, never to read the frame) and `xxhash`. It is written for
clarity: the file is read whole, every checksum is compared, every chunk decoded once.

    for ordinal, key, data in Reader(open(path, "rb").read()): ...
    Reader(...).get("name")
"""

import json
import struct

import blosc2
import xxhash

MASK = (1 << 64) - 1


class Damaged(Exception):
    """What was read is not what was written."""


def check(right, what):
    if not right:
        raise Damaged(what)


def identify(file, a, b):
    h = 0x9E3779B97F4A7C15
    for word in (*struct.unpack("<2Q", file), a, b):
        x = ((h ^ word) + 0x9E3779B97F4A7C15) & MASK
        x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & MASK
        x = (x ^ x >> 27) * 0x94D049BB133111EB & MASK
        h = x ^ x >> 31
    return h


class State:
    """What one slot, or its seal, leads to."""

    def __init__(self, data, file, config, slot, sealed):
        self.data, self.file, self.size = data, file, config["chunk_size"]
        self.generation, end, *root = struct.unpack_from("<5Q", slot, 24)
        log, log_len = struct.unpack_from("<2Q", slot, 64)
        if sealed:
            end, self.generation = struct.unpack_from("<Q24xQ", slot, 88)
            root, log, log_len = struct.unpack_from("<3Q", slot, 144), 0, 0
        check(end <= len(data) and log + log_len <= len(data), "the file is too short")
        self.records, self.chunks, self.dead, self.runs, self.in_log = [], [], set(), [], {}
        self.cursor = self.open_block = self.fill = 0
        self.attributes, pieces, base = {}, [], None
        self.open = bytearray(self.size)
        first = 0
        if any(root):
            base, first = self.root(root)
        at, generation = log, 0
        while at < log + log_len:
            at, generation = self.entry(at, log + log_len, generation, pieces)
        number = len(self.chunks)
        if self.open_block:
            if base and number == first:
                self.fill = base[-1]
                self.open[: self.fill] = self.chunk(number, *base[:-1])[: self.fill]
            for chunk, start, length, piece in pieces:
                if chunk == number:
                    check(start == self.fill, "pieces")
                    self.fill = start + length
                    self.open[start : self.fill] = blosc2.decompress2(piece)[:length]
            check(self.fill == self.cursor - number * self.size, "open chunk")
        self.chunks = [self.chunk(i, *c) for i, c in enumerate(self.chunks)] + [bytes(self.open)]
        live, total = struct.unpack_from("<Q", slot, 80)[0], struct.unpack_from("<Q", slot, 200)[0]
        counts = (len(self.records) - len(self.dead), len(self.records))
        check(sealed or counts == (live, total), "number of records")

    def segment(self, offset, length, total, magic):
        table = length - 8 * -(-length // 16392)
        check(0 < table and offset + length <= len(self.data), "segment place")
        body, sums = self.data[offset : offset + table], self.data[offset + table : offset + length]
        check(xxhash.xxh3_64_intdigest(sums) ^ identify(self.file, offset, length) == total, "segment")
        pages = b"".join(
            xxhash.xxh3_64_intdigest(body[i : i + 16384]).to_bytes(8, "little") for i in range(0, table, 16384)
        )
        check(pages == sums and body[:8] == magic and body[8:24] == self.file, "index page")
        return body

    def add(self, body, at, records, chunks, sums, keys_at):
        """Adds records and chunks that lie from `at` on in a leaf or log entry."""
        end = at + 24 * records + 32 * chunks
        for i in range(at, at + 24 * records, 24):
            start, length, _, key_at, key_len, kind = struct.unpack_from("<QIIIHB", body, i)
            self.records.append((start, length, kind, body[keys_at + key_at : keys_at + key_at + key_len]))
        for i in range(at + 24 * records, end, 32):
            self.chunks.append((struct.unpack_from("<QQIII", body, i), struct.unpack_from(f"<{sums}Q", body, end)))

    def leaf(self, ref):
        *place, first_record, first_chunk, records, chunks, sums, _ = struct.unpack("<5Q4I", ref)
        check((first_record, first_chunk) == (len(self.records), len(self.chunks)), "leaf order")
        body = self.segment(*place, b"VLleaf\0\1")
        self.add(body, 64, records, chunks, sums, 64 + 24 * records + 32 * chunks + 8 * sums)

    def root(self, place):
        body = self.segment(*place, b"VLroot\0\1")
        _, first, *_, self.cursor, _, _, fill, base_sums = struct.unpack_from("<7Q2I", body, 64)
        entry = struct.unpack_from("<QQIII", body, 128)
        pages, leaves, runs, dead, extents, attributes, self.open_block = struct.unpack_from("<7I", body, 160)
        base = (entry, struct.unpack_from(f"<{base_sums}Q", body, 192), fill) if entry[2] else None
        at = 192 + 8 * base_sums
        for i in range(at, at + 40 * pages, 40):
            page = self.segment(*struct.unpack_from("<3Q", body, i), b"VLpage\0\1")
            for j in range(64, 64 + 256 * 56, 56):
                self.leaf(page[j : j + 56])
        at += 40 * pages
        for i in range(at, at + 56 * leaves, 56):
            self.leaf(body[i : i + 56])
        at += 56 * leaves
        for i in range(at, at + 32 * runs, 32):
            *ref, count = struct.unpack_from("<4Q", body, i)
            self.runs.append((self.segment(*ref, b"VLrun\0\0\1"), count))
        at += 32 * runs
        for i in range(at, at + 32 * dead, 32):
            *ref, count = struct.unpack_from("<4Q", body, i)
            self.dead.update(struct.unpack_from(f"<{count}Q", self.segment(*ref, b"VLdead\0\1"), 64))
        at += 32 * dead + 24 * extents
        self.attributes = json.loads(body[at : at + attributes])
        return base, first

    def entry(self, at, end, generation, pieces):
        magic, total, length, now, *first, self.cursor = struct.unpack_from("<8s6Q", self.data, at)
        check(magic == b"VLlog\0\0\1" and at + length <= end, "log entry")
        e = self.data[at : at + length]
        check(xxhash.xxh3_64_intdigest(e[16:]) ^ identify(self.file, now, at) == total, "log entry")
        check(first == [len(self.records), len(self.chunks)] and generation <= now <= self.generation, "log order")
        records, chunks, sums, dead, count, keys, attributes, self.open_block = struct.unpack_from("<8I", e, 56)
        dead_at = 88 + 24 * records + 32 * chunks + 8 * sums
        table = dead_at + 16 * dead
        piece = table + 16 * count + keys
        self.add(e, 88, records, chunks, sums, table + 16 * count)
        for number in range(first[0], len(self.records)):
            self.in_log[self.records[number][2:]] = number
        self.dead.update(struct.unpack_from("<Q", e, i + 8)[0] for i in range(dead_at, table, 16))
        if attributes:
            self.attributes = json.loads(e[piece : piece + attributes - 1])
        piece += max(attributes - 1, 0)
        for i in range(table, table + 16 * count, 16):
            start, size, stored = struct.unpack_from("<3I", e, i)
            piece = -(-piece // 8) * 8
            pieces.append((len(self.chunks), start, size, e[piece : piece + stored]))
            piece += stored
        return at + length, now

    def chunk(self, number, entry, sums):
        offset, prefix_sum, cbytes, first, blocks = entry
        chunk, tie = self.data[offset : offset + cbytes], lambda b: identify(self.file, number, b)
        nbytes, block_size, claimed = struct.unpack_from("<3i", chunk, 4)
        special, stored, count = chunk[31] >> 4 & 7, chunk[2] & 2, -(-nbytes // block_size)
        prefix = 32 if special or stored else 32 + 4 * count
        check(xxhash.xxh3_64_intdigest(chunk[:prefix]) ^ tie(MASK) == prefix_sum, "chunk header")
        check((claimed, count) == (cbytes, blocks) and nbytes <= self.size, "chunk")
        starts = [32 + i * block_size for i in range(count)] if stored else [32] * count
        if not special and not stored:
            starts = list(struct.unpack_from(f"<{count}I", chunk, 32))
        for i, start in enumerate(starts):
            end = min((s for s in starts if s > start), default=cbytes)
            check(xxhash.xxh3_64_intdigest(chunk[start:end]) ^ tie(i) == sums[first + i], "block")
        return blosc2.decompress2(chunk)


class Reader:
    """The newest whole state of a file."""

    def __init__(self, data):
        magic, version, length, self.file, total = struct.unpack_from("<8sII16sQ", data, 1024)
        check(magic == b"VLstore\1", "not a vlstore file")
        check(version <= 1, f"format version {version}, newest known is 1")
        text = data[1064 : 1064 + length]
        check(xxhash.xxh3_64_intdigest(data[1024:1056] + text) == total, "configuration")
        self.config = json.loads(text)
        slots = [s for s in (data[4096:4352], data[8192:8448]) if self.right(s)]
        slots.sort(key=lambda s: -struct.unpack_from("<Q", s, 24)[0])
        failures = []
        for sealed in (False, True):
            for slot in slots:
                try:
                    self.state = State(data, self.file, self.config, slot, sealed)
                    self.older = bool(failures) or len(slots) < sum(any(data[a : a + 256]) for a in (4096, 8192))
                    return
                except (Damaged, struct.error, RuntimeError, ValueError, IndexError) as e:
                    failures.append(e)
        raise failures[0] if failures else Damaged("neither slot is whole")

    def right(self, slot):
        generation, total = struct.unpack_from("<Q", slot, 24)[0], struct.unpack_from("<Q", slot, 248)[0]
        tie = identify(self.file, generation, 0)
        return slot[:24] == b"VLslot\0\1" + self.file and xxhash.xxh3_64_intdigest(slot[:248]) ^ tie == total

    def bytes_of(self, number):
        start, length, *_ = self.state.records[number]
        check(start + length <= self.state.cursor, "record place")
        out, size = b"", self.state.size
        while len(out) < length:
            chunk, at = divmod(start + len(out), size)
            out += self.state.chunks[chunk][at : at + length - len(out)]
        return out

    def __iter__(self):
        live = (n for n in range(len(self.state.records)) if n not in self.state.dead)
        for ordinal, number in enumerate(live):
            _, _, kind, key = self.state.records[number]
            yield ordinal, key_of(kind, key), self.bytes_of(number)

    def get(self, key):
        kind, raw = bytes_of_key(key)
        number = self.state.in_log.get((kind, raw))
        if number is not None:
            return None if number in self.state.dead else self.bytes_of(number)
        digest, tombstones = xxhash.xxh3_64_intdigest(raw, seed=kind), set(self.state.dead)
        for run, count in reversed(self.state.runs):
            bits = struct.unpack_from("<Q", run, 40)[0]
            first, end = struct.unpack_from("<2I", run, 64 + 12 * count + 4 * (digest >> 64 - bits))
            for high, low, top, bottom in reversed(list(struct.iter_unpack("<IHHI", run[64 + 12 * first : 64 + 12 * end]))):
                number = (top & 0x7FFF) << 32 | bottom
                if (high << 16 | low) != digest >> 16:
                    continue
                if top >> 15:
                    tombstones.add(number)
                elif self.state.records[number][2:] == (kind, raw):
                    return None if number in tombstones else self.bytes_of(number)
        return None


def key_of(kind, raw):
    check(kind <= 4, "key kind")
    return [lambda r: None, bytes.decode, int_of(True), int_of(False), bytes][kind](raw)


def int_of(signed):
    return lambda raw: int.from_bytes(raw, "little", signed=signed)


def bytes_of_key(key):
    if isinstance(key, str):
        return 1, key.encode()
    if isinstance(key, int):
        return (2, key.to_bytes(8, "little", signed=True)) if key < 1 << 63 else (3, key.to_bytes(8, "little"))
    return 4, bytes(key)
