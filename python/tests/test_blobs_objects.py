"""Objects in parts: serializers, the registry, manifests, saving and loading, and what labox left."""

import asyncio
import copy
import csv
import dataclasses
import datetime
import gc
import json
import pathlib
import random
import shutil
import sqlite3
import sys
import time
import types
from contextlib import AsyncExitStack, ExitStack, closing

import numpy as np
import pytest

import vlstore
from vlstore import blobs
from vlstore.blobs import (
    CsvSerializer,
    DuplicateError,
    Manifest,
    Manifests,
    ManifestStorage,
    MemoryStorage,
    MissingBlobError,
    NotRegisteredError,
    Registry,
    Serializer,
    Storable,
    StorableDataclass,
    StorableStream,
    StorableValue,
    Storage,
    StoreStorage,
    Unpacker,
    load,
    load_one,
    new_loader,
    new_saver,
    save,
    save_one,
)

SHARED = pathlib.Path(__file__).parents[2].parent / "shared" / "data" / "seed-formats"


@pytest.fixture
def registry():
    return Registry(modules=["vlstore.blobs"], default_storage=MemoryStorage())


def through(serializer, value):
    content = serializer.serialize_data(value)
    content["config"] = serializer.load_config(serializer.dump_config(content.get("config")))
    return serializer.deserialize_data(content)


VALUES = {
    "bytes": [b"", b"\x00\xff"],
    "text": ["", "\u043f\u0440\u0438\u0432\u0435\u0442 \U0001f600\n\r"],
    "json": [None, True, 0, -1.5, "x", [], {}, {"a": [1, {"b": "\u00e4"}]}, 10**30],
    "iso8601": [
        datetime.datetime(2024, 2, 29, 23, 59, 59, 999999),
        datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(hours=5, minutes=30))),
        datetime.date(1, 1, 1),
        datetime.time(12, 30, tzinfo=datetime.UTC),
    ],
}


@pytest.mark.parametrize("name", VALUES)
def test_values_come_back(name):
    for value in VALUES[name]:
        back = through(getattr(blobs, f"{name}_serializer"), value)
        assert back == value and type(back) is type(value)


@pytest.mark.parametrize("code", [*"?bBhHiIlLqQefdgFDG", "S5", "U5", "M8[s]", "m8[us]", ">f8", "<i2"])
def test_arrays_of_every_type_come_back_without_pickle(code):
    for array in (np.arange(6).reshape(2, 3).astype(code), np.zeros((0, 4), code), np.array(1).astype(code)):
        back = through(blobs.npy_serializer, array)
        assert back.dtype == array.dtype and back.shape == array.shape and back.tobytes() == array.tobytes()
    scalar = np.arange(3).astype(code)[1]
    back = through(blobs.npy_serializer, scalar)
    assert isinstance(back, np.generic) and back.dtype == scalar.dtype and back == scalar


def test_structured_arrays_come_back_and_python_objects_are_refused():
    structured = np.array([(1, 2.5, "a")], dtype=[("i", "i4"), ("f", "f8"), ("s", "U3")])
    assert through(blobs.npy_serializer, structured).tolist() == structured.tolist()
    for wrong in (np.array([object()]), np.array([(1, None)], dtype=[("a", int), ("b", object)])):
        with pytest.raises(TypeError, match="Python objects"):
            blobs.npy_serializer.serialize_data(wrong)


def test_csv_keeps_its_options_and_its_line_ends():
    rows = [["a", "b;c", 'say "x"'], ["1", "two\r\nlines", ""], ["\u00e4", "\n", " "]]
    for options in ({}, {"delimiter": ";", "quotechar": "'"}, {"dialect": "excel-tab"}, {"lineterminator": "\n"}):
        content = CsvSerializer(**options).serialize_data(rows)
        content["config"] = json.loads(json.dumps(content["config"]))
        assert blobs.csv_serializer.deserialize_data(content) == rows
    for wrong in ({"colour": 1}, {"delimiter": 1}, {"delimiter": "ab"}):
        with pytest.raises(TypeError):
            CsvSerializer(**wrong)
    # What could not be read back as it was.
    with pytest.raises(ValueError, match="lineterminator"):
        CsvSerializer(lineterminator="|")
    with pytest.raises(ValueError, match="QUOTE_ALL"):
        CsvSerializer(skipinitialspace=True).serialize_data([["a", " b"]])
    assert through(CsvSerializer(skipinitialspace=True, quoting=csv.QUOTE_ALL), [["a", " b"]]) == [["a", " b"]]


