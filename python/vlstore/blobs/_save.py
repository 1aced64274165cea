"""Saving objects: taken apart, serialized, stored, and named in a manifest."""

import asyncio

from vlstore.blobs import _async_bridge
from vlstore.blobs._digest import DigestedStream, make_digest
from vlstore.blobs._errors import NotRegisteredError
from vlstore.blobs._manifest import Content, Manifest, Manifests
from vlstore.blobs._names import named
from vlstore.blobs._storable import Storable
from vlstore.blobs._storage import check_tags
from vlstore.blobs._task_group import Group, Later

# Objects that are saved at the same time; the others wait.
AT_ONCE = 16


def _content(key, digest, serialized, serializer, storage, data, is_stream):
    return Content(
        key=key,
        content_type=digest["content_type"],
        content_encoding=digest["content_encoding"],
        content_hash_algorithm=digest["content_hash_algorithm"],
        content_hash=digest["content_hash"],
        content_size=digest["content_size"],
        is_stream=is_stream,
        serializer=named(serializer),
        serializer_config=serializer.dump_config(serialized.get("config")),
        storage=named(storage),
        storage_data=storage.dump_data(data),
    )


async def _save_value(key, part, tags, registry):
    storage = part.get("storage") or registry.get_default_storage()
    value = part["value"]
    serializer = part.get("serializer") or registry.get_serializer_by_type(type(value))
    serialized = serializer.serialize_data(value)
    digest = make_digest(serialized["data"], serialized["content_type"], serialized["content_encoding"])
    data = await storage.write_data(serialized["data"], digest, tags)
    return _content(key, digest, serialized, serializer, storage, data, False)


async def _again(first, rest):
    yield first
    async for item in rest:
        yield item


async def _save_stream(key, part, tags, registry):
    source = part["value_stream"]
    try:
        storage = part.get("storage") or registry.get_default_storage()
        serializer = part.get("serializer")
        items = _async_bridge.as_async(source)
        if serializer is None:
            try:
                first = await anext(items)
            except StopAsyncIteration:
                serializer = registry.empty_stream_serializer()
            else:
                serializer = registry.get_stream_serializer_by_type(type(first))
                items = _again(first, items)
        serialized = serializer.serialize_data_stream(items)
        stream = DigestedStream(
            serialized["data_stream"], serialized["content_type"], serialized["content_encoding"]
        )
        try:
            data = await storage.write_data_stream(stream, stream.get_digest, tags)
        finally:
            await stream.aclose()
        digest = stream.get_digest(allow_incomplete=True)
        if not digest["is_complete"]:
            raise RuntimeError(
                f"storage {named(storage)} left a part of the stream unread: it must read to the end in write_data_stream"
            )
        return _content(key, digest, serialized, serializer, storage, data, True)
    finally:
        await _async_bridge.close(source)


def _check_parts(parts, unpacker):
    for key, part in parts.items():
        if not isinstance(key, str):
            raise TypeError(f"{named(unpacker)}: the name of a part must be a str, not {key!r}")
        if "value_stream" not in part and "value" not in part:
            raise ValueError(f"{named(unpacker)}: the part {key!r} has neither value nor value_stream")


async def _close_sources(parts):
    for part in parts.values():
        if "value_stream" in part:
            await _async_bridge.close(part["value_stream"])


async def _give_up(obj, registry):
    """Closes the sources of an object that is not saved any more."""
    await _close_sources(type(obj).storable_config().unpacker.unpack_object(obj, registry))


async def _save_object(obj, tags, registry) -> Manifest:
    config = type(obj).storable_config()
    parts = dict(config.unpacker.unpack_object(obj, registry))
    try:
        _check_parts(parts, config.unpacker)
    except BaseException:
        await _close_sources(parts)
        raise
    saving = [
        (_save_stream if "value_stream" in part else _save_value)(key, part, tags, registry)
        for key, part in parts.items()
    ]
    # All of them end before one error is told: sources are closed, and nothing goes on behind our back.
    try:
        done = await asyncio.gather(*saving, return_exceptions=True)
    except BaseException:
        # Cancelled, some perhaps before they began.
        await _close_sources(parts)
        raise
    errors = [error for error in done if isinstance(error, BaseException)]
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise BaseExceptionGroup(f"{len(errors)} parts of an object were not saved", errors)
    return Manifest(class_id=config.class_id, unpacker=named(config.unpacker), contents=done, tags=tags)


def _must_be_registered(obj, registry):
    if not registry.has_storable(type(obj)):
        type(obj).storable_config()
        raise NotRegisteredError(
            f"{type(obj).__qualname__} is not registered: give it to Registry(storables=[...]), or it could not be loaded"
        )


class Saver(Group):
    """Saves many objects at once; made by :func:`new_saver`."""

    def __init__(self, registry, manifests):
        super().__init__("saved", AT_ONCE)
        self._registry = registry
        self._manifests = None if manifests is None else _manifests(manifests)

    def save_soon(self, obj: Storable, *, tags=None) -> Later[Manifest]:
        """Begins to save ``obj``, and returns what has its manifest as ``value`` when the block has ended."""
        _must_be_registered(obj, self._registry)
        saving = _save_object(obj, check_tags(tags), self._registry)
        return self._begin(saving, lambda: _give_up(obj, self._registry))

    async def _ended(self, done):
        if self._manifests is not None and done:
            await asyncio.to_thread(self._manifests.add, done)


def _manifests(given):
    return given if isinstance(given, Manifests) else Manifests(given)


def new_saver(*, registry, manifests=None) -> Saver:
    """Saves many objects at once, in an ``async with`` or a ``with`` block.

    At the end of the block all are saved, and the manifests of those that could be are kept in ``manifests`` (a
    :class:`Manifests`, or the path of one) if that is given. If some failed, the block ends with an ``ExceptionGroup``
    of their errors; the others are saved all the same.
    """
    return Saver(registry, manifests)


async def save_one(obj: Storable, *, registry, manifests=None, tags=None) -> Manifest:
    """Saves one object, and returns its manifest."""
    _must_be_registered(obj, registry)
    kept = None if manifests is None else _manifests(manifests)
    manifest = await _save_object(obj, check_tags(tags), registry)
    if kept is not None:
        await asyncio.to_thread(kept.add, [manifest])
    return manifest


def save(obj: Storable, *, registry, manifests=None, tags=None) -> Manifest:
    """As :func:`save_one`, for code that is not asynchronous."""
    return _async_bridge.run(save_one(obj, registry=registry, manifests=manifests, tags=tags))

