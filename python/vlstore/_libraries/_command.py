"""``vlstore import`` and ``export`` of files that libraries read and write, with the options of the command."""

from __future__ import annotations

import argparse
import errno
import json
import os
import shlex
import signal
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import vlstore
from vlstore._libraries import format_of
from vlstore._libraries._detect import topology_format
from vlstore.errors import CorruptError, Error, InvalidError, ResumeError, StoreExistsError

_SIZES = {
    "b": 1, "k": 1 << 10, "kib": 1 << 10, "m": 1 << 20, "mib": 1 << 20, "g": 1 << 30, "gib": 1 << 30,
    "kb": 1000, "mb": 10**6, "gb": 10**9,
}
_TIMES = {"ms": 0.001, "s": 1.0, "sec": 1.0, "min": 60.0}
_FRAMES = ("", "f", "frame", "frames")
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# What the command does not repeat when it says how to resume.
_ONCE = ("--overwrite", "--keep-all", "--append")


class _Unknown(Exception):
    """These arguments are not for us."""


class _Terminated(BaseException):
    """The signal by which other programs end this one."""


class _Stop:
    """Ends an import on a signal where frames are counted; if none is within a second, wherever it is.

    What a handler raises while an object is freed Python prints and drops, and libraries free objects all the time.
    """

    def __init__(self, progress: Callable[[int, int], Any] | None) -> None:
        self.why: type[BaseException] | None = None
        self.progress = progress

    def told(self, number: int, _: object) -> None:
        first = self.why is None
        self.why = KeyboardInterrupt if number == signal.SIGINT else _Terminated
        if not first or not hasattr(signal, "setitimer"):
            raise self.why
        signal.signal(signal.SIGALRM, self.late)
        signal.setitimer(signal.ITIMER_REAL, 1)

    def late(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Raise what was asked for."""
        if self.why is not None:
            self.still()
            raise self.why

    def still(self) -> None:
        """Let nothing come any more: what was read is committed."""
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0)

    def __call__(self, done: int, total: int) -> None:
        self.end()
        if self.progress is not None:
            self.progress(done, total)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        raise _Unknown(message)


def _split(text: str) -> tuple[int, str]:
    digits = len(text) - len(text.lstrip("0123456789"))
    if not digits:
        raise _Unknown(text)
    return int(text[:digits]), text[digits:].strip().lower()


def _size(text: str) -> int:
    number, unit = _split(text.strip())
    if unit and unit not in _SIZES:
        raise _Unknown(text)
    return number * _SIZES.get(unit, 1)


def parser() -> argparse.ArgumentParser:
    """The options of ``vlstore import``, with the names of the arguments of :func:`vlstore.import_`."""
    out = _Parser("vlstore import", add_help=False, allow_abbrev=False)
    out.add_argument("inputs", nargs="+")
    out.add_argument("store")
    for name in (
        "--append", "--overwrite", "--drop-newer", "--keep-all", "--same-units", "--mixed", "--out-of-order", "--float32"
    ):
        out.add_argument(name, action="store_true")
    out.add_argument("--growing", dest="growing", action="store_const", const=True, default=None)
    out.add_argument("--finished", dest="growing", action="store_const", const=False)
    out.add_argument("--from-step", type=int)
    out.add_argument("--from-frame", type=int)
    for name in ("--duplicates", "--format", "--topology", "--topologies", "--positions", "--masses"):
        out.add_argument(name)
    out.add_argument("--map", action="append", default=[])
    out.add_argument("--reader", action="append", default=[])
    out.add_argument("--precision", type=float)
    out.add_argument("--name-prefix", dest="key_prefix")
    for name in ("--purpose", "--compression", "--alignment", "--durability", "--frames"):
        out.add_argument(name)
    for name in ("--level", "--threads"):
        out.add_argument(name, type=int)
    for name in ("--chunk-size", "--block-size"):
        out.add_argument(name, type=_size)
    out.add_argument("--commit-every", action="append", default=[])
    out.add_argument("--accept-older", action="store_true", default=None)
    out.add_argument("--quiet", "-q", action="store_true")
    return out


_OF_STORE = (
    "purpose", "compression", "alignment", "durability", "frames", "level", "threads", "chunk_size", "block_size", "accept_older",
)


def _call(given: dict[str, Any]) -> dict[str, Any]:
    """The arguments of :func:`vlstore.import_`."""
    pairs = [pair.rpartition("=") for pair in given.pop("map")]
    given["map"] = {name: target for name, _, target in pairs} or None
    reader: dict[str, Any] = {}
    for pair in given.pop("reader"):
        name, _, text = pair.partition("=")
        try:
            reader[name] = json.loads(text)
        except ValueError:
            reader[name] = text
    given["reader"] = reader or None
    for every in ",".join(given.pop("commit_every")).split(","):
        if not every:
            continue
        # Only what is asked for: the others are off, as in the command.
        given.setdefault("commit_bytes", 2**63 - 1)
        given.setdefault("commit_interval", 1e9)
        number, unit = _split(every.strip())
        if unit in _FRAMES:
            given["commit_frames"] = number
        elif unit in _TIMES:
            given["commit_interval"] = number * _TIMES[unit]
        else:
            given["commit_bytes"] = _size(every)
    for name in ("positions", "topologies", "masses", *_OF_STORE):
        if given.get(name) is None:
            given.pop(name, None)
    return given


def run(words: list[str]) -> int | None:
    """Do what the words behind ``vlstore`` ask for, and return the status; None if they are for the compiled command."""
    if "--help" in words or "-h" in words:
        return None
    if words[:1] == ["export"]:
        return _export(words)
    if words[:1] != ["import"]:
        return None
    try:
        given = vars(parser().parse_args(words[1:]))
        inputs, own = given["inputs"], given["format"]
        ours = any(format_of(path, own) for path in inputs)
        if given["reader"] and not ours:
            raise InvalidError(
                f"--reader: for formats that a library reads, and {inputs[0]} is not recognised as one; name its format, "
                "such as --format lammps-dump"
            )
        if not ours and not (given["topology"] and topology_format(given["topology"])):
            return None
        if "-" in inputs:
            raise InvalidError("inputs: standard input is not read through a library; name a file")
        call = _call(given)
    except (_Unknown, OSError):
        return None
    except Error as error:
        return _refused(error, words)
    return _import(call, words)


def _slice(text: str) -> slice:
    parts = text.split(":")
    if len(parts) not in (2, 3):
        raise _Unknown(text)
    try:
        return slice(*(int(part) if part else None for part in parts))
    except ValueError as error:
        raise _Unknown(text) from error


def export_parser() -> argparse.ArgumentParser:
    """The options of ``vlstore export``."""
    out = _Parser("vlstore export", add_help=False, allow_abbrev=False)
    out.add_argument("store")
    out.add_argument("output")
    out.add_argument("--to", dest="format")
    for name in ("--frames", "--atoms"):
        out.add_argument(name, type=_slice)
    for name in ("--atoms-of", "--fields"):
        out.add_argument(name)
    out.add_argument("--precision", type=float)
    for name in ("--skip-unfit", "--overwrite"):
        out.add_argument(name, action="store_true")
    out.add_argument("--quiet", "-q", action="store_true")
    return out


def _export(words: list[str]) -> int | None:
    try:
        given = vars(export_parser().parse_args(words[1:]))
    except _Unknown:
        return None
    if given["format"] != "h5md" and (given["format"] or not given["output"].lower().endswith((".h5md", ".h5"))):
        return None
    quiet = given.pop("quiet")
    given["fields"] = given["fields"].split(",") if given["fields"] else None
    bar = None if quiet or not sys.stderr.isatty() else _Bar()
    try:
        done = vlstore.export(progress=bar, **given)
    except (Error, ImportError) as error:
        _end(bar)
        return _refused(error, words)
    _end(bar)
    if not quiet:
        if done.skipped:
            listed = ", ".join(map(str, done.skipped[:8])) + (" ..." if len(done.skipped) > 8 else "")
            _say(f"note: left out {_many(len(done.skipped))} that H5MD cannot hold: ordinals {listed}")
        if done.left_out:
            _say(f"note: H5MD has no place for {', '.join(done.left_out)}")
        if not done.units_stated:
            _say("note: the store does not state its units, so the file states none")
        print(f"{given['output']}: {_many(done.frames)} as h5md")
    return 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _again(words: list[str]) -> str:
    rest = [word for word in words[1:] if word not in _ONCE]
    return shlex.join(["vlstore", "import", "--append", *rest])


def _refused(error: BaseException, words: list[str], stored: int = 0) -> int:
    _say(f"error: {error}")
    if isinstance(error, StoreExistsError) and words[0] == "import":
        _say(f"hint: to add the frames that it does not have: {_again(words)}")
    elif stored:
        space = "free some space, then resume" if getattr(error, "errno", None) in _FULL else "to resume"
        _say(f"hint: every commit is kept; {space}: {_again(words)}")
    return 3 if isinstance(error, CorruptError) else 1


def _stored(path: str) -> int:
    """How many frames a store has; 0 if there is none that can be read."""
    try:
        with vlstore.open(path) as store:
            return len(store)
    except Error:
        return 0


def _import(call: dict[str, Any], words: list[str]) -> int:
    quiet, store = call.pop("quiet"), call["store"]
    begun, before = time.monotonic(), _stored(store)
    # The command ends on Ctrl-C at once; here what was read is committed first. A queue of jobs sends the other signal.
    bar = None if quiet or not sys.stderr.isatty() else _Bar()
    stop = _Stop(bar)
    held = {number: signal.signal(number, stop.told) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always", UserWarning)
            try:
                done = vlstore.import_(progress=stop, **call)
            finally:
                stop.still()
    except (KeyboardInterrupt, _Terminated) as why:
        _end(bar)
        _say(f"interrupted: {_many(_stored(store))} stored in {store}")
        _say(f"hint: to resume: {_again(words)}")
        return 143 if isinstance(why, _Terminated) else 130
    except (Error, ImportError, TypeError) as error:
        _end(bar)
        after = 0 if isinstance(error, (StoreExistsError, ResumeError)) else _stored(store)
        if after == before:
            return _refused(error, words)
        _say(f"{store}: {_many(after)} stored, up to the error")
        return _refused(error, words, after)
    finally:
        for number, handler in held.items():
            signal.signal(number, handler)
    _end(bar)
    if quiet:
        return 0
    for warning in said:
        _say(f"note: {warning.message}")
    if done.skipped:
        print(f"skipped {_many(done.skipped)}: the store has them already, or they were not requested")
    rate = done.frames / max(time.monotonic() - begun, 1e-9)
    size = os.path.getsize(store)
    print(f"{store}: {_many(done.frames)} imported, {done.records} in all; {size / 2**20:.1f} MiB, {rate:.0f} frames/s")
    return 0


def _many(frames: int) -> str:
    return f"{frames} frame{'' if frames == 1 else 's'}"


class _Bar:
    """A line on a terminal."""

    def __init__(self) -> None:
        self.begun = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        part = done / total if total else 0.0
        gone = time.monotonic() - self.begun
        left = f", {gone * (1 - part) / part:.0f} s left" if part else ""
        sys.stderr.write(f"\r\x1b[K{100 * part:3.0f}% {'#' * int(30 * part):30s}{left}")
        sys.stderr.flush()


def _end(bar: _Bar | None) -> None:
    if bar is not None:
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()
