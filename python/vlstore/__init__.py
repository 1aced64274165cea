"""A compressed store for variable-length records.

The file of a store is at every moment a valid Blosc2 frame and an append-only log with
atomic commits.
"""

from vlstore._core import __version__

__all__ = ["__version__"]
