"""What the documentation shows is what happens: docstrings, and the guide."""

import doctest
import importlib
import pathlib
import sys
import types

import pytest

import vlstore

ROOT = pathlib.Path(__file__).parents[2]
DOCS = ROOT / "docs"
# Pages whose code runs, and how many parts it has at least.
PAGES = {
    "guide.md": 8, "training.md": 9, "blobs.md": 13, "experiments.md": 6, "cache.md": 6, "series.md": 7, "from-the-original.md": 1,
    "plugins.md": 8, "plots.md": 1, "datasets.md": 4, "arrow.md": 4,
}
# Packages that may be missing: a part of a page that has the word is left out then, and said.
OPTIONAL = {"torch": "torch", "vlstore.pyg": "torch_geometric", "grain": "grain", "DataLoader": "torch", "ase.": "ase", "MDAnalysis": "MDAnalysis", "mda.": "MDAnalysis", "u.trajectory": "MDAnalysis",
            "openmm": "openmm", "mdtraj": "mdtraj", "duckdb": "duckdb", "dask": "dask", "polars": "polars", "pyarrow": "pyarrow"}
MODULES = [
    "vlstore",
    "vlstore.cache",
    "vlstore.errors",
    "vlstore._open",
    "vlstore._views",
    "vlstore._core",
    "vlstore._maintain",
    "vlstore.arrow._rows",
    "vlstore.arrow._tables",
    "vlstore.blobs",
    "vlstore.blobs._digest",
    "vlstore.blobs._native",
    "vlstore.legacy.hash",
    "vlstore.loader._loader",
    "vlstore.loader._split",
    "vlstore.series",
    "vlstore.series._lazy",
    "vlstore.series._manager",
    "vlstore.series._stored",
    "vlstore.series._timeseries",
    "vlstore.experiments._design",
    "vlstore.experiments._storage",
    "vlstore.legacy.loader.blockshuffle",
    "vlstore.legacy.serialize",
    "vlstore.legacy.serialize.codec",
    "vlstore.legacy.store",
    "vlstore.legacy.store.chunkstore",
    "vlstore.legacy.store.depot",
    "vlstore.legacy.store.locations",
    "vlstore.plugins.ase",
]
# What modules need besides NumPy.
PACKAGES = {"vlstore.plugins.ase": "ase", "vlstore.arrow._rows": "pyarrow",
            "vlstore.arrow._tables": "pyarrow"}
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


class Finder(doctest.DocTestFinder):
    """Looks into the compiled classes too."""

    def _from_module(self, module, object):
        return getattr(object, "__module__", None) in ("vlstore", module.__name__) or (
            super()._from_module(module, object)
        )


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_docstrings_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    package = PACKAGES.get(name)
    if package and not has(package):
        pytest.skip(f"{package} is not installed")
    module = importlib.import_module(name)
    runner = doctest.DocTestRunner(optionflags=OPTIONS)
    ran = 0
    for test in Finder().find(module, name):
        runner.run(test)
        ran += len(test.examples)
    assert runner.summarize(verbose=False).failed == 0
    assert ran or name == "vlstore._views"


def blocks(page):
    """The parts of a page: the headline, and the Python code under it."""
    found, headline, code = [], "", None
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.startswith("#") and code is None:
            headline = line.lstrip("# ")
        elif line.startswith("```"):
            if code is not None:
                found.append((headline, "\n".join(code)))
            code = [] if line == "```python" else None
        elif code is not None:
            code.append(line)
    return found


@pytest.mark.parametrize(("page", "least"), PAGES.items())
def test_a_page_runs_from_top_to_bottom(page, least, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # A module, so that classes of the page are found by their name.
    module = types.ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", module)
    scope = vars(module)
    seen = 0
    for headline, code in blocks(DOCS / page):
        seen += 1
        missing = [name for word, name in OPTIONAL.items() if word in code and not has(name)]
        if missing:
            print(f"{headline}: left out, {missing} is not installed")
            continue
        exec(compile(code, f"{page}, {headline}", "exec"), scope)  # noqa: S102
    assert seen >= least


def test_the_example_of_the_readme_runs_as_printed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = [code for _, code in blocks(ROOT / "README.md")]
    assert code
    for part in code:
        exec(compile(part, "README.md", "exec"), {"__name__": "readme"})  # noqa: S102


def has(name):
    return importlib.util.find_spec(name) is not None


def test_every_public_name_is_documented():
    for name in vlstore.__all__:
        assert name == "__version__" or getattr(vlstore, name).__doc__, name
