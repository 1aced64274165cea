"""The serializers of this package."""

import codecs
import csv
import datetime
import io
import threading
from typing import Any

import numpy as np

from vlstore.blobs import _json
from vlstore.blobs._json_stream import Items
from vlstore.blobs._serializer import Serializer, StreamSerializer

# Options of the CSV reader and writer of Python.
_CSV = {
    "dialect": str,
    "delimiter": str,
    "quotechar": (str, type(None)),
    "escapechar": (str, type(None)),
    "doublequote": bool,
    "skipinitialspace": bool,
    "lineterminator": str,
    "quoting": int,
    "strict": bool,
}
# The longest field that Python's reader takes is a setting of the process, which is raised while one reads.
_LONGEST = threading.Lock()


def _serialized(data, content_type, content_encoding=None, config=None):
    return {
        "data": data,
        "content_type": content_type,
        "content_encoding": content_encoding,
        "config": config,
    }


class BytesSerializer(Serializer[bytes]):
    """Bytes as they are."""

    name = "vlstore.bytes@v1"
    types = (bytes, bytearray, memoryview)
    content_types = ("application/octet-stream",)

    def serialize_data(self, value):
        """``value`` itself."""
        return _serialized(bytes(value), "application/octet-stream")

    def deserialize_data(self, content):
        """The bytes."""
        return content["data"]


class TextSerializer(Serializer[str]):
    """Text in UTF-8."""

    name = "vlstore.text@v1"
    types = (str,)
    content_types = ("text/plain",)

    def serialize_data(self, value):
        """``value`` in UTF-8."""
        return _serialized(value.encode(), "text/plain", "utf-8")

    def deserialize_data(self, content):
        """The text."""
        return content["data"].decode()


class JsonSerializer(Serializer[Any]):
    """What JSON holds, in UTF-8; anything else, NaN included, is refused."""

    name = "vlstore.json@v1"
    aliases = ("labox.json.value@v1",)
    types = (dict, list, tuple, int, float, bool, type(None))
    content_types = ("application/json",)

    def serialize_data(self, value):
        """``value`` as JSON."""
        return _serialized(_json.dumps(value).encode(), "application/json")

    def deserialize_data(self, content):
        """The value of JSON."""
        return _json.loads(content["data"].decode())


class Iso8601Serializer(Serializer[datetime.date]):
    """Dates, times, and both together, in ISO 8601."""

    name = "vlstore.iso8601@v1"
    aliases = ("labox.datetime.iso8601@v1",)
    types = (datetime.datetime, datetime.date, datetime.time)
    content_types = ("text/x-iso8601",)

    def serialize_data(self, value):
        """``value`` in ISO 8601."""
        kind = next(kind for kind in self.types if isinstance(value, kind))
        return _serialized(value.isoformat().encode(), "text/x-iso8601", "utf-8", kind.__name__)

    def deserialize_data(self, content):
        """The date or time."""
        kind = getattr(datetime, content.get("config") or "datetime")
        return kind.fromisoformat(content["data"].decode())


class CsvSerializer(Serializer[list]):
    """Rows of texts and numbers as CSV; what is read back are rows of texts.

    The options are those of :func:`csv.writer`; they are kept, and used for reading whatever the reading serializer
    was made with.
    """

    name = "vlstore.csv@v1"
    aliases = ("labox.csv@v1",)
    content_types = ("text/csv",)

    def __init__(self, **options):
        for name, value in options.items():
            if name not in _CSV:
                raise TypeError(f"CSV has no option {name!r}; it has {', '.join(_CSV)}")
            if not isinstance(value, _CSV[name]):
                raise TypeError(f"CSV option {name}: {value!r} is not a valid value")
        dialect = csv.writer(io.StringIO(), **options).dialect
        if dialect.lineterminator not in ("\r\n", "\n", "\r"):
            raise ValueError(
                f"CSV option lineterminator: {dialect.lineterminator!r} ends no line for those who read; it is one of "
                "'\\r\\n', '\\n', '\\r'"
            )
        if "dialect" in options:
            # The process that reads may know no dialect of this name, or another one.
            options = {name: getattr(dialect, name) for name in _CSV if name != "dialect"}
            options["strict"] = bool(options["strict"])
        self.options = options
        self._loses_spaces = dialect.skipinitialspace and dialect.quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_NONE)

    def serialize_data(self, value):
        """The rows of ``value``."""
        out = io.StringIO(newline="")
        csv.writer(out, **self.options).writerows(self._rows(value) if self._loses_spaces else value)
        return _serialized(out.getvalue().encode(), "text/csv", "utf-8", self.options)

    @staticmethod
    def _rows(rows):
        for row in rows:
            row = list(row)
            if any(isinstance(field, str) and field.startswith(" ") for field in row):
                raise ValueError(
                    f"CSV: {row!r} has a string that begins with a space, which skipinitialspace drops when it is read: add "
                    "quoting=csv.QUOTE_ALL"
                )
            yield row

    def deserialize_data(self, content):
        """The rows."""
        data = content["data"].decode()
        with _LONGEST:
            before = csv.field_size_limit()
            csv.field_size_limit(max(before, min(len(data), (1 << 31) - 1)))
            try:
                return list(csv.reader(io.StringIO(data, newline=""), **(content.get("config") or {})))
            finally:
                csv.field_size_limit(before)


