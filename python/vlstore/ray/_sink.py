"""A data set as the place where a job writes its rows."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from vlstore import _core
from vlstore._open import open as open_store
from vlstore.arrow._rows import _Rows
from vlstore.errors import InvalidError, StoreExistsError, WrongTypeError
from vlstore.ray._plain import plain
from vlstore.ray._ray import ray

if TYPE_CHECKING:
    from os import PathLike

#: The manifest of a data set.
_MANIFEST = "vlstore-dataset.json"


def sink(
    folder: str | PathLike[str],
    *,
    mode: str = "x",
    records: str | None = None,
    key: str | None = "key",
    value: str | None = None,
    columns: dict[str, str] | None = None,
    min_rows: int | None = None,
    **options: Any,
) -> Sink:
    """Where ``Dataset.write_datasink`` writes a data set: each task a member of its own.

    Tasks write into a folder of the job, ``part-…``, inside ``folder``. The manifest is published, in one step, when all
    tasks are done. A task that was killed or failed is run again by Ray and writes another file; what it left is removed
    at the end and was never a member. If the job fails, the data set is as it was. A job whose own process is killed
    leaves its folder ``part-…``, which is in no manifest and can be deleted.

    Members are in the order of the tasks, which is that of the rows where the rows have one: behind ``sort``, and
    elsewhere with ``ray.data.DataContext.get_current().execution_options.preserve_order = True``.

    Parameters
    ----------
    folder : str or os.PathLike
        The folder of the data set, made if there is none.
    mode : {"x", "a"}
        ``"x"``: there must be no data set. ``"a"``: the members are put behind those of the one that is there.
    records, key, value, columns
        What the records are made of: see :func:`vlstore.from_arrow`. Here a column without a name of a field is left out,
        too.
    min_rows : int, optional
        Records that a member has at least, if there are as many; by default the rows of one block of Ray, up to
        128 MiB.
    **options
        ``purpose``, ``compression``, ``level`` and other options of :func:`vlstore.open` for the members.

    Raises
    ------
    StoreExistsError
        If there is a data set, with ``mode="x"``; also from ``write_datasink``, if one came meanwhile
        (:class:`~vlstore.errors.ConflictError`).
    """
    rows = {"records": records, "key": key, "value": value, "columns": columns}
    return Sink(folder, mode=mode, rows=rows, min_rows=min_rows, options=options)


class Sink(ray.data.Datasink):  # type: ignore[misc]
    """What :func:`sink` returns: for one job."""

    def __init__(
        self,
        folder: str | PathLike[str],
        *,
        mode: str,
        rows: dict[str, Any],
        min_rows: int | None,
        options: dict[str, Any],
    ) -> None:
        if mode not in ("x", "a"):
            raise InvalidError(f'mode: {mode!r} is not "x" (new) or "a" (add members)')
        try:
            self._folder = os.path.abspath(os.fspath(folder))
        except TypeError:
            raise WrongTypeError(f"folder is a path, not {type(folder).__name__}") from None
        self._mode, self._rows, self._options, self._min_rows = mode, rows, options, min_rows
        self._part = f"part-{uuid.uuid4().hex[:12]}"
        self._made = self._published = False
        self._refuse()

    def _refuse(self) -> None:
        if self._mode == "x" and os.path.lexists(os.path.join(self._folder, _MANIFEST)):
            raise StoreExistsError(f'{self._folder} is a data set already; mode="a" adds members')
        if os.path.lexists(self._folder) and not os.path.isdir(self._folder):
            raise StoreExistsError(f"{self._folder} exists already and is not a folder")

    def get_name(self) -> str:
        return "DataSet"

    @property
    def min_rows_per_write(self) -> int | None:
        return self._min_rows

    def on_write_start(self, schema: Any = None) -> None:
        self._refuse()
        self._made = not os.path.isdir(self._folder)
        os.makedirs(os.path.join(self._folder, self._part))

    def write(self, blocks: Iterable[Any], ctx: Any) -> tuple[int, str] | None:
        """Writes the blocks of one task to a store of its own; returns its place and what a manifest says of it."""
        # No two tries of a task have the same name.
        name = f"{self._part}/{ctx.task_idx:06}-{uuid.uuid4().hex[:8]}.vls"
        tables = _tables(blocks)
        first = next(tables, None)
        if first is None:
            return None
        rows = _Rows(first.schema, **self._rows)
        path = os.path.join(self._folder, name)
        try:
            with open_store(path, "x", records=rows.records, **self._options) as store:
                rows.put(store, first.to_batches())
                for table in tables:
                    # The tables of one task can have their columns in another order.
                    _Rows(table.schema, **{**self._rows, "records": rows.records}).put(store, table.to_batches())
            return ctx.task_idx, _core._describe(self._folder, name)
        except BaseException:
            if os.path.lexists(path):
                os.unlink(path)
            raise

    def on_write_complete(self, write_result: Any) -> None:
        done = sorted(item for item in write_result.write_returns if item is not None)
        described = [text for _, text in done]
        _core._publish_described(self._folder, described, 0 if self._mode == "x" else None)
        self._published = True
        members = {json.loads(text)["members"][0]["name"] for text in described}
        # What tries of tasks left; what cannot be removed does no harm.
        with contextlib.suppress(OSError):
            part = os.path.join(self._folder, self._part)
            for name in os.listdir(part):
                if f"{self._part}/{name}" not in members:
                    os.unlink(os.path.join(part, name))
            if not members:
                os.rmdir(part)

    def on_write_failed(self, error: Exception) -> None:
        # Ray calls this, too, if something failed behind the publication.
        if self._published:
            return
        shutil.rmtree(os.path.join(self._folder, self._part), ignore_errors=True)
        if self._made:
            with contextlib.suppress(OSError):
                os.rmdir(self._folder)


def _tables(blocks: Iterable[Any]) -> Iterator[Any]:
    for block in blocks:
        table = ray.data.block.BlockAccessor.for_block(block).to_arrow()
        if table.num_rows:
            yield plain(table)
