"""The names of the original program, from :mod:`vlstore.legacy.serialize.numpy`."""

from vlstore.legacy.serialize.numpy import flatfloatndarray_codec

__all__ = ["flatfloatndarray_codec"]
