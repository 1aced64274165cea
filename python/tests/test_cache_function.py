"""A cached function runs once for the same arguments, whoever calls it and however it is called."""

import asyncio
import collections
import functools
import math
import operator
import subprocess
import sys
import threading
import time
import tracemalloc
import warnings

import numpy as np
import pytest

import vlstore
from vlstore import cache
from vlstore.cache import ArgumentError, StorageFile, StorageMemory, cached
from vlstore.errors import InvalidError


@pytest.fixture(params=["memory", "file"])
def storage(request, tmp_path):
    return StorageMemory() if request.param == "memory" else StorageFile(tmp_path / "results.vls")


class Counter:
    """Counts the calls of functions."""

    def __init__(self):
        self.calls = []

    def __call__(self, *args):
        self.calls.append(args)


def test_a_function_runs_once_for_the_same_arguments(storage):
    ran = Counter()

    @cached(storage)
    def function(*args, **kwargs):
        ran((args, kwargs))
        return np.arange(len(args))

    assert function(1, 2, a=3).tolist() == function(1, 2, a=3).tolist() == [0, 1]
    assert len(ran.calls) == 1 and len(storage) == 1
    function(1, a=3)
    function(1, 2)
    assert len(ran.calls) == 3
    assert function.info()[:3] == (1, 3, 3) and function.info().bytes > 0


def test_without_a_storage_it_has_one_of_its_own():
    @cached()
    def square(x):
        return x**2

    @cached
    def cube(x):
        return x**3

    assert square(2) == square(2) == 4 and cube(2) == cube(2) == 8
    assert (square.info().hits, cube.info().hits) == (1, 1) and square.storage is not cube.storage


def test_positional_and_named_arguments_are_one_and_defaults_are_filled_in(storage):
    ran = Counter()

    @cached(storage)
    def f(a, b=2, /, c=3, *, d, e=5, **more):
        ran(a, b, c, d, e, more)
        return len(ran.calls)

    assert f(1, d=4) == f(1, 2, d=4) == f(1, 2, 3, d=4) == f(1, 2, c=3, e=5, d=4) == 1
    assert f(1, d=4, x=1) == f(1, 2, 3, x=1, d=4) == 2
    assert f(1, d=4, b=1) == f(1, d=4, b=1) == 3, "b is a name of its own here"
    assert f(1.0, d=4) == 4 and f(True, d=4) == 5
    for wrong in (lambda: f(), lambda: f(1), lambda: f(1, 2, 3, 4, d=1), lambda: f(1, c=1, d=1, a=2) and f(a=1, d=1)):
        with pytest.raises(TypeError):
            wrong()

    @cached(storage)
    def g(a, b=1, *rest):
        return len(ran.calls), a, b, rest

    assert g(1) == g(1, 1) == g(a=1) == g(b=1, a=1)
    assert g(1, 1, 2)[3] == (2,) and g(1, 1, 2) == g(1, 1, *[2])
    with pytest.raises(TypeError, match="multiple values"):
        g(1, a=1)
    with pytest.raises(TypeError, match="unexpected"):
        g(1, x=1)


def test_equal_sequences_names_and_nan_find_their_result(storage):
    ran = Counter()

    @cached(storage)
    def f(x):
        ran(x)
        return len(ran.calls)

    assert f((1, [2])) == f([1, (2,)]) == 1
    assert f({1: 2}) == f({"1": 2}) == 2
    assert f(math.nan) == f(float("nan")) == f(np.float32("nan")) == 3
    assert f(np.int64(7)) == f(7) == 4 and f(np.bool_(True)) == f(True) == 5 and f(np.float64(7)) == 6
    assert f(np.str_("a")) == f("a") == 7
    assert f(0.0) == 8 and f(-0.0) == 9 and f(0) == 10 and f(False) == 11 and f(0.0) == 8 and f(-0.0) == 9
    assert f("" * 1) == 12 and f(None) == 13 and f(x=None) == 13 and f(1) == 14 and f(x=1.0) == 15 and f(x=True) == 5


