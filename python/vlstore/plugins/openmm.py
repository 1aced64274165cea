"""A reporter that writes an OpenMM simulation to a store.

::

    from vlstore.plugins.openmm import Reporter

    reporter = Reporter("run.vls", 1000, append=True, checkpoint="run.chk", checkpointInterval=100_000)
    simulation.reporters.append(reporter)
    reporter.resume(simulation)                      # from the checkpoint, if there is one
    simulation.step(10_000_000 - simulation.currentStep)
    reporter.close()

The script may be killed at any time and started again: no frame is lost or stored twice. Numbers are in the units of
OpenMM: nm, ps, nm/ps, kJ/mol, kJ/(mol nm); a key is the step of its frame.

Needs ``openmm`` (``pip install vlstore[openmm]``).
"""

from __future__ import annotations

import atexit
import functools
import os
import queue
import threading
import weakref
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

import vlstore
from vlstore.errors import InvalidError, PoisonedError, ResumeError
from vlstore.plugins import _units
from vlstore.plugins._elements import numbers
from vlstore.plugins._round import checked, rounded

__all__ = ["Reporter", "topology_of"]

_NM_PS = ("positions", "velocities", "forces", "energy")
# Frames that wait for the thread that writes, and how many bytes they may have: one frame always may wait.
_WAITING, _WAITING_BYTES = 16, 256 << 20


