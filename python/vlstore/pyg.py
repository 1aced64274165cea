"""Stores for PyTorch Geometric: batches, frames as ``Data``, and a back end of ``OnDiskDataset``.

Needs ``torch_geometric`` (``pip install ".[pyg]"`` in a clone of the repository)::

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
    """An array of numbers as a tensor, in the same memory if it may be written to; anything else as it is."""
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "biufc":
        return value
    return torch.from_numpy(value if value.flags.writeable else value.copy())


def to_batch(batch: Batch) -> pyg.Batch:
    """A ragged batch of a :class:`vlstore.loader.Loader` as ``torch_geometric.data.Batch``, in one go.

    Use it as ``transform`` of the loader, or call it with a batch of a loader or of a
    :class:`vlstore.torch.Stream`. The tensors share the memory of the batch. Fields of a frame, such as
    ``energy`` (frames,) and ``cell`` (frames, 3, 3), have one entry for each graph. The batch can be taken
    apart again (``batch.to_data_list()``); ``batch.ordinals`` says which records it has, and ``batch.at`` where it is,
    for :meth:`vlstore.torch.Stream.state_dict`.

    A function that is called before it may add edges, and other arrays by their names in PyTorch Geometric:

    * ``edge_index`` (2, edges), integers: numbers of sites as they are in the batch, so those of a frame begin at its
      place in ``ptr``. The edges of a frame lie together, frame after frame, and do not leave it.
    * other arrays of edges, with the edges on the first axis: ``edge_attr``, ``edge_weight``, all whose name begins
      with ``edge_``, and those that are named in ``batch.per_edge``.
    * other numbers of sites, (n, entries): those with ``index`` in their name, and ``face``, as ``edge_index``.

    A ``transform_record`` of the loader adds the arrays of one frame, with ``edge_index`` of its own sites from 0;
    they are joined here. An array by site must be named in ``per_site``. Every other one has an entry for each frame.

    Raises :class:`~vlstore.errors.InvalidError` for a padded batch, and for an array that cannot be divided into
    frames like this.
    """
    if "ptr" not in batch or "batch" not in batch:
        raise InvalidError("to_batch: is for batches of frames with layout=\"ragged\"")
    values = {_NAMES.get(name, name): _tensor(value) for name, value in batch.items()}
    ptr, frames = values["ptr"], len(batch["ptr"]) - 1
    per_edge = {name for name in values if name.startswith("edge_")}.union(getattr(batch, "per_edge", ()))
    _join(values, per_edge, frames)
    each, none = torch.arange(frames + 1), torch.zeros(frames, dtype=torch.int64)
    edges = _divided("edge_index", values["edge_index"], ptr, values["batch"]) if "edge_index" in values else None
    slices: dict[str, Any] = {}
    shifts: dict[str, Any] = {}
    for name in batch.keys() - {"ptr", "batch"}:
        own = _NAMES.get(name, name)
        value = values[own]
        shifts[own] = none
        if own == "edge_index":
            slices[own], shifts[own] = edges, ptr[:-1]
        elif _has_sites(own) and getattr(value, "ndim", 0) == 2:
            slices[own], shifts[own] = _divided(own, value, ptr, values["batch"]), ptr[:-1]
        elif own in per_edge and edges is not None:
            slices[own] = _entries(own, value, edges)
        else:
            slices[own] = _entries(own, value, ptr if name in batch.per_site else each)
    made = pyg.Batch(**values)
    made._num_graphs = frames
    made._slice_dict, made._inc_dict = slices, shifts
    if hasattr(batch, "ordinals"):
        made.ordinals = torch.from_numpy(batch.ordinals)
        slices["ordinals"], shifts["ordinals"] = each, none
    if hasattr(batch, "at"):
        # Not a field: it says where the batch is of, through copies and pickles.
        made.__dict__["at"] = batch.at
    return made


def _has_sites(name: str) -> bool:
    """Whether PyTorch Geometric takes the numbers for those of nodes, and joins them on the last axis."""
    return "index" in name or name == "face"


def _join(values: dict[str, Any], per_edge: set[str], frames: int) -> None:
    """Join what a function for each record has added: an array of edges, or of numbers of sites, for each frame."""
    first = values["ptr"].tolist()
    given = {name for name, value in values.items() if _has_sites(name) and _is_by_frame(value)}
    edges: list[int] | None = None
    if "edge_index" in given:
        edges = [np.shape(part)[-1] for part in values["edge_index"]]
        given |= per_edge & values.keys()
    for name in given:
        parts = [torch.as_tensor(np.asarray(part)) for part in values[name]]
        if len(parts) != frames:
            raise InvalidError(f"to_batch: {name!r} has {len(parts)} arrays for the {frames} frames of the batch")
        if not _has_sites(name):
            if [len(part) for part in parts] != edges:
                raise InvalidError(f"to_batch: {name!r} has not as many entries in each frame as edge_index")
            values[name] = torch.cat(parts) if parts else torch.zeros(0)
            continue
        for start, end, part in zip(first[:-1], first[1:], parts, strict=True):
            if part.numel() and not 0 <= int(part.min()) <= int(part.max()) < end - start:
                raise InvalidError(
                    f"to_batch: {name!r} has numbers that are not those of the {end - start} sites of its frame, from 0"
                )
        parts = [part.long() + start for start, part in zip(first, parts, strict=False)]
        values[name] = torch.cat(parts, -1) if parts else torch.zeros((2, 0), dtype=torch.int64)


def _is_by_frame(value: Any) -> bool:
    # Those of frames with as many edges were stacked.
    if isinstance(value, list):
        return bool(value) and all(getattr(part, "ndim", 0) == 2 for part in value)
    return isinstance(value, torch.Tensor) and value.ndim == 3


def _divided(name: str, value: Any, ptr: Any, batch: Any) -> Any:
    """Where the entries of each frame begin in an array of numbers of sites."""
    if getattr(value, "ndim", 0) != 2 or value.dtype.is_floating_point or value.dtype == torch.bool:
        found = f"{value.dtype} {tuple(value.shape)}" if isinstance(value, torch.Tensor) else type(value).__name__
        raise InvalidError(f"to_batch: {name!r} has numbers of sites, integers (2, edges), not {found}")
    sites = int(ptr[-1])
    if value.numel() and not 0 <= int(value.min()) <= int(value.max()) < sites:
        raise InvalidError(f"to_batch: {name!r} has numbers that are not those of the {sites} sites of the batch")
    of = batch[value.long()]
    if (of != of[:1]).any():
        raise InvalidError(
            f"to_batch: {name!r} joins sites of different frames: its numbers are those of the batch, so a frame's "
            "begin at its place in batch['ptr']"
        )
    if value.shape[0] and (of[0].diff() < 0).any():
        raise InvalidError(f"to_batch: {name!r} must have the entries of each frame together, frame after frame")
    starts = ptr.new_zeros(len(ptr))
    if value.shape[0]:
        torch.cumsum(torch.bincount(of[0], minlength=len(ptr) - 1), 0, out=starts[1:])
    return starts


def _entries(name: str, value: Any, slices: Any) -> Any:
    """The places of the frames in an array, if it has as many entries."""
    wanted = int(slices[-1])
    shape = getattr(value, "shape", None)
    count = len(value) if shape is None and isinstance(value, (list, tuple)) else shape and shape[0]
    if count != wanted:
        found = type(value).__name__ if shape is None else f"of shape {tuple(shape)}"
        raise InvalidError(
            f"to_batch: {name!r}, {found}, cannot be divided into frames: it should have {wanted} entries. An array "
            f"with an entry for each site is named in batch.per_site, as batch.per_site |= {{{name!r}}}; one of edges needs "
            "edge_index, and a name that begins with edge_ or is in batch.per_edge"
        )
    return slices


class Frames(pyg.Dataset):
    """The frames of a store as ``torch_geometric.data.Data``, by their ordinals.

    Parameters
    ----------
    store : str, os.PathLike or Trajectory
        A store of frames.
    fields : list of str, optional
        Fields that each ``Data`` has; by default those that all frames of a fetched batch have.
    transform : callable, optional
        As of ``torch_geometric.data.Dataset``: called with each ``Data`` that is fetched.

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
