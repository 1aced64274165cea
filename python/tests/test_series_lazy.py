"""Chains of operations on stored series: the numbers are NumPy's, and memory does not grow with the series."""

import contextlib
import functools
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from vlstore.series import FileStorageManager, Lazy, MemoryStorageManager, SMTimeSeries, TimeSeries

N = 3 * (1 << 14) + 11


@pytest.fixture(scope="module")
def data():
    random = np.random.default_rng(0)
    times = np.cumsum(random.exponential(size=N))
    return times, random.normal(size=N), random.normal(size=(N, 2))


@pytest.fixture(scope="module")
def manager(data):
    manager = MemoryStorageManager()
    times, one, two = data
    manager.store("one", (times, one))
    manager.store("two", (times, two))
    manager.store("counted", one)
    return manager


def test_a_chain_is_evaluated_when_it_is_asked_for(manager, data):
    times, one, two = data
    x, y = manager.lazy("one"), manager.lazy("two")
    chain = -((x * 2 - 1) ** 2 + 1 / (x.abs() + 1)) + (x.abs() + 0.5).sqrt().log() - (0.1 * x).exp()
    right = -((one * 2 - 1) ** 2 + 1 / (np.abs(one) + 1)) + np.log(np.sqrt(np.abs(one) + 0.5)) - np.exp(0.1 * one)
    assert isinstance(chain, Lazy)
    np.testing.assert_allclose(chain.evaluate().values(), right, rtol=1e-14)
    assert np.array_equal(chain.evaluate().times(), times)
    assert len(chain) == N
    np.testing.assert_allclose((y * x).evaluate().values(), two * one[:, None], rtol=1e-15)
    assert (x + TimeSeries(times, one))[5] == 2 * one[5]
    assert (TimeSeries(times, one) + 1) == (x + 1).evaluate()
    part = (x - 1)[20_000:40_000]
    assert np.array_equal(part.evaluate().values(), one[20_000:40_000] - 1)
    assert np.array_equal(part[5:9].evaluate().times(), times[20_005:20_009])
    assert part[-1] == one[39_999] - 1
    counted = manager.lazy("counted")
    assert np.array_equal(counted[100:103].evaluate().times(), [100.0, 101.0, 102.0])
    assert [len(b) for b in counted.blocks()] == [1 << 14] * 3 + [11]
    assert next(iter(list(counted.blocks())[1].times())) == 1 << 14
    assert len(x[7:7].evaluate()) == 0
    assert sum(1 for _ in x[:20]) == 20


def test_what_does_not_fit_is_refused(manager, data):
    x = manager.lazy("one")
    with pytest.raises(ValueError, match="times differ at position 0"):
        (x + manager.lazy("counted")).evaluate()
    with pytest.raises(ValueError, match="points"):
        x + x[1:]
    with pytest.raises(TypeError):
        x + "a"
    with pytest.raises(IndexError):
        x[N]
    with pytest.raises(ValueError, match="steps of 1"):
        x[::2]
    with pytest.raises(ValueError, match="1000 operations"):
        for _ in range(1001):
            x = x + 1


def test_a_chain_sees_the_store_as_it_was_and_is_stored_block_by_block(tmp_path):
    manager = FileStorageManager(tmp_path / "s.vls")
    manager.store("x", range(N))
    x = manager.lazy("x")
    manager.store("x", x * 2)
    assert manager.get("x")[N - 1] == 2 * (N - 1)
    assert x[N - 1] == N - 1
    assert manager.check() == []
    stored = manager.store("y", manager.lazy("x")[100:] + 1)
    assert len(stored) == N - 100
    assert stored.items()[0] == (100.0, 201.0)
    memory = MemoryStorageManager()
    memory.store("a", range(5))
    chain = memory.lazy("a") + 1
    memory.store("a", [9, 9])
    assert list(chain) == [1, 2, 3, 4, 5]


