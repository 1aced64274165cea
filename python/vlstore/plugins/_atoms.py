"""Frames of a store as ASE's ``Atoms``, and back.

What an ``Atoms`` has is stored where other programs find it: fields of the frame, and properties under their own
names. The frame property ``_ase``, a JSON text, has the rest and says what could be mistaken; most frames
have no need of one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from vlstore._core import MdFrame, Topology
from vlstore.errors import InvalidError, WrongTypeError
from vlstore.plugins import _units
from vlstore.plugins._pack import pack, unpack

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ase import Atoms

    from vlstore.plugins._units import Factors

#: The frame property for what has no other place.
MARK = "_ase"
# Properties of these names are results of a calculator, unless the mark says otherwise; so are the keys and
# columns of extended XYZ when ASE reads it.
_ATOM_RESULTS = frozenset(["charges", "energies", "magmoms", "stresses", "born_effective_charges"])
_FRAME_RESULTS = frozenset(["free_energy", "magmom", "dipole", "dielectric_tensor", "polarization"])
# Fields that frames of one system have in common.
_SHARED = ("types", "masses", "charges")
# Names that mean something else in a frame.
_TAKEN = frozenset(
    ["types", "masses", "positions", "velocities", "forces", "cell", "pbc", "energy", "stress", "step", "name",
     "precision", "topology", "nsites", "Properties", "move_mask", MARK]
)
# A frame has up to 256 properties of each kind.
_MOST = 250
_REAL = (np.dtype("f4"), np.dtype("f8"))
# xx, yy, zz, yz, xz, xy in a matrix, and back.
_FULL = np.array([[0, 5, 4], [5, 1, 3], [4, 3, 2]])
_VOIGT = ([0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1])


def _is_text(text: str) -> bool:
    return not any("\ud800" <= c <= "\udfff" for c in text)


def _is_plain(value: Any) -> bool:
    """Whether a property returns the value as it is: its type, its shape and its bits."""
    kind = type(value)
    if kind is str:
        return _is_text(value)
    if kind is int:
        return -(2**63) <= value < 2**63
    if kind in (bool, float):
        return True
    if kind is list:
        return len(value) > 0 and all(type(item) is str and _is_text(item) for item in value)
    return kind is np.ndarray and 1 <= value.ndim <= 15 and value.dtype.str in ("<i4", "<i8", "<f4", "<f8", "|b1")


class Parts:
    """The fields and properties of a frame that is made of an ``Atoms``."""

    def __init__(self, sites: int, skip_unfit: bool) -> None:
        self.sites = sites
        self.skip_unfit = skip_unfit
        self.fields: dict[str, Any] = {}
        self.of_atoms: dict[str, Any] = {}
        self.of_frame: dict[str, Any] = {}
        self.mark: dict[str, Any] = {}

    def put_array(self, name: str, value: np.ndarray[Any, Any]) -> bool:
        """Puts a property of the atoms, if it comes back from there as it is."""
        if name in _TAKEN or name in self.of_atoms or len(self.of_atoms) >= _MOST or len(value) != self.sites:
            return False
        if _is_plain(value):
            self.of_atoms[name] = value
            return True
        if value.dtype.kind == "U" and value.size and all(_is_text(text) for text in value.ravel().tolist()):
            self.of_atoms[name] = value.tolist()
            if np.array(value.tolist()).dtype != value.dtype:
                self.mark.setdefault("dtypes", {})[name] = value.dtype.str
            return True
        return False

    def put_value(self, name: Any, value: Any) -> bool:
        """Puts a property of the frame, if it comes back from there as it is."""
        if type(name) is not str or not name or not _is_text(name) or not _is_plain(value):
            return False
        if name in _TAKEN or name in self.of_frame or len(self.of_frame) >= _MOST:
            return False
        self.of_frame[name] = value
        return True

    def keep(self, group: str, name: Any, value: Any) -> None:
        """Puts into the mark what has no other place."""
        try:
            packed = [pack(name, f"the name {name!r} in {group}"), pack(value, f"{group}[{name!r}]")]
        except WrongTypeError:
            if not self.skip_unfit:
                raise
        else:
            self.mark.setdefault(group, []).append(packed)

    def results(self, results: Mapping[str, Any]) -> None:
        of_atoms, of_frame = [], []
        for name, value in results.items():
            array = np.asarray(value)
            if name == "energy" and array.ndim == 0 and array.dtype.kind in "iuf":
                self.fields["energy"] = float(array)
            elif name == "forces" and array.shape == (self.sites, 3) and array.dtype in _REAL:
                self.fields["forces"] = array
            elif name == "stress" and array.shape in ((6,), (3, 3)) and array.dtype in _REAL:
                full = array[_FULL] if array.ndim == 1 else array
                self.fields["stress"] = full.astype(np.float64)
                if array.dtype != np.float64:
                    self.mark.setdefault("dtypes", {})["stress"] = array.dtype.str
                if array.ndim == 2:
                    self.mark["full stress"] = True
            elif array.ndim and name not in _FRAME_RESULTS and self.put_array(name, array):
                of_atoms.append(name)
            elif self.put_value(name, float(value) if isinstance(value, np.floating) else value):
                of_frame.append(name)
            else:
                self.keep("results", name, value)
        self.mark["atom results"], self.mark["frame results"] = of_atoms, of_frame

    def arrays(self, arrays: Mapping[str, np.ndarray[Any, Any]], velocity: np.ndarray[Any, Any] | None) -> None:
        self.fields["types"] = arrays["numbers"].astype(np.int32)
        self.fields["positions"] = arrays["positions"]
        for name, value in arrays.items():
            real = value.dtype in _REAL
            if name in ("numbers", "positions"):
                continue
            if name in ("masses", "initial_charges") and value.shape == (self.sites,) and real:
                self.fields["masses" if name == "masses" else "charges"] = value
            elif name == "momenta" and velocity is not None:
                self.fields["velocities"] = velocity
            elif name == "forces" and name not in self.fields and value.shape == (self.sites, 3) and real:
                self.fields["forces"] = value
                self.mark.setdefault("given", []).append("forces")
            elif not self.put_array(name, value):
                self.keep("arrays", name, value)

    def info(self, info: dict[Any, Any]) -> None:
        info = dict(info)
        if type(info.get("time")) is float and info.get("time_unit") == "fs":
            self.fields["time"] = info.pop("time")
            del info["time_unit"]
        if type(info.get("step")) is int and _is_plain(info["step"]):
            self.fields["step"] = info.pop("step")
        if type(info.get("name")) is str and _is_plain(info["name"]):
            self.fields["name"] = info.pop("name")
        if type(info.get("energy")) is float and "energy" not in self.fields:
            self.fields["energy"] = info.pop("energy")
            self.mark.setdefault("given", []).append("energy")
        for name, value in info.items():
            if not self.put_value(name, value):
                self.keep("info", name, value)

    def constraints(self, constraints: list[Any]) -> None:
        from ase.constraints import FixAtoms
        from ase.io.jsonio import encode

        if len(constraints) == 1 and type(constraints[0]) is FixAtoms:
            index = np.asarray(constraints[0].index)
            if index.ndim == 1 and np.all(np.diff(index) > 0) and (not len(index) or index[0] >= 0):
                free = np.ones(self.sites, bool)
                free[index] = False
                self.of_atoms["move_mask"] = free
                return
        for constraint in constraints:
            if hasattr(constraint, "todict"):
                self.mark.setdefault("constraints", []).append(encode(constraint.todict()))
            elif not self.skip_unfit:
                raise WrongTypeError(
                    f"the constraint {type(constraint).__name__} cannot be stored, since it has no todict(): "
                    "remove it from the copy that is written"
                )

    def frame(self, topology: Topology | None) -> MdFrame:
        """The frame, without what it has from the topology."""
        fields, of_atoms, mark = self.fields, self.of_atoms, dict(self.mark)
        if set(mark["atom results"]) == _ATOM_RESULTS & of_atoms.keys():
            del mark["atom results"]
        if set(mark["frame results"]) == _FRAME_RESULTS & self.of_frame.keys():
            del mark["frame results"]
        of_frame = self.of_frame | {MARK: json.dumps(mark)} if mark else self.of_frame
        if topology is not None:
            fields = {name: value for name, value in fields.items() if name not in _SHARED}
            of_atoms = {name: value for name, value in of_atoms.items() if not _is_shared(name, value)}
        return MdFrame(
            **fields, nsites=self.sites, atom_properties=of_atoms, frame_properties=of_frame, topology=topology
        )

    def topology(self) -> Topology:
        """What the frames of one system have in common."""
        fields = {name: self.fields[name] for name in _SHARED if name in self.fields}
        of_atoms = {name: value for name, value in self.of_atoms.items() if _is_shared(name, value)}
        return Topology(**fields, nsites=self.sites, atom_properties=of_atoms)


def _is_shared(name: str, value: Any) -> bool:
    """Whether a property of the atoms is the same in all frames of one system, as a rule."""
    return name == "initial_magmoms" or type(value) is list or value.dtype.kind != "f"


def found_results(atoms: Atoms, chosen: Iterable[str] | None = None) -> dict[str, Any]:
    """What the calculator of the atoms has found for them as they are now; nothing is calculated."""
    from ase.calculators.calculator import Calculator
    from ase.calculators.singlepoint import SinglePointCalculator

    calc = atoms.calc
    if calc is None:
        return {}
    if getattr(type(calc), "get_property", None) in (Calculator.get_property, SinglePointCalculator.get_property):
        # What they do for each result, once: the atoms are compared with those of the calculation.
        found = {} if calc.check_state(atoms) else {k: v for k, v in calc.results.items() if v is not None}
    else:
        found = _asked(calc, atoms)
    return {name: value for name, value in found.items() if chosen is None or name in chosen}


def _asked(calc: Any, atoms: Atoms) -> dict[str, Any]:
    """The results of a calculator of another kind."""
    from ase.calculators.calculator import PropertyNotImplementedError, all_properties

    if not hasattr(calc, "get_property"):
        from ase.io.trajectory import OldCalculatorWrapper

        calc = OldCalculatorWrapper(calc)
    found: dict[str, Any] = {}
    for name in all_properties:
        try:
            value = calc.get_property(name, atoms, allow_calculation=False)
        except (PropertyNotImplementedError, KeyError):
            continue
        if value is not None:
            found[name] = value
    return found


def parts_of(
    atoms: Atoms,
    results: Mapping[str, Any] | None = None,
    *,
    velocities: bool = False,
    skip_unfit: bool = False,
) -> Parts:
    """The parts of the frame of ``atoms``; the results are those of its calculator, unless they are given."""
    from ase import Atoms, units

    if not isinstance(atoms, Atoms):
        raise WrongTypeError(f"an ase.Atoms is stored, not a {type(atoms).__name__}")
    parts = Parts(len(atoms), skip_unfit)
    parts.results(found_results(atoms) if results is None else results)
    velocity = None
    if velocities and "momenta" in atoms.arrays:
        velocity = atoms.get_velocities() * units.fs
    parts.arrays(atoms.arrays, velocity)
    parts.info(atoms.info)
    parts.constraints(atoms.constraints)
    if atoms.cell.array.any():
        parts.fields["cell"] = atoms.cell.array
    parts.fields["pbc"] = atoms.pbc.astype(bool)
    if np.any(atoms.get_celldisp()):
        parts.mark["celldisp"] = pack(atoms.get_celldisp(), "celldisp")
    if atoms.calc is not None:
        _calculator(parts, atoms.calc)
    return parts


def _calculator(parts: Parts, calc: Any) -> None:
    name = getattr(calc, "name", None) or type(calc).__name__.lower()
    if type(name) is str and name != "unknown":
        parts.mark["calculator"] = name
    try:
        settings = pack(calc.todict(), "the parameters of the calculator")
    except Exception:  # noqa: BLE001 - a calculator that cannot say them, or not as JSON, has none
        return
    if settings != {"dict": []}:
        parts.mark["parameters"] = settings


def _mark(of_frame: dict[str, Any]) -> dict[str, Any]:
    """Takes the mark out of the properties of a frame; another program may have one of that name."""
    try:
        mark = json.loads(of_frame[MARK])
    except (KeyError, TypeError, ValueError):
        return {}
    if type(mark) is not dict:
        return {}
    del of_frame[MARK]
    return mark


def _array(value: Any, dtype: str | None) -> np.ndarray[Any, Any]:
    """A writable array; lists are of strings."""
    return np.array(value, dtype)


def to_atoms(frame: MdFrame, by: Factors) -> Atoms:
    """The ``Atoms`` of a frame, whose numbers are multiplied to be in the units of ASE."""
    from ase import Atoms, units

    of_atoms, of_frame = frame.atom_properties, frame.frame_properties
    mark = _mark(of_frame)
    of_frame.pop("Properties", None)
    dtypes, given = mark.get("dtypes", {}), mark.get("given", ())
    if frame.positions is None:
        raise InvalidError("a frame without positions has no Atoms")
    types = np.zeros(frame.nsites, int) if frame.types is None else frame.types
    atoms = Atoms(
        numbers=types,
        positions=frame.positions.astype(np.float64) * by.length,
        cell=None if frame.cell is None else frame.cell * by.length,
        pbc=frame.pbc or False,
        celldisp=unpack(mark["celldisp"]) if "celldisp" in mark else None,
    )
    results = {name: unpack(value) for name, value in mark.get("results", ())}
    if frame.energy is not None and "energy" not in given:
        results["energy"] = frame.energy * by.energy
    if frame.forces is not None and "forces" not in given:
        results["forces"] = _units.scaled(np.array(frame.forces), by.force)
    if frame.stress is not None:
        stress = np.asarray(frame.stress * by.stress, dtypes.get("stress"))
        results["stress"] = stress.copy() if mark.get("full stress") else stress[_VOIGT]
    for name in mark.get("atom results", _ATOM_RESULTS & of_atoms.keys()):
        results[name] = _array(of_atoms.pop(name), dtypes.get(name))
    for name in mark.get("frame results", _FRAME_RESULTS & of_frame.keys()):
        results[name] = _writable(of_frame.pop(name))

    if "move_mask" in of_atoms:
        atoms.constraints = _fixed(of_atoms.pop("move_mask"))
    elif "constraints" in mark:
        from ase.constraints import dict2constraint
        from ase.io.jsonio import decode

        atoms.constraints = [dict2constraint(decode(one)) for one in mark["constraints"]]
    for name, value in of_atoms.items():
        atoms.arrays[name] = _array(value, dtypes.get(name))
    for name, value in mark.get("arrays", ()):
        atoms.arrays[unpack(name)] = unpack(value)
    if frame.masses is not None:
        atoms.arrays["masses"] = np.array(frame.masses)
    if frame.charges is not None:
        atoms.arrays["initial_charges"] = np.array(frame.charges)
    if "forces" in given:
        atoms.arrays["forces"] = np.array(frame.forces)
    if frame.velocities is not None and "momenta" not in atoms.arrays:
        velocity = frame.velocities.astype(np.float64) * by.velocity / units.fs
        atoms.arrays["momenta"] = velocity * atoms.get_masses()[:, None]

    if "energy" in given:
        atoms.info["energy"] = frame.energy
    if frame.name is not None:
        atoms.info["name"] = frame.name
    if frame.step is not None:
        atoms.info["step"] = frame.step
    if frame.time is not None:
        atoms.info |= {"time": frame.time * by.time, "time_unit": "fs"}
    atoms.info |= {name: _writable(value) for name, value in of_frame.items()}
    atoms.info |= {unpack(name): unpack(value) for name, value in mark.get("info", ())}
    if results or "calculator" in mark:
        atoms.calc = _single_point(atoms, results, mark)
    return atoms


def _writable(value: Any) -> Any:
    return value.copy() if isinstance(value, np.ndarray) else value


def _fixed(free: np.ndarray[Any, Any]) -> list[Any]:
    from ase.constraints import FixAtoms, FixCartesian

    free = np.asarray(free, bool)
    if free.ndim == 1:
        return [FixAtoms(indices=np.flatnonzero(~free))]
    held, which = np.unique(~free, axis=0, return_inverse=True)
    which = which.ravel()
    return [FixCartesian(np.flatnonzero(which == i), mask=mask) for i, mask in enumerate(held) if mask.any()]


def _single_point(atoms: Atoms, results: dict[str, Any], mark: dict[str, Any]) -> Any:
    from ase.calculators.singlepoint import SinglePointCalculator

    calc = SinglePointCalculator(atoms)
    calc.results = results
    calc.implemented_properties = list(results)
    if "calculator" in mark:
        calc.name = mark["calculator"]
    if "parameters" in mark:
        calc.parameters.update(unpack(mark["parameters"]))
    return calc
