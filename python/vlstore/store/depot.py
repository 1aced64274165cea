"""The names of the original program, from :mod:`vlstore.legacy.store.depot`."""

from vlstore.legacy.store.depot import Depot

__all__ = ["Depot"]
