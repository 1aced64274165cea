"""What a registry gets: a source distribution that Cargo accepts, without data that only tests need."""

import pathlib
import shutil
import subprocess
import tarfile
import tomllib

import pytest

ROOT = pathlib.Path(__file__).parents[2]


def run(*command, where):
    done = subprocess.run(command, cwd=where, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(shutil.which("maturin") is None or shutil.which("cargo") is None, reason="maturin is not installed")
def test_cargo_accepts_the_source_distribution(tmp_path):
    run("maturin", "sdist", "--out", tmp_path / "dist", where=ROOT)
    (archive,) = (tmp_path / "dist").glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path, filter="data")
    (folder,) = (path.parent for path in tmp_path.glob("vlstore-*/pyproject.toml"))
    # Cargo builds nothing from a manifest that names a file which is missing.
    named = 0
    for manifest in [folder / "Cargo.toml", folder / "cli" / "Cargo.toml", folder / "python" / "Cargo.toml"]:
        content = tomllib.loads(manifest.read_text())
        for kind, place in [("bench", "benches"), ("test", "tests"), ("example", "examples"), ("bin", "src/bin")]:
            for target in content.get(kind, []):
                named += 1
                file = manifest.parent / target.get("path", f"{place}/{target['name']}.rs")
                assert file.is_file(), f"{file.relative_to(folder)} is not in the source distribution"
    assert named > 5
    run("cargo", "tree", "--offline", "--locked", "--package", "vlstore-python", where=folder)
    assert not (folder / "tests").exists()
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 20 << 20
