"""Extended XYZ goes through us as it goes through ASE, in both directions."""

import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import vlstore
from conftest import DATA

ase_io = pytest.importorskip("ase.io")
HERE = Path(__file__).parents[2] / "tests" / "data"
REAL = sorted((DATA / "extxyz").glob("*xyz")) + [
    DATA / "chemfiles" / "xyz" / "extended.xyz", DATA / "chemfiles" / "xyz" / "trajectory.xyz",
]
OWN = [HERE / "small.extxyz", HERE / "odd-forms.extxyz"]
# ASE takes `true` and `TRUE` in a column for false; in the specification they are true.
WRONG_IN_ASE = {("extended.xyz", "site bool")}
FIELDS = {  # Names in a file, for each field of a frame that ASE knows by that name.
    "forces": ["forces", "force"],
    "velocities": ["velo", "velocities", "vel"],
    "masses": ["masses", "mass"],
    "charges": ["charges", "charge", "initial_charges"],
}


def run(*words):
    command = [sys.executable, "-m", "vlstore", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done


def through(file, folder, *options):
    """The frames of a file, imported into a store; and the file that is exported from there."""
    store, out = folder / "through.vls", folder / "through.extxyz"
    for old in (store, out):
        old.unlink(missing_ok=True)
    run("import", "--format", "extxyz", *options, file, store)
    run("export", store, out)
    depot = vlstore.open(store, records="auto")
    return [depot.at[i] for i in range(len(depot.at))], out


def by_ase(file):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ase_io.read(file, ":", format="extxyz")


def plain(value):
    """NumPy arrays for lists, and Python scalars for NumPy's."""
    if isinstance(value, (list, tuple)):
        value = np.array(value)
    if isinstance(value, np.ndarray) and value.dtype == object:
        value = value.astype(str)
    if isinstance(value, np.ndarray) and value.shape == ():
        value = value.item()
    return value.item() if isinstance(value, np.generic) else value


def same(a, b):
    a, b = plain(a), plain(b)
    if isinstance(a, np.ndarray) != isinstance(b, np.ndarray):
        return False
    if isinstance(a, np.ndarray):
        if a.shape != b.shape or (a.dtype.kind in "US") != (b.dtype.kind in "US"):
            return False
        if a.dtype.kind == "f" or b.dtype.kind == "f":
            return np.array_equal(a, b, equal_nan=True)
        return np.array_equal(a, b)
    if isinstance(a, float) and isinstance(b, float) and np.isnan(a) and np.isnan(b):
        return True
    return type(a) is type(b) and a == b or {type(a), type(b)} == {int, float} and a == b


def what_ase_has(atoms):
    """Everything in a frame of ASE, by its name in the file."""
    every = {f"site {k}": v for k, v in atoms.arrays.items() if k not in ("numbers", "positions")}
    every |= {f"key {k}": v for k, v in atoms.info.items()}
    if atoms.has("initial_charges"):
        every["site initial_charges"] = atoms.get_initial_charges()
    results = atoms.calc.results if atoms.calc else {}
    for name, value in results.items():
        per_site = name in ("forces", "charges", "magmoms", "energies", "stresses")
        every[f"{'site' if per_site else 'key'} {name}"] = value
    for constraint in atoms.constraints:
        mask = np.ones(len(atoms), bool)
        mask[constraint.index] = False
        every["site move_mask"] = mask
    return every


def what_we_have(frame):
    """The same of a frame of ours."""
    columns = frame.frame_properties.get("Properties", "")
    named = columns.split(":")[::3]
    every = {}
    for field, names in FIELDS.items():
        if (value := getattr(frame, field)) is not None:
            name = next((n for n in names if n in named), names[0])
            every[f"site {name}"] = value
    for field in ("energy", "step", "name"):
        if (value := getattr(frame, field)) is not None:
            every[f"key {field}"] = value
    if frame.time is not None:
        every |= {"key time": frame.time, "key time_unit": "fs"}
    if (stress := frame.stress) is not None:
        s = np.asarray(stress)
        every["key stress"] = np.array([s[0, 0], s[1, 1], s[2, 2], s[1, 2], s[0, 2], s[0, 1]])
    every |= {f"site {k}": v for k, v in frame.atom_properties.items() if k != "species"}
    every |= {f"key {k}": v for k, v in frame.frame_properties.items() if k != "Properties"}
    # A column `charge` is what ASE calls charges.
    if "site charge" in every:
        every["site charges"] = every.pop("site charge")
    return every


def right(every, where):
    """Without what ASE itself reads wrongly."""
    return {k: v for k, v in every.items() if (where.split(",")[0], k) not in WRONG_IN_ASE}


def compare(frame, atoms, where):
    assert np.array_equal(frame.types, atoms.numbers), where
    assert np.array_equal(frame.positions, atoms.positions), where
    cell = np.zeros((3, 3)) if frame.cell is None else frame.cell
    assert np.array_equal(cell, atoms.cell.array), where
    assert tuple(frame.pbc or (False,) * 3) == tuple(atoms.pbc), where
    ours, theirs = right(what_we_have(frame), where), right(what_ase_has(atoms), where)
    if "key comment" in ours:  # A title: ASE makes keys of its words.
        ours.pop("key comment")
        theirs = {k: v for k, v in theirs.items() if not k.startswith("key ")}
    assert ours.keys() == theirs.keys(), where
    for name, value in ours.items():
        assert same(value, theirs[name]), (where, name, value, theirs[name])


def ase_equal(a, b, where):
    assert np.array_equal(a.numbers, b.numbers) and np.array_equal(a.pbc, b.pbc), where
    assert np.array_equal(a.positions, b.positions), where
    assert np.array_equal(a.cell.array, b.cell.array), where
    one, two = right(what_ase_has(a), where), right(what_ase_has(b), where)
    assert one.keys() == two.keys(), where
    for name in one:
        assert same(one[name], two[name]), (where, name, one[name], two[name])


@pytest.mark.parametrize("file", [*OWN, *REAL], ids=lambda f: f.name)
def test_a_file_comes_through_us_and_through_ase_equal(file, tmp_path):
    if not file.exists():
        pytest.skip(f"{file} is not on this machine")
    theirs = by_ase(file)
    ours, out = through(file, tmp_path)
    assert len(ours) == len(theirs)
    for i, (frame, atoms) in enumerate(zip(ours, theirs, strict=True)):
        compare(frame, atoms, f"{file.name}, frame {i}")
    # ASE reads what we write as it reads the source.
    titled = {i for i, frame in enumerate(ours) if "comment" in frame.frame_properties}
    for i, (a, b) in enumerate(zip(theirs, by_ase(out), strict=True)):
        if i in titled:
            a.info.clear()
            b.info.clear()
        ase_equal(a, b, f"{file.name}, written by us, frame {i}")
    # We read what ASE writes.
    written = tmp_path / "ase.extxyz"
    ase_io.write(written, theirs, format="extxyz")
    ours, _ = through(written, tmp_path)
    for i, (frame, atoms) in enumerate(zip(ours, by_ase(written), strict=True)):
        compare(frame, atoms, f"{file.name}, written by ASE, frame {i}")


def frames_of(lines, folder):
    """What ASE and we make of comment lines; None for ASE where it fails."""
    file = folder / "lines.extxyz"
    text = [f"1\nProperties=species:S:1:pos:R:3 {line}\nH 0 0 0\n" for line in lines]
    file.write_text("".join(text))
    ours, _ = through(file, folder)
    theirs = []
    for one in text:
        file.write_text(one)
        try:
            theirs.append(by_ase(file)[0])
        except (ValueError, AttributeError, KeyError, IndexError):
            theirs.append(None)
    return zip(lines, ours, theirs, strict=True)


ALIKE = """
a=1 b=-2.5 c=1e3 d=.5 e=5. f=+7 g=nan h=-inf
a=T b=F c=true d=False e=TRUE f=FALSE g=t h=f i=truE
a="1 2 3" b="1 2.5" c='T F true' d={1 2 3} e={4.5} f={T F}
a=1,2,3 b="1, 2, 3" c=[1,2,3] d=[1.5, 2] e=[T, F] f=[1 2 3] g={1,2}
a="x y" b='x y' c=x d="a, b" e="x=y" f=x=y g = h
bare a=1 other
a="say \\"hi\\"" b=x\\ y c="it's" d='a "b"'
"odd key"=1 'other key'="2 3"
a="_JSON [[1, 2], [3, 4]]" b="_JSON 5" c="_JSON 70.388" d="_JSON true" e="_JSON \\"x\\""
a="_JSON [\\"x y\\", \\"z\\"]" b="_JSON [1.5]" c="_JSON [true, false]" d="_JSON [[[1], [2]]]"
a=1.3k7 b=-2.75e c=0012 d=0x10 e=1/2 f=5%
energy=-1.5 free_energy=-2 dipole="1 2 3" magmom=0.5
energy="_JSON -1.5"
stress="1 6 5 6 2 4 5 4 3" virial="1 2 3 4 5 6 7 8 9"
Lattice="4 0 0 1 5 0 0 2 6" pbc="T F T"
Lattice="4 0 0 1 5 0 0 2 6"
pbc=[T,T,F] Lattice={4 0 0 0 5 0 0 0 6}
uid=1234 UID=5e77
step=5 name=water
step=5.5 name=3
time=2.5 config_type=md
time=2.5 time_unit=fs
REF_energy=-3 dft_energy=-4.5 REF_stress="1 2 3 4 5 6"
key-with-dash=1 key.with.dot=2 key#3=3
a=1 a=1
""".strip().splitlines()

# What ASE makes of a value, if it reads it at all, and what we make of it, and why.
OTHERWISE = [
    ("a=1d3", "1d3", 1000.0, "the specification has such exponents"),
    ("a=[3]", 3, np.array([3]), "a list of one, by the specification"),
    ('a=["x y", "z"]', '"x y", "z"', np.array(["x y", "z"]), "a list of texts, by the specification"),
    ('a={"x y" z}', '"x y" z', np.array(["x y", "z"]), "likewise"),
    ("a=[x, y]", "x, y", np.array(["x", "y"]), "likewise"),
    ("a=[[1,2],[3,4]]", "[1,2,3,4]", np.array([[1, 2], [3, 4]]), "lists in lists, by the specification"),
    ("a=[[1, 2], [3, 4]]", "[1, 2,", np.array([[1, 2], [3, 4]]), "likewise; ASE finds more keys"),
    ('a="x\\ny"', "xny", "x\ny", "an escaped line end, by the specification"),
    ("a=123456789012345678901", 1.2345678901234568e20, "123456789012345678901", "no digit is lost"),
    ("a=1_000", 1000, "1_000", "no number by the specification"),
    ('a=""', np.array([], int), "", "a text without characters"),
    ("stress=[[1,2,3],[2,4,5],[3,5,6]]", None, None, "the specification prefers it"),
    ("Lattice=[[5, 0, 0], [0, 5, 0], [0, 0, 5]]", None, None, "likewise"),
    ("a=\"_JSON null\"", None, "_JSON null", "there is no value to keep"),
    ("a=\"_JSON [[1, 2], [3]]\"", None, "_JSON [[1, 2], [3]]", "ASE writes it, and fails to read it"),
    ("a=\"_JSON {\\\"b\\\": 1}\"", {"b": 1}, '_JSON {"b": 1}', "no array; kept as its text"),
]


def test_lines_are_read_as_ase_reads_them(tmp_path):
    for line, frame, atoms in frames_of(ALIKE, tmp_path):
        assert atoms is not None, line
        compare(frame, atoms, line)


def test_every_difference_from_ase_is_meant(tmp_path):
    read = frames_of([line for line, *_ in OTHERWISE], tmp_path)
    for (_, theirs, ours, why), (line, frame, atoms) in zip(OTHERWISE, read, strict=True):
        if atoms is not None and "a" in atoms.info:
            assert same(atoms.info["a"], theirs), (line, atoms.info["a"])
        else:
            assert theirs is None or "finds more" in why, line
        if ours is not None:
            assert same(frame.frame_properties["a"], ours), (line, frame.frame_properties["a"])


def test_what_ase_holds_comes_back_from_us(tmp_path):
    """Everything that a user of ASE can put into a frame, written by ASE and exported by us."""
    from ase import Atoms
    from ase.calculators.singlepoint import SinglePointCalculator
    from ase.constraints import FixAtoms

    random = np.random.default_rng(5)
    atoms = Atoms("OH2Cl", random.normal(size=(4, 3)), cell=random.normal(size=(3, 3)), pbc=(1, 0, 1))
    atoms.set_momenta(random.normal(size=(4, 3)))
    atoms.set_initial_charges([0.5, 0, -0.5, 1])
    atoms.set_initial_magnetic_moments([1, 0, 0, -1])
    atoms.set_tags([1, 2, 3, 4])
    atoms.set_masses([16, 1, 2, 35])
    atoms.set_constraint(FixAtoms([0, 2]))
    atoms.arrays["labels"] = np.array(["a", "b", "c", "d"])
    atoms.arrays["wide"] = random.normal(size=(4, 2))
    atoms.info = {
        "text": "two words", "quote": 'say "x"', "number": 3, "real": 0.1, "truth": True,
        "list": np.array([1.5, 2]), "ints": np.array([1, 2]), "matrix": np.eye(2),
        "texts": ["a b", "c"], "config_type": "md", "virial": random.normal(size=(3, 3)),
    }
    atoms.calc = SinglePointCalculator(
        atoms, energy=-1.5, free_energy=-1.6, forces=random.normal(size=(4, 3)),
        stress=random.normal(size=6), dipole=np.array([1.0, 2, 3]), magmom=0.5,
        magmoms=np.array([1.0, 0, 0, -1]), charges=np.array([0.1, 0.2, 0.3, -0.6]),
    )
    file = tmp_path / "ase.extxyz"
    ase_io.write(file, [atoms], format="extxyz")
    read = by_ase(file)
    (frame,), out = through(file, tmp_path)
    compare(frame, read[0], "written by ASE")
    ase_equal(read[0], by_ase(out)[0], "exported by us")
    # The sign and the order of the stress, and every value of the calculator.
    assert np.allclose(
        [frame.stress[0, 0], frame.stress[1, 2], frame.stress[0, 1]],
        atoms.calc.results["stress"][[0, 3, 5]], rtol=0, atol=1e-15,
    )
    assert frame.energy == -1.5 and frame.frame_properties["free_energy"] == -1.6
    assert np.allclose(frame.forces, atoms.calc.results["forces"], rtol=0, atol=1e-8)
    assert np.allclose(frame.charges, atoms.calc.results["charges"], rtol=0, atol=1e-8)


def test_cp2k_and_nested_lists_are_read_by_us_where_ase_does_not_know_them(tmp_path):
    frames, _ = through(HERE / "cp2k-pos-1.xyz", tmp_path)
    theirs = by_ase(HERE / "cp2k-pos-1.xyz")
    for frame, atoms in zip(frames, theirs, strict=True):
        info = atoms.info
        assert (frame.step, frame.time) == (info["i"], info["time"])
        assert frame.frame_properties == {"E": info["E"]} and frame.energy is None
    (one, two), _ = through(HERE / "nested-lists.xyz", tmp_path)
    found = one.frame_properties
    assert found["a"].tolist() == found["b"].tolist() == [[1, 2], [3, 4]]
    assert (found["h"], found["i"], found["r"]) == (["x y", "z"], ["x y", "z"], ["3"])
    assert np.array_equal(two.cell, 5 * np.eye(3)) and two.pbc == (True, True, False)


def test_names_are_mapped_onto_fields_as_ase_would_have_them(tmp_path):
    file = DATA / "extxyz" / "wfl-boron-dft.xyz"
    if not file.exists():
        pytest.skip(f"{file} is not on this machine")
    frames, out = through(file, tmp_path, "--map", "REF_energy=energy", "--map", "REF_forces=forces")
    for frame, before, after in zip(frames, by_ase(file), by_ase(out), strict=True):
        assert frame.energy == before.info["REF_energy"] == after.calc.results["energy"]
        assert np.array_equal(frame.forces, before.arrays["REF_forces"])
        assert np.array_equal(frame.forces, after.calc.results["forces"])


def test_names_are_mapped_from_python(tmp_path):
    file = tmp_path / "fit.xyz"
    frame = "1\nProperties=species:S:1:pos:R:3:REF_forces:R:3 REF_energy=-1.5\nQ1 0 0 0 1 2 3\n"
    file.write_text(frame * 2)
    names = {"REF_energy": "energy", "REF_forces": "forces", "x": "property:y"}
    with pytest.warns(UserWarning) as said:
        vlstore.import_(file, tmp_path / "a.vls", map=names)
    said = " ".join(str(w.message) for w in said)
    assert "2 sites of type 0" in said and "x is mapped" in said
    with vlstore.open(tmp_path / "a.vls") as depot:
        assert [f.energy for f in depot.values()] == [-1.5, -1.5]
        assert depot[0].forces.tolist() == [[1, 2, 3]] and depot[0].types.tolist() == [0]
    for wrong, why in [
        ({"a": "enregy"}, "fields are energy"), ({"REF_energy": "stress"}, "mapped onto stress"),
    ]:
        with pytest.raises(vlstore.Error, match=why):
            vlstore.import_(file, tmp_path / "b.vls", overwrite=True, map=wrong)
