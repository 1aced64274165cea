"""Units as H5MD writes them ("kJ mol-1 nm-1"), and those of stores."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Any

from vlstore.errors import FormatError
from vlstore.plugins import _units
from vlstore.plugins._units import Units

# In nm, ps, kJ/mol, u and e; what is per mole has the size of one mole, so that "mol" counts as 1.
_SIZES = {
    "m": 1e9, "um": 1e3, "nm": 1.0, "angstrom": 0.1, "a": 0.1, "å": 0.1, "pm": 1e-3,
    "s": 1e12, "ns": 1e3, "ps": 1.0, "fs": 1e-3,
    "kj": 1.0, "kcal": 4.184, "ev": _units._EV, "mol": 1.0,
    "u": 1.0, "amu": 1.0, "da": 1.0, "e": 1.0,
}
_ONE = re.compile(r"([^\W\d_]+)([+-]?\d+)?")

#: The units of a store that begin with this unit of length.
_BY_LENGTH = {1.0: _units.NM_PS, 0.1: _units.MDANALYSIS}
NAMED = {"nm": _units.NM_PS, "angstrom": _units.MDANALYSIS, "ase": _units.ASE}

#: Names of elements that some programs write instead.
OTHER_NAMES = ("positions", "velocities", "forces")

#: How H5MD writes the units of stores.
WRITTEN = {
    "nm": "nm", "angstrom": "Angstrom", "ps": "ps", "fs": "fs", "nm/ps": "nm ps-1", "angstrom/ps": "Angstrom ps-1",
    "angstrom/fs": "Angstrom fs-1", "kJ/mol": "kJ mol-1", "kcal/mol": "kcal mol-1", "eV": "eV",
    "kJ/mol/nm": "kJ mol-1 nm-1", "kJ/mol/angstrom": "kJ mol-1 Angstrom-1", "kcal/mol/angstrom": "kcal mol-1 Angstrom-1",
    "eV/angstrom": "eV Angstrom-1", "u": "u", "e": "e",
}  # fmt: skip


def _size(unit: str, where: str) -> float:
    """What one of ``unit`` is, in nm, ps, kJ/mol, u and e."""
    size, sign = 1.0, 1
    for part in unit.replace("*", " ").replace("/", " / ").split():
        if part == "/":
            sign = -1
            continue
        found = _ONE.fullmatch(part)
        symbol = found and found[1].lower()
        if not found or symbol not in _SIZES:
            raise FormatError(f"{where}: its unit {unit!r} is not known; known are {', '.join(_SIZES)}")
        size *= _SIZES[symbol] ** (sign * int(found[2] or 1))
        sign = 1
    return size


def of_length(unit: str | None, energy: str | None, where: str) -> Units:
    """The units of a store for frames whose positions are in ``unit``, and energies or forces in ``energy``."""
    if unit is None:
        raise FormatError(
            f"{where}: it does not state the unit of its positions; say which units it has: "
            f"reader={{\"units\": \"nm\"}} (or {', '.join(NAMED)})"
        )
    if energy is not None and re.search(r"\beV\b", energy):
        return _units.ASE
    return _BY_LENGTH.get(_size(unit, where), _units.NM_PS)


def factor(unit: str | None, target: str, where: str) -> float:
    """What numbers in ``unit`` are multiplied by to be in ``target``; 1 if the file does not state the unit."""
    if unit is None:
        return 1.0
    ratio = _size(unit, where) / _units._SIZES[target]
    nearest = float(round(ratio)) if ratio >= 1.0 else 1.0 / round(1.0 / ratio)
    return nearest if abs(nearest - ratio) < 1e-14 * ratio else ratio


def fields(units: Units) -> dict[str, str]:
    """The unit of each field of frames."""
    by = asdict(units)
    return {
        "positions": by["length"], "cell": by["length"], "velocities": by["velocity"], "forces": by["force"],
        "masses": by["mass"], "charges": by["charge"], "energy": by["energy"], "time": by["time"],
    }


def fields_stated(stated: Any) -> dict[str, str]:
    """The unit of each field as H5MD writes it, of those that a store states."""
    if stated is None:
        return {}
    named = {
        "positions": "length", "cell": "length", "velocities": "velocity", "forces": "force", "masses": "mass",
        "charges": "charge", "energy": "energy", "time": "time",
    }  # fmt: skip
    return {
        field: WRITTEN[stated[what]] for field, what in named.items() if what in stated and stated[what] in WRITTEN
    }
