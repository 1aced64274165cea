"""Chemical symbols of the types of a frame."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: By atomic number; the first is of atoms without an element.
SYMBOLS = (
    " H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr "
    "Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt "
    "Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv "
    "Ts Og"
).split(" ")

_NUMBERS = {symbol.upper(): number for number, symbol in enumerate(SYMBOLS)}


def numbers(symbols: Any) -> NDArray[np.int32] | None:
    """The atomic numbers of symbols in upper or lower case, 0 for ""; None if one is not an element."""
    found = [_NUMBERS.get(str(symbol).strip().upper()) for symbol in symbols]
    return None if None in found else np.array(found, np.int32)


def symbols_of(
    types: NDArray[Any] | None, masses: NDArray[Any] | None, mass_of: Callable[[str], float | None]
) -> list[str] | None:
    """The symbol of each site, "" for type 0, if its types are atomic numbers.

    Types may also be those of beads. They are taken as such if one is no atomic number, or if a mass
    is far from that of the element; hydrogen may be heavier, as in deuterium and for long time steps.
    """
    if types is None or not len(types) or types.min() < 0 or types.max() >= len(SYMBOLS) or not types.any():
        return None
    if masses is not None:
        first = np.unique(types, return_index=True)[1]
        for number, mass in zip(types[first], masses[first], strict=True):
            known = mass_of(SYMBOLS[number])
            if number > 1 and known and mass > 0 and not 0.8 < mass / known < 1.2:
                return None
            if number == 1 and mass > 5:
                return None
    return [SYMBOLS[number] for number in types]
