"""The names of the original program, from :mod:`vlstore.legacy.serialize._types`."""

from vlstore.legacy.serialize._types import Codec, Packer, Unpacker

__all__ = ["Codec", "Packer", "Unpacker"]