def test_aggregates_are_those_of_numpy(manager, data):
    _, one, two = data
    x, y = manager.lazy("one"), manager.lazy("two")
    for name in ("min", "max", "mean", "sum"):
        assert getattr(x, name)() == pytest.approx(getattr(one, name)(), rel=1e-12)
        np.testing.assert_allclose(getattr(y, name)(), getattr(two, name)(axis=0), rtol=1e-10)
    assert x.std() == pytest.approx(one.std(ddof=1))
    assert x.std(ddof=0) == pytest.approx(one.std())
    wanted = [0, 1, 25, 50, 99.9, 100]
    np.testing.assert_allclose(x.percentile(wanted), np.percentile(one, wanted), rtol=1e-12)
    np.testing.assert_allclose(y.percentile(wanted), np.percentile(two, wanted, axis=0), rtol=1e-12)
    assert x.percentile(50) == pytest.approx(np.median(one))
    manager.store("nan", [1, np.nan, 2])
    nan = manager.lazy("nan")
    assert all(np.isnan(f()) for f in (nan.min, nan.max, nan.mean, nan.std))
    assert np.isnan(nan.percentile(50))
    manager.store("none", [])
    none = manager.lazy("none")
    assert np.isnan(none.mean())
    assert np.isnan(none.percentile(50))
    for wrong in (-1, 101, np.nan):
        with pytest.raises(ValueError, match="between 0 and 100"):
            x.percentile(wrong)


def test_windows_by_number_and_by_time(manager, data):
    times, one, two = data
    what = ["count", "min", "max", "mean", "sum", "std", "first", "last", "median", "p90"]
    found = manager.lazy("one").aggregate(what, points=1000)
    starts = range(0, N, 1000)
    assert np.array_equal(found.times, times[::1000])
    windows = [one[s : s + 1000] for s in starts]
    right = {
        "count": [len(w) for w in windows],
        "min": [w.min() for w in windows],
        "max": [w.max() for w in windows],
        "mean": [w.mean() for w in windows],
        "sum": [w.sum() for w in windows],
        "std": [w.std(ddof=1) for w in windows],
        "first": [w[0] for w in windows],
        "last": [w[-1] for w in windows],
        "median": [np.median(w) for w in windows],
        "p90": [np.percentile(w, 90) for w in windows],
    }
    for name in what:
        np.testing.assert_allclose(found[name], right[name], rtol=1e-9, atol=1e-12)
    by_time = manager.lazy("two").aggregate(["count", "mean"], width=500.0, origin=0.0)
    number = np.floor(times / 500).astype(int)
    assert np.array_equal(by_time.times, np.unique(number) * 500.0)
    assert np.array_equal(by_time["count"][:, 0], np.bincount(number)[np.unique(number)])
    np.testing.assert_allclose(by_time["mean"], [two[number == n].mean(axis=0) for n in np.unique(number)], rtol=1e-9)
    gap = MemoryStorageManager()
    gap.store("x", ([0, 1, 1e12], [1, 2, 3]))
    assert np.array_equal(gap.lazy("x").aggregate("max", width=10)["max"], [2.0, 3.0])
    gap.store("unsorted", ([1, 0], [1, 2]))
    with pytest.raises(ValueError, match="sorted"):
        gap.lazy("unsorted").aggregate("max", width=10)
    for wrong in ({}, {"points": 0}, {"width": 0.0}, {"width": np.nan}, {"points": 1, "width": 1.0}):
        with pytest.raises(ValueError, match="window|width"):
            gap.lazy("x").aggregate("max", **wrong)
    with pytest.raises(ValueError, match="p0 to p100"):
        gap.lazy("x").aggregate("mode", points=1)


