"""Blobs in S3, against a server that speaks its protocol, which this file starts."""

import asyncio
import hashlib
import json
import os
import pickle
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager

import boto3
import pytest

import vlstore
from vlstore.blobs import (
    DigestedStream,
    Manifests,
    MissingBlobError,
    Registry,
    S3Storage,
    StorableStream,
    StorableValue,
    StoreStorage,
    load,
    make_digest,
    save,
)

PART = 5 << 20
ACCESS = {"access_key_id": "test-key-id", "secret_access_key": "test-secret", "region": "us-east-1"}


@contextmanager
def serving(**environment):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, env=os.environ | environment, **quiet)
    try:
        until = time.monotonic() + 120
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < until, "the server did not start"
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def server():
    with serving() as address:
        yield address


@pytest.fixture
def bucket(server, request, monkeypatch):
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    access = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    client = boto3.client("s3", endpoint_url=server, region_name="us-east-1", **access)
    name = request.node.name.replace("_", "-").replace("[", "-").replace("]", "")[:60].strip("-")
    client.create_bucket(Bucket=name)
    client.name, client.endpoint = name, server
    return client


def storage(bucket, prefix="lab/blobs", **options):
    return S3Storage(bucket.name, prefix, **{"endpoint": bucket.endpoint, "allow_http": True, **ACCESS, **options})


def keys(bucket):
    return sorted(one["Key"] for one in bucket.list_objects_v2(Bucket=bucket.name).get("Contents", []))


def uploads(bucket):
    return bucket.list_multipart_uploads(Bucket=bucket.name).get("Uploads", [])


