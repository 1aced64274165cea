"""What the tests share: a folder of their own, and real molecules."""

import pathlib
import sys

import numpy as np
import pytest

import vlstore

# Processes that are spawned take over this path, and find what they are to do.
sys.path.insert(0, str(pathlib.Path(__file__).parent))

DATA = pathlib.Path(__file__).parents[2] / ".." / "shared" / "data"


# Files that take longest, which begin first: the last ones shall be short, so that no worker waits for another.
LONG = [
    "test_ray", "test_training", "test_interpreter", "test_import_libraries", "test_tours", "test_extxyz", "test_torch",
    "test_remote", "test_adapters", "test_memory", "test_docs", "test_series_lazy", "test_stubs", "test_loader",
]


def pytest_collection_modifyitems(items):
    order = {name: number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: order.get(item.path.stem, len(order)))


@pytest.fixture
def path(tmp_path):
    """Where a test makes its store."""
    return tmp_path / "test.vls"


@pytest.fixture
def copies(tmp_path):
    """Two stores of the same large frames, with blocks of other sizes."""
    random, paths = np.random.default_rng(0), [tmp_path / "one.vls", tmp_path / "other.vls"]
    with vlstore.open(paths[0], "w", records="md-frame", block_size=32 << 10) as store:
        for i in range(100):
            store.push(vlstore.MdFrame(random.normal(size=(int(random.integers(900, 1100)), 3)), step=i))
    vlstore.copy(*paths, block_size=128 << 10)
    return paths


@pytest.fixture(scope="session")
def molecules():
    """Frames of different sizes from an extended XYZ file; made up where there is none."""
    ase_io = pytest.importorskip("ase.io")
    files = sorted((DATA / "extxyz").glob("*.extxyz")) + sorted((DATA / "extxyz").glob("*.xyz"))
    frames = []
    for file in files:
        try:
            images = ase_io.read(file, index=":60")
        except Exception:  # noqa: BLE001, S112 - other tests read files that are broken
            continue
        frames += [
            vlstore.MdFrame(
                image.positions, types=image.numbers, cell=image.cell.array, pbc=image.pbc,
                energy=float(i),
            )
            for i, image in enumerate(images)
            if len(image)
        ]
    if not frames:
        print("no data in ../shared/data/extxyz: the molecules are made up")
        random = np.random.default_rng(1)
        frames = [
            vlstore.MdFrame(
                random.normal(size=(n, 3)), types=random.integers(1, 9, n), energy=float(n),
                cell=np.eye(3), pbc=True,
            )
            for n in random.integers(1, 40, 200)
        ]
    return frames
