"""What is known by name, by type and by content type: storages, serializers, unpackers and storable classes."""

import importlib
import types
from typing import Any

from vlstore.blobs._errors import DuplicateError, NotRegisteredError
from vlstore.blobs._names import named
from vlstore.blobs._serializer import Serializer, StreamSerializer
from vlstore.blobs._storable import Storable, Unpacker, normal_id
from vlstore.blobs._storage import Storage


def essence(content_type):
    """A content type without its parameters, in lower case."""
    text = content_type.split(";")[0].strip().lower()
    main, slash, sub = text.partition("/")
    if not slash or not main or not sub or any(c.isspace() for c in text):
        raise ValueError(f"content type: {content_type!r} is not a content type, for example text/csv")
    return text


class Registry:
    """What is needed to save objects and to load them again.

    ``modules`` are modules, or names of them, whose exports (``__all__``) are taken; ``registries`` are others that
    are taken over; ``storables`` are classes, ``unpackers``, ``serializers`` and ``storages`` instances. Of two with
    one name, type or content type the later one stands, in this order; with ``duplicates="refuse"`` two different
    ones with one name are a :class:`DuplicateError`. Nothing that is given is changed. ``default_storage`` is where
    parts go for which no storage was chosen: a storage, or ``True`` for the last one.
    """

    def __init__(
        self,
        *,
        modules=(),
        registries=(),
        storables=(),
        unpackers=(),
        serializers=(),
        storages=(),
        default_storage: Storage | bool = False,
        duplicates: str = "last",
    ):
        if duplicates not in ("last", "refuse"):
            raise ValueError(f'duplicates: must be "last" or "refuse", not {duplicates!r}')
        self._refuse = duplicates == "refuse"
        self._storables: dict[str, type] = {}
        self._unpackers: dict[str, Unpacker] = {}
        self._storages: dict[str, Storage] = {}
        self._aliases: dict[tuple[str, str], Any] = {}
        self._serializers: dict[str, Serializer] = {}
        self._streams: dict[str, StreamSerializer] = {}
        self._by_type: dict[tuple[bool, type], Any] = {}
        self._by_content: dict[tuple[bool, str], Any] = {}
        self._default: Storage | None = None
        self._last: Storage | None = None
        for module in modules:
            for thing in _exports(module):
                self._add(thing)
        for registry in registries:
            self._merge(registry)
        for kind, things in (
            (type, storables),
            (Unpacker, unpackers),
            ((Serializer, StreamSerializer), serializers),
            (Storage, storages),
        ):
            for thing in things:
                if not isinstance(thing, kind):
                    hint = f": give an instance, {thing.__name__}(...)" if isinstance(thing, type) else ""
                    raise TypeError(f"{thing!r} is not what is registered here{hint}")
                if kind is type:
                    thing.storable_config()
                self._add(thing)
        if isinstance(default_storage, Storage):
            self._add(default_storage)
            self._default = default_storage
        elif default_storage is True:
            if self._last is None:
                raise ValueError("default_storage: none of the storages can be the default one")
            self._default = self._last
        elif default_storage is not False and default_storage is not None:
            raise TypeError(f"default_storage: must be a storage, True or False, not {default_storage!r}")

    def _set(self, mapping, what, name, thing):
        there = mapping.get(name, thing)
        if self._refuse and there is not thing and there != thing:
            raise DuplicateError(f"{what} {name!r} is the name of two: {there!r} and {thing!r}")
        mapping[name] = thing

    def _add_component(self, mapping, what, thing):
        name = named(thing)
        self._set(mapping, what, name, thing)
        for alias in thing.aliases:
            self._aliases[what, alias] = thing

    def _add(self, thing):
        """Takes what it knows; what else a module exports is not for here."""
        if isinstance(thing, Storage):
            self._add_component(self._storages, "storage", thing)
            self._last = thing
        elif isinstance(thing, Unpacker):
            self._add_component(self._unpackers, "unpacker", thing)
        elif isinstance(thing, (Serializer, StreamSerializer)):
            streams = isinstance(thing, StreamSerializer)
            if streams:
                self._add_component(self._streams, "stream serializer", thing)
            else:
                self._add_component(self._serializers, "serializer", thing)
            for cls in thing.types:
                self._by_type[streams, cls] = thing
            for content_type in thing.content_types:
                self._by_content[streams, essence(content_type)] = thing
        elif isinstance(thing, type) and issubclass(thing, Storable) and thing._storable_id is not None:
            config = thing.storable_config()
            self._set(self._storables, "class id", config.class_id, thing)
            self._add_component(self._unpackers, "unpacker", config.unpacker)

    def _merge(self, other):
        if not isinstance(other, Registry):
            raise TypeError(f"registries: {other!r} is not a Registry")
        for what in ("storables", "unpackers", "storages", "serializers", "streams"):
            for name, thing in getattr(other, f"_{what}").items():
                self._set(getattr(self, f"_{what}"), what, name, thing)
        for what in ("aliases", "by_type", "by_content"):
            getattr(self, f"_{what}").update(getattr(other, f"_{what}"))
        self._last = other._last or self._last

    def _get(self, mapping, what, name):
        if (found := mapping.get(name)) is not None:
            return found
        if (found := self._aliases.get((what, name))) is not None:
            return found
        known = ", ".join(sorted(map(str, mapping))) or "none"
        raise NotRegisteredError(f"no {what} {name!r} is registered; registered are: {known}")

    def get_default_storage(self) -> Storage:
        """The default storage; a ``ValueError`` if there is none."""
        if self._default is None:
            raise ValueError("this registry has no default storage: give one to Registry(default_storage=...)")
        return self._default

    def get_storage(self, name: str) -> Storage:
        """The storage of that name."""
        return self._get(self._storages, "storage", name)

    def get_serializer(self, name: str) -> Serializer:
        """The serializer of that name."""
        return self._get(self._serializers, "serializer", name)

    def get_stream_serializer(self, name: str) -> StreamSerializer:
        """The stream serializer of that name."""
        return self._get(self._streams, "stream serializer", name)

    def get_unpacker(self, name: str) -> Unpacker:
        """The unpacker of that name."""
        return self._get(self._unpackers, "unpacker", name)

    def get_storable(self, class_id: str) -> type:
        """The class with that id."""
        return self._get(self._storables, "class", normal_id(class_id))

    def has_storable(self, cls: type) -> bool:
        """Whether objects of exactly this class can be loaded."""
        if not (isinstance(cls, type) and issubclass(cls, Storable)):
            raise TypeError(f"{cls!r} is not a storable class")
        return cls._storable_id is not None and self._storables.get(cls._storable_id) is cls

    def _find(self, streams, cls, what):
        for base in cls.__mro__:
            if (found := self._by_type.get((streams, base))) is not None:
                return found
        raise NotRegisteredError(f"no {what} for {cls.__module__}.{cls.__qualname__} or a base of it is registered")

    def get_serializer_by_type(self, cls: type) -> Serializer:
        """The serializer for ``cls``, or else for the nearest of its bases."""
        return self._find(False, cls, "serializer")

    def get_stream_serializer_by_type(self, cls: type) -> StreamSerializer:
        """The stream serializer for items of ``cls``, or else of the nearest of its bases."""
        return self._find(True, cls, "stream serializer")

    def get_serializer_by_content_type(self, content_type: str) -> Serializer:
        """The serializer for a content type, whatever its parameters."""
        return self._content(False, content_type, "serializer")

    def get_stream_serializer_by_content_type(self, content_type: str) -> StreamSerializer:
        """The stream serializer for a content type, whatever its parameters."""
        return self._content(True, content_type, "stream serializer")

    def _content(self, streams, content_type, what):
        if (found := self._by_content.get((streams, essence(content_type)))) is not None:
            return found
        raise NotRegisteredError(f"no {what} for the content type {content_type!r} is registered")

    def empty_stream_serializer(self) -> StreamSerializer:
        """The stream serializer for a stream without items, of which nothing says what it holds: the one for JSON,
        or else the last."""
        if (json := self._by_content.get((True, "application/json"))) is not None:
            return json
        if self._streams:
            return list(self._streams.values())[-1]
        raise NotRegisteredError("no stream serializer is registered")


def _exports(module):
    if isinstance(module, str):
        module = importlib.import_module(module)
    if not isinstance(module, types.ModuleType):
        raise TypeError(f"modules: {module!r} is not a module or the name of one")
    if not hasattr(module, "__all__"):
        raise ValueError(f"modules: {module.__name__} has no __all__, which says what it exports")
    return [getattr(module, name) for name in module.__all__]
