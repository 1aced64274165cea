"""Manifests: what was stored of an object, and enough to load it."""

import os
import re
import uuid
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from vlstore.blobs import _json
from vlstore.blobs._native import StoreStorage, _missing
from vlstore.blobs._storable import normal_id
from vlstore.blobs._storage import Storage, check_tags


@dataclass(frozen=True, kw_only=True)
class Content:
    """One part of a stored object: what its bytes are, how they were made, and where they are.

    ``serializer_config`` and ``storage_data`` are JSON texts, as the serializer and the storage wrote them.
    """

    key: str
    content_type: str
    content_encoding: str | None
    content_hash_algorithm: str
    content_hash: str
    content_size: int
    is_stream: bool
    serializer: str
    serializer_config: str
    storage: str
    storage_data: str


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What was stored of an object: its class, its tags, the time, and its parts by name.

    With a registry that knows the names in it, it is enough to load the object. ``to_json`` and ``from_json`` carry
    it; ``id`` has 32 hexadecimal digits.
    """

    class_id: str
    unpacker: str
    contents: tuple[Content, ...]
    tags: Mapping[str, str] = field(default_factory=dict)
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __post_init__(self):
        object.__setattr__(self, "class_id", normal_id(self.class_id))
        object.__setattr__(self, "contents", tuple(self.contents))
        object.__setattr__(self, "tags", check_tags(self.tags))
        if not re.fullmatch(r"[0-9a-f]{32}", self.id):
            raise ValueError(f"manifest: its id is 32 lower-case hexadecimal digits, not {self.id!r}")
        if self.created_at.tzinfo is None:
            raise ValueError("manifest: created_at has no time zone")
        keys = [content.key for content in self.contents]
        if twice := {key for key in keys if keys.count(key) > 1}:
            raise ValueError(f"manifest: two parts are called {min(twice)!r}")

    def to_json(self) -> dict[str, Any]:
        """The manifest as a value of JSON."""
        contents = []
        for content in self.contents:
            one = dict(vars(content))
            one["serializer_config"] = _json.loads(content.serializer_config)
            one["storage_data"] = content.storage_data
            contents.append(one)
        return {
            "id": self.id,
            "class_id": self.class_id,
            "unpacker": self.unpacker,
            "tags": dict(self.tags),
            "created_at": self.created_at.isoformat(),
            "contents": contents,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Manifest":
        """The manifest of a value that :meth:`to_json` made."""
        try:
            contents = [
                Content(**{**one, "serializer_config": _json.dumps(one["serializer_config"])})
                for one in value["contents"]
            ]
            created = datetime.fromisoformat(value["created_at"])
            return cls(**{**value, "contents": contents, "created_at": created})
        except (KeyError, TypeError) as error:
            raise ValueError(f"manifest: it is not one of this release: {error}") from None


class Manifests:
    """Manifests in the store file of a :class:`StoreStorage`, beside the contents or in a file of their own.

    ``storage`` is one, or the path of its file, which is made if it is not there.
    """

    def __init__(self, storage: StoreStorage | str | os.PathLike[str]):
        if not isinstance(storage, StoreStorage):
            storage = StoreStorage(storage, create=True)
        self._core = storage._core

    def add(self, manifests: Iterable[Manifest]):
        """Keeps manifests: all, or none if one of the ids is taken."""
        self._core.put_manifests([(one.id, _json.dumps(one.to_json())) for one in manifests])

    def get(self, id: str) -> Manifest:
        """The manifest with that id; a ``KeyError`` if there is none."""
        with _missing():
            return Manifest.from_json(_json.loads(self._core.manifest(id)))

    def search(self, tags: Mapping[str, str] | None = None, cls: type | None = None) -> list[Manifest]:
        """The manifests with all of ``tags``, and of objects of ``cls`` if it is given, in the order in which they
        were added."""
        found = [Manifest.from_json(_json.loads(text)) for text in self._core.find_manifests(check_tags(tags))]
        if cls is not None:
            wanted = cls.storable_config().class_id
            found = [one for one in found if one.class_id == wanted]
        return found

    def __iter__(self):
        return iter(self.search())

    def __len__(self):
        return len(self.search())


_JSON_TYPE = re.compile(r"application/(.+\+)?json", re.IGNORECASE)


class ManifestStorage(Storage[str]):
    """Keeps small JSON in the manifest itself: the content is its own storage data.

    A content of more than ``warn_size`` bytes is warned of, of more than ``refuse_size`` bytes refused; streams always
    are.
    """

    name = "vlstore.manifest@v1"
    aliases = ("labox.json_storage_data@v1",)

    def __init__(self, *, warn_size: int = 10 << 10, refuse_size: int = 100 << 10):
        self.warn_size, self.refuse_size = warn_size, refuse_size

    async def write_data(self, data, digest, tags):
        """The content itself."""
        if not _JSON_TYPE.fullmatch(digest["content_type"].split(";")[0].strip()):
            raise ValueError(f"a manifest holds JSON alone, not {digest['content_type']}: choose another storage")
        if len(data) > self.refuse_size:
            raise ValueError(
                f"a manifest holds up to {self.refuse_size} bytes of a part, not {len(data)}: choose another storage"
            )
        if len(data) > self.warn_size:
            warnings.warn(
                f"{len(data)} bytes of a part lie in the manifest, which is read each time: another storage suits them "
                "better",
                UserWarning,
                stacklevel=2,
            )
        text = bytes(data).decode()
        _json.loads(text)
        return text

    async def read_data(self, data):
        """The content itself."""
        return data.encode()

    async def write_data_stream(self, stream, get_digest, tags):
        """Refuses: a manifest holds no streams."""
        raise ValueError("a manifest holds no streams: choose another storage")

    def read_data_stream(self, data):
        """Refuses: a manifest holds no streams."""
        raise ValueError("a manifest holds no streams")

    def dump_data(self, data):
        """The content, which is JSON already."""
        return data

    def load_data(self, text):
        """The content, which is JSON already."""
        return text
