"""Takes the packed records of a leaf apart, as docs/format.md describes them; for `reader.py`."""

import struct

U32, U64 = (1 << 32) - 1, (1 << 64) - 1


def check(right, what="packed records"):
    if not right:
        raise ValueError(f"damaged: {what}")


class Bits:
    """Takes packed numbers and bytes from `data`, one behind the other."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def bytes(self, count):
        self.at += count
        check(self.at <= len(self.data))
        return self.data[self.at - count : self.at]

    def one(self, fmt):
        return struct.unpack("<" + fmt, self.bytes(struct.calcsize("<" + fmt)))

    def packed(self, count, width):
        check(width <= 64)
        bits = int.from_bytes(self.bytes(-(-count * width // 8)), "little")
        return [bits >> i * width & (1 << width) - 1 for i in range(count)]

    def bitmap(self, count):
        bits = int.from_bytes(self.bytes(-(-count // 8)), "little")
        check(not bits >> count)
        return [bits >> i & 1 for i in range(count)]

    def end(self):
        rest = self.data[self.at :]
        check(len(rest) < 8 and not any(rest))


def places(data, n):
    """Start, length, weight and whether it has a row, of each record of a group."""
    c = Bits(data)
    flags, len_bits, weight_bits, gap_bits, start_bits, zero, base, len_min, weight_min = c.one("5B3sQ2I")
    raw, padded, gapped, rows, some_rows = (flags >> bit & 1 for bit in range(5))
    known = flags < 32 and not any(zero) and not (raw and (padded or gapped)) and not (rows and some_rows)
    check(known and max(len_bits, weight_bits) <= 32 and (gapped or not gap_bits))
    starts = c.packed(n if raw else -(-n // 32) - 1, start_bits)
    lengths = [len_min + length for length in c.packed(n, len_bits)]
    later = c.bitmap(n) if gapped else [0] * n
    check(not any(later[::32]) and any(later) == gapped)
    gaps = iter(c.packed(sum(later), gap_bits))
    weights = [weight_min + weight for weight in c.packed(n, weight_bits)]
    has_row = c.bitmap(n) if some_rows else [rows] * n
    c.end()
    if not raw:
        stated, starts = [0, *starts], []
        for i in range(n):
            pad = -lengths[i - 1] % 8 if padded else 0
            near = starts[-1] + lengths[i - 1] + pad + (next(gaps) if later[i] else 0) if i % 32 else 0
            starts.append(near if i % 32 else stated[i // 32])
    starts = [base + start for start in starts]
    check(max(lengths) <= U32 and max(weights) <= U32 and max(starts) <= U64, "a sum overflows")
    return list(zip(starts, lengths, weights, has_row, strict=True))


def front(c, n):
    """Keys of front coding, from the first that stands whole."""
    out, key = [], b""
    for _ in range(n):
        token = c.bytes(1)[0]
        counts = [token >> 4, token & 15]
        for i in (i for i in (0, 1) if counts[i] == 15):
            low, high = c.bytes(1)[0], 0
            if low > 127:
                high = c.bytes(1)[0]
                check(high < 128)
            counts[i] += (low & 127) + (high << 7)
        check(counts[0] <= len(key))
        key = key[: counts[0]] + c.bytes(counts[1])
        check(len(key) <= 4096)
        out.append(key)
    return out


def one_kind(data, n):
    """Kind and bytes of `n` keys of one kind."""
    c = Bits(data)
    way, kind, a, b = c.one("4B")
    check(kind and way in (1, 2, 3, 4), "way of keys")
    if way <= 2:
        base, step = c.one("qq" if way == 1 and kind == 2 else "Qq")
        prefix = c.bytes(c.bytes(1)[0]) if way == 2 else b""
        numbers = [base + step * i + above for i, above in enumerate(c.packed(n, a))]
        if way == 1:
            check(kind in (2, 3) and b == 0)
            return kind, [struct.pack("<q" if kind == 2 else "<Q", number) for number in numbers]
        texts = [str(number).rjust(b, "0") for number in numbers]
        check(all(0 <= number and len(t) <= (b or 18) for number, t in zip(numbers, texts, strict=True)))
        return kind, [prefix + text.encode() for text in texts]
    step, out = (32, []) if way == 3 else (16, [])
    least = c.one("I")[0] if way == 3 else 0
    firsts = [0, *c.packed(-(-n // step) - 1, b)]
    lengths = [least + length for length in c.packed(n, a)]
    start = c.at
    for i, first in enumerate(firsts):
        c.at = start + first
        here = lengths[step * i : step * (i + 1)]
        out += [c.bytes(length) for length in here] if way == 3 else front(c, len(here))
    return kind, out


def keys(data, n):
    """Kind and bytes of the key of each record of a group."""
    if not data:
        return [(0, b"")] * n
    if data[0] != 5:
        kind, out = one_kind(data, n)
        return [(kind, key) for key in out]
    c = Bits(data)
    _, count, a, b = c.one("4B")
    kinds, lengths = c.bytes(count), c.one(f"{count}I")
    classes = c.packed(n, (count - 1).bit_length())
    check(count > 1 and not a | b and sorted(set(kinds)) == list(kinds) and max(classes) < count)
    parts = []
    for i, (kind, length) in enumerate(zip(kinds, lengths, strict=True)):
        part, members = c.bytes(length), classes.count(i)
        found, out = one_kind(part, members) if kind and members else (kind, [b""] * members)
        check(found == kind)
        parts.append(iter(out))
    c.end()
    return [(kinds[i], next(parts[i])) for i in classes]


def records(data, n):
    """Start, length, kind and key of the `n` records of a leaf."""
    groups, out = -(-n // 128), []
    table = [8 * word for word in struct.unpack_from(f"<{2 * (groups + 1)}I", data)] if n else [0, 0]
    begin, begin_keys = table[::2], table[1::2]
    right = begin[0] == 8 * (groups + 1) * (n > 0) and begin[-1] == begin_keys[0]
    check(right and begin_keys[-1] == len(data), "groups")
    for g in range(groups):
        here = min(128, n - 128 * g)
        lists = places(data[begin[g] : begin[g + 1]], here), keys(data[begin_keys[g] : begin_keys[g + 1]], here)
        out += [(*place[:2], *key) for place, key in zip(*lists, strict=True)]
    return out