def test_arguments_that_json_cannot_hold_are_refused_before_the_function_runs(storage):
    ran = Counter()

    @cached(storage)
    def f(x, y=None, *more, **named):
        ran(x)
        return 1

    for value in ({1}, b"x", 1j, object(), np.arange(2), np.datetime64("2020-01-01"), lambda: 1):
        with pytest.raises(cache.ArgumentError, match="argument `x`"):
            f(value)
    with pytest.raises(cache.ArgumentError, match=r"`y`\[1\]\['k'\] is of type set"):
        f(1, [0, {"k": {1}}])
    with pytest.raises(TypeError, match="`z`"):
        f(1, z={1})
    with pytest.raises(TypeError, match="positional argument 2"):
        f(1, 2, {3})
    with pytest.raises(cache.ArgumentError, match='arrays="content"'):
        f(np.arange(2))
    assert ran.calls == [] and len(storage) == 0


def test_arrays_count_by_content_where_asked(storage):
    ran = Counter()

    @cached(storage, arrays="content")
    def f(x):
        ran()
        return len(ran.calls)

    a = np.arange(6.0)
    assert f(a) == f(a.copy()) == f([a][0]) == f(np.arange(12.0)[:6]) == 1
    assert f(a.reshape(2, 3)) == f(np.asfortranarray(a.reshape(2, 3))) == 2
    assert f(a.astype("f4")) == 3 and f([a]) == 4 and f({"k": a}) == 5
    a[0] = 7
    assert f(a) == 6
    assert f(np.array(["x"])) == 7 and f(np.zeros((0, 2))) == 8 and f(np.zeros((0, 3))) == 9
    with pytest.raises(cache.ArgumentError):
        f(np.array([None]))


def test_ignored_arguments_do_not_count_however_they_are_passed(storage):
    ran = Counter()

    @cached(storage, ignore_kwargs=["verbose", "others"])
    def f(x, verbose=False, *, log=None, **others):
        ran(x)
        return len(ran.calls)

    assert f(1) == f(1, True) == f(1, verbose=object()) == f(1, extra={2}) == 1
    assert f(2, True) == 2 and f(1, log=1) == 3
    [value] = [v for v in storage.values() if v[1] == (2,)]
    assert value[2] == {"log": None}
    with pytest.raises(ValueError, match="nothing"):
        cached(storage, ignore_kwargs=["nothing"])(lambda x: x)


def test_functions_and_versions_are_told_apart(storage):
    def make(name, version=1):
        ran = Counter()

        def f(x):
            ran(x)
            return name, len(ran.calls)

        f.__qualname__ = name
        return cached(storage, version=version)(f), ran

    f, _ = make("f")
    g, _ = make("g")
    assert f(1) == ("f", 1) and g(1) == ("g", 1) and len(storage) == 2
    again, ran = make("f")
    assert again(1) == ("f", 1) and ran.calls == []
    newer, ran = make("f", version=2)
    newer(1)
    assert len(ran.calls) == 1 and len(storage) == 3
    assert newer.clear() == 1 and len(storage) == 2
    assert storage.clear(function=f) == 1 and [v[0][0] for v in storage.iterdata(function=g)] == ["g"]
    named = cached(storage, name="other.name")(lambda x: x)
    named(1)
    assert storage.retrieve([1], function="other.name")[0] == 1


class Model:
    runs = 0

    def __init__(self, a):
        self.a = a

    @cached()
    def scaled(self, x, y=1):
        """Scaled."""
        type(self).runs += 1
        return self.a * x * y

    @classmethod
    @cached()
    def of_class(cls, x):
        Model.runs += 1
        return cls.__name__, x

    @staticmethod
    @cached()
    def free(x):
        Model.runs += 1
        return x


class Other(Model):
    def cache_key(self):
        return [self.a]


class Slotted:
    __slots__ = ("a",)

    @cached()
    def f(self):
        return 1


