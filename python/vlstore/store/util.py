"""The names of the original program, from :mod:`vlstore.legacy.store.util`."""

from vlstore.legacy.store.util import bytewise_memoryview

__all__ = ["bytewise_memoryview"]