def test_csv_is_read_by_a_process_that_knows_nothing_of_the_writer():
    csv.register_dialect("lab", delimiter=":", quoting=csv.QUOTE_ALL)
    content = CsvSerializer(dialect="lab").serialize_data([["a", "b:c"]])
    csv.unregister_dialect("lab")
    assert blobs.csv_serializer.deserialize_data(content) == [["a", "b:c"]]
    limit = csv.field_size_limit()
    assert through(blobs.csv_serializer, [["x" * (limit + 1)]]) == [["x" * (limit + 1)]]
    assert csv.field_size_limit() == limit


def test_a_masked_array_is_refused_since_its_mask_would_be_lost():
    with pytest.raises(TypeError, match="getmaskarray"):
        blobs.npy_serializer.serialize_data(np.ma.array([1, 2], mask=[0, 1]))


def test_what_json_cannot_hold_is_refused():
    for wrong in (float("nan"), [float("-inf")], {1: 2}, b"x", {"a": {1, 2}}, np.zeros(2)):
        with pytest.raises((TypeError, ValueError), match="JSON"):
            blobs.json_serializer.serialize_data(wrong)
    with pytest.raises(ValueError, match="JSON cannot hold it"):
        blobs.json_serializer.serialize_data({"a": "\ud800"})
    # Nor is it read, or put into a manifest by a serializer of the user.
    for wrong in (b"NaN", b'{"a": [-Infinity]}'):
        with pytest.raises(ValueError, match="JSON has no"):
            blobs.json_serializer.deserialize_data({"data": wrong})
        with pytest.raises(ValueError, match="JSON has no"):
            blobs.manifest_storage.write(wrong, "application/json")


ITEMS = [
    [],
    [{}],
    [[]],
    [{"a": 1, "b": None}, [1, 2, 3], {"a": [1, None, "h]i,"], "b": {'"c\\': 4}}],
    [["\\", '"', "\\\"", "[{", "\u00e4\U0001f600"], {"]": "}"}],
]


async def pieces(content, how):
    source, at = random.Random(0), 0
    while at < len(content):
        size = {"one": len(content), "bytes": 1, "random": source.randint(1, 9)}[how]
        yield content[at : at + size]
        at += size


async def collected(stream):
    return [item async for item in stream]


async def of(items):
    for item in items:
        yield item


@pytest.mark.parametrize("how", ["one", "bytes", "random"])
@pytest.mark.parametrize("items", ITEMS, ids=range(len(ITEMS)))
def test_a_json_stream_comes_back_in_any_cuts(items, how):
    async def go(spaced):
        serializer = blobs.json_stream_serializer
        content = serializer.serialize_data_stream(of(items))
        data = b"".join(await collected(content["data_stream"]))
        assert json.loads(data) == items
        if spaced:
            data = b" \n" + json.dumps(items, indent=1).encode() + b"\n "
        return await collected(serializer.deserialize_data_stream({**content, "data_stream": pieces(data, how)}))

    assert asyncio.run(go(False)) == asyncio.run(go(True)) == items


@pytest.mark.parametrize(
    "wrong",
    ["", "[", "[{}", "[{},]", "[,{}]", "[{} {}]", "[{}]]", "[1]", '["a"]', "{}", "[{}] x", "[{]}]", '[{"a}]', "[{'a':1}]", "[null]", "[[NaN]]"],
)
@pytest.mark.parametrize("how", ["one", "bytes"])
def test_a_malformed_json_stream_is_refused(wrong, how):
    stream = {"data_stream": pieces(wrong.encode(), how), "content_type": "", "content_encoding": None}
    with pytest.raises(ValueError):
        asyncio.run(collected(blobs.json_stream_serializer.deserialize_data_stream(stream)))
    for item in (1, "a", None, {"a": float("nan")}):
        content = blobs.json_stream_serializer.serialize_data_stream(of([item]))
        with pytest.raises((TypeError, ValueError)):
            asyncio.run(collected(content["data_stream"]))