class NpySerializer(Serializer[np.ndarray]):
    """Arrays of NumPy as ``.npy`` files, of every type but Python objects, which would need pickle."""

    name = "vlstore.npy@v1"
    aliases = ("labox.numpy.npy@v1",)
    types = (np.ndarray, np.generic)
    content_types = ("application/x-npy", "application/x-npy.v3")

    def serialize_data(self, value):
        """``value`` as the bytes of a file."""
        array = np.asanyarray(value)
        if isinstance(array, np.ma.MaskedArray):
            raise TypeError(
                "a masked array is not stored, since .npy has no masks: store its data and its mask (numpy.ma.getdata, "
                "numpy.ma.getmaskarray), or array.filled(...)"
            )
        if array.dtype.hasobject:
            raise TypeError("an array of Python objects is not stored: give it a type of numbers or strings")
        out = io.BytesIO()
        np.save(out, array, allow_pickle=False)
        scalar = isinstance(value, np.generic)
        return _serialized(out.getvalue(), "application/x-npy", None, "scalar" if scalar else None)

    def deserialize_data(self, content):
        """The array."""
        array = np.load(io.BytesIO(content["data"]), allow_pickle=False)
        return array[()] if content.get("config") == "scalar" else array


class BytesStreamSerializer(StreamSerializer[bytes]):
    """Pieces of bytes as they are; how they were cut is not kept."""

    name = "vlstore.bytes-stream@v1"
    types = (bytes, bytearray, memoryview)
    content_types = ("application/octet-stream",)

    def serialize_data_stream(self, stream):
        """The pieces themselves."""
        return {
            "data_stream": stream,
            "content_type": "application/octet-stream",
            "content_encoding": None,
        }

    async def deserialize_data_stream(self, content):
        """The pieces, cut as the storage likes."""
        async for piece in content["data_stream"]:
            yield piece


class TextStreamSerializer(StreamSerializer[str]):
    """Pieces of text in UTF-8; how they were cut is not kept."""

    name = "vlstore.text-stream@v1"
    types = (str,)
    content_types = ("text/plain",)

    def serialize_data_stream(self, stream):
        """The pieces in UTF-8."""

        async def pieces():
            async for piece in stream:
                yield piece.encode()

        return {"data_stream": pieces(), "content_type": "text/plain", "content_encoding": "utf-8"}

    async def deserialize_data_stream(self, content):
        """The text, cut as the storage likes, but never within a character."""
        decoder = codecs.getincrementaldecoder("utf-8")()
        async for piece in content["data_stream"]:
            if text := decoder.decode(piece):
                yield text
        decoder.decode(b"", final=True)


class JsonStreamSerializer(StreamSerializer[Any]):
    """Objects and arrays of JSON, one after the other: together one JSON array."""

    name = "vlstore.json-stream@v1"
    aliases = ("labox.json.stream@v1",)
    types = (dict, list, tuple)
    content_types = ("application/json",)

    def serialize_data_stream(self, stream):
        """The items of ``stream`` as JSON."""

        async def pieces():
            before = "["
            async for item in stream:
                if not isinstance(item, (dict, list, tuple)):
                    raise TypeError(f"JSON stream: its items are objects and arrays, not {type(item).__name__}: {item!r}")
                yield (before + _json.dumps(item, "an item of a JSON stream")).encode()
                before = ","
            yield b"[]" if before == "[" else b"]"

        return {"data_stream": pieces(), "content_type": "application/json", "content_encoding": None}

    async def deserialize_data_stream(self, content):
        """The items; a ``ValueError`` where they are not what this wrote."""
        decoder, items = codecs.getincrementaldecoder("utf-8")(), Items()
        async for piece in content["data_stream"]:
            for item in items.feed(decoder.decode(piece)):
                yield item
        for item in items.feed(decoder.decode(b"", final=True)):
            yield item
        items.end()


bytes_serializer = BytesSerializer()
text_serializer = TextSerializer()
json_serializer = JsonSerializer()
iso8601_serializer = Iso8601Serializer()
csv_serializer = CsvSerializer()
npy_serializer = NpySerializer()
bytes_stream_serializer = BytesStreamSerializer()
text_stream_serializer = TextStreamSerializer()
json_stream_serializer = JsonStreamSerializer()

ALL = (
    bytes_serializer,
    text_serializer,
    json_serializer,
    iso8601_serializer,
    csv_serializer,
    npy_serializer,
    bytes_stream_serializer,
    text_stream_serializer,
    json_stream_serializer,
)
