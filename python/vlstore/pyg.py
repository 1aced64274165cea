"""Stores for PyTorch Geometric: batches, frames as ``Data``, and a back end of ``OnDiskDataset``.

Needs ``torch_geometric`` (``pip install vlstore[pyg]``)::

    import vlstore.pyg
    from vlstore.loader import Loader

    for batch in Loader("train.vls", max_atoms=1000, transform=vlstore.pyg.to_batch):
        batch.pos, batch.z, batch.batch, batch.energy       # torch_geometric.data.Batch

``positions`` become ``pos`` and ``types`` become ``z``; other fields keep their names.
"""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

import vlstore
from vlstore._fields import BY_SITE
from vlstore.errors import CodecError, InvalidError, NotFoundError, UnsupportedError
from vlstore.loader._batch import Batch

try:
    import torch
    import torch_geometric.data as pyg
except ImportError as error:
    raise ImportError(
        "vlstore.pyg needs PyTorch Geometric: pip install torch torch_geometric"
    ) from error

__all__ = ["Database", "Frames", "OnDiskDataset", "to_batch"]

#: Names of fields in PyTorch Geometric where they are others.
_NAMES = {"positions": "pos", "types": "z"}


def _tensor(value: Any) -> Any:
    return torch.from_numpy(value) if isinstance(value, np.ndarray) else value


def to_batch(batch: Batch) -> pyg.Batch:
    """A ragged batch of a :class:`vlstore.loader.Loader` as ``torch_geometric.data.Batch``, in one go.

    Use it as ``transform`` of the loader, or call it with a batch of a loader or of a
    :class:`vlstore.torch.Stream`. The tensors share the memory of the batch. Fields of a frame, such as
    ``energy`` (frames,) and ``cell`` (frames, 3, 3), have one entry for each graph. The batch can be taken
    apart again (``batch.to_data_list()``); ``batch.ordinals`` says which records it has.

    Raises :class:`~vlstore.errors.InvalidError` for a padded batch.
    """
    if "ptr" not in batch or "batch" not in batch:
        raise InvalidError("to_batch: is for batches of frames with layout=\"ragged\"")
    values = {_NAMES.get(name, name): _tensor(value) for name, value in batch.items()}
    frames = len(batch["ptr"]) - 1
    made = pyg.Batch(**values)
    each = torch.arange(frames + 1)
    made._num_graphs = frames
    made._slice_dict = {}
    made._inc_dict = {}
    for name in batch.keys() - {"ptr", "batch"}:
        own = _NAMES.get(name, name)
        made._slice_dict[own] = values["ptr"] if name in batch.per_site else each
        made._inc_dict[own] = torch.zeros(frames, dtype=torch.int64)
    if hasattr(batch, "ordinals"):
        made.ordinals = torch.from_numpy(batch.ordinals)
        made._slice_dict["ordinals"] = each
        made._inc_dict["ordinals"] = torch.zeros(frames, dtype=torch.int64)
    return made


class Frames(pyg.Dataset):
    """The frames of a store as ``torch_geometric.data.Data``, by their ordinals.

    Parameters
    ----------
    store : str, os.PathLike or Trajectory
        A store of frames.
    fields : list of str, optional
        Fields that each ``Data`` has; by default those that all frames of a fetched batch have.
    transform, pre_filter : callable, optional
        As of ``torch_geometric.data.Dataset``.

    For any order and sampler of PyTorch Geometric; frames that a ``DataLoader`` wants together are fetched
    together. Batches in the order of a :class:`vlstore.loader.Loader` (:func:`to_batch`) are several times
    faster. The data set pickles, and works in workers.
    """

    def __init__(
        self,
        store: str | os.PathLike[str] | vlstore.Trajectory,
        *,
        fields: Iterable[str] | None = None,
        transform: Any = None,
    ) -> None:
        if isinstance(store, (str, os.PathLike)):
            store = vlstore.open(store)
        if not isinstance(store, vlstore.Trajectory):
            raise InvalidError("store: must be a store of frames (md-frame)")
        self.store = store
        self.fields = None if fields is None else list(fields)
        # Refused here as it would be by the first frame.
        store.at._arrays([], self.fields, None, None, False)
        super().__init__(None, transform)

    def len(self) -> int:
        return len(self.store)

    def get(self, idx: int) -> pyg.Data:
        return self._data([int(idx)])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[pyg.Data]:
        """The frames at ``indices``, fetched together: each block is decoded once."""
        own = self.indices()
        made = self._data([int(own[int(i)]) for i in indices])
        return made if self.transform is None else [self.transform(data) for data in made]

    def _data(self, ordinals: list[int]) -> list[pyg.Data]:
        arrays, by_site = self.store.at._arrays(ordinals, self.fields, None, None, False)
        batch = Batch(arrays)
        batch.per_site = BY_SITE.union(by_site)
        return to_batch(batch).to_data_list()


