"""The interpreter: let go while a call works, never ended by a panic, whatever a call is given."""

import itertools
import random
import subprocess
import sys
import threading
import time
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

import vlstore


#: A busy machine may give the other thread no turn during a call; not every time.
TRIES = 40


def progress(call):
    """Steps that another thread takes while ``call`` works; one may fall on its end."""
    steps, stop = itertools.count(), threading.Event()

    def walk():
        while not stop.is_set():
            next(steps)
            time.sleep(0)

    walker = threading.Thread(target=walk)
    walker.start()
    try:
        before = next(steps)
        call()
        return next(steps) - before - 1
    finally:
        stop.set()
        walker.join()


def test_other_threads_run_while_a_call_reads_writes_or_compresses(path):
    positions = np.random.default_rng(0).normal(size=(4000, 300, 3)).astype("f4")
    with vlstore.open(path, "w", records="md-frame", threads=1, commit_bytes=1 << 30) as depot:

        def seals():
            # One seal after the other has work to do only if there is something new.
            for _ in range(20):
                depot.push(FRAME)
                depot.seal()

        for name, call in {
            "put_frames": lambda: depot.put_frames(positions),
            "seal": seals,
            "to_bytes": depot.to_bytes,
        }.items():
            assert any(progress(call) >= 3 for _ in range(TRIES)), name
        depot.attrs["x"] = "y" * 1000
    depot = vlstore.open(path, records="auto", threads=1, cache_bytes=0)
    every = np.arange(4000)
    for name, call in {
        "arrays": lambda: depot.at.arrays(every),
        "batch": lambda: depot.at.view_batch(every),
        "verify": depot.verify,
        "get_into": lambda: [depot.at.get_into(0, bytearray(20_000)) for _ in range(1000)],
    }.items():
        assert any(progress(call) >= 3 for _ in range(TRIES)), name


FRAME = vlstore.MdFrame(np.zeros((2, 3)), types=[1, 2], atom_properties={"q": [1, 2]})
KEYS = st.one_of(st.text(max_size=3), st.integers(-3, 3), st.binary(max_size=3))
ODD = [
    None, True, 0, 1, -1, 2**31, 2**63, -(2**63), 2**64, 1.5, float("nan"), "", "a", "auto", "\ud800",
    b"", b"a", bytearray(b"abc"), memoryview(b"abcdef")[::2], [], [1], ["a"], [None], [[]], (1, 2),
    ("a", b"b"), {}, {"a": b"1"}, {"positions": 3}, object(), object, len, slice(None), slice(5, -9, -2),
    slice("a"), slice(None, None, 0), np.zeros(3), np.zeros((2, 3)), np.zeros((2, 3), ">f4"),
    np.zeros((4, 3))[::2], np.zeros((2, 3), "f2"), np.zeros(0), np.array(None), np.array(["a"]),
    np.array([1, 2]), np.array([-9, 9]), np.array([2**63], "u8"), np.arange(6).reshape(2, 1, 3),
    np.zeros((0, 2, 3)), np.zeros((1, 0, 3)), np.ma.masked, np.float32(1), np.int64(1), np.str_("a"),
    FRAME, FRAME.record, (lambda x: x, lambda x: x), iter([1]), range(3), Ellipsis,
]


def targets():
    """One of each of what can be called."""
    store = vlstore.memory()
    store["a"] = b"1"
    depot = vlstore.memory(records="md-frame")
    depot["a"] = FRAME
    depot.commit()
    array = vlstore.memory(records="array")
    array["a"] = np.zeros(3)
    reader = vlstore.from_bytes(depot.to_bytes(), records="auto")
    closed = vlstore.memory()
    closed.close()
    return [
        store, depot, array, reader, closed, depot.at, reader.at, FRAME, FRAME.record, store.keys(),
        depot.items(), store.attrs, iter(store), reader.verify(), vlstore.MdFrame, vlstore.Depot,
        vlstore.Store, vlstore.Record,
    ]


# Of Python itself, and such that change a class for the tests that follow.
LEFT_OUT = {
    "__class__", "__init_subclass__", "__subclasshook__", "__setattr__", "__delattr__", "__reduce__",
    "__reduce_ex__", "__getstate__", "__slotnames__",
}
#: The members of each; and the functions of the package.
MEMBERS = [sorted(set(dir(target)) - LEFT_OUT) for target in targets()]
FUNCTIONS = ["open", "memory", "from_bytes"]


def test_no_call_ends_in_a_panic_whatever_it_is_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    chance = random.Random(1)
    for _ in range(100):
        for target, names in zip([*targets(), vlstore], [*MEMBERS, FUNCTIONS], strict=True):
            for name in chance.sample(names, 3):
                arguments = chance.choices(ODD, k=chance.randrange(4))
                try:
                    result = getattr(target, name)(*arguments)
                    repr(result)
                    if hasattr(result, "__next__"):
                        list(itertools.islice(result, 3))
                except Exception as error:  # noqa: BLE001
                    assert "panick" not in str(error)
                except BaseException as error:  # noqa: BLE001
                    pytest.fail(f"{target!r}.{name}{tuple(arguments)!r} ended in {error!r}")


