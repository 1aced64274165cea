"""What a user's functions make of batches and records, and where they run."""

from __future__ import annotations

import os
import pickle
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_all_start_methods, get_context
from typing import Any, NamedTuple

import numpy as np

from vlstore.errors import InvalidError, WrongTypeError
from vlstore.loader._batch import Batch

#: Where functions run, by name.
PLACES = ("caller", "threads", "processes")


class Frame(dict[str, Any]):
    """One frame of a batch: its arrays by name, those by site with an entry for each of its sites.

    ``per_site`` is the set of the names of arrays by site. A transform that adds such an array adds its
    name, one that makes another kind of array of it takes it out.
    """

    def __init__(self, arrays: Any, per_site: Iterable[str]) -> None:
        super().__init__(arrays)
        self.per_site = set(per_site)


class Failed(Exception):
    """An exception of a transform, and the place in the batch of the record that it had."""

    def __init__(self, error: BaseException, record: int | None) -> None:
        super().__init__(error, record)
        self.error, self.record = error, record
        self.batch: Any = None

    def __reduce__(self) -> Any:
        # From another process.
        return Failed, (_portable(self.error), self.record)


class Padding(NamedTuple):
    """The shape of padded batches."""

    #: The widths, of which each batch has the first that is not below its largest frame; by default that.
    to: list[int]
    #: What bounds the rows, if all batches of a bucket have as many: their number, sites, sizes of buckets.
    bounds: tuple[int | None, int | None, list[int]] | None

    def rows(self, frames: int, longest: int) -> int:
        """How many rows a batch of so many frames has."""
        if self.bounds is None:
            return frames
        number, sites, edges = self.bounds
        held = [] if number is None else [number]
        edge = next((edge for edge in edges if edge >= longest), None)
        if sites is not None and edge is not None:
            held.append(sites // max(edge, 1))
        return max(frames, min(held, default=0))


class Arrays(NamedTuple):
    """Records that are arrays, which are put together as the arrays of frames are."""

    #: The type of real numbers, if it is not that of the records.
    dtype: str | None
    #: Whether numbers that are not real are refused.
    strict: bool = False

    def frame(self, record: Any) -> Frame:
        """The record as a frame with one array by site."""
        if not isinstance(record, np.ndarray):
            why = f"is {type(record).__name__}, not an array: use layout=\"records\""
        elif record.ndim == 0:
            why = "is one number, without an axis to join: use layout=\"records\""
        else:
            real = self.dtype is not None and record.dtype.kind == "f"
            if self.strict and not real and record.dtype.name != self.dtype:
                raise InvalidError(f"dtype: the record is {record.dtype}, not to be turned to {self.dtype}")
            return Frame({VALUES: record.astype(self.dtype) if real else record}, [VALUES])
        raise InvalidError(f"layout: the record {why}")


#: What the arrays of records that are no frames are called in a batch.
VALUES = "values"


class Transform:
    """The functions for batches and records, and where they run."""

    def __init__(
        self,
        batch: Callable[[Any], Any] | None,
        record: Callable[[Any], Any] | None,
        where: str | Executor,
        workers: int | None,
        per_site: Iterable[str],
        padding: Padding | None,
        arrays: Arrays | None = None,
    ) -> None:
        for name, function in (("transform", batch), ("transform_record", record)):
            if function is not None and not callable(function):
                raise WrongTypeError(f"{name} is a function, not {type(function).__name__}")
        if not isinstance(where, Executor) and where not in PLACES:
            raise InvalidError(
                f"transform_in: {where!r} is none of {', '.join(map(repr, PLACES))}, and no Executor"
            )
        if workers is not None and workers < 1:
            raise InvalidError(f"transform_workers: is {workers}, and must be 1 or more")
        self._do = _Do(batch, record, frozenset(per_site), padding, arrays)
        self._where, self._workers = where, workers or min(os.cpu_count() or 1, 8)
        if (batch or record) and self._where == "processes":
            try:
                pickle.dumps(self._do)
            except Exception as error:
                raise WrongTypeError(
                    "transform_in=\"processes\" needs functions that pickle, as those of a module do; "
                    f"use \"threads\" for others: {error}"
                ) from error

    @property
    def nothing(self) -> bool:
        """Whether there is no function."""
        return self._do.nothing

    def over(self, batches: Iterator[tuple[Any, Any]]) -> Iterator[tuple[Any, Any, Any]]:
        """For each pair of a batch and its place these, and what was made of it, in the same order."""
        if self._where == "caller":
            for batch, at in batches:
                with _of(batch):
                    made = self._do(batch)
                yield batch, at, made
        else:
            with self._executor() as executor:
                yield from self._ahead(executor, batches)

    def _ahead(self, executor: Executor, batches: Iterator[tuple[Any, Any]]) -> Iterator[Any]:
        """Some batches ahead of the one that is served."""
        waiting: deque[tuple[Any, Any, Any]] = deque()
        unread: Exception | None = None
        try:
            while True:
                try:
                    batch, at = next(batches)
                except StopIteration:
                    break
                except Exception as error:
                    # Those before it come first, as they do without workers.
                    unread = error
                    break
                waiting.append((batch, at, executor.submit(self._do, batch)))
                if len(waiting) > self._workers + 1:
                    yield _done(*waiting.popleft())
            while waiting:
                yield _done(*waiting.popleft())
            if unread is not None:
                raise unread
        finally:
            for _, _, future in waiting:
                future.cancel()

    @contextmanager
    def _executor(self) -> Iterator[Executor]:
        if isinstance(self._where, Executor):
            # Another one's, who ends it.
            yield self._where
            return
        if self._where == "threads":
            own: Executor = ThreadPoolExecutor(self._workers, "vlstore transform")
        else:
            # Not by fork: there are threads.
            method = "forkserver" if "forkserver" in get_all_start_methods() else "spawn"
            own = ProcessPoolExecutor(self._workers, get_context(method))
        try:
            yield own
        finally:
            own.shutdown(wait=True, cancel_futures=True)


def _done(batch: Any, at: Any, future: Any) -> tuple[Any, Any, Any]:
    with _of(batch):
        return batch, at, future.result()


@contextmanager
def _of(batch: Any) -> Iterator[None]:
    """Tell a failure which batch it is of."""
    try:
        yield
    except Failed as failed:
        failed.batch = batch
        raise


class _Do:
    """What is done with a batch; pickles if the functions do."""

    def __init__(
        self,
        batch: Callable[[Any], Any] | None,
        record: Callable[[Any], Any] | None,
        per_site: frozenset[str],
        padding: Padding | None,
        arrays: Arrays | None,
    ) -> None:
        self.batch, self.record, self.per_site, self.padding = batch, record, per_site, padding
        self.arrays = arrays

    @property
    def nothing(self) -> bool:
        return self.batch is None and self.record is None and self.arrays is None

    def __call__(self, batch: Any) -> Any:
        if self.record is not None or self.arrays is not None:
            batch = self._records(batch)
        if self.batch is None:
            return batch
        try:
            return self.batch(batch)
        except Exception as error:
            raise Failed(_own(error), None) from error

    def _records(self, batch: Any) -> Any:
        frames = isinstance(batch, dict) or self.arrays is not None
        made = []
        for i, record in enumerate(_frames(batch, self.per_site) if isinstance(batch, dict) else batch):
            try:
                given = record if self.arrays is None else self.arrays.frame(record)
                new = given if self.record is None else self.record(given)
                made.append(_checked(new, given) if frames else new)
            except Exception as error:
                raise Failed(_own(error), i) from error
        kind = Batch if frames else batch.__class__
        out = kind(self._joined(made, batch) if frames else made)
        out.__dict__.update(batch.__dict__)
        if frames and made:
            out.per_site = frozenset(made[0].per_site)
        return out

    def _joined(self, frames: list[Frame], batch: Any) -> dict[str, Any]:
        if not frames and self.arrays is not None:
            batch = {VALUES: np.zeros(0), "ptr": np.zeros(1, np.int64), "batch": np.zeros(0, np.int64)}
        if not frames:
            # All its records were damaged.
            return dict(batch) if self.padding is None else self._empty(batch, self.padding)
        first = frames[0]
        for i, frame in enumerate(frames):
            if frame.keys() != first.keys() or frame.per_site != first.per_site:
                odd = sorted((frame.keys() ^ first.keys()) | (frame.per_site ^ first.per_site))
                why = f"what it returned differs from that of the first record in {', '.join(odd)}"
                raise Failed(InvalidError(f"transform_record: {why}"), i)
        for name in first.per_site:
            shapes = {np.shape(frame[name])[1:] for frame in frames}
            if len(shapes) > 1:
                i = next(i for i, frame in enumerate(frames) if np.shape(frame[name])[1:] != np.shape(first[name])[1:])
                why = f"{name}: shape {np.shape(frames[i][name])} does not join those of {np.shape(first[name])}"
                raise Failed(InvalidError(f"{why}: only the first axis may differ"), i)
        sites = np.array([_sites(frame) for frame in frames], np.int64)
        if self.padding is not None:
            return self._padded(frames, sites, self.padding)
        out = {
            name: np.concatenate([frame[name] for frame in frames])
            if name in first.per_site
            else _stacked([frame[name] for frame in frames])
            for name in first
        }
        out["ptr"] = np.concatenate([[0], np.cumsum(sites)])
        out["batch"] = np.repeat(np.arange(len(frames)), sites)
        return out

    def _empty(self, batch: Any, padding: Padding) -> dict[str, Any]:
        """A padded batch without a frame, of the arrays of a ragged one."""
        rows, width = padding.rows(0, 0), padding.to[0] if padding.to else 0
        out: dict[str, Any] = {}
        for name, array in batch.items():
            if name not in ("ptr", "batch"):
                shape = (rows, width) if name in self.per_site else (rows,)
                out[name] = np.zeros((*shape, *array.shape[1:]), array.dtype)
        out["sites"], out["site_mask"] = np.zeros(rows, np.int64), np.zeros((rows, width), bool)
        if padding.bounds is not None:
            out["frame_mask"] = np.zeros(rows, bool)
        return out

    def _padded(self, frames: list[Frame], sites: Any, padding: Padding) -> dict[str, Any]:
        longest = int(sites.max(initial=0))
        width = next((n for n in padding.to or [longest] if n >= longest), None)
        if width is None:
            i = int(sites.argmax())
            why = f"pad_to: the frame has {sites[i]} sites, more than {padding.to[-1]}"
            raise Failed(InvalidError(why), i)
        out = {}
        rows = padding.rows(len(frames), longest)
        empty = rows - len(frames)
        for name in frames[0]:
            values = [frame[name] for frame in frames]
            if name not in frames[0].per_site:
                stacked = _stacked(values)
                if isinstance(stacked, np.ndarray):
                    stacked = np.concatenate([stacked, np.zeros((empty, *stacked.shape[1:]), stacked.dtype)])
                out[name] = stacked
                continue
            array = np.zeros((rows, width, *np.shape(values[0])[1:]), np.result_type(*values))
            for row, value in zip(array, values, strict=False):
                row[: len(value)] = value
            out[name] = array
        sites = np.concatenate([sites, np.zeros(empty, np.int64)])
        out["sites"] = sites
        out["site_mask"] = np.arange(width) < sites[:, None]
        if padding.bounds is not None:
            out["frame_mask"] = np.arange(rows) < len(frames)
        return out


def _frames(batch: Any, per_site: frozenset[str]) -> Iterator[Frame]:
    """The frames of a ragged batch, as views of its arrays."""
    ptr = batch["ptr"].tolist()
    own = {name: array for name, array in batch.items() if name not in ("ptr", "batch")}
    by_site = per_site & own.keys()
    for i, (start, end) in enumerate(zip(ptr[:-1], ptr[1:], strict=True)):
        parts = {name: a[start:end] if name in by_site else a[i] for name, a in own.items()}
        yield Frame(parts, by_site)


def _checked(made: Any, record: Frame) -> Frame:
    if not isinstance(made, dict):
        raise WrongTypeError(f"transform_record returns the dict of a frame, not {type(made).__name__}")
    if not isinstance(made, Frame):
        made = Frame(made, record.per_site & made.keys())
    made.per_site &= made.keys()
    _sites(made)
    return made


def _sites(frame: Frame) -> int:
    """The number of sites of a frame, the same in all its arrays by site."""
    found = {name: len(frame[name]) for name in frame.per_site}
    if len(set(found.values())) > 1:
        shown = ", ".join(f"{name} {n}" for name, n in sorted(found.items()))
        raise InvalidError(f"the arrays by site have different numbers of sites: {shown}")
    return next(iter(found.values()), 0)


def _stacked(values: list[Any]) -> Any:
    """One array of what has one shape, a list of what has not."""
    if any(not isinstance(value, (np.ndarray, np.generic, bool, int, float)) for value in values):
        return values
    same = len({np.shape(value) for value in values}) == 1
    return np.stack([np.asarray(value) for value in values]) if same else values


def _own(error: Exception) -> BaseException:
    """The exception of a function, but for one that would end the epoch."""
    return RuntimeError(f"StopIteration: {error}") if isinstance(error, StopIteration) else error


def _portable(error: BaseException) -> BaseException:
    """The exception, or one that says the same, as another process can receive it."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