def test_methods_count_with_the_class_and_the_attributes_of_their_object():
    Model.runs = 0
    assert Model(2).scaled(3) == Model(2).scaled(x=3) == Model(2).scaled(3, 1) == 6 and Model.runs == 1
    assert Model(5).scaled(3) == 15 and Model.runs == 2
    other = Other(2)
    other.unkeyed = {1, 2}
    assert other.scaled(3) == 6 and Other(2).scaled(3) == 6 and Other.runs == 3
    with pytest.raises(cache.ArgumentError, match=r"`self`\['a'\]"):
        Model({1}).scaled(3)
    assert Slotted().f() == 1
    before = Model.runs
    assert Model.of_class(1) == ("Model", 1) == Model(7).of_class(1) and Other.of_class(1) == ("Other", 1)
    assert Model.free(1) == Model(3).free(1) == 1 and Model.runs == before + 3
    bound = cached()(Model(2).scaled.__wrapped__.__get__(Model(2)))
    assert bound(3) == bound(3) == 6 and bound.info().hits == 1
    for wrong in (staticmethod, classmethod, property):
        with pytest.raises(TypeError, match="below"):
            cached()(wrong(lambda x: x))


def test_partials_share_the_results_of_their_function(storage):
    ran = Counter()

    def f(a, b, c=3):
        ran(a, b, c)
        return a, b, c

    whole, part = cached(storage)(f), cached(storage)(functools.partial(f, 1, c=4))
    assert whole(1, 2, 4) == part(2) == part(b=2) == (1, 2, 4) and len(ran.calls) == 1
    assert part(2, c=5) == (1, 2, 5) and part.__name__ == "f"


def test_what_a_partial_a_default_or_an_object_holds_counts_as_it_is_now():
    held = [1]

    def total(x, numbers=held):
        return x + sum(numbers)

    class Scale:
        def __init__(self, factor):
            self.factor = factor

        def times(self, x):
            return self.factor * x

    scale = Scale(2)
    functions = [
        cached(name="a")(functools.partial(total, numbers=held)),
        cached(name="b")(functools.partial(lambda numbers, x: x + sum(numbers), held)),
        cached(name="c")(total),
        cached()(scale.times),
    ]
    assert [f(3) for f in functions] == [4, 4, 4, 6]
    held.append(5)
    scale.factor = 5
    assert [f(3) for f in functions] == [9, 9, 9, 15]
    assert [f(3) for f in functions] == [9, 9, 9, 15] and all(f.info()[:2] == (1, 2) for f in functions)


def test_coroutines(storage):
    ran = Counter()

    @cached(storage)
    async def f(x):
        """Documented."""
        ran(x)
        await asyncio.sleep(0.05)
        if x < 0:
            raise ValueError(x)
        return [x]

    async def main():
        assert await asyncio.gather(*(f(1) for _ in range(5)), f(2)) == [[1]] * 5 + [[2]]
        assert await f(1) == [1]
        found = await asyncio.gather(f(-1), f(-1), return_exceptions=True)
        assert [type(e) for e in found] == [ValueError] * 2
        first, second = asyncio.ensure_future(f(3)), asyncio.ensure_future(f(3))
        await asyncio.sleep(0.01)
        first.cancel()
        assert await second == [3]

    asyncio.run(main())
    assert sorted(ran.calls) == [(-1,), (-1,), (1,), (2,), (3,), (3,)]
    assert asyncio.iscoroutinefunction(f) and f.__doc__ == "Documented." and f.info().misses == 6
    asyncio.run(f(1))


def test_name_documentation_and_signature_are_kept():
    import inspect

    @cached()
    def f(a: int, b=2) -> int:
        """What it does."""
        return a

    assert f.__name__ == "f" and f.__doc__ == "What it does." and f.__module__ == __name__
    assert str(inspect.signature(f)) == "(a: int, b=2) -> int" and f.__wrapped__(3) == 3


def test_exceptions_are_not_kept(storage):
    ran = Counter()

    @cached(storage)
    def f(x):
        ran(x)
        if len(ran.calls) == 1:
            raise KeyError("mine")
        return x

    with pytest.raises(KeyError, match="mine"):
        f(1)
    assert f(1) == f(1) == 1 and len(ran.calls) == 2


