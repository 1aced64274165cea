"""Objects that other libraries read by ranges (obstore, fsspec, huggingface_hub), and uploading and fetching."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

from vlstore import _core
from vlstore.errors import InvalidError, ReplacedError, WrongTypeError

if TYPE_CHECKING:
    from collections.abc import Callable
    from os import PathLike

# Requests of one call that run side by side.
_AT_ONCE = 16


class Pushed(NamedTuple):
    """What :func:`push` did."""

    #: Length of the store in bytes.
    bytes: int
    #: Bytes that were sent.
    sent: int
    #: Whether the object was the same state already.
    unchanged: bool


class Pulled(NamedTuple):
    """What :func:`pull` did."""

    #: Length of the store in bytes.
    bytes: int
    #: Bytes that were fetched.
    fetched: int
    #: Bytes that the older copy had.
    kept: int
    #: Whether the copy was up to date already.
    unchanged: bool


class _Obstore:
    """An object in a store of obstore: each request names the version that is wanted."""

    def __init__(self, store: Any, path: str) -> None:
        self.store, self.path = store, path
        self.name = f"{type(store).__name__}:{path}"

    def _get(self, start: int, end: int, version: str | None) -> tuple[Any, bytes]:
        options: dict[str, Any] = {"range": (start, end)}
        if version is not None:
            options["if_match"] = version
        try:
            found = self.store.get(self.path, options=options)
            meta = found.meta
            return meta, bytes(found.bytes())
        except Exception as error:
            # The class is of obstore, which is not imported here.
            if type(error).__name__ == "PreconditionError":
                raise ReplacedError(f"{self.name}: the object was replaced") from error
            if type(error).__name__ == "NotFoundError":
                raise FileNotFoundError(str(error)) from error
            raise

    def begin(self, most: int) -> tuple[int, str | None, bytes]:
        meta, start = self._get(0, most, None)
        return meta["size"], meta.get("e_tag"), start

    def read(self, ranges: list[tuple[int, int]], version: str | None) -> list[bytes]:
        def one(at: tuple[int, int]) -> bytes:
            meta, found = self._get(*at, version)
            if version is not None and meta.get("e_tag") != version:
                raise ReplacedError(f"{self.name}: the object was replaced")
            return found

        if len(ranges) == 1:
            return [one(ranges[0])]
        with ThreadPoolExecutor(min(_AT_ONCE, len(ranges))) as pool:
            return list(pool.map(one, ranges))


class _Fsspec:
    """A file in a file system of fsspec, whose requests name no version: the checksums of the store tell."""

    def __init__(self, system: Any, path: str) -> None:
        self.system, self.path = system, path
        protocol = system.protocol
        self.name = f"{protocol if isinstance(protocol, str) else protocol[0]}://{path}"

    def begin(self, most: int) -> tuple[int, str | None, bytes]:
        # What it remembers of folders may be of an object that was replaced.
        self.system.invalidate_cache()
        about = self.system.info(self.path)
        for key in ("ETag", "etag", "e_tag", "blob_id", "LastModified", "last_modified", "mtime"):
            if about.get(key):
                return about["size"], f"{key} {about[key]}", b""
        return about["size"], None, b""

    def read(self, ranges: list[tuple[int, int]], version: str | None) -> list[bytes]:
        starts, ends = [start for start, _ in ranges], [end for _, end in ranges]
        return [bytes(found) for found in self.system.cat_ranges([self.path] * len(ranges), starts, ends)]


def reader(store: Any, path: str | PathLike[str]) -> _Obstore | _Fsspec:
    """What reads the object ``path`` of ``store`` by ranges."""
    path = os.fspath(path)
    if not isinstance(path, str):
        raise WrongTypeError(f"path is a string where a store is given, not {path!r}")
    if hasattr(store, "cat_ranges") and hasattr(store, "info"):
        return _Fsspec(store, path)
    if hasattr(store, "get_ranges") and hasattr(store, "get"):
        return _Obstore(store, path)
    raise WrongTypeError(
        "store is a store of obstore or a file system of fsspec (an object with get_ranges or cat_ranges), "
        f"not {type(store).__name__}"
    )


def hub(url: str) -> tuple[Any, str]:
    """The file system of Hugging Face and the path in it for an address ``hf://...``."""
    try:
        from huggingface_hub import HfFileSystem
    except ImportError as error:
        raise InvalidError(f"{url}: install huggingface_hub to read and write hf:// addresses") from error
    return HfFileSystem(), url.removeprefix("hf://")


def push(
    file: str | PathLike[str],
    url: str,
    *,
    overwrite: bool = False,
    progress: Callable[[int, int], object] | None = None,
) -> Pushed:
    """Upload the store in ``file`` to ``url``.

    If the object there is the same state of the same store, nothing is sent; an older state of it is
    replaced, in one step, when all parts have arrived. After an error, or Ctrl-C, the object is as it was.

    Parameters
    ----------
    file : str or os.PathLike
        The store. No other process may write to it meanwhile; that is noticed.
    url : str
        ``s3://bucket/key``, ``gs://bucket/key``, ``az://container/key``, ``https://host/path``, or
        ``hf://datasets/user/name/path`` with ``huggingface_hub``. Credentials come from the environment.
    overwrite : bool
        Whether an object that is no older state of this store is replaced.
    progress : callable
        Is told the bytes done and to do.

    Raises
    ------
    StoreExistsError
        The object is another store, no store, or a newer state; ``overwrite=True`` replaces it.
    MissingFileError, PermissionDeniedError, SystemCallError
        The file or the bucket does not exist, access is denied, or the server does not answer.
    InvalidError, OlderStateError
        Somebody wrote to the file meanwhile; its newest commit cannot be read.
    """
    url = os.fspath(url)
    if url.startswith("hf://"):
        return _push_hub(os.fspath(file), url, overwrite, progress)
    return Pushed(**_core._push(file, url, overwrite, progress))


