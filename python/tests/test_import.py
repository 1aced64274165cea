"""The installed package is whole: it imports, and brings what it needs with it."""

import subprocess
import sys
from importlib import metadata, resources
from pathlib import Path

import vlstore


def test_the_version_is_that_of_the_package():
    assert vlstore.__version__ == metadata.version("vlstore")


def test_the_package_is_typed():
    package = resources.files("vlstore")
    assert package.joinpath("py.typed").is_file()
    assert package.joinpath("_core.pyi").is_file()


def test_the_extension_is_the_only_library_in_the_package():
    files = [str(file) for file in metadata.files("vlstore") or []]
    libraries = [file for file in files if Path(file).suffix in {".so", ".dylib", ".dll", ".pyd"}]
    assert len(libraries) == 1, libraries
    assert Path(libraries[0]).name.startswith("_core."), libraries


def test_importing_needs_nothing_but_numpy():
    program = "import sys, vlstore; print(*sorted({n.partition('.')[0] for n in sys.modules}))"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"torch", "ase", "MDAnalysis", "blosc2"} & set(loaded)
    required = [r for r in metadata.requires("vlstore") or [] if "extra ==" not in r]
    assert [r.partition(">")[0].strip() for r in required] == ["numpy"]


def test_how_long_importing_takes_is_printed():
    program = "import time; t = time.perf_counter(); import vlstore; print(time.perf_counter() - t)"
    took = min(
        float(subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        ).stdout)
        for _ in range(3)
    )
    print(f"importing vlstore took {1000 * took:.1f} ms")


def test_the_command_line_comes_with_the_package(tmp_path):
    with vlstore.open(tmp_path / "a.vls", "w") as store:
        store["a"] = b"1"
    for command in ([sys.executable, "-m", "vlstore"], [Path(sys.executable).parent / "vlstore"]):
        shown = subprocess.run(
            [*command, "info", tmp_path / "a.vls"], capture_output=True, text=True, check=True
        )
        assert "records" in shown.stdout
        failed = subprocess.run([*command, "info", tmp_path / "b.vls"], capture_output=True, check=False)
        assert failed.returncode == 1 and b"b.vls" in failed.stderr
        assert subprocess.run([*command, "no-verb"], capture_output=True, check=False).returncode == 2
