"""Time series by id, in one file or in memory.

>>> from vlstore.series import FileStorageManager
>>> with FileStorageManager("series.vls") as manager:
...     stored = manager.store("heat", ([0.0, 0.5, 2.0], [20.5, 21.0, 24.5]))
...     manager.append("heat", ([2.5], [25.0]))
...     manager.size("heat"), manager.get("heat").mean()
4
(4, 22.75)
"""

from vlstore.series._interface import (
    SizedContainerTimeSeriesInterface,
    StorageManagerInterface,
)
from vlstore.series._io import from_csv, to_arrow, to_csv
from vlstore.series._lazy import Aggregates, Lazy
from vlstore.series._manager import (
    FileStorageManager,
    FolderImport,
    MemoryStorageManager,
    new_id,
)
from vlstore.series._stored import SMTimeSeries
from vlstore.series._timeseries import TimeSeries

__all__ = [
    "Aggregates",
    "FileStorageManager",
    "FolderImport",
    "Lazy",
    "MemoryStorageManager",
    "SMTimeSeries",
    "SizedContainerTimeSeriesInterface",
    "StorageManagerInterface",
    "TimeSeries",
    "from_csv",
    "new_id",
    "to_arrow",
    "to_csv",
]
