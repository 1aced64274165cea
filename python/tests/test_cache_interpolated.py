"""Functions that are evaluated from stored points."""

import math
import threading

import numpy as np
import pytest

from vlstore import cache
from vlstore.cache import DamagedEntryWarning, Interpolator, NotStoredWarning, StorageFile, StorageMemory, interpolated

pytest.importorskip("scipy")
pytest.importorskip("h5py")
from vlstore.cache import StorageHDF5  # noqa: E402


@pytest.fixture(params=["memory", "file", "hdf5"])
def storage(request, tmp_path):
    if request.param == "memory":
        return StorageMemory()
    if request.param == "file":
        return StorageFile(tmp_path / "points.vls")
    return StorageHDF5(tmp_path / "points.hdf5")


def test_between_stored_points_the_function_does_not_run(storage):
    ran = []

    @interpolated(storage, max_distance=0.6)
    def func(x):
        """Squares."""
        ran.append(x)
        return x**2

    assert func(1) == 1 and func(2) == 4 and len(storage) == 2
    assert func(1.5) == pytest.approx(2.5) and ran == [1, 2]
    assert func(1) == 1 and func(2.0) == 4 and ran == [1, 2]
    assert func(2.1) == pytest.approx(2.1**2) and ran == [1, 2, 2.1], "it is near, but outside"
    assert func(4) == 16 and func(3.2) == pytest.approx(3.2**2), "no point is near"
    assert func.info() == (3, 5, 5) and func.__doc__ == "Squares."
    assert func.clear() == 5 and func.info().points == 0


def test_values_of_any_shape(storage):
    @interpolated(storage, max_distance=0.75)
    def func(x):
        return [[x**2, x, 1j * x]]

    assert func(1) == [[1, 1, 1j]] and func(2) == [[4, 2, 2j]]
    found = func(1.5)
    assert found.shape == (1, 3) and np.allclose(found, [[2.5, 1.5, 1.5j]])
    assert np.allclose(func(1), [[1, 1, 1j]])


def test_points_in_two_dimensions(storage):
    ran = []

    @interpolated(storage, max_distance=0.75)
    def func(point):
        x, y = point
        ran.append(point)
        return [x**2, y]

    for point in ((1, 1), (2, 1), (1, 2), (2, 2)):
        assert func(point) == [point[0] ** 2, point[1]]
    assert len(ran) == 4
    assert np.allclose(func((1.5, 1.5)), [2.5, 1.5]) and np.allclose(func([1.5, 1.25]), [2.5, 1.25])
    assert np.allclose(func(np.array([1.0, 2.0])), [1, 2]) and len(ran) == 4
    assert func((2.2, 2)) == [2.2**2, 2] and len(ran) == 5
    with pytest.raises(ValueError, match="coordinates"):
        func((1, 2, 3))


def test_points_on_a_line_have_no_inside():
    ran = []

    @interpolated(StorageMemory(), max_distance=2)
    def func(point):
        ran.append(point)
        return sum(point)

    for i in range(5):
        assert func((i, i)) == 2 * i
    assert func((1, 1)) == 2 and len(ran) == 5
    assert func((1.5, 1.5)) == 3 and len(ran) == 6


def test_named_arguments_keep_separate_sets(storage):
    @interpolated(storage, max_distance=0.6)
    def func(x, e=2):
        return x**e

    for e in (2, 3):
        func(1, e=e)
        func(2, e=e)
    assert len(storage) == 4
    assert func(1.5, e=2) == func(1.5) == func(1.5, 2) == pytest.approx(2.5)
    assert func(1.5, e=3) == pytest.approx(4.5) and len(storage) == 4


def test_ignored_arguments_share_one(storage):
    @interpolated(storage, max_distance=0.6, ignore_kwargs=["e"])
    def func(x, e=2):
        return x**e

    assert func(1, e=2) == 1 and func(2, e=3) == 8 and len(storage) == 2
    assert func(1.5, e=2) == func(1.5, 5) == pytest.approx(4.5)


class Line:
    """An object with the storage protocol that can be made from interpolated data."""

    def __init__(self, data, e=2):
        self.data, self.e = data, e

    def storage_prepare(self):
        return self.data, self.e

    @classmethod
    def storage_retrieve(cls, data_array, extra_data):
        return cls(data_array, extra_data)

    @classmethod
    def create_from_interpolated(cls, data_array, args, extra_args):
        made = cls(data_array, extra_args)
        made.args = args
        return made


def test_objects(storage):
    def func(x, e=2):
        return Line(x + e, e)

    func_int = interpolated(storage, max_distance=0.6)(func)
    assert func_int(1, e=2).data == 3 and func_int(2, e=2).data == 4
    found = func_int(1.5, e=2)
    assert type(found) is Line and found.data == pytest.approx(3.5) and found.e == 2 and found.args == [1.5]
    assert func_int(1, e=2).data == 3


def test_values_of_another_shape_are_an_error(storage):
    @interpolated(storage, max_distance=0.1)
    def func(x):
        return np.zeros(int(x)) if x > 0 else "text"

    func(2)
    with pytest.raises(ValueError, match="shape"):
        func(3)
    with pytest.raises(TypeError, match="numbers"):
        func(-1)
    assert len(storage) == 1


