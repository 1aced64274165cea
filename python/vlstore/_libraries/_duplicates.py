"""Frames that the inputs have twice, as a simulation writes them that is started again from a checkpoint.

What a duplicate is, and what becomes of it, is that of ``trajectory::Duplicates`` in Rust.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

#: What can be asked for.
KINDS = ("keep", "drop", "latest", "refuse")
#: Frames that are remembered, the newest; a hundred bytes each.
REMEMBERED = 1 << 17
# After so many frames in a row with a stored step and other content the rest is taken to be another run.
_OTHERS = 16
# Spans that are told one by one.
_SPANS = 8

Clock = tuple[int | None, float | None]


def _before(a: Clock, b: Clock) -> bool:
    if a[0] is not None and b[0] is not None and a[0] != b[0]:
        return a[0] < b[0]
    return a[1] is not None and b[1] is not None and a[1] < b[1]


@dataclass(frozen=True)
class Mark:
    """What a frame is looked up by."""

    key: int
    clock: Clock

    @property
    def by_content(self) -> bool:
        """Whether it has neither a step nor a time."""
        return self.clock == (None, None)


def mark(step: Any, time: Any, positions: Any) -> Mark:
    """The mark of a frame with these fields, as it is stored."""
    clock = (None if step is None else int(step), None if time is None else float(time))
    if clock != (None, None):
        return Mark(hash(clock), clock)
    content = b"" if positions is None else np.ascontiguousarray(positions).tobytes()
    return Mark(int.from_bytes(hashlib.blake2s(content, digest_size=8).digest(), "little"), clock)


@dataclass
class Span:
    """Frames in a row of one input that are there already."""

    path: str
    first: int
    clock: Clock
    same: bool
    of: str
    count: int = 1
    last: Clock = (None, None)
    assumed: bool = False
    replaced: int = 0

    def what(self) -> str:
        """Which frames these are, and of what."""
        one = self.count == 1
        a, b = self.clock, self.clock if one else self.last
        name, i = ("step", 0) if a[0] is not None else ("time", 1)
        when = "" if a[i] is None else f" ({name} {a[i]})" if one else f" ({name}s {a[i]} to {b[i]})"
        which = f"frame {self.first}{when}" if one else f"frames {self.first} to {self.first + self.count - 1}{when}"
        if self.same:
            return f"{which} repeats a frame of {self.of}" if one else f"{which} repeat frames of {self.of}"
        if one:
            return f"{which} has the step of a frame of {self.of} and other content"
        compared = f" (the first {_OTHERS} were compared)" if self.assumed else ""
        return f"{which} have the steps of frames of {self.of} and other content{compared}"

    def text(self, how: str) -> str:
        """What a person should know."""
        if self.same:
            done = "stored once" if how in ("drop", "latest") else "both are kept; --duplicates drop stores them once"
        elif self.replaced:
            done = f"the later ones are stored, {self.replaced} earlier deleted"
        elif how == "latest":
            done = "both are kept: frames between them would be lost"
        else:
            done = "both are kept; if the simulation was restarted, --duplicates latest stores the later ones alone"
        return f"{self.path}: {self.what()}; {done}"


class Known:
    """The frames that were stored, as far as they are remembered."""

    def __init__(self) -> None:
        self._places: OrderedDict[int, int] = OrderedDict()
        self.last: Clock | None = None
        self._rose = False
        self._rising = 0
        self._others = 0
        self.spans: list[Span] = []
        self.met = self._untold = 0

    def begin(self, ordinal: int) -> None:
        """Learn the frames from there on."""
        self._rising = ordinal

    def find(self, mark: Mark) -> int | None:
        """The newest frame with this mark."""
        return self._places.get(mark.key)

    def is_version(self, mark: Mark) -> bool:
        """Whether a frame of this mark with other content is another version; where clocks stand still they say nothing."""
        return not mark.by_content and (self._rose or self.last != mark.clock)

    def compares(self, how: str, mark: Mark) -> bool:
        """Whether what is found is compared."""
        return how != "keep" or self._others < _OTHERS or self._back(mark)

    def may_replace(self, ordinal: int) -> bool:
        """Whether the frames from there on are the end of one run."""
        return ordinal >= self._rising

    def _back(self, mark: Mark) -> bool:
        return self.last is not None and _before(mark.clock, self.last)

    def take(self, mark: Mark, ordinal: int, *, replaces: bool = False) -> None:
        """A frame is stored; ``replaces``: those from there on were deleted."""
        if replaces:
            while self._places and next(reversed(self._places.values())) >= ordinal:
                self._places.popitem()
        elif self._back(mark):
            self._rising = ordinal
            self._others = min(self._others, 1)
        self._rose = self.last is not None and _before(self.last, mark.clock)
        self.last = mark.clock
        self._places.pop(mark.key, None)
        self._places[mark.key] = ordinal
        if len(self._places) > REMEMBERED:
            self._places.popitem(last=False)

    def meet(
        self, path: str, frame: int, mark: Mark, of: Callable[[], str], *, same: bool, compared: bool, replaced: int
    ) -> None:
        """A frame is there already."""
        self.met += 1
        self._others = 0 if same else self._others + 1
        span = self.spans[-1] if self.spans else None
        goes_on = span is not None and (span.path, span.first + span.count, span.same) == (path, frame, same)
        if span is not None and goes_on and not self._untold:
            span.count, span.last = span.count + 1, mark.clock
            span.assumed |= not compared
            span.replaced += replaced
        elif len(self.spans) < _SPANS:
            self.spans.append(Span(path, frame, mark.clock, same, of(), assumed=not compared, replaced=replaced))
        else:
            self._untold += 1

    def notes(self, how: str) -> list[str]:
        """What a person should know."""
        rest = [f"and {self._untold} more frames that are stored already"] if self._untold else []
        return [span.text(how) for span in self.spans] + rest
