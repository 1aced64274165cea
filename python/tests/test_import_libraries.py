"""What MDAnalysis and ASE read goes into a store: frame by frame as the library has it, and exactly once."""

import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest

import vlstore

DATA = pathlib.Path(__file__).parents[2] / ".." / "shared" / "data"


def data(name, tmp_path):
    """A copy of a real file, so that nothing can be left beside it."""
    source = DATA / name
    if not source.exists():
        pytest.skip(f"there is no ../shared/data/{name}")
    (tmp_path / "in").mkdir(exist_ok=True)
    return pathlib.Path(shutil.copy(source, tmp_path / "in"))


def stored(path):
    with vlstore.open(path) as store:
        return list(store.values()), dict(store.attrs), list(store)


def same_bits(a, b):
    a, b = np.asarray(a), np.asarray(b)
    assert a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


@pytest.mark.parametrize(
    ("name", "kind"), [("amber/ace_tip3p.nc", "NCDF"), ("amber/posfor.ncdf", "NCDF"), ("xyz_random_walk.xtc", "XTC")]
)
def test_what_mdanalysis_reads_is_stored_as_it_reads_it(name, kind, tmp_path, path):
    pytest.importorskip("MDAnalysis")
    from MDAnalysis.coordinates.core import reader
    from MDAnalysis.lib.mdamath import triclinic_vectors

    source = data(f"mdanalysis/{name}", tmp_path)
    done = vlstore.import_(source, path, format=None if kind == "NCDF" else "mdanalysis:XTC")
    assert os.listdir(source.parent) == [source.name]
    frames, attrs, keys = stored(path)
    expected = reader(str(source), format=kind)
    assert done.frames == len(frames) == len(expected) > 0 and keys == list(range(len(frames)))
    assert attrs["units"]["length"] == "angstrom" and attrs["units"]["force"] == "kJ/mol/angstrom"
    for frame, ts in zip(frames, expected, strict=True):
        same_bits(frame.positions, ts.positions)
        assert (frame.velocities is not None, frame.forces is not None) == (ts.has_velocities, ts.has_forces)
        if ts.has_velocities:
            same_bits(frame.velocities, ts.velocities)
        if ts.has_forces:
            same_bits(frame.forces, ts.forces)
        assert frame.time == ts.time
        if ts.dimensions is None:
            assert frame.cell is None
        else:
            same_bits(frame.cell, triclinic_vectors(ts.dimensions, dtype=np.float64))


def test_a_format_without_times_gives_frames_without(tmp_path, path):
    pytest.importorskip("MDAnalysis")
    source = tmp_path / "a.xyz"
    source.write_text("1\n\nH 0 0 0\n1\n\nH 0 0 1\n")
    with pytest.warns(UserWarning, match="no time in it"):
        vlstore.import_(source, path, format="mdanalysis:XYZ")
    assert [frame.time for frame in stored(path)[0]] == [None, None]


def ase_images(source):
    """What ASE reads, and beside each what a row of a database has."""
    if source.suffix == ".traj":
        from ase.io import iread

        return [(atoms, {}) for atoms in iread(source)]
    from ase.db import connect

    if source.suffix == ".aselmdb":
        pytest.importorskip("ase_db_backends")
    database = connect(source, use_lock_file=False)
    rows = sorted(database.select(), key=lambda row: row.id)
    return [(row.toatoms(), dict(row.key_value_pairs) | dict(row.data) | {"unique_id": row.unique_id}) for row in rows]


@pytest.mark.parametrize(
    "name", ["fairchem-cattsunami.traj", "mptrj-150.db", "mptrj-150.aselmdb", "schnetpack-qm9-20.db"]
)
def test_what_ase_reads_comes_back_from_the_store(name, tmp_path, path):
    pytest.importorskip("ase")
    source = data(f"asedb/{name}", tmp_path)
    if source.suffix == ".aselmdb":
        pytest.importorskip("ase_db_backends")
    vlstore.import_(source, path)
    assert os.listdir(source.parent) == [source.name]
    shutil.copy(source, tmp_path / name)
    expected = ase_images(tmp_path / name)
    frames, attrs, _ = stored(path)
    assert len(frames) == len(expected) > 0
    for frame, (atoms, more) in zip(frames, expected, strict=True):
        ours = frame.to_ase(attrs["units"])
        assert ours == atoms
        for array in atoms.arrays:
            same_bits(ours.arrays[array], atoms.arrays[array])
        assert [c.todict() for c in ours.constraints] == [c.todict() for c in atoms.constraints] or all(
            (a.index == b.index).all() for a, b in zip(ours.constraints, atoms.constraints, strict=True)
        )
        results = {} if atoms.calc is None else atoms.calc.results
        assert set(results) == set({} if ours.calc is None else ours.calc.results)
        for result, value in results.items():
            same_bits(ours.calc.results[result], value)
        assert set(ours.info) == set(atoms.info) | set(more)
        for key, value in more.items():
            np.testing.assert_array_equal(ours.info[key], value)
    if name.startswith("schnetpack"):
        assert attrs["metadata"]["_distance_unit"] == "Ang"