def test_resampling_is_that_of_numpy(manager, data):
    times, one, two = data
    for id, values in (("one", one), ("two", two)):
        blocks = list(manager.lazy(id).resample(0.37))
        found = np.concatenate([b.values() for b in blocks])
        grid = np.concatenate([b.times() for b in blocks])
        assert np.array_equal(grid, times[0] + np.arange(len(grid)) * 0.37)
        assert times[-1] - 0.37 < grid[-1] <= times[-1]
        columns = values.T if values.ndim == 2 else [values]
        right = np.stack([np.interp(grid, times, c) for c in columns], axis=1)
        np.testing.assert_allclose(found.reshape(right.shape), right, rtol=1e-9, atol=1e-9)
    (block,) = manager.lazy("one").resample(10.0, start=-20, count=4)
    assert np.array_equal(block.times(), [-20, -10, 0, 10])
    assert block[0] == block[1] == one[0]
    (block,) = manager.lazy("counted").resample(0.5, count=3)
    np.testing.assert_allclose(block.values(), [one[0], (one[0] + one[1]) / 2, one[1]])
    odd = MemoryStorageManager()
    odd.store("x", ([0, 2, 1], [1, 2, 3]))
    odd.store("none", [])
    odd.store("same", ([0, 1, 1, 2], [0, 1, 5, 6]))
    with pytest.raises(ValueError, match="sorted"):
        list(odd.lazy("x").resample(0.5, count=9))
    with pytest.raises(ValueError, match="no points"):
        odd.lazy("none").resample(1)
    with pytest.raises(ValueError, match="positive"):
        odd.lazy("x").resample(0)
    # Of points at the same time the last counts, as where NumPy interpolates.
    (block,) = odd.lazy("same").resample(0.5)
    assert np.array_equal(block.values(), [0, 0.5, 5, 5.5, 6])
    assert np.array_equal(block.values(), odd.get("same").interpolate(block.times()).values())


