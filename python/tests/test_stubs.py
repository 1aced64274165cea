"""The stub of the compiled module says what the module has, no more and no less."""

import ast
import importlib.util
import inspect
import subprocess
import sys
from importlib import resources

import pytest

from vlstore import _core

# What every object has, or what only type checkers want to know.
IMPLIED = {"__doc__", "__module__", "__weakref__", "__new__", "__repr__", "__buffer__",
           "__release_buffer__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__", "__hash__",
           "__init_subclass__", "__class_getitem__", "__getattribute__"}


def stub():
    tree = ast.parse(resources.files("vlstore").joinpath("_core.pyi").read_text())
    return {n.name: n for n in tree.body if isinstance(n, (ast.ClassDef, ast.FunctionDef))}


def members(node):
    return {
        n.name: n for n in node.body if isinstance(n, ast.FunctionDef) and n.name not in IMPLIED
    }


def arguments(node):
    """Names, kinds and whether there is a default, as ``inspect`` has them."""
    a = node.args
    first = len(a.args) - len(a.defaults)
    listed = [(arg.arg, "plain", i >= first) for i, arg in enumerate([*a.posonlyargs, *a.args])]
    if a.vararg:
        listed.append((a.vararg.arg, "many", False))
    listed += [(arg.arg, "named", d is not None) for arg, d in zip(a.kwonlyargs, a.kw_defaults)]
    if a.kwarg:
        listed.append((a.kwarg.arg, "others", False))
    return [entry for entry in listed if entry[0] not in ("self", "cls")]


def real_arguments(function):
    kinds = {
        inspect.Parameter.POSITIONAL_ONLY: "plain",
        inspect.Parameter.POSITIONAL_OR_KEYWORD: "plain",
        inspect.Parameter.VAR_POSITIONAL: "many",
        inspect.Parameter.KEYWORD_ONLY: "named",
        inspect.Parameter.VAR_KEYWORD: "others",
    }
    return [
        (p.name, kinds[p.kind], p.default is not inspect.Parameter.empty)
        for p in inspect.signature(function).parameters.values()
        if p.name not in ("self", "cls")
    ]


CLASSES = [name for name, node in stub().items() if isinstance(node, ast.ClassDef)
           and name != "_CodecObject"]


def test_the_stub_lists_what_the_module_has():
    known = {n for n, node in stub().items() if n != "_CodecObject"} | {"__version__"}
    listed = {n for n in vars(_core) if n == "__version__" or not n.startswith("__")}
    assert known == listed - {"_core"}


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_has_the_members_that_the_stub_lists(name):
    there = {n for n in vars(getattr(_core, name)) if n not in IMPLIED}
    assert set(members(stub()[name])) == there


@pytest.mark.parametrize("name", CLASSES)
def test_arguments_are_those_of_the_stub(name):
    real = getattr(_core, name)
    for method, node in members(stub()[name]).items():
        if method.startswith("__") or any(
            isinstance(d, ast.Name) and d.id in ("property", "overload")
            for d in node.decorator_list
        ):
            continue
        assert arguments(node) == real_arguments(getattr(real, method)), method
    new = next((n for n in stub()[name].body if getattr(n, "name", "") == "__new__"), None)
    if new is not None:
        assert arguments(new) == real_arguments(real)


def test_functions_have_the_arguments_of_the_stub():
    for name, node in stub().items():
        if isinstance(node, ast.FunctionDef):
            assert arguments(node) == real_arguments(getattr(_core, name)), name


@pytest.mark.parametrize("name", CLASSES)
def test_everything_public_is_documented(name):
    real = getattr(_core, name)
    assert real.__doc__
    for method in members(stub()[name]):
        if not method.startswith("_"):
            assert getattr(real, method).__doc__, method


@pytest.mark.skipif(not importlib.util.find_spec("mypy"), reason="mypy is not installed")
def test_mypy_finds_nothing_that_differs(tmp_path):
    # Before Python 3.12 a buffer is not seen as a method.
    allowed = tmp_path / "allowed"
    allowed.write_text(r"vlstore\._core\.(Record\.__buffer__|__all__)" + "\n")
    command = [sys.executable, "-m", "mypy.stubtest", "vlstore._core", "--allowlist", allowed,
               "--ignore-unused-allowlist"]
    found = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
