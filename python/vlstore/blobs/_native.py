"""The storages of the crate: a store file, a folder, memory, a bucket of S3."""

import asyncio
import atexit
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

from vlstore import errors
from vlstore._core import _BlobStorage, _GrowingDigest
from vlstore.blobs import _async_bridge, _json
from vlstore.blobs._digest import Digest, DigestedStream
from vlstore.blobs._errors import MissingBlobError
from vlstore.blobs._storage import Storage, check_tags

Router = Callable[[Digest, dict[str, str]], str]


@contextmanager
def _missing():
    """The one error for a content that is not there."""
    try:
        yield
    except MissingBlobError:
        raise
    except errors.NotFoundError as error:
        raise MissingBlobError(str(error).replace("no record", "no content")) from None


def _router(router):
    if router is None:
        return None

    def call(digest, tags):
        place = router(json.loads(digest) | {"is_complete": True}, json.loads(tags))
        if not isinstance(place, str):
            raise TypeError(f"router: returns a place as str, not {type(place).__name__} ({place!r})")
        return place

    return call


class _Native(Storage[dict]):
    """A storage of the crate: blocking by nature, and asynchronous by threads."""

    _core: _BlobStorage

    def _common(self, check_written, check_read, read_only, router):
        self._read_only = read_only
        return {
            "name": type(self).name,
            "check_written": check_written,
            "check_read": check_read,
            "read_only": read_only,
            "router": _router(router),
        }

    @property
    def read_only(self):
        """Whether nothing can be written here."""
        return self._read_only

    def write(self, data, content_type="application/octet-stream", content_encoding=None, *, digest=None, tags=None):
        """Stores ``data``, any object with a buffer, and returns what finds it again.

        The digest is computed, or compared with ``digest`` if that is given (a ``ValueError`` if it differs).
        """
        claimed = None if digest is None else _json.dumps(digest, "digest")
        kind = (content_type, content_encoding)
        return json.loads(self._core.write(data, claimed, kind, check_tags(tags)))

    def read(self, data):
        """The content that ``data`` finds, compared with its digest."""
        with _missing():
            return self._core.read(self.dump_data(data))

    def write_stream(self, pieces, content_type="application/octet-stream", content_encoding=None, *, tags=None):
        """Stores all pieces, objects with a buffer, in bounded memory; nothing if they end with an error."""
        if _async_bridge.is_async(pieces):
            return super().write_stream(pieces, content_type, content_encoding, tags=tags)
        growing = _GrowingDigest(content_type, content_encoding)
        try:
            return self._write_pieces(pieces, growing, True, check_tags(tags))
        finally:
            if hasattr(pieces, "close"):
                pieces.close()

    def _write_pieces(self, pieces, growing, counting, tags):
        return json.loads(self._core.write_stream(pieces, growing, counting, tags))

    def read_stream(self, data):
        """The content that ``data`` finds, piece by piece; the last one comes only if the whole has its digest."""
        with _missing():
            return self._core.read_stream(self.dump_data(data))

    def read_range(self, data, start, stop):
        """The bytes from ``start`` up to ``stop``, without reading the others; they are not compared with the digest.

        A ``ValueError`` for a range that ends behind the content.
        """
        if not 0 <= start <= stop:
            raise errors.InvalidError(f"range: {start} to {stop} is not a range")
        with _missing():
            return self._core.read_range(self.dump_data(data), start, stop)

    def tags(self, data) -> list[dict[str, str]]:
        """The sets of tags under which the content was written."""
        with _missing():
            return self._core.tags(self.dump_data(data))

    def search(self, tags=None) -> list[tuple[dict, list[dict[str, str]]]]:
        """Storage data and tags of the contents that were written with all of ``tags``; without any, of all that
        have tags."""
        return [(json.loads(data), sets) for data, sets in self._core.search(check_tags(tags))]

    def sweep(self) -> int:
        """Deletes what streams left whose writers were killed, and returns how many there were."""
        return self._core.sweep()

    # For asynchronous code.

    async def write_data(self, data, digest, tags):
        """Stores ``data``; see :meth:`write`."""
        return await asyncio.to_thread(self.write, data, digest=digest, tags=tags)

    async def read_data(self, data):
        """The content that ``data`` finds; see :meth:`read`."""
        return await asyncio.to_thread(self.read, data)

    async def write_data_stream(self, stream, get_digest, tags):
        """Stores all pieces of ``stream``; see :meth:`write_stream`."""
        tags = check_tags(tags)
        owner = getattr(get_digest, "__self__", None)
        taken = owner.take() if owner is stream and isinstance(owner, DigestedStream) else None
        if taken is not None:
            # The crate counts the bytes into the digest of the stream as it writes them.
            (source, growing), promised = taken, None
        else:
            so_far = get_digest(allow_incomplete=True)
            growing = _GrowingDigest(so_far["content_type"], so_far["content_encoding"])
            source, promised = stream, get_digest

        def write(pieces):
            if promised is not None:
                pieces = _promised(pieces, promised, growing)
            return self._write_pieces(pieces, growing, True, tags)

        if _async_bridge.is_async(source):
            return await _async_bridge.pumped(source, write)
        return await _async_bridge.in_own_thread(write, source)

    async def read_data_stream(self, data):
        """The content that ``data`` finds, piece by piece; see :meth:`read_stream`."""
        pieces = await asyncio.to_thread(self.read_stream, data)
        try:
            while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
                yield piece
        finally:
            pieces.close()

    async def read_data_range(self, data, start, stop):
        """Some bytes of a content; see :meth:`read_range`."""
        return await asyncio.to_thread(self.read_range, data, start, stop)