def test_rows_of_a_database_keep_pairs_and_data_of_the_same_name_and_constraints(tmp_path, path):
    pytest.importorskip("ase")
    from ase.build import molecule
    from ase.constraints import FixAtoms, FixBondLengths
    from ase.db import connect

    database = connect(tmp_path / "a.db")
    water = molecule("H2O")
    water.set_constraint([FixAtoms([0]), FixBondLengths([[0, 1]])])
    database.write(water, label="first", n=3, data={"n": [1, 2], "nested": {"a": np.arange(3)}})
    database.write(molecule("CH4"), flag=True)
    database.write(molecule("H2"))
    del database[2]
    vlstore.import_(tmp_path / "a.db", path)
    first, second = (frame.to_ase() for frame in stored(path)[0])
    assert first.info["label"] == "first" and first.info["n"] == 3
    assert first.info["ase_data"] == {"n": [1, 2]} and first.info["nested"]["a"].tolist() == [0, 1, 2]
    assert [type(c).__name__ for c in first.constraints] == ["FixAtoms", "FixBondLengths"]
    assert second.get_chemical_formula() == "H2"


def topologies():
    """Files of topologies from the test data of MDAnalysis, which are not in its package."""
    files = pytest.importorskip("MDAnalysisTests.datafiles", reason="no MDAnalysisTests")
    return {"TPR": files.TPR2021, "PSF": files.PSF, "PRMTOP": files.PRM}


@pytest.mark.parametrize("kind", ["TPR", "PSF", "PRMTOP"])
def test_a_topology_that_mdanalysis_reads_names_the_atoms_of_a_trajectory(kind, tmp_path, path):
    file = topologies()[kind]
    import MDAnalysis

    universe = MDAnalysis.Universe(file)
    count = len(universe.atoms)
    source = tmp_path / "a.xyz"
    source.write_text(f"{count}\n\n" + "X 0 0 0\n" * count)
    vlstore.import_(source, path, topology=file)
    topology = stored(path)[0][0].topology
    assert topology.names == list(universe.atoms.names)
    same_bits(topology.masses, universe.atoms.masses)
    same_bits(topology.charges, universe.atoms.charges)
    residues = topology.residues
    assert (np.array(topology.residue_names)[residues] == universe.atoms.resnames).all()
    assert (np.array(topology.residue_ids)[residues] == universe.atoms.resids).all()
    np.testing.assert_array_equal(topology.bonds, universe.bonds.indices)

    source.write_text("1\n\nX 0 0 0\n")
    with pytest.raises(vlstore.Error, match=f"1 .*{count}|{count}.* 1 "):
        vlstore.import_(source, tmp_path / "other.vls", topology=file)
    assert not (tmp_path / "other.vls").exists()


def test_a_topology_of_another_number_of_atoms_is_refused_before_there_is_a_store(tmp_path, path):
    pytest.importorskip("MDAnalysis")
    source = data("mdanalysis/amber/posfor.ncdf", tmp_path)
    with pytest.raises(vlstore.InvalidError, match="442 atoms, the topology 2"):
        vlstore.import_(source, path, topology=vlstore.Topology(types=[1, 1]))
    assert not path.exists()
    known = vlstore.Topology(masses=np.arange(442.0), names=["A"] * 442)
    vlstore.import_(source, path, topology=known)
    with vlstore.open(path) as store:
        assert [t.digest for t in store.topologies()] == [known.digest]
        assert all(frame.topology == known for frame in store.values())