def test_many_items_in_one_piece_take_no_longer_than_in_many():
    data = json.dumps([{"i": i} for i in range(60_000)]).encode()

    def seconds(size):
        async def source():
            for at in range(0, len(data), size):
                yield data[at : at + size]

        async def go():
            stream = blobs.json_stream_serializer.deserialize_data_stream({"data_stream": source()})
            return len([item async for item in stream])

        begin = time.process_time()
        assert asyncio.run(go()) == 60_000
        return time.process_time() - begin

    assert seconds(len(data)) < 4 * seconds(1000)


def test_a_text_stream_is_never_cut_within_a_character():
    text = "\u00e4\u20ac\U0001f600" * 50

    async def go():
        content = blobs.text_stream_serializer.serialize_data_stream(of(text))
        data = b"".join(await collected(content["data_stream"]))
        stream = blobs.text_stream_serializer.deserialize_data_stream({**content, "data_stream": pieces(data, "bytes")})
        assert "".join(await collected(stream)) == text
        cut = {**content, "data_stream": pieces(data[:-1], "one")}
        with pytest.raises(UnicodeDecodeError):
            await collected(blobs.text_stream_serializer.deserialize_data_stream(cut))

    asyncio.run(go())


# The registry.


class Base:
    pass


class Derived(Base):
    pass


def serializer(name, types=(), content_types=()):
    kind = type("S", (Serializer,), {"name": name, "types": types, "content_types": content_types})
    return kind()


def test_the_most_derived_type_wins_and_then_the_last():
    base, derived, later = (
        serializer("a@v1", (Base,)),
        serializer("b@v1", (Derived,)),
        serializer("c@v1", (Base,)),
    )
    registry = Registry(serializers=[derived, base])
    assert registry.get_serializer_by_type(Derived) is derived
    assert registry.get_serializer_by_type(type("More", (Derived,), {})) is derived
    assert Registry(serializers=[base, later]).get_serializer_by_type(Derived) is later
    with pytest.raises(NotRegisteredError, match="int"):
        registry.get_serializer_by_type(int)


def test_a_content_type_is_found_whatever_its_parameters(registry):
    assert registry.get_serializer_by_content_type("Text/CSV; header=present").name == "vlstore.csv@v1"
    assert registry.get_stream_serializer_by_content_type("application/json").name == "vlstore.json-stream@v1"
    with pytest.raises(NotRegisteredError, match="x/y"):
        registry.get_serializer_by_content_type("x/y")
    with pytest.raises(ValueError, match="nonsense"):
        registry.get_serializer_by_content_type("nonsense")


def test_unknown_names_are_refused_by_name_and_old_names_stay_readable(registry):
    for get in (
        registry.get_storage,
        registry.get_serializer,
        registry.get_stream_serializer,
        registry.get_unpacker,
    ):
        with pytest.raises(NotRegisteredError, match="none@v1"):
            get("none@v1")
    with pytest.raises(NotRegisteredError, match="12345678"):
        registry.get_storable("12345678")
    assert registry.get_serializer("labox.json.value@v1").name == "vlstore.json@v1"
    assert issubclass(NotRegisteredError, KeyError)


def test_of_two_with_one_name_the_last_stands_or_the_second_is_refused():
    one, two = serializer("a@v1"), serializer("a@v1")
    assert Registry(serializers=[one, two]).get_serializer("a@v1") is two
    with pytest.raises(DuplicateError, match="a@v1"):
        Registry(serializers=[one, two], duplicates="refuse")
    Registry(serializers=[one, one], storages=[MemoryStorage(), MemoryStorage()], duplicates="refuse")
    unpacker = type("U", (Unpacker,), {"name": "u@v1"})()
    first = type("First", (Storable,), {}, class_id="aaaaaaaa", unpacker=unpacker)
    second = type("Second", (Storable,), {}, class_id="AAAAAAAA00", unpacker=unpacker)
    assert Registry(storables=[first, second]).get_storable("aaaaaaaa") is second
    with pytest.raises(DuplicateError, match="aaaaaaaa"):
        Registry(storables=[first, second], duplicates="refuse")


