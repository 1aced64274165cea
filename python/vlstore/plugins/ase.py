"""Stores of frames in ASE: ``ase.io.read`` and ``write``, a writer for dynamics, frames as ``Atoms``.

ASE finds the format by itself once vlstore is installed (entry point ``ase.ioformats``, ASE 3.23 or later)::

    from ase.io import iread, read, write

    write("train.vls", images)              # an Atoms, or many
    write("train.vls", more, append=True)
    atoms = read("train.vls")               # the last one
    every = read("train.vls", "::10")       # a slice
    water = read("train.vls", "water")      # the record of this key

An ``Atoms`` comes back as it was: arrays, ``info``, cell, ``pbc``, constraints, and the results of its calculator,
with their types and bits. A store in other units, such as one imported from XTC, is converted to those of ASE.

Needs ``ase`` (``pip install vlstore[ase]``).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

import vlstore
from vlstore.errors import InvalidError, WrongTypeError
from vlstore.plugins import _units
from vlstore.plugins._atoms import Parts, found_results, parts_of, to_atoms as _to_atoms

if TYPE_CHECKING:
    from os import PathLike

    from ase import Atoms
    from ase.utils.plugins import ExternalIOFormat

__all__ = ["FORMAT", "Writer", "from_atoms", "read_vlstore", "to_atoms", "write_vlstore"]

FORMAT: ExternalIOFormat

# Frames that are decoded in one call while reading.
_AT_ONCE = 64


def __getattr__(name: str) -> Any:
    # What ASE takes from the entry point; older releases have no plug-ins, but the rest of this module.
    if name == "FORMAT":
        from ase.utils.plugins import ExternalIOFormat

        return ExternalIOFormat(
            desc="vlstore store of frames",
            code="+S",
            module="vlstore.plugins.ase",
            ext="vls",
            magic=b"\x9e\xa8b2frame\x00",
        )
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def from_atoms(
    atoms: Atoms,
    *,
    velocities: bool = False,
    skip_unfit: bool = False,
    step: int | None = None,
    time: float | None = None,
) -> vlstore.MdFrame:
    """The frame of an ``Atoms``, in the units of ASE (Å, eV) with time in fs and velocity in Å/fs.

    Parameters
    ----------
    atoms : ase.Atoms
        Results of its calculator are those that it has for the atoms as they are; nothing is calculated.
    velocities : bool
        Store velocities instead of momenta, for programs other than ASE. Momenta that are made of them again
        may differ in the last bit.
    skip_unfit : bool
        Leave out what cannot be stored (an object of an unknown class in ``info``, a constraint without
        ``todict``) instead of raising :class:`~vlstore.errors.WrongTypeError`.
    step, time : int, float
        Of the frame; the time in fs.

    Examples
    --------
    >>> from ase.build import molecule
    >>> from vlstore.plugins.ase import from_atoms, to_atoms
    >>> frame = from_atoms(molecule("H2O"))
    >>> frame
    <vlstore.MdFrame of 3 sites: types, positions, pbc>
    >>> to_atoms(frame)
    Atoms(symbols='OH2', pbc=False)
    """
    parts = parts_of(atoms, velocities=velocities, skip_unfit=skip_unfit)
    return _dated(parts, step, time).frame(None)


def to_atoms(frame: vlstore.MdFrame, units: Mapping[str, str] | None = None) -> Atoms:
    """The ``Atoms`` of a frame.

    Parameters
    ----------
    frame : MdFrame
        Step, time and name of the frame are in ``info`` (``time`` in fs, with ``time_unit``).
    units : mapping
        What its numbers mean, as the attribute ``units`` of its store says; by default Å, eV and fs.
    """
    return _to_atoms(frame, _units.factors(units, _units.ASE))


def read_vlstore(
    filename: str | PathLike[str], index: int | slice | str = -1, **options: Any
) -> Iterator[Atoms]:
    """What ``ase.io.read`` and ``iread`` call; ``index`` is an int, a slice or the key of a record.

    ``options`` are those of :func:`vlstore.open`.
    """
    with vlstore.open(filename, records="md-frame", **options) as store:
        by = _units.reading(store, _units.ASE)
        if isinstance(index, str):
            yield _to_atoms(store[index], by)
            return
        chosen = range(len(store))[index if isinstance(index, slice) else slice(index, (index + 1) or None)]
        if not len(chosen) and not isinstance(index, slice):
            raise IndexError(f"{filename} has {len(store)} frames, not a frame {index}")
        # A single one, as `read` takes from a slice with an open end, is not waiting for others.
        for first, last in _rising(len(chosen)):
            for frame in store.at.batch(chosen[first:last]):
                yield _to_atoms(frame, by)


def _rising(count: int) -> Iterator[tuple[int, int]]:
    """Parts of a range: 1, 2, 4 and so on."""
    at, size = 0, 1
    while at < count:
        yield at, min(at + size, count)
        at, size = at + size, min(2 * size, _AT_ONCE)


def write_vlstore(
    filename: str | PathLike[str],
    images: Atoms | Iterable[Atoms],
    append: bool = False,
    *,
    velocities: bool = False,
    topologies: Literal["repeated", "always", "never"] = "repeated",
    skip_unfit: bool = False,
    **options: Any,
) -> None:
    """What ``ase.io.write`` calls; the arguments are those of :class:`Writer`."""
    every = iter([images] if hasattr(images, "arrays") else images)
    # Before the store is replaced: it may be what they are read from.
    first = list(itertools.islice(every, 1))
    writer = Writer(
        filename, "a" if append else "w",
        velocities=velocities, topologies=topologies, skip_unfit=skip_unfit, **options,
    )
    with writer:
        for atoms in itertools.chain(first, every):
            writer.write(atoms)


class Writer:
    """Writes ``Atoms`` to a store, for example during dynamics.

    Parameters
    ----------
    filename : path
        The store.
    mode : {"w", "a", "x"}
        Create (an existing store is replaced), add, create (it must not exist).
    atoms : ase.Atoms
        What :meth:`write` writes if it is called without.
    dynamics : ase.md or ase.optimize object
        The frames get its step as key and ``step``, and its time. In mode ``"a"`` its steps continue those of the
        store: a run that starts again from the last frame adds each frame once.
    properties : names
        Which results of the calculator are stored; by default all that it has.
    velocities : bool
        Store velocities instead of momenta, see :func:`from_atoms`.
    topologies : {"repeated", "always", "never"}
        Whether numbers, masses, charges, tags and the like, which frames have in common, are stored
        once: if two frames in sequence have the same, for each frame, or not.
    skip_unfit : bool
        Leave out what cannot be stored, see :func:`from_atoms`.
    master : bool
        Whether this process writes; by default that of rank 0 in ``ase.parallel.world``.
    **options
        Those of :func:`vlstore.open`, such as ``commit_interval`` and ``compression``.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from ase.calculators.emt import EMT
    >>> from ase.md.verlet import VelocityVerlet
    >>> from vlstore.plugins.ase import Writer
    >>> atoms = bulk("Cu", cubic=True)
    >>> atoms.calc = EMT()
    >>> dynamics = VelocityVerlet(atoms, timestep=1.0)
    >>> with Writer("run.vls", "w", atoms, dynamics=dynamics) as writer:
    ...     dynamics.attach(writer.write, interval=2)
    ...     _ = dynamics.run(10)
    >>> import vlstore
    >>> list(vlstore.open("run.vls"))
    [0, 2, 4, 6, 8, 10]
    """

    def __init__(
        self,
        filename: str | PathLike[str],
        mode: Literal["w", "a", "x"] = "w",
        atoms: Atoms | None = None,
        *,
        dynamics: Any = None,
        properties: Iterable[str] | None = None,
        velocities: bool = False,
        topologies: Literal["repeated", "always", "never"] = "repeated",
        skip_unfit: bool = False,
        master: bool | None = None,
        **options: Any,
    ) -> None:
        if mode not in ("w", "a", "x"):
            raise InvalidError(f"mode must be w, a or x, not {mode!r}")
        if topologies not in ("repeated", "always", "never"):
            raise InvalidError(f"topologies must be repeated, always or never, not {topologies!r}")
        if isinstance(properties, str):
            raise WrongTypeError(f"properties must be a list of names, not {properties!r}")
        self.atoms = atoms
        self.dynamics = dynamics
        self._properties = None if properties is None else frozenset(properties)
        self._velocities, self._topologies, self._skip_unfit = velocities, topologies, skip_unfit
        self._before: Any = None
        self._store: vlstore.Trajectory | None = None
        if master is None:
            from ase.parallel import world

            master = world.rank == 0
        if not master:
            return
        self._store = store = _units.writable(filename, mode, _units.ASE, options)
        self._known = {topology.digest: topology for topology in store.topologies()}
        self._step, self._time = 0, 0.0
        if dynamics is not None and len(store):
            self._continue(store)

    def _continue(self, store: vlstore.Trajectory) -> None:
        last = store.at[-1]
        if last.step is None or store.at.key(-1) != last.step:
            store.close()
            raise InvalidError(
                f"{store.path} was not written with dynamics: the key of its last frame is not its step, so it "
                "cannot be continued with dynamics; write to another store"
            )
        self._step = last.step - self.dynamics.nsteps
        if last.time is not None and hasattr(self.dynamics, "get_time"):
            self._time = last.time - self._dynamics_time()

    def _dynamics_time(self) -> float:
        from ase import units

        return float(self.dynamics.get_time() / units.fs)

    def write(self, atoms: Atoms | None = None, **results: Any) -> None:
        """Write one frame: of ``atoms``, or of those that the writer was made with.

        ``results`` replace those of the calculator: ``writer.write(atoms, energy=-1.0)``.
        """
        if self._store is None:
            return
        atoms = self.atoms if atoms is None else atoms
        if atoms is None:
            raise InvalidError("no atoms to write: give them to write(), or to the Writer")
        # Filters, of which optimizers know, are of atoms.
        for image in atoms.iterimages():
            self._write(self._store, image, results)

    def _write(self, store: vlstore.Trajectory, atoms: Atoms, results: Mapping[str, Any]) -> None:
        step = time = None
        if self.dynamics is not None:
            step = self._step + int(self.dynamics.nsteps)
            if step in store:
                return
            time = self._time + self._dynamics_time() if hasattr(self.dynamics, "get_time") else None
        parts = parts_of(
            atoms,
            found_results(atoms, self._properties) | dict(results),
            velocities=self._velocities,
            skip_unfit=self._skip_unfit,
        )
        frame = _dated(parts, step, time).frame(self._topology(parts))
        if step is None:
            store.push(frame)
        else:
            store[step] = frame

    def _topology(self, parts: Parts) -> vlstore.Topology | None:
        if self._topologies == "never":
            return None
        topology = parts.topology()
        repeated, self._before = topology.digest == self._before, topology.digest
        if self._topologies == "repeated" and not repeated and topology.digest not in self._known:
            return None
        return self._known.setdefault(topology.digest, topology)

    def commit(self) -> None:
        """Make what was written visible to other processes, and safe if this one is killed."""
        if self._store is not None:
            self._store.commit()

    def close(self) -> None:
        """Commit, and close the store."""
        if self._store is not None:
            self._store.close()

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *why: object) -> None:
        # The store knows whether it is an error under way that says what failed.
        if self._store is not None:
            self._store.__exit__(*why)

    def __len__(self) -> int:
        return 0 if self._store is None else len(self._store)


def _dated(parts: Parts, step: int | None, time: float | None) -> Parts:
    if step is not None:
        parts.fields["step"] = step
    if time is not None:
        parts.fields["time"] = time
    return parts