def test_generators_and_other_things_are_refused_at_once():
    def generator():
        yield 1

    async def asynchronous():
        yield 1

    for wrong in (generator, asynchronous):
        with pytest.raises(TypeError, match="generator"):
            cached()(wrong)
    with pytest.raises(TypeError, match="storage"):
        cached({})
    with pytest.raises(TypeError, match="decorates"):
        cached()(3)
    for bad in ({"version": "2"}, {"ttl": -1}, {"arrays": True}, {"damaged": "no"}, {"name": 3},
                {"storage": StorageMemory(), "max_bytes": 3}):
        with pytest.raises((TypeError, ValueError)):
            cached(**bad)


class TestTimeToLive:
    def test_an_old_result_is_computed_again_and_replaced(self, storage):
        ran = Counter()

        @cached(storage, ttl=1000)
        def f(x):
            ran(x)
            return len(ran.calls)

        f(1)
        assert f(1) == 1
        key = f.key(1)
        _, args, kwargs, _ = storage[key]
        storage.store(1, args, kwargs, {"time_stored": time.time() - 2000}, function=f)
        assert storage.keys() == [key]
        assert f(1) == 2 and f(1) == 2 and len(storage) == 1

    def test_none_lives_forever_and_zero_not_at_all(self):
        ran = Counter()

        @cached(ttl=0)
        def f():
            ran()

        f()
        time.sleep(0.01)
        f()
        assert len(ran.calls) == 2


def test_results_can_be_forgotten(storage):
    @cached(storage)
    def f(x, y=2):
        return x

    f(1)
    f(2)
    assert f.forget(1, y=2) and not f.forget(1) and len(storage) == 1
    assert f.clear() == 1 and len(storage) == 0


def test_a_caller_cannot_change_what_the_next_one_gets(storage):
    @cached(storage)
    def f():
        return np.zeros(3), [1]

    first = f()
    first[0][0] = 5
    first[1].append(2)
    again = f()
    assert again[0].tolist() == [0, 0, 0] and again[1] == [1]
    with pytest.raises(ValueError):
        again[0][0] = 5


class TestResultsThatCannotBeStored:
    def test_they_are_returned_with_a_warning(self, storage):
        @cached(storage)
        def f(x):
            return {x}

        with pytest.warns(cache.NotStoredWarning, match="set"):
            assert f(1) == {1}
        assert len(storage) == 0

    def test_also_if_the_budget_is_too_small(self, tmp_path):
        for storage in (StorageMemory(max_bytes=1000), StorageFile(tmp_path / "a.vls", max_bytes=1000)):

            @cached(storage)
            def f(n):
                return np.zeros(n)

            with pytest.warns(cache.NotStoredWarning, match="1000"):
                assert f(1000).size == 1000
            assert f(10).size == 10 and len(storage) == 1

    def test_for_reading_only_is_said_before_the_function_runs(self, tmp_path):
        def f(x):
            if x == 2:
                pytest.fail("it ran")
            return x

        cached(StorageFile(tmp_path / "a.vls"))(f)(1)
        reader = cached(StorageFile(tmp_path / "a.vls", readonly=True))(f)
        assert reader(1) == 1
        with pytest.raises(vlstore.ReadOnlyError):
            reader(2)

    def test_a_turn_that_does_not_come_is_a_warning(self, tmp_path):
        storage = StorageFile(tmp_path / "a.vls", lock_timeout=0.05)

        @cached(storage)
        def f(x):
            return x

        with vlstore.open(tmp_path / "a.vls", "a", records="document"):
            with pytest.warns(cache.NotStoredWarning, match="writer"):
                assert f(1) == 1
            with pytest.raises(vlstore.LockedError):
                storage.store(1)
        assert f(1) == 1 and len(storage) == 1


# Longer than a chunk, so that it is in one of its own and not in the newest commit.
LONG = b"\xabMARK" * 600_000