def test_registries_are_built_of_modules_and_others_and_leave_them_as_they_are(monkeypatch):
    module = types.ModuleType("exporting")
    module.one, module.hidden = serializer("a@v1"), serializer("hidden@v1")
    module.text, module.Value = "text", StorableValue
    module.__all__ = ["one", "text", "Value"]
    monkeypatch.setitem(sys.modules, "exporting", module)
    first = Registry(modules=["exporting"])
    assert first.get_serializer("a@v1") is module.one and first.get_storable("5a044e9f") is StorableValue
    with pytest.raises(NotRegisteredError):
        first.get_serializer("hidden@v1")
    before = copy.copy(vars(first))
    other, mine = serializer("a@v1"), serializer("a@v1")
    second = Registry(serializers=[other])
    merged = Registry(modules=[module], registries=[first, second])
    assert merged.get_serializer("a@v1") is other
    assert Registry(registries=[second], serializers=[mine]).get_serializer("a@v1") is mine
    assert vars(first) == before and first.get_serializer("a@v1") is module.one
    del module.__all__
    with pytest.raises(ValueError, match="__all__"):
        Registry(modules=[module])
    with pytest.raises(ModuleNotFoundError):
        Registry(modules=["not_there_at_all"])


def test_a_default_storage_is_chosen_or_asking_for_one_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="default"):
        Registry(storages=[MemoryStorage()]).get_default_storage()
    with pytest.raises(ValueError, match="default"):
        Registry(default_storage=True)
    with pytest.raises(TypeError):
        Registry(default_storage="yes")
    with pytest.raises(TypeError, match="instance"):
        Registry(storages=[MemoryStorage])
    last = StoreStorage(tmp_path / "b", create=True)
    assert Registry(storages=[MemoryStorage(), last], default_storage=True).get_default_storage() is last
    nameless = type("Nameless", (Storage,), {})()
    with pytest.raises(ValueError, match="no name"):
        Registry(storages=[nameless])


def test_the_id_of_a_class_is_hexadecimal_and_not_inherited():
    for wrong in ("", "abc", "xyzxyzxy", "0" * 33, "...", 12345678):
        with pytest.raises(ValueError, match="hexadecimal"):
            type("Wrong", (Storable,), {}, class_id=wrong)
    unpacker = type("U", (Unpacker,), {"name": "u@v1"})()
    cls = type("Good", (Storable,), {}, class_id="ABCDEF12", unpacker=unpacker)
    assert cls.storable_config() == ("abcdef12" + "0" * 24, unpacker)
    derived = type("Derived", (cls,), {})
    with pytest.raises(ValueError, match="no id"):
        derived.storable_config()
    assert type("D", (cls,), {}, class_id="12345678").storable_config().unpacker is unpacker


# Saving and loading.


class Pair(Storable, class_id="0a0b0c0d", unpacker=type("P", (Unpacker,), {
    "name": "test.pair@v1",
    "unpack_object": lambda self, obj, registry: {
        "array": {"value": obj.array},
        "log": {"value_stream": obj.log},
    },
    "repack_object": lambda self, cls, contents, registry: cls(contents["array"]["value"], contents["log"]["value_stream"]),
})()):
    def __init__(self, array, log):
        self.array, self.log = array, log


def with_pair(registry):
    return Registry(registries=[registry], storables=[Pair], default_storage=registry.get_default_storage())


