"""Frames that a library reads into a store, such that an import that was stopped anywhere, also by a kill, can be
given again and gives what an uninterrupted one gives, frame for frame."""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import vlstore
from vlstore._core import Imported, MdFrame, Topology
from vlstore._libraries._duplicates import KINDS, REMEMBERED, Known, Span, mark
from vlstore._libraries._record import NAME, Record, Row, digest
from vlstore._libraries._source import Draft, Making, Source, masses_of, weighed, with_topology
from vlstore.errors import Error, FormatError, InvalidError, ResumeError, StoreExistsError
from vlstore.plugins import _units
from vlstore.plugins._round import checked, rounded

# Seconds between calls of `progress`.
_EACH = 0.2
# Stored frames that are read at once.
_AT_ONCE = 64


@dataclass
class Choices:
    """How frames are stored; see :func:`vlstore.import_`."""

    append: bool = False
    overwrite: bool = False
    keep_all: bool = False
    mixed: bool = False
    growing: bool | None = None
    topology: Topology | None = None
    float32: bool = False
    precision: float | None = None
    masses: str = "given"
    positions: str = "quantised"
    topologies: str = "repeated"
    #: None as the import said that was stopped, else "keep".
    duplicates: str | None = None
    key_prefix: str | None = None
    commit_frames: int | None = None
    progress: Callable[[int, int], Any] | None = None
    options: dict[str, Any] = field(default_factory=dict)


@dataclass
class Input:
    """A file, and what opens it."""

    path: str | os.PathLike[str]
    format: str
    open: Callable[[], Source]


def fill(inputs: list[Input], path: str | os.PathLike[str], choices: Choices) -> Imported:
    """Put the frames of the inputs into the store at ``path``."""
    if choices.append and choices.overwrite:
        raise InvalidError("append and overwrite exclude each other")
    if choices.topologies not in ("repeated", "always", "never"):
        raise InvalidError(f"topologies must be repeated, always or never, not {choices.topologies!r}")
    if choices.duplicates not in (None, *KINDS):
        raise InvalidError(f"duplicates must be one of {', '.join(KINDS)}, not {choices.duplicates!r}")
    if choices.masses not in ("given", "elements"):
        raise InvalidError(f"masses must be given or elements, not {choices.masses!r}")
    if choices.topology is not None and choices.masses == "elements":
        choices.topology = weighed(choices.topology, "topology")
    if choices.positions not in ("quantised", "given"):
        raise InvalidError(f"positions must be quantised or given, not {choices.positions!r}")
    if choices.commit_frames is not None and choices.commit_frames < 1:
        raise InvalidError(f"commit_frames must be 1 or more, not {choices.commit_frames}")
    checked(choices.precision)
    if not inputs:
        raise InvalidError("inputs: none was given")
    if not choices.append and not choices.overwrite and os.path.lexists(path):
        raise StoreExistsError(
            f"{os.fspath(path)} exists; add to it with append=True, replace it with overwrite=True, or take another name"
        )
    return _Filling(inputs, path, choices).run()