def damage(path, storage):
    """Flips the bytes in which the one entry lies."""
    with vlstore.open(path) as store:
        assert len(store) == 1
    data = bytearray(path.read_bytes())
    at = data.find(b"\xabMARK" * 8)
    assert at > 0
    for i in range(at, at + 64):
        data[i] ^= 0xFF
    path.write_bytes(data)


class TestDamage:
    def make(self, tmp_path, **options):
        path = tmp_path / "a.vls"
        storage = StorageFile(path, compression="stored")
        ran = Counter()

        def f(x):
            ran(x)
            return LONG if x == 1 else x

        return path, storage, cached(storage, **options)(f), ran

    def test_retrieve_raises_something_else_than_for_a_missing_key(self, tmp_path):
        path, storage, f, _ = self.make(tmp_path)
        f(1)
        damage(path, storage)
        reader = StorageFile(path)
        with pytest.raises(cache.DamagedEntryError) as caught:
            reader[f.key(1)]
        assert not isinstance(caught.value, KeyError) and isinstance(caught.value, cache.EntryError)

    def test_cached_computes_it_again_with_a_warning(self, tmp_path):
        path, storage, f, ran = self.make(tmp_path)
        f(1)
        damage(path, storage)
        with pytest.warns(cache.DamagedEntryWarning, match="damaged"):
            assert f(1) == LONG
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert f(1) == LONG
        assert len(ran.calls) == 2

    def test_or_raises_where_asked(self, tmp_path):
        path, storage, f, ran = self.make(tmp_path, damaged="raise")
        f(1)
        damage(path, storage)
        with pytest.raises(cache.DamagedEntryError):
            f(1)
        assert len(ran.calls) == 1 and f(2) == 2

    def test_a_newest_commit_that_cannot_be_read_is_said_and_not_a_miss(self, tmp_path):
        path, storage, f, ran = self.make(tmp_path)
        f(2)
        storage.store(b"\xabMARK" * 100)
        data = bytearray(path.read_bytes())
        at = data.find(b"\xabMARK" * 8)
        data[at : at + 8] = bytes(8)
        path.write_bytes(data)
        for call in (lambda: StorageFile(path), lambda: f(1), lambda: storage.store(1)):
            with pytest.raises(vlstore.OlderStateError, match="recover"):
                call()
        accepting = StorageFile(path, accept_older=True)
        assert len(accepting) == 1
        accepting.store(1)
        assert StorageFile(path).retrieve()[0] == 1

    def test_a_malformed_entry_is_damage(self, tmp_path):
        path, storage, f, ran = self.make(tmp_path)
        for head in ({}, {"key": f.key(1)}, {"key": "x", "stored": 1.0, "result": 1}, 3,
                     {"key": f.key(1), "stored": "x", "result": 1},
                     {"key": f.key(1), "stored": 1.0, "result": {"array": 5}},
                     {"key": f.key(1), "stored": 1.0, "result": {"nothing": 5}},
                     {"key": f.key(1), "stored": 1.0, "result": {"tuple": 5}}):
            with vlstore.open(path, "a", records="document", original_table="never") as store:
                store[f.key(1)] = vlstore.Document(head, [])
            with pytest.raises(cache.DamagedEntryError):
                storage[f.key(1)]
            with pytest.warns(cache.DamagedEntryWarning):
                f(1)
            assert storage[f.key(1)][0] == LONG

    def test_a_file_that_is_gone_is_no_miss(self, tmp_path):
        path, storage, f, ran = self.make(tmp_path)
        f(1)
        path.unlink()
        with pytest.raises(FileNotFoundError):
            f(1)
        path.write_bytes(b"something else" * 10)
        with pytest.raises(vlstore.Error):
            f(1)
        assert len(ran.calls) == 1


