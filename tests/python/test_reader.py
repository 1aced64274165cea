"""The reader of the format page reads what the Rust engine wrote, and notices every change."""

import ast
import hashlib
import importlib.util
import json
import os
import random
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from xxhash import xxh3_128_digest

HERE = Path(__file__).parent
GOLDEN = HERE.parent / "golden"


def load(name):
    spec = importlib.util.spec_from_file_location(f"format_{name}", HERE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# The reader takes `packed` from beside itself.
sys.path.insert(0, str(HERE))
reader, lookup, streams = load("reader"), load("lookup"), load("streams")


def found(store, key):
    """The bytes under `key`, found through the runs."""
    number = lookup.find(store.state, key)
    return None if number is None else store.bytes_of(number)


MANIFEST = json.loads((GOLDEN / "MANIFEST.json").read_text())


def key_of(entry):
    match entry["key"]:
        case None:
            return None
        case {"str": text}:
            return text
        case {"int": digits}:
            return int(digits)
        case {"bytes": digits}:
            return bytes.fromhex(digits)


def test_every_chunk_of_the_golden_files_is_as_the_page_describes_its_streams(monkeypatch):
    seen, blosc2 = set(), reader.blosc2

    class Both:
        def decompress2(self, chunk):
            chunk = bytes(chunk)
            theirs = blosc2.decompress2(chunk)
            plain = chunk[2] & 5 == 5
            if not plain or (not chunk[2] & 2 and chunk[2] >> 5 == 4 and not chunk[31]):
                return theirs  # Zstd, or the short header of another program
            assert streams.decode(chunk, None) == theirs
            seen.add((chunk[2] >> 5, max(chunk[16:22]), bool(chunk[2] & 2)))
            return theirs

    monkeypatch.setattr(reader, "blosc2", Both())
    for path in sorted(GOLDEN.glob("*.vlstore")):
        assert all(data is not None for _, _, data in reader.Reader(path.read_bytes()))
    for stream in (0, 1, 3):  # BloscLZ, LZ4, zlib
        assert any(found == (stream, 2, False) for found in seen), (stream, seen)
    assert (1, 1, False) in seen and any(stored for _, _, stored in seen)


def test_a_reader_takes_no_more_than_210_lines():
    source = (HERE / "reader.py").read_text()
    doc = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            doc.update(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    lines = [n for n, line in enumerate(source.splitlines(), 1) if line.split("#")[0].strip()]
    assert len([n for n in lines if n not in doc]) <= 210


@pytest.mark.parametrize("entry", MANIFEST, ids=lambda e: e["file"])
def test_a_golden_file_gives_the_records_of_the_manifest(entry):
    data = (GOLDEN / entry["file"]).read_bytes()
    assert hashlib.sha256(data).hexdigest() == entry["sha256"]
    store = reader.Reader(data)
    assert store.state.generation == entry["generation"]
    assert store.state.attributes == entry["attributes"]
    assert not store.older
    records = list(store)
    assert [r[0] for r in records] == list(range(len(entry["records"])))
    for (_, key, content), wanted in zip(records, entry["records"], strict=True):
        assert key == key_of(wanted) and type(key) is type(key_of(wanted))
        assert len(content) == wanted["len"]
        assert hashlib.sha256(content).hexdigest() == wanted["sha256"]
        if key is not None:
            assert store.get(key) == found(store, key) == content
    for wanted in entry.get("shared", ()):
        digest = bytes.fromhex(wanted["digest"])
        content = store.bytes_of(lookup.find(store.state, digest, shared=True))
        assert len(content) == wanted["len"] and xxh3_128_digest(content) == digest
        assert store.get(digest) is found(store, digest) is None
    assert lookup.find(store.state, bytes(16), shared=True) is None
    for absent in ("absent", -77, 1 << 63 | 5, b"absent"):
        assert store.get(absent) is found(store, absent) is None


def test_deleted_keys_are_not_found():
    store = reader.Reader((GOLDEN / "overwritten-and-deleted.vlstore").read_bytes())
    assert store.get(1) == found(store, 1) == b"back again"
    assert store.get(4) is found(store, 4) is None
    store = reader.Reader((GOLDEN / "all-deleted.vlstore").read_bytes())
    assert store.get("a") is found(store, "a") is None


@pytest.mark.parametrize("name", ["log-behind-a-seal", "checkpoints", "lz4-t4-spanning"])
def test_a_changed_bit_is_an_error_or_changes_nothing_or_shows_the_commit_before(name):
    data = (GOLDEN / f"{name}.vlstore").read_bytes()
    right, newest = list(reader.Reader(data)), reader.Reader(data).state.generation
    rng = random.Random(name)
    used = [i for i in range(len(data)) if data[i] or i >= 12288]
    for n in range(400):
        bad = bytearray(data)
        if n % 4:
            bad[rng.choice(used)] ^= 1 << rng.randrange(8)
        else:
            at = rng.choice(used) // 512 * 512
            length = len(bad[at : at + (512 << rng.randrange(5))])
            bad[at : at + length] = bytes(length)
        try:
            store = reader.Reader(bytes(bad))
            assert store.older or store.state.generation == newest
            assert store.older or list(store) == right
        except ValueError:
            continue


def test_a_page_that_the_newest_commit_need_not_read_does_not_cost_it():
    data = (GOLDEN / "overwritten-and-deleted.vlstore").read_bytes()
    good = reader.Reader(data)
    leaves = [i for i in range(0, len(data), 64) if data[i : i + 8] == b"VLleaf\0\1"]
    assert leaves and good.state.dead
    for leaf in leaves:
        bad = bytearray(data)
        bad[leaf + 64] ^= 1
        store = reader.Reader(bytes(bad))
        assert not store.older and store.state.generation == good.state.generation
    # The last one was a copy, or a leaf that has none; with its copy it is lost.
    for copy in leaves:
        if data[copy : copy + 64] == data[leaf : leaf + 64]:
            bad[copy + 64] ^= copy != leaf
    store = reader.Reader(bytes(bad))
    with pytest.raises(ValueError, match="index page"):
        list(store)


@pytest.mark.parametrize("name", ["log-only", "checkpoints"])
def test_a_lost_slot_page_is_an_older_state_or_costs_nothing(name):
    data = (GOLDEN / f"{name}.vlstore").read_bytes()
    right = reader.Reader(data)
    for page in (4096, 8192):
        newest = right.state.generation % 2 == page // 4096 - 1
        for lost in (0, 256, 2048, None):
            bad = bytearray(data)
            at, length = (page, 4096) if lost is None else (page + lost, 256)
            bad[at : at + length] = bytes(length)
            store = reader.Reader(bytes(bad))
            assert store.older == (lost is None and newest)
            assert store.older or list(store) == list(right)


def engine(folder, steps):
    """The file that the Rust engine makes by these steps."""
    (folder / "todo.json").write_text(json.dumps([{"file": "x.vlstore", "do": steps}]))
    command = ["cargo", "test", "--quiet", "--workspace", "--features", "testing", "--test", "foreign_probe"]
    env = os.environ | {"VLSTORE_PROBE": str(folder)}
    subprocess.run(command, cwd=HERE.parents[1], env=env, capture_output=True, check=True)
    return (folder / "x.vlstore").read_bytes()


@pytest.mark.skipif(shutil.which("cargo") is None, reason="cargo drives the engine")
def test_a_run_with_a_filter_is_read(tmp_path):
    # Keys that ascended would need no run.
    steps = [["create", {"codec": "lz4"}], *(["put", i ^ 1, i % 9, 1] for i in range(3000)), ["seal"]]
    store = reader.Reader(engine(tmp_path, [*steps, ["close"]]))
    assert any(reference[4] for _, reference in lookup.runs(store.state))
    assert [lookup.find(store.state, i ^ 1) for i in range(3000)] == list(range(3000))
    assert all(lookup.find(store.state, i) is None for i in range(3000, 3300))
    _, reference = lookup.runs(store.state)[0]
    keys = [lookup.xxh3(i.to_bytes(8, "little"), seed=2) for i in range(3000, 6000)]
    assert sum(lookup.may_hold(store.state.data, reference, digest) for digest in keys) < 300


@pytest.mark.skipif(shutil.which("cargo") is None, reason="cargo drives the engine")
def test_a_store_with_directory_pages_is_read(tmp_path):
    steps = [["create", {"codec": "lz4"}]]
    for i in range(200):
        steps += [["put", i, i, 1], ["seal"]]
    data = engine(tmp_path, [*steps, ["close"]])
    assert b"VLpage" in data
    store = reader.Reader(data)
    assert [(key, len(content)) for _, key, content in store] == [(i, i) for i in range(200)]
    assert store.get(150) == found(store, 150) == bytes(2 * i % 251 for i in range(150))
