"""The reporter stores what OpenMM simulates, also if the process is killed."""

import inspect
import pathlib
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import vlstore

pytest.importorskip("openmm")

import openmm_workers  # noqa: E402
from openmm import app, unit  # noqa: E402
from openmm_workers import simulation  # noqa: E402

from vlstore.plugins.openmm import Reporter  # noqa: E402

pytestmark = pytest.mark.filterwarnings("error:other programs see:RuntimeWarning")
HERE = pathlib.Path(__file__).parent


class Recorder:
    """What OpenMM gives to a reporter, as it is."""

    def __init__(self, interval):
        self.interval, self.frames = interval, []

    def describeNextReport(self, simulation):  # noqa: N802
        steps = self.interval - simulation.currentStep % self.interval
        return {"steps": steps, "periodic": None, "include": ["positions", "velocities", "forces", "energy"]}

    def report(self, simulation, state):
        self.frames.append((simulation.currentStep, state))


def test_frames_have_what_was_chosen(tmp_path):
    made = simulation()
    subset = [5, 2, 4]
    recorder = Recorder(10)
    made.reporters += [
        recorder,
        Reporter(tmp_path / "all.vls", 10, velocities=True, forces=True, double=True),
        Reporter(tmp_path / "part.vls", 10, False, None, subset, energy=False, box=False, background=False),
        Reporter(tmp_path / "energy.vls", 20, positions=False, topology=False, box=False),
    ]
    made.step(40)
    for reporter in made.reporters[1:]:
        reporter.close()
        reporter.close()
    every = vlstore.open(tmp_path / "all.vls")
    part = vlstore.open(tmp_path / "part.vls")
    assert list(every) == list(part) == [10, 20, 30, 40]
    assert every.attrs["units"]["force"] == "kJ/mol/nm"
    nm, ps, kj = unit.nanometer, unit.picosecond, unit.kilojoule_per_mole
    for step, state in recorder.frames:
        frame = every[step]
        positions = state.getPositions(asNumpy=True).value_in_unit(nm)
        assert np.array_equal(frame.positions, positions) and frame.positions.dtype == np.float64
        assert np.array_equal(frame.velocities, state.getVelocities(asNumpy=True).value_in_unit(nm / ps))
        assert np.array_equal(frame.forces, state.getForces(asNumpy=True).value_in_unit(kj / nm))
        assert frame.energy == state.getPotentialEnergy().value_in_unit(kj)
        assert frame.frame_properties == {"kinetic_energy": state.getKineticEnergy().value_in_unit(kj)}
        assert frame.time == state.getTime().value_in_unit(ps) and frame.step == step
        assert np.array_equal(frame.cell, np.eye(3) * 1.8) and frame.pbc == (True, True, True)
        small = part[step]
        assert np.array_equal(small.positions, positions[subset].astype("f4")) and small.positions.dtype == np.float32
        assert small.energy is None and small.cell is None and small.velocities is None and small.forces is None
    energy = vlstore.open(tmp_path / "energy.vls")
    assert [(frame.step, frame.energy) for frame in energy.at] == [(step, every[step].energy) for step in (20, 40)]
    assert energy.at[0].positions is None and energy.at[0].nsites == 54 and energy.topologies() == []
    (whole,), (of_part,) = every.topologies(), part.topologies()
    assert whole.names[:3] == ["NA", "CL", "NA"] and whole.types[:2].tolist() == [11, 17]
    assert whole.masses[:2].tolist() == [20, 35] and whole.charges[:2].tolist() == [0.2, -0.2]
    assert whole.residue_ids.tolist() == list(range(5, 32)) and set(whole.residue_names) == {"DIM"}
    assert whole.segment_names == ["A"] and whole.bonds.tolist() == [[2 * i, 2 * i + 1] for i in range(27)]
    assert of_part.names == ["CL", "NA", "NA"] and of_part.bonds.tolist() == [[2, 0]]
    assert of_part.residue_ids.tolist() == [7, 6] and of_part.residues.tolist() == [0, 1, 0]


def test_rounded_positions_become_integers(tmp_path):
    made = stored_to(tmp_path / "run.vls", 10, precision=1000, double=True, velocities=True)
    vlstore.copy(tmp_path / "run.vls", tmp_path / "small.vls", positions="quantised")
    large, small = (vlstore.open(tmp_path / name).at[-1] for name in ("run.vls", "small.vls"))
    state = made.context.getState(getPositions=True, enforcePeriodicBox=True)
    positions = state.getPositions(asNumpy=True).value_in_unit(unit.nanometer)
    assert np.allclose(large.positions, positions, rtol=0, atol=0.00051) and large.velocities.dtype == np.float64
    assert np.array_equal(large.positions, small.positions) and small.precision == 1000
    lengths = [len(vlstore.open(tmp_path / name, records="bytes")[10]) for name in ("run.vls", "small.vls")]
    assert lengths[1] < lengths[0] - 300
    with pytest.raises(vlstore.InvalidError, match="precision must be positive"):
        Reporter(tmp_path / "run.vls", 5, precision=-1)


def program(folder, steps):
    command = [sys.executable, "-P", HERE / "openmm_workers.py", folder, str(steps)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder)


