"""Stores for Grain: a random-access data source, and batches with a state.

Needs ``grain`` (``pip install ".[grain]"`` in a clone of the repository)::

    import grain, vlstore.grain
    from vlstore.loader import Loader

    batches = vlstore.grain.Batches(Loader("train.vls", batch_size=16, layout="padded", pad_to=64))
    iterator = iter(batches)                       # grain.DatasetIterator: get_state, set_state

    source = vlstore.grain.Source("train.vls", fields=["positions", "energy"])
    frames = grain.MapDataset.source(source).shuffle(seed=1)      # any order and transform of Grain
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any, SupportsIndex

import vlstore
from vlstore._fields import BY_SITE
from vlstore.errors import InvalidError, WrongTypeError
from vlstore.loader import Batch, Loader

try:
    import grain
except ImportError as error:
    raise ImportError("vlstore.grain needs Grain: pip install grain") from error

__all__ = ["Batches", "Source"]


class Source:
    """The records of a store by their ordinals, for ``grain.MapDataset.source`` and ``grain.DataLoader``.

    Parameters
    ----------
    store : str, os.PathLike or Store
        A path, or a store that is open for reading.
    fields : list of str, optional
        Fields of frames; by default those that a frame has.

    A frame is a dict of arrays, another record what the store returns for its key. Records that Grain wants
    together (``batch``) are read together. The source pickles, and works in worker processes.
    """

    def __init__(
        self,
        store: str | os.PathLike[str] | vlstore.Store,
        *,
        fields: Iterable[str] | None = None,
    ) -> None:
        if isinstance(store, (str, os.PathLike)):
            store = vlstore.open(store)
        elif not isinstance(store, vlstore.Store):
            raise WrongTypeError(f"store must be a path or an open store, not {type(store).__name__}")
        self.store = store
        self._frames = isinstance(store, vlstore.Trajectory)
        if fields is not None and not self._frames:
            raise InvalidError("fields: are for a store of frames (md-frame)")
        self.fields = None if fields is None else list(fields)
        if self._frames:
            # Refused here as it would be by the first frame.
            store.at._arrays([], self.fields, None, None, False)

    def __len__(self) -> int:
        return len(self.store)

    def __getitem__(self, record: SupportsIndex) -> Any:
        return self._getitems([record])[0]

    def _getitems(self, records: Sequence[SupportsIndex]) -> Sequence[Any]:
        # Grain's name for reading many at once.
        ordinals = [int(i) for i in records]
        if not self._frames:
            return self.store.at.batch(ordinals)
        arrays, by_site = self.store.at._arrays(ordinals, self.fields, None, None, False)
        ptr = arrays.pop("ptr").tolist()
        del arrays["batch"]
        per_site = BY_SITE.union(by_site)
        return [
            {name: array[a:b] if name in per_site else array[i] for name, array in arrays.items()}
            for i, (a, b) in enumerate(zip(ptr[:-1], ptr[1:], strict=True))
        ]

    def __repr__(self) -> str:
        # Grain compares it when a state is loaded: it says what the source is of.
        fields = "" if self.fields is None else f", fields={self.fields!r}"
        return f"vlstore.grain.Source({self.store.path!r}, records={len(self)}{fields})"


class Batches(grain.IterDataset):
    """The batches of a :class:`vlstore.loader.Loader` as a ``grain.IterDataset``: epoch after epoch.

    Parameters
    ----------
    loader : vlstore.loader.Loader
        What is served; it decodes ahead in a thread of its own, so that Grain needs no worker processes.
    epochs : int, optional
        How many epochs an iterator serves; by default it never ends.

    A batch of frames is a dict of arrays. The state of an iterator is that of the loader: it is small, and
    continues with exactly the records that were not served, also with another number of ranks.
    """

    def __init__(self, loader: Loader, epochs: int | None = None) -> None:
        if not isinstance(loader, Loader):
            raise WrongTypeError(f"loader must be a vlstore.loader.Loader, not {type(loader).__name__}")
        super().__init__()
        self.loader = loader
        self.epochs = epochs

    def __iter__(self) -> _Iterator:
        loader = self.loader.share(rank=self.loader.rank, world=self.loader.world)
        return _Iterator(loader, self.epochs)

    def __repr__(self) -> str:
        return f"vlstore.grain.Batches({self.loader!r})"


class _Iterator(grain.DatasetIterator):
    def __init__(self, loader: Loader, epochs: int | None) -> None:
        super().__init__()
        self._loader, self._epochs = loader, epochs
        self._run: Any = None

    def __next__(self) -> Any:
        empty = False
        while self._epochs is None or self._loader.epoch < self._epochs:
            if self._run is None:
                self._run = iter(self._loader)
            for batch in self._run:
                return dict(batch) if isinstance(batch, Batch) else batch
            # The epoch is over, and the loader is at the next one.
            self._run = None
            if empty:
                break
            empty = True
        raise StopIteration

    def get_state(self) -> dict[str, Any]:
        return self._loader.state_dict()

    def set_state(self, state: dict[str, Any]) -> None:
        self._loader.load_state_dict(state)
        self._run = None

    def __repr__(self) -> str:
        return f"<iterator of {self._loader!r}>"
