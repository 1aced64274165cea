"""Stores as PyTorch data sets: ``vlstore.torch.Stream``, ``vlstore.torch.Dataset`` and ``vlstore.torch.collate``.

Needs ``torch`` (``pip install ".[torch]"`` in a clone of the repository)::

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

from __future__ import annotations

import contextlib
import json
import multiprocessing
import operator
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal, SupportsIndex

import numpy as np

import vlstore
from vlstore._fields import BY_SITE
from vlstore.errors import InvalidError, OrdinalError, UnsupportedError, WrongTypeError
from vlstore.loader import Batch, Loader, Records

try:
    import torch
except ImportError as error:
    raise ImportError("vlstore.torch needs PyTorch: pip install torch") from error

__all__ = ["Dataset", "Sample", "Stream", "TensorBatch", "collate"]

#: The store of the process group; and by what was asked for the orders that were compared there, with why they are refused.
_COMPARED: tuple[Any, dict[str, dict[str, str | None]]] = (None, {})

#: What loaders of the same records may differ in though they were asked for the same.
_FOUND = ("group", "window", "blocks", "lanes")


def _agree(loader: Loader) -> None:
    """Refuse a loader whose order is not that of the loaders of other ranks that were asked for the same.

    Nobody waits for all: the first rank leaves its order in the store of the process group, the others compare theirs.
    """
    global _COMPARED
    group, rank = torch.distributed.distributed_c10d._get_default_store(), torch.distributed.get_rank()
    if group is None:
        return  # Groups of MPI have none.
    if _COMPARED[0] is not group:
        _COMPARED = (group, {})
    place = ("epoch", "round", "batch", "data", "last")
    state = {name: value for name, value in loader.state_dict().items() if name not in place}
    found = {name: state.pop(name) for name in _FOUND if name in state}
    asked, order = json.dumps(state, sort_keys=True), loader.order_id
    compared = _COMPARED[1].setdefault(asked, {})
    if order not in compared:
        # Of several loaders that were asked for the same each rank has as many.
        name = f"vlstore: order {len(compared)} of {asked}"
        compared[order] = None
        if group.add(f"{name}, asked", 1) == 1:
            group.set(name, json.dumps([rank, order, found]))
        else:
            compared[order] = _differs(rank, order, found, *json.loads(group.get(name)))
    if (why := compared[order]) is not None:
        raise InvalidError(f"loader: records would be lost and others come twice: {why}")


def _differs(
    rank: int, order: str, found: dict[str, Any], other: int, theirs: str, there: dict[str, Any]
) -> str | None:
    """In what two ranks differ, and what to do; nothing if their order is the same."""
    if order == theirs:
        return None
    names = [name for name in _FOUND if found.get(name) != there.get(name)]
    if not names:
        return (
            f"the records of rank {rank} are not chosen as those of rank {other}: give the loaders of all ranks the "
            "same records=, made with the same seed"
        )
    ours, others = (", ".join(f"{name} {one.get(name)}" for name in names) for one in (found, there))
    return (
        f"the order of rank {rank} ({ours}) is not that of rank {other} ({others}). Without group= it depends on the "
        "blocks of the file, and on whether it is far away: give the loaders of all ranks the same group= and window="
    )


#: Bytes of a batch that travels between processes as they are.
_SMALL = 4 << 20


def _is_plain(value: Any) -> bool:
    """Whether a value is the same after NumPy had it, or is no tensor."""
    if not isinstance(value, torch.Tensor):
        return True
    plain = value.device.type == "cpu" and value.layout == torch.strided and not value.requires_grad
    return plain and value.dtype != torch.bfloat16


def _tensor(value: Any) -> Any:
    """An array of numbers as a tensor, in the same memory if it may be written to; anything else as it is."""
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "biufc":
        return value
    return torch.from_numpy(value if value.flags.writeable else value.copy())


def _to_tensors(records: Records) -> None:
    """Put tensors in the place of the arrays of a list."""
    for i, value in enumerate(records):
        # The arrays of a store are views of their record.
        if hasattr(value, "__array_interface__"):
            records[i] = _tensor(np.array(value))


def _batch(values: dict[str, Any], rest: dict[str, Any]) -> TensorBatch:
    """A batch that travelled as arrays."""
    new = TensorBatch((name, _tensor(value)) for name, value in values.items())
    new.__dict__.update(rest)
    return new


class TensorBatch(Batch):
    """A batch of frames as tensors: a :class:`vlstore.loader.Batch` that moves between devices."""

    def _each(self, change: Callable[[torch.Tensor], torch.Tensor]) -> TensorBatch:
        new = TensorBatch(
            (name, change(value) if isinstance(value, torch.Tensor) else value)
            for name, value in self.items()
        )
        new.__dict__.update(self.__dict__)
        return new

    def __copy__(self) -> TensorBatch:
        # A DataLoader copies each batch: not by way of arrays, which takes as long as to load it.
        return self._each(lambda tensor: tensor)

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        # PyTorch sends a tensor from a worker as a piece of shared memory, which costs more than the bytes
        # of a small one.
        small = sum(value.nbytes for value in self.values() if isinstance(value, torch.Tensor)) <= _SMALL
        if small and all(map(_is_plain, self.values())):
            values = {
                name: value.numpy() if isinstance(value, torch.Tensor) else value
                for name, value in self.items()
            }
            return _batch, (values, self.__dict__)
        return super().__reduce_ex__(protocol)

    def to(self, *args: Any, **kwargs: Any) -> TensorBatch:
        """The batch with each tensor as :meth:`torch.Tensor.to` returns it: on another device."""
        return self._each(lambda tensor: tensor.to(*args, **kwargs))

    def pin_memory(self) -> TensorBatch:
        """The batch in pinned memory, from which it is copied to a GPU while the CPU goes on."""
        return self._each(torch.Tensor.pin_memory)


class _Told:
    """What a stream was told last, in memory that it shares with the worker processes that copies of it are in.

    Workers that live for several epochs (``persistent_workers``) look here where an iteration begins. All that is
    told has a number, so that they know what is new. It pickles to spawned workers as a tensor does.
    """

    def __init__(self, room: int) -> None:
        # A number, the length of the text, the number behind that of the last iteration that ended, and whether it
        # was said that an epoch comes again; then the text.
        self._memory = torch.zeros(4 + room // 8 + 1, dtype=torch.int64)
        # Without shared memory there may be no workers either.
        with contextlib.suppress(RuntimeError, OSError):
            self._memory.share_memory_()
        self._process = os.getpid()

    @property
    def own(self) -> bool:
        """Whether it is that of this process, and not of one that this was copied from."""
        return self._memory.is_shared() and self._process == os.getpid()

    @property
    def heard(self) -> bool:
        """Whether it is that of the process that made this one."""
        parent = multiprocessing.parent_process()
        return self._memory.is_shared() and parent is not None and self._process == parent.pid

    @property
    def number(self) -> int:
        return int(self._memory[0])

    def tell(self, state: dict[str, Any] | None, epoch: int | None) -> None:
        """Let workers load ``state`` and go to ``epoch``."""
        text = np.frombuffer(json.dumps([state, epoch]).encode(), np.uint8)
        room = self._memory.numpy()[4:].view(np.uint8)
        if len(text) > len(room):
            raise InvalidError("state: is longer than a state of this loader, and has no room in the memory of workers")
        room[: len(text)] = text
        self._memory[1] = len(text)
        self._memory[0] += 1

    def hear(self) -> tuple[dict[str, Any] | None, int | None]:
        text = self._memory.numpy()[4:].view(np.uint8)[: int(self._memory[1])]
        state, epoch = json.loads(text.tobytes())
        return state, epoch

    def end(self, number: int) -> None:
        """An iteration has ended that began when ``number`` was told."""
        self._memory[2] = number + 1

    def ended(self, number: int) -> bool:
        return int(self._memory[2]) == number + 1

    def warn(self, text: str) -> None:
        """Warn, but of all workers and epochs once."""
        if not self._memory[3]:
            self._memory[3] = 1
            warnings.warn(text, RuntimeWarning, stacklevel=4)


def _turn_of(state: Any) -> tuple[Any, tuple[int, int]]:
    """A state as the loader takes it, and which worker has the step at its place, of how many."""
    if not isinstance(state, dict) or "turn" not in state:
        return state, (0, 1)
    place = {name: value for name, value in state.items() if name not in ("turn", "workers")}
    turn, workers = state["turn"], state.get("workers")
    if not (isinstance(turn, int) and isinstance(workers, int) and 0 <= turn < workers):
        raise InvalidError(f"state: there is no worker {turn!r} of {workers!r}")
    return place, (turn, workers)


def _failed(error: Exception) -> Iterator[Any]:
    """An iteration that raises where it begins."""
    raise error
    yield


class Stream(torch.utils.data.IterableDataset[Any]):
    """The batches of a :class:`vlstore.loader.Loader` as tensors, for ``DataLoader(stream, batch_size=None)``.

    Parameters
    ----------
    loader : vlstore.loader.Loader
        What is served: a batch of frames is a :class:`TensorBatch`, whose tensors share the memory into
        which the loader decoded. A batch of arrays is a list of tensors, and other lists, and what a ``transform``
        of the loader returns in place of its batch, stay as they are.
    pin_memory : bool
        Serve batches in pinned memory, for ``batch.to("cuda", non_blocking=True)``. Without worker processes:
        where there are some, it is ``DataLoader(stream, batch_size=None, pin_memory=True)``.

    The loader decodes in a thread of its own, so that ``num_workers=0`` is the fastest. In a process group of
    ``torch.distributed`` rank and world are taken from it, unless the loader has them.

    With ``num_workers=n`` each worker loads every n-th batch. The process that trains does not see how far its workers
    are. So there:

    * call :meth:`set_epoch` before each iteration, as for a ``DistributedSampler``. It reaches workers that were
      started before, too (``persistent_workers=True``), and so does :meth:`load_state_dict`. Without it the same epoch
      comes again, and a worker warns of that; a rest of an epoch that was served is not served again, but an error.
    * the state is that of a batch: ``stream.state_dict(batch)``. A ``StatefulDataLoader`` of torchdata keeps states of
      its own, which go on with the same number of workers.
    * all ranks of a process group need the same ``num_workers``. The order depends on it, and a rank does not know that
      of another: with different ones records are lost and others come twice, without an error. With ``lanes=`` of the
      loader the order is fixed, and each rank may have another number of workers.

    In a process group the order of each rank is compared with that of the first: copies of a store that are divided
    into other groups would lose records. Raises :class:`~vlstore.errors.InvalidError` then, here or where an
    iteration begins; see :attr:`vlstore.loader.Loader.order_id`.

    Raises :class:`~vlstore.errors.UnsupportedError` for ``pin_memory`` where PyTorch finds no GPU.
    """

    def __init__(self, loader: Loader, *, pin_memory: bool = False) -> None:
        if not isinstance(loader, Loader):
            kind = type(loader).__name__
            raise WrongTypeError(f"loader must be a vlstore.loader.Loader, not {kind} ({loader!r:.40})")
        if pin_memory and not torch.cuda.is_available():
            raise UnsupportedError("pin_memory: PyTorch finds no CUDA GPU here, for which memory is pinned")
        self.loader = loader
        self.pin_memory = pin_memory
        #: The part of the loader that is served in this process, until it is told to go elsewhere.
        self._serving: Loader | None = None
        #: Which worker has the step at the place of the loader, and of how many; the same behind the last batch.
        self._turn, self._now = (0, 1), 0
        #: The state that was loaded last.
        self._loaded: dict[str, Any] | None = None
        self._told, self._heard = self._memory(), 0
        #: Of a worker: whether it had an iteration, and where the next one begins if it was told so itself.
        self._began = False
        self._given: tuple[Loader, tuple[int, int]] | None = None
        self._compare()

    def _memory(self) -> _Told:
        # States of one loader differ in a few numbers.
        return _Told(len(json.dumps(self.loader.state_dict())) + 1024)

    def _compare(self) -> None:
        """Compare the order with that of the other ranks, if this is one of several; not in a worker process."""
        alone = not (torch.distributed.is_available() and torch.distributed.is_initialized())
        if alone or torch.utils.data.get_worker_info() is not None:
            return
        if self.loader.world in (1, torch.distributed.get_world_size()):
            _agree(self.loader)

    def _rank(self) -> tuple[int, int]:
        """The number of this process among those that train together, and how many these are."""
        together = torch.distributed.is_available() and torch.distributed.is_initialized()
        if self.loader.world == 1 and together:
            return torch.distributed.get_rank(), torch.distributed.get_world_size()
        return self.loader.rank, self.loader.world

    def _next(self) -> tuple[Loader, tuple[int, int]]:
        """Where the next iteration begins, and whose turn it is there."""
        return (self.loader, self._turn) if self._given is None else self._given

    def _part(self) -> Loader:
        """The loader for this process; the same one where no other divides it."""
        worker = torch.utils.data.get_worker_info()
        rank, world = self._rank()
        workers = 1 if worker is None else worker.num_workers
        loader, (turn, of) = self._next()
        if turn and of != workers:
            raise InvalidError(
                f"state: is that of one of {of} workers, and here are {workers if worker else 'none'}: to change their "
                "number use the state of a batch, stream.state_dict(batch)"
            )
        if worker is None and (rank, world) == (loader.rank, loader.world):
            return loader
        # That of a worker stays at the place that was told.
        number = 0 if worker is None else (worker.id - turn) % workers
        return loader.share(rank=rank, world=world, worker=number, workers=workers)

    def __iter__(self) -> Iterator[Any]:
        worker = torch.utils.data.get_worker_info()
        if self.pin_memory and worker is not None:
            raise InvalidError(
                "pin_memory: a worker process has no GPU; give it to the loader of the workers: "
                "DataLoader(stream, batch_size=None, pin_memory=True)"
            )
        self._compare()
        self._serving = None
        if worker is not None:
            # Now, not by the first batch: later the stream may be told where the next iteration begins.
            try:
                self._hear(worker.id)
                self._serving, self._now = self._part(), self._next()[1][0]
                self._given = None
            except Exception as error:
                # PyTorch loses what a persistent worker raises before its first batch.
                return _failed(error)
        return self._batches(worker)

    def _batches(self, worker: Any) -> Iterator[Any]:
        number = self._heard
        part = self._part() if self._serving is None else self._serving
        for batch in part:
            if isinstance(batch, Batch):
                batch = _batch(batch, batch.__dict__)
            elif isinstance(batch, Records):
                _to_tensors(batch)
            if self.pin_memory and hasattr(batch, "pin_memory"):
                batch = batch.pin_memory()
            self._serving = part
            self._now = 0 if worker is None else (worker.id + 1) % worker.num_workers
            yield batch
        self._now = 0
        if worker is not None:
            self._serving = part
            # A state of an epoch before the one that was told is no iteration of that.
            if worker.id == 0 and part.epoch > self.loader.epoch:
                self._told.end(number)
            return
        self._serving = None
        # Unless it was told meanwhile where to go on.
        if number == self._heard:
            if part is not self.loader:
                self.loader.set_epoch(part.epoch)
            self._tell(part.epoch)

    def _hear(self, number: int) -> None:
        """Go, in a worker, where the process that trains was told to."""
        # What it was told before the worker was started is in the copy of the stream.
        again, self._began = self._began, True
        if again and not self._told.heard:
            raise InvalidError(
                "persistent_workers: the stream is a copy from another process, and its workers cannot hear what it is "
                "told: make the Stream in the process that makes the DataLoader"
            )
        if again and self._heard != self._told.number:
            self._heard = self._told.number
            state, epoch = self._told.hear()
            if state is not None:
                self._load(state)
            if epoch is not None:
                self._go(epoch)
        # All workers begin with the same epoch, so that one looks at it.
        elif number == 0 and self._given is None and self._told.heard and self._told.ended(self._heard):
            self._warn()

    def _warn(self) -> None:
        """Say that what is served was served."""
        # Where an iteration begins, and not where one is that runs in the process that trains.
        place = self.loader.share(rank=self.loader.rank, world=self.loader.world).state_dict()
        epoch = place["epoch"]
        if place["round"] or place["batch"]:
            raise InvalidError(
                f"epoch {epoch} was served to its end, and worker processes do not go on to the next one by "
                f"themselves: call stream.set_epoch({epoch + 1}) before the next iteration"
            )
        # Other epochs would be the same.
        if place["shuffle"] == "sequential" and "mixture" not in place:
            return
        self._told.warn(
            f"worker processes serve epoch {epoch} again, in the same order: call stream.set_epoch(epoch) before each "
            "iteration"
        )

    def _tell(self, epoch: int | None) -> None:
        """Let the workers know."""
        if not self._told.own:
            self._told = self._memory()
        self._told.tell(self._loaded, epoch)
        self._heard = self._told.number

    def _go(self, epoch: int) -> None:
        self.loader.set_epoch(epoch)
        self._turn, self._serving = (0, 1), None

    def _load(self, state: dict[str, Any]) -> None:
        place, turn = _turn_of(state)
        self.loader.load_state_dict(place)
        self._turn, self._serving = turn, None

    def _give(self) -> Loader:
        """Another loader, at the same place, for the next iteration of a worker alone."""
        loader = self.loader.share(rank=self.loader.rank, world=self.loader.world)
        self._given, self._serving = (loader, (0, 1)), None
        return loader

    def set_epoch(self, epoch: int) -> None:
        """Let the next iteration be that of ``epoch``, from its beginning; also in workers that were started before."""
        if torch.utils.data.get_worker_info() is not None:
            self._give().set_epoch(epoch)
            return
        self._go(epoch)
        self._tell(self.loader.epoch)

    def state_dict(self, batch: Any = None) -> dict[str, Any]:
        """Where the iteration is; see :meth:`vlstore.loader.Loader.state_dict`.

        Without ``batch`` it is the place of the iteration in this process. In a worker process the state says of which
        worker it is, and goes on with as many of them.
        """
        if batch is not None:
            if not hasattr(batch, "at"):
                raise WrongTypeError(
                    f"batch: a {type(batch).__name__} does not say where it is: let the transform of the loader return "
                    "the batch that it was given, or give what it returns the attribute at of that batch"
                )
            return self.loader.state_dict(batch)
        serving = self._serving
        state = (self._part() if serving is None else serving).state_dict()
        worker = torch.utils.data.get_worker_info()
        if worker is not None and worker.num_workers > 1:
            state |= {"turn": self._next()[1][0] if serving is None else self._now, "workers": worker.num_workers}
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Let the next iteration go on behind ``state``; see :meth:`vlstore.loader.Loader.load_state_dict`.

        Raises :class:`~vlstore.errors.InvalidError`, where the iteration begins, for the state of a worker process if
        another number of workers is to go on.
        """
        if torch.utils.data.get_worker_info() is not None:
            place, turn = _turn_of(state)
            loader = self._give()
            loader.load_state_dict(place)
            self._given = loader, turn
            return
        self._load(state)
        # What somebody added to the state needs no room.
        known = {"turn", "workers", *self.loader.state_dict()}
        self._loaded = {name: value for name, value in state.items() if name in known}
        self._tell(None)

    @property
    def epoch(self) -> int:
        """The number of the epoch that is served in this process, or comes next."""
        return (self._serving or self.loader).epoch

    @property
    def progress(self) -> float:
        """How much of the epoch was served in this process, 0 to 1."""
        return (self._serving or self.loader).progress

    def __len__(self) -> int:
        """Number of batches in a whole epoch, for this rank.

        Raises :class:`TypeError` with a cap or buckets, where it changes from one epoch to the next and with the number
        of workers: who takes it for that of all epochs would leave out batches. ``len(stream.loader)`` is that of the
        epoch that comes next, of a loader without workers.
        """
        place = self.loader.state_dict()
        if place["batch_cost"] is not None or "buckets" in place:
            raise WrongTypeError(
                "the number of batches changes from epoch to epoch with a cap or buckets; that of the epoch that comes "
                "next is len(stream.loader), without workers"
            )
        rank, world = self._rank()
        if (rank, world) == (self.loader.rank, self.loader.world):
            return len(self.loader)
        return len(self.loader.share(rank=rank, world=world))

    def __bool__(self) -> bool:
        """A stream is true, whatever its length."""
        return True

    def __getstate__(self) -> dict[str, Any]:
        # The copy begins where this one would begin, whatever is served here.
        return {**self.__dict__, "_serving": None, "_now": 0, "_began": False, "_given": None}

    def __repr__(self) -> str:
        pinned = ", in pinned memory" if self.pin_memory else ""
        return f"<vlstore.torch.Stream of {self.loader!r}{pinned}>"


