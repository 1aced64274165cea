"""Dumps of LAMMPS as text, https://docs.lammps.org/dump.html."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from vlstore._libraries._detect import opened
from vlstore._libraries._source import Draft
from vlstore.errors import FormatError, InvalidError
from vlstore.plugins._elements import numbers
from vlstore.plugins._units import Units

#: https://docs.lammps.org/units.html
STYLES = {
    "real": Units("angstrom", "fs", "angstrom/fs", "kcal/mol", "kcal/mol/angstrom"),
    "metal": Units("angstrom", "ps", "angstrom/ps", "eV", "eV/angstrom"),
    "lj": Units("lj", "lj", "lj", "lj", "lj", "lj", "lj"),
}
# Columns of positions, in the order in which they are looked for: unwrapped ones say more.
_POSITIONS = (("xu", "yu", "zu", False), ("x", "y", "z", False), ("xsu", "ysu", "zsu", True), ("xs", "ys", "zs", True))
_VECTORS = {"velocities": ("vx", "vy", "vz"), "forces": ("fx", "fy", "fz")}
_WHOLE = ("type", "mol", "id", "ix", "iy", "iz", "proc")


class LammpsSource:
    """The frames of a dump, atoms in the order of their numbers, positions as in the file (float64)."""

    total: int | None = None
    #: Whether it may still be written to: then a last frame that is not whole is left.
    growing = False

    def __init__(self, path: str | os.PathLike[str], units: str | None = None, dt: float | None = None) -> None:
        self.path = os.fspath(path)
        self.notes: list[str] = []
        self.attributes: dict[str, Any] = {}
        self._dt, self._size = dt, os.path.getsize(path)
        self._file: Any = None
        style = self._stated() if units is None else units
        if style is None:
            raise FormatError(
                f"{self.path}: it does not state its units; say the `units` of the LAMMPS script: "
                f'reader={{"units": "metal"}}, on the command line --reader units=metal (or {", ".join(STYLES)})'
            )
        if style not in STYLES:
            raise InvalidError(f"{self.path}: units {style!r} are not one of {', '.join(STYLES)}")
        self.units = STYLES[style]

    def _stated(self) -> str | None:
        with opened(self.path) as file:
            if file.readline().split() == [b"ITEM:", b"UNITS"]:
                return str(file.readline().decode("ascii", "replace").strip())
        return None

    @property
    def part(self) -> float:
        """The part of the file that was read; 0 for one that is compressed."""
        at = self._file.tell() if isinstance(self._file, io.BufferedReader) else 0
        return min(at / max(self._size, 1), 1.0)

    def frames(self, start: int) -> Iterator[Draft]:
        """The frames from ``start`` on."""
        with opened(self.path) as file:
            self._file, self._line = file, 0
            frame = 0
            while True:
                try:
                    head = self._head(frame)
                    if head is None:
                        return
                    lines = self._lines(head["atoms"], frame)
                except EOFError as error:
                    if self.growing:
                        self.notes = [f"{self.path}: frame {frame} is not complete yet; the next import takes it"]
                        return
                    raise self._wrong(frame, f"the file ends inside of it ({error})") from error
                if frame >= start:
                    yield self._draft(head, lines, frame)
                frame += 1

    def _wrong(self, frame: int, why: str, line: int | None = None) -> FormatError:
        return FormatError(f"{self.path}, line {self._line if line is None else line}, frame {frame}: {why}")

    def _next(self) -> bytes:
        line: bytes = self._file.readline()
        self._line += 1
        if not line:
            raise EOFError(f"line {self._line}")
        if not line.endswith(b"\n"):
            if self.growing:
                raise EOFError(f"line {self._line}")
            note = f"{self.path}, line {self._line}: the last line has no end, so its last number may be cut"
            self.notes = [note]
        return line

    def _numbers(self, frame: int, count: int) -> list[float]:
        words = self._next().split()
        try:
            found = [float(word) for word in words]
        except ValueError:
            found = []
        if len(found) != count:
            raise self._wrong(frame, f"{count} number{'s' if count > 1 else ''} expected, not {b' '.join(words)[:80]!r}")
        return found

    def _head(self, frame: int) -> dict[str, Any] | None:
        """All of a frame up to the line that names the columns."""
        head: dict[str, Any] = {}
        first = True
        while True:
            try:
                line = self._next()
            except EOFError:
                if first and not self._file.read(1):
                    return None
                raise
            words = line.split()
            if not words and first:
                continue
            first = False
            if words[:1] != [b"ITEM:"]:
                raise self._wrong(frame, f"ITEM: expected, not {line[:80]!r}")
            item = words[1:]
            if item == [b"TIMESTEP"]:
                head["step"] = int(self._numbers(frame, 1)[0])
            elif item == [b"TIME"]:
                head["time"] = self._numbers(frame, 1)[0]
            elif item == [b"UNITS"]:
                self._next()
            elif item == [b"NUMBER", b"OF", b"ATOMS"]:
                head["atoms"] = int(self._numbers(frame, 1)[0])
                if head["atoms"] < 0 or head["atoms"] * 2 > max(self._size, 1) * 1100:
                    raise self._wrong(frame, f"{head['atoms']} atoms are not in a file of {self._size} bytes")
            elif item[:2] == [b"BOX", b"BOUNDS"]:
                self._box(head, item[2:], frame)
            elif item[:1] == [b"ATOMS"]:
                if not {"step", "atoms", "cell"} <= head.keys():
                    raise self._wrong(frame, "TIMESTEP, NUMBER OF ATOMS and BOX BOUNDS come before ATOMS")
                head["columns"] = [word.decode("utf-8", "replace") for word in item[1:]]
                return head
            else:
                raise self._wrong(frame, f"the item {b' '.join(item)[:80]!r} is not known")

    def _box(self, head: dict[str, Any], words: list[bytes], frame: int) -> None:
        said = [word for word in words if word not in (b"xy", b"xz", b"yz", b"abc", b"origin")]
        head["pbc"] = tuple(word == b"pp" for word in said) if len(said) == 3 else (True,) * 3
        if b"abc" in words:
            rows = np.array([self._numbers(frame, 4) for _ in range(3)])
            head["cell"], head["origin"] = rows[:, :3], rows[:, 3]
            return
        tilted = b"xy" in words
        rows = np.array([self._numbers(frame, 3 if tilted else 2) for _ in range(3)])
        low, high = rows[:, 0].copy(), rows[:, 1].copy()
        xy, xz, yz = rows[:, 2] if tilted else (0.0, 0.0, 0.0)
        # The bounds of a tilted box are those of the box around it.
        low[:2] -= min(0.0, xy, xz, xy + xz), min(0.0, yz)
        high[:2] -= max(0.0, xy, xz, xy + xz), max(0.0, yz)
        length = high - low
        head["cell"] = np.array([[length[0], 0, 0], [xy, length[1], 0], [xz, yz, length[2]]])
        head["origin"] = low

    def _lines(self, count: int, frame: int) -> list[bytes]:
        lines = []
        for _ in range(count):
            line = self._next()
            if line.startswith(b"ITEM:"):
                raise self._wrong(frame, f"{count} atoms expected, there are {len(lines)}")
            lines.append(line)
        return lines

    def _draft(self, head: dict[str, Any], lines: list[bytes], frame: int) -> Draft:
        names, count = head["columns"], head["atoms"]
        columns = self._all_numbers(names, lines)
        if columns is None:
            columns = self._words(names, lines, frame)
        if "id" in columns:
            ids = columns["id"]
            order = np.argsort(ids, kind="stable")
            if count and (np.diff(ids[order]) == 0).any():
                twice = ids[order][1:][np.diff(ids[order]) == 0][0]
                raise self._wrong(frame, f"the atom {twice} occurs twice")
            columns = {name: column[order] for name, column in columns.items()}
            if (columns["id"] == np.arange(1, count + 1)).all():
                del columns["id"]
        return self._made(head, columns, frame)

    @staticmethod
    def _all_numbers(names: list[str], lines: list[bytes]) -> dict[str, Any] | None:
        """The columns, if all are numbers: the usual case, and faster."""
        if not lines:
            return None
        try:
            table = np.loadtxt(io.StringIO(b"".join(lines).decode("ascii")), comments=None, ndmin=2)
        except ValueError:
            return None
        if table.shape != (len(lines), len(names)):
            return None
        whole = [i for i, name in enumerate(names) if name in _WHOLE]
        # Beyond this not every integer is a float64.
        if not (np.abs(table[:, whole]) < 2**53).all() or (table[:, whole] % 1).any():
            return None
        return {
            name: table[:, i].astype(np.int64) if i in whole else table[:, i].copy() for i, name in enumerate(names)
        }

    def _words(self, names: list[str], lines: list[bytes], frame: int) -> dict[str, Any]:
        count = len(lines)
        words = [line.split() for line in lines]
        for at, row in enumerate(words):
            if len(row) != len(names):
                line = self._line - count + 1 + at
                raise self._wrong(frame, f"{len(names)} columns expected, there are {len(row)}", line)
        table = np.array(words, dtype=bytes).reshape(count, len(names))
        return {name: self._column(name, table[:, i]) for i, name in enumerate(names)}

    @staticmethod
    def _column(name: str, words: Any) -> Any:
        try:
            return words.astype(np.int64 if name in _WHOLE else np.float64)
        except (ValueError, OverflowError):
            return np.array([word.decode("utf-8", "replace") for word in words])

    def _made(self, head: dict[str, Any], columns: dict[str, Any], frame: int) -> Draft:
        fields: dict[str, Any] = {"step": head["step"], "pbc": head["pbc"]}
        if np.any(head["cell"]):
            fields["cell"] = head["cell"]
        if "time" in head or self._dt is not None:
            fields["time"] = head["time"] if "time" in head else head["step"] * self._dt
        taken = lambda *which: np.stack([columns.pop(name) for name in which], axis=1)  # noqa: E731
        for *axes, is_scaled in _POSITIONS:
            if all(axis in columns for axis in axes):
                found = taken(*axes)
                fields["positions"] = head["origin"] + found @ head["cell"] if is_scaled else found
                break
        for name, axes in _VECTORS.items():
            if all(axis in columns for axis in axes):
                fields[name] = taken(*axes)
        for name, column in (("masses", "mass"), ("charges", "q")):
            if column in columns:
                fields[name] = columns.pop(column)
        for name, value in fields.items():
            if isinstance(value, np.ndarray) and value.dtype.kind != "f":
                raise self._wrong(frame, f"a value of {name} is not a number")
        types = numbers(columns["element"]) if "element" in columns else None
        if types is not None:
            fields["types"] = types
            del columns["element"]
        of_atoms: dict[str, Any] = {}
        if {"ix", "iy", "iz"} <= columns.keys():
            of_atoms["image"] = taken("ix", "iy", "iz")
        labels = {name: columns.pop(name) for name in ("id", "type", "mol", "element") if name in columns}
        lists = lambda value: value.tolist() if value.dtype.kind == "U" else value  # noqa: E731
        of_atoms |= {name: lists(value) for name, value in columns.items()}
        of_frame = {"origin": head["origin"]} if np.any(head["origin"]) else {}
        return Draft(
            head["atoms"], fields, of_atoms, of_frame, labels={name: lists(value) for name, value in labels.items()}
        )

    def close(self) -> None:
        """Nothing is open between frames."""