#: What goes through an iterable that has no end, or nearly so.
ENDLESS = """
import resource, signal, threading, time, os, sys
import numpy as np, vlstore

store = vlstore.memory(records="md-frame")
store.put_frames(np.zeros((2, 3, 3)), keys=range(2))
call = {
    "at.batch": lambda: store.at.batch(range(10**12)),
    "get_batch": lambda: store.get_batch(range(10**12)),
    "get_arrays": lambda: store.get_arrays(range(10**12)),
    "put_frames": lambda: store.put_frames(np.zeros((2, 3, 3)), keys=range(10**12)),
}[sys.argv[1]]
if sys.argv[2] == "memory":
    with open("/proc/self/statm") as statm:
        used = int(statm.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (300 << 20),) * 2)
else:
    signal.alarm(60)
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    call()
except BaseException as error:
    print(type(error).__name__)
"""


@pytest.mark.parametrize("call", ["at.batch", "get_batch", "get_arrays", "put_frames"])
@pytest.mark.parametrize(("way", "ends"), [("memory", "MemoryError"), ("stop", "KeyboardInterrupt")])
def test_an_iterable_without_end_runs_out_of_memory_and_can_be_stopped(call, way, ends):
    """The process was aborted once no memory was left, and heard no Ctrl-C before that."""
    command = [sys.executable, "-c", ENDLESS, call, way]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.returncode) == (ends, 0), done.stderr


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_damaged_store_raises_errors_of_ours_alone(data):
    depot = vlstore.memory(records="md-frame", compression=data.draw(st.sampled_from(["lz4", "stored"])))
    depot.put_frames(np.ones((5, 4, 3)), keys=range(5))
    content = bytearray(depot.to_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        with warnings.catch_warnings(action="ignore", category=vlstore.RecoveredWarning):
            opened = vlstore.from_bytes(content, records="md-frame")
    except vlstore.Error:
        return
    for call in (
        lambda: list(opened.items()), lambda: opened.at.arrays(range(5)), lambda: opened.at[4].positions,
        opened.verify, opened.info, lambda: dict(opened.attrs), opened.to_bytes,
    ):
        try:
            call()
        except vlstore.Error:
            pass


class LikeADict(RuleBasedStateMachine):
    """A store in a file beside a dict, through commits, seals and openings."""

    def __init__(self):
        super().__init__()
        self.content, self.model, self.committed = None, {}, {}
        self.store = vlstore.memory(chunk_size=4096, purpose="random")

    @rule(key=KEYS, value=st.binary(max_size=6000))
    def put(self, key, value):
        self.model.pop(key, None)
        self.model[key] = value
        self.store[key] = value

    @rule(items=st.lists(st.tuples(KEYS, st.binary(max_size=50)), max_size=20))
    def put_many(self, items):
        for key, value in items:
            self.model.pop(key, None)
            self.model[key] = value
        assert self.store.put_many(iter(items)) == len(items)

    @rule(key=KEYS)
    def put_without_overwriting(self, key):
        if key in self.model:
            with pytest.raises(vlstore.RecordExistsError):
                self.store.insert(key, b"new")
        else:
            self.store.insert(key, b"new")
            self.model[key] = b"new"

    @rule(key=KEYS)
    def refuse(self, key):
        for wrong in (None, 1.5, "text", [1]):
            with pytest.raises(vlstore.WrongTypeError):
                self.store[key] = wrong

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def delete(self, data):
        key = data.draw(st.sampled_from(list(self.model)))
        del self.model[key], self.store[key]

    @rule()
    def commit(self):
        self.store.commit()

    @rule()
    def seal(self):
        self.store.seal()
        assert self.store.info()["sealed"]

    @rule(mode=st.sampled_from("ra"))
    def open_again(self, mode):
        content = self.store.to_bytes()
        assert dict(vlstore.from_bytes(content)) == self.model
        self.store = vlstore.from_bytes(content, "a", chunk_size=None)
        if mode == "r":
            assert vlstore.from_bytes(content).verify()

    @rule(data=st.data())
    def read_many(self, data):
        keys = data.draw(st.lists(st.sampled_from(list(self.model)), max_size=9)) if self.model else []
        assert self.store.get_batch(keys) == [self.model[key] for key in keys]
        assert [bytes(view) for view in self.store.view_batch(keys)] == [self.model[k] for k in keys]

    @invariant()
    def equal(self):
        assert list(self.store.items()) == list(self.model.items())
        assert len(self.store) == len(self.model)


LikeADict.TestCase.settings = settings(max_examples=100, stateful_step_count=20, deadline=None)
test_a_store_does_what_a_dict_does = LikeADict.TestCase
