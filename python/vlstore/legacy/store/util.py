"""Bytes of objects, under the name that the original program has for it."""

from vlstore.legacy.store._types import bytewise_memoryview

__all__ = ["bytewise_memoryview"]
