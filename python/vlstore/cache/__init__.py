"""Results of functions, kept and found again by their arguments.

>>> from vlstore.cache import StorageMemory, cached
>>> @cached(StorageMemory())
... def square(x):
...     return x**2
>>> square(3), square(3), square.info().hits
(9, 9, 1)

Three storages have one interface: :class:`StorageMemory`, :class:`StorageFile` (a store file, shared by
processes) and :class:`StorageHDF5` (the files of ``data-storage``; needs ``pip install 'vlstore[hdf5]'``).
:func:`cached` keeps the results of a function, :func:`interpolated` also evaluates it between stored points.
``docs/cache.md`` is the chapter of the guide.
"""

import importlib

from vlstore.cache._base import StorageBase, StorageInfo
from vlstore.cache._cached import CacheInfo, cached
from vlstore.cache._errors import *  # noqa: F403
from vlstore.cache._errors import __all__ as _errors
from vlstore.cache._file import StorageFile
from vlstore.cache._memory import StorageMemory

__all__ = [
    "CacheInfo",
    "Interpolator",
    "StorageBase",
    "StorageFile",
    "StorageHDF5",
    "StorageInfo",
    "StorageMemory",
    "cached",
    "interpolated",
]
__all__ += _errors

_LATER = {"StorageHDF5": "_hdf5", "Interpolator": "_interpolate", "interpolated": "_interpolate"}


def __getattr__(name):
    if name in _LATER:
        return getattr(importlib.import_module(f"vlstore.cache.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