def test_a_run_is_killed_and_continued_without_a_lost_or_doubled_frame(tmp_path):
    mda = pytest.importorskip("MDAnalysis")
    import vlstore.plugins.mdanalysis  # noqa: F401

    path, started = tmp_path / "run.vls", []
    for _ in range(2):
        process = program(tmp_path, 10**9)
        started.append(int(process.stdout.readline().split()[1]))
        # An analysis in this process follows the run, and kills it in the middle.
        while not path.exists() or not len(vlstore.open(path)):
            time.sleep(0.02)
        universe = mda.Universe(path)
        for ts in universe.trajectory.follow(start=len(universe.trajectory), timeout=60, poll=0.01):
            assert ts.data["step"] == 5 * (ts.frame + 1) and len(universe.atoms) == 54
            if ts.data["step"] >= started[-1] + 70:
                break
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    assert started[0] == 0 and all(step % 50 == 0 for step in started)
    assert started[0] < started[1]
    before = len(vlstore.open(path))
    last = int(vlstore.open(path).at[-1].step) + 60
    end = openmm_workers.run(tmp_path, last)
    store = vlstore.open(path)
    assert list(store) == list(range(5, last + 1, 5)) and len(store) > before
    whole = simulation()
    whole.step(last)
    for made in (whole, end):
        state = made.context.getState(getPositions=True, enforcePeriodicBox=True)
        positions = state.getPositions(asNumpy=True).value_in_unit(unit.nanometer)
        assert np.array_equal(store[last].positions, positions.astype("f4"))


def stored_to(path, step, **options):
    made = simulation()
    made.reporters.append(Reporter(path, 5, **options))
    made.step(step)
    made.reporters.pop().close()
    return made


def test_a_run_that_does_not_fit_the_store_is_refused(tmp_path):
    path = tmp_path / "run.vls"
    made = stored_to(path, 20)
    again = Reporter(path, 5, append=True)
    with pytest.raises(vlstore.ResumeError, match="frames up to step 20, the simulation is at step 0.*resume.*currentStep = 20"):
        again.describeNextReport(simulation())
    again.close()
    made.step(11)
    again = Reporter(path, 5, append=True)
    with pytest.raises(vlstore.ResumeError, match="ends at step 20, the simulation is at step 31: .*up to step 30 are lost"):
        again.describeNextReport(made)
    with pytest.raises(vlstore.InvalidError, match="no checkpoint to load"):
        again.resume(made)
    again.close()
    made.currentStep = 12
    with Reporter(path, 5, append=True) as again:
        made.reporters.append(again)
        made.step(5)
        again.commit()
        assert again.dropped == 2 and list(vlstore.open(path)) == [5, 10, 15]
        made.currentStep = 3
        with pytest.raises(vlstore.InvalidError, match="went back from step 15 to step 3"):
            made.step(1)
    assert list(vlstore.open(path)) == [5, 10, 15]
    with pytest.raises(vlstore.InvalidError, match="reportInterval must be 1 step or more"):
        Reporter(path, 0)
    with pytest.raises(vlstore.InvalidError, match="checkpointInterval .7. must be a multiple of reportInterval .5."):
        Reporter(path, 5, checkpoint="c.chk", checkpointInterval=7)
    with vlstore.open(tmp_path / "other.vls", "w", records="md-frame") as other:
        other.attrs["units"] = {"length": "angstrom"}
        other.push(vlstore.MdFrame(np.zeros((1, 3))))
    with pytest.raises(vlstore.InvalidError, match="length in angstrom"):
        Reporter(tmp_path / "other.vls", 5, append=True)


def test_a_state_as_xml_is_a_checkpoint_too(tmp_path):
    state = tmp_path / "state.xml"
    made = stored_to(tmp_path / "run.vls", 20, checkpoint=state, checkpointInterval=10)
    made.step(3)
    other = simulation()
    with Reporter(tmp_path / "run.vls", 5, append=True, checkpoint=state) as reporter:
        assert reporter.resume(other) and other.currentStep == 20
    (tmp_path / "none").mkdir()
    with Reporter(tmp_path / "new.vls", 5, checkpoint=tmp_path / "none" / "a.chk") as reporter:
        assert not reporter.resume(other)


def test_frames_that_wait_are_limited_by_their_bytes(tmp_path, monkeypatch):
    module, started, waiting = sys.modules["vlstore.plugins.openmm"], threading.Event(), []
    run = module._Job.run

    def slow(job):
        started.wait(30)
        waiting.append(writer._jobs.qsize())
        run(job)

    monkeypatch.setattr(module._Job, "run", slow)
    monkeypatch.setattr(module, "_WAITING_BYTES", 3 * 54 * 3 * 8)
    made, reporter = simulation(), Reporter(tmp_path / "run.vls", 1, energy=False, box=False)
    made.reporters.append(reporter)
    writer = reporter._writer
    threading.Timer(0.5, started.set).start()
    made.step(12)
    reporter.close()
    assert max(waiting) == 3 and list(vlstore.open(tmp_path / "run.vls")) == list(range(1, 13))


def test_an_error_of_the_thread_stops_the_simulation(tmp_path):
    made = simulation()
    reporter = Reporter(tmp_path / "run.vls", 1)
    made.reporters.append(reporter)
    made.step(2)
    reporter.commit()
    reporter._store.close()
    with pytest.raises(vlstore.ClosedError):
        made.step(1000)


def test_a_program_that_ends_without_close_loses_nothing(tmp_path):
    code = """
import sys
sys.path.insert(0, {here!r})
from openmm_workers import Reporter, simulation
made = simulation()
made.reporters += [Reporter("a.vls", 1, commit_interval=100.0), Reporter("b.vls", 1, commit_interval=100.0)]
made.step(40)
raise SystemExit({status})
"""
    for status in (0, 3):
        done = subprocess.run(
            [sys.executable, "-P", "-c", code.format(here=str(HERE), status=status)], cwd=tmp_path, check=False
        )
        assert done.returncode == status
        assert [list(vlstore.open(tmp_path / name)) for name in ("a.vls", "b.vls")] == [list(range(1, 41))] * 2


def test_the_arguments_have_the_names_of_other_reporters():
    theirs = list(inspect.signature(app.DCDReporter.__init__).parameters)
    assert list(inspect.signature(Reporter.__init__).parameters)[: len(theirs)] == theirs