class Reporter:
    """Writes frames of a simulation to a store, in a thread of its own.

    Parameters
    ----------
    file : path
        The store.
    reportInterval : int
        Steps between frames.
    append : bool
        Continue a store. If the simulation, after its checkpoint was loaded, is behind the last stored frame, the
        frames after the checkpoint are deleted, since they come again. A store that ends before the checkpoint
        lacks frames: :class:`~vlstore.errors.ResumeError`.
    enforcePeriodicBox : bool
        Whether molecules are moved into the periodic box; by default if the system has one.
    atomSubset : indices
        Atoms that are stored, in this order; by default all.
    positions, velocities, forces, energy, box : bool
        What is stored. ``energy`` is the potential energy, and the kinetic energy as the property ``kinetic_energy``.
        The box is stored for a periodic system.
    topology : bool
        Store names, residues, chains, elements, masses, charges and bonds, once.
    double : bool
        Store float64 as OpenMM returns it; by default numbers are rounded to float32.
    precision : float
        Round positions to 1 / ``precision`` nm; 1000 is what XTC files have as a rule. A :func:`vlstore.copy` with
        ``positions="quantised"`` stores them as integers.
    checkpoint : path
        Save the simulation there, too: after the frames up to it are committed, and so that there is always a
        whole one. A state as XML if the name ends in ``.xml``, else a checkpoint.
    checkpointInterval : int
        Steps between checkpoints, a multiple of ``reportInterval``; by default ten times that.
    background : bool
        Compress and write in a thread, which up to 16 frames or 256 MiB wait for; then the simulation waits. Without,
        :meth:`report` returns when the frame is in the store.
    **options
        Those of :func:`vlstore.open`, such as ``commit_interval``, ``compression`` and ``durability``.
    """

    def __init__(
        self,
        file: Any,
        reportInterval: int,  # noqa: N803 - as all reporters of OpenMM
        append: bool = False,
        enforcePeriodicBox: bool | None = None,  # noqa: N803
        atomSubset: Iterable[int] | None = None,  # noqa: N803
        *,
        positions: bool = True,
        velocities: bool = False,
        forces: bool = False,
        energy: bool = True,
        box: bool = True,
        topology: bool = True,
        double: bool = False,
        precision: float | None = None,
        checkpoint: Any = None,
        checkpointInterval: int | None = None,  # noqa: N803
        background: bool = True,
        **options: Any,
    ) -> None:
        if reportInterval < 1:
            raise InvalidError(f"reportInterval must be 1 step or more, not {reportInterval}")
        checkpointInterval = checkpointInterval or 10 * reportInterval  # noqa: N806
        if checkpointInterval % reportInterval:
            raise InvalidError(
                f"checkpointInterval ({checkpointInterval}) must be a multiple of reportInterval ({reportInterval}): "
                "a checkpoint belongs to a stored frame"
            )
        self._interval = reportInterval
        self._periodic = enforcePeriodicBox
        self._atoms = None if atomSubset is None else np.array([int(i) for i in atomSubset], np.int64)
        chosen = (positions, velocities, forces, energy)
        self._include = [name for name, wanted in zip(_NM_PS, chosen, strict=True) if wanted]
        self._box, self._with_topology = box, topology
        self._width, self._precision = np.float64 if double else np.float32, checked(precision)
        self._checkpoint = None if checkpoint is None else os.fspath(checkpoint)
        self._checkpoint_interval = checkpointInterval
        self._durable = options.get("durability") == "sync"
        self._topology: vlstore.Topology | None = None
        self._started = False
        self._last: int | None = None
        #: Frames that were deleted at the start, since they come again.
        self.dropped = 0
        self._store = store = _units.writable(file, "a" if append else "w", _units.NM_PS, options)
        if len(store):
            self._last = store.at[-1].step
            if self._last is None:
                store.close()
                raise InvalidError(f"{file}: its last frame has no step, so a simulation cannot continue it")
        self._writer = _Thread(store) if background else None
        self._at_exit = functools.partial(_close, weakref.WeakMethod(self.close))
        atexit.register(self._at_exit)

    def resume(self, simulation: Any) -> bool:
        """Load the checkpoint into the simulation, if there is one; whether there was."""
        if self._checkpoint is None:
            raise InvalidError("no checkpoint to load: give the reporter one (checkpoint=path)")
        if not os.path.exists(self._checkpoint):
            return False
        if self._checkpoint.endswith(".xml"):
            simulation.loadState(self._checkpoint)
        else:
            simulation.loadCheckpoint(self._checkpoint)
        return True

    def describeNextReport(self, simulation: Any) -> dict[str, Any]:  # noqa: N802
        """What OpenMM asks before it takes steps."""
        now = simulation.currentStep
        if not self._started:
            self._start(now)
        elif self._last is not None and now < self._last:
            raise InvalidError(
                f"the simulation went back from step {self._last} to step {now}, and {self._store.path} has the frames up "
                "to there: close the reporter, and make a new one with append=True to write them anew, or another store"
            )
        steps = self._interval - now % self._interval
        return {"steps": steps, "periodic": self._periodic, "include": self._include}

    def _start(self, now: int) -> None:
        """Makes the end of the store that of the simulation."""
        self._started = True
        last = self._last
        if last is None:
            return
        path = self._store.path
        if now == 0 and last > 0:
            raise ResumeError(
                f"{path} has frames up to step {last}, the simulation is at step 0: load its checkpoint first (resume), or "
                f"set simulation.currentStep = {last}, or write to another store"
            )
        expected = now - now % self._interval
        if expected > last:
            raise ResumeError(
                f"{path} ends at step {last}, the simulation is at step {now}: the frames up to step {expected} are "
                "lost. Go back to an earlier checkpoint; one that the reporter saves (checkpoint=) is never ahead of "
                "the store"
            )
        if last > now:
            self.dropped = self._store.drop_from(step=now + 1)
            self._last = self._store.at[-1].step if len(self._store) else None

    def report(self, simulation: Any, state: Any) -> None:
        """What OpenMM calls with each frame."""
        if self._with_topology and self._topology is None:
            self._topology = topology_of(simulation.topology, simulation.system, self._atoms)
        step = int(simulation.currentStep)
        fields: dict[str, Any] = {"step": step, "time": float(_plain(state.getTime())), "topology": self._topology}
        for name, get in (("positions", "getPositions"), ("velocities", "getVelocities"), ("forces", "getForces")):
            if name in self._include:
                values = _plain(getattr(state, get)(asNumpy=True))
                fields[name] = values if self._atoms is None else values[self._atoms]
                if name == "positions" and self._precision is not None:
                    fields["precision"] = self._precision
        if "energy" in self._include:
            fields["energy"] = float(_plain(state.getPotentialEnergy()))
            fields["frame_properties"] = {"kinetic_energy": float(_plain(state.getKineticEnergy()))}
        if self._box and simulation.system.usesPeriodicBoundaryConditions():
            fields["cell"] = _plain(state.getPeriodicBoxVectors(asNumpy=True))
            fields["pbc"] = True
        fields["nsites"] = simulation.system.getNumParticles() if self._atoms is None else len(self._atoms)
        job = _Job(self._store, step, fields, self._width)
        if self._writer is None:
            job.run()
        else:
            self._writer.put(job)
        self._last = step
        if self._checkpoint is not None and step % self._checkpoint_interval == 0:
            self._save(simulation, self._checkpoint)

    def _save(self, simulation: Any, path: str) -> None:
        """A checkpoint, of which the store has all frames."""
        self.commit()
        part = f"{path}.partial"
        if path.endswith(".xml"):
            simulation.saveState(part)
        else:
            simulation.saveCheckpoint(part)
        if self._durable:
            with open(part, "rb") as file:
                os.fsync(file.fileno())
        os.replace(part, path)

    def commit(self) -> None:
        """Wait until all frames are written, and commit them: they are safe if the process is killed."""
        if self._writer is not None:
            self._writer.drain()
        self._store.commit()

    def close(self) -> None:
        """Write what waits, commit, and close the store."""
        if self._store.closed:
            return
        atexit.unregister(self._at_exit)
        # An error of the thread says what failed; that of closing the store then only that it had failed.
        with self._store:
            if self._writer is not None:
                self._writer.end()

    def __del__(self) -> None:
        if hasattr(self, "_at_exit"):
            self.close()

    def __enter__(self) -> Reporter:
        return self

    def __exit__(self, *why: object) -> None:
        try:
            self.close()
        except PoisonedError:
            # The error under way says what failed.
            if why[0] is None:
                raise


