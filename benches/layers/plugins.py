"""The plug-ins beside the formats that their programs have: OpenMM, MDAnalysis, MDTraj and ASE.

    benches/layers/run plugins [--rounds 7] [--steps 200]

A box of water is simulated with OpenMM, all reporters in turn: the time is that of their calls, which the simulation
waits for; `in a thread` is what our reporter does, `no thread` all of its work. The trajectories that were written in
one run are read with MDAnalysis and MDTraj; structures of extended XYZ (`../shared/data/extxyz`, else made up) go through
ASE. A time is the median of the rounds, a ratio the median of their ratios.
"""

from __future__ import annotations

import argparse
import pathlib
import statistics
import tempfile
import time
import warnings

import numpy as np

warnings.filterwarnings("ignore")
DATA = pathlib.Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "extxyz" / "mptrj-random-1k.extxyz"


def timed(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def table(what, times, reference, scale=1e3, unit="ms"):
    """Prints the median of each, and of the ratios to the reference."""
    print(f"\n{what}")
    for name, values in times.items():
        ratio = statistics.median(a / b for a, b in zip(values, times[reference], strict=True))
        print(f"  {name:<28} {statistics.median(values) * scale:10.3f} {unit}   {ratio:6.2f}")


class Timed:
    """A reporter whose calls are timed."""

    def __init__(self, reporter):
        self.reporter, self.seconds = reporter, []

    def describeNextReport(self, simulation):  # noqa: N802
        return self.reporter.describeNextReport(simulation)

    def report(self, simulation, state):
        self.seconds.append(timed(lambda: self.reporter.report(simulation, state)))


def simulated(folder, rounds, steps):
    import openmm
    from openmm import app, unit

    from vlstore.plugins.openmm import Reporter

    field = app.ForceField("tip3p.xml")
    water = app.Modeller(app.Topology(), [])
    water.addSolvent(field, boxSize=openmm.Vec3(3.5, 3.5, 3.5) * unit.nanometer)
    system = field.createSystem(water.topology, nonbondedMethod=app.PME)
    made = app.Simulation(
        water.topology, system, openmm.LangevinMiddleIntegrator(300, 1, 0.002), openmm.Platform.getPlatformByName("CPU")
    )
    made.context.setPositions(water.positions)
    made.minimizeEnergy(maxIterations=50)
    made.context.setVelocitiesToTemperature(300)
    made.step(20)
    step = timed(lambda: made.step(50)) / 50
    with open(folder / "water.pdb", "w") as file:
        app.PDBFile.writeFile(water.topology, water.positions, file)
    makers = {
        "DCD": lambda: app.DCDReporter(str(folder / "run.dcd"), 5),
        "XTC": lambda: app.XTCReporter(str(folder / "run.xtc"), 5),
        "vlstore, in a thread": lambda: Reporter(folder / "run.vls", 5, energy=False, precision=1000),
        "vlstore, no thread": lambda: Reporter(folder / "all.vls", 5, energy=False, precision=1000, background=False),
        "unrounded, in a thread": lambda: Reporter(folder / "float.vls", 5, energy=False),
        "unrounded, no thread": lambda: Reporter(folder / "float-all.vls", 5, energy=False, background=False),
    }
    times = {name: [] for name in makers}
    for _ in range(rounds):
        made.currentStep = 0
        made.reporters[:] = [Timed(make()) for make in makers.values()]
        made.step(steps)
        for name, reporter in zip(makers, made.reporters, strict=True):
            times[name].append(statistics.median(reporter.seconds[1:]))
            if hasattr(reporter.reporter, "close"):
                reporter.reporter.close()
        made.reporters.clear()
    table(f"OpenMM, {system.getNumParticles()} atoms: one report (a step takes {step * 1e3:.1f} ms)", times, "DCD")


def read_back(folder, rounds):
    import MDAnalysis as mda
    import mdtraj as md

    import vlstore
    import vlstore.plugins.mdanalysis
    import vlstore.plugins.mdtraj as vmd

    vlstore.copy(folder / "run.vls", folder / "part.vls", positions="quantised")
    pdb, paths = folder / "water.pdb", {"XTC": folder / "run.xtc", "vlstore": folder / "part.vls"}
    universes = {name: mda.Universe(pdb, path) for name, path in paths.items()}
    order = np.random.default_rng(0).permutation(len(universes["XTC"].trajectory))
    jobs = {
        "in order": lambda u: [ts.frame for ts in u.trajectory],
        "in random order": lambda u: [u.trajectory[int(i)].frame for i in order],
        "timeseries": lambda u: u.trajectory.timeseries(),
    }
    for what, job in jobs.items():
        times = {name: [] for name in universes}
        for i in range(rounds + 1):
            for name, universe in universes.items():
                seconds = timed(lambda: [job(universe) for _ in range(5)]) / 5
                if i:
                    times[name].append(seconds)
        table(f"MDAnalysis, {len(order)} frames {what}", times, "XTC")
    top = md.load_topology(pdb)
    times = {name: [] for name in paths}
    for _ in range(rounds):
        times["XTC"].append(timed(lambda: md.load(paths["XTC"], top=top)))
        times["vlstore"].append(timed(lambda: vmd.load(paths["vlstore"], top=top)))
    table(f"MDTraj, {len(order)} frames loaded", times, "XTC")


def through_ase(folder, rounds):
    from ase.build import bulk
    from ase.io import read, write

    if DATA.exists():
        images = read(DATA, ":")
    else:
        images = [bulk("Cu", cubic=True).repeat(n % 3 + 1) for n in range(1000)]
    paths = {".traj": folder / "a.traj", ".extxyz": folder / "a.extxyz", "vlstore": folder / "a.vls"}
    for what, job in (("written", lambda p: write(p, images)), ("read", lambda p: read(p, ":"))):
        times = {name: [] for name in paths}
        for _ in range(rounds):
            for name, path in paths.items():
                times[name].append(timed(lambda: job(path)))
        table(f"ASE, {len(images)} structures {what}", times, ".traj")
    for name, path in paths.items():
        print(f"  {name:<28} {path.stat().st_size / 1e6:10.3f} MB")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=200)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        simulated(folder, given.rounds, given.steps)
        read_back(folder, given.rounds)
        through_ase(folder, max(3, given.rounds // 2))


if __name__ == "__main__":
    main()
