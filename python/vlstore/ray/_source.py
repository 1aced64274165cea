"""Stores and data sets as a source of blocks."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from vlstore import _core
from vlstore import arrow as _arrow
from vlstore._open import open as open_store
from vlstore.errors import InvalidError
from vlstore.ray._ray import ray

if TYPE_CHECKING:
    from os import PathLike

#: Bytes of records that a block has at least.
BATCH_BYTES = 4 << 20
#: Bytes of records that a task has at least, unless told otherwise: a task, and the member that it may write, costs some
#: ten milliseconds. From so many tasks on Ray decides.
_TASK_BYTES = 8 << 20
_TASKS = 200
#: Records of which the size of a row is found out.
_SAMPLE = 64


def read_store(
    store: str | PathLike[str] | _core.Store,
    fields: Iterable[str] | None = None,
    *,
    batch_bytes: int = BATCH_BYTES,
    records: Any = "auto",
    **options: Any,
) -> ray.data.Dataset:
    """The records of a store or a data set as a ``ray.data.Dataset``, in their order.

    Parameters
    ----------
    store : str, os.PathLike or Store
        The path of a store or the folder of a data set, or an open one. What is read is what is there when this is
        called; a task raises :class:`~vlstore.errors.ReplacedError` if another store or other members have taken its
        place since.
    fields : iterable of str, optional
        The columns: see :func:`vlstore.arrow.reader`. What is not asked for is not decoded.
    batch_bytes : int
        Decoded bytes of records that a block has at least. Ray joins small blocks.
    records
        As for :func:`vlstore.open`.
    **options
        Arguments of ``ray.data.read_datasource``: ``override_num_blocks`` (how many tasks at most; by default each has
        8 MiB of records or more), ``concurrency``, ``ray_remote_args``.

    Raises
    ------
    InvalidError
        For a field that no record has, records that are no table, and a store that is open for writing.
    """
    source = Source(store, fields, batch_bytes=batch_bytes, records=records)
    tasks = max(1, round(source.estimate_inmemory_data_size() / _TASK_BYTES))
    if tasks < _TASKS and options.get("override_num_blocks") is None:
        options["override_num_blocks"] = tasks
    return ray.data.read_datasource(source, **options)


class Source(ray.data.Datasource):  # type: ignore[misc]
    """What :func:`read_store` reads from, with the same arguments."""

    def __init__(
        self,
        store: str | PathLike[str] | _core.Store,
        fields: Iterable[str] | None = None,
        *,
        batch_bytes: int = BATCH_BYTES,
        records: Any = "auto",
    ) -> None:
        super().__init__()
        if not isinstance(store, _core.Store):
            store = open_store(os.path.abspath(store), records=records)
        if store.mode != "r":
            raise InvalidError("store: open it for reading; tasks cannot see what a writer has not committed")
        self._schema = _arrow.schema(store, fields)
        # All blocks have the columns of this moment, whatever a task finds in its own records.
        self._fields = self._schema.names
        self._batch_bytes = batch_bytes
        self._store = pickle.dumps(store)
        self._length = len(store)
        self._row_bytes = self._size_of_a_row(store)

    def _size_of_a_row(self, store: _core.Store) -> float:
        few = min(self._length, _SAMPLE)
        if few == 0:
            return 0.0
        rows = _arrow.reader(store, self._fields, ordinals=range(few)).read_all()
        return max(rows.nbytes / few, 1.0)

    def get_name(self) -> str:
        return "Store"

    def estimate_inmemory_data_size(self) -> int:
        return int(self._row_bytes * self._length)

    def get_read_tasks(
        self, parallelism: int, per_task_row_limit: int | None = None, data_context: Any = None
    ) -> list[ray.data.ReadTask]:
        tasks = []
        with pickle.loads(self._store) as store:  # noqa: S301 - what this class pickled itself
            parts = _arrow.parts(store, max(parallelism, 1))
        for part in parts:
            # What was put since belongs to no task.
            part = range(part.start, min(part.stop, self._length))
            if not part:
                break
            about = ray.data.block.BlockMetadata(
                num_rows=len(part), size_bytes=int(self._row_bytes * len(part)), input_files=None, exec_stats=None
            )
            read = _Read(self._store, self._fields, self._batch_bytes, part)
            tasks.append(ray.data.ReadTask(read, about, schema=self._schema, per_task_row_limit=per_task_row_limit))
        return tasks


class _Read:
    """Reads the records of one task."""

    def __init__(self, store: bytes, fields: list[str], batch_bytes: int, ordinals: range) -> None:
        self.store, self.fields, self.batch_bytes, self.ordinals = store, fields, batch_bytes, ordinals

    def __call__(self) -> Iterator[Any]:
        import pyarrow

        with pickle.loads(self.store) as store:  # noqa: S301 - what Source pickled itself
            for batch in _arrow.reader(store, self.fields, batch_bytes=self.batch_bytes, ordinals=self.ordinals):
                yield pyarrow.Table.from_batches([batch])
