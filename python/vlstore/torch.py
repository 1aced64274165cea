"""Stores as PyTorch data sets: ``vlstore.torch.Dataset`` and ``vlstore.torch.collate``.

Needs ``torch`` (``pip install vlstore[torch]``)::

    from torch.utils.data import DataLoader
    import vlstore.torch

    dataset = vlstore.torch.Dataset("train.vls", fields=["positions", "forces", "types"])
    loader = DataLoader(
        dataset, batch_size=32, shuffle=True, num_workers=4, collate_fn=vlstore.torch.collate
    )
    for batch in loader:
        batch["positions"], batch["batch"], batch["ptr"]

A batch of 32 frames with ``s`` sites in all has ``positions`` (s, 3), ``types`` (s,), ``energy``
(32,), ``cell`` (32, 3, 3), ``batch`` (s,), the frame of each site, and ``ptr`` (33,), where the
sites of each frame begin. The tensors share the memory into which the store decoded.
"""

import operator
import os

import vlstore
from vlstore.errors import InvalidError, OrdinalError, WrongTypeError

try:
    import torch
except ImportError as error:
    raise ImportError("vlstore.torch needs PyTorch: pip install torch") from error

__all__ = ["Dataset", "collate"]

#: Fields that have an entry for each site.
_BY_SITE = ("positions", "velocities", "forces", "types", "masses", "charges")
#: Fields that have one entry for a frame.
_BY_FRAME = ("cell", "pbc", "energy", "stress", "step", "time")


class Flat(dict):
    """A batch that was never cut into samples; :func:`collate` passes it on."""


class Dataset(torch.utils.data.Dataset):
    """The records of a store by their ordinals, for a ``DataLoader``.

    Parameters
    ----------
    store : str, os.PathLike, Store or Depot
        A path is opened with the codec that the file names. A store that is open for writing
        is seen as of its last commit, by path.
    fields : list of str, optional
        Fields of a frame that a sample has, extra properties too; by default all that every
        frame of a fetched batch has, which may differ from batch to batch: name them.
    transform : callable, optional
        Called with each sample, its result is the sample. Must be picklable for workers that
        are spawned: a function at the top of a module, or an object.
    indices : sequence of int, optional
        The ordinals of the data set, for example of a training split; by default all.
    flat : bool
        Fetch whole batches as flat tensors and never cut them into samples: the fastest way
        from frames to a model. Not with ``transform``; needs :func:`collate`.

    A sample of a store of frames is a dict of tensors, of an array store a tensor, else what
    the codec decodes to. The data set pickles, and works in workers under ``fork``, ``spawn`` and
    ``forkserver``, also after it was read from in the parent.
    """

    def __init__(self, store, *, fields=None, transform=None, indices=None, flat=False):
        if isinstance(store, (str, os.PathLike)):
            store = vlstore.open(store, records="auto")
        elif not isinstance(store, vlstore.Store):
            kind = type(store).__name__
            raise WrongTypeError(f"store is a path or an open store, not {kind} ({store!r:.40})")
        elif store.mode != "r":
            if store.path is None:
                raise InvalidError("a store in memory: give vlstore.from_bytes(store.to_bytes())")
            codec = store.codec
            store = vlstore.open(store.path, records="auto" if codec is None else codec)
        self.store = store
        self._frames = store.codec == "md-frame"
        if (fields is not None or flat) and not self._frames:
            raise InvalidError("fields and flat are for a store of frames (md-frame)")
        if flat and transform is not None:
            raise InvalidError("flat and transform exclude each other: flat makes no samples")
        self.fields = None if fields is None else list(fields)
        self.transform = transform
        self.flat = flat
        self.indices = None if indices is None else torch.as_tensor(indices).to(torch.int64)
        if self.indices is not None and self.indices.ndim != 1:
            raise InvalidError("indices is one row of ordinals")

    def __len__(self):
        return len(self.store) if self.indices is None else len(self.indices)

    def _ordinals(self, asked):
        asked = [operator.index(i) for i in asked]
        if self.indices is None:
            return asked
        length = len(self.indices)
        for i in asked:
            if not -length <= i < length:
                raise OrdinalError(f"no record at ordinal {i}: the data set has {length} records")
        return self.indices[asked].numpy()

    def __getitem__(self, index):
        # A flat data set is cut here, too: one index asks for one sample.
        return self._samples(self._ordinals([index]))[0]

    def __getitems__(self, indices):
        """The samples at ``indices``, fetched together: each block is decoded once."""
        ordinals = self._ordinals(indices)
        if self.flat:
            arrays = self.store.at.arrays(ordinals, self.fields)
            return Flat((name, torch.from_numpy(array)) for name, array in arrays.items())
        return self._samples(ordinals)

    def _samples(self, ordinals):
        if self._frames:
            samples = self._cut(self.store.at.arrays(ordinals, self.fields))
        else:
            samples = [_own(value) for value in self.store.at.batch(ordinals)]
        if self.transform is not None:
            samples = [self.transform(sample) for sample in samples]
        return samples

    def _cut(self, arrays):
        ptr = arrays.pop("ptr").tolist()
        sites = len(arrays.pop("batch"))
        frames = len(ptr) - 1
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        per_site = {
            name: name in _BY_SITE
            or (name not in _BY_FRAME and sites != frames and len(tensor) == sites)
            for name, tensor in tensors.items()
        }
        return [
            {
                name: tensor[start:end] if per_site[name] else tensor[i]
                for name, tensor in tensors.items()
            }
            for i, (start, end) in enumerate(zip(ptr[:-1], ptr[1:], strict=True))
        ]

    def __repr__(self):
        return f"<vlstore.torch.Dataset of {len(self)} from {self.store!r}>"