class _Filling:
    def __init__(self, inputs: list[Input], path: str | os.PathLike[str], choices: Choices) -> None:
        self.inputs, self.path, self.choices = inputs, path, choices
        self.frames = self.skipped = self.dropped = 0
        self.notes: list[str] = []
        self.sizes = [os.path.getsize(one.path) for one in inputs]
        self.shown = 0.0
        self.weighed: tuple[Topology, Topology] | None = None

    def run(self) -> Imported:
        store: vlstore.Trajectory | None = None
        try:
            for index, given in enumerate(self.inputs):
                source = given.open()
                growing = self.choices.append if self.choices.growing is None else self.choices.growing
                # Frames of further inputs would follow what is left now.
                source.growing = growing and index + 1 == len(self.inputs)
                try:
                    empty = not self._fits(given, source)
                    if store is None:
                        # Not before the first input was opened: there is no store if it cannot be read.
                        store = self._opened(source)
                    else:
                        _units.state(store, source.units)
                    if not empty:
                        self._one(store, index, given, source)
                    self.notes += source.notes
                finally:
                    source.close()
            assert store is not None
            if self.record.duplicates != "keep":
                self.record.duplicates = "keep"
                self._keep(store)
            self._show(len(self.inputs), 0.0, always=True)
            records = len(store)
        except BaseException:
            # What was read before an error or Ctrl-C is committed. If the error is that the store cannot be written,
            # closing it fails too, and says less.
            if store is not None:
                with contextlib.suppress(Error):
                    store.close()
            raise
        store.close()
        notes = [*self.notes, *self.seen.notes(self.how)]
        return Imported(
            self.frames, self.skipped, self.dropped, records, list(dict.fromkeys(notes)), self.seen.met
        )

    def _fits(self, given: Input, source: Source) -> bool:
        """Whether there is a frame yet; refuses one that cannot be stored."""
        first = next(source.frames(0), None)
        if first is None:
            if source.growing:
                return False
            raise FormatError(f"{os.fspath(given.path)}: it has no frames")
        self._check_sites(given, 0, first)
        making = self._cast(first)
        making.frame(None)
        return True

    def _check_sites(self, given: Input, at: int, making: Making) -> None:
        topology = self.choices.topology
        if topology is not None and topology.nsites != making.sites:
            raise InvalidError(
                f"{os.fspath(given.path)}, frame {at}: it has {making.sites} atoms, the topology {topology.nsites}: "
                "give a topology of the same atoms"
            )

    def _opened(self, source: Source) -> vlstore.Trajectory:
        choices = self.choices
        mode = "w" if choices.overwrite else "a" if choices.append else "x"
        store = _units.writable(self.path, mode, source.units, choices.options)
        try:
            record = Record.of(store.attrs.get(NAME))
            if record is None and len(store) and not choices.keep_all:
                raise self._refusal(
                    "unknown",
                    "it does not say which inputs of this kind its frames come from; keep_all=True adds all frames of "
                    "the inputs",
                )
            if record is None:
                record = Record([], choices.key_prefix, choices.float32, choices.precision, choices.masses)
            for name in ("float32", "precision", "masses"):
                if getattr(record, name) != getattr(choices, name):
                    raise self._refusal(
                        "options", f"its frames were imported with {name}={getattr(record, name)}: give the same"
                    )
            if choices.key_prefix not in (None, record.key_prefix):
                raise self._refusal(
                    "options", f"its keys have the prefix {record.key_prefix!r}: give the same, or none"
                )
        except BaseException:
            store.close()
            raise
        self.record, self.claimed = record, set[int]()
        # What was asked for holds until the import has ended.
        self.how = record.duplicates = choices.duplicates or record.duplicates
        self.seen = self._learnt(store)
        store._quantise_positions(choices.positions == "quantised" or choices.precision is not None)
        self.known = {topology.digest: topology for topology in store.topologies()}
        self.before: str | None = None
        for name, value in source.attributes.items():
            if name not in store.attrs:
                store.attrs[name] = value
        return store

    def _refusal(self, reason: str, why: str) -> ResumeError:
        error = ResumeError(f"{os.fspath(self.path)} cannot be added to: {why}")
        error.reason = reason
        return error

    def _one(self, store: vlstore.Trajectory, index: int, given: Input, source: Source) -> None:
        self.before = None
        row = None if self.choices.keep_all else self._known_row(store, given, source)
        if row is None:
            row = self._new_row(store, given, source)
            makings, at = source.frames(0), 0
        else:
            makings, at = self._behind(store, row, given, source)
            self.skipped += at
        for making in makings:
            if row is not self.record.rows[-1]:
                raise self._refusal(
                    "out of order",
                    f"{os.fspath(given.path)} has new frames behind frame {at - 1}, and frames of other inputs follow "
                    "those in the store; import it into a store of its own",
                )
            if row.upto is not None:
                row.upto = None
                self._keep(store)
            self._check_sites(given, at, making)
            self._cast(making)
            if self._is_taken(store, given, row, at, making):
                prefix, number = self.record.key_prefix, len(store)
                store.insert(number if prefix is None else f"{prefix}{number}", self._frame(making))
                self.frames += 1
                if self.choices.commit_frames and self.frames % self.choices.commit_frames == 0:
                    store.commit()
            at += 1
            self._show(index, at / source.total if source.total else getattr(source, "part", 0.0))
        if row.upto is None:
            row.upto = len(store)
            self._keep(store)
        self._show(index + 1, 0.0)

    def _learnt(self, store: vlstore.Trajectory) -> Known:
        """What is known of the stored frames: of the newest, or of the last alone."""
        seen, count = Known(), len(store)
        begin = max(0, count - (1 if self.how == "keep" else REMEMBERED))
        seen.begin(begin)
        for at in range(begin, count, _AT_ONCE):
            part = range(at, min(at + _AT_ONCE, count))
            for ordinal, frame in zip(part, store.at.batch(part), strict=True):
                seen.take(mark(frame.step, frame.time, frame.positions), ordinal)
        return seen

    def _is_taken(self, store: vlstore.Trajectory, given: Input, row: Row, at: int, making: Making) -> bool:
        """Whether a frame is stored, after it was looked for among those that are."""
        fields = making.fields
        looked = mark(fields.get("step"), fields.get("time"), fields.get("positions"))
        found, seen, how = self.seen.find(looked), self.seen, self.how
        same = compared = False
        if found is not None:
            compared = seen.compares(how, looked)
            same = compared and self._equal(store, found, making)
            if not same and not seen.is_version(looked):
                found = None
        if found is None:
            seen.take(looked, len(store))
            return True
        path = os.fspath(given.path)
        if how == "refuse":
            what = Span(path, at, looked.clock, same, self._whose(row, found)).what()
            raise FormatError(
                f"{path}, frame {at}: {what}; duplicates=\"keep\" stores both, \"drop\" the same frame once, "
                '"latest" the later of two versions'
            )
        replaces = how == "latest" and not same and seen.may_replace(found)
        replaced = len(store) - found if replaces else 0
        seen.meet(
            path, at, looked, lambda: self._whose(row, found), same=same, compared=compared, replaced=replaced
        )
        if same and how in ("drop", "latest"):
            row.leave_out(at)
            self._keep(store)
            self.skipped += 1
            return False
        if replaces:
            self._delete_from(store, found)
        seen.take(looked, len(store), replaces=replaces)
        return True

    def _whose(self, row: Row, ordinal: int) -> str:
        """What a stored frame is of, as a person calls it."""
        for one in reversed(self.record.rows):
            if one.first <= ordinal and (one.upto is None or ordinal < one.upto):
                return "the same file" if one is row else one.file
        return "the store"

    def _delete_from(self, store: vlstore.Trajectory, kept: int) -> None:
        """Delete the frames from there on: later versions of them follow."""
        count = len(store)
        for row in self.record.rows:
            upto = count if row.upto is None else row.upto
            for stored in reversed(range(max(row.first, kept), upto)):
                row.leave_out(row.source(stored - row.first))
            row.first = min(row.first, kept)
            row.upto = None if row.upto is None else min(row.upto, kept)
        self._keep(store)
        for ordinal in reversed(range(kept, count)):
            del store[store.at.key(ordinal)]
        self.dropped += count - kept

    def _keep(self, store: vlstore.Trajectory) -> None:
        store.attrs[NAME] = self.record.value()

    def _new_row(self, store: vlstore.Trajectory, given: Input, source: Source) -> Row:
        rows = self.record.rows
        if rows and rows[-1].upto is None:
            if not self.choices.keep_all:
                raise self._refusal(
                    "unfinished",
                    f"an import was stopped in {rows[-1].file}: give this input first; keep_all=True adds all frames of "
                    "the inputs that are given",
                )
            rows[-1].upto = len(store)
        if len(store) and not self.choices.mixed:
            sites = int(store.at.weights([len(store) - 1])[0])
            first = next(source.frames(0))
            if first.sites != sites and self._all_have(store, sites):
                raise self._refusal(
                    "sites",
                    f"{os.fspath(given.path)} has {first.sites} atoms in its first frame, all frames of the store have "
                    f"{sites}: another molecule? mixed=True accepts it",
                )
        row = Row(os.path.basename(os.fspath(given.path)), digest(given.path), given.format, len(store))
        rows.append(row)
        self.claimed.add(len(rows) - 1)
        self._keep(store)
        return row

    @staticmethod
    def _all_have(store: vlstore.Trajectory, sites: int) -> bool:
        # Most often the sizes of a set of molecules differ at its beginning.
        chunks = (range(at, min(at + 4096, len(store))) for at in range(0, len(store), 4096))
        return all((np.asarray(store.at.weights(chunk)) == sites).all() for chunk in chunks)

    def _known_row(self, store: vlstore.Trajectory, given: Input, source: Source) -> Row | None:
        """The row of this input: known by its first frame, wherever the file lies now."""
        path, rows = digest(given.path), self.record.rows
        order = sorted(range(len(rows)), key=lambda i: rows[i].path != path)
        for i in order:
            row = rows[i]
            empty = row.first == (len(store) if row.upto is None else row.upto)
            if i in self.claimed or row.format != given.format:
                continue
            first = None if empty else next(source.frames(row.source(0)), None)
            same = first is not None and self._equal(store, row.first, self._cast(first))
            if row.path == path if empty else same:
                self.claimed.add(i)
                return row
        if any(rows[i].path == path and i not in self.claimed for i in order):
            raise self._refusal(
                "replaced",
                f"{os.fspath(given.path)} does not begin with the frame that was imported from it: another file has its "
                "name now; rename it to import it as a further input",
            )
        return None

    def _behind(
        self, store: vlstore.Trajectory, row: Row, given: Input, source: Source
    ) -> tuple[Iterator[Making], int]:
        """The frames of an input that the store does not have, after the last one that it has was compared."""
        count = (len(store) if row.upto is None else row.upto) - row.first
        begin = row.behind(count)
        if count == 0:
            return source.frames(begin), begin
        at = row.source(count - 1)
        makings = source.frames(at)
        last = next(makings, None)
        if last is None:
            raise self._refusal(
                "replaced", f"the store has {count} frames of {os.fspath(given.path)}, which has fewer now"
            )
        if not self._equal(store, row.first + count - 1, self._cast(last)):
            raise self._refusal(
                "replaced",
                f"frame {at} of {os.fspath(given.path)} is not the frame that was imported from it: the file was "
                "replaced, or frames were added to or deleted from the store",
            )
        if self.choices.topology is None:
            self.before = last.topology().digest
        # Frames that were left out follow it.
        return itertools.islice(makings, begin - at - 1, None), begin

    def _equal(self, store: vlstore.Trajectory, at: int, making: Making) -> bool:
        stored = store.at[at]
        if self.choices.topology is not None:
            if self.choices.topology.nsites != making.sites:
                return False
            return bool(stored == with_topology(making, self.choices.topology))
        if stored.topology is None:
            return bool(stored == making.frame(None))
        return bool(stored == making.frame(making.topology()))

    def _frame(self, making: Making) -> MdFrame:
        if self.choices.topology is not None:
            return with_topology(making, self.choices.topology)
        if self.choices.topologies == "never":
            return making.frame(None)
        topology = making.topology()
        if not _says_something(topology):
            return making.frame(None)
        repeated, self.before = topology.digest == self.before, topology.digest
        # What the file says itself has no other place than a topology.
        repeated |= topology.bonds is not None or topology.names is not None or topology.digest in self.known
        if self.choices.topologies == "repeated" and not repeated:
            return making.frame(None)
        return making.frame(self.known.setdefault(topology.digest, topology))

    def _cast(self, making: Making) -> Making:
        fields, choices = making.fields, self.choices
        if choices.masses == "elements":
            self._weigh(making)
        if choices.float32:
            for name, value in fields.items():
                if isinstance(value, np.ndarray) and value.dtype == np.float64 and name not in ("cell", "stress"):
                    fields[name] = value.astype(np.float32)
        if choices.precision is not None and "positions" in fields:
            fields["positions"] = rounded(fields["positions"], choices.precision)
            fields["precision"] = choices.precision
        return making

    def _weigh(self, making: Making) -> None:
        """Adds the masses of the elements, unless there are masses."""
        given = self.choices.topology
        if "masses" in making.fields or (given is not None and given.masses is not None):
            return
        if isinstance(making, Draft) and making.known is not None:
            if self.weighed is None or self.weighed[0] is not making.known:
                self.weighed = (making.known, weighed(making.known, "masses"))
            making.known = self.weighed[1]
            if making.known.masses is not None:
                return
        types = making.fields.get("types")
        if types is None:
            raise FormatError(
                "masses: the atoms have no elements; name them with a topology, such as a PDB file with elements"
            )
        making.fields["masses"] = masses_of(types, "masses")

    def _show(self, index: int, part: float, *, always: bool = False) -> None:
        """Tell how many bytes were read, by the part of the frames."""
        if self.choices.progress is None:
            return
        now = time.monotonic()
        if always or now - self.shown >= _EACH:
            self.shown = now
            done = sum(self.sizes[:index]) + (int(part * self.sizes[index]) if part else 0)
            self.choices.progress(done, sum(self.sizes))


def _says_something(topology: Topology) -> bool:
    held = (topology.types, topology.masses, topology.bonds, topology.names)
    return any(value is not None for value in held) or len(topology.atom_properties) > 0
