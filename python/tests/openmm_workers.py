"""A small simulation with OpenMM, also as a program that is killed: ``python openmm_workers.py FOLDER STEPS``."""

import pathlib
import sys

import numpy as np
import openmm
from openmm import app, unit

from vlstore.plugins.openmm import Reporter


def simulation(seed=1):
    """27 dimers of charged particles in a periodic box; the same numbers in each run."""
    topology, system = app.Topology(), openmm.System()
    force = openmm.NonbondedForce()
    force.setNonbondedMethod(openmm.NonbondedForce.CutoffPeriodic)
    force.setCutoffDistance(0.7)
    bonds = openmm.HarmonicBondForce()
    chain = topology.addChain("A")
    places = []
    for i in range(27):
        residue = topology.addResidue("DIM", chain, str(i + 5))
        at = np.array([i % 3, i // 3 % 3, i // 9]) * 0.6
        atoms = []
        for name, symbol, charge in (("NA", "Na", 0.2), ("CL", "Cl", -0.2)):
            atoms.append(topology.addAtom(name, app.Element.getBySymbol(symbol), residue))
            system.addParticle(20.0 + 15 * (name == "CL"))
            force.addParticle(charge, 0.25, 0.5)
            places.append(at + (0.2 if name == "CL" else 0))
        topology.addBond(*atoms)
        bonds.addBond(2 * i, 2 * i + 1, 0.35, 10000)
        force.addException(2 * i, 2 * i + 1, 0, 1, 0)
    box = np.eye(3) * 1.8
    system.setDefaultPeriodicBoxVectors(*box)
    topology.setPeriodicBoxVectors(box * unit.nanometer)
    system.addForce(force)
    system.addForce(bonds)
    integrator = openmm.LangevinMiddleIntegrator(300, 1, 0.002)
    integrator.setRandomNumberSeed(seed)
    made = app.Simulation(topology, system, integrator, openmm.Platform.getPlatformByName("Reference"))
    made.context.setPositions(places)
    made.context.setVelocitiesToTemperature(300, seed)
    return made


def run(folder, steps):
    """Begins or continues a run that reports every 5 steps and saves itself every 50."""
    made = simulation()
    folder = pathlib.Path(folder)
    with Reporter(folder / "run.vls", 5, append=True, velocities=True, checkpoint=folder / "run.chk",
                  checkpointInterval=50, commit_interval=0.05) as reporter:
        made.reporters.append(reporter)
        reporter.resume(made)
        print("from", made.currentStep, flush=True)
        made.step(steps - made.currentStep)
        return made


if __name__ == "__main__":
    run(sys.argv[1], int(sys.argv[2]))
