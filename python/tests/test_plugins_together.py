"""A store that one program wrote is read by the others, with the numbers converted; and the units that make it so."""

import dataclasses
import importlib.util
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import vlstore
from vlstore.plugins import _units

FS, KJ = 0.001, 96.48533212331002
POSITIONS = np.array([[[1, 2, 3], [1.5, 2, 3], [1, 2.5, 3]], [[2, 3, 4], [2.5, 3, 4], [2, 3.5, 4]]])  # in nm
TIMES = [3.0, 3.5]  # ps
LENGTHS = [4.0, 5.0, 6.0]


def by_ase(path):
    from ase import Atoms
    from ase.calculators.singlepoint import SinglePointCalculator

    from vlstore.plugins.ase import Writer

    with Writer(path, topologies="always") as writer:
        for positions, time in zip(POSITIONS, TIMES, strict=True):
            atoms = Atoms("OH2", positions * 10, cell=np.array(LENGTHS) * 10, pbc=True)
            atoms.info |= {"time": time / FS, "time_unit": "fs"}
            atoms.calc = SinglePointCalculator(atoms, energy=time / KJ)
            writer.write(atoms)


def by_mdanalysis(path):
    import MDAnalysis as mda

    import vlstore.plugins.mdanalysis  # noqa: F401

    universe = mda.Universe.empty(3, trajectory=True)
    universe.add_TopologyAttr("elements", ["O", "H", "H"])
    with mda.Writer(str(path), n_atoms=3) as writer:
        for positions, time in zip(POSITIONS, TIMES, strict=True):
            universe.atoms.positions = positions * 10
            universe.dimensions = [*np.array(LENGTHS) * 10, 90, 90, 90]
            universe.trajectory.ts.time, universe.trajectory.ts.data["energy"] = time, time
            writer.write(universe.atoms)


def by_openmm(path):
    import openmm
    from openmm import app

    from vlstore.plugins.openmm import Reporter

    top, system = app.Topology(), openmm.System()
    residue = top.addResidue("HOH", top.addChain())
    for symbol in "OHH":
        top.addAtom(symbol, app.Element.getBySymbol(symbol), residue)
        system.addParticle(app.Element.getBySymbol(symbol).mass)
    force = openmm.CustomBondForce("0")  # periodic, so that the box is stored
    force.setUsesPeriodicBoundaryConditions(True)
    system.addForce(force)
    system.setDefaultPeriodicBoxVectors(*np.diag(LENGTHS))
    made = app.Simulation(top, system, openmm.VerletIntegrator(0.5), openmm.Platform.getPlatformByName("Reference"))
    with Reporter(path, 1, energy=False) as reporter:
        for positions, time in zip(POSITIONS, TIMES, strict=True):
            made.context.setPositions(positions)
            made.context.setTime(time)
            made.currentStep += 1
            reporter.report(made, made.context.getState(getPositions=True))


def by_mdtraj(path):
    import mdtraj as md

    import vlstore.plugins.mdtraj

    top = md.Topology()
    residue = top.add_residue("HOH", top.add_chain())
    for element in (md.element.oxygen, md.element.hydrogen, md.element.hydrogen):
        top.add_atom(element.symbol, element, residue)
    traj = md.Trajectory(POSITIONS, top, TIMES, [LENGTHS] * 2, [[90] * 3] * 2)
    vlstore.plugins.mdtraj.save(traj, path)


def read_ase(path):
    from ase.io import read

    every = read(path, ":")
    energies = [atoms.calc.results.get("energy", np.nan) * KJ if atoms.calc else None for atoms in every]
    return (
        [atoms.positions / 10 for atoms in every], [atoms.info["time"] * FS for atoms in every],
        every[0].cell.lengths() / 10, every[0].get_chemical_symbols(), energies,
    )


def read_mdanalysis(path):
    import MDAnalysis as mda

    import vlstore.plugins.mdanalysis  # noqa: F401

    universe = mda.Universe(path)
    found = [(ts.positions / 10, ts.time, ts.data.get("energy")) for ts in universe.trajectory]
    positions, times, energies = zip(*found, strict=True)
    return positions, times, universe.dimensions[:3] / 10, universe.atoms.elements.tolist(), list(energies)


def read_mdtraj(path):
    import vlstore.plugins.mdtraj

    traj = vlstore.plugins.mdtraj.load(path)
    symbols = [atom.element.symbol for atom in traj.top.atoms]
    return traj.xyz, traj.time, traj.unitcell_lengths[0], symbols, None