KILLED = """
import os, signal, sys
import vlstore
from vlstore._libraries import _fill
_fill._EACH = 0.0
calls = 0
def progress(done, total):
    global calls
    calls += 1
    if calls == int(sys.argv[4]):
        os.kill(os.getpid(), signal.SIGKILL)
vlstore.import_(sys.argv[1:3], sys.argv[3], append=True, commit_frames=3, progress=progress)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_an_import_that_was_killed_anywhere_gives_what_an_uninterrupted_one_gives(tmp_path, path):
    ase = pytest.importorskip("ase")
    from ase.io import write

    rng = np.random.default_rng(1)
    inputs = []
    for part in range(2):
        images = [ase.Atoms("CO" if i % 4 else "N2", rng.random((2, 3))) for i in range(10)]
        inputs.append(tmp_path / f"{part}.traj")
        write(inputs[-1], images)
    vlstore.import_(inputs, path)
    expected, _, keys = stored(path)
    resumed = tmp_path / "resumed.vls"
    for call in (1, 5, 8, 9):
        subprocess.run([sys.executable, "-P", "-c", KILLED, *inputs, resumed, str(call)], check=False)
    vlstore.import_(inputs, resumed, append=True)
    assert stored(resumed)[0] == expected and stored(resumed)[2] == keys and len(expected) == 20
    done = vlstore.import_(inputs, resumed, append=True)
    assert (done.frames, done.skipped, done.records) == (0, 20, 20)


def test_an_import_goes_on_where_the_input_grew_and_refuses_what_is_not_clear(tmp_path, path):
    ase = pytest.importorskip("ase")
    from ase.io import write

    images = [ase.Atoms("H2", [[0, 0, 0], [0, 0, i / 10]]) for i in range(1, 9)]
    a, b = tmp_path / "a.traj", tmp_path / "b.traj"
    write(a, images[:3])
    write(b, images[6:])
    vlstore.import_(a, path, key_prefix="image ")
    write(a, images[:5])
    done = vlstore.import_([a, b], path, append=True)
    assert (done.frames, done.skipped) == (4, 3)
    moved = a.rename(tmp_path / "moved.traj")
    assert vlstore.import_(moved, path, append=True).skipped == 5
    frames, _, keys = stored(path)
    assert keys == [f"image {i}" for i in range(7)]
    assert [frame.positions[1, 2] for frame in frames] == [0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.8]

    def refused(reason, *args, **kwargs):
        with pytest.raises(vlstore.ResumeError) as caught:
            vlstore.import_(*args, path, append=True, **kwargs)
        assert caught.value.reason == reason
        assert len(stored(path)[0]) == 7

    write(moved, images[:6])
    refused("out of order", moved)
    write(b, images[:1][::-1])
    refused("replaced", b)
    refused("options", moved, float32=True)
    write(tmp_path / "c.traj", ase.Atoms("CO2", np.eye(3)))
    refused("sites", tmp_path / "c.traj")
    assert vlstore.import_(tmp_path / "c.traj", path, append=True, mixed=True).frames == 1
    with vlstore.open(tmp_path / "other.vls", "w", records="md-frame") as store:
        store[0] = vlstore.MdFrame(np.zeros((2, 3)))
        store.attrs["units"] = frames and stored(path)[1]["units"]
    with pytest.raises(vlstore.ResumeError, match="keep_all"):
        vlstore.import_(moved, tmp_path / "other.vls", append=True)
    assert vlstore.import_(moved, tmp_path / "other.vls", append=True, keep_all=True).records == 7


def test_numbers_are_rounded_only_when_asked(tmp_path, path):
    ase = pytest.importorskip("ase")
    from ase.io import write

    write(tmp_path / "a.traj", ase.Atoms("H", [[0.1234567, 0, 0]]))
    vlstore.import_(tmp_path / "a.traj", path, float32=True, precision=1000)
    (frame,) = stored(path)[0]
    assert frame.positions.dtype == np.float32 and frame.positions[0, 0] == np.float32(0.123)
    assert frame.precision == 1000


@pytest.mark.parametrize(("arguments", "says"), [
    ({"from_step": 3}, "from_step"),
    ({"map": {"a": "energy"}}, "map"),
    ({"format": "nonsense"}, "ase-db"),
    ({"format": "ase:nonsense"}, "nonsense"),
])
def test_what_cannot_work_is_said_and_leaves_no_store(arguments, says, tmp_path, path):
    ase = pytest.importorskip("ase")
    from ase.io import write

    write(tmp_path / "a.traj", ase.Atoms("H"))
    with pytest.raises(vlstore.Error, match=says):
        vlstore.import_(tmp_path / "a.traj", path, **arguments)
    assert not path.exists()


def test_damaged_files_are_errors(tmp_path, path):
    pytest.importorskip("ase")
    with pytest.raises(vlstore.FormatError, match=r"truncated\.db"):
        vlstore.import_(data("broken/truncated.db", tmp_path), path)
    source = data("asedb/fairchem-cattsunami.traj", tmp_path)
    source.write_bytes(source.read_bytes()[:30000])
    with pytest.raises(vlstore.FormatError, match=r"cattsunami\.traj"):
        vlstore.import_(source, path)
    # As from other formats: the whole frames, then the error.
    assert 0 < len(stored(path)[0]) < 10


def command(*words):
    done = subprocess.run([sys.executable, "-P", "-m", "vlstore", *map(str, words)], capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def test_the_command_reads_the_same_formats(tmp_path, path):
    pytest.importorskip("ase")
    source = data("asedb/mptrj-150.db", tmp_path)
    words = ["import", "--commit-every", "10frames,1MiB", "--compression", "lz4", "--name-prefix", "m", source, path]
    status, out, said = command(*words)
    assert (status, said) == (0, "") and "150 frames imported, 150 in all" in out
    frames, _, keys = stored(path)
    assert len(frames) == 150 and keys[1] == "m1"
    status, out, _ = command("import", "--append", source, path)
    assert status == 0 and "skipped 150 frames" in out and "0 frames imported, 150 in all" in out
    status, _, said = command("import", source, path)
    assert status == 1 and "hint: to add the frames that it does not have: vlstore import --append" in said
    status, _, said = command("import", "--format", "nonsense", source, path)
    assert status != 0 and "ase-db" in said and "xtc" in said


def test_the_command_knows_each_option_of_the_compiled_one():
    from vlstore._libraries._command import parser

    ours = {word for action in parser()._actions for word in action.option_strings}
    shown = command("import", "--help")[1].split()
    theirs = {word.rstrip(",") for word in shown if word.startswith("--") and len(word) > 3}
    options = {word for word in theirs if word.strip("-").replace("-", "").isalpha()}
    assert options - ours <= {"--help"}, options - ours