class Sample(dict[str, Any]):
    """One frame: its fields by name.

    ``per_site`` is the set of the names of fields with an entry for each site, which
    :func:`collate` concatenates. It starts with the standard ones and the atom properties among
    the fields; a transform that adds such a field adds its name::

        sample["displacement"] = sample["positions"] - reference
        sample.per_site.add("displacement")
    """

    def __init__(self, fields: Any = (), per_site: Iterable[str] = BY_SITE) -> None:
        super().__init__(fields)
        self.per_site = set(per_site)


class Flat(dict[str, Any]):
    """A batch that was never cut into samples; :func:`collate` passes it on."""

    def __missing__(self, name: Any) -> Any:
        # What another collate function takes for a list of samples.
        if isinstance(name, int):
            raise InvalidError("flat=True needs DataLoader(..., collate_fn=vlstore.torch.collate)")
        raise KeyError(name)


class Dataset(torch.utils.data.Dataset[Any]):
    """The records of a store by their ordinals, for a ``DataLoader``.

    Parameters
    ----------
    store : str, os.PathLike, Store or Depot
        A path is opened with the codec that the file names. A store that is open for writing
        is seen as of its last commit, by path.
    fields : list of str, optional
        Fields of a frame that a sample has, extra properties too. By default the standard
        fields (positions, velocities, forces, types, masses, charges, cell, pbc, energy,
        stress, step, time) that every frame of a fetched batch has, without extra properties.
        These may differ from batch to batch: name them.
    transform : callable, optional
        Called with each sample, its result is the sample; see :class:`Sample` for what is per
        site in it. Must be picklable for workers that
        are spawned: a function at the top of a module, or an object.
    indices : sequence of int, optional
        The ordinals of the data set, for example of a training split; by default all. No mask.
    missing, fill_value, mask
        What a frame without one of the fields is: see :meth:`vlstore.Trajectory.get_arrays`. With
        ``missing="fill"`` all batches of ``fields`` have the same tensors; ``mask=True`` adds
        ``<field>_mask``, (frames,), bool, to a batch, and a bool to a sample.
    flat : bool
        Fetch whole batches as flat tensors and never cut them into samples: the fastest way
        from frames to a model. Not with ``transform``; needs :func:`collate`.

    A sample of a store of frames is a :class:`Sample`, a dict of tensors, of an array store a
    tensor, else what the codec decodes to. The data set pickles, and works in workers under
    ``fork``, ``spawn`` and ``forkserver``, also after it was read from in the parent.
    """

    def __init__(
        self,
        store: str | os.PathLike[str] | vlstore.Store,
        *,
        fields: Iterable[str] | None = None,
        transform: Callable[[Any], Any] | None = None,
        indices: Iterable[SupportsIndex] | torch.Tensor | None = None,
        flat: bool = False,
        missing: Literal["error", "fill"] | None = None,
        fill_value: float | dict[str, float] | None = None,
        mask: bool = False,
    ) -> None:
        if isinstance(store, (str, os.PathLike)):
            store = vlstore.open(store)
        elif not isinstance(store, vlstore.Store):
            kind = type(store).__name__
            raise WrongTypeError(f"store must be a path or an open store, not {kind} ({store!r:.40})")
        elif store.mode != "r":
            if store.path is None:
                raise InvalidError("a store in memory: give vlstore.from_bytes(store.to_bytes())")
            codec = store.codec
            store = vlstore.open(store.path, records="bytes" if codec is None else codec)
        self.store = store
        self._frames = isinstance(store, vlstore.Trajectory)
        filling = missing is not None or fill_value is not None or mask
        if (fields is not None or flat or filling) and not self._frames:
            raise InvalidError(
                "fields, flat, missing, fill_value and mask are for a store of frames (md-frame)"
            )
        if flat and transform is not None:
            raise InvalidError("flat and transform exclude each other: flat makes no samples")
        if fields is not None:
            if isinstance(fields, Iterable) and not isinstance(fields, (str, bytes)):
                fields = list(fields)
        self._how = (missing, fill_value, bool(mask))
        if self._frames:
            # Refused here as it would be by the first batch.
            store.at._arrays([], fields, *self._how)
        self.fields = fields
        self.transform = transform
        self.flat = flat
        self.indices = None if indices is None else _row(indices)

    def __len__(self) -> int:
        return len(self.store) if self.indices is None else len(self.indices)

    def _ordinals(self, indices: Iterable[SupportsIndex]) -> Any:
        asked = [_integer(i) for i in indices]
        if self.indices is None:
            return asked
        length = len(self.indices)
        for i in asked:
            if not -length <= i < length:
                raise OrdinalError(f"no record at ordinal {i}: the data set has {length} records")
        return self.indices[asked].numpy()

    def __getitem__(self, index: SupportsIndex) -> Any:
        if isinstance(index, slice):
            raise WrongTypeError(
                f"an ordinal must be an integer, not slice ({index!r}): a part of a data set is "
                "Dataset(store, indices=...) or torch.utils.data.Subset"
            )
        # A flat data set is cut here, too: one index asks for one sample.
        return self._samples(self._ordinals([index]))[0]

    def __getitems__(self, indices: Iterable[SupportsIndex]) -> Any:
        """The samples at ``indices``, fetched together: each block is decoded once."""
        ordinals = self._ordinals(indices)
        if self.flat:
            arrays, _ = self.store.at._arrays(ordinals, self.fields, *self._how)
            return Flat((name, torch.from_numpy(array)) for name, array in arrays.items())
        return self._samples(ordinals)

    def _samples(self, ordinals: Any) -> list[Any]:
        if self._frames:
            samples = self._cut(*self.store.at._arrays(ordinals, self.fields, *self._how))
        else:
            samples = [_own(value) for value in self.store.at.batch(ordinals)]
        if self.transform is not None:
            samples = [_kept(sample, self.transform(sample)) for sample in samples]
        return samples

    def _cut(self, arrays: dict[str, Any], by_site: list[str]) -> list[Any]:
        ptr = arrays.pop("ptr").tolist()
        del arrays["batch"]
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        per_site = {*BY_SITE, *by_site}
        return [
            Sample(
                (
                    (name, tensor[start:end] if name in per_site else tensor[i])
                    for name, tensor in tensors.items()
                ),
                per_site,
            )
            for i, (start, end) in enumerate(zip(ptr[:-1], ptr[1:], strict=True))
        ]

    def __repr__(self) -> str:
        size = "" if self.store.closed else f" of {len(self)}"
        return f"<vlstore.torch.Dataset{size} from {self.store!r}>"


