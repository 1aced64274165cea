"""What every storage does, asynchronously and not."""

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from vlstore.blobs import _async_bridge, _json
from vlstore.blobs._digest import Digest, DigestedStream, GetStreamDigest, make_digest
from vlstore.blobs._errors import undefined
from vlstore.blobs._names import Component
from vlstore.errors import InvalidError

D = TypeVar("D")
Tags = Mapping[str, str]


class Storage(Component, Generic[D]):
    """A place for contents, by the four asynchronous methods that a subclass defines.

    What :meth:`write_data` and :meth:`write_data_stream` return, the *storage data*, finds the content again:
    it must be small, be something that JSON holds, and be enough for a storage of this class in another process
    with other settings. A content that was written either way is read either way. A subclass must not show a
    content before it is whole, and raises :class:`MissingBlobError` for one that it does not have.

    The methods without ``_data`` in their name do the same for code that is not asynchronous.
    """

    @property
    def read_only(self) -> bool:
        """Whether nothing can be written here."""
        return False

    async def write_data(self, data: bytes, digest: Digest, tags: Tags) -> D:
        """Stores ``data``, and returns what finds it again."""
        raise undefined(self, "write blobs", "write_data")

    async def read_data(self, data: D) -> bytes:
        """The content that ``data`` finds."""
        raise undefined(self, "read blobs", "read_data")

    async def write_data_stream(
        self, stream: AsyncIterable[bytes], get_digest: GetStreamDigest, tags: Tags
    ) -> D:
        """Stores all pieces of ``stream``, and returns what finds the content again."""
        raise undefined(self, "write streams", "write_data_stream")

    def read_data_stream(self, data: D) -> AsyncIterator[bytes]:
        """The content that ``data`` finds, piece by piece."""
        raise undefined(self, "read streams", "read_data_stream")

    async def read_data_range(self, data: D, start: int, stop: int) -> bytes:
        """The bytes of a content from ``start`` up to ``stop``."""
        content = await self.read_data(data)
        if not 0 <= start <= stop <= len(content):
            raise ValueError(f"range: {start} to {stop} is not within 0 to {len(content)}")
        return content[start:stop]

    def dump_data(self, data: D) -> str:
        """Storage data as JSON text."""
        return _json.dumps(data, "storage data")

    def load_data(self, text: str) -> D:
        """Storage data of JSON text."""
        return _json.loads(text)

    # For code that is not asynchronous.

    def write(
        self,
        data: bytes,
        content_type: str = "application/octet-stream",
        content_encoding: str | None = None,
        *,
        digest: Digest | None = None,
        tags: Tags | None = None,
    ) -> D:
        """Stores ``data``; its digest is computed, or compared with ``digest`` (a ``ValueError`` if it differs)."""
        found = make_digest(data, content_type, content_encoding)
        if digest is None:
            digest = found
        for part in ("content_hash_algorithm", "content_hash", "content_size"):
            if digest[part] != found[part]:
                raise InvalidError(f"digest: {part} of the content is {found[part]}, not {digest[part]}; nothing was written")
        return _async_bridge.run(self.write_data(data, digest, check_tags(tags)))

    def read(self, data: D) -> bytes:
        """The content that ``data`` finds."""
        return _async_bridge.run(self.read_data(data))

    def write_stream(
        self,
        pieces: Iterable[bytes] | AsyncIterable[bytes],
        content_type: str = "application/octet-stream",
        content_encoding: str | None = None,
        *,
        tags: Tags | None = None,
    ) -> D:
        """Stores all pieces."""
        return _async_bridge.run(self._write_stream(pieces, content_type, content_encoding, tags))

    async def _write_stream(self, pieces, content_type, content_encoding, tags):
        stream = DigestedStream(pieces, content_type, content_encoding)
        try:
            return await self.write_data_stream(stream, stream.get_digest, check_tags(tags))
        finally:
            await stream.aclose()

    def read_stream(self, data: D) -> Iterator[bytes]:
        """The content that ``data`` finds, piece by piece."""
        return _async_bridge.as_sync(self.read_data_stream(data))

    def read_range(self, data: D, start: int, stop: int) -> bytes:
        """The bytes of a content from ``start`` up to ``stop``."""
        return _async_bridge.run(self.read_data_range(data, start, stop))

    @contextmanager
    def held(self) -> Iterator[Any]:
        """For many writes one after the other: a storage may keep open what it writes to, and is safe at the end."""
        yield self


def check_tags(tags: Tags | None) -> dict[str, str]:
    """Tags as a dictionary; a ``TypeError`` for other things than texts."""
    tags = dict(tags or {})
    for name, text in tags.items():
        if not isinstance(name, str) or not isinstance(text, str):
            raise TypeError(f"tags: names and values must be str, not {name!r}: {text!r}")
        try:
            (name + text).encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"tags: {name!r}: {text!r} is not Unicode text: {error.reason}") from None
    return tags