def test_an_object_of_several_parts_has_one_manifest_that_is_enough(tmp_path):
    storage = StoreStorage(tmp_path / "b.vls", create=True, part=1000)
    registry = Registry(modules=[blobs], storables=[Pair], default_storage=storage)
    items = [{"i": i, "text": "\u00e4" * i} for i in range(300)]
    manifest = save(Pair(np.arange(5.0), of(items)), registry=registry, manifests=Manifests(storage), tags={"k": "v"})
    assert [content.key for content in manifest.contents] == ["array", "log"]
    elsewhere = Registry(modules=[blobs], storables=[Pair], storages=[StoreStorage(tmp_path / "other", create=True)])
    for known in (Manifest.from_json(json.loads(json.dumps(manifest.to_json()))), Manifests(tmp_path / "b.vls").get(manifest.id)):
        assert known == manifest
        with ExitStack() as scope:
            back = load(known, Pair, registry=elsewhere, scope=scope)
            assert back.array.tolist() == [0, 1, 2, 3, 4]
            assert list(back.log) == items
    with pytest.raises(ValueError, match="scope"):
        load(manifest, registry=registry)
    assert [one.id for one in Manifests(storage).search({"k": "v"}, Pair)] == [manifest.id]
    assert Manifests(storage).search({"k": "other"}) == [] and len(Manifests(storage)) == 1
    with pytest.raises(MissingBlobError):
        Manifests(storage).get("0" * 32)
    with pytest.raises(vlstore.ExistsError):
        Manifests(storage).add([manifest])


def test_asynchronously_with_a_scope_that_closes_the_stream(registry):
    async def go():
        manifest = await save_one(StorableStream(of([{"a": 1}, {"b": 2}])), registry=registry)
        async with AsyncExitStack() as scope:
            loaded = await load_one(manifest, StorableStream, registry=registry, scope=scope)
            assert await anext(loaded.value_stream) == {"a": 1}
        with pytest.raises(ValueError, match="closed"):
            await anext(loaded.value_stream)
        for other in (StorableValue, StorableValue[int]):
            with pytest.raises(TypeError, match="not of a StorableValue"):
                await load_one(manifest, other, registry=registry)
        with pytest.raises(TypeError, match="scope"):
            await load_one(manifest, registry=registry, scope="yes")

    asyncio.run(go())


@pytest.mark.parametrize("items", [[b"ab", b"c"], ["x", "y"], [{"a": 1}], [[1]], []])
def test_the_serializer_of_a_stream_is_found_from_its_first_item(registry, items):
    closed = []

    async def source():
        try:
            for item in items:
                yield item
        finally:
            closed.append(1)

    manifest = save(StorableStream(source()), registry=registry)
    with ExitStack() as scope:
        back = list(load(manifest, registry=registry, scope=scope).value_stream)
    joined = type(items[0])().join if items and isinstance(items[0], (bytes, str)) else list
    assert joined(back) == joined(items) and closed == [1]
    # Blocking sources too.
    assert save(StorableStream(iter(items)), registry=registry).contents[0].content_hash == manifest.contents[0].content_hash


def test_many_at_once_keep_results_with_requests_and_one_failure_loses_none(registry, tmp_path):
    kept = Manifests(tmp_path / "manifests.vls")

    async def go():
        with pytest.raises(BaseExceptionGroup, match="2 of 52 objects were not saved") as caught:
            async with new_saver(registry=registry, manifests=kept) as saver:
                later = [saver.save_soon(StorableValue({"i": i}), tags={"i": str(i)}) for i in range(50)]
                bad = [saver.save_soon(StorableValue(object())), saver.save_soon(StorableValue(float("nan")))]
        assert len(caught.value.exceptions) == 2
        assert isinstance(bad[0].exception, NotRegisteredError)
        with pytest.raises(ValueError, match="JSON"):
            _ = bad[1].value
        manifests = [one.value for one in later]
        assert [one.tags["i"] for one in manifests] == [str(i) for i in range(50)]
        assert {one.id for one in kept} == {one.id for one in manifests}
        lost = dataclasses.replace(manifests[7], id="1" * 32, class_id="12345678")
        with pytest.raises(BaseExceptionGroup, match="1 of 51 objects were not loaded"):
            async with new_loader(registry=registry) as loader:
                later = [loader.load_soon(one, StorableValue) for one in [*manifests, lost]]
        assert [one.value.value for one in later[:-1]] == [{"i": i} for i in range(50)]
        assert isinstance(later[-1].exception, NotRegisteredError)

    asyncio.run(go())
    with new_saver(registry=registry) as saver:
        later = [saver.save_soon(StorableValue([i])) for i in range(10)]
    with new_loader(registry=registry) as loader:
        back = [loader.load_soon(one.value) for one in later]
    assert [one.value.value for one in back] == [[i] for i in range(10)]
    with pytest.raises(RuntimeError, match="block"):
        saver.save_soon(StorableValue(1))