def _state(store: Any) -> tuple[str, int]:
    """The id of the file and the number of the commit, which travel with a pickled store, too."""
    seen: tuple[str, int] = store.__reduce__()[1][1]
    return seen


def _push_hub(
    file: str, url: str, overwrite: bool, progress: Callable[[int, int], object] | None
) -> Pushed:
    from vlstore._open import open

    system, path = hub(url)
    size = os.path.getsize(file)
    with open(file) as store:
        state = _state(store)
        if store.info()["opened"].startswith(("older", "last")):
            raise InvalidError(f"{file}: the newest commit cannot be read: `vlstore recover` saves what is left")
    if system.exists(path) and not overwrite:
        with open(path, store=system) as there:
            found = _state(there)
        if found == state and system.info(path)["size"] == size:
            return Pushed(size, 0, True)
        if found[0] != state[0] or found[1] > state[1]:
            from vlstore.errors import StoreExistsError

            raise StoreExistsError(
                f"{url}: another store, or a newer state of this one, exists already; overwrite=True "
                "(--overwrite) replaces it"
            )
    # One commit of the repository: all of the file or nothing.
    system.put_file(file, path)
    if progress is not None:
        progress(size, size)
    return Pushed(size, size, False)


def pull(
    url: str,
    file: str | PathLike[str],
    *,
    overwrite: bool = False,
    progress: Callable[[int, int], object] | None = None,
) -> Pulled:
    """Fetch the store at ``url`` to ``file``.

    If ``file`` is an older copy of the same store, chunks and parts of the index that both have are taken from
    it, each compared with its checksums, and only the others are fetched. The file appears, or replaces the
    older copy, when all of it is there and every chunk agrees with its checksums.

    An address ``hf://...`` is fetched whole.

    Parameters are those of :func:`push`; ``overwrite`` replaces a file that is no older copy of this store.

    Raises
    ------
    StoreExistsError
        The file is another store, or a newer state; ``overwrite=True`` replaces it.
    CorruptError
        What came does not agree with its checksums.
    ReplacedError
        The object was replaced meanwhile.
    MissingFileError, PermissionDeniedError, SystemCallError, LockedError
        The object or the bucket does not exist, access is denied, the server does not answer, or another process
        writes to the file.
    """
    url = os.fspath(url)
    if url.startswith("hf://"):
        return _pull_hub(url, os.fspath(file), overwrite, progress)
    return Pulled(**_core._pull(url, file, overwrite, progress))


def _pull_hub(
    url: str, file: str, overwrite: bool, progress: Callable[[int, int], object] | None
) -> Pulled:
    import tempfile

    from vlstore._open import open
    from vlstore.errors import StoreExistsError

    system, path = hub(url)
    size = system.info(path)["size"]
    with open(path, store=system) as there:
        state = _state(there)
    if os.path.exists(file) and not overwrite:
        with open(file) as here:
            found = _state(here)
        if found == state and os.path.getsize(file) == size:
            return Pulled(size, 0, 0, True)
        if found[0] != state[0] or found[1] > state[1]:
            raise StoreExistsError(
                f"{file}: another store, or a newer state of this one, exists already; overwrite=True "
                "(--overwrite) replaces it"
            )
    with tempfile.TemporaryDirectory(dir=os.path.dirname(os.path.abspath(file)), prefix=".vlstore-") as folder:
        new = os.path.join(folder, "new")
        system.get_file(path, new)
        with open(new) as store:
            damages = store.verify().damages
        if damages:
            from vlstore.errors import CorruptError

            raise CorruptError(f"{url}: what came is damaged: {damages[0]}")
        os.replace(new, file)
    if progress is not None:
        progress(size, size)
    return Pulled(size, size, 0, False)


def _command(words: list[str]) -> int:
    """``vlstore push`` and ``pull`` for the addresses that only this package knows, with the options of the others."""
    import argparse
    import json
    import sys

    from vlstore.errors import Error

    parser = argparse.ArgumentParser(prog=f"vlstore {words[0]}")
    parser.add_argument("source")
    parser.add_argument("target")
    parser.add_argument("--overwrite", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("-q", "--quiet", action="store_true")
    args = parser.parse_args(words[1:])
    try:
        if words[0] == "push":
            done: Pushed | Pulled = push(args.source, args.target, overwrite=args.overwrite)
            moved = f"{done[1]} bytes sent"
        else:
            done = pull(args.source, args.target, overwrite=args.overwrite)
            moved = f"{done[1]} bytes fetched"
    except KeyboardInterrupt:
        return 130
    except (Error, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except Exception as error:
        # Of huggingface_hub: no such repository, no access.
        print(f"error: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    if args.json:
        print(json.dumps(done._asdict()))
    elif not args.quiet:
        print(f"{args.target}: {'is up to date' if done.unchanged else moved}")
    return 0