def test_cubic_follows_a_curve_more_closely():
    x = np.linspace(0, 3, 7)
    linear, cubic = Interpolator(x, np.sin(x)), Interpolator(x, np.sin(x), kind="cubic")
    asked = np.linspace(0, 3, 50)
    assert np.abs(cubic(asked) - np.sin(asked)).max() < np.abs(linear(asked) - np.sin(asked)).max() / 10

    @interpolated(max_distance=1, kind="cubic")
    def func(x):
        return x**3

    for i in (0, 3, 6, 9):
        func(i)
    assert func(2) == pytest.approx(8) and func.info().computed == 4
    random = np.random.default_rng(1)
    points = random.random((200, 2))
    flat = Interpolator(points, points[:, 0] ** 2 * points[:, 1], kind="cubic")
    assert flat([0.5, 0.5]) == pytest.approx(0.125, abs=1e-3)
    with pytest.raises(ValueError, match="dimensions"):
        Interpolator(random.random((9, 3)), np.zeros(9), kind="cubic")


def test_an_interpolator_takes_many_points_at_once():
    one = Interpolator(np.arange(4), np.arange(4))
    assert one(1.5) == 1.5 and one([1.5, 2.5]).tolist() == [1.5, 2.5] and np.isnan(one(9))
    rows = Interpolator(np.arange(4), np.arange(8).reshape(4, 2))
    assert rows(1.5).tolist() == [3, 4] and rows([1.5, 2.5]).tolist() == [[3, 4], [5, 6]]
    random = np.random.default_rng(0)
    points = random.normal(size=(10, 2))
    assert Interpolator(points, random.normal(size=(10, 1)))([0.01, 0.01]).shape == (1,)
    many = Interpolator(points, random.normal(size=(10, 3)))
    assert many([0.01, 0.01]).shape == (3,) and many([[0.01, 0.01], [-0.01, 0]]).shape == (2, 3)
    deep = Interpolator(np.arange(5), random.normal(size=(5, 3, 2)))
    assert deep(0.01).shape == (3, 2) and deep([0.01, 0.01]).shape == (2, 3, 2)
    for bad in (lambda: Interpolator([1, 2], [1]), lambda: Interpolator(np.zeros((1, 1, 1)), [1]),
                lambda: Interpolator([1], [1], kind="other"), lambda: many([1, 2, 3])):
        with pytest.raises(ValueError):
            bad()
    with pytest.raises(TypeError):
        Interpolator([1, 2], ["a", "b"])


def test_points_that_are_none_are_refused_before_the_function_runs():
    @interpolated()
    def func(x, y=None):
        pytest.fail("it ran")

    for bad in ("1", None, [[1, 2]], [], np.nan, [1, np.inf], 1j):
        with pytest.raises(cache.ArgumentError, match="point"):
            func(bad)
    with pytest.raises(TypeError):
        func()
    with pytest.raises(TypeError):
        func(x=1)
    with pytest.raises(cache.ArgumentError, match="`y`"):
        func(1, {2})
    for bad in ({"max_distance": -1}, {"max_distance": "far"}, {"kind": "quintic"}):
        with pytest.raises(ValueError):
            interpolated(**bad)


def test_points_of_others_are_seen(tmp_path):
    def make():
        ran = []

        @interpolated(StorageFile(tmp_path / "a.vls"), max_distance=0.6)
        def func(x):
            ran.append(x)
            return 2.0 * x

        return func, ran

    one, ran_one = make()
    two, ran_two = make()
    one(1)
    two(2)
    assert one(1.5) == two(1.5) == 3.0 and (ran_one, ran_two) == ([1], [2])
    one.clear()
    assert two(1.5) == 3.0 and ran_two == [2, 1.5]


def test_threads_can_add_points():
    @interpolated(max_distance=0)
    def func(x):
        return 2 * x

    threads = [threading.Thread(target=lambda i=i: [func(i + 8 * j) for j in range(20)]) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert func.info().points == 160 and all(func(i) == 2 * i for i in range(160))


def test_threads_that_add_one_point_add_it_once(storage):
    together = threading.Barrier(2)

    @interpolated(storage, max_distance=0.6, kind="cubic")
    def func(x):
        if x == 4:
            together.wait(timeout=10)
        return float(x) ** 2

    for x in range(4):
        func(x)
    threads = [threading.Thread(target=func, args=(4,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Cubic interpolation refuses points that are there twice.
    assert func(3.5) == pytest.approx(12.25) and func.info().points == 5


def test_a_damaged_point_is_left_out_and_computed_again(tmp_path):
    path = tmp_path / "points.vls"
    storage = StorageFile(path, compression="stored")

    @interpolated(storage, max_distance=0.6)
    def func(x):
        return np.full(200, float(x))

    for x in (0, 1, 2):
        func(x)
    storage.repack()
    bytes_ = bytearray(path.read_bytes())
    at = bytes_.index(np.full(50, 1.0).tobytes())
    bytes_[at + 8] ^= 1
    path.write_bytes(bytes_)
    again = interpolated(StorageFile(path), max_distance=0.6, name=func.cache_name)(func.__wrapped__)
    with pytest.warns(DamagedEntryWarning, match="left out"):
        assert (again(1.0) == 1.0).all()
    # The other points are too far away: the function runs there, and the point takes the place of the damaged one.
    assert again.info().interpolated == 0 and again.info().computed == 1


def test_a_result_that_cannot_be_stored_is_returned_all_the_same():
    f = interpolated(StorageMemory(max_bytes=10))(math.sqrt)
    with pytest.warns(NotStoredWarning):
        assert f(4.0) == 2.0


def test_no_points_are_nowhere():
    assert np.isnan(Interpolator([], [])(1.0))