def test_a_saver_is_used_again(registry, tmp_path):
    kept = Manifests(tmp_path / "manifests.vls")
    saver = new_saver(registry=registry, manifests=kept)

    async def go():
        async with saver:
            return saver.save_soon(StorableValue(3))

    ids = []
    for i in range(2):
        with saver:
            later = saver.save_soon(StorableValue(i))
        ids.append(later.value.id)
    ids.append(asyncio.run(go()).value.id)
    assert [one.id for one in kept] == ids


def test_manifests_that_cannot_be_kept_hide_no_other_error(registry, tmp_path):
    path = tmp_path / "manifests.vls"
    Manifests(path)
    refusing = Manifests(StoreStorage(path, read_only=True))
    with pytest.raises(vlstore.ReadOnlyError), new_saver(registry=registry, manifests=refusing) as saver:
        saver.save_soon(StorableValue(1))
    with (
        pytest.raises(BaseExceptionGroup, match="1 of 2 objects were not saved") as caught,
        new_saver(registry=registry, manifests=refusing) as saver,
    ):
        saver.save_soon(StorableValue(1))
        saver.save_soon(StorableValue(object()))
    assert [type(error) for error in caught.value.exceptions] == [NotRegisteredError, vlstore.ReadOnlyError]


class Source:
    """Waits for ever, and knows whether it was closed."""

    def __init__(self):
        self.closed = False

    def __aiter__(self):
        return self

    async def __anext__(self):
        await asyncio.Event().wait()

    async def aclose(self):
        self.closed = True


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("begun", [True, False], ids=["begun", "not begun"])
def test_sources_are_closed_when_saving_is_cancelled(registry, begun):
    sources = [Source() for _ in range(40)]

    async def go():
        async def save_all():
            async with new_saver(registry=registry) as saver:
                later.extend(saver.save_soon(StorableStream(source)) for source in sources)

        later, saving = [], asyncio.create_task(save_all())
        await asyncio.sleep(0.1 if begun else 0)
        saving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await saving
        assert all(isinstance(one.exception, asyncio.CancelledError) for one in later)

    asyncio.run(go())
    gc.collect()
    assert all(source.closed for source in sources)


class Wrong(Storable, class_id="77778888", unpacker=type("U", (Unpacker,), {"name": "test.wrong@v1"})()):
    pass


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("part", [{3: {"value": 1}}, {"b": {}}], ids=["name", "no value"])
def test_sources_are_closed_when_the_parts_are_wrong(registry, part, monkeypatch):
    source = Source()
    unpack = lambda obj, registry: {"a": {"value_stream": source}, **part}
    monkeypatch.setattr(Wrong.storable_config().unpacker, "unpack_object", unpack, raising=False)
    with pytest.raises((TypeError, ValueError), match=r"test\.wrong@v1"):
        save(Wrong(), registry=Registry(registries=[registry], storables=[Wrong]))
    gc.collect()
    assert source.closed


def test_a_class_that_is_not_registered_is_refused_before_anything_is_saved(registry):
    with pytest.raises(NotRegisteredError, match="Pair"):
        save(Pair(1, of([])), registry=registry)
    with pytest.raises(TypeError):
        save({"not": "storable"}, registry=registry)


class Lazy(MemoryStorage):
    name = "test.lazy@v1"

    async def write_data_stream(self, stream, get_digest, tags):
        async for piece in stream:
            return await self.write_data(piece, blobs.make_digest(piece), tags)


def test_a_storage_that_leaves_a_stream_unread_fails_the_save(registry):
    closed = []

    async def source():
        try:
            for i in range(3):
                yield [i]
        finally:
            closed.append(1)

    with pytest.raises(RuntimeError, match=r"test.lazy@v1 left a part of the stream unread"):
        save(StorableStream(source(), storage=Lazy()), registry=registry)
    assert closed == [1]


