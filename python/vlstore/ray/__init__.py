"""Stores and data sets in Ray Data: a source of blocks, and a sink that makes a data set.

:func:`read_store` reads a store or a data set into a ``ray.data.Dataset`` whose blocks are tables of Arrow with the
columns that were asked for; each task reads whole chunks, so that none is decoded twice. :func:`sink` is for
``Dataset.write_datasink``: every task writes a member of its own, and the data set appears, in one step, when all tasks
are done. All workers must reach the paths. Needs ``ray`` (``pip install 'vlstore[ray]'``).
"""

from vlstore.ray._sink import Sink, sink
from vlstore.ray._source import Source, read_store

__all__ = ["Sink", "Source", "read_store", "sink"]