def _close(reporter: Any) -> None:
    close = reporter()
    if close is not None:
        close()


def _plain(quantity: Any) -> Any:
    """The number in nm, ps, u, e and kJ/mol, the units of OpenMM."""
    from openmm.unit import md_unit_system

    return quantity.value_in_unit_system(md_unit_system)


class _Job:
    """A frame to be made and stored."""

    def __init__(self, store: vlstore.Trajectory, step: int, fields: dict[str, Any], width: type) -> None:
        self.store, self.step, self.fields, self.width = store, step, fields, width
        self.nbytes = sum(value.nbytes for value in fields.values() if isinstance(value, np.ndarray))

    def run(self) -> None:
        fields = self.fields
        if "precision" in fields:
            fields["positions"] = rounded(fields["positions"], fields["precision"])
        for name in ("positions", "velocities", "forces"):
            if name in fields:
                width = np.float32 if name == "positions" and "precision" in fields else self.width
                fields[name] = np.ascontiguousarray(fields[name], width)
        self.store[self.step] = vlstore.MdFrame(**fields)


class _Thread:
    """Runs jobs in their order; an error of one is raised by the next call."""

    def __init__(self, store: vlstore.Trajectory) -> None:
        self._jobs: queue.Queue[_Job | None] = queue.Queue()
        self._error: BaseException | None = None
        # It ends with the process: what waits is written by `close`, at exit at the latest.
        self._thread = threading.Thread(target=self._work, name=f"vlstore {store.path}", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                if self._error is None:
                    job.run()
            except BaseException as error:  # noqa: BLE001 - raised where the simulation runs
                self._error = error
            finally:
                self._jobs.task_done()
        self._jobs.task_done()

    def put(self, job: _Job) -> None:
        self._check()
        # Frames of a run are of one size: so many fit.
        self._jobs.maxsize = max(1, min(_WAITING, _WAITING_BYTES // max(1, job.nbytes)))
        self._jobs.put(job)

    def drain(self) -> None:
        self._jobs.join()
        self._check()

    def end(self) -> None:
        self._jobs.put(None)
        self._thread.join()
        self._check()

    def _check(self) -> None:
        if self._error is not None:
            raise self._error


def topology_of(topology: Any, system: Any = None, atoms: NDArray[np.int64] | None = None) -> vlstore.Topology:
    """The topology of an ``openmm.app.Topology``, of all atoms or of those that are given.

    With the ``openmm.System`` it has the masses and, if there is one ``NonbondedForce``, the charges that are simulated.
    """
    every = list(topology.atoms())
    chosen = range(len(every)) if atoms is None else [int(i) for i in atoms]
    place = {index: i for i, index in enumerate(chosen)}
    residues: dict[Any, int] = {}
    chains: dict[Any, int] = {}
    of_atom = []
    for index in chosen:
        residue = every[index].residue
        chains.setdefault(residue.chain, len(chains))
        of_atom.append(residues.setdefault(residue, len(residues)))
    fields: dict[str, Any] = {
        "nsites": len(of_atom),
        "names": [every[index].name for index in chosen],
        "residues": np.array(of_atom, np.uint32),
        "residue_names": [residue.name for residue in residues],
        "residue_ids": _numbers([residue.id for residue in residues]),
        "segments": [chains[residue.chain] for residue in residues],
        "segment_names": [str(chain.id) for chain in chains],
    }
    symbols = ["" if every[index].element is None else every[index].element.symbol for index in chosen]
    if any(symbols):
        fields["types"] = numbers(symbols)
    bonds = [
        (place[bond[0].index], place[bond[1].index], bond.order)
        for bond in topology.bonds()
        if bond[0].index in place and bond[1].index in place
    ]
    if bonds:
        fields["bonds"] = [pair[:2] for pair in bonds]
        if all(order is not None for *_, order in bonds):
            fields["bond_orders"] = [float(order) for *_, order in bonds]
    codes = [every[index].residue.insertionCode.strip() for index in chosen]
    properties = {"icode": codes} if any(codes) else None
    if system is not None:
        from openmm.unit import dalton

        fields["masses"] = np.array([system.getParticleMass(i).value_in_unit(dalton) for i in chosen], float)
        charges = _charges(system)
        if charges is not None:
            fields["charges"] = charges[np.array(chosen, np.int64)]
    return vlstore.Topology(**fields, atom_properties=properties)


def _numbers(ids: list[str]) -> list[int]:
    """The numbers of residues; counted from 1 if one is not a number."""
    try:
        return [int(name) for name in ids]
    except ValueError:
        return list(range(1, len(ids) + 1))


def _charges(system: Any) -> NDArray[np.float64] | None:
    from openmm import NonbondedForce
    from openmm.unit import elementary_charge

    found = [force for force in system.getForces() if isinstance(force, NonbondedForce)]
    if len(found) != 1:
        return None
    each = (found[0].getParticleParameters(i)[0] for i in range(system.getNumParticles()))
    return np.array([charge.value_in_unit(elementary_charge) for charge in each], float)
