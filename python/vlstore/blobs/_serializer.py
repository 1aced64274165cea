"""From objects to bytes and back: what every serializer does."""

from collections.abc import AsyncIterable, AsyncIterator
from typing import Any, Generic, NotRequired, TypedDict, TypeVar

from vlstore.blobs import _json
from vlstore.blobs._errors import undefined
from vlstore.blobs._names import Component

T = TypeVar("T")


class SerializedData(TypedDict):
    """An object as bytes, with what reading them back needs."""

    data: bytes
    content_type: str
    content_encoding: str | None
    config: NotRequired[Any]


class SerializedDataStream(TypedDict):
    """Objects as pieces of bytes, with what reading them back needs."""

    data_stream: AsyncIterable[bytes]
    content_type: str
    content_encoding: str | None
    config: NotRequired[Any]


class _Serializing(Component, Generic[T]):
    # Classes whose instances it takes, for finding it by an object.
    types: tuple[type, ...] = ()
    # What it writes and reads, for finding it by a content type.
    content_types: tuple[str, ...] = ()

    def dump_config(self, config: Any) -> str:
        """What a serializer keeps beside its bytes, as JSON text."""
        return _json.dumps(config, "serializer settings")

    def load_config(self, text: str) -> Any:
        """What a serializer kept, of JSON text."""
        return _json.loads(text)


class Serializer(_Serializing[T]):
    """Objects as bytes, by the two methods that a subclass defines.

    ``types`` are the classes whose instances it takes, ``content_types`` what it writes. What
    :meth:`serialize_data` returns as ``config`` is kept in the manifest and given back for reading.
    """

    def serialize_data(self, value: T) -> SerializedData:
        """``value`` as bytes."""
        raise undefined(self, "serialize objects", "serialize_data")

    def deserialize_data(self, content: SerializedData) -> T:
        """The object of these bytes."""
        raise undefined(self, "deserialize objects", "deserialize_data")


class StreamSerializer(_Serializing[T]):
    """Objects one after the other as a stream of bytes, by the two methods that a subclass defines.

    ``types`` are the classes of the objects in the stream. How the bytes are cut into pieces when they come back
    means nothing.
    """

    def serialize_data_stream(self, stream: AsyncIterable[T]) -> SerializedDataStream:
        """The objects of ``stream`` as bytes."""
        raise undefined(self, "serialize streams", "serialize_data_stream")

    def deserialize_data_stream(self, content: SerializedDataStream) -> AsyncIterator[T]:
        """The objects of these bytes."""
        raise undefined(self, "deserialize streams", "deserialize_data_stream")
