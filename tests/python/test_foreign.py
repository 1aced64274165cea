"""Other programs and our files: what python-blosc2 sees, what it may add, what is then left.

The files are written and read back by `tests/foreign_probe.rs`, driven through cargo.
"""

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import blosc2
import pytest

ROOT = Path(__file__).parents[2]
MAGIC = bytes.fromhex("a49a3367cf7d44d1b097e051058336eb")
CHUNK = 8192

pytestmark = pytest.mark.skipif(shutil.which("cargo") is None, reason="cargo drives the engine")


def probe(folder, *tasks):
    """Runs tasks of (file, steps); the answers to their `records` steps, in order."""
    todo = [{"file": name, "do": steps} for name, steps in tasks]
    (folder / "todo.json").write_text(json.dumps(todo))
    run = subprocess.run(
        ["cargo", "test", "--quiet", "--workspace", "--features", "testing", "--test", "foreign_probe"],
        cwd=ROOT,
        env=os.environ | {"VLSTORE_PROBE": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return [answer for task in json.loads((folder / "done.json").read_text()) for answer in task]


def content(length, seed):
    return bytes(i * (seed + 1) % 251 for i in range(length))


def sha(data):
    return hashlib.sha256(data).hexdigest()


class Original:
    """How the original program opens a file and finds its records, in its own terms."""

    def __init__(self, path):
        self.backing = blosc2.open(str(path), mode="r")
        if self.backing.meta["magic"] != MAGIC:
            raise ValueError("not a store")
        self.lookup = {key: (start, end) for key, start, end in self.backing.vlmeta["saved_lookup"]}

    def get(self, key):
        start, end = self.lookup[key]
        unit = self.backing.typesize
        if start == end:
            return b""
        first, last = start // unit, -(-end // unit)
        cut = start - first * unit
        return bytes(self.backing.get_slice(start=first, stop=last))[cut : cut + end - start]


STAGES = {
    "newborn": [],
    "commits": [["put", "a", 300, 1], ["commit"], ["put", "b", 20_000, 2], ["commit"]],
    "seal": [["put", "a", 300, 1], ["put", "b", 20_000, 2], ["put", 7, 0, 0], ["seal"]],
    "behind-seal": [["put", "c", 9000, 3], ["delete", "a"], ["commit"]],
    "reopened": [["close"], ["open"], ["put", "d", 100, 4], ["commit"]],
    "second-seal": [["zeros", "z", 30_000], ["put", "e", 50, 5], ["seal"]],
    "closed": [["put", "f", 5, 6], ["close"]],
}
# What a program that knows the frame alone sees at each stage: the last sealed state.
A, B, C, D, E, F = (content(n, i + 1) for i, n in enumerate([300, 20_000, 9000, 100, 50, 5]))
SECOND = {"b": B, 7: b"", "c": C, "d": D, "z": bytes(30_000), "e": E}
SEEN = {
    "newborn": {},
    "commits": {},
    "seal": {"a": A, "b": B, 7: b""},
    "behind-seal": {"a": A, "b": B, 7: b""},
    "reopened": None,  # as the rule for closing says
    "second-seal": SECOND,
    "closed": None,
}
LIVE = {
    "newborn": {},
    "commits": {"a": A, "b": B},
    "seal": {"a": A, "b": B, 7: b""},
    "behind-seal": {"b": B, 7: b"", "c": C},
    "reopened": {"b": B, 7: b"", "c": C, "d": D},
    "second-seal": SECOND,
    "closed": SECOND | {"f": F},
}


@pytest.fixture(scope="module", params=["stored", "lz4", "zstd"])
def stages(request, tmp_path_factory):
    """A folder with the same store at every stage, and what the engine reads in each."""
    folder = tmp_path_factory.mktemp(request.param)
    steps = [["create", {"codec": request.param}]]
    for name, more in STAGES.items():
        steps += [*more, ["copy", f"{name}.vlstore"], ["records"]]
    return folder, dict(zip(STAGES, probe(folder, ("store.vlstore", steps)), strict=True))


@pytest.mark.parametrize("stage", STAGES)
def test_python_blosc2_opens_every_stage_and_sees_the_last_seal(stages, stage):
    folder, ours = stages
    path = folder / f"{stage}.vlstore"
    assert ours[stage]["opened"] == "Intact"
    assert dict(ours[stage]["records"]) == {k: sha(v) for k, v in LIVE[stage].items()}
    frame = blosc2.open(str(path), mode="r")
    assert frame.meta["magic"] == MAGIC
    assert len(frame.meta["vlstore"]) == 12_134
    assert frame.vlmeta.getall().keys() == {"saved_lookup"}
    assert frame.chunksize == CHUNK and frame.typesize == 4
    original = Original(path)
    if (seen := SEEN[stage]) is None:
        seen = {key: LIVE[stage].get(key, A) for key in original.lookup}
    assert original.lookup.keys() == seen.keys()
    for key, wanted in seen.items():
        assert original.get(key) == wanted, key
    whole = b"".join(frame.decompress_chunk(i) for i in range(frame.nchunks))
    assert len(whole) == frame.nbytes == frame.nchunks * CHUNK
    for key, (start, end) in original.lookup.items():
        assert whole[start:end] == seen[key]
    for i in range(frame.nchunks):
        assert frame.decompress_chunk(i) == blosc2.decompress2(frame.get_chunk(i))


@pytest.mark.parametrize("stages", ["lz4"], indirect=True)
@pytest.mark.parametrize("stage", ["newborn", "seal", "second-seal", "closed"])
@pytest.mark.parametrize("change", ["chunk", "half", "vlmeta", "both"])
def test_what_python_blosc2_adds_to_a_sealed_file_costs_us_nothing(stages, stage, change):
    folder, _ = stages
    path = folder / f"{stage}-{change}.vlstore"
    shutil.copy(folder / f"{stage}.vlstore", path)
    if not is_sealed(path):
        pytest.skip("this stage has commits behind its last seal")
    frame = blosc2.open(str(path), mode="a")
    if change in ("chunk", "both"):
        assert frame.append_data(content(CHUNK, 50)) == frame.nchunks
    if change == "half":
        frame.append_data(content(CHUNK // 2, 51))
    if change in ("vlmeta", "both"):
        frame.vlmeta["comment"] = "by another program " * 20
    del frame
    name = path.name
    before, after, closed = probe(
        folder,
        (name, [["records"], ["open"], ["put", "mine", 70, 70], ["commit"], ["records"], ["close"], ["records"]]),
    )
    wanted = {k: sha(v) for k, v in LIVE[stage].items()}
    assert dict(before["records"]) == wanted, before
    assert before["opened"] in ("Intact", "Extended")
    for later in (after, closed):
        assert later["opened"] == "Intact"
        assert dict(later["records"]) == wanted | {"mine": sha(content(70, 70))}
    frame = blosc2.open(str(path), mode="r")
    if change in ("chunk", "both"):
        chunks = [frame.decompress_chunk(i) for i in range(frame.nchunks)]
        assert content(CHUNK, 50) in chunks, "the chunk that the other program added is gone"


def is_sealed(path):
    """Whether the newest commit is the sealed one, read as docs/format.md says."""
    data = path.read_bytes()
    slots = (data[4096:4352], data[8192:8448])
    newest = max(slots, key=lambda s: int.from_bytes(s[24:32], "little"))
    return newest[24:32] == newest[120:128]


@pytest.mark.parametrize("stages", ["lz4"], indirect=True)
@pytest.mark.parametrize("change", ["chunks", "vlmeta"])
def test_commits_that_another_program_wrote_over_are_missed_aloud_and_the_rest_goes_on(stages, change):
    folder, _ = stages
    path = folder / f"written-over-by-{change}.vlstore"
    shutil.copy(folder / "behind-seal.vlstore", path)
    assert not is_sealed(path)
    frame = blosc2.open(str(path), mode="a")
    if change == "chunks":
        frame.append_data(content(CHUNK, 50))
        frame.append_data(bytes(hashlib.sha256(bytes([i % 251, i // 251])).digest()[0] for i in range(CHUNK)))
    frame.vlmeta["comment"] = "x"
    del frame
    steps = [["records"], ["open older"], ["put", "mine", 70, 70], ["commit"], ["records"], ["close"], ["records"]]
    before, after, closed = probe(folder, (path.name, steps))
    assert before["opened"].startswith(("LastSeal", "OlderCommit")), before
    sealed = {k: sha(v) for k, v in SEEN["behind-seal"].items()}
    assert dict(before["records"]) == sealed
    for later in (after, closed):
        assert later["opened"] == "Intact"
        assert dict(later["records"]) == sealed | {"mine": sha(content(70, 70))}
    assert blosc2.open(str(path), mode="r").nchunks >= 3


def test_the_original_program_finds_every_record_of_a_golden_file():
    golden = ROOT / "tests" / "golden"
    for name in ("keys", "reopened", "aligned-no_cross"):
        entries = json.loads((golden / "MANIFEST.json").read_text())
        wanted = next(e for e in entries if e["file"] == f"{name}.vlstore")
        original = Original(golden / f"{name}.vlstore")
        assert len(original.lookup) == len(wanted["records"])
        for (key, _), record in zip(original.lookup.items(), wanted["records"], strict=True):
            assert sha(original.get(key)) == record["sha256"]