def _integer(value: Any) -> int:
    """``value`` as an ordinal, refused as ``store.at`` refuses it."""
    # A tensor of a bool counts as an integer elsewhere.
    if not isinstance(value, bool) and getattr(value, "dtype", None) != torch.bool:
        try:
            return operator.index(value)
        except TypeError:
            pass
    shown = "None" if value is None else f"{type(value).__name__} ({value!r:.40})"
    raise WrongTypeError(f"an ordinal must be an integer, not {shown}")


def _row(indices: Any) -> torch.Tensor:
    """The ordinals of a data set, refused as ``store.at`` refuses them."""
    if isinstance(indices, torch.Tensor):
        indices = indices.detach().cpu().numpy()
    if not isinstance(indices, np.ndarray):
        if not isinstance(indices, Iterable):
            shown = f"{type(indices).__name__} ({indices!r:.40})"
            raise WrongTypeError(f"ordinals must be a sequence of integers, not {shown}")
        indices = np.array([_integer(i) for i in indices], object)
    elif indices.dtype.kind not in "iu":
        raise WrongTypeError(f"ordinals must be integers, not an array of {indices.dtype}")
    if indices.ndim != 1:
        raise InvalidError("indices must be one row of ordinals")
    bounds = np.iinfo(np.int64)
    if len(indices) and not bounds.min <= int(indices.min()) <= int(indices.max()) <= bounds.max:
        raise InvalidError("indices have an ordinal that does not fit 64 bits")
    return torch.from_numpy(indices.astype(np.int64))


