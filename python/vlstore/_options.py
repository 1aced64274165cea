"""The words that options take, for type checkers."""

from typing import Literal, TypedDict

Mode = Literal["r", "a", "w", "x"]
Purpose = Literal["balanced", "dense", "random"]
Compression = Literal["zstd", "lz4", "lz4hc", "zlib", "blosclz", "stored"]
Filter = Literal["shuffle", "bitshuffle", "none"]
Alignment = Literal["block", "no_cross", "contiguous", "start"]
OriginalTable = Literal["auto", "always", "never"]
FrameForm = Literal["table", "lean"]
Durability = Literal["kernel", "sync", "none"]
Access = Literal["auto", "map", "pread"]


class Options(TypedDict, total=False):
    """The options of :func:`vlstore.open`."""

    purpose: Purpose | None
    compression: Compression | None
    level: int | None
    filter: Filter | None
    typesize: int | None
    chunk_size: int | None
    block_size: int | None
    alignment: Alignment | None
    original_table: OriginalTable | None
    frames: FrameForm | None
    threads: int | None
    durability: Durability | None
    commit_bytes: int | None
    commit_interval: float | None
    cache_bytes: int | None
    access: Access | None
    accept_older: bool
