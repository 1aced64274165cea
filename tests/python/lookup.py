"""Finds a record by its key, by fences and runs, as docs/format.md describes it; for `reader.py`."""

import struct
from bisect import bisect_left, bisect_right
from functools import cache

from xxhash import xxh3_64_intdigest as xxh3

MASK = (1 << 64) - 1


def mix(x):
    x = x + 0x9E3779B97F4A7C15 & MASK
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & MASK
    x = (x ^ x >> 27) * 0x94D049BB133111EB & MASK
    return x ^ x >> 31


def may_hold(data, reference, digest):
    """What the filter behind a run says of a key; the run may do without it."""
    offset, length, total, _, blocks = reference
    kept = digest >> 24
    at = -(-(offset + length) // 64) * 64 + 64 * ((kept >> 8) * blocks >> 32)
    bits = data[at + 8 : at + 64]
    places = [(mix(kept) >> 9 * i & 511) * 7 // 8 for i in range(6)]
    if blocks and struct.unpack_from("<Q", data, at)[0] != xxh3(bits) ^ mix(total ^ at):
        raise ValueError("damaged: filter")
    return not blocks or all(bits[b // 8] >> b % 8 & 1 for b in places)


@cache
def runs(state):
    """The bodies of all runs, the oldest first, with their references."""
    return [(state.segment(*r[:3], b"VLrun\0\0\1").data, r) for r in state.references]


def entry(body, i, t, bits, width, least):
    """Entry `i` of a run, which stands in slot `t`: 40 bits of a hash, a record, whether it is dead."""
    w = 40 - bits + width + 1
    number = int.from_bytes(body[64 + i * w // 8 : 64 + (i + 1) * w // 8 + 1], "little") >> i * w % 8
    dead, record = number & 1, least + (number >> 1 & (1 << width) - 1)
    return t << 40 - bits | number >> width + 1 & (1 << 40 - bits) - 1, record, dead


def entries(run, kept):
    """The entries of a run whose hash agrees with these 40 bits, the greatest record first."""
    least, widths, count = struct.unpack_from("<3Q", run, 40)
    bits, width = widths & 255, widths >> 8
    table = -(-(64 + -(-count * (41 - bits + width) // 8)) // 4) * 4
    slot = kept >> 40 - bits
    first, end = struct.unpack_from("<2I", run, table + 4 * slot)
    found = [entry(run, i, slot, bits, width, least) for i in range(first, end)]
    return [(record, dead) for hash, record, dead in reversed(found) if hash == kept]


def rank(kind, raw):
    """What is compared where keys ascend; None for kinds without an order."""
    if kind in (1, 4):
        return bytes([kind]) + raw
    number = int.from_bytes(raw, "little") + (1 << 63) * (kind == 2) & MASK
    return bytes([kind]) + number.to_bytes(8, "big") if kind in (2, 3) else None


def listed(cursor):
    """A list of fences: first keys, so that their bytes have their order, and first records of leaves."""
    count, length = cursor.one("2I")
    data, at, out = cursor.bytes(length), 0, []
    for _ in range(count):
        record, size = struct.unpack_from("<QB", data, at)
        at += 9 + size
        out.append((data[at - size : at], record))
    check(all(a[0] < b[0] and a[1] < b[1] for a, b in zip(out, out[1:])) and 0 <= len(data) - at < 8)
    return out


def check(right):
    if not right:
        raise ValueError("damaged: fences")


@cache
def fences(state):
    """All fences of a state, and how many records the leaf of each has."""
    *pages, (last, root) = state.leaves
    pages, root = [listed(page) for _, page in pages], listed(root)
    # The root has the first fence of each page, then those of its own leaves; the others stand in the pages.
    firsts = [page[0] for page in pages if page]
    check(root[: len(firsts)] == firsts)
    own = root[len(firsts) :]
    check(all(record in {leaf[3] for leaf in last} for _, record in own))
    found, records = sum(pages, []) + own, {leaf[3]: leaf[5] for leaves, _ in state.leaves for leaf in leaves}
    return [key for key, _ in found], [range(first, first + records[first]) for _, first in found]


@cache
def ranks(state, numbers, kind):
    """Ranks and numbers of the records of a leaf with a fence."""
    found = [(rank(kind, state.records[n][3]), n) for n in numbers if state.records[n][2] == kind]
    check(all(a[0] < b[0] for a, b in zip(found, found[1:])))
    return found


def fenced(state, kind, raw):
    """The record with this key in the leaves that have a fence, or None."""
    wanted, (keys, leaves) = rank(kind, raw), fences(state) if state.leaves else ([], [])
    fence = bisect_right(keys, wanted) - 1 if wanted else -1
    if fence < 0 or keys[fence][0] != kind:
        return None
    found = ranks(state, leaves[fence], kind)
    at = bisect_left(found, wanted, key=lambda f: f[0])
    return found[at][1] if at < len(found) and found[at][0] == wanted else None


def find(state, key, shared=False):
    """The number of the record under `key`, or None; of the shared one whose digest `key` is."""
    kind = 5 if shared else 1 if isinstance(key, str) else 4 if isinstance(key, bytes) else 2 + (key >> 63 == 1)
    raw = key.encode() if kind == 1 else key if kind >= 4 else (key & MASK).to_bytes(8, "little")
    digest = xxh3(raw, seed=kind) or 1
    named = lambda n: n < len(state.records) and state.records[n][2:] == (kind, raw)
    # First the records of the log, the newest first.
    logged = range(len(state.records) - 1, state.logged - 1, -1)
    found = next(filter(named, logged), None)
    if found is None:
        found = fenced(state, kind, raw)
        # Then the runs, the newest first: an entry of an older record ends the search.
        held = (r for r in reversed(runs(state)) if may_hold(state.data, r[1], digest))
        live = (n for run, _ in held for n, dead in entries(run, digest >> 24) if not dead)
        for n in live:
            if found is not None and n < found:
                break
            if named(n):
                found = n
                break
    return None if found in state.dead and not shared else found
