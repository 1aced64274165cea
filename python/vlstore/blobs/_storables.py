"""The storable classes of this package: one value, one stream, dataclasses."""

import dataclasses
from typing import Any, Generic, TypeVar

from vlstore.blobs import _json
from vlstore.blobs._errors import NotRegisteredError
from vlstore.blobs._serializer import StreamSerializer
from vlstore.blobs._storable import Storable, Unpacker

T = TypeVar("T")


def _registered(get, given):
    """What was given as a class or an instance, as the registry has it."""
    if given is None:
        return None
    return get(given.name) if isinstance(given, type) else given


class _ValueUnpacker(Unpacker):
    name = "vlstore.value@v1"
    aliases = ("labox.builtin.storable_value_unpacker@v1",)

    def unpack_object(self, obj, registry):
        serializer = _registered(registry.get_serializer, obj.serializer)
        storage = _registered(registry.get_storage, obj.storage)
        return {"item": {"value": obj.value, "serializer": serializer, "storage": storage}}

    def repack_object(self, cls, contents, registry):
        return cls(contents["item"]["value"])


@dataclasses.dataclass(frozen=True)
class StorableValue(Storable, Generic[T], class_id="5a044e9f", unpacker=_ValueUnpacker()):
    """One value; ``serializer`` and ``storage``, classes or instances, if they are not to be found out."""

    value: T
    _: dataclasses.KW_ONLY
    serializer: Any = dataclasses.field(default=None, compare=False)
    storage: Any = dataclasses.field(default=None, compare=False)


class _StreamUnpacker(Unpacker):
    name = "vlstore.stream@v1"
    aliases = ("labox.builtin.storable_stream_unpacker@v1",)

    def unpack_object(self, obj, registry):
        serializer = _registered(registry.get_stream_serializer, obj.serializer)
        storage = _registered(registry.get_storage, obj.storage)
        return {"item": {"value_stream": obj.value_stream, "serializer": serializer, "storage": storage}}

    def repack_object(self, cls, contents, registry):
        return cls(contents["item"]["value_stream"])


@dataclasses.dataclass(frozen=True)
class StorableStream(Storable, Generic[T], class_id="31198cfb", unpacker=_StreamUnpacker()):
    """Values one after the other, by ``for`` or ``async for``; the other arguments are those of :class:`StorableValue`."""

    value_stream: Any
    _: dataclasses.KW_ONLY
    serializer: Any = dataclasses.field(default=None, compare=False)
    storage: Any = dataclasses.field(default=None, compare=False)


def _is_json(value):
    try:
        return _json.loads(_json.dumps(value)) == value
    except (TypeError, ValueError):
        return False


class _DataclassUnpacker(Unpacker):
    """Fields that JSON holds lie together in the part ``body``; each other one is a part of its name."""

    name = "vlstore.dataclass@v1"

    def unpack_object(self, obj, registry):
        if not dataclasses.is_dataclass(obj):
            raise TypeError(f"{type(obj).__qualname__} is not a dataclass: put @dataclass before it")
        parts: dict[str, Any] = {}
        body = self._take_apart(obj, registry, "", parts)
        return {"body": {"value": body, "serializer": registry.get_serializer_by_content_type("application/json")}, **parts}

    def _take_apart(self, obj, registry, path, parts):
        if not registry.has_storable(type(obj)):
            raise NotRegisteredError(
                f"{type(obj).__qualname__} is not registered: give it to Registry(storables=[...]), or it could not be loaded"
            )
        body = {"class_id": type(obj).storable_config().class_id, "fields": {}, "parts": [], "objects": {}}
        for field in dataclasses.fields(obj):
            if not field.init:
                continue
            value, name, said = getattr(obj, field.name), path + field.name, field.metadata
            if isinstance(value, StorableDataclass):
                body["objects"][field.name] = self._take_apart(value, registry, f"{name}/", parts)
                continue
            chosen = said.get("serializer")
            streams = isinstance(chosen, StreamSerializer) or (
                isinstance(chosen, type) and issubclass(chosen, StreamSerializer)
            )
            streams = streams or hasattr(value, "__anext__") or hasattr(value, "__next__")
            if not (said.keys() & {"serializer", "storage"}) and not streams and _is_json(value):
                body["fields"][field.name] = value
                continue
            get = registry.get_stream_serializer if streams else registry.get_serializer
            parts[f"field/{name}"] = {
                "value_stream" if streams else "value": value,
                "serializer": _registered(get, chosen),
                "storage": _registered(registry.get_storage, said.get("storage")),
            }
            body["parts"].append(field.name)
        return body

    def repack_object(self, cls, contents, registry):
        return self._put_together(contents["body"]["value"], contents, registry, "")

    def _put_together(self, body, contents, registry, path):
        cls = registry.get_storable(body["class_id"])
        values = dict(body["fields"])
        for name in body["parts"]:
            part = contents[f"field/{path}{name}"]
            values[name] = part["value_stream"] if "value_stream" in part else part["value"]
        for name, inner in body["objects"].items():
            values[name] = self._put_together(inner, contents, registry, f"{path}{name}/")
        known = {field.name for field in dataclasses.fields(cls) if field.init}
        if unknown := values.keys() - known:
            raise TypeError(f"{cls.__qualname__} has no field {', '.join(sorted(unknown))} any more, but the stored object has")
        return cls(**values)


class StorableDataclass(Storable, unpacker=_DataclassUnpacker()):
    """The base of dataclasses whose objects are stored, each field where it fits.

    What JSON holds lies together in one part; arrays, bytes, dates, streams (iterators) and others are parts of their
    own. ``field(metadata={"serializer": ..., "storage": ...})`` chooses for one field, by class or instance. A field
    may be added later if it has a default; a field that is gone is an error when an old object is loaded.
    """


__all__ = ["StorableDataclass", "StorableStream", "StorableValue"]
