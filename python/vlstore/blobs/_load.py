"""Loading objects of their manifests."""

import asyncio
import hashlib
from contextlib import AsyncExitStack, ExitStack
from typing import Any, get_origin

from vlstore.blobs import _async_bridge
from vlstore.blobs._digest import make_digest
from vlstore.blobs._errors import WrongContentError
from vlstore.blobs._manifest import Content, Manifest
from vlstore.blobs._task_group import Group, Later

AT_ONCE = 16


class LoadedStream:
    """The values of a stored stream, by ``async for`` or ``for``, once. The scope with which it was loaded closes it."""

    def __init__(self, values, pieces):
        self._values, self._pieces = values, pieces
        self._items = None
        self._closed = False

    def _check(self):
        if self._closed:
            raise ValueError("this stream is closed: it is read within the scope with which it was loaded")

    def __aiter__(self):
        return self

    async def __anext__(self):
        self._check()
        return await anext(self._values)

    def __iter__(self):
        return self

    def __next__(self):
        self._check()
        if self._items is None:
            self._items = _async_bridge.as_sync(self._values)
        return next(self._items)

    async def aclose(self):
        """Closes the stream and the content under it."""
        self._closed = True
        for one in (self._values, self._pieces):
            if hasattr(one, "aclose"):
                await one.aclose()

    def close(self):
        """Closes the stream and the content under it."""
        _async_bridge.run(self.aclose())


def _keep(scope, stream):
    if isinstance(scope, AsyncExitStack):
        scope.push_async_callback(stream.aclose)
    elif isinstance(scope, ExitStack):
        scope.callback(stream.close)
    else:
        raise TypeError(f"scope: must be a contextlib.AsyncExitStack or ExitStack, not {scope!r}")


async def _load_content(content: Content, registry, scope) -> dict[str, Any]:
    storage = registry.get_storage(content.storage)
    data = storage.load_data(content.storage_data)
    about = {"content_type": content.content_type, "content_encoding": content.content_encoding}
    if not content.is_stream:
        serializer = registry.get_serializer(content.serializer)
        config = serializer.load_config(content.serializer_config)
        read = await storage.read_data(data)
        digest = make_digest(read)
        if (digest["content_size"], digest["content_hash"]) != (content.content_size, content.content_hash):
            raise WrongContentError(
                f"part {content.key!r}: storage {content.storage} returned {digest['content_size']} bytes with the SHA-256 "
                f"{digest['content_hash']}, not the {content.content_size} bytes with {content.content_hash} of its manifest"
            )
        value = serializer.deserialize_data({**about, "data": read, "config": config})
        return {"value": value, "serializer": serializer, "storage": storage}
    if scope is None:
        raise ValueError(
            f"part {content.key!r} is a stream: it needs a scope that closes it, a contextlib.AsyncExitStack or ExitStack "
            "as scope="
        )
    serializer = registry.get_stream_serializer(content.serializer)
    config = serializer.load_config(content.serializer_config)
    pieces = _checked(storage.read_data_stream(data), content)
    values = serializer.deserialize_data_stream({**about, "data_stream": pieces, "config": config})
    stream = LoadedStream(values, pieces)
    _keep(scope, stream)
    return {"value_stream": stream, "serializer": serializer, "storage": storage}


async def _checked(pieces, content):
    """Pieces that are what the manifest says, or an error at their end."""
    hasher, size = hashlib.sha256(), 0
    try:
        async for piece in pieces:
            hasher.update(piece)
            size += len(piece)
            yield piece
    finally:
        if hasattr(pieces, "aclose"):
            await pieces.aclose()
    if (size, hasher.hexdigest()) != (content.content_size, content.content_hash):
        raise WrongContentError(
            f"part {content.key!r}: storage {content.storage} returned a stream that is not what its manifest says"
        )


async def _load_object(manifest: Manifest, cls, registry, scope):
    actual = registry.get_storable(manifest.class_id)
    # StorableValue[int] stands for StorableValue: what is in it is not known before it is loaded.
    cls = get_origin(cls) or cls
    if cls is not None and not issubclass(actual, cls):
        raise TypeError(f"manifest {manifest.id} is of a {actual.__qualname__}, not of a {cls.__qualname__}")
    unpacker = registry.get_unpacker(manifest.unpacker)
    loading = [_load_content(content, registry, scope) for content in manifest.contents]
    parts = await asyncio.gather(*loading, return_exceptions=True)
    for part in parts:
        if isinstance(part, BaseException):
            raise part
    keys = [content.key for content in manifest.contents]
    return unpacker.repack_object(actual, dict(zip(keys, parts, strict=True)), registry)


class Loader(Group):
    """Loads many objects at once; made by :func:`new_loader`."""

    def __init__(self, registry, scope):
        super().__init__("loaded", AT_ONCE)
        self._registry, self._scope = registry, scope

    def load_soon(self, manifest: Manifest, cls: type | None = None) -> Later[Any]:
        """Begins to load an object, and returns what has it as ``value`` when the block has ended."""
        return self._begin(_load_object(manifest, cls, self._registry, self._scope))


def new_loader(*, registry, scope=None) -> Loader:
    """Loads many objects at once, in an ``async with`` or a ``with`` block; errors are as of :func:`new_saver`."""
    return Loader(registry, scope)


async def load_one(manifest: Manifest, cls: type | None = None, *, registry, scope=None) -> Any:
    """Loads the object of a manifest.

    A ``TypeError`` if it is not of ``cls``. An object with streams needs a ``scope``, a ``contextlib.AsyncExitStack``
    or ``ExitStack``: leaving it closes them.
    """
    return await _load_object(manifest, cls, registry, scope)


def load(manifest: Manifest, cls: type | None = None, *, registry, scope=None) -> Any:
    """As :func:`load_one`, for code that is not asynchronous."""
    return _async_bridge.run(load_one(manifest, cls, registry=registry, scope=scope))
