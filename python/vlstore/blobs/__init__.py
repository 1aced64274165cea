"""Contents of any size with their digests: blobs and streams, storages, serializers, and a registry.

>>> from vlstore.blobs import StoreStorage
>>> storage = StoreStorage("contents.vls", create=True)
>>> at = storage.write(b"some text", "text/plain", tags={"run": "7"})
>>> storage.read(at)
b'some text'
>>> at = storage.write_stream((b"%d " % i for i in range(100_000)), "text/plain")
>>> storage.read_range(at, 0, 8), at["digest"]["content_size"]
(b'0 1 2 3 ', 588890)
"""

from vlstore.blobs._digest import Digest, DigestedStream, GetStreamDigest, StreamDigest, make_digest
from vlstore.blobs._errors import (
    DuplicateError,
    MissingBlobError,
    NotRegisteredError,
    WrongContentError,
)
from vlstore.blobs._labox import ImportedLabox, import_labox
from vlstore.blobs._load import LoadedStream, Loader, load, load_one, new_loader
from vlstore.blobs._manifest import Content, Manifest, Manifests, ManifestStorage
from vlstore.blobs._native import FileStorage, MemoryStorage, S3Storage, StoreStorage, temporary_storage
from vlstore.blobs._registry import Registry
from vlstore.blobs._save import Saver, new_saver, save, save_one
from vlstore.blobs._serializer import (
    SerializedData,
    SerializedDataStream,
    Serializer,
    StreamSerializer,
)
from vlstore.blobs._serializers import (
    BytesSerializer,
    BytesStreamSerializer,
    CsvSerializer,
    Iso8601Serializer,
    JsonSerializer,
    JsonStreamSerializer,
    NpySerializer,
    TextSerializer,
    TextStreamSerializer,
    bytes_serializer,
    bytes_stream_serializer,
    csv_serializer,
    iso8601_serializer,
    json_serializer,
    json_stream_serializer,
    npy_serializer,
    text_serializer,
    text_stream_serializer,
)
from vlstore.blobs._storable import Storable, StorableConfig, Unpacked, UnpackedStream, Unpacker
from vlstore.blobs._storables import StorableDataclass, StorableStream, StorableValue
from vlstore.blobs._storage import Storage, Tags
from vlstore.blobs._task_group import Later

# In the manifest itself; registered with the serializers.
manifest_storage = ManifestStorage()

__all__ = [
    "BytesSerializer",
    "BytesStreamSerializer",
    "Content",
    "CsvSerializer",
    "Digest",
    "DigestedStream",
    "DuplicateError",
    "FileStorage",
    "GetStreamDigest",
    "ImportedLabox",
    "Iso8601Serializer",
    "JsonSerializer",
    "JsonStreamSerializer",
    "Later",
    "LoadedStream",
    "Loader",
    "Manifest",
    "ManifestStorage",
    "Manifests",
    "MemoryStorage",
    "MissingBlobError",
    "NotRegisteredError",
    "NpySerializer",
    "Registry",
    "S3Storage",
    "Saver",
    "SerializedData",
    "SerializedDataStream",
    "Serializer",
    "Storable",
    "StorableConfig",
    "StorableDataclass",
    "StorableStream",
    "StorableValue",
    "Storage",
    "StoreStorage",
    "StreamDigest",
    "StreamSerializer",
    "Tags",
    "TextSerializer",
    "TextStreamSerializer",
    "Unpacked",
    "UnpackedStream",
    "Unpacker",
    "WrongContentError",
    "bytes_serializer",
    "bytes_stream_serializer",
    "csv_serializer",
    "import_labox",
    "iso8601_serializer",
    "json_serializer",
    "json_stream_serializer",
    "load",
    "load_one",
    "make_digest",
    "manifest_storage",
    "new_loader",
    "new_saver",
    "npy_serializer",
    "save",
    "save_one",
    "temporary_storage",
    "text_serializer",
    "text_stream_serializer",
]
