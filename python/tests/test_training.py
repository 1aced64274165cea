"""The training example learns, from any file of frames, and a stop in the middle changes nothing."""

import multiprocessing
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import vlstore
from vlstore_workers import run_program

torch = pytest.importorskip("torch", reason="PyTorch is not installed: ./test installs it unless VLSTORE_TORCH is 0")

ROOT = pathlib.Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "train_potential.py"
DATA = ROOT / ".." / "shared" / "data" / "extxyz" / "gpumd-nep-pbte.xyz"

SAMPLE = ROOT / "tests" / "data" / "labelled.xyz"
NAMES = {"REF_energy": "energy", "REF_forces": "forces"}


class Training:
    """The example in a process of its own, a copy of one that has loaded PyTorch, which takes seconds."""

    def __init__(self, store, folder, *more):
        method = "spawn" if sys.platform == "win32" else "forkserver"
        context = multiprocessing.get_context(method)
        # Taken where no test has started the server yet.
        context.set_forkserver_preload(["torch", "vlstore.torch"])
        self.output = folder.with_suffix(".txt")
        arguments = [EXAMPLE, store, folder, *more]
        self.process = context.Process(target=run_program, args=([str(word) for word in arguments], self.output))
        self.process.start()

    def end(self, status=0):
        """Waits for its end; what it said."""
        self.process.join()
        said = self.output.read_text(encoding="utf-8")
        assert self.process.exitcode == status, said
        return said


def saved(folder):
    return torch.load(folder / "checkpoint.pt", weights_only=True)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_a_training_that_is_killed_twice_learns_what_one_in_one_go_does(path, tmp_path):
    vlstore.import_(SAMPLE, path, map=NAMES)
    how = ("--epochs", 12, "--atoms", 24, "--save-every", 3)
    whole = Training(path, tmp_path / "whole", *how)
    checkpoint = tmp_path / "parts" / "checkpoint.pt"
    for least in (20, 100):
        run, seen, steps = Training(path, tmp_path / "parts", *how), 0, 0
        while steps < least:
            time.sleep(0.01)
            assert run.process.is_alive(), "it ended before it was killed"
            if checkpoint.exists() and (now := checkpoint.stat().st_mtime_ns) != seen:
                seen, steps = now, len(saved(tmp_path / "parts")["losses"])
        run.process.kill()
        run.end(-signal.SIGKILL)
    killed = saved(tmp_path / "parts")
    assert "goes on in epoch" in Training(path, tmp_path / "parts", *how).end()
    last = whole.end().splitlines()[-1]
    whole, parts = saved(tmp_path / "whole"), saved(tmp_path / "parts")
    assert len(killed["losses"]) < len(whole["losses"])
    # To the last bit: every loss, every error, every weight.
    assert parts["losses"] == whole["losses"] and parts["errors"] == whole["errors"]
    assert all(torch.equal(parts["model"][name], weight) for name, weight in whole["model"].items())
    mean = [float(number) for number in re.findall(r"[\d.]+", last)]
    energy, forces = whole["errors"][-1][3:]
    assert last.startswith("the mean alone") and energy < 0.5 * mean[0] and forces < 0.8 * mean[1]
    picture = tmp_path / "parts" / "loss.png"
    assert not picture.exists() or picture.stat().st_size > 10_000