class Database(pyg.Database):
    """``Data`` objects in a store, as a ``torch_geometric.data.Database``.

    Parameters
    ----------
    path : str or os.PathLike
        The file, made where it is not.
    schema : optional
        As of ``torch_geometric.data.Database``. With a schema a row is kept as names, types, shapes and
        bytes of its tensors. Without one (``object``) it is pickled, as the other back ends do: open such
        files only from people you trust.

    Rows that were inserted are committed by each ``multi_insert``, and by :meth:`close`. Rows that are wanted
    together are read together.
    """

    def __init__(self, path: str | os.PathLike[str], schema: Any = object) -> None:
        super().__init__(schema)
        for name, kind in self.schema.items():
            if getattr(kind, "is_index", False) or getattr(kind, "is_edge_index", False):
                raise UnsupportedError(
                    f"schema: {name!r} is an Index or EdgeIndex; give its dtype and size alone, and make "
                    "it of the tensor"
                )
        self.path = os.fspath(path)
        self._store: Any = None
        self.connect()

    def connect(self) -> None:
        """Open the store for reading, if it is there; it is opened for writing by the first insert."""
        if self._store is None and os.path.exists(self.path):
            self._store = vlstore.open(self.path)

    def close(self) -> None:
        """Commit and close the store."""
        if self._store is not None:
            self._store.close()
            self._store = None

    def _writer(self) -> Any:
        if self._store is None or self._store.mode == "r":
            self.close()
            self._store = vlstore.open(self.path, "a")
        return self._store

    def insert(self, index: int, data: Any) -> None:
        self._writer()[int(index)] = self._pack(data)

    def _multi_insert(self, indices: Any, data_list: Sequence[Any]) -> None:
        if isinstance(indices, torch.Tensor):
            indices = indices.tolist()
        rows = zip(map(int, indices), map(self._pack, data_list), strict=False)
        store = self._writer()
        store.put_many(rows)
        store.commit()

    def get(self, index: int) -> Any:
        return self._multi_get([index])[0]

    def _multi_get(self, indices: Any) -> list[Any]:
        if isinstance(indices, torch.Tensor):
            indices = indices.tolist()
        if self._store is None:
            raise NotFoundError(f"{self.path}: has no rows yet")
        return [self._unpack(row) for row in self._store.get_batch([int(i) for i in indices])]

    def __len__(self) -> int:
        return 0 if self._store is None else len(self._store)

    def _pack(self, data: Any) -> bytes:
        if self.schema == {0: object}:
            return b"P" + pickle.dumps(data, protocol=5)
        row = self._to_dict(data)
        if row.keys() != self.schema.keys():
            odd = ", ".join(sorted(map(str, row.keys() ^ self.schema.keys())))
            raise InvalidError(f"a row has other values than the schema: {odd}")
        head: list[Any] = []
        parts: list[bytes] = []
        for name, value in row.items():
            if isinstance(value, torch.Tensor):
                array = np.ascontiguousarray(value.detach().cpu().numpy())
                head.append([name, array.dtype.str, list(array.shape)])
                parts.append(array.tobytes())
            elif value is None or isinstance(value, (bool, int, float, str)):
                head.append([name, None, value])
            else:
                raise InvalidError(f"{name!r}: a row has tensors, numbers and strings, not {type(value).__name__}")
        text = json.dumps([isinstance(data, dict), isinstance(data, (tuple, list)), head]).encode()
        # The tensors begin at a multiple of 8.
        text += b" " * (-(len(text) + 5) % 8)
        return b"T" + len(text).to_bytes(4, "little") + text + b"".join(parts)

    def _unpack(self, record: bytes) -> Any:
        if record[:1] == b"P" and self.schema == {0: object}:
            return pickle.loads(record[1:])
        if record[:1] != b"T" or self.schema == {0: object}:
            raise CodecError(f"{self.path}: its rows are of another schema, or of another program")
        size = int.from_bytes(record[1:5], "little")
        named, listed, head = json.loads(record[5 : 5 + size])
        at, row = 5 + size, {}
        for name, kind, value in head:
            if kind is not None:
                dtype = np.dtype(kind)
                count = int(np.prod(value, dtype=np.int64))
                array = np.frombuffer(record, dtype, count, at).reshape(value)
                value, at = torch.from_numpy(array.copy()), at + count * dtype.itemsize
            row[name] = value
        if named:
            return row
        return tuple(row.values()) if listed else next(iter(row.values()))


class OnDiskDataset(pyg.OnDiskDataset):
    """``torch_geometric.data.OnDiskDataset`` whose back end is a store: ``backend="vlstore"``, the default.

    Use it as the class it stands for: a subclass says how ``Data`` are made and added
    (:meth:`~torch_geometric.data.OnDiskDataset.extend`), and what is in its ``schema``.
    """

    BACKENDS = {**pyg.OnDiskDataset.BACKENDS, "vlstore": Database}

    def __init__(self, root: str, *args: Any, backend: str = "vlstore", **kwargs: Any) -> None:
        super().__init__(root, *args, backend=backend, **kwargs)