def test_sources_are_closed_when_another_part_fails(registry):
    closed = []

    async def source():
        try:
            yield {"a": 1}
        finally:
            closed.append(1)

    with pytest.raises(NotRegisteredError):
        save(Pair(object(), source()), registry=with_pair(registry))
    assert closed == [1]


def test_small_json_lies_in_the_manifest(registry):
    storage = ManifestStorage(warn_size=100, refuse_size=1000)
    value = StorableValue({"a": "\u00e4"}, storage=storage)
    manifest = save(value, registry=registry)
    assert json.loads(manifest.contents[0].storage_data) == {"a": "\u00e4"}
    assert load(manifest, registry=registry) == value
    with pytest.warns(UserWarning, match="manifest"):
        save(StorableValue(["x" * 200], storage=storage), registry=registry)
    with pytest.raises(ValueError, match="up to 1000 bytes"):
        save(StorableValue(["x" * 2000], storage=storage), registry=registry)
    with pytest.raises(ValueError, match="JSON alone"):
        save(StorableValue(b"bytes", storage=storage), registry=registry)
    with pytest.raises(ValueError, match="no streams"):
        save(StorableStream(of([[1]]), storage=storage), registry=registry)


def test_a_storage_may_keep_its_data_in_a_form_of_its_own(registry):
    class Numbered(Storage[tuple]):
        name = "test.numbered@v1"
        kept: list = []

        async def write_data(self, data, digest, tags):
            self.kept.append(data)
            return (len(self.kept) - 1,)

        async def read_data(self, data):
            assert isinstance(data, tuple)
            return self.kept[data[0]]

        def dump_data(self, data):
            return json.dumps({"number": data[0]})

        def load_data(self, text):
            return (json.loads(text)["number"],)

    registry = Registry(registries=[registry], storages=[Numbered()])
    manifest = save(StorableValue({"a": 1}, storage=Numbered), registry=registry)
    assert manifest.contents[0].storage_data == '{"number": 0}'
    assert load(Manifest.from_json(manifest.to_json()), registry=registry).value == {"a": 1}


def test_a_content_that_changed_under_its_manifest_is_refused(registry):
    class Liar(MemoryStorage):
        name = "test.liar@v1"

        async def read_data(self, data):
            return b"[2]"

        async def read_data_stream(self, data):
            yield b"[[2]]"

    registry = Registry(registries=[registry], default_storage=Liar())
    with pytest.raises(vlstore.CorruptError, match="item"):
        load(save(StorableValue([1]), registry=registry), registry=registry)
    with ExitStack() as scope, pytest.raises(vlstore.CorruptError):
        list(load(save(StorableStream(of([[1]])), registry=registry), registry=registry, scope=scope).value_stream)


def test_a_manifest_has_parts_of_different_names_and_its_own_form():
    content = blobs.Content(
        key="a", content_type="a/b", content_encoding=None, content_hash_algorithm="sha256", content_hash="0" * 64,
        content_size=0, is_stream=False, serializer="s@v1", serializer_config="null", storage="t@v1", storage_data="1",
    )
    good = Manifest(class_id="12345678", unpacker="u@v1", contents=[content])
    assert Manifest.from_json(good.to_json()) == good
    with pytest.raises(ValueError, match="'a'"):
        Manifest(class_id="12345678", unpacker="u@v1", contents=[content, content])
    for wrong in ({}, {**good.to_json(), "more": 1}, {**good.to_json(), "contents": [{}]}, {**good.to_json(), "id": "x"}):
        with pytest.raises(ValueError, match="manifest"):
            Manifest.from_json(wrong)


@dataclasses.dataclass
class Setup(StorableDataclass, class_id="11112222"):
    gain: float
    names: list


@dataclasses.dataclass
class Trial(StorableDataclass, class_id="33334444"):
    subject: str
    setup: Setup
    signal: np.ndarray
    when: datetime.datetime
    raw: bytes = dataclasses.field(default=b"", metadata={"storage": MemoryStorage})
    log: object = None


