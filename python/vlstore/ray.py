"""Stores and data sets in Ray Data: a source of blocks, and a sink that makes a data set.

:func:`read_store` reads a store or a data set into a ``ray.data.Dataset`` whose blocks are tables of Arrow with
the columns that were asked for; each task reads whole chunks, so that none is decoded twice. :func:`sink` is for
``Dataset.write_datasink``: every task writes a member of its own, and the data set appears, in one step, when
all tasks are done. Needs ``ray`` (``pip install 'vlstore[ray]'``). All workers must reach the paths.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import uuid
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from vlstore import _core
from vlstore import arrow as _arrow
from vlstore._maintain import publish
from vlstore._open import open as open_store
from vlstore.errors import InvalidError, StoreExistsError, WrongTypeError

try:
    import ray
    from ray.data import Datasink, Datasource
    from ray.data.block import BlockAccessor, BlockMetadata
    from ray.data.datasource import ReadTask
except ImportError as error:
    raise ImportError("vlstore.ray needs ray: pip install 'vlstore[ray]'") from error

if TYPE_CHECKING:
    from os import PathLike

__all__ = ["Sink", "Source", "read_store", "sink"]

#: The manifest of a data set.
_MANIFEST = "vlstore-dataset.json"


def read_store(
    store: str | PathLike[str] | _core.Store,
    fields: Iterable[str] | None = None,
    *,
    batch_bytes: int = _arrow.BATCH_BYTES,
    records: Any = "auto",
    **options: Any,
) -> ray.data.Dataset:
    """The records of a store or a data set as a ``ray.data.Dataset``.

    Parameters
    ----------
    store : str, os.PathLike or Store
        The path of a store or the folder of a data set, or an open one. What is read is the newest state when
        this is called; every task refuses a store that another one has replaced since.
    fields : iterable of str, optional
        The columns: see :func:`vlstore.arrow.reader`. What is not asked for is not decoded.
    batch_bytes : int
        Decoded bytes of records that a block has at least.
    records
        As for :func:`vlstore.open`.
    **options
        Arguments of ``ray.data.read_datasource``: ``override_num_blocks``, ``concurrency``,
        ``ray_remote_args``.
    """
    source = Source(store, fields, batch_bytes=batch_bytes, records=records)
    return ray.data.read_datasource(source, **options)


class Source(Datasource):  # type: ignore[misc]
    """What :func:`read_store` reads from, with the same arguments."""

    def __init__(
        self,
        store: str | PathLike[str] | _core.Store,
        fields: Iterable[str] | None = None,
        *,
        batch_bytes: int = _arrow.BATCH_BYTES,
        records: Any = "auto",
    ) -> None:
        super().__init__()
        if not isinstance(store, _core.Store):
            store = open_store(os.path.abspath(store), records=records)
        if store.mode != "r":
            raise InvalidError("store: open it for reading; tasks cannot see what a writer has not committed")
        self._fields = None if fields is None else list(fields)
        self._schema = _arrow.schema(store, self._fields)
        # All blocks have the columns of this moment, whatever a task finds in its own records.
        self._fields = self._schema.names
        self._batch_bytes = batch_bytes
        self._store = pickle.dumps(store)
        self._length = len(store)
        info = store.info()
        self._bytes = info["raw_bytes"]
        self._ends = store._batch_end

    def get_name(self) -> str:
        return "Store"

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k != "_ends"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._ends = pickle.loads(self._store)._batch_end  # noqa: S301 - what this class pickled itself

    def estimate_inmemory_data_size(self) -> int | None:
        return int(self._bytes)

    def get_read_tasks(
        self, parallelism: int, per_task_row_limit: int | None = None, data_context: Any = None
    ) -> list[ReadTask]:
        tasks = []
        for start, stop in self._parts(max(parallelism, 1)):
            share = int(self._bytes * (stop - start) / max(self._length, 1))
            about = BlockMetadata(num_rows=stop - start, size_bytes=share, input_files=None, exec_stats=None)
            read = _Read(self._store, self._fields, self._batch_bytes, start, stop)
            tasks.append(ReadTask(read, about, schema=self._schema, per_task_row_limit=per_task_row_limit))
        return tasks

    def _parts(self, count: int) -> Iterator[tuple[int, int]]:
        """Ranges of about equally many records, cut where a chunk ends."""
        start = 0
        for i in range(1, count + 1):
            wanted = self._length * i // count
            if wanted <= start:
                continue
            stop = self._length if wanted == self._length else self._ends(wanted - 1, 0)
            yield start, stop
            start = stop


class _Read:
    """Reads the records of one task."""

    def __init__(self, store: bytes, fields: Any, batch_bytes: int, start: int, stop: int) -> None:
        self.args = (store, fields, batch_bytes, start, stop)

    def __call__(self) -> Iterator[Any]:
        import pyarrow

        store, fields, batch_bytes, start, stop = self.args
        with pickle.loads(store) as opened:  # noqa: S301 - what Source pickled itself
            part = range(start, stop)
            for batch in _arrow.reader(opened, fields, batch_bytes=batch_bytes, ordinals=part):
                yield pyarrow.Table.from_batches([batch])


def sink(
    folder: str | PathLike[str],
    *,
    mode: str = "x",
    records: str | None = None,
    key: str | None = "key",
    value: str | None = None,
    columns: dict[str, str] | None = None,
    **options: Any,
) -> Sink:
    """Where ``Dataset.write_datasink`` writes a data set: each task a member of its own.

    The manifest is published, in one step, when all tasks are done. A task that was killed or failed is run
    again by Ray and writes another file; what it left is removed at the end, and was never a member. If the job
    fails, the folder is as it was.

    Parameters
    ----------
    folder : str or os.PathLike
        The folder of the data set, made if there is none.
    mode : {"x", "a"}
        ``"x"``: there must be no data set. ``"a"``: the members are added to the one that is there.
    records, key, value, columns, **options
        What the records are made of: see :func:`vlstore.arrow.from_arrow`.
    """
    return Sink(
        folder, mode=mode, records=records, key=key, value=value, columns=columns, options=options
    )


class Sink(Datasink):  # type: ignore[misc]
    """What :func:`sink` returns."""

    def __init__(
        self,
        folder: str | PathLike[str],
        *,
        mode: str,
        records: str | None,
        key: str | None,
        value: str | None,
        columns: dict[str, str] | None,
        options: dict[str, Any],
    ) -> None:
        if mode not in ("x", "a"):
            raise InvalidError(f'mode: {mode!r} is not "x" (new) or "a" (add members)')
        try:
            self._folder = os.path.abspath(os.fspath(folder))
        except TypeError:
            raise WrongTypeError(f"folder is a path, not {type(folder).__name__}") from None
        self._mode = mode
        self._rows: dict[str, Any] = {"records": records, "key": key, "value": value, "columns": columns}
        self._options = options
        self._job = uuid.uuid4().hex[:12]
        self._made = False
        self._refuse()

    def _refuse(self) -> None:
        manifest = os.path.join(self._folder, _MANIFEST)
        if self._mode == "x" and os.path.lexists(manifest):
            raise StoreExistsError(f'{self._folder} is a data set already; mode="a" adds members')
        if os.path.lexists(self._folder) and not os.path.isdir(self._folder):
            raise StoreExistsError(f"{self._folder} exists already and is not a folder")

    def get_name(self) -> str:
        return "DataSet"

    def on_write_start(self, schema: Any = None) -> None:
        self._refuse()
        self._made = not os.path.isdir(self._folder)
        os.makedirs(self._folder, exist_ok=True)

    def write(self, blocks: Iterable[Any], ctx: Any) -> tuple[int, str] | None:
        """Writes the blocks of one task to a store of its own; returns its place and its name."""
        import pyarrow

        # No two tries of a task have the same name.
        name = f"part-{ctx.task_idx:05}-{self._job}-{uuid.uuid4().hex[:8]}.vls"
        path = os.path.join(self._folder, f".{name}")
        store = None
        try:
            for block in blocks:
                table = BlockAccessor.for_block(block).to_arrow()
                if table.num_rows == 0:
                    continue
                if store is None:
                    rows = _arrow._Rows(table.schema, *self._rows.values())
                    store = open_store(path, "x", records=rows.records, **self._options)
                source = pyarrow.RecordBatchReader.from_batches(table.schema, table.to_batches())
                rows.put(store, source)
            if store is None:
                return None
            store.close()
        except BaseException:
            if store is not None:
                store.close()
                os.unlink(path)
            raise
        return ctx.task_idx, name

    def on_write_complete(self, write_result: Any) -> None:
        done = sorted(item for item in write_result.write_returns if item is not None)
        names = [name for _, name in done]
        for name in names:
            os.rename(os.path.join(self._folder, f".{name}"), os.path.join(self._folder, name))
        if names:
            publish(self._folder, names, known=0 if self._mode == "x" else None)
        self._clear(set(names))

    def on_write_failed(self, error: Exception) -> None:
        self._clear(set())
        if self._made and not os.listdir(self._folder):
            os.rmdir(self._folder)

    def _clear(self, kept: set[str]) -> None:
        """Removes what tries of this job left that became no member."""
        for name in os.listdir(self._folder):
            if f"-{self._job}-" in name and name not in kept:
                # What cannot be removed is no member, and does no harm.
                with contextlib.suppress(OSError):
                    os.unlink(os.path.join(self._folder, name))
