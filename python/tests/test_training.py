"""The training example learns, from any file of frames, and a stop in the middle changes nothing."""

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

torch = pytest.importorskip("torch", reason="PyTorch is not installed: ./test installs it unless VLSTORE_TORCH is 0")

ROOT = pathlib.Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "train_potential.py"
DATA = ROOT / ".." / "shared" / "data" / "extxyz" / "gpumd-nep-pbte.xyz"
ENVIRON = {**os.environ, "OMP_NUM_THREADS": "1"}


SAMPLE = ROOT / "tests" / "data" / "labelled.xyz"
NAMES = {"REF_energy": "energy", "REF_forces": "forces"}


def start(store, folder, *more):
    command = [sys.executable, EXAMPLE, store, folder, *map(str, more)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRON)


def finished(process):
    out, err = process.communicate()
    assert process.returncode == 0, err
    return out


def saved(folder):
    return torch.load(folder / "checkpoint.pt", weights_only=True)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_a_training_that_is_killed_twice_learns_what_one_in_one_go_does(path, tmp_path):
    vlstore.import_(SAMPLE, path, map=NAMES)
    how = ("--epochs", 40, "--atoms", 24, "--save-every", 3)
    lines = finished(start(path, tmp_path / "whole", *how)).splitlines()
    whole, steps = saved(tmp_path / "whole"), 0
    for least in (20, 150):
        with start(path, tmp_path / "parts", *how) as run:
            while steps < least:
                time.sleep(0.02)
                assert run.poll() is None, "it ended before it was killed"
                if (tmp_path / "parts" / "checkpoint.pt").exists():
                    steps = len(saved(tmp_path / "parts")["losses"])
            run.send_signal(signal.SIGKILL)
        assert run.returncode == -signal.SIGKILL
    assert len(saved(tmp_path / "parts")["losses"]) < len(whole["losses"])
    assert "goes on in epoch" in finished(start(path, tmp_path / "parts", *how))
    parts = saved(tmp_path / "parts")
    # To the last bit: every loss, every error, every weight.
    assert parts["losses"] == whole["losses"] and parts["errors"] == whole["errors"]
    assert all(torch.equal(parts["model"][name], weight) for name, weight in whole["model"].items())
    mean = [float(number) for number in re.findall(r"[\d.]+", lines[-1])]
    energy, forces = whole["errors"][-1][3:]
    assert lines[-1].startswith("the mean alone") and energy < 0.5 * mean[0] and forces < 0.8 * mean[1]
    picture = tmp_path / "parts" / "loss.png"
    assert not picture.exists() or picture.stat().st_size > 10_000


@pytest.mark.parametrize("kind", ["frames.extxyz", "frames.db"])
def test_the_five_commands_of_the_guide_lead_from_a_file_to_a_training(tmp_path, kind):
    text = (ROOT / "docs" / "training.md").read_text().split("## From a file to a running training")[1]
    commands = text.split("```sh\n")[1].split("```")[0].strip().splitlines()
    assert len(commands) == 5 and commands[0].startswith("pip install")
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    if kind == "frames.db":
        as_database(tmp_path / kind)
        commands[1] = "vlstore import frames.db frames.vls"
        commands[3:] = [command.split("#")[0] + " --epochs 3" for command in commands[3:]]
    else:
        shutil.copy(SAMPLE, tmp_path / kind)
    outputs = []
    for command in commands[1:]:
        words = shlex.split(command.split("#")[0])
        words[:1] = [sys.executable] if words[0] == "python" else [sys.executable, "-m", words[0]]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False, env=ENVIRON)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        outputs.append(done.stdout)
    assert "energy per site" in outputs[1] and ("epoch    3" if kind == "frames.db" else "epoch  100") in outputs[2]
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


def test_frames_without_labels_are_refused(path, tmp_path):
    with vlstore.open(path, "w", records="md-frame") as store:
        for i in range(20):
            energy = {"energy": 1.0} if i else {}
            store.push(vlstore.MdFrame(np.eye(3), types=[1, 1, 8], forces=np.zeros((3, 3)), **energy))
    with start(path, tmp_path / "run") as run:
        assert "some frames have no energy" in run.communicate()[1] and run.returncode == 1


@pytest.mark.skipif(not DATA.exists(), reason="the data set is not on this machine")
def test_the_example_learns_from_a_real_data_set(tmp_path):
    vlstore.import_(DATA, tmp_path / "frames.vls", map={"force": "forces"})
    how = ("--atoms", 500, "--epochs", 6)
    lines = finished(start(tmp_path / "frames.vls", tmp_path / "run", *how)).splitlines()
    mean = [float(number) for number in re.findall(r"[\d.]+", lines[-1])]
    energy, forces = saved(tmp_path / "run")["errors"][-1][3:]
    assert energy < mean[0] and forces < 0.6 * mean[1]