@pytest.mark.parametrize("size", [0, 10, PART, 2 * PART + 12345])
def test_either_way_in_either_way_out(bucket, size):
    s3 = storage(bucket, part=PART)
    content = bytes(range(256)) * (size // 256) + bytes(size % 256)
    streamed = s3.write_stream(content[at : at + 999_983] for at in range(0, size, 999_983))
    assert s3.write(content) == streamed
    assert s3.read(streamed) == content
    assert b"".join(s3.read_stream(streamed)) == content
    assert s3.read_range(streamed, size // 3, size // 2) == content[size // 3 : size // 2]
    with pytest.raises(vlstore.LimitError):
        s3.read_range(streamed, 0, size + 1)
    # Equal contents once, and nothing else: no temporary name, no upload without an end.
    assert keys(bucket) == [f"lab/blobs/{hashlib.sha256(content).hexdigest()}.bin"]
    assert uploads(bucket) == []
    # Written whole first, in another place; the data is enough there.
    other = storage(bucket, "other", part=PART)
    assert other.read(other.write(content)) == content
    assert other.read(json.loads(json.dumps(streamed))) == content

    async def both():
        stream = DigestedStream(s3.read_data_stream(streamed))
        at = await other.write_data_stream(stream, stream.get_digest, {})
        assert stream.get_digest() == make_digest(content)
        assert await other.read_data(at) == content

    asyncio.run(both())


def test_type_encoding_and_tags_are_those_of_the_object(bucket):
    s3 = storage(bucket, part=PART)
    tags = {"run": "7", "\u043a\u043b\u044e\u0447": "\u0437\u043d\u0430\u0447\u0435\u043d\u0438\u0435"}
    whole = s3.write(b"{}", "application/json", "gzip", tags=tags)
    large = s3.write_stream([bytes(PART), bytes(PART)], "text/csv", "br", tags={"run": "8"})
    for at, kind, encoding, own in ((whole, "application/json", "gzip", tags), (large, "text/csv", "br", {"run": "8"})):
        key = "lab/blobs/" + at["place"]["object"]
        head = bucket.head_object(Bucket=bucket.name, Key=key)
        assert (head["ContentType"], head["ContentEncoding"].split(",")[0]) == (kind, encoding)
        found = bucket.get_object_tagging(Bucket=bucket.name, Key=key)["TagSet"]
        assert {one["Key"]: one["Value"] for one in found} == own
        assert s3.tags(at) == [own]
    # What S3 does not take as its own tags.
    s3.write(b"{}", "application/json", "gzip", tags={"run": "8", "odd": "\u20ac<>" * 200})
    assert len(s3.tags(whole)) == 2
    assert {json.dumps(at) for at, _ in s3.search({"run": "8"})} == {json.dumps(whole), json.dumps(large)}
    assert s3.search({"run": "9"}) == []


def test_what_fails_is_aborted_and_leaves_nothing(bucket):
    s3 = storage(bucket, part=PART)
    seen = []

    def broken():
        yield bytes(3 * PART)
        seen.extend(uploads(bucket))
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        s3.write_stream(broken(), tags={"a": "b"})
    assert len(seen) == 1, "it was an upload in parts"
    assert keys(bucket) == [] and uploads(bucket) == []

    async def leaves_some_unread():
        stream = DigestedStream([bytes(2 * PART)] * 2)
        await s3.write_data_stream(stream, DigestedStream([b""]).get_digest, {})

    with pytest.raises(ValueError, match="digest of a stream"):
        asyncio.run(leaves_some_unread())
    for content in (b"content", bytes(2 * PART)):
        with pytest.raises(ValueError, match="nothing was written"):
            s3.write(content, digest=make_digest(b"other--"), tags={"a": "b"})
    assert keys(bucket) == [] and uploads(bucket) == []
    # What a killed process may leave.
    bucket.put_object(Bucket=bucket.name, Key="lab/blobs/.partial/0123", Body=b"some")
    assert s3.search({}) == [] and s3.sweep() == 1 and keys(bucket) == []


def test_missing_and_damaged_contents(bucket):
    s3 = storage(bucket)
    at = s3.write(b"content", "text/plain")
    key = "lab/blobs/" + at["place"]["object"]
    for body, why in ((b"c0ntent", "SHA-256"), (b"conten", "length"), (b"contents", "length")):
        bucket.put_object(Bucket=bucket.name, Key=key, Body=body)
        for read in (lambda: s3.read(at), lambda: list(s3.read_stream(at))):
            with pytest.raises(vlstore.CorruptError, match=why):
                read()
    # Written again, it is whole again.
    assert s3.read(s3.write(b"content", "text/plain")) == b"content"
    bucket.put_object(Bucket=bucket.name, Key=key, Body=b"c0ntent")
    assert storage(bucket, check_read=False).read(at) == b"c0ntent"
    bucket.delete_object(Bucket=bucket.name, Key=key)
    for read in (
        lambda: s3.read(at),
        lambda: list(s3.read_stream(at)),
        lambda: s3.read_range(at, 0, 0),
        lambda: s3.read_range(at, 1, 3),
        lambda: s3.tags(at),
    ):
        with pytest.raises(MissingBlobError):
            read()


def test_a_bucket_that_is_not_there_says_so(bucket):
    at = storage(bucket).write(b"content", "text/plain")
    wrong = storage(bucket)
    bucket.delete_object(Bucket=bucket.name, Key=keys(bucket)[0])
    bucket.delete_bucket(Bucket=bucket.name)
    for use in (
        lambda: wrong.write(b"x"),
        lambda: wrong.write_stream([bytes(20 << 20)]),
        lambda: wrong.read(at),
        lambda: wrong.read_range(at, 0, 3),
        lambda: wrong.search({}),
    ):
        with pytest.raises(FileNotFoundError, match="this bucket does not exist") as error:
            use()
        assert bucket.name in str(error.value)


def test_a_key_without_access_says_so_and_is_not_shown(bucket):
    with serving(INITIAL_NO_AUTH_ACTION_COUNT="0") as asking:
        wrong = storage(bucket, endpoint=asking)
        for use in (lambda: wrong.write(b"x"), lambda: wrong.write_stream([bytes(20 << 20)]), lambda: wrong.search({})):
            with pytest.raises(PermissionError, match="access_key_id") as error:
                use()
            shown = str(error.value) + repr(error.value) + repr(wrong)
            assert "test-key-id" not in shown and "test-secret" not in shown


def test_settings_and_storages_that_only_read(bucket, monkeypatch):
    s3 = storage(bucket)
    at = s3.write(b"content")
    reading = storage(bucket, read_only=True)
    assert reading.read_only and reading.read(at) == b"content"
    for write in (lambda: reading.write(b"x"), lambda: reading.write_stream([b"x"]), reading.sweep):
        with pytest.raises(vlstore.ReadOnlyError):
            write()
    with pytest.raises(ValueError, match="part size"):
        storage(bucket, part=1000)
    with pytest.raises(ValueError, match="nonsense.* is not known"):
        storage(bucket, nonsense="x")
    with pytest.raises(TypeError, match="timeout"):
        storage(bucket, timeout=1.5)
    with pytest.raises(ValueError, match="place of a blob"):
        storage(bucket, "../up")
    assert pickle.loads(pickle.dumps(s3)).read(at) == b"content"
    assert "test-secret" not in json.dumps(at)
    # The environment stands for what is not given.
    given = {"ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b", "REGION": "us-east-1", "ALLOW_HTTP": "true"}
    for name, value in (given | {"ENDPOINT": bucket.endpoint}).items():
        monkeypatch.setenv("AWS_" + name, value)
    assert S3Storage(bucket.name, "lab/blobs").read(at) == b"content"


def test_places_of_the_user(bucket):
    s3 = storage(bucket, router=lambda digest, tags: f"{tags['subject']}/\u0444\u0430\u0439\u043b 1#.txt")
    at = s3.write(b"one", "text/plain", tags={"subject": "s01"})
    assert s3.read(at) == b"one" and s3.write_stream([b"o", b"ne"], "text/plain", tags={"subject": "s01"}) == at
    assert "lab/blobs/s01/\u0444\u0430\u0439\u043b 1#.txt" in keys(bucket)
    assert [found for found, _ in s3.search({"subject": "s01"})] == [at]
    with pytest.raises(vlstore.ExistsError, match="another content"):
        s3.write(b"two", "text/plain", tags={"subject": "s01"})


def test_objects_in_parts(bucket, tmp_path):
    s3 = storage(bucket, part=PART)
    registry = Registry(modules=["vlstore.blobs"], default_storage=s3)
    manifests = Manifests(StoreStorage(tmp_path / "manifests.vls", create=True))
    value = save(StorableValue({"rate": 2000}), registry=registry, manifests=manifests)
    stream = save(StorableStream({"n": n} for n in range(50)), registry=registry, manifests=manifests)
    assert load(value, registry=registry).value == {"rate": 2000}
    assert stream in manifests.search({})
    with ExitStack() as scope:
        loaded = load(stream, registry=registry, scope=scope)
        assert [one["n"] for one in loaded.value_stream] == list(range(50))
