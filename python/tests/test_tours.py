"""The tours of the documentation run as printed: commands and code, from top to bottom, with the files they name."""

import doctest
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import types

import pytest

ROOT = pathlib.Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"
# What a tour needs, and how many parts with code it has at least.
TOURS = {
    "gromacs": (["MDAnalysis"], 7),
    "openmm": (["openmm", "MDAnalysis"], 6),
    "lammps": (["MDAnalysis"], 6),
    "ase": (["ase"], 6),
    "potentials": (["ase", "torch"], 6),
}
BLOCK = re.compile(r"^```(python|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def command(line, folder):
    """What a line after ``$`` prints. The programs are those of this environment."""
    program, *arguments = shlex.split(line)
    if program == "cp":
        *sources, target = arguments
        for source in sources:
            shutil.copy(ROOT / source, folder / target)
        return ""
    start = {"vlstore": ["-m", "vlstore"], "python": []}[program]
    if program == "python":
        arguments[0] = str(ROOT / arguments[0])
    done = subprocess.run([sys.executable, *start, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{line}\n{done.stderr}"
    return done.stdout


def console(text, folder):
    """Runs the commands; what is printed below one is compared with its output."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        line, _, shown = part.partition("\n")
        printed = command(line, folder)
        if shown.strip():
            same = doctest.OutputChecker().check_output(shown.rstrip() + "\n", printed.rstrip() + "\n", FLAGS)
            assert same, f"{line}\nprints\n{printed}\nthe page has\n{shown}"


@pytest.mark.parametrize("name", TOURS)
def test_a_tour_runs_from_top_to_bottom(name, tmp_path, monkeypatch):
    needed, least = TOURS[name]
    for package in needed:
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    # A module, so that functions of the page are found by their name.
    module = types.ModuleType("tour")
    monkeypatch.setitem(sys.modules, "tour", module)
    page = (ROOT / "docs" / "tours" / f"{name}.md").read_text(encoding="utf-8")
    parts = BLOCK.findall(page)
    for kind, text in parts:
        if kind == "console":
            console(text, tmp_path)
        else:
            exec(compile(text, f"{name}.md", "exec"), vars(module))  # noqa: S102
    assert len(parts) >= least
