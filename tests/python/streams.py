"""Decodes a Blosc2 chunk as docs/format.md describes it, without Blosc2.

BloscLZ and LZ4 streams are decoded here, zlib streams by the standard library. Zstd streams are left to
their own standard: `decode` takes the function that decodes one.
"""

import struct
import zlib


def lz4(data, size):
    out, at = bytearray(), 0
    while True:
        token = data[at]
        literals, at = lengthened(data, at + 1, token >> 4, 15)
        out += data[at : at + literals]
        at += literals
        if at == len(data):
            break
        offset = data[at] | data[at + 1] << 8
        length, at = lengthened(data, at + 2, token & 15, 15)
        copy(out, offset, length + 4)
    assert len(out) == size
    return bytes(out)


def blosclz(data, size):
    out, at = bytearray(), 1
    head = data[0] & 31
    while True:
        if head < 32:
            out += data[at : at + head + 1]
            at += head + 1
        else:
            far = head & 31
            length, at = lengthened(data, at, head >> 5, 7)
            near = data[at]
            at += 1
            offset = (far << 8) + near + 1
            if far == 31 and near == 255:
                offset = (data[at] << 8 | data[at + 1]) + 8192
                at += 2
            copy(out, offset, length + 2)
        if at == len(data):
            break
        head = data[at]
        at += 1
    assert len(out) == size
    return bytes(out)


def lengthened(data, at, length, full):
    """`length`, and if it is `full` the bytes from `at` on up to the first that is not 255; and where they end."""
    while length >= full:
        byte, at = data[at], at + 1
        length += byte
        if byte < 255:
            break
    return length, at


def copy(out, offset, length):
    """Appends `length` bytes from `offset` before the end, one after the other: they may overlap."""
    assert 0 < offset <= len(out)
    for _ in range(length):
        out.append(out[-offset])


STREAMS = {0: blosclz, 1: lz4, 3: lambda data, size: zlib.decompress(data)}


def stream(data, size, decoder):
    """One stream of a block and what follows it."""
    (length,), rest = struct.unpack("<i", data[:4]), data[4:]
    if length == 0:
        return bytes(size), rest
    if length < 0:
        assert -255 <= length and rest[0] & 1
        return bytes([-length]) * size, rest[1:]
    content = rest[:length]
    return content if length == size else decoder(content, size), rest[length:]


def unshuffle(block, width):
    count = len(block) // width
    out = bytearray(block)
    for byte in range(width):
        out[byte : count * width : width] = block[byte * count : (byte + 1) * count]
    return bytes(out)


def bit_unshuffle(block, width):
    count = len(block) // width // 8 * 8
    out = bytearray(count * width)
    for row in range(8 * width):
        byte, bit = divmod(row, 8)
        for i in range(count):
            if block[row * count // 8 + i // 8] >> i % 8 & 1:
                out[i * width + byte] |= 1 << bit
    return bytes(out) + block[count * width :]


def decode(chunk, zstd):
    """The bytes of a chunk with a header of 32 bytes."""
    flags, width = chunk[2], chunk[3]
    size, block_size, _ = struct.unpack_from("<3i", chunk, 4)
    special = chunk[31] >> 4 & 7
    if special == 1:
        return bytes(size)
    if special == 2:
        return struct.pack("<d" if width == 8 else "<f", float("nan")) * (size // width)
    if special == 3:
        return chunk[32 : 32 + width] * (size // width)
    if flags & 2:
        return chunk[32 : 32 + size]
    decoder = STREAMS.get(flags >> 5, zstd)
    blocks = -(-size // block_size)
    starts = struct.unpack_from(f"<{blocks}i", chunk, 32)
    out = b""
    for i, start in enumerate(starts):
        length = min(block_size, size - i * block_size)
        split = not flags & 16 and length == block_size
        rest, block = chunk[start:], b""
        for _ in range(width if split else 1):
            part, rest = stream(rest, length // (width if split else 1), decoder)
            block += part
        undo = {0: lambda b, w: b, 1: unshuffle, 2: bit_unshuffle}[max(chunk[16:22])]
        out += undo(block, width)
    return out
