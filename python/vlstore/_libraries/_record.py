"""The record of an import through libraries that a store keeps: which inputs its frames come from, and which of its
frames they are.

Every frame of an input is stored but for those that are listed, so the place where an import was stopped follows from
the number of frames in the store; nothing needs to be written between the frames.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import asdict, dataclass, field
from typing import Any

from vlstore.errors import UnsupportedError

#: The attribute of the store.
NAME = "imported"
_VERSION = 1


def digest(path: str | os.PathLike[str]) -> str:
    """What the record has of a path, which says nothing of the folders of a person."""
    return hashlib.blake2s(os.path.abspath(path).encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()


@dataclass
class Row:
    """An input: the frames from ``first`` up to ``upto`` are its; ``None`` while it is read."""

    file: str
    path: str
    format: str
    first: int
    upto: int | None = None
    #: Frames of the input that are not stored since the store has them, or later versions: number of the first, count.
    passed: list[list[int]] = field(default_factory=list)

    def leave_out(self, frame: int) -> None:
        """Note that a frame is not stored."""
        spans = sorted([*self.passed, [frame, 1]])
        self.passed = [spans[0]]
        for start, count in spans[1:]:
            if start == sum(self.passed[-1]):
                self.passed[-1][1] += count
            else:
                self.passed.append([start, count])

    def source(self, stored: int) -> int:
        """Number in the input of the frame that is the ``stored``-th of it in the store."""
        for start, count in self.passed:
            if start <= stored:
                stored += count
        return stored

    def behind(self, stored: int) -> int:
        """Number in the input of the first frame that was not looked at, if ``stored`` of it are in the store."""
        return stored + sum(count for _, count in self.passed)

    def value(self) -> dict[str, Any]:
        """What is put into the attribute."""
        return {name: value for name, value in asdict(self).items() if name != "passed" or value}


@dataclass
class Record:
    """The inputs in the order of their frames, and how the frames were stored."""

    rows: list[Row] = field(default_factory=list)
    key_prefix: str | None = None
    float32: bool = False
    precision: float | None = None
    masses: str = "given"
    #: As it was asked for, until the import has ended.
    duplicates: str = "keep"

    @classmethod
    def of(cls, value: Any) -> Record | None:
        """The record in an attribute; None if there is none."""
        if value is None:
            return None
        if not isinstance(value, dict) or value.get("version") != _VERSION:
            raise UnsupportedError(
                f"the attribute {NAME!r} of the store was written by a later release of vlstore: import with that one"
            )
        rows = [Row(**row) for row in value["inputs"]]
        masses, duplicates = value.get("masses", "given"), value.get("duplicates", "keep")
        return cls(rows, value["key_prefix"], value["float32"], value["precision"], masses, duplicates)

    def value(self) -> dict[str, Any]:
        """What is put into the attribute."""
        return {
            "version": _VERSION,
            "inputs": [row.value() for row in self.rows],
            "key_prefix": self.key_prefix,
            "float32": self.float32,
            "precision": self.precision,
            "masses": self.masses,
            "duplicates": self.duplicates,
        }
