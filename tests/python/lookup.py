"""Finds a record by its key through the runs, as docs/format.md describes it; for `reader.py`."""

import struct

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
    at = -(-(offset + length) // 64) * 64 + 64 * ((digest >> 32) * blocks >> 32)
    bits = data[at + 8 : at + 64]
    places = [(mix(digest >> 16) >> 9 * i & 511) * 7 // 8 for i in range(6)]
    if blocks and struct.unpack_from("<Q", data, at)[0] != xxh3(bits) ^ mix(total ^ at):
        raise ValueError("damaged: filter")
    return not blocks or all(bits[b // 8] >> b % 8 & 1 for b in places)


def find(state, key, shared=False):
    """The number of the record under `key`, or None; of the shared one whose digest `key` is."""
    kind = 5 if shared else 1 if isinstance(key, str) else 4 if isinstance(key, bytes) else 2 + (key >> 63 == 1)
    raw = key.encode() if kind == 1 else key if kind >= 4 else (key & MASK).to_bytes(8, "little")
    digest = xxh3(raw, seed=kind) or 1
    # First the records of the log, the newest first; then the runs, the newest first.
    candidates = list(range(len(state.records) - 1, state.logged - 1, -1))
    for run, reference in reversed(state.runs):
        if not may_hold(state.data, reference, digest):
            continue
        slot = 64 + 12 * reference[3] + 4 * (digest >> 64 - struct.unpack_from("<Q", run, 40)[0])
        first, end = struct.unpack_from("<2I", run, slot)
        entries = struct.iter_unpack("<IHHI", run[64 + 12 * first : 64 + 12 * end])
        for high, low, top, bottom in reversed(list(entries)):
            if high << 16 | low == digest >> 16 and not top >> 15:
                candidates.append((top & 0x7FFF) << 32 | bottom)
    found = next((n for n in candidates if state.records[n][2:] == (kind, raw)), None)
    return None if found in state.dead and not shared else found
