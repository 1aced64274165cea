"""What labox, a system before this one, left: a folder of files and an SQLite database of manifests."""

import os
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from vlstore.blobs import _json
from vlstore.blobs._digest import make_digest
from vlstore.blobs._errors import MissingBlobError, WrongContentError
from vlstore.blobs._manifest import Content, Manifest, Manifests
from vlstore.blobs._names import named
from vlstore.blobs._storage import Storage


class ImportedLabox(NamedTuple):
    """What :func:`import_labox` took over: the manifests, and how many contents and bytes there were."""

    manifests: list[Manifest]
    contents: int
    content_bytes: int


_CONTENTS = """
    SELECT content_key, content_type, content_encoding, content_hash, content_hash_algorithm, content_size,
           serializer_name, serializer_config, serializer_type, storage_name, storage_config
    FROM labox_contents WHERE manifest_id = ? ORDER BY rowid
"""


def import_labox(
    database: str | os.PathLike[str],
    files: str | os.PathLike[str],
    *,
    storage: Storage,
    manifests: Manifests | None = None,
) -> ImportedLabox:
    """Takes over all that labox stored: each content into ``storage``, each manifest into ``manifests``.

    ``database`` is its SQLite file, ``files`` the folder of its ``FileStorage``; both are only read. Every content is
    compared with the digest of its manifest. Ids, times, tags, class ids, and the names of unpackers and serializers
    stay as they are; the registry of this package reads them.
    """
    files = Path(files)
    found, hashes, total = [], set(), 0
    uri = Path(database).absolute().as_uri() + "?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as connection, storage.held():
        rows = connection.execute(
            "SELECT id, tags, class_id, unpacker_name, created_at FROM labox_manifests ORDER BY rowid"
        ).fetchall()
        for id, tags, class_id, unpacker, created in rows:
            tags = _json.loads(tags or "{}") or {}
            contents = []
            for row in connection.execute(_CONTENTS, (id,)).fetchall():
                content = _content(row)
                if content.storage == "labox.json_storage_data@v1":
                    # It lies in the manifest and stays there.
                    contents.append(content)
                    continue
                data = _read(files, content)
                digest = make_digest(data, content.content_type, content.content_encoding)
                at = storage.write(data, digest=digest, tags=tags)
                text = storage.dump_data(at)
                contents.append(replace(content, storage=named(storage), storage_data=text))
                if content.content_hash not in hashes:
                    hashes.add(content.content_hash)
                    total += len(data)
            created = datetime.fromisoformat(created)
            if created.tzinfo is None:
                created = created.replace(tzinfo=UTC)
            found.append(
                Manifest(
                    id=id.replace("-", "").lower(),
                    class_id=class_id.replace("-", ""),
                    unpacker=unpacker,
                    tags=tags,
                    created_at=created,
                    contents=contents,
                )
            )
    if manifests is not None:
        manifests.add(found)
    return ImportedLabox(found, len(hashes), total)


def _content(row):
    key, kind, encoding, hash_, algorithm, size, serializer, config, way, storage, data = row
    return Content(
        key=key,
        content_type=kind,
        content_encoding=encoding,
        content_hash_algorithm=algorithm,
        content_hash=hash_,
        content_size=size,
        is_stream=way == "StreamSerializer",
        serializer=serializer,
        serializer_config=config,
        storage=storage,
        storage_data=data,
    )


def _read(files, content):
    """The bytes of a content, found by the name of its file in the folder: the path of old may lead nowhere."""
    if content.storage != "labox.file@v1":
        raise ValueError(f"part {content.key!r} lies in {content.storage}: only files and manifests are taken over")
    name = str(_json.loads(content.storage_data)).replace("\\", "/").rsplit("/", 1)[-1]
    try:
        data = (files / name).read_bytes()
    except FileNotFoundError:
        raise MissingBlobError(f"{files}: the file {name}, which the database names, does not exist") from None
    digest = make_digest(data)
    if content.content_hash_algorithm != "sha256" or digest["content_hash"] != content.content_hash:
        raise WrongContentError(f"{files / name}: its SHA-256 is not the one in the database, {content.content_hash}")
    return data
