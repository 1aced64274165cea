"""Trajectories and topologies that MDAnalysis reads."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import traceback
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from vlstore._core import Topology
from vlstore._libraries._source import Draft, elsewhere, needs
from vlstore.errors import FormatError
from vlstore.plugins import _units

# What a time step has beside the properties of the frame.
_OF_TIME = ("dt", "time", "time_offset")


def read_topology(path: str | os.PathLike[str], kind: str) -> Topology:
    """The topology in a file: names, residues, segments, elements, masses, charges, bonds."""
    try:
        import MDAnalysis

        from vlstore.plugins.mdanalysis import topology_of
    except ImportError as error:
        raise needs("MDAnalysis", f"the topology {os.fspath(path)}", error) from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            universe = MDAnalysis.Universe(os.fspath(path), topology_format=kind)
        except Exception as error:
            raise FormatError(f"{os.fspath(path)}: MDAnalysis cannot read it as {kind}: {error}") from error
    return topology_of(universe.atoms)


def _opened(reader: Any, path: str, kind: str | None, topology: Topology | None, options: dict[str, Any]) -> Any:
    """The reader; some formats do not say the number of atoms themselves."""
    try:
        return reader(path, format=kind, **options)
    except Exception:
        if topology is None or "n_atoms" in options:
            raise
        return reader(path, format=kind, n_atoms=topology.nsites, **options)


def _let_go(error: BaseException) -> None:
    """Ends the reader that failed, without what it says of being half made."""
    before, sys.unraisablehook = sys.unraisablehook, lambda _: None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            one: BaseException | None = error
            while one is not None:
                traceback.clear_frames(one.__traceback__)
                one = one.__cause__ or one.__context__
            gc.collect()
    finally:
        sys.unraisablehook = before


class MDAnalysisSource:
    """A trajectory that a reader of MDAnalysis reads; numbers are in its units, float32."""

    units = _units.MDANALYSIS

    def __init__(
        self, path: str | os.PathLike[str], kind: str | None, topology: Topology | None, options: dict[str, Any]
    ) -> None:
        try:
            from MDAnalysis.coordinates.core import reader
            from MDAnalysis.lib.mdamath import triclinic_vectors
        except ImportError as error:
            raise needs("MDAnalysis", f"{os.fspath(path)}", error) from error
        self.path = os.fspath(path)
        self._vectors = triclinic_vectors
        self.notes: list[str] = []
        self.growing = False
        self.attributes: dict[str, Any] = {}
        self._held = contextlib.ExitStack()
        link = self._held.enter_context(elsewhere(path))
        try:
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                self._reader = _opened(reader, link, kind, topology, options)
                self.total: int | None = len(self._reader)
                _ = self._reader.ts.time  # says now whether it is guessed
        except Exception as error:
            self._held.close()
            why = error.__cause__ or error.__context__ or error
            _let_go(error)
            as_ = "" if kind is None else f" as {kind}"
            raise FormatError(
                f"{self.path}: MDAnalysis cannot read it{as_}: {type(why).__name__}: {why}; is the file whole, and of "
                "this format?"
            ) from error
        self._held.callback(self._reader.close)
        # Readers count frames in steps of 1 ps where the file has no time, and say so.
        guesses = [w for w in said if "time" in str(w.message) or " dt " in str(w.message)]
        self._timed = not guesses
        if guesses:
            self.notes.append(f"{self.path}: MDAnalysis finds no time in it, so the frames have none")
        others = [w for w in said if w not in guesses and issubclass(w.category, UserWarning)]
        self.notes += [f"{self.path}: {w.message}" for w in others]

    def frames(self, start: int) -> Iterator[Draft]:
        """The frames from ``start`` on."""
        for index in range(start, self.total or 0):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    ts = self._reader[index]
            except Exception as error:
                raise FormatError(f"{self.path}, frame {index}: MDAnalysis cannot read it: {error}") from error
            yield self._draft(ts)

    def _draft(self, ts: Any) -> Draft:
        fields: dict[str, Any] = {}
        of_atoms: dict[str, Any] = {}
        of_frame: dict[str, Any] = {}
        for name in ("positions", "velocities", "forces"):
            if getattr(ts, f"has_{name}"):
                fields[name] = getattr(ts, name).copy()
        if self._timed and ("time" in ts.data or "dt" in ts.data):
            fields["time"] = float(ts.time)
        if ts.dimensions is not None and ts.dimensions[:3].any():
            fields["cell"], fields["pbc"] = self._vectors(ts.dimensions, dtype=np.float64), True
        for name, value in ts.data.items():
            if name in _OF_TIME:
                continue
            if name == "step":
                fields["step"] = int(value)
            elif name == "energy" and np.ndim(value) == 0:
                fields["energy"] = float(value)
            elif isinstance(value, np.ndarray) and value.dtype.kind in "bif":
                to = of_atoms if value.shape[:1] == (ts.n_atoms,) else of_frame
                to[name] = value.copy()
            elif isinstance(value, (bool, int, float, str, np.bool_, np.integer, np.floating)):
                of_frame[name] = value
        return Draft(ts.n_atoms, fields, of_atoms, of_frame)

    def close(self) -> None:
        """Close the file."""
        self._held.close()