def test_memory_is_bounded(tmp_path):
    manager = FileStorageManager(tmp_path / "s.vls")
    part = np.random.default_rng(0).normal(size=1 << 17).round(2)
    manager.store("x", part)
    with manager.batch():
        for _ in range(16):
            manager.append("x", part)
    code = """
        import resource, sys
        from vlstore.series import FileStorageManager
        manager = FileStorageManager(sys.argv[1], cache_bytes=0, threads=1)
        x = manager.lazy("x")
        def peak():
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        x[:1000].evaluate()
        before = peak()
        z = (x - x.mean()) * x + 1
        z.std(), z.aggregate(["mean", "p99"], points=100_000)
        for block in z.resample(7.5):
            pass
        manager.store("z", z)
        print(len(x) * 8, peak() - before, *x.percentile([0.1, 37]))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "s.vls")],
        capture_output=True,
        text=True,
        check=True,
    )
    size, grown, *found = map(float, done.stdout.split())
    # More values than are sorted in memory.
    np.testing.assert_allclose(found, np.percentile(np.tile(part, 17), [0.1, 37]), rtol=1e-12)
    assert size == 17 << 20
    assert grown < size / 2 + (8 << 20), (size, grown)


def test_a_chain_keeps_its_times_wherever_it_is_taken():
    manager = MemoryStorageManager()
    manager.store("x", ([0, 10, 20], [1, 2, 3]))
    x = manager.lazy("x")
    for found in (
        manager.store(None, x),
        manager.get(manager.store_new(x)),
        TimeSeries.of(x),
        Lazy(x).evaluate(),
        manager.store("y", x * 1),
    ):
        assert found.items() == [(0, 1), (10, 2), (20, 3)]
    manager.store("counted", [5, 6])
    assert manager.shape(manager.store_new(manager.lazy("counted")))[2] is False
    assert manager.append("x", x + 1) == 6
    assert manager.get("x").items()[3:] == [(0, 2), (10, 3), (20, 4)]
    assert manager.append("x", x[:0]) == 6
    manager.store("wide", ([0, 1, 2], [[1, 2], [3, 4], [5, 6]]))
    assert manager.append("wide", manager.lazy("wide")[1:]) == 5
    assert manager.get("wide").values()[3:].tolist() == [[3, 4], [5, 6]]
    assert manager.append("counted", manager.lazy("counted")) == 4
    assert manager.get("counted").items()[2:] == [(2, 5), (3, 6)]
    with pytest.raises(ValueError):
        manager.append("x", manager.lazy("counted"))
    assert manager.size("x") == 6


def test_a_stored_chain_and_one_position_are_not_read_whole(tmp_path, monkeypatch):
    manager = FileStorageManager(tmp_path / "s.vls", cache_bytes=0)
    manager.store("x", range(N))
    with monkeypatch.context() as patch:
        patch.setattr(type(manager), "get", None)
        stored = manager.store("y", manager.lazy("x") + 1)
        new = manager.store(None, manager.lazy("x"))
        assert (len(stored), stored[0], stored[-1], new[np.int64(N - 2)]) == (N, 1, N, N - 2)
        for index in (N, -N - 1):
            with pytest.raises(IndexError):
                stored[index]
    assert stored == manager.get("x") + 1


def test_resampling_refuses_times_that_are_not_sorted_by_position():
    manager = MemoryStorageManager()
    late = np.arange(N, dtype=float)
    late[40_000] = 7
    seam = np.arange(N, dtype=float)
    seam[1 << 14] = 0
    gone = np.arange(N, dtype=float)
    gone[-1] = np.nan
    for times, at in (([2, 1, 0], 1), ([0, 5, 1], 2), (late, 40_000), (seam, 1 << 14), (gone, N - 1)):
        manager.store("x", (times, np.zeros(len(times))))
        for count in (2, 0):
            with pytest.raises(ValueError, match=rf"not sorted: .* at position {at};"):
                manager.lazy("x").resample(1, start=0.0, count=count)
        with pytest.raises(ValueError, match=rf"at position {at};"):
            manager.get("x").interpolate([0.5])


class _Counting(FileStorageManager):
    """Counts the points that are read."""

    points = 0

    def get(self, id):
        raise AssertionError("read whole")

    def _seen(self, series):
        self.points += 0 if series is None else len(series)
        return series

    def range(self, id, start, stop):
        return self._seen(super().range(id, start, stop))

    def _between(self, id, start, stop):
        return self._seen(super()._between(id, start, stop))


@pytest.mark.parametrize("channels", [1, 2])
def test_slices_by_position_and_by_time_read_what_they_need(channels, tmp_path):
    counting = _Counting(tmp_path / "s.vls", cache_bytes=0)
    n = 6 << 14
    times = np.repeat(np.arange(n // 3) * 0.25, 3)
    values = np.arange(n * channels, dtype=float)
    values = values if channels == 1 else values.reshape(n, channels)
    counting.store("x", (times[:5], values[:5]))
    for a, b in ((5, 9), (9, n - 20), (n - 20, n - 3), (n - 3, n)):
        counting.append("x", (times[a:b], values[a:b]))
    counting.store("at once", (times, values))
    counting.store("counted", values)
    right = TimeSeries(times, values)
    for id in ("x", "at once"):
        series = SMTimeSeries.from_db(id, counting)
        for index in (
            slice(3, 9),
            slice(-7, None),
            slice(None, 5),
            slice(20_000, 20_010, 3),
            slice(40_010, 40_000, -1),
            slice(7, 3),
            slice(n + 5, n + 9),
            slice(-n - 5, 3),
            slice(-1, -4, -2),
            slice(np.int64(4), 4 + 2),
            slice(-(10**30), 3),
            slice(n - 2, 10**30),
        ):
            counting.points = 0
            assert series[index] == right[index]
            assert counting.points <= 12
        for start, stop in ((2.5, 3), (7000.1, 7001), (None, 0.5), (times[-1], None), (5, 4), (1e9, None), (None, -1)):
            counting.points = 0
            found, wanted = series.between(start, stop), right.between(start, stop)
            assert found == wanted, (start, stop)
            assert counting.points == len(wanted)
    part = SMTimeSeries.from_db("counted", counting)[40_000:40_003]
    assert part.times().tolist() == [40_000, 40_001, 40_002]
    # Times that go back are looked at, all.
    whole = FileStorageManager(tmp_path / "s.vls")
    whole.append("x", ([1.0], values[:1]))
    series = SMTimeSeries.from_db("x", whole)
    assert len(series.between(1, 1.2)) == 4
    assert len(SMTimeSeries.from_db("counted", whole).between(5, 7)) == 2


def test_edges_of_windows_and_of_grids_are_exact():
    manager = MemoryStorageManager()
    for width in (0.1, 0.7, 1 / 3, 1e-3):
        for origin in (0.0, 0.3, -1e3):
            edges = origin + np.arange(1000) * width
            times = np.unique(np.concatenate([edges, np.nextafter(edges, -np.inf), np.nextafter(edges, np.inf)]))
            times = times[(times >= origin) & (times < edges[-1])]
            manager.store("x", (times, times))
            found = manager.lazy("x").aggregate(["first", "last", "count"], width=width, origin=origin)
            number = np.searchsorted(edges, times, side="right") - 1
            assert np.array_equal(found.times, edges[np.unique(number)])
            assert np.array_equal(found["count"], np.bincount(number)[np.unique(number)])
            assert (found["first"] >= found.times).all()
            for last in (edges[777], np.nextafter(edges[777], -np.inf)):
                manager.store("y", ([origin, last], [0, 1]))
                (grid,) = manager.lazy("y").resample(width)
                assert np.array_equal(grid.times(), edges[edges <= last])
    manager.store("far", ([1e17, 1e17 + 64], [0, 1]))
    with pytest.raises(ValueError, match="too small beside the time"):
        manager.lazy("far").aggregate("max", width=1.0, origin=0.0)


def test_infinite_times_are_refused_and_infinite_values_stay(manager):
    memory = MemoryStorageManager()
    inf = np.inf
    for times in ([-inf, 0, 1], [0, 1, inf], [-inf, inf, inf]):
        memory.store("x", (times, [1, 2, 3]))
        x = memory.lazy("x")
        for call in (
            lambda x=x: x.aggregate("max", width=1.0),
            lambda x=x: x.aggregate("max", width=1.0, origin=0.0),
            lambda x=x: list(x.resample(0.5)),
            lambda x=x: list(x.resample(0.5, start=0.0, count=3)),
            lambda: memory.get("x").interpolate([0.5]),
        ):
            with pytest.raises(ValueError, match="finite|begins at"):
                call()
    memory.store("v", ([0, 1, 2, 3], [inf, inf, 1, -inf]))
    (grid,) = memory.lazy("v").resample(0.5)
    assert grid.values().tolist() == [inf, inf, inf, inf, 1, -inf, -inf]
    memory.store("p", [inf, 1, inf, inf])
    p = memory.lazy("p")
    assert [p.percentile(q) for q in (0, 50, 99)] == [1, inf, inf]
    assert p.aggregate(["median", "mean"], points=4).columns["median"][0] == inf
    assert p.mean() == inf
    assert memory.get("p").mean() == inf
    memory.store("both", [inf, -inf])
    assert np.isnan(memory.lazy("both").mean())


@pytest.mark.parametrize("kind", ["memory", "batch"])
def test_a_chain_that_is_refused_half_way_changes_nothing(tmp_path, kind):
    make = MemoryStorageManager if kind == "memory" else functools.partial(FileStorageManager, tmp_path / "s.vls")
    manager = make(times="sorted")
    n = 40_000
    times = np.arange(float(n))
    manager.store("x", (times, times))

    def refused(first):
        """The times of two series differ at the end, and times that are not sorted there."""
        late = times + first
        return Lazy((late, times)) + Lazy((np.r_[late[:-1], 9e9], times)), Lazy((np.r_[late[:-1], 5.0], times))

    with contextlib.nullcontext() if kind == "memory" else manager.batch():
        for chain, why in zip(refused(0), ("differ at position 39999", "5.0 at position 39999"), strict=True):
            for id in ("x", "new"):
                with pytest.raises(ValueError, match=why):
                    manager.store(id, chain)
        for chain, why in zip(refused(n), ("differ at position 39999", "5.0 at position 79999"), strict=True):
            with pytest.raises(ValueError, match=why):
                manager.append("x", chain)
        assert np.array_equal(manager.get("x").values(), times)
    assert manager.ids() == ["x"] and manager.check() == []
    assert np.array_equal(manager.get("x").values(), times)
    manager.store("x", Lazy((times, times)) * 2)
    assert manager.get("x")[n - 1] == 2.0 * (n - 1)