def _own(value):
    # The arrays of a store are read-only views, which torch does not know.
    if hasattr(value, "__array_interface__"):
        return torch.from_numpy(value.copy())
    return value


def collate(samples):
    """One batch of samples of different sizes, for ``DataLoader(collate_fn=...)``.

    Dicts of tensors become one dict: fields by site are concatenated, the others stacked,
    what is no tensor becomes a list; ``ptr`` (frames + 1,) and ``batch`` (sites,), both int64,
    say which site belongs to which frame. Tensors of different lengths become a dict with
    ``values``, ``ptr`` and ``batch``. Anything else goes to PyTorch's own collate.
    """
    if isinstance(samples, Flat):
        return dict(samples)
    first = samples[0]
    if isinstance(first, torch.Tensor) and first.ndim > 0:
        counts = [len(sample) for sample in samples]
        return {"values": torch.cat(list(samples)), **_places(counts)}
    if not isinstance(first, dict):
        return torch.utils.data.default_collate(samples)
    for sample in samples:
        if sample.keys() != first.keys():
            odd = ", ".join(sorted(map(str, sample.keys() ^ first.keys())))
            raise InvalidError(f"the samples of a batch differ in their fields: {odd}")
    by_site = next((name for name in _BY_SITE if isinstance(first.get(name), torch.Tensor)), None)
    counts = None if by_site is None else [len(sample[by_site]) for sample in samples]
    batch = {name: _joined(name, [s[name] for s in samples], counts) for name in first}
    return batch if counts is None else {**batch, **_places(counts)}


def _joined(name, values, counts):
    if not all(isinstance(value, torch.Tensor) for value in values):
        if all(isinstance(value, (bool, int, float)) for value in values):
            return torch.tensor(values)
        return values
    if name in _BY_SITE or (name not in _BY_FRAME and _is_by_site(values, counts)):
        return torch.cat(values)
    return torch.stack(values)


def _is_by_site(values, counts):
    if counts is None:
        return False
    return all(v.ndim > 0 and len(v) == n for v, n in zip(values, counts, strict=True))


def _places(counts):
    counts = torch.tensor(counts, dtype=torch.int64)
    ptr = torch.zeros(len(counts) + 1, dtype=torch.int64)
    torch.cumsum(counts, 0, out=ptr[1:])
    return {"ptr": ptr, "batch": torch.repeat_interleave(torch.arange(len(counts)), counts)}
