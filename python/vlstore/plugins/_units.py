"""The units of a store, and factors to those of another program."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

import vlstore
from vlstore.errors import InvalidError

# One electronvolt in kJ/mol: e times N_A, both exact (CODATA 2018).
_EV = 96.48533212331002

#: Lengths in nm, times in ps, energies in kJ/mol; the names and sizes are those of `vlstore export`.
_SIZES = {
    "nm": 1.0,
    "ps": 1.0,
    "nm/ps": 1.0,
    "kJ/mol": 1.0,
    "kJ/mol/nm": 1.0,
    "u": 1.0,
    "e": 1.0,
    "angstrom": 0.1,
    "angstrom/ps": 0.1,
    "kJ/mol/angstrom": 10.0,
    "eV": _EV,
    "eV/angstrom": _EV * 10.0,
    "kcal/mol": 4.184,
    "kcal/mol/angstrom": 41.84,
    # The unit of time of CHARMM is 0.04888821 ps.
    "angstrom/akma": 0.1 / 0.04888821,
    "fs": 0.001,
    "angstrom/fs": 100.0,
    # The unit of time of ASE, sqrt(u/eV) angstrom, is 0.1 / sqrt(_EV) ps.
    "angstrom*sqrt(u/eV)": 0.1 / _EV**0.5,
    "sqrt(eV/u)": _EV**0.5,
}


@dataclass(frozen=True)
class Units:
    """What the numbers of frames mean."""

    length: str
    time: str
    velocity: str
    energy: str
    force: str
    mass: str = "u"
    charge: str = "e"


#: Those of extended XYZ, as `vlstore import` states them: ASE has no time in its files.
ASE = Units("angstrom", "fs", "angstrom/fs", "eV", "eV/angstrom")
#: https://docs.mdanalysis.org/stable/documentation_pages/units.html
MDANALYSIS = Units("angstrom", "ps", "angstrom/ps", "kJ/mol", "kJ/mol/angstrom")
#: http://docs.openmm.org/latest/userguide/theory/01_introduction.html, "Units"; those of GROMACS and
#: MDTraj are the same.
NM_PS = Units("nm", "ps", "nm/ps", "kJ/mol", "kJ/mol/nm")


@dataclass(frozen=True)
class Factors:
    """What numbers are multiplied by; 1.0 where nothing changes."""

    length: float = 1.0
    time: float = 1.0
    velocity: float = 1.0
    energy: float = 1.0
    force: float = 1.0
    mass: float = 1.0
    charge: float = 1.0

    @property
    def stress(self) -> float:
        """That of energy per volume."""
        return self.energy / self.length**3


def factor(source: str, target: str, what: str) -> float:
    """What numbers in ``source`` are multiplied by to be in ``target``."""
    if source == target:
        return 1.0
    if source not in _SIZES or target not in _SIZES:
        raise InvalidError(
            f"units: the store holds {what} in {source!r}, which cannot be converted to {target}"
        )
    ratio = _SIZES[source] / _SIZES[target]
    # 0.1 is not a tenth: a factor that is an integer, or one over an integer, is exact.
    nearest = float(round(ratio)) if ratio >= 1.0 else 1.0 / round(1.0 / ratio)
    return nearest if abs(nearest - ratio) < 4e-16 * ratio else ratio


def factors(stated: Mapping[str, str] | None, target: Units) -> Factors:
    """From the units that a store states to ``target``; one that is not stated is taken as ``target``."""
    stated = stated or {}
    return Factors(
        **{what: factor(stated.get(what, unit), unit, what) for what, unit in asdict(target).items()}
    )


def reading(store: Any, target: Units) -> Factors:
    """Factors for reading from ``store``, with a warning if it does not state its units."""
    stated = store.attrs.get("units")
    if stated is None and len(store):
        warnings.warn(
            f"{store.path or 'the store'} does not state its units: its numbers are taken as "
            f"{target.length}, {target.time}, {target.energy}; state them once with "
            f'store.attrs["units"] = {{"length": ..., "time": ..., ...}}',
            UserWarning,
            stacklevel=3,
        )
    return factors(stated, target)


def writable(path: Any, mode: str, units: Units, options: dict[str, Any]) -> vlstore.Trajectory:
    """Opens a store of frames in these units for writing; refuses one of others.

    Closing it says nothing about programs that know only Blosc2, unless the options ask for their table.
    """
    store = vlstore.open(path, mode, records="md-frame", **{"original_table": "never"} | options)
    try:
        state(store, units)
    except BaseException:
        store.close()
        raise
    return store


def state(store: vlstore.Trajectory, units: Units) -> None:
    """States these units in a store without frames; refuses one of others."""
    stated = store.attrs.get("units")
    mine = asdict(units)
    if stated is None:
        if len(store):
            raise InvalidError(
                f"units: {store.path} has frames and does not state their units; if they are in "
                f'{units.length}, {units.time} and {units.energy}, say so first: store.attrs["units"] = {mine}'
            )
        store.attrs["units"] = mine
        return
    for what, unit in mine.items():
        if stated.get(what, unit) != unit:
            raise InvalidError(
                f"units: {store.path} holds {what} in {stated[what]}, the new frames in {unit}; "
                "units are not mixed in one store: write to another one"
            )


def scaled(values: np.ndarray[Any, Any] | None, by: float) -> np.ndarray[Any, Any] | None:
    """The values times ``by`` in their own width, rounded once; the same array if ``by`` is 1."""
    if values is None or by == 1.0:
        return values
    return (values.astype(np.float64) * by).astype(values.dtype)