class TestThreads:
    def test_one_computes_and_the_others_wait(self, storage):
        ran = Counter()

        @cached(storage)
        def f(x):
            ran(x)
            time.sleep(0.1)
            return [x]

        results = []
        threads = [threading.Thread(target=lambda i=i: results.append(f(i % 2))) for i in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(ran.calls) == [(0,), (1,)] and sorted(results) == [[0]] * 5 + [[1]] * 5

    def test_if_it_fails_the_next_one_computes(self):
        ran = Counter()

        @cached()
        def f():
            ran()
            time.sleep(0.05)
            if len(ran.calls) == 1:
                raise ValueError
            return 5

        results = []

        def call():
            try:
                results.append(f())
            except ValueError:
                results.append("failed")

        threads = [threading.Thread(target=call) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(map(str, results)) == ["5", "5", "5", "failed"] and len(ran.calls) == 2

    def test_a_function_may_call_itself(self):
        @cached()
        def factorial(n):
            return 1 if n == 0 else n * factorial(n - 1)

        assert factorial(20) == math.factorial(20) and factorial.info().misses == 21

    def test_storing_from_many_threads(self, storage):
        def work(i):
            for j in range(20):
                storage.store([i, j], [j], {"i": i})
                assert storage.retrieve([j], {"i": i})[0] == [i, j]

        threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(storage) == 80


# The programs of the README of the original.


def test_a_function_cached_over_a_storage(storage):
    ran = Counter()

    @cached(storage)
    def function(*args, **kwargs):
        ran()
        return sum(args)

    assert function(1, 2, x=3) == function(1, 2, x=3) == 3 and len(ran.calls) == 1


class SimpleResult:
    """Of the README: an object with the storage protocol."""

    def __init__(self, data, arg=None):
        self.data = data
        self.arg = arg

    def storage_prepare(self):
        return self.data, {"arg": self.arg}

    @classmethod
    def storage_retrieve(cls, data_array, extra_data):
        return cls(data_array, extra_data["arg"])


def test_a_class_with_the_storage_protocol(storage):
    ran = Counter()

    def square(x, e=2):
        ran()
        return SimpleResult(x**e, e)

    square_cached = cached(storage)(square)
    a, b = square_cached(2, e=2), square_cached(2, e=3)
    again = square_cached(2, e=2)
    assert type(again) is SimpleResult and (again.data, again.arg) == (a.data, a.arg) == (4, 2)
    assert b.data == 8 and len(ran.calls) == 2
    storage.clear(kwargs={"e": 2})
    assert len(storage) == 1
    square_cached(2, e=3)
    assert len(ran.calls) == 2
    square_cached(2, e=2)
    assert len(ran.calls) == 3 and len(storage) == 2


# What a user's program may do beside the plain case.


def test_objects_that_differ_by_more_than_attributes_need_a_key_of_their_own():
    class Pair(collections.namedtuple("Pair", "x y")):
        @cached()
        def total(self):
            return self.x + self.y

    class Number(int):
        @cached()
        def double(self):
            return 2 * self

    class Base:
        __slots__ = ("x",)

    class Slots(Base):
        def __init__(self, x):
            self.x = x

        @cached()
        def double(self):
            return 2 * self.x

    class Keyed(int):
        def cache_key(self):
            return int(self)

        @cached()
        def double(self):
            return 2 * self

    for call in (Pair(1, 2).total, Number(1).double):
        with pytest.raises(ArgumentError, match="cache_key"):
            call()
    assert [Slots(x).double() for x in (1, 2)] == [2, 4]
    assert [Keyed(x).double() for x in (1, 2)] == [2, 4]


def test_a_caller_cannot_change_shape_or_type_of_a_stored_array():
    f = cached()(four)
    f()
    first, second = f(), f()
    first.shape, second.dtype = (2, 2), "u1"
    assert f().shape == (4,) and f().dtype == float


def four():
    return np.arange(4.0)


def test_an_object_that_is_called_counts_with_its_attributes(storage):
    class Times:
        """Multiplies."""

        def __init__(self, factor):
            self.factor = factor

        def __call__(self, x, y=1):
            return self.factor * x * y

    class Later(Times):
        async def __call__(self, x):
            return self.factor * x

    two, three = cached(storage)(Times(2)), cached(storage)(Times(3))
    assert (two(1), three(1), two(x=1, y=1), three(1, 2)) == (2, 3, 2, 6) and two.info()[:3] == (1, 1, 3)
    later = cached(storage)(Later(5))
    assert asyncio.run(later(2)) == asyncio.run(later(2)) == 10 and later.info().hits == 1
    # One of a C library does not say what tells it from others.
    with pytest.raises(InvalidError, match="itemgetter has no name"):
        cached(storage)(operator.itemgetter(1))
    with pytest.raises(TypeError, match="str.find is a method"):
        cached(storage)("text".find)
    assert cached(storage)(int.from_bytes) and cached(storage)(math.sqrt)(4) == 2
    assert cached(storage, name="second")(operator.itemgetter(1))([1, 2]) == 2


def test_a_lambda_needs_a_name():
    with pytest.raises(InvalidError, match="name"):
        cached()(lambda x: x)
    square, cube = cached(name="square")(lambda x: x**2), cached(name="cube")(lambda x: x**3)
    assert (square(2), cube(2)) == (4, 8)


def test_a_wrapper_counts_as_what_it_is():
    def listed(function):
        @functools.wraps(function)
        def inner(*args, **kwargs):
            return list(function(*args, **kwargs))

        return inner

    def repeated(function):
        @functools.wraps(function)
        def inner(x, times=1):
            return [function(x)] * times

        return inner

    @cached()
    @listed
    def some(n):
        yield from range(n)

    @cached()
    @repeated
    def one(x):
        return x

    assert some(3) == some(n=3) == [0, 1, 2] and some.info().misses == 1
    assert (one(1), one(1, times=2), one(1, times=1)) == ([1], [1, 1], [1]) and one.info().misses == 2


def test_a_plain_function_may_call_its_argument_self_or_cls():
    @cached()
    def label(cls):
        return cls.upper()

    assert label("a") == "A"


def test_objects_are_found_as_keys_and_their_own_errors_are_shown():
    @cached()
    def table():
        return {Kept(1): 5, (Kept(2), 1): Kept(3)}

    table()
    assert table() == {Kept(1): 5, (Kept(2), 1): Kept(3)} and table.info().hits == 1

    @cached()
    def broken():
        return Broken()

    with pytest.raises(OSError, match="own"):
        broken()


class Kept:
    def __init__(self, value):
        self.value = value

    def __eq__(self, other):
        return type(other) is Kept and other.value == self.value

    def __hash__(self):
        return hash(self.value)

    def storage_prepare(self):
        return np.array([self.value]), {}

    @classmethod
    def storage_retrieve(cls, array, extra):
        return cls(int(array[0]))


class Broken:
    def storage_prepare(self):
        raise OSError("own")


def test_a_class_of_the_program_is_found_by_programs_that_import_it(tmp_path):
    (tmp_path / "prog.py").write_text(
        "import numpy as np\nfrom vlstore.cache import StorageFile, cached\n"
        "class Fit:\n"
        "    def __init__(self, x): self.x = x\n"
        "    def storage_prepare(self): return np.array([self.x]), {}\n"
        "    @classmethod\n"
        "    def storage_retrieve(cls, array, extra): return cls(int(array[0]))\n"
        "@cached(StorageFile('a.vls'))\n"
        "def fit(x): print('ran'); return Fit(x)\n"
        "if __name__ == '__main__': fit(3); print(type(fit(3)) is Fit)\n"
    )
    run = [sys.executable, "prog.py"], [sys.executable, "-c", "import prog; print(prog.fit(3).x, type(prog.fit(3)) is prog.Fit)"]
    said = [subprocess.run(r, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.split() for r in run]
    assert said == [["ran", "True"], ["3", "True"]]


def test_long_keys_are_not_kept_in_memory():
    size = cached()(len_of)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for i in range(40):
        size.key(f"{i}" + "x" * 100_000)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 1_000_000


def len_of(text):
    return len(text)