def _promised(pieces, get_digest, growing):
    """The pieces of a stream that counts itself; at the end its digest must be that of what came.

    It is iterated by the crate, which has counted each piece before it asks for the next one.
    """
    yield from pieces
    promised, found = get_digest(), json.loads(growing.json())
    for part in ("content_hash", "content_size"):
        if promised[part] != found[part]:
            raise errors.InvalidError(
                f"digest of a stream: {part} is {promised[part]}, but that of what came is {found[part]}; nothing "
                "was written"
            )


class MemoryStorage(_Native):
    """Contents in the memory of this process, for tests and for what need not stay.

    >>> from vlstore.blobs import MemoryStorage
    >>> storage = MemoryStorage()
    >>> at = storage.write(b"some text", "text/plain", tags={"run": "7"})
    >>> storage.read(at), storage.tags(at)
    (b'some text', [{'run': '7'}])
    """

    name = "vlstore.memory@v1"

    def __init__(self, *, check_written=True, check_read=True):
        self._core = _BlobStorage.memory(self._common(check_written, check_read, False, None))

    def __reduce__(self):
        raise errors.PickleError(
            "a MemoryStorage cannot travel to another process: its contents are in the memory of this one"
        )


class FileStorage(_Native):
    """Contents as files of the folder ``root``, each named by its digest and an ending for its type.

    A file is written aside, synced and renamed. With ``mkdir`` the folder is made if it is not there. ``piece``
    is how many bytes of a stream are written or read at a time. ``router`` is a function of the digest (as
    :class:`Digest`) and the tags that chooses the place of a file, as a relative path. A ``read_only`` storage
    writes nothing. ``check_written`` and ``check_read`` say whether contents are compared with their digests.
    """

    name = "vlstore.file@v1"
    aliases = ("labox.file@v1",)

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        mkdir: bool = False,
        piece: int = 1 << 20,
        router: Router | None = None,
        read_only: bool = False,
        check_written: bool = True,
        check_read: bool = True,
    ):
        options = {
            "piece": piece,
            "router": router,
            "read_only": read_only,
            "check_written": check_written,
            "check_read": check_read,
        }
        common = self._common(check_written, check_read, read_only, router)
        self._core = _BlobStorage.folder(root, mkdir and not read_only, piece, common)
        self._made = (str(self.root), options)

    @property
    def root(self):
        """The folder."""
        return self._core.place()

    def __reduce__(self):
        return _remade, (type(self), *self._made)