WRITERS = {"ase": by_ase, "MDAnalysis": by_mdanalysis, "openmm": by_openmm, "mdtraj": by_mdtraj}
READERS = {"ase": read_ase, "MDAnalysis": read_mdanalysis, "mdtraj": read_mdtraj}


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
def test_each_program_reads_what_the_others_write(writer, tmp_path):
    pytest.importorskip(writer)
    path = tmp_path / "run.vls"
    WRITERS[writer](path)
    assert len(vlstore.open(path)) == 2
    for reader, read in READERS.items():
        if importlib.util.find_spec(reader) is None:
            print(f"{reader} is not installed")
            continue
        positions, times, lengths, symbols, energies = read(path)
        assert np.allclose(positions, POSITIONS, rtol=1e-6), reader
        assert np.allclose(times, TIMES) and np.allclose(lengths, LENGTHS), reader
        assert symbols == ["O", "H", "H"], reader
        if writer in ("ase", "MDAnalysis") and energies is not None:
            assert np.allclose(energies, TIMES), reader


@pytest.mark.parametrize("units", ["ASE", "MDANALYSIS", "NM_PS"])
def test_units_are_converted_as_export_does(units, tmp_path):
    stated = getattr(_units, units)
    x = np.random.default_rng(1).normal(size=(2, 3))
    frame = vlstore.MdFrame(x, velocities=x, forces=x, energy=2.5, stress=x.T @ x, time=3.0, types=[1, 8], cell=np.eye(3))
    with vlstore.open(tmp_path / "a.vls", "w", records="md-frame") as store:
        store.attrs["units"] = dataclasses.asdict(stated)
        store.push(frame)
    vlstore.export(tmp_path / "a.vls", tmp_path / "a.xyz")
    vlstore.import_(tmp_path / "a.xyz", tmp_path / "b.vls")
    there, by = vlstore.open(tmp_path / "b.vls"), _units.factors(dataclasses.asdict(stated), _units.ASE)
    assert there.attrs["units"] == dataclasses.asdict(_units.ASE)
    back = there.at[0]
    for name, factor in (("positions", by.length), ("velocities", by.velocity), ("forces", by.force), ("stress", by.stress)):
        assert np.allclose(getattr(back, name), getattr(frame, name) * factor, rtol=1e-14, atol=0), name
    assert back.energy == pytest.approx(2.5 * by.energy, rel=1e-15)
    assert back.time == pytest.approx(3.0 * by.time, rel=1e-15)


def test_factors_of_ten_are_exact():
    by = _units.factors(dataclasses.asdict(_units.NM_PS), _units.MDANALYSIS)
    assert (by.length, by.time, by.velocity, by.energy, by.force) == (10.0, 1.0, 10.0, 1.0, 0.1)
    by = _units.factors(dataclasses.asdict(_units.ASE), _units.MDANALYSIS)
    assert (by.length, by.time, by.velocity) == (1.0, 0.001, 1000.0)


def test_no_program_is_imported_that_was_not_asked_for():
    code = "import sys, vlstore, vlstore.plugins, vlstore.plugins.ase; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert not {"ase", "MDAnalysis", "mdtraj", "openmm"} & set(done.stdout.split())


FULL = {
    "ase": """
from ase import Atoms
from vlstore.plugins.ase import Writer
with Writer(path, "w", commit_interval=0.01) as writer:
    for i in range(3000):
        writer.write(Atoms("H200", np.random.default_rng(i).random((200, 3))))
""",
    "openmm": """
from openmm_workers import simulation
from vlstore.plugins.openmm import Reporter
made = simulation()
with Reporter(path, 1, velocities=True, double=True, background=BACKGROUND, commit_interval=0.01) as reporter:
    made.reporters.append(reporter)
    made.step(3000)
""",
}
FULL["openmm in a thread"] = FULL["openmm"].replace("BACKGROUND", "True")
FULL["openmm"] = FULL["openmm"].replace("BACKGROUND", "False")


@pytest.mark.parametrize("which", FULL)
def test_a_full_disk_is_the_error_that_is_raised(which, tmp_path):
    """The error was that of closing the store, whose writing had failed before."""
    pytest.importorskip(which.split()[0])
    pytest.importorskip("resource")
    path = tmp_path / "run.vls"
    start = f"""
import resource, signal, sys
import numpy as np
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
sys.path.insert(0, {str(pathlib.Path(__file__).parent)!r})
path = {str(path)!r}
"""
    done = subprocess.run([sys.executable, "-P", "-c", start + FULL[which]], capture_output=True, text=True, check=False)
    assert f"SystemCallError: {path}: cannot write at byte" in done.stderr.splitlines()[-1], done.stderr
    with vlstore.open(path) as store:
        assert len(store) > 0
