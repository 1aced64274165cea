"""Storages of blobs: what is written either way is read either way, whole or not at all."""

import asyncio
import hashlib
import json
import os
import pickle
import random
import signal
import subprocess
import sys
import time

import pytest

import vlstore
from vlstore.blobs import (
    DigestedStream,
    FileStorage,
    MemoryStorage,
    MissingBlobError,
    Serializer,
    Storage,
    StoreStorage,
    StreamSerializer,
    Unpacker,
    make_digest,
    temporary_storage,
)

CONTENTS = [b"", b"x", b"abc" * 1000, random.Random(1).randbytes(300_000)]


class Plain(Storage):
    """A storage in Python, with nothing but the four methods."""

    name = "test.plain@v1"

    def __init__(self):
        self.kept = {}

    async def write_data(self, data, digest, tags):
        self.kept[digest["content_hash"]] = bytes(data)
        return digest["content_hash"]

    async def read_data(self, data):
        if data not in self.kept:
            raise MissingBlobError(f"no content {data}")
        return self.kept[data]

    async def write_data_stream(self, stream, get_digest, tags):
        whole = b"".join([piece async for piece in stream])
        return await self.write_data(whole, get_digest(), tags)

    async def read_data_stream(self, data):
        whole = await self.read_data(data)
        for at in range(0, len(whole), 1000):
            yield whole[at : at + 1000]


@pytest.fixture(params=["memory", "files", "store", "store held", "python"])
def storage(request, tmp_path):
    if request.param == "memory":
        yield MemoryStorage()
    elif request.param == "files":
        yield FileStorage(tmp_path / "files", mkdir=True, piece=10_000)
    elif request.param == "python":
        yield Plain()
    else:
        storage = StoreStorage(tmp_path / "blobs.vls", create=True, part=10_000)
        if request.param == "store":
            yield storage
        else:
            with storage.held():
                yield storage


def cut(content, size):
    return (content[at : at + size] for at in range(0, len(content), size))


async def async_cut(content, size):
    for piece in cut(content, size):
        yield piece