class StoreStorage(_Native):
    """Contents as records of the store file ``path``, a small one in one record, a large one split over several.

    With ``create`` the file is made if it is not there, and ``compression`` then chooses how it is compressed:
    ``"stored"`` (not at all: the fastest, and right for contents that are compressed already), ``"lz4"`` or
    ``"zstd"``. Contents of more than ``part`` bytes are split. Whoever writes holds the lock of the store for
    that moment; others wait for up to ``wait`` seconds. ``durability`` is ``"kernel"`` (each write survives a
    killed process) or ``"sync"`` (also a power cut). The other arguments are those of :class:`FileStorage`;
    places are the keys of records.
    """

    name = "vlstore.store@v1"

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        create: bool = False,
        compression: str = "stored",
        durability: str = "kernel",
        part: int | None = None,
        wait: float = 60.0,
        router: Router | None = None,
        read_only: bool = False,
        check_written: bool = True,
        check_read: bool = True,
    ):
        options = {
            "durability": durability,
            "part": part,
            "wait": wait,
            "router": router,
            "read_only": read_only,
            "check_written": check_written,
            "check_read": check_read,
        }
        common = self._common(check_written, check_read, read_only, router)
        store = {"compression": compression, "durability": durability}
        make = create and not read_only
        self._core = _BlobStorage.store(path, make, part, wait, store, common)
        self._made = (str(self.path), options)

    @property
    def path(self):
        """The file."""
        return self._core.place()

    @contextmanager
    def held(self):
        """Keeps the store open for writing, for many small contents: they are committed now and then, as a store
        does, and all of them at the end. Other processes wait."""
        self._core.hold()
        try:
            yield self
        finally:
            self._core.release()

    def __reduce__(self):
        return _remade, (type(self), *self._made)


class S3Storage(_Native):
    """Contents as objects under ``prefix`` in a bucket of S3, or of what speaks its protocol.

    Content type and encoding are those of the object; so are the tags, as far as S3 takes them (up to ten, of its
    characters). All tags lie in small objects beside it too, in which :meth:`search` looks. ``settings`` are those of
    the crate ``object_store``, such as ``endpoint``, ``region``, ``access_key_id``, ``secret_access_key``,
    ``allow_http``; what is not given comes from the environment (``AWS_ACCESS_KEY_ID`` and others). No message shows a
    key, but a pickled storage has those that it was given. A stream of more than ``part`` bytes (at least 5 MiB, else
    16 MiB) is uploaded in parts under a name of its own, which is aborted if it fails, and then copied to its place.
    The other arguments are those of :class:`FileStorage`.

    A storage belongs to the process that made it: after a fork the child makes its own.
    """

    name = "vlstore.s3@v1"

    def __init__(
        self,
        bucket: str,
        prefix: str = "",
        *,
        part: int | None = None,
        router: Router | None = None,
        read_only: bool = False,
        check_written: bool = True,
        check_read: bool = True,
        **settings: str | bool | int,
    ):
        common = self._common(check_written, check_read, read_only, router)
        settings = {name: _setting(name, value) for name, value in settings.items()}
        self._core = _BlobStorage.s3(bucket, prefix, settings, part, common)
        options = {
            "prefix": prefix,
            "part": part,
            "router": router,
            "read_only": read_only,
            "check_written": check_written,
            "check_read": check_read,
        }
        self._made = (bucket, options | settings)

    def __reduce__(self):
        return _remade, (type(self), *self._made)


def _setting(name, value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int):
        return str(value)
    raise TypeError(f"{name}: is str, int or bool, not {type(value).__name__}")


def _remade(cls: Any, place, options):
    return cls(place, **options)


def temporary_storage(**options) -> FileStorage:
    """A :class:`FileStorage` in a new folder that is removed at the end of this process."""
    folder, process = tempfile.mkdtemp(prefix="vlstore-blobs-"), os.getpid()

    def remove():
        # A forked child is not the one for whom the folder was made.
        if os.getpid() == process:
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    return FileStorage(folder, **options)