def _kept(sample: Any, made: Any) -> Any:
    """What a transform made of ``sample``; a plain dict is told what is per site."""
    if isinstance(sample, Sample) and type(made) is dict:
        return Sample(made, sample.per_site)
    return made


def _own(value: Any) -> Any:
    # The arrays of a store are read-only views, which torch does not know.
    if hasattr(value, "__array_interface__"):
        return torch.from_numpy(value.copy())
    return value


def collate(samples: Sequence[Any]) -> Any:
    """One batch of samples of different sizes, for ``DataLoader(collate_fn=...)``.

    Dicts of tensors become one dict: fields by site are concatenated, the others stacked,
    what is no tensor becomes a list; ``ptr`` (frames + 1,) and ``batch`` (sites,), both int64,
    say which site belongs to which frame. Which fields are by site a :class:`Sample` says; of
    another dict they are the standard ones. Tensors of different lengths become a dict with
    ``values``, ``ptr`` and ``batch``. Anything else goes to PyTorch's own collate.

    Raises :class:`~vlstore.errors.InvalidError` if samples differ in their fields, or fields by
    site in their lengths.
    """
    if isinstance(samples, Flat):
        return dict(samples)
    first = samples[0]
    if isinstance(first, torch.Tensor) and first.ndim > 0:
        counts = [len(sample) for sample in samples]
        return {"values": torch.cat(list(samples)), **_places(counts)}
    if not isinstance(first, dict):
        return torch.utils.data.default_collate(list(samples))
    named = _named(first)
    for sample in samples:
        if sample.keys() != first.keys():
            odd = ", ".join(sorted(map(str, sample.keys() ^ first.keys())))
            raise InvalidError(f"the samples of a batch differ in their fields: {odd}")
        if _named(sample) != named:
            odd = ", ".join(sorted(_named(sample) ^ named))
            raise InvalidError(f"per site in some samples of a batch, and not in others: {odd}")
    columns = {name: [sample[name] for sample in samples] for name in first}
    per_site = [name for name in first if name in named and _have_entries(columns[name])]
    sites = [[len(value) for value in columns[name]] for name in per_site]
    for name, counts in zip(per_site, sites, strict=True):
        if counts != sites[0]:
            raise InvalidError(
                f"{name} and {per_site[0]} are per site and differ in length: a transform that "
                "makes another kind of field takes its name out of sample.per_site"
            )
    batch = {
        name: torch.cat(values) if name in per_site else _joined(values)
        for name, values in columns.items()
    }
    return {**batch, **_places(sites[0])} if sites else batch


def _named(sample: dict[str, Any]) -> set[str]:
    """Names of the fields of a sample that are per site."""
    per_site = sample.per_site if isinstance(sample, Sample) else set(BY_SITE)
    return per_site & sample.keys()


def _have_entries(values: list[Any]) -> bool:
    return all(isinstance(value, torch.Tensor) and value.ndim > 0 for value in values)


def _joined(values: list[Any]) -> Any:
    if all(isinstance(value, torch.Tensor) for value in values):
        return torch.stack(values)
    if all(isinstance(value, (bool, int, float)) for value in values):
        return torch.tensor(values)
    return values


def _places(lengths: list[int]) -> dict[str, torch.Tensor]:
    counts = torch.tensor(lengths, dtype=torch.int64)
    ptr = torch.zeros(len(counts) + 1, dtype=torch.int64)
    torch.cumsum(counts, 0, out=ptr[1:])
    return {"ptr": ptr, "batch": torch.repeat_interleave(torch.arange(len(counts)), counts)}