@pytest.mark.parametrize("content", CONTENTS, ids=len)
def test_either_way_in_either_way_out(storage, content):
    whole = storage.write(content)
    assert storage.read(whole) == content
    assert b"".join(storage.read_stream(whole)) == content
    for size in (7 if len(content) < 10_000 else 4001, 100_000):
        for source in (cut(content, size), async_cut(content, size)):
            streamed = storage.write_stream(source)
            assert streamed == whole
            assert storage.read(streamed) == content
    assert storage.read_range(whole, len(content) // 3, len(content) // 2) == content[len(content) // 3 : len(content) // 2]
    with pytest.raises(ValueError, match="range"):
        storage.read_range(whole, 0, len(content) + 1)


@pytest.mark.parametrize("content", CONTENTS, ids=len)
def test_asynchronously_too(storage, content):
    async def both():
        digest = make_digest(content)
        whole = await storage.write_data(content, digest, {})
        stream = DigestedStream(async_cut(content, 3000))
        streamed = await storage.write_data_stream(stream, stream.get_digest, {})
        assert stream.get_digest() == digest
        assert await storage.read_data(streamed) == content
        assert b"".join([piece async for piece in storage.read_data_stream(whole)]) == content
        assert await storage.read_data_range(whole, 0, len(content) // 2) == content[: len(content) // 2]
        assert whole == streamed

    asyncio.run(both())


def test_many_streams_at_once_and_one_from_another(storage):
    contents = [random.Random(i).randbytes(50_000 + i) for i in range(20)]

    async def go():
        async def one(content):
            stream = DigestedStream(async_cut(content, 999))
            first = await storage.write_data_stream(stream, stream.get_digest, {})
            again = DigestedStream(storage.read_data_stream(first))
            return await storage.write_data_stream(again, again.get_digest, {})

        return await asyncio.gather(*map(one, contents))

    for content, at in zip(contents, asyncio.run(go()), strict=True):
        assert storage.read(at) == content


def test_the_digest_grows_and_does_not_depend_on_the_cuts():
    content = CONTENTS[-1]
    digests = []
    for size in (1000, 4096, 1_000_000):
        stream = DigestedStream(cut(content, size), "text/plain", "gzip")
        with pytest.raises(ValueError, match="to its end"):
            stream.get_digest()
        first = next(stream)
        so_far = stream.get_digest(allow_incomplete=True)
        assert so_far["content_hash"] == hashlib.sha256(first).hexdigest()
        assert (so_far["content_size"], so_far["is_complete"]) == (len(first), False)
        list(stream)
        digests.append(stream.get_digest())
    assert digests == [make_digest(content, "text/plain", "gzip")] * 3


@pytest.mark.parametrize("asynchronous", [True, False], ids=["async", "sync"])
def test_a_stream_may_go_through_other_hands_on_its_way(storage, asynchronous):
    # Then the storage does not count the pieces itself, and compares at the end what came with what was promised.
    async def passed_on(stream):
        async for piece in stream:
            yield piece

    async def write(change):
        stream = DigestedStream(cut(CONTENTS[-1], 7000), "text/plain")
        source = passed_on(stream) if asynchronous else (change(piece) for piece in stream)
        return await storage.write_data_stream(source, stream.get_digest, {})

    if asynchronous or not isinstance(storage, Plain):
        at = asyncio.run(write(lambda piece: piece))
        assert storage.read(at) == CONTENTS[-1]
    if not asynchronous and not isinstance(storage, Plain):
        with pytest.raises(ValueError, match="nothing was written"):
            asyncio.run(write(lambda piece: piece[1:]))


def test_a_stream_that_failed_or_was_closed_has_no_digest():
    def fails():
        yield b"abc"
        raise OSError("half-way")

    async def fails_async():
        for piece in fails():
            yield piece

    def ended_again(source):
        stream = DigestedStream(source)
        assert next(stream) == b"abc"
        with pytest.raises(OSError, match="half-way"):
            next(stream)
        assert list(stream) == []
        return stream

    async def ended_again_async(source):
        stream = DigestedStream(source)
        assert await anext(stream) == b"abc"
        with pytest.raises(OSError, match="half-way"):
            await anext(stream)
        assert [piece async for piece in stream] == []
        return stream

    async def closed():
        stream = DigestedStream(iter([b"abc", b"def"]))
        await anext(stream)
        await stream.aclose()
        assert [piece async for piece in stream] == []
        return stream

    failed = [ended_again(fails()), ended_again(fails_async())]
    failed += [asyncio.run(ended_again_async(source())) for source in (fails, fails_async)] + [asyncio.run(closed())]
    for stream in failed:
        with pytest.raises(ValueError, match="to its end"):
            stream.get_digest()
        so_far = stream.get_digest(allow_incomplete=True)
        assert (so_far["content_hash"], so_far["is_complete"]) == (make_digest(b"abc")["content_hash"], False)


def test_storage_data_is_json_and_enough_elsewhere(storage, tmp_path):
    at = storage.write(b"content")
    text = storage.dump_data(at)
    assert len(text) < 1000
    assert storage.read(storage.load_data(text)) == b"content"
    other = {FileStorage: lambda: FileStorage(tmp_path), StoreStorage: lambda: StoreStorage(tmp_path / "o", create=True)}
    if type(storage) in other and not text.startswith('"'):
        code = (
            "import sys, vlstore.blobs as b\n"
            "os = __import__('os'); os.chdir('/')\n"
            f"s = b.{type(storage).__name__}(*eval(sys.argv[1]), **eval(sys.argv[2]))\n"
            "assert s.read(s.load_data(sys.argv[3])) == b'content'"
        )
        if isinstance(storage, StoreStorage):
            args = ((str(tmp_path / "other.vls"),), {"create": True})
            storage._core.release()  # a held store is committed for others
        else:
            args = ((str(tmp_path / "other"),), {"mkdir": True})
        subprocess.run([sys.executable, "-c", code, *map(repr, args), text], check=True)


def test_what_json_cannot_hold_is_no_storage_data():
    storage = Plain()
    for wrong in (float("nan"), float("inf"), b"bytes", {1: 2}, {"a": [float("nan")]}, {"a": {2: 3}}, object()):
        with pytest.raises((TypeError, ValueError), match="storage data"):
            storage.dump_data(wrong)
    assert storage.dump_data({"a": [1, None, "\u00e4"]}) == '{"a":[1,null,"\u00e4"]}'


def test_names_have_a_version_and_storages_of_one_class_and_name_are_equal(tmp_path):
    for wrong in ("files", "files@1", "@v1", "files@v", "a b@v1", "a@v1.2", 7, None):
        with pytest.raises(ValueError, match="name and its version"):
            type("Wrong", (Storage,), {"name": wrong})
    one, two = FileStorage(tmp_path), FileStorage(tmp_path / "x", mkdir=True)
    assert one == two and hash(one) == hash(two)
    assert one != MemoryStorage() and Plain() == Plain()
    assert type("Sub", (FileStorage,), {"name": "test.sub@v1"})(tmp_path) != one


def test_missing_is_one_kind_of_error(storage):
    at = storage.write(b"content")
    missing = json.loads(storage.dump_data(at).replace(hashlib.sha256(b"content").hexdigest(), "0" * 64))

    async def through():
        return [piece async for piece in storage.read_data_stream(missing)]

    for read in (
        lambda: storage.read(missing),
        lambda: list(storage.read_stream(missing)),
        lambda: asyncio.run(storage.read_data(missing)),
        lambda: asyncio.run(through()),
    ):
        with pytest.raises(MissingBlobError):
            read()
    assert issubclass(MissingBlobError, KeyError)


def test_a_wrong_digest_is_refused_unless_told_not_to(tmp_path):
    wrong = make_digest(b"other--")
    for make in (
        lambda **how: MemoryStorage(**how),
        lambda **how: FileStorage(tmp_path / "f", mkdir=True, **how),
        lambda **how: StoreStorage(tmp_path / "b", create=True, **how),
    ):
        with pytest.raises(ValueError, match="nothing was written"):
            make().write(b"content", digest=wrong)
        trusting = make(check_written=False, check_read=False)
        at = trusting.write(b"content", digest=wrong)
        assert trusting.read(at) == b"content"
        if not isinstance(trusting, MemoryStorage):  # which each has contents of its own
            with pytest.raises(vlstore.CorruptError, match="SHA-256"):
                make().read(at)

        async def lies(storage=make()):
            stream = DigestedStream(async_cut(b"content", 3))

            def get_digest(*, allow_incomplete=False):
                return stream.get_digest(allow_incomplete=allow_incomplete) | {"content_hash": "1" * 64}

            with pytest.raises(ValueError, match="nothing was written"):
                await storage.write_data_stream(stream, get_digest, {})

        asyncio.run(lies())
    plain = Plain()
    with pytest.raises(ValueError, match="nothing was written"):
        plain.write(b"content", digest=wrong)
    assert plain.kept == {}
    assert plain.read(plain.write(b"content", digest=make_digest(b"content"))) == b"content"


class Broken(Exception):
    pass


def test_a_stream_that_fails_half_way_leaves_nothing_and_is_closed(storage, tmp_path):
    closed = []

    def source():
        try:
            yield b"a" * 50_000
            yield b"b" * 50_000
            raise Broken("no more")
        finally:
            closed.append("sync")

    async def async_source():
        try:
            yield b"a" * 50_000
            yield b"b" * 1_500_000
            raise Broken("no more")
        finally:
            closed.append("async")

    for broken in (source(), async_source()):
        with pytest.raises(Broken, match="no more"):
            storage.write_stream(broken, tags={"a": "b"})
    assert closed == ["sync", "async"]
    for wrong in ("text", 7, None):
        with pytest.raises((TypeError, vlstore.WrongTypeError)):
            storage.write_stream([b"a", wrong])
    if isinstance(storage, FileStorage):
        assert os.listdir(storage.root) == []
    if isinstance(storage, StoreStorage):
        assert storage.search() == []
        storage._core.release()  # a held store is committed for others
        assert not [key for key in vlstore.open(storage.path, records="document") if key.startswith(".part")]


def test_an_iterator_that_is_given_up_is_closed(storage):
    at = storage.write(CONTENTS[-1])
    pieces = storage.read_stream(at)
    next(pieces)
    pieces.close()
    assert storage.read(at) == CONTENTS[-1]


def test_tags_travel_and_are_searched(tmp_path):
    for storage in (
        MemoryStorage(),
        FileStorage(tmp_path / "f", mkdir=True),
        StoreStorage(tmp_path / "b", create=True),
    ):
        at = storage.write(b"one", tags={"run": "1", "\u043a\u043b\u044e\u0447": "\u0437\u043d\u0430\u0447\u0435\u043d\u0438\u0435"})
        storage.write(b"one", tags={"run": "2"})
        storage.write_stream([b"t", b"wo"], tags={"run": "2"})
        assert sorted(map(len, storage.tags(at))) == [1, 2]
        assert [found for found, _ in storage.search({"\u043a\u043b\u044e\u0447": "\u0437\u043d\u0430\u0447\u0435\u043d\u0438\u0435"})] == [at]
        assert len(storage.search({"run": "2"})) == len(storage.search()) == 2
        assert storage.search({"run": "3"}) == []
        for wrong in ({"a": 1}, {1: "a"}, {"a": None}):
            with pytest.raises(TypeError, match="tags"):
                storage.write(b"x", tags=wrong)
        with pytest.raises(ValueError, match="tags: .*not Unicode"):
            storage.write(b"x", tags={"a": "\ud800"})


def test_files_are_named_by_digest_and_type(tmp_path):
    storage = FileStorage(tmp_path)
    for kind, ending in [("application/json", ".json"), ("text/csv; header=present", ".csv"), ("x-lab/y", ".x-lab-y")]:
        storage.write(b"{}", kind)
        assert (tmp_path / (hashlib.sha256(b"{}").hexdigest() + ending)).read_bytes() == b"{}"
    with pytest.raises(FileNotFoundError):
        FileStorage(tmp_path / "missing")
    with pytest.raises(ValueError, match="content type"):
        storage.write(b"x", "nonsense")


def test_pieces_have_a_settable_size_and_a_missing_place_is_made_only_when_asked(tmp_path):
    for make in (lambda: FileStorage(tmp_path / "files"), lambda: StoreStorage(tmp_path / "b.vls")):
        with pytest.raises(FileNotFoundError):
            make()
    assert os.listdir(tmp_path) == []
    files = FileStorage(tmp_path / "files", mkdir=True, piece=7)
    sizes = [len(piece) for piece in files.read_stream(files.write(bytes(30)))]
    assert sizes == [7, 7, 7, 7, 2]
    for storage in (files, StoreStorage(tmp_path / "b.vls", create=True), MemoryStorage()):
        assert [piece for piece in storage.read_stream(storage.write_stream([])) if piece] == []
        assert [piece for piece in storage.read_stream(storage.write(b""))] == []
    with pytest.raises(ValueError, match="piece size"):
        FileStorage(tmp_path / "files", piece=0)


class Half(Storage, Serializer, StreamSerializer, Unpacker):
    """Everything that a user can write a class of, without a single method."""

    name = "test.half@v1"


@pytest.mark.parametrize(
    ("call", "action", "method"),
    [
        (lambda it: it.write(b"x"), "write blobs", "write_data"),
        (lambda it: it.read("x"), "read blobs", "read_data"),
        (lambda it: it.write_stream([b"x"]), "write streams", "write_data_stream"),
        (lambda it: next(it.read_stream("x")), "read streams", "read_data_stream"),
        (lambda it: it.serialize_data(1), "serialize objects", "serialize_data"),
        (lambda it: it.deserialize_data({}), "deserialize objects", "deserialize_data"),
        (lambda it: it.serialize_data_stream(None), "serialize streams", "serialize_data_stream"),
        (lambda it: it.deserialize_data_stream({}), "deserialize streams", "deserialize_data_stream"),
        (lambda it: it.unpack_object(1, None), "unpack objects", "unpack_object"),
        (lambda it: it.repack_object(int, {}, None), "repack objects", "repack_object"),
    ],
)
def test_a_method_that_a_class_does_not_define_is_named(call, action, method):
    with pytest.raises(vlstore.errors.UnsupportedError) as info:
        call(Half())
    assert str(info.value) == f"Half cannot {action}: the class does not define the method {method}"
    assert isinstance(info.value, NotImplementedError)


def test_a_router_chooses_places(tmp_path):
    def by_run(digest, tags):
        assert digest["content_size"] == 3
        return f"{tags['run']}/{digest['content_hash'][:8]}"

    for storage in (
        FileStorage(tmp_path / "f", mkdir=True, router=by_run),
        StoreStorage(tmp_path / "b", create=True, router=by_run),
    ):
        at = storage.write(b"one", tags={"run": "r1"})
        assert storage.write_stream([b"o", b"ne"], tags={"run": "r1"}) == at
        assert "r1/" in json.dumps(at)
        assert storage.read(at) == b"one"
        with pytest.raises(KeyError, match="run"):
            storage.write(b"one")
        with pytest.raises(ValueError, match="relative path"):
            storage.write(b"one", tags={"run": "../up"})
    assert (tmp_path / "f" / "r1").is_dir()
    wrong = FileStorage(tmp_path / "f", router=lambda digest, tags: 7)
    with pytest.raises(TypeError, match="router"):
        wrong.write(b"x")


def test_a_read_only_storage_says_so(tmp_path):
    for make in (
        lambda **how: FileStorage(tmp_path / "f", mkdir=True, **how),
        lambda **how: StoreStorage(tmp_path / "b", create=True, **how),
    ):
        at = make().write(b"content")
        reading = make(read_only=True)
        assert reading.read_only and reading.read(at) == b"content"
        for write in (lambda: reading.write(b"x"), lambda: reading.write_stream([b"x"])):
            with pytest.raises(vlstore.ReadOnlyError):
                write()


def test_a_store_of_blobs_is_one_for_all_commands(tmp_path):
    path = tmp_path / "blobs.vls"
    storage = StoreStorage(path, create=True, part=1000)
    at = storage.write(CONTENTS[2], "text/plain", tags={"a": "b"})
    small = storage.write(b"{}", "application/json")
    command = [sys.executable, "-m", "vlstore"]

    def ran(*args):
        return subprocess.run([*command, *map(str, args)], check=True, capture_output=True, text=True).stdout

    assert at["place"]["key"] in ran("ls", path)
    assert '"content_size":2' in ran("get", path, small["place"]["key"], "--as", "json").replace(" ", "")
    assert "layer       blobs, version 1" in ran("info", path)
    ran("verify", path)
    ran("compact", path)
    ran("copy", path, tmp_path / "copy.vls")
    ran("recover", path, tmp_path / "recovered.vls")
    for one in (path, tmp_path / "copy.vls", tmp_path / "recovered.vls"):
        copy = StoreStorage(one)
        assert copy.read(at) == CONTENTS[2]
        assert len(copy.search({"a": "b"})) == 1
    vlstore.open(tmp_path / "raw.vls", "w").close()
    with pytest.raises(ValueError, match="not one of blobs"):
        StoreStorage(tmp_path / "raw.vls")
    with pytest.raises(FileNotFoundError):
        StoreStorage(tmp_path / "missing.vls")


WRITER = """
import sys, time, vlstore.blobs as b
storage = b.StoreStorage(sys.argv[1], part=100_000) if sys.argv[2] == "store" else b.FileStorage(sys.argv[1])
def pieces():
    for i in range(100):
        yield bytes([i]) * 150_000
        if i == 20:
            print("ready", flush=True)
            time.sleep(60)
storage.write_stream(pieces())
"""


@pytest.mark.parametrize("kind", ["store", "files"])
def test_a_killed_stream_is_never_seen_and_is_cleaned_up(tmp_path, kind):
    if kind == "store":
        place = tmp_path / "blobs.vls"
        storage = StoreStorage(place, create=True)
    else:
        place = tmp_path
        storage = FileStorage(place)
    at = storage.write(b"kept", tags={"a": "b"})
    process = subprocess.Popen([sys.executable, "-c", WRITER, place, kind], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    # While it waits for its source others write.
    storage.write(b"between")
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert len(storage.search()) == 1
    if kind == "store":
        assert [k for k in vlstore.open(place, records="document") if k.startswith(".")]
        storage.write(b"next")  # whoever writes next cleans up
        assert not [k for k in vlstore.open(place, records="document") if k.startswith(".")]
        vlstore.compact(place)
        assert place.stat().st_size < 1_000_000
    else:
        assert [name for name in os.listdir(place) if name.endswith(".partial")]
        assert storage.sweep() == 1
        assert not [name for name in os.listdir(place) if name.endswith(".partial")]
    assert storage.read(at) == b"kept"


MANY = """
import sys, vlstore.blobs as b
storage = b.StoreStorage(sys.argv[1], part=5000)
for i in range(30):
    storage.write_stream([b"%d" % (i // 2)] * 4000)
    storage.write(b"%s %d" % (sys.argv[2].encode(), i))
"""


def test_processes_write_one_store_at_once(tmp_path):
    path = tmp_path / "blobs.vls"
    storage = StoreStorage(path, create=True)
    processes = [subprocess.Popen([sys.executable, "-c", MANY, path, str(n)]) for n in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    for n in range(3):
        for i in range(30):
            assert storage.read(storage.write(b"%d %d" % (n, i))) == b"%d %d" % (n, i)
    with vlstore.open(path, records="document") as store:
        # 15 streams, stored once: one record each, and their parts; 90 small ones.
        keys = list(store)
        assert len([k for k in keys if not k.startswith(".")]) == 15 + 90
        sizes = [len(b"%d" % (i // 2)) * 4000 for i in range(0, 30, 2)]
        parts = sum(-(-size // 5000) if size > 5000 else 0 for size in sizes)
        assert len([k for k in keys if k.startswith(".part")]) == parts
        assert store.verify().ok


def test_a_forked_child_reads_and_writes(tmp_path):
    storage = StoreStorage(tmp_path / "b", create=True)
    at = storage.write(b"of the parent")
    asyncio.run(storage.read_data(at))
    plain = Plain()
    plain.write(b"x")
    pid = os.fork()
    if pid == 0:
        try:
            good = storage.read(at) == b"of the parent" and storage.write(b"of the child")
            plain.write(b"y")
            os._exit(0 if good else 1)
        except BaseException:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert storage.read(storage.write(b"of the child")) == b"of the child"


def test_pickled_storages_find_their_blobs(tmp_path):
    for storage in (FileStorage(tmp_path, piece=7), StoreStorage(tmp_path / "b.vls", create=True)):
        at = storage.write(b"content")
        copy = pickle.loads(pickle.dumps(storage))
        assert copy == storage and copy.read(at) == b"content"
    with pytest.raises(pickle.PicklingError):
        pickle.dumps(MemoryStorage())


def test_a_temporary_place_is_removed_at_exit():
    code = "from vlstore.blobs import temporary_storage\ns = temporary_storage()\ns.write(b'x')\nprint(s.root)"
    place = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()
    assert "vlstore-blobs-" in place and not os.path.exists(place)
    assert temporary_storage().root.is_dir()


def test_a_large_stream_takes_bounded_memory(tmp_path):
    code = """
import resource, sys, vlstore.blobs as b
storage = b.StoreStorage(sys.argv[1], create=True)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
at = storage.write_stream(bytes([i % 251]) * 1_000_000 for i in range(300))
total = sum(map(len, storage.read_stream(at)))
assert total == 300_000_000, total
anonymous = next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith("RssAnon"))
assert anonymous < 120_000, anonymous
"""
    if not os.path.exists("/proc/self/status"):
        pytest.skip("memory is measured by /proc")
    subprocess.run([sys.executable, "-c", code, tmp_path / "b.vls"], check=True)


def test_blocking_calls_work_while_a_loop_runs_and_not_in_its_place():
    storage = Plain()

    class Wrong(Plain):
        name = "test.wrong@v1"

        async def write_data(self, data, digest, tags):
            return storage.write(data)  # a blocking call in asynchronous code

    async def within():
        return storage.write(b"x")

    assert asyncio.run(within()) == hashlib.sha256(b"x").hexdigest()
    with pytest.raises(RuntimeError, match="asynchronous call"):
        Wrong().write(b"x")


def test_a_full_disk_deletes_nothing(tmp_path):
    code = """
import resource, signal, sys, vlstore.blobs as b
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, 3_000_000))
for storage in (b.StoreStorage(sys.argv[1] + "/b.vls", create=True, part=100_000), b.FileStorage(sys.argv[1])):
    at = storage.write(b"kept" * 1000)
    for write in (lambda: storage.write(bytes(5_000_000)), lambda: storage.write_stream([bytes(90_000)] * 60)):
        try:
            write()
        except OSError as error:
            assert error.errno == 27, error
        else:
            raise SystemExit("no error")
    assert storage.read(at) == b"kept" * 1000
    assert storage.search() == []
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".partial")]


def test_cancelling_a_write_leaves_nothing(tmp_path):
    storage = StoreStorage(tmp_path / "b.vls", create=True, part=1000)

    async def waits_after_some_parts(reached):
        for _ in range(3):
            yield b"x" * 20_000
        reached.set()
        await asyncio.Event().wait()

    async def go():
        reached = asyncio.Event()
        stream = DigestedStream(waits_after_some_parts(reached))
        writing = asyncio.create_task(storage.write_data_stream(stream, stream.get_digest, {}))
        await reached.wait()
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing

    asyncio.run(go())
    until = time.monotonic() + 20
    while [k for k in vlstore.open(storage.path, records="document")] and time.monotonic() < until:
        time.sleep(0.05)
    assert list(vlstore.open(storage.path, records="document")) == []
