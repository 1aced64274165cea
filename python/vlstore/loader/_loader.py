"""Loading for training: the compiled loader as an iterable of batches."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from vlstore import _core
from vlstore._fields import BY_SITE
from vlstore._open import open as open_store
from vlstore.errors import CorruptError, InvalidError, ReplacedError, WrongTypeError
from vlstore.loader._arguments import (
    as_costs,
    as_integer,
    as_ordinals,
    as_real,
    as_size,
    as_weights,
    store_paths,
    type_names,
)
from vlstore.loader._batch import Batch, Records
from vlstore.loader._transform import VALUES, Arrays, Failed, Padding, Transform

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor
    from os import PathLike
    from typing import Literal

    from numpy.typing import ArrayLike

    _Paths = str | PathLike[str] | Iterable[str | PathLike[str]]

#: Frames of which a property is read together.
_AT_ONCE = 1 << 16

_SHUFFLES = {True: "windows", False: "sequential"}


def _check_arrays(store: _core.Store, layout: str) -> None:
    """Refuse to put together records that are no arrays, as far as the first one says."""
    if layout not in ("ragged", "padded"):
        raise InvalidError(f"layout: {layout!r} is not one of \"ragged\", \"padded\", \"records\"")
    try:
        first = store.at[0] if len(store) else None
    except CorruptError:
        return
    if first is not None and not isinstance(first, np.ndarray):
        kind = store.codec or "bytes"
        raise InvalidError(f"layout: {layout!r} is for a store of frames (md-frame) or arrays, not of {kind}")


def _arrays_of(dtype: str | dict[str, str] | None) -> Arrays:
    """How records that are arrays are put together, of this type."""
    if not isinstance(dtype, dict):
        if dtype not in (None, "float32", "float64"):
            raise InvalidError(f"dtype: {dtype!r} is not one of float32, float64")
        return Arrays(dtype)
    if odd := [name for name in dtype if name != VALUES]:
        raise InvalidError(f"dtype: {odd[0]!r} is not one of the fields: {VALUES}")
    return Arrays(dtype.get(VALUES), bool(dtype))


class Balance(NamedTuple):
    """What the ranks have in an epoch; see :meth:`Loader.balance`."""

    #: The cost of all batches of each rank.
    sums: list[int]
    #: Batches of each rank.
    steps: int
    #: Median over the steps of the greatest cost of a rank divided by the mean of all ranks.
    median: float
    #: The same of the worst step.
    worst: float
    #: How far the sums lie apart, as a part of the greatest.
    apart: float


class Loader:
    """Serves the records of a store for training: shuffled, in batches, resumable.

    An iteration is an epoch. Records are read and decoded ahead in a thread of its own, a window at a
    time, so that each block of the file is decoded once for all batches of the window. The order is a
    function of ``seed`` and the number of the epoch: every record comes once, on every machine at the
    same place.

    Parameters
    ----------
    store : Store, path, list of paths, folder, pattern or dict
        An open store, of which the last commit is loaded, or the path of one. Several stores are one
        data set with one numbering: the folder of a data set (:func:`vlstore.publish`), which is opened
        without its members; a list of paths, another folder (its files ``*.vls`` and ``*.vlstore``
        by name), or a pattern such as ``"runs/*.vls"``. A dict gives names to such stores, for
        ``weights``.
    batch_size : int, optional
        The number of records in a batch; with a cap, the most.
    max_atoms, max_cost : int, optional
        The most atoms (sites of the frames) that a batch has together, from the index; or the most of
        ``cost``.
    cost : str or array of int
        What ``max_cost`` and ``buckets`` count: a column with a number of 0 or more for each record, as
        ``"weight"`` (sites) or ``"bytes"``; a property of the frames, for example their number of edges, which
        is read once when the loader is made; or the numbers themselves, one for each record of the store or
        stores. These two become a part of the loader and of its state.
    buckets : bool or list of int, optional
        Puts records of nearly the same ``cost`` (by default sites) of a window together. ``True``:
        neighbours in size, which leaves least padding. A list of sizes that ascend: a batch has records of
        one bucket only, the first size that is not below theirs, and ``layout="padded"`` pads to it, so
        that there are only so many shapes. A cap then counts each record as the largest of its
        batch, or its bucket: what the padded batch takes.
    weights : list or dict of numbers, optional
        Of several stores: the share that each has of an epoch, in the order of the stores, or by name
        if ``store`` is a dict. A store that has fewer records than its share is repeated, each time in another
        order; of one that has more, the next epoch brings the next records.
    temperature : float, optional
        In place of ``weights``: shares in proportion to size^(1/temperature). 1 leaves them as they are,
        ``math.inf`` makes all stores alike.
    epoch_records : int, optional
        With ``weights`` or ``temperature``: records of an epoch; by default as many as there are.
    shuffle : bool, {"windows", "global", "sequential"}
        ``True`` is ``"windows"``: groups of neighbours in random order, and the records of each
        window of groups shuffled. ``"global"`` shuffles each record by itself, which decodes a block
        for nearly every record. ``False`` is ``"sequential"``.
    seed : int
        Chooses the order, 0 or more.
    window, group : int, optional
        Records that are shuffled together, and neighbours that are read together. By default a window of
        16 MiB as decoded, which the caches of a processor hold, in groups of whole blocks, about 256 KiB (512 KiB in
        a store with purpose ``dense``); of large records 32 groups, as far as ``memory`` goes. A ``group`` that is
        given is exactly so many records. :meth:`window_for` says which
        window the data need.
    records : slice, array of ordinals, bool mask or callable, optional
        Which records, as places in the store; by default all. See also :func:`split`. A callable is given a
        function that returns a column of all records by its name, and returns one of these:
        ``lambda column: column("energy") < -3``.
    keys : list of keys, optional
        In place of ``records``: the records with these keys, in this order.
    layout : {"ragged", "padded", "records"}
        What a batch is. ``"ragged"``, the default for frames: a :class:`Batch` of arrays, those by
        site one behind the other, with ``ptr`` and ``batch`` as
        :meth:`vlstore.Trajectory.get_arrays` has them. ``"padded"``: arrays by site have the shape
        (frames, sites, ...) with zeros behind the sites of a frame; ``sites`` (frames,) counts them and
        ``site_mask`` (frames, sites) says where they are. ``"records"``: :class:`Records`, a list of
        what the store returns for a key. Of a store of arrays, the default is ``"records"``; in the other two
        the arrays are ``values``, put together along their first axis as arrays by site are.
    fields, missing, fill_value, mask
        Which arrays of frames: see :meth:`vlstore.Trajectory.get_arrays`. By default the standard fields that the
        first frame has; a frame that lacks one of them is an error, unless ``missing="fill"``.
    dtype : {"float32", "float64"} or dict, optional
        The type of the real numbers in the arrays; by default that of the first frame, and a frame with a wider one
        is an error. A dict has the type of each field by its name; there, fields of int32 may become ``"int64"``.
    units : dict, optional
        Units of the numbers in the arrays, by quantity, as ``{"energy": "kcal/mol", "length": "nm"}``;
        what is not named is as it is in the store. Quantities are ``length`` (positions, cell), ``time``,
        ``velocity``, ``energy``, ``force``, ``mass``, ``charge`` and ``stress``; extra properties have none.
        The attribute ``units`` of a store says what its numbers are in. They are computed in float64 and
        rounded once. Stores in different units become one data set in those that are named.
    pad_to : int or list of int, optional
        ``"padded"``: the number of sites in every batch, so that shapes stay fixed. Of several that
        ascend each batch gets the first that is not below its largest frame; by default those of ``buckets``.
    pad_rows : bool
        ``"padded"``: rows without a frame fill each batch up to the rows that a batch of its bucket can have
        (``batch_size``, or how often the bucket is in ``max_atoms``), so that the last batch of a bucket has the
        shape of the others. ``frame_mask`` (frames,) says which rows are frames; in the others all is 0.
    transform : callable, optional
        Called with each batch; its result is served. An exception of it gets a note with the keys of
        the batch.
    transform_record : callable, optional
        Called with each record before: with what the store returns for a key (``"records"``), or with
        a :class:`Frame`, the dict of the arrays of one frame. What it returns takes the place of
        the record; the batch is put together of all, so that numbers of sites may change. An exception gets a
        note with the key.
    transform_in : {"caller", "threads", "processes"} or concurrent.futures.Executor
        Where the two run: in the thread that iterates, or some batches ahead of it in threads (for
        functions that release the interpreter lock, as most of NumPy does) or in processes, which
        receive batches by pickle. Order and states are the same.
    transform_workers : int, optional
        How many threads or processes; by default one for each core, eight at most.
    drop_last : bool
        Leave out the last batch if it has fewer than ``batch_size`` records. Without effect with a cap or
        ``buckets``, where batches have different numbers of records.
    rank, world : int
        Which part of the batches is served here: each step gives one batch to each of the ``world``
        ranks. All ranks have equally many.
    rest : {"drop", "repeat"}
        What happens to the batches of a last step that has not one for every rank: they are left out,
        or some ranks get one of them once more, with ``repeated`` true.
    memory : int
        Bytes of records in memory at most: those in use and those read ahead. The process takes about 1.2 times
        as much and 15 MiB: the arrays of a batch may be larger than its records (types are kept in one byte each and
        served in four), and reading needs buffers and an index of its own.
    damaged : {"raise", "skip"}
        A damaged record raises an error that names it, or is left out of its batch and counted in
        :attr:`skipped`: a batch may have fewer records, or none.
    max_open : int
        Of several stores, how many files are open at a time.
    lanes : int, optional
        Windows that are served side by side; by default one for each rank, so that ranks decode no
        block twice. A part of the order: give the number of ranks for the order that they have.

    Raises
    ------
    InvalidError
        For arguments that cannot work, and for a cap below what one record has: the record is named.

    Notes
    -----
    An iteration begins where the epoch begins, or where a loaded state is; after a complete one the
    next epoch comes. It belongs to the process that began it; the loader itself pickles, and works in
    children of a fork.

    Examples
    --------
    >>> import numpy as np, vlstore
    >>> from vlstore.loader import Loader
    >>> with vlstore.open("train.vls", "w", records="md-frame") as store:
    ...     for step in range(10):
    ...         store[step] = vlstore.MdFrame(np.zeros((3, 3)), energy=step)
    >>> loader = Loader("train.vls", batch_size=4, fields=["positions", "energy"], seed=1)
    >>> [batch["positions"].shape for batch in loader]
    [(12, 3), (12, 3), (6, 3)]
    >>> state = loader.state_dict()
    """

    def __init__(
        self,
        store: _core.Store | _Paths | Mapping[str, _Paths],
        *,
        batch_size: int | None = None,
        max_atoms: int | None = None,
        max_cost: int | None = None,
        cost: str | ArrayLike = "weight",
        buckets: bool | Iterable[int] | None = None,
        weights: Iterable[float] | Mapping[str, float] | None = None,
        temperature: float | None = None,
        epoch_records: int | None = None,
        shuffle: bool | Literal["windows", "global", "sequential"] = True,
        seed: int = 0,
        window: int | None = None,
        group: int | None = None,
        records: slice | ArrayLike | Callable[[Callable[[str], Any]], Any] | None = None,
        keys: Iterable[Any] | None = None,
        layout: Literal["ragged", "padded", "records"] | None = None,
        fields: Iterable[str] | None = None,
        missing: Literal["error", "fill"] | None = None,
        fill_value: float | dict[str, float] | None = None,
        mask: bool = False,
        dtype: Any = None,
        units: dict[str, str] | None = None,
        pad_to: int | Iterable[int] | None = None,
        pad_rows: bool = False,
        transform: Callable[[Any], Any] | None = None,
        transform_record: Callable[[Any], Any] | None = None,
        transform_in: Literal["caller", "threads", "processes"] | Executor = "caller",
        transform_workers: int | None = None,
        drop_last: bool = False,
        rank: int = 0,
        world: int = 1,
        rest: Literal["drop", "repeat"] = "drop",
        memory: int = 256 << 20,
        damaged: Literal["raise", "skip"] = "raise",
        max_open: int = 64,
        lanes: int | None = None,
    ) -> None:
        self._paths = None
        parts = None
        # A store is a mapping of its own.
        if isinstance(store, Mapping) and not isinstance(store, _core.Store):
            found = {str(name): store_paths(given) for name, given in store.items()}
            if not found:
                raise InvalidError("store: the dict of stores is empty")
            if len(found) < len(store):
                raise InvalidError("store: the dict of stores has names that are the same as strings")
            parts = [(name, len(paths)) for name, paths in found.items()]
            store = [path for paths in found.values() for path in paths]
        if not isinstance(store, _core.Store):
            paths = store_paths(store)
            if len(paths) > 1:
                self._paths = paths
            store = open_store(paths[0])
        frames = isinstance(store, _core.Trajectory)
        if layout is None:
            layout = "ragged" if frames else "records"
        joins = layout != "records" and not frames
        if joins:
            _check_arrays(store, layout)
            if units is not None:
                raise InvalidError("units: are for a store of frames (md-frame)")
        if layout == "records" and frames and self._paths is not None:
            raise InvalidError(
                "layout: \"records\" of several stores of frames: what frames share lies in each store; "
                "use \"ragged\", or one store (vlstore merge)"
            )
        filling = missing is not None or fill_value is not None or mask
        if (layout == "records" or joins) and (fields is not None or filling):
            raise InvalidError(
                "fields, missing, fill_value and mask are for layout=\"ragged\" and \"padded\" of frames"
            )
        costs = None
        if not isinstance(cost, str):
            costs, cost = as_costs(cost), "weight"
        if max_atoms is not None:
            if max_cost is not None or costs is not None or cost != "weight":
                raise InvalidError("max_atoms: is max_cost of the cost \"weight\"; give one of them")
            max_cost = max_atoms
        if buckets is not None and not isinstance(buckets, bool):
            buckets = [as_integer("buckets", size) for size in buckets]
            if not buckets:
                raise InvalidError("buckets: the list of sizes is empty")
        edges = buckets if isinstance(buckets, list) else []
        if pad_to is None:
            sized = layout == "padded" and frames and costs is None and cost == "weight"
            pad_to = edges if sized else []
        elif isinstance(pad_to, Iterable):
            pad_to = [as_size("pad_to", size) for size in pad_to]
        else:
            pad_to = [as_size("pad_to", pad_to)]
        if temperature is not None and weights is not None:
            raise InvalidError("temperature: is in place of weights; give one of them")
        if epoch_records is not None and weights is None and temperature is None:
            raise InvalidError("epoch_records: is for weights or a temperature")
        #: The store; of several the first.
        self.store = store
        self._max_open = as_size("max_open", max_open)
        self._damaged = damaged
        #: Which records there are, from now on.
        self._sources = _core._Sources(store, self._paths, self._max_open, None)
        if frames and costs is None and (max_cost is not None or buckets):
            costs = self._property(cost)
        self._options = {
            "batch_size": batch_size,
            "max_cost": max_cost,
            "cost": cost,
            "costs": costs,
            "keys": None if keys is None else list(keys),
            "buckets": edges if buckets else None,
            "weights": None if weights is None else as_weights(weights, parts),
            "temperature": None if temperature is None else as_real("temperature", temperature),
            "parts": parts,
            "epoch_records": epoch_records,
            "shuffle": _SHUFFLES[shuffle] if isinstance(shuffle, bool) else shuffle,
            "seed": seed,
            "window": window,
            "group": group,
            "drop_last": drop_last,
            "rank": rank,
            "world": world,
            "worker": 0,
            "workers": 1,
            "rest": rest,
            "memory": memory,
            "damaged": damaged,
            "lanes": lanes,
        }
        if fields is not None and not isinstance(fields, (str, bytes)):
            fields = list(fields)
        dtype = type_names(dtype)
        pad_rows = bool(pad_rows)
        if callable(records):
            records = records(self._column)
        if records is not None and keys is not None:
            raise InvalidError("keys: are in place of records; give one of them")
        if isinstance(keys, (str, bytes)):
            raise WrongTypeError(f"keys: a list of keys, not one ({keys!r:.40})")
        self._records = None if records is None else as_ordinals(records, len(self._sources))
        self._make(None)
        # Refused here as it would be by the first batch.
        arrays: list[tuple[str, str, list[int], bool]] = []
        by_site: list[str] = []
        if joins:
            by_site = [VALUES]
        elif layout != "records":
            made, by_site = self._first(fields, missing, fill_value, mask)
            per_site = BY_SITE.union(by_site)
            arrays = [
                (name, array.dtype.name, list(array.shape[1:]), name in per_site)
                for name, array in made.items()
                if name not in ("ptr", "batch")
            ]
            if fields is None:
                # Those of one batch are those of the next.
                masks = {f"{name}_mask" for name in made} if mask else set()
                fields = [name for name in made if name not in {"ptr", "batch", *masks}]
        self._form = (layout, fields, missing, fill_value, mask, dtype, arrays, units, pad_to, pad_rows)
        self._core.check(layout, None if joins else dtype, units, pad_to, pad_rows, arrays)
        self._check_units(units, [name for name, *_ in arrays])
        self._per_site = BY_SITE.union(by_site)
        padded = layout == "padded" and (joins or transform_record is not None)
        bounds = (batch_size, None, []) if joins else self._core.bounds()
        self._transform = Transform(
            transform,
            transform_record,
            transform_in,
            transform_workers,
            by_site,
            Padding(pad_to, bounds if pad_rows else None) if padded else None,
            _arrays_of(dtype) if joins else None,
        )
        if joins:
            # They are put together behind the function.
            self._form = ("records", None, None, None, False, None, [], None, [], False)
        elif padded:
            # They are padded behind the function.
            self._form = ("ragged", *self._form[1:-2], [], False)
        self._pad_to, self._pad_rows = pad_to, pad_rows

    def _make(self, sizes: tuple[int, int] | None) -> None:
        self._core = _core._Loader(self._sources, self._records, self._options, sizes)
        self._at: tuple[int, int, int] = self._core.at
        self._run: Any = None
        #: Whether the running iteration was told meanwhile where the next one begins.
        self._told = False

    def _first(self, fields: Any, *how: Any) -> tuple[dict[str, Any], list[str]]:
        """The arrays that frames give, without any, and which are by site.

        Those of the first store with frames; a field that it does not have is asked of the others.
        """
        refused = None
        found: dict[str, tuple[Any, list[str]]] = {}
        for store, records in self._each():
            if records:
                try:
                    return store.at._arrays([], fields, *how)
                except InvalidError as error:
                    if self._paths is None or fields is None or isinstance(fields, (str, bytes)):
                        raise
                    refused = refused or error
                for name in fields:
                    if name not in found:
                        with suppress(InvalidError):
                            found[name] = store.at._arrays([], [name], *how)
        if refused is None:
            return self.store.at._arrays([], fields, *how)
        absent = [name for name in fields if name not in found]
        if absent:
            # Of these, not of those that another store has.
            self.store.at._arrays([], absent, *how)
            raise refused
        made = {name: array for arrays, _ in found.values() for name, array in arrays.items()}
        return made, [name for _, by_site in found.values() for name in by_site]

    def _check_units(self, units: dict[str, str] | None, fields: list[str]) -> None:
        """Refuse units that a store does not state, and stores that differ in theirs."""
        if units is None and (self._paths is None or not fields):
            return
        for path, (store, _) in zip(self._paths or [self.store.path], self._each(), strict=True):
            try:
                self._core.check_units(store, units, fields)
            except InvalidError as error:
                error.add_note(f"in the store {path}")
                raise

    def _each(self) -> Iterator[tuple[_core.Store, int]]:
        """The stores, one after the other, and how many records of each there are here."""
        if self._paths is None:
            yield self.store, len(self._sources)
            return
        for path, (_, _, records) in zip(self._paths, self._sources.pins(), strict=True):
            with open_store(path) as store:
                if len(store) < records:
                    raise ReplacedError(f"{path}: has fewer records than when the loader was made")
                yield store, records

    def __iter__(self) -> Iterator[Any]:
        began = self._at = self._core.at
        self._told = False
        self._run = run = self._core.start(*self._form)
        kind = Records if self._form[0] == "records" else Batch
        lanes, per_site = self._core.describe()["lanes"], self._per_site
        try:
            if self._transform.nothing:
                for content, ordinals, repeated, at in run:
                    self._at = at
                    yield kind(content)._place(ordinals, repeated, at, lanes, per_site)
            else:
                batches = (
                    (kind(content)._place(ordinals, repeated, at, lanes, per_site), at)
                    for content, ordinals, repeated, at in run
                )
                yield from self._changed(batches)
        finally:
            # What was read ahead is not held until the next iteration.
            run.close()
        if not self._told:
            self._core.set_at((began[0] + 1, 0, 0))
        self._at = self._core.at

    def _changed(self, batches: Iterator[tuple[Any, Any]]) -> Iterator[Any]:
        """The batches as the functions of the user leave them."""
        served = self._transform.over(batches)
        try:
            while True:
                failure = None
                try:
                    _, at, made = next(served)
                except StopIteration:
                    break
                except Failed as failed:
                    failure = failed
                if failure is not None:
                    # Not while another one is handled: it is the user's own.
                    raise self._named(failure)
                self._at = at
                yield made
        finally:
            served.close()

    def _named(self, failed: Failed) -> BaseException:
        """The exception of a transform, with a note that names the records."""
        ordinals = failed.batch.ordinals.tolist()
        if failed.record is not None:
            note = f"in the transform of the record {self._core.called(ordinals[failed.record])}"
        else:
            more = "" if len(ordinals) <= 8 else f" and {len(ordinals) - 8} more"
            note = f"in the transform of the records {', '.join(map(self._core.called, ordinals[:8]))}{more}"
        failed.error.add_note(note)
        if failed.error.__traceback__ is None:
            # That of the process in which it was raised.
            failed.error.__cause__ = failed.__cause__
        return failed.error

    def __len__(self) -> int:
        """Number of batches in a whole epoch, for this rank."""
        return self._core.steps(self.epoch)

    def __bool__(self) -> bool:
        """A loader is true, also of an empty store."""
        return True

    @property
    def rank(self) -> int:
        """The number of this process among those that train together."""
        return self._options["rank"]

    @property
    def world(self) -> int:
        """How many processes train together."""
        return self._options["world"]

    @property
    def epoch(self) -> int:
        """The number of the epoch that is served, or comes next."""
        return self._at[0]

    @property
    def progress(self) -> float:
        """How much of the epoch was served, 0 to 1."""
        return self._core.progress(self._at)

    @property
    def skipped(self) -> int:
        """Damaged records that were left out in this iteration."""
        return 0 if self._run is None else self._run.skipped

    def set_epoch(self, epoch: int) -> None:
        """Let the next iteration be that of ``epoch``, from its beginning."""
        self._core.set_at((as_size("epoch", epoch), 0, 0))
        self._at, self._told = self._core.at, True

    def state_dict(self, batch: Batch | Records | None = None) -> dict[str, Any]:
        """Where the iteration is, as a small dict for JSON.

        It is the place behind the last batch that was served, or behind ``batch``, which may have come
        through a queue or a worker. All ranks have the same state after the same step.
        """
        if batch is None:
            return json.loads(self._core.state(self._at))
        # Workers may load in other lanes.
        *at, lanes = batch.at
        return {**json.loads(self._core.state(tuple(at))), "lanes": lanes}

    @property
    def order_id(self) -> str:
        """A short name for the batches of all epochs and ranks, which ranks that train together must share.

        It is the same for all loaders that have the same records, by number, in the same batches, and for no
        others. Without ``group`` groups begin where blocks begin, in a store that is not far away: copies of a store
        with other blocks, or in another place, differ then, and records would be lost and others come twice.
        """
        return self._core.order_id()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Let the next iteration go on behind ``state`` with exactly the records nobody had.

        The number of ranks and workers may be another one. Raises
        :class:`~vlstore.errors.InvalidError` that says what differs for a state of another store, seed
        or order, :class:`~vlstore.errors.UnsupportedError` for one of a newer release.
        """
        try:
            text = json.dumps(state)
        except (TypeError, ValueError) as error:
            raise WrongTypeError(f"state must be what state_dict() returned: {error}") from error
        self._core.resume(text)
        self._at, self._told = self._core.at, True
        # They are a part of the order, and those who share it go on in it.
        self._options = {**self._options, "lanes": self._core.describe()["lanes"]}

    def share(
        self, *, rank: int = 0, world: int = 1, worker: int = 0, workers: int = 1
    ) -> Loader:
        """The same loader for another rank, or for one of the ``workers`` that load for it.

        Each worker has every ``workers``-th batch of the rank. The order is that of this loader if
        its number of lanes was given or is known from a state, else that of so many ranks and workers. It has the
        records of this loader, though the stores may have grown.
        """
        given = {"rank": rank, "world": world, "worker": worker, "workers": workers}
        share = {name: as_size(name, number) for name, number in given.items()}
        new = self.__class__.__new__(self.__class__)
        new.__dict__.update(self.__dict__)
        new._options = {**self._options, **share}
        new._core = self._core.share(**share)
        new._at, new._run, new._told = new._core.at, None, False
        return new

    def _values(self, by: Any) -> Any:
        if by is None:
            return np.arange(len(self._core.ordinals()), dtype=np.float64)
        return self._core.values(by) if isinstance(by, str) else by

    def _property(self, name: str) -> Any:
        """The costs from the frame property of this name, where the store has no such column."""
        unknown = None
        try:
            self.store.column(name)
        except InvalidError as error:
            unknown = error
        if unknown is None:
            return None
        try:
            self._first([name], None, None, False)
        except InvalidError:
            raise unknown from None
        read = [
            values
            for store, records in self._each()
            for at in range(0, records, _AT_ONCE)
            for values in self._of_frames(store, name, at, min(at + _AT_ONCE, records))
        ]
        return as_costs(np.concatenate(read)) if read else as_costs(np.zeros(0, np.int64))

    def _of_frames(self, store: Any, name: str, start: int, stop: int) -> Iterator[Any]:
        """A property of these frames; a damaged one that is skipped costs nothing."""
        found = None
        try:
            yield store.at._arrays(range(start, stop), [name], None, None, False)[0][name]
        except CorruptError as error:
            found = error
        # Not while it is handled: that of a part would have it as its context.
        if found is None:
            return
        if stop - start > 1:
            middle = (start + stop) // 2
            yield from self._of_frames(store, name, start, middle)
            yield from self._of_frames(store, name, middle, stop)
        elif self._damaged == "skip":
            yield np.zeros(1, np.int64)
        else:
            found.add_note(f"in the record {store.at.key(start)!r} (ordinal {start}), for its cost {name!r}")
            raise found

    def _column(self, name: str) -> Any:
        """A column of all records of all stores, chosen or not."""
        return np.concatenate([store.column(name)[:records] for store, records in self._each()])

    def design_effect(self, by: str | ArrayLike | None = None, epoch: int = 0) -> float:
        """How far the order is from a uniform shuffle.

        The mean over the batches of how many times the variance of a batch's mean is what it would be
        for records drawn evenly (the design effect of Kish, 1965): 1 as for a uniform shuffle, up to
        the size of a batch if its records are all alike. A batch of 32 records with an effect of 4 says
        as much about the data as 8 records. ``by`` is a column, or a number for each record; by default
        the place of the record, the worst case. Reads the index and no record.
        """
        return self._core.effect(self._values(by), epoch)

    def window_for(
        self, by: str | ArrayLike | None = None, *, batch: int | None = None, excess: float = 0.2
    ) -> int:
        """The window, in records, that keeps the :meth:`design_effect` below ``1 + excess``.

        Records that were written in families, as the frames of trajectories are, need a wide one;
        records in no order need hardly any. ``batch`` is the size of a batch if a cap decides it.
        """
        batch = batch or self._options["batch_size"]
        if batch is None:
            raise InvalidError("batch: say about how many records a batch has")
        return self._core.window_for(self._values(by), batch, excess)

    def balance(self, epoch: int = 0) -> Balance:
        """How evenly an epoch is divided between the ranks, by the column ``cost`` (sites).

        Reads the index and no record.
        """
        return Balance(*self._core.balance(epoch))

    def padding(self, epoch: int = 0) -> float:
        """The share of padding in the batches of an epoch if they are padded, 0 to 1.

        Each is as wide as its largest record, its bucket, or ``pad_to``; with ``pad_rows`` rows without a frame
        count, too. Reads the index and no record.
        """
        width = self._pad_to[0] if len(self._pad_to) == 1 else None
        return self._core.padding(epoch, width, self._pad_rows)

    @property
    def shares(self) -> dict[str, int] | list[int] | None:
        """How many records an epoch has of each store; ``None`` without ``weights``."""
        draws, parts = self._core.draws(), self._options["parts"]
        if draws is None or parts is None:
            return draws
        return {name: n for (name, _), n in zip(parts, draws, strict=True)}

    def __getstate__(self) -> dict[str, Any]:
        kept = (
            "store", "_paths", "_max_open", "_transform", "_options", "_form", "_records", "_per_site",
            "_pad_to", "_pad_rows", "_damaged",
        )
        made = self._core.describe()
        # What is found of a store when a loader is made may be otherwise by then: it may have grown.
        found = {"pins": self._sources.pins(), "sizes": (made["group"], made["window"]), "at": self._core.at}
        return {**{name: getattr(self, name) for name in kept}, **found}

    def __setstate__(self, state: dict[str, Any]) -> None:
        pins, sizes, at = (state.pop(name) for name in ("pins", "sizes", "at"))
        self.__dict__.update(state)
        self._sources = _core._Sources(self.store, self._paths, self._max_open, pins)
        self._make(sizes)
        self._core.set_at(at)
        self._at = at

    def __repr__(self) -> str:
        made = self._core.describe()
        limits = [
            f"{name}={made[name]}" for name in ("batch_size", "max_cost") if made[name] is not None
        ]
        options = self._options
        if options["max_cost"] is not None:
            given = options["costs"] is not None and options["cost"] == "weight"
            limits.append("cost=given" if given else f"cost={options['cost']!r}")
        order = f"{made['shuffle']}, seed {made['seed']}"
        if made["shuffle"] == "windows":
            window = min(made["window"], max(made["records"], 1))
            order += f", windows of {window} in groups of {min(made['group'], window)}"
        part = f"rank {options['rank']} of {options['world']}"
        if options["world"] > 1:
            part += f" (rest {'dropped' if options['rest'] == 'drop' else 'repeated'})"
        if options["workers"] > 1:
            part += f", worker {options['worker']} of {options['workers']}"
        if made["lanes"] > 1:
            part += f", {made['lanes']} lanes"
        stores = "" if self._paths is None else f" of {len(self._paths)} stores"
        if self.shares is not None:
            stores += f", {made['epoch_records']} an epoch"
        if options["buckets"] is not None:
            limits.append(f"buckets={options['buckets'] or True}")
        return (
            f"<vlstore.loader.Loader of {made['records']} records{stores}, {', '.join(limits)}: {order}; "
            f"{part}; epoch {self.epoch}, {100 * self.progress:.0f} %; "
            f"{made['memory'] / (1 << 20):.0f} MiB>"
        )