def test_dataclasses_are_stored_field_by_field(registry):
    default = registry.get_default_storage()
    without_setup = Registry(registries=[registry], storables=[Trial], default_storage=default)
    registry = Registry(registries=[registry], storables=[Setup, Trial], default_storage=default)
    now = datetime.datetime(2024, 5, 6, 7, 8, 9)
    trial = Trial("s01", Setup(2.5, ["a", "b"]), np.arange(3), now, b"raw", of([[1], [2]]))
    manifest = save(trial, registry=registry)
    assert [content.key for content in manifest.contents] == ["body", "field/signal", "field/when", "field/raw", "field/log"]
    with ExitStack() as scope:
        back = load(manifest, Trial, registry=registry, scope=scope)
        assert (back.subject, back.setup, back.when, back.raw) == ("s01", trial.setup, now, b"raw")
        assert back.signal.tolist() == [0, 1, 2] and list(back.log) == [[1], [2]]
    # An object within another one is loaded by its class too.
    with pytest.raises(NotRegisteredError, match="Setup is not registered"):
        save(trial, registry=without_setup)


# What labox left.


@pytest.fixture
def labox(tmp_path):
    if not SHARED.is_dir():
        pytest.skip(f"the data of the tests is not there: {SHARED}")
    shutil.copy(SHARED / "labox.sqlite", tmp_path / "labox.sqlite")
    shutil.copytree(SHARED / "labox-files", tmp_path / "labox-files", copy_function=shutil.copyfile)
    (tmp_path / "labox-files").chmod(0o755)
    return tmp_path


def test_what_labox_left_is_imported_whole_and_exact(labox):
    storage = StoreStorage(labox / "blobs.vls", create=True)
    kept = Manifests(storage)
    done = blobs.import_labox(labox / "labox.sqlite", labox / "labox-files", storage=storage, manifests=kept)
    files = {path.name: path.read_bytes() for path in (labox / "labox-files").iterdir()}
    assert (len(done.manifests), done.contents, done.content_bytes) == (10, 9, sum(map(len, files.values())))
    with closing(sqlite3.connect(labox / "labox.sqlite")) as connection:
        rows = connection.execute("SELECT * FROM labox_manifests ORDER BY rowid").fetchall()
        contents = dict(connection.execute("SELECT manifest_id, storage_config FROM labox_contents").fetchall())
    registry = Registry(modules=[blobs], storages=[storage])
    arrays = 0
    for id, tags, class_id, unpacker, created in rows:
        manifest = kept.get(id)
        assert (manifest.tags, manifest.class_id, manifest.unpacker) == (json.loads(tags), class_id, unpacker)
        assert manifest.created_at.isoformat(" ").startswith(created)
        (content,) = manifest.contents
        raw = files[pathlib.Path(json.loads(contents[id])).name]
        assert storage.read(storage.load_data(content.storage_data)) == raw
        with ExitStack() as scope:
            back = load(manifest, registry=registry, scope=scope)
            if isinstance(back, StorableStream):
                assert list(back.value_stream) == json.loads(raw)
            elif isinstance(back.value, np.ndarray):
                arrays += 1
                saved = labox / "saved.npy"
                np.save(saved, back.value)
                assert saved.read_bytes() == raw
            else:
                assert back.value == json.loads(raw)
    assert arrays == 6
    assert [len(kept.search(tags)) for tags in ({"kind": "positions"}, {"kind": "meta"}, {})] == [6, 1, 10]
    # One content that two manifests share is there once.
    keys = [key for key in vlstore.open(storage.path, records="document") if not key.startswith(".") and not key.endswith(".tags")]
    assert len(keys) == 9


def test_a_damaged_or_missing_file_of_labox_ends_the_import(labox):
    storage = MemoryStorage()
    victim = next(path for path in (labox / "labox-files").iterdir() if path.suffix != ".json")
    good = victim.read_bytes()
    victim.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    with pytest.raises(vlstore.CorruptError, match="SHA-256"):
        blobs.import_labox(labox / "labox.sqlite", labox / "labox-files", storage=storage)
    victim.unlink()
    with pytest.raises(MissingBlobError, match="does not exist"):
        blobs.import_labox(labox / "labox.sqlite", labox / "labox-files", storage=storage)
    with pytest.raises(sqlite3.OperationalError):
        blobs.import_labox(labox / "missing.sqlite", labox / "labox-files", storage=storage)
