"""ASE reads and writes stores, and an ``Atoms`` comes back as it was."""

import signal
import subprocess
import sys
import time
import warnings

import numpy as np
import pytest

import vlstore
from conftest import DATA

ase = pytest.importorskip("ase")

from ase import Atoms, units  # noqa: E402
from ase.build import bulk, molecule  # noqa: E402
from ase.calculators.emt import EMT  # noqa: E402
from ase.calculators.singlepoint import SinglePointCalculator  # noqa: E402
from ase.constraints import FixAtoms, FixBondLengths, FixCartesian, Hookean  # noqa: E402
from ase.io import iread, read, write  # noqa: E402
from ase.md.verlet import VelocityVerlet  # noqa: E402
from ase.spacegroup import crystal  # noqa: E402

from vlstore.plugins.ase import Writer, from_atoms, to_atoms  # noqa: E402

pytestmark = pytest.mark.filterwarnings("error:other programs see:RuntimeWarning")


def same(a, b):
    """The same types, shapes and bits, all the way down."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        if a.dtype == object:
            return a.shape == b.shape and all(same(x, y) for x, y in zip(a.ravel(), b.ravel(), strict=True))
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, float):
        return np.float64(a).tobytes() == np.float64(b).tobytes()
    return bool(np.all(a == b))


def assert_same(a, b):
    assert same(a.arrays, b.arrays), (a.arrays, b.arrays)
    assert same(a.info, b.info), (a.info, b.info)
    assert same(a.cell.array, b.cell.array) and same(a.pbc, b.pbc)
    assert same(a.get_celldisp(), b.get_celldisp())
    assert [c.todict() for c in a.constraints] == [c.todict() for c in b.constraints]
    assert (a.calc is None) == (b.calc is None)
    if a.calc is not None:
        assert same(dict(a.calc.results), dict(b.calc.results)), (a.calc.results, b.calc.results)
        assert a.calc.name == b.calc.name


def through(tmp_path, *images):
    write(tmp_path / "through.vls", list(images))
    return read(tmp_path / "through.vls", ":")


def water(**info):
    atoms = molecule("H2O")
    atoms.info.update(info)
    return atoms


def calculated(**results):
    atoms = molecule("H2O", cell=[5, 6, 7], pbc=1)
    atoms.calc = SinglePointCalculator(atoms)
    atoms.calc.results.update(results)
    return atoms


def with_arrays():
    atoms = Atoms("CO2", np.random.default_rng(1).normal(size=(3, 3)), cell=[[1, 2, 3], [0, 0, 0], [4, 0, 5]],
                  pbc=[1, 0, 1], celldisp=[1, 2, 3], tags=[1, 2, 3], momenta=np.ones((3, 3)) / 3, magmoms=[0.1, 0, 0],
                  charges=[-1, 0, 1], masses=[12.5, 16, 16])
    for name, value in {
        "i4": np.arange(3, dtype="i4"), "u1": np.arange(3, dtype="u1"), "f4": np.ones((3, 2), "f4"),
        "bool": np.array([True, False, True]), "text": np.array(["a", "bcd", ""], "U7"),
        "labels": np.array([["a", "b"]] * 3), "c16": np.ones((3, 2, 2), complex), "none": np.zeros((3, 0)),
        "objects": np.array([None, 1, "x"], object), "big endian": np.arange(3, dtype=">f8"),
        "forces": np.ones((3, 3)), "magmoms": np.ones(3), "charges": np.zeros(3), "move_mask": np.ones(3, bool),
        "types": np.arange(3),
    }.items():
        atoms.arrays[name] = value
    return atoms


def odd_info():
    atoms = water(
        a=None, b=[1, 2.5, [True]], c=(1, ("x",)), d={"k": {1: 2, (3, 4): None}}, e=2**70, f=np.float32(0.1),
        g=np.array(3.5), h=1j, i=b"\0\xff", j={1, 2}, k=[], l="\ud800", m=np.array(["x"]), stress=[1], time=2.0,
        n=np.datetime64("2020-01-01"), energy=np.float64(2), step=7, name="water", comment="c", positions=1,
        _ase="{}", Properties="p", cell=ase.cell.Cell.new([1, 2, 3]), dipole=np.ones(3), o=frozenset(["x"]),
    )
    atoms.info[3], atoms.info["x", 1], atoms.info[""] = "three", "pair", "empty"
    return atoms


def bound(*constraints):
    atoms = molecule("H2O")
    atoms.set_constraint(list(constraints))
    return atoms


CASES = {
    "bare": lambda: Atoms("H"),
    "none at all": Atoms,
    "dummies": lambda: Atoms("X2", positions=np.eye(2, 3) * np.nan),
    "arrays": with_arrays,
    "plain info": lambda: water(a=1, b=2.5, c="é\n\0", d=True, e=np.arange(4.0), f=np.eye(2, dtype="i4"),
                                g=["x", "y"], h=np.zeros((0, 2)), i=-0.0, j=float("nan"), energy=-1.5),
    "other info": odd_info,
    "info with time": lambda: water(time=2.5, time_unit="fs"),
    "constraints": lambda: bound(FixCartesian([0, 1], mask=[True, False, True]), FixBondLengths([[0, 1]]),
                                 Hookean(a1=0, a2=1, rt=1.0, k=2.0)),
    "fixed atoms": lambda: bound(FixAtoms([0, 2])),
    "fixed atoms in no order": lambda: bound(FixAtoms([2, 0])),
    "results": lambda: calculated(
        energy=-1.5, forces=np.ones((3, 3)), stress=np.arange(6.0), free_energy=-1.25, magmom=0.5,
        dipole=np.arange(3.0), energies=np.ones(3), stresses=np.ones((3, 6)), magmoms=np.zeros(3),
        charges=np.arange(3.0), dielectric_tensor=np.eye(3), born_effective_charges=np.ones((3, 3, 3)),
    ),
    "narrow results": lambda: calculated(
        energy=1, forces=np.ones((3, 3), "f4"), stress=np.arange(6, dtype="f4") / 3, node_energy=np.ones(3, "f4"),
        descriptors=np.ones((4, 2)), spin=[1, 2], magmoms=np.ones(4),
    ),
    "full stress": lambda: calculated(stress=np.arange(9.0).reshape(3, 3)),
    "crystal": lambda: crystal([("Na")], [(0, 0, 0)], spacegroup=225, cellpar=[5.64] * 3 + [90] * 3),
}


@pytest.mark.parametrize("case", CASES)
def test_atoms_come_back_as_they_were(case, tmp_path):
    atoms = CASES[case]()
    if case == "narrow results":
        atoms.calc.results["energy"] = 1.0
    for back in [*through(tmp_path, atoms, atoms), to_atoms(from_atoms(atoms))]:
        assert_same(back, atoms)
        back.positions += 1  # its arrays are its own
        for array in back.arrays.values():
            assert array.flags.writeable


def test_reading_by_slices_keys_and_pieces(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    images = [Atoms("H", positions=[[i, 0, 0]], info={"i": i}) for i in range(200)]
    write("all.vls", images[:150])
    write("all.vls", images[150], append=True)
    write("all.vls", images[151:], append=True)
    at = lambda index: [atoms.info["i"] for atoms in read("all.vls", index)]  # noqa: E731
    assert at(":") == list(range(200)) and at("::-50") == [199, 149, 99, 49]
    assert at(slice(-3, None)) == [197, 198, 199] and at("500:") == []
    assert read("all.vls").info["i"] == 199 and read("all.vls", 0).info["i"] == 0
    assert read("all.vls@7").info["i"] == 7 and read(tmp_path / "all.vls", -2).info["i"] == 198
    assert [atoms.info["i"] for atoms in iread("all.vls", "::80")] == [0, 80, 160]
    with vlstore.open("all.vls", "a") as store:
        store["the one"] = from_atoms(water())
    assert [str(atoms.symbols) for atoms in read("all.vls", "the one")] == ["OH2"]
    with pytest.raises(vlstore.NotFoundError, match="other"):
        read("all.vls", "other")
    write("all.vls", iread("all.vls", ":200:2"))  # replaced by a part of itself
    assert at(":") == list(range(0, 200, 2))
    write("all.vls", images[3])
    assert at(":") == [3]


def test_ase_finds_the_format_by_name_and_by_content(tmp_path):
    write(tmp_path / "a.vls", [water(i=i) for i in range(3)])
    (tmp_path / "a.vls").rename(tmp_path / "a.data")
    assert ase.io.formats.filetype(str(tmp_path / "a.data")) == "vlstore"
    run = [sys.executable, "-P", "-m", "ase", "convert"]
    for source, target in [("a.data", "b.traj"), ("b.traj", "c.vls")]:
        subprocess.run([*run, source, target], cwd=tmp_path, check=True)
        assert [atoms.info["i"] for atoms in read(tmp_path / target, ":")] == [0, 1, 2]


def test_frames_have_what_other_programs_look_for(tmp_path):
    atoms = calculated(energy=-1.5, stress=np.array([1, 2, 3, 4, 5, 6.0]), forces=np.ones((3, 3)), magmom=0.5)
    atoms.set_momenta(np.arange(9.0).reshape(3, 3))
    atoms.set_constraint(FixAtoms([1]))
    frame = vlstore.MdFrame.from_ase(atoms, velocities=True, step=3, time=1.5)
    assert frame.types.tolist() == [8, 1, 1] and frame.energy == -1.5 and frame.pbc == (True, True, True)
    assert frame.stress.tolist() == [[1, 6, 5], [6, 2, 4], [5, 4, 3]]
    assert np.array_equal(frame.velocities, atoms.get_velocities() * units.fs)
    assert (frame.step, frame.time, frame.frame_properties["magmom"]) == (3, 1.5, 0.5)
    assert frame.atom_properties["move_mask"].tolist() == [True, False, True]
    back = frame.to_ase()
    assert np.allclose(back.get_momenta(), atoms.get_momenta(), rtol=1e-15)
    assert back.info == {"step": 3, "time": 1.5, "time_unit": "fs"}
    write(tmp_path / "v.vls", back, velocities=True)
    again = vlstore.open(tmp_path / "v.vls")
    assert again.at[0].time == 1.5 and again.attrs["units"]["velocity"] == "angstrom/fs"
    assert again.at[0].velocities is not None and "momenta" not in again.at[0].atom_properties


def test_results_are_those_of_the_atoms_as_they_are():
    atoms = bulk("Cu", cubic=True)
    atoms.calc = EMT()
    assert from_atoms(atoms).energy is None  # nothing is calculated
    energy = atoms.get_potential_energy()
    assert from_atoms(atoms).energy == energy
    atoms.positions[0] += 0.1
    assert from_atoms(atoms).energy is None
    done = calculated(energy=1.0, node_energy=np.ones(3))
    done.positions[0] += 0.1
    assert from_atoms(done).energy is None and not from_atoms(done).atom_properties


class Other:
    """A calculator of no class of ASE."""

    name = "other"

    def get_property(self, name, atoms, allow_calculation=True):
        assert not allow_calculation
        if name == "dipole":
            raise ase.calculators.calculator.PropertyNotImplementedError
        return {"energy": -2.0, "forces": np.ones((3, 3))}.get(name)


class Old:
    """One of before 2013."""

    def calculation_required(self, atoms, names):
        return names != ["energy"]

    def get_potential_energy(self, atoms):
        return -3.0


def test_calculators_of_other_kinds_are_asked(tmp_path):
    atoms = molecule("H2O")
    for calc, energy, name in ((Other(), -2.0, "other"), (Old(), -3.0, "old")):
        atoms.calc = calc
        (back,) = through(tmp_path, atoms)
        assert back.get_potential_energy() == energy and back.calc.name == name
    assert "forces" not in back.calc.results


def test_stores_in_other_units_are_converted(tmp_path):
    x = np.arange(6.0).reshape(2, 3)
    with vlstore.open(tmp_path / "nm.vls", "w", records="md-frame") as store:
        store.attrs["units"] = {
            "length": "nm", "time": "ps", "velocity": "nm/ps", "energy": "kJ/mol", "force": "kJ/mol/nm",
        }
        store["a"] = vlstore.MdFrame(
            x, velocities=x, forces=x, energy=96.48533212331002, stress=np.eye(3) * 96.48533212331002, time=2.0,
            cell=[2, 3, 4], pbc=True, types=[1, 1], charges=[0.5, -0.5],
        )
        frame, stated = store["a"], store.attrs["units"]
    for atoms in (read(tmp_path / "nm.vls"), frame.to_ase(stated)):
        assert np.array_equal(atoms.positions, x * 10) and atoms.cell.lengths().tolist() == [20, 30, 40]
        assert atoms.get_potential_energy() == pytest.approx(1, rel=1e-15)
        assert np.allclose(atoms.get_forces(), x / 964.8533212331002, rtol=1e-15)
        assert np.allclose(atoms.get_stress(), [1e-3] * 3 + [0] * 3, rtol=1e-15)
        assert np.allclose(atoms.get_velocities(), x * 0.01 / units.fs, rtol=1e-14)
        assert atoms.info["time"] == 2000 and atoms.get_initial_charges().tolist() == [0.5, -0.5]
    with pytest.raises(vlstore.InvalidError, match="length in nm.*angstrom"):
        write(tmp_path / "nm.vls", water(), append=True)
    with vlstore.open(tmp_path / "bare.vls", "w", records="md-frame") as store:
        store.push(frame)
    with pytest.warns(UserWarning, match="bare.vls does not state its units.*angstrom, fs, eV"):
        assert np.array_equal(read(tmp_path / "bare.vls").positions, x)
    with pytest.raises(vlstore.InvalidError, match="bare.vls has frames and does not state"):
        write(tmp_path / "bare.vls", water(), append=True)


@pytest.mark.parametrize("file", sorted((DATA / "extxyz").glob("*xyz")), ids=lambda f: f.name)
def test_an_imported_file_is_what_ase_reads_from_the_file(file, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = read(file, ":20", format="extxyz")
        vlstore.import_(file, tmp_path / "imported.vls")
    ours = read(tmp_path / "imported.vls", ":20")
    for a, b in zip(ours, theirs, strict=True):
        assert a == b and len(a.constraints) == len(b.constraints)
        assert np.array_equal(a.get_velocities(), b.get_velocities())
        # A column of charges is one of initial charges here, and one of `force` is forces.
        assert a.arrays.keys() - {"initial_charges"} == b.arrays.keys() - {"initial_charges", "charge", "force"}
        theirs_of = dict(b.calc.results) if b.calc else {}
        if "force" in b.arrays:
            theirs_of["forces"] = b.arrays["force"]
        charges = theirs_of.pop("charges", b.arrays.get("charge"))
        ours_of = a.calc.results if a.calc else {}
        assert ours_of.keys() == theirs_of.keys()
        assert all(np.array_equal(ours_of[name], value) for name, value in theirs_of.items())
        assert charges is None or np.array_equal(a.get_initial_charges(), charges)
        if "comment" not in a.info:  # a title, whose words are keys in ASE
            assert a.info.keys() == b.info.keys()


class Unknown:
    pass


def test_what_cannot_be_stored_is_refused_by_name_or_left_out(tmp_path):
    atoms = water(fine=1, it=Unknown())
    for refused in (lambda: from_atoms(atoms), lambda: write(tmp_path / "a.vls", atoms)):
        with pytest.raises(vlstore.WrongTypeError, match=r"info\['it'\] is a .*Unknown.*delete it"):
            refused()
    write(tmp_path / "a.vls", atoms, skip_unfit=True)
    assert read(tmp_path / "a.vls").info == {"fine": 1}
    with pytest.raises(vlstore.WrongTypeError, match="an ase.Atoms is stored, not a str"):
        from_atoms("H2O")
    with pytest.raises(vlstore.InvalidError, match="without positions"):
        to_atoms(vlstore.MdFrame(types=[1]))
    with pytest.raises(vlstore.InvalidError, match="parsec"):
        to_atoms(vlstore.MdFrame(np.zeros((1, 3))), {"length": "parsec"})
    with pytest.raises(vlstore.InvalidError, match="mode must be w, a or x, not 'r'"):
        Writer(tmp_path / "b.vls", "r")
    with vlstore.open(tmp_path / "bytes.vls", "w") as store:
        store.attrs["units"] = {}
        store["a"] = b""
    with pytest.raises(vlstore.CodecError, match="md-frame"):
        read(tmp_path / "bytes.vls")


def test_what_frames_have_in_common_is_stored_once(tmp_path):
    images = [water(i=i) for i in range(5)]
    counts = {}
    for topologies in ("repeated", "always", "never"):
        write(tmp_path / "a.vls", images, topologies=topologies)
        store = vlstore.open(tmp_path / "a.vls")
        counts[topologies] = len(store.topologies()), sum(frame.topology is not None for frame in store.at)
        assert all(a == b for a, b in zip(read(tmp_path / "a.vls", ":"), images, strict=True))
    assert counts == {"repeated": (1, 4), "always": (1, 5), "never": (0, 0)}
    write(tmp_path / "a.vls", [water(), Atoms("H"), water()])
    assert vlstore.open(tmp_path / "a.vls").topologies() == []
    write(tmp_path / "a.vls", [water(), water()])
    write(tmp_path / "a.vls", water(), append=True)
    store = vlstore.open(tmp_path / "a.vls")
    assert len(store.topologies()) == 1 and store.at[2].topology == store.at[1].topology


def dynamics_of(atoms):
    atoms.calc = EMT()
    return VelocityVerlet(atoms, timestep=2 * units.fs)


def test_dynamics_are_continued_without_a_lost_or_doubled_frame(tmp_path):
    path = tmp_path / "run.vls"
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.1, seed=1)
    whole = atoms.copy()
    run = dynamics_of(atoms)
    with Writer(path, "w", atoms, dynamics=run, properties=["energy", "forces"]) as writer:
        run.attach(writer.write, interval=2)
        run.run(6)
        writer.commit()
        assert len(writer) == len(vlstore.open(path)) == 4
    atoms = read(path)
    run = dynamics_of(atoms)
    with Writer(path, "a", atoms, dynamics=run) as writer:
        run.attach(writer.write, interval=2)
        run.run(4)
    store = vlstore.open(path)
    assert list(store) == [0, 2, 4, 6, 8, 10] and store.column("time").tolist() == [0, 4, 8, 12, 16, 20]
    assert [frame.step for frame in store.at] == list(store)
    assert store[6].stress is None and store[8].stress is not None
    run = dynamics_of(whole)
    run.run(10)
    assert np.allclose(whole.positions, store[10].positions, rtol=0, atol=1e-9)
    with Writer(path, "a") as writer:
        writer.write(whole, energy=5.0)
        with pytest.raises(vlstore.InvalidError, match="no atoms to write"):
            writer.write()
    assert read(path).get_potential_energy() == 5.0
    with pytest.raises(vlstore.InvalidError, match="not written with dynamics"):
        Writer(path, "a", whole, dynamics=run)
    with Writer(path, "a", whole, master=False) as other:
        other.write()
        assert len(other) == 0


RUN = """
from ase import units
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import read
from ase.md.verlet import VelocityVerlet
from vlstore.plugins.ase import Writer
import pathlib
mode = "a" if pathlib.Path("run.vls").exists() else "w"
atoms = read("run.vls") if mode == "a" else bulk("Cu", cubic=True)
if mode == "w":
    atoms.rattle(0.1, seed=1)
atoms.calc = EMT()
dynamics = VelocityVerlet(atoms, timestep=2 * units.fs)
writer = Writer("run.vls", mode, atoms, dynamics=dynamics, commit_interval=0.02)
dynamics.attach(writer.write, interval=3)
dynamics.run(10**9)
"""


def test_dynamics_that_are_killed_go_on(tmp_path):
    path, ends = tmp_path / "run.vls", [0]
    for _ in range(2):
        process = subprocess.Popen([sys.executable, "-P", "-c", RUN], cwd=tmp_path)
        while not path.exists() or len(vlstore.open(path)) < ends[-1] + 5:
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        ends.append(len(vlstore.open(path)))
    store = vlstore.open(path)
    assert list(store) == list(range(0, 3 * ends[-1], 3)) and ends[1] < ends[2]
    assert np.allclose(np.diff(store.column("time")), 6.0)
    whole = bulk("Cu", cubic=True)
    whole.rattle(0.1, seed=1)
    dynamics_of(whole).run(int(store.at[-1].step))
    assert np.allclose(whole.positions, read(path).positions, rtol=0, atol=1e-8)
