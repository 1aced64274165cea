"""What a content is, and streams whose digest grows with them."""

import hashlib
import json
from typing import Protocol, TypedDict

from vlstore._core import _GrowingDigest
from vlstore.blobs import _async_bridge


class Digest(TypedDict):
    """What a content is.

    ``content_hash`` is the SHA-256 of its bytes in 64 lower-case hexadecimal digits, and ``content_hash_algorithm``
    is ``"sha256"``; ``content_size`` counts the bytes. ``content_type`` says what they are (``"text/csv"``),
    ``content_encoding`` what was applied to them (``"gzip"``), or ``None``. ``is_complete`` is false only for
    that of a stream which was not read to its end.
    """

    content_encoding: str | None
    content_type: str
    content_hash_algorithm: str
    content_hash: str
    content_size: int
    is_complete: bool


StreamDigest = Digest


class GetStreamDigest(Protocol):
    """What a storage asks for the digest of a stream."""

    def __call__(self, *, allow_incomplete: bool = False) -> StreamDigest:
        """The digest; ``ValueError`` before the end of the stream, unless ``allow_incomplete``."""


def make_digest(data, content_type="application/octet-stream", content_encoding=None) -> Digest:
    """The digest of ``data``, which is bytes.

    >>> from vlstore.blobs import make_digest
    >>> make_digest(b"abc", "text/plain")["content_hash"][:8]
    'ba7816bf'
    """
    return {
        "content_encoding": content_encoding,
        "content_type": content_type,
        "content_hash_algorithm": "sha256",
        "content_hash": hashlib.sha256(data).hexdigest(),
        "content_size": memoryview(data).nbytes,
        "is_complete": True,
    }


class DigestedStream:
    """The pieces of a source, whose digest grows with what is taken of it.

    ``source`` gives pieces of bytes, by ``for`` or by ``async for``; so does the stream, once.
    :meth:`get_digest` is what :meth:`Storage.write_data_stream` is to be given with it.

    >>> from vlstore.blobs import DigestedStream
    >>> stream = DigestedStream([b"ab", b"c"], "text/plain")
    >>> next(stream), stream.get_digest(allow_incomplete=True)["content_size"]
    (b'ab', 2)
    >>> list(stream), stream.get_digest()["content_size"]
    ([b'c'], 3)
    """

    def __init__(self, source, content_type="application/octet-stream", content_encoding=None):
        self.content_type, self.content_encoding = content_type, content_encoding
        self._source = source
        self._growing = _GrowingDigest(content_type, content_encoding)
        self._iterator = None
        self._begun = self._broken = False

    def get_digest(self, *, allow_incomplete=False) -> StreamDigest:
        """The digest of the whole; before the end a ``ValueError``, unless ``allow_incomplete``."""
        complete = self._growing.is_complete()
        if not complete and not allow_incomplete:
            raise ValueError(
                "the digest of a stream is not known before it was read to its end; with allow_incomplete=True "
                "it is that of what was read so far"
            )
        digest = json.loads(self._growing.json())
        digest["is_complete"] = complete
        return digest

    def take(self):
        """The source itself and what counts its bytes, for a storage that does the counting; the stream counts as
        begun. ``None`` if it has begun already."""
        if self._begun:
            return None
        self._begun = True
        return self._source, self._growing

    def __iter__(self):
        return self

    def __next__(self):
        if self._iterator is None:
            self._begun = True
            source = self._source
            self._iterator = _async_bridge.as_sync(source) if _async_bridge.is_async(source) else iter(source)
        try:
            piece = next(self._iterator)
        except StopIteration:
            self._end()
            raise
        except BaseException:
            self._broken = True
            raise
        self._growing.count(piece)
        return piece

    def __aiter__(self):
        return self

    async def __anext__(self):
        if not hasattr(self._iterator, "__anext__"):
            self._begun = True
            self._iterator = _async_bridge.as_async(self._source if self._iterator is None else self._iterator)
        try:
            piece = await anext(self._iterator)
        except StopAsyncIteration:
            self._end()
            raise
        except BaseException:
            self._broken = True
            raise
        self._growing.count(piece)
        return piece

    def _end(self):
        # A source that failed or was closed says that it has ended if it is asked again: that is not its end.
        if not self._broken:
            self._growing.end()

    async def aclose(self):
        """Closes the source."""
        self._broken = True
        if self._iterator is not None and hasattr(self._iterator, "aclose"):
            await self._iterator.aclose()
        await _async_bridge.close(self._source)

    def close(self):
        """Closes the source."""
        _async_bridge.run(self.aclose())
