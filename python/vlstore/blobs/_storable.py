"""Objects that are stored in parts: classes with a permanent id, and how they are taken apart."""

import re
import secrets
from collections.abc import Mapping
from typing import Any, ClassVar, Generic, NamedTuple, NotRequired, TypedDict, TypeVar

from vlstore.blobs._errors import undefined
from vlstore.blobs._names import Component

S = TypeVar("S")
_ID = re.compile(r"[0-9a-fA-F]{8,32}")


class Unpacked(TypedDict):
    """A part of an object: its value, and how and where it is stored if that is not to be found out."""

    value: Any
    serializer: NotRequired[Any]
    storage: NotRequired[Any]


class UnpackedStream(TypedDict):
    """A part of an object that is a stream of values, by ``for`` or ``async for``."""

    value_stream: Any
    serializer: NotRequired[Any]
    storage: NotRequired[Any]


class Unpacker(Component, Generic[S]):
    """Takes objects apart and puts them together again, by the two methods that a subclass defines."""

    def unpack_object(self, obj: S, registry) -> Mapping[str, Unpacked | UnpackedStream]:
        """The parts of ``obj`` by name."""
        raise undefined(self, "unpack objects", "unpack_object")

    def repack_object(self, cls: type[S], contents: Mapping[str, Any], registry) -> S:
        """The object of these parts: each has its ``value`` or ``value_stream``."""
        raise undefined(self, "repack objects", "repack_object")


class StorableConfig(NamedTuple):
    """What a storable class is known by: its id, in 32 hexadecimal digits, and its unpacker."""

    class_id: str
    unpacker: Unpacker


class Storable:
    """The base of classes whose objects are stored.

    ``class Trial(Base, class_id="5f3a9c1e")`` gives a class its permanent id, of 8 to 32 hexadecimal digits, by which
    objects find their class again whatever it is called then. It is not inherited: a subclass without an id is
    not stored. ``unpacker=`` says how objects are taken apart, and is inherited.
    """

    _storable_id: ClassVar[str | None] = None
    _storable_unpacker: ClassVar[Unpacker | None] = None

    def __init_subclass__(cls, *, class_id=None, unpacker=None, **kwargs):
        super().__init_subclass__(**kwargs)
        cls._storable_id = None if class_id is None else normal_id(class_id, cls)
        if unpacker is not None:
            if not isinstance(unpacker, Unpacker):
                raise TypeError(f"{cls.__qualname__}: unpacker must be an instance of Unpacker, not {unpacker!r}")
            cls._storable_unpacker = unpacker

    @classmethod
    def storable_config(cls) -> StorableConfig:
        """Id and unpacker of the class; a ``ValueError`` if it lacks one of them."""
        if cls._storable_id is None:
            raise ValueError(
                f"{cls.__qualname__} has no id: write class {cls.__name__}(..., class_id={secrets.token_hex(8)!r}), and "
                "never change it"
            )
        if cls._storable_unpacker is None:
            raise ValueError(f"{cls.__qualname__} has no unpacker: write class {cls.__name__}(..., unpacker=...)")
        return StorableConfig(cls._storable_id, cls._storable_unpacker)


def normal_id(class_id, cls=None):
    """An id in 32 lower-case digits: a shorter one with zeros behind it."""
    if not isinstance(class_id, str) or not _ID.fullmatch(class_id):
        of = "" if cls is None else f"{cls.__qualname__}: "
        raise ValueError(
            f"{of}class_id is {class_id!r}; it must be 8 to 32 hexadecimal digits, such as {secrets.token_hex(8)!r}"
        )
    return class_id.lower().ljust(32, "0")