@pytest.mark.parametrize("kind", ["frames.extxyz", "frames.db"])
def test_the_five_commands_of_the_guide_lead_from_a_file_to_a_training(tmp_path, kind):
    text = (ROOT / "docs" / "training.md").read_text().split("## From a file to a running training")[1]
    commands = text.split("```sh\n")[1].split("```")[0].strip().splitlines()
    assert len(commands) == 5
    # In a clone: no registry has the package.
    extra = re.fullmatch(r'pip install "\.\[(\w+)\]" matplotlib', commands[0]).group(1)
    assert f"\n{extra} = [" in (ROOT / "pyproject.toml").read_text()
    commands = [command.split("#")[0] for command in commands[1:]]
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    if kind == "frames.db":
        as_database(tmp_path / kind)
        commands[0] = "vlstore import frames.db frames.vls"
        # From the store on both ways are one.
        del commands[2:]
    else:
        shutil.copy(SAMPLE, tmp_path / kind)
        commands[2:] = [command + " --epochs 3" for command in commands[2:]]
    outputs = []
    for command in commands:
        words = shlex.split(command)
        words[:1] = [sys.executable] if words[0] == "python" else [sys.executable, "-m", words[0]]
        environ = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False, env=environ)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        outputs.append(done.stdout)
    assert "energy per site" in outputs[1]
    vlstore.import_(SAMPLE, tmp_path / "expected.vls", map=NAMES)
    frames, expected = vlstore.open(tmp_path / "frames.vls"), vlstore.open(tmp_path / "expected.vls")
    assert len(frames) == len(expected) == 72 and frames.attrs["units"]["energy"] == "eV"
    for i in range(72):
        assert frames.at[i].energy == expected.at[i].energy
        assert np.array_equal(frames.at[i].positions, expected.at[i].positions)
        assert np.array_equal(frames.at[i].forces, expected.at[i].forces)
    if kind == "frames.extxyz":
        assert "epoch    3" in outputs[2]
        # What is complete stays so.
        assert outputs[2].splitlines()[-1] == outputs[3].splitlines()[-1] and "training" not in outputs[3]


def as_database(path):
    """The sample as a database of ASE."""
    io, db = pytest.importorskip("ase.io"), pytest.importorskip("ase.db")
    from ase.calculators.singlepoint import SinglePointCalculator

    with db.connect(path) as database:
        for atoms in io.read(SAMPLE, ":"):
            labels = {own: atoms.info.get(name, atoms.arrays.get(name)) for name, own in NAMES.items()}
            atoms.calc = SinglePointCalculator(atoms, **labels)
            database.write(atoms)


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for one process")
def test_a_training_that_is_interrupted_says_how_to_go_on(path, tmp_path):
    vlstore.import_(SAMPLE, path, map=NAMES)
    how = ("--atoms", 24, "--save-every", 2)
    run = Training(path, tmp_path / "run", *how)
    while not (tmp_path / "run" / "checkpoint.pt").exists():
        time.sleep(0.01)
        assert run.process.is_alive(), run.output.read_text()
    os.kill(run.process.pid, signal.SIGINT)
    said = run.end(130).splitlines()
    command = shlex.join(["python", *map(str, (EXAMPLE, path, tmp_path / "run", *how))])
    assert said[-1] == f"stopped; this goes on behind the last checkpoint: {command}"
    assert not [line for line in said if "Traceback" in line]


def test_a_frame_that_no_batch_has_room_for_is_refused(path, tmp_path):
    vlstore.import_(SAMPLE, path, map=NAMES)
    said = Training(path, tmp_path / "run", "--atoms", 7).end(1)
    assert "a frame has 8 atoms, and a batch 7 at most: give --atoms 8 or more" in said and "Traceback" not in said


def test_frames_without_labels_are_refused(path, tmp_path):
    with vlstore.open(path, "w", records="md-frame") as store:
        for i in range(20):
            energy = {"energy": 1.0} if i else {}
            store.push(vlstore.MdFrame(np.eye(3), types=[1, 1, 8], forces=np.zeros((3, 3)), **energy))
    assert "some frames have no energy" in Training(path, tmp_path / "run").end(1)


@pytest.mark.skipif(not DATA.exists(), reason="the data set is not on this machine")
def test_the_example_learns_from_a_real_data_set(tmp_path):
    vlstore.import_(DATA, tmp_path / "all.vls", map={"force": "forces"})
    vlstore.copy(tmp_path / "all.vls", tmp_path / "frames.vls", range=range(12))
    how = ("--atoms", 250, "--epochs", 3)
    last = Training(tmp_path / "frames.vls", tmp_path / "run", *how).end().splitlines()[-1]
    mean = [float(number) for number in re.findall(r"[\d.]+", last)]
    energy, forces = saved(tmp_path / "run")["errors"][-1][3:]
    assert energy < mean[0] and forces < 0.6 * mean[1]
