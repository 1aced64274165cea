"""What MDAnalysis and ASE read goes into a store: frame by frame as the library has it, and exactly once."""

import contextlib
import gzip
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import sys
import warnings

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


H5MD = ["cobrotoxin.h5md", "coordinates/test.h5md", "cu.h5md"]


@pytest.mark.parametrize("name", H5MD)
def test_h5md_is_read_in_the_units_that_it_states_and_written_the_same(name, tmp_path, path):
    h5py = pytest.importorskip("h5py")
    source = data(f"mdanalysis/{name}", tmp_path)
    vlstore.import_(source, path)
    assert os.listdir(source.parent) == [source.name]
    frames, attrs, _ = stored(path)
    with h5py.File(source) as file:
        (group,) = file["particles"].values()
        position = group["position"]
        force = group["force" if "force" in group else "forces"]
        assert len(frames) == len(position["value"])
        for i, frame in enumerate(frames):
            same_bits(frame.positions, position["value"][i])
            same_bits(frame.forces, force["value"][i])
            assert (frame.step, frame.time) == (position["step"][i], position["time"][i])
            np.testing.assert_array_equal(frame.cell, group["box/edges/value"][i])
        units = {"nm": "nm", "Angstrom": "angstrom"}[position["value"].attrs["unit"]]
    assert attrs["units"]["length"] == units
    if name == "cu.h5md":
        assert attrs["units"]["energy"] == "eV" and attrs["units"]["time"] == "fs"
        assert frames[0].types.tolist() == [29] * 108 and frames[0].energy == 2.5973966979616563
        assert attrs["units of properties"] == {"momentum": "eV/fs"}

    done = vlstore.export(path, tmp_path / "out.h5md")
    assert (done.frames, done.format, done.left_out) == (len(frames), "h5md", [])
    vlstore.import_(tmp_path / "out.h5md", tmp_path / "again.vls")
    again, said, _ = stored(tmp_path / "again.vls")
    assert again == frames and said["units"] == attrs["units"]


@pytest.mark.parametrize("name", H5MD[:2])
def test_mdanalysis_reads_the_h5md_that_is_written_as_it_reads_the_source(name, tmp_path, path):
    pytest.importorskip("MDAnalysis")
    pytest.importorskip("h5py")
    from MDAnalysis.coordinates.H5MD import H5MDReader

    source = data(f"mdanalysis/{name}", tmp_path)
    vlstore.import_(source, path)
    vlstore.export(path, tmp_path / "out.h5md")
    ours, theirs = H5MDReader(str(tmp_path / "out.h5md")), H5MDReader(str(source))
    assert len(ours) == len(theirs) > 1
    for a, b in zip(ours, theirs, strict=True):
        for array in ("positions", "velocities", "forces"):
            same_bits(getattr(a, array), getattr(b, array))
        assert a.time == b.time and a.data["step"] == b.data["step"]
        np.testing.assert_array_equal(a.dimensions, b.dimensions)
    ours.close(), theirs.close()


def test_h5md_converts_units_finds_frames_by_their_step_and_asks_for_what_is_not_said(tmp_path, path):
    h5py = pytest.importorskip("h5py")
    source = tmp_path / "a.h5md"
    with h5py.File(source, "w") as file:
        group = file.create_group("particles/all")
        group.create_dataset("position/value", data=np.ones((3, 2, 3), np.float32)).attrs["unit"] = "Angstrom"
        group["position/step"] = np.array(10)
        group["position/step"].attrs["offset"] = 5
        group["position/time"] = np.array(2.0)
        group["position/time"].attrs["unit"] = "fs"
        # Velocities of every second frame.
        group.create_dataset("velocity/value", data=np.ones((2, 2, 3))).attrs["unit"] = "nm ps-1"
        group["velocity/step"] = [5, 25]
        group.create_dataset("force/value", data=np.ones((3, 2, 3))).attrs["unit"] = "kcal mol-1 Angstrom-1"
        group["force/step"] = group["position/step"]
        group["mass"] = [1.0, 2.0]
        file["connectivity/bonds"] = [[0, 1]]
    vlstore.import_(source, path)
    frames, attrs, _ = stored(path)
    assert attrs["units"]["length"] == "angstrom" and attrs["units"]["energy"] == "kJ/mol"
    assert [frame.step for frame in frames] == [5, 15, 25]
    assert [frame.time for frame in frames] == [0, 0.002, 0.004]
    assert [None if f.velocities is None else f.velocities[0, 0] for f in frames] == [10.0, None, 10.0]
    assert frames[0].forces[0, 0] == 4.184
    assert frames[0].topology.bonds.tolist() == [[0, 1]] and frames[0].masses.tolist() == [1, 2]

    with h5py.File(source, "a") as file:
        del file["particles/all/position/value"].attrs["unit"]
    with pytest.raises(vlstore.FormatError, match="does not state the unit"):
        vlstore.import_(source, tmp_path / "b.vls")
    vlstore.import_(source, tmp_path / "b.vls", reader={"units": "nm"})
    with h5py.File(source, "a") as file:
        file.create_group("particles/others")
    with pytest.raises(vlstore.InvalidError, match="all, others"):
        vlstore.import_(source, path, overwrite=True)
    with h5py.File(source, "w") as file:
        file["something"] = np.zeros((2, 2, 3))
    with pytest.raises(vlstore.FormatError, match="no group `particles`"):
        vlstore.import_(source, path, overwrite=True)


def test_files_of_mdtraj_are_read_with_their_topology(tmp_path, path):
    h5py = pytest.importorskip("h5py")
    source = data("mdtraj/frame0.h5", tmp_path)
    vlstore.import_(source, path)
    frames, attrs, _ = stored(path)
    assert attrs["units"]["length"] == "nm" and len(frames) == 501
    with h5py.File(source) as file:
        for frame, position, time in zip(frames, file["coordinates"], file["time"], strict=True):
            same_bits(frame.positions, position)
            assert frame.time == time and (frame.cell == np.eye(3)).all()
    # The same molecule as PDB.
    vlstore.import_(data("mdtraj/native.pdb", tmp_path), tmp_path / "pdb.vls", topologies="always")
    ours, theirs = frames[7].topology, stored(tmp_path / "pdb.vls")[0][0].topology
    assert all(frame.topology_digest == ours.digest for frame in frames)
    assert len(ours.bonds) == 21 and ours.residue_names == theirs.residue_names == ["ACE", "ALA", "NME"]
    assert ours.residue_ids.tolist() == theirs.residue_ids.tolist()
    assert ours.residues.tolist() == theirs.residues.tolist() and ours.types.tolist().count(6) == 6
    done = vlstore.import_(source, path, append=True)
    assert (done.frames, done.skipped) == (0, 501)
    with h5py.File(source, "a") as file:
        file["coordinates"].attrs["units"] = "angstroms"
    with pytest.raises(vlstore.FormatError, match="angstroms"):
        vlstore.import_(source, path, overwrite=True)


def test_the_cell_of_lengths_and_angles_is_that_of_ase():
    cells = pytest.importorskip("ase.cell")
    from vlstore._libraries._mdtraj_h5 import _cell

    for lengths, angles in (([1, 2, 3], [80, 70, 100]), ([2, 2, 2], [60, 60, 90]), ([1, 2, 3], [90, 90, 90])):
        expected = cells.Cell.fromcellpar([*lengths, *angles]).array
        np.testing.assert_allclose(_cell(lengths, angles), expected, atol=1e-15)
    with pytest.raises(vlstore.FormatError, match="not those of a cell"):
        _cell([1, 1, 1], [170, 170, 170])


def test_h5md_is_written_for_chosen_frames_atoms_and_fields_or_not_at_all(tmp_path, path):
    h5py = pytest.importorskip("h5py")
    topology = vlstore.Topology(types=[8, 1, 1], names=["O", "H", "H"], bonds=[[0, 1], [0, 2]])
    with vlstore.open(path, "w", records="md-frame") as store:
        for i in range(20):
            store[i] = vlstore.MdFrame(
                np.full((3, 3), i / 7), velocities=np.ones((3, 3)) if i < 19 else None, energy=float(i),
                topology=topology, frame_properties={"note": "n", "lambda": i * 0.5},
            )
    output = tmp_path / "a.h5md"
    done = vlstore.export(path, output, frames=slice(0, 19, 3), atoms=slice(0, 2))
    assert done.left_out == ["names", "note"] and not done.units_stated
    with h5py.File(output) as file:
        group = file["particles/trajectory"]
        assert group["position/value"].shape == (7, 2, 3) and "unit" not in group["position/value"].attrs
        assert group["position/value"][2, 1, 2] == 6 / 7
        assert file["observables/trajectory/lambda/value"][:].tolist() == [i * 1.5 for i in range(7)]
        assert file["connectivity/bonds"][:].tolist() == [[0, 1]]
        assert group["species/value"][0].tolist() == [8, 1]
    with pytest.raises(vlstore.StoreExistsError):
        vlstore.export(path, output)
    with pytest.raises(vlstore.InvalidError, match="this is a store"):
        vlstore.export(path, path, format="h5md", overwrite=True)
    with pytest.raises(vlstore.InvalidError, match="md-frame"):
        vlstore.export(vlstore.memory(records="raw"), tmp_path / "raw.h5md")
    with pytest.raises(vlstore.FormatError, match="velocities") as caught:
        vlstore.export(path, output, overwrite=True)
    assert (caught.value.ordinal, caught.value.field) == (19, "velocities")
    with h5py.File(output) as file:
        assert len(file["particles/trajectory/position/value"]) == 7
    assert sorted(os.listdir(tmp_path)) == ["a.h5md", "test.vls"]
    vlstore.export(path, output, fields=["positions"], overwrite=True)
    with h5py.File(output) as file:
        assert len(file["particles/trajectory/position/value"]) == 20
        assert "velocity" not in file["particles/trajectory"]


def test_h5md_is_written_for_atoms_of_a_kind_rounded_and_without_frames_that_do_not_fit(tmp_path, path):
    h5py = pytest.importorskip("h5py")

    def named(*residues):
        return vlstore.Topology(residues=range(len(residues)), residue_names=residues, nsites=len(residues))

    dry, turned = named("ALA", "SOL", "GLY"), named("SOL", "ALA", "GLY")
    rng = np.random.default_rng(1)
    with vlstore.open(path, "w", records="md-frame") as store:
        for i in range(5):
            store[i] = vlstore.MdFrame(
                rng.random((3, 3)), velocities=np.ones((3, 3)) if i != 3 else None, topology=turned if i == 4 else dry
            )
        frames = list(store.values())
    output = tmp_path / "a.h5md"
    with pytest.raises(vlstore.FormatError, match="frame 3"):
        vlstore.export(path, output, atoms_of="protein")
    done = vlstore.export(path, output, atoms_of="protein", precision=100, skip_unfit=True)
    assert (done.frames, done.skipped) == (4, [3])
    with h5py.File(output) as file:
        group = file["particles/trajectory"]
        assert group["velocity/value"].shape == (4, 2, 3) and group["position/step"][:].tolist() == [0, 1, 2, 4]
        expected = [frames[0].positions[[0, 2]], frames[4].positions[[1, 2]]]
        found = group["position/value"][:]
        assert found.dtype == np.float32
        np.testing.assert_allclose(found[[0, -1]], np.rint(np.array(expected) * 100) / 100, rtol=1e-6)
    assert command("export", "--overwrite", "--atoms-of", "protein", "--skip-unfit", path, output)[::2] == (
        0, "note: left out 1 frame that H5MD cannot hold: ordinals 3\n"
        "note: H5MD has no place for residues\nnote: the store does not state its units, so the file states none\n",
    )  # fmt: skip
    assert sorted(vlstore.import_(output, tmp_path / "b.vls", reader={"units": "nm"}).notes) == []
    for wrong, says in [({"atoms_of": "nucleic"}, "none is in"), ({"precision": -1}, "positive")]:
        with pytest.raises(vlstore.Error, match=says):
            vlstore.export(path, tmp_path / "no.h5md", fields=["positions"], **wrong)
    assert not (tmp_path / "no.h5md").exists()


def test_masses_are_those_of_the_elements_where_that_is_asked_for(tmp_path, path):
    ase = pytest.importorskip("ase")
    from ase.data import atomic_masses_iupac2016
    from ase.io import write

    numbers = [z for z in range(1, 93) if z not in (43, 61, 84, 85, 86, 87, 88, 89)]
    atoms = ase.Atoms(numbers, np.arange(3.0 * len(numbers)).reshape(-1, 3))
    for name in ("a.xyz", "a.traj"):
        write(tmp_path / name, [atoms, atoms])
        vlstore.import_(tmp_path / name, path, masses="elements", overwrite=True)
        for frame in stored(path)[0]:
            assert frame.masses.tolist() == atomic_masses_iupac2016[numbers].tolist()
        assert vlstore.import_(tmp_path / name, path, append=True, masses="elements").skipped == 2
    # An XTC file names no elements; a PDB file beside it does.
    (tmp_path / "a.pdb").write_text(
        "ATOM      1  O   HOH A   1       0.000   0.000   0.000  1.00  0.00           O\n"
        "ATOM      2  H1  HOH A   1       0.000   0.000   1.000  1.00  0.00           H\n"
    )
    with vlstore.open(tmp_path / "s.vls", "w", records="md-frame") as store:
        store[0] = vlstore.MdFrame(np.zeros((2, 3)), step=1)
    vlstore.export(tmp_path / "s.vls", tmp_path / "a.xtc", precision=1000)
    for topology in ("a.pdb", "a.xtc"):
        given = {"topology": tmp_path / topology} if topology == "a.pdb" else {}
        if not given:
            with pytest.raises(vlstore.FormatError, match=r"a\.xtc.*frame 0.*--topology"):
                vlstore.import_(tmp_path / "a.xtc", tmp_path / "no.vls", masses="elements")
            assert not (tmp_path / "no.vls").exists()
            continue
        vlstore.import_(tmp_path / "a.xtc", path, masses="elements", overwrite=True, **given)
        (frame,) = stored(path)[0]
        assert frame.masses.tolist() == [15.999, 1.008] == frame.topology.masses.tolist()
    write(tmp_path / "b.traj", ase.Atoms("HX", np.eye(3)[:2]))
    with pytest.raises(vlstore.FormatError, match="atom 1 is 0"):
        vlstore.import_(tmp_path / "b.traj", path, masses="elements", overwrite=True)


@pytest.mark.parametrize(("name", "scaled"), [
    ("image_vf.lammpstrj", False),
    ("chain_dump_1.lammpstrj", False),
    ("albite_triclinic.dump", True),
    ("wat.lammpstrj.bz2", True),
])
def test_dumps_of_lammps_are_read_as_mdanalysis_reads_them(name, scaled, tmp_path, path):
    pytest.importorskip("MDAnalysis")
    from MDAnalysis.coordinates.LAMMPS import DumpReader
    from MDAnalysis.lib.mdamath import triclinic_box

    source = data(f"mdanalysis/lammps/{name}", tmp_path)
    with pytest.raises(vlstore.FormatError, match="does not state its units"):
        vlstore.import_(source, path)
    assert not path.exists()
    cut = pytest.warns(UserWarning, match="no end") if name.startswith("albite") else contextlib.nullcontext()
    with cut:
        vlstore.import_(source, path, reader={"units": "real"})
    frames, attrs, _ = stored(path)
    assert attrs["units"]["force"] == "kcal/mol/angstrom"
    expected = DumpReader(str(source), dt=1.0)
    assert len(frames) == len(expected) > 0
    for frame, ts in zip(frames, expected, strict=True):
        assert frame.step == ts.data["step"] and frame.time is None
        # It moves the origin of the box to 0, and does it twice if the positions are parts of the box.
        origin = frame.frame_properties.get("origin", np.zeros(3)) * (2 if scaled else 1)
        np.testing.assert_allclose(frame.positions - origin, ts.positions, atol=2e-5)
        np.testing.assert_allclose(triclinic_box(*frame.cell), ts.dimensions, rtol=1e-6)
        for array in ("velocities", "forces"):
            assert (getattr(frame, array) is not None) == getattr(ts, f"has_{array}")
            if getattr(ts, f"has_{array}"):
                np.testing.assert_array_equal(getattr(frame, array).astype(np.float32), getattr(ts, array))


DUMP = """ITEM: UNITS
metal
ITEM: TIMESTEP
{step}
ITEM: TIME
{time}
ITEM: NUMBER OF ATOMS
2
ITEM: BOX BOUNDS pp ff pp
1 3
0 2
0 4
ITEM: ATOMS id type element xs ys zs q mass c_pe label
7 2 O 0.5 0 0 -1 15.999 0.25 b
3 1 C 0 0.5 {z} 1 12.011 0.5 a
"""


def test_a_dump_says_its_units_elements_and_other_columns(tmp_path, path):
    source = tmp_path / "a.dump"
    source.write_text("".join(DUMP.format(step=i, time=i / 4, z=i / 10) for i in range(4)))
    vlstore.import_(source, path)
    frames, attrs, _ = stored(path)
    assert attrs["units"]["energy"] == "eV" and attrs["units"]["time"] == "ps"
    assert [frame.time for frame in frames] == [0, 0.25, 0.5, 0.75]
    last = frames[3]
    np.testing.assert_allclose(last.positions, [[1, 1, 1.2], [2, 0, 0]])
    assert last.types.tolist() == [6, 8] and last.charges.tolist() == [1, -1] and last.pbc == (True, False, True)
    properties = last.atom_properties
    assert properties["id"].tolist() == [3, 7] and properties["type"].tolist() == [1, 2]
    assert properties["c_pe"].tolist() == [0.5, 0.25] and properties["label"] == ["a", "b"]
    # Every place at which it may be cut gives the whole frames before, and an error.
    text = source.read_text()
    for at in range(len(text) * 3 // 4 + 1, len(text) - 2, 5):
        source.write_text(text[:at])
        with pytest.raises(vlstore.FormatError, match="frame 3"):
            vlstore.import_(source, path, overwrite=True)
        assert stored(path)[0] == frames[:3]


def test_a_dump_that_grows_is_followed_without_a_frame_that_is_not_whole(tmp_path, path):
    source = tmp_path / "a.dump"
    text = "".join(DUMP.format(step=i, time=i, z=i / 10) for i in range(3))
    one = len(text) // 3
    for at, count in ((0, 0), (one // 2, 0), (one + 30, 1), (2 * one - 1, 1), (2 * one, 2), (len(text) - 3, 2)):
        source.write_text(text[:at])
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            vlstore.import_(source, path, append=True, format="lammps-dump", reader={"units": "metal"})
        assert len(stored(path)[0]) == count
        assert any("not complete yet" in str(w.message) for w in said) == (at % one != 0)
    source.write_text(text)
    vlstore.import_(source, path, append=True)
    vlstore.import_(source, tmp_path / "whole.vls")
    assert stored(path)[0] == stored(tmp_path / "whole.vls")[0] and len(stored(path)[0]) == 3


@pytest.mark.parametrize(("name", "says"), [
    ("atom-duplicated-id", "atom 2 occurs twice"),
    ("atom-not-enough-lines", "the file ends inside of it"),
    ("atom-too-many-fields", "line 10, frame 0: 5 columns expected, there are 6"),
    ("box-not-numbers", "line 6, frame 0: 2 numbers expected"),
    ("timestep-no-item", "ITEM: expected"),
])
def test_broken_dumps_are_errors_with_their_line(name, says, tmp_path, path):
    source = data(f"chemfiles/lammps-bad/{name}.lammpstrj", tmp_path)
    with pytest.raises(vlstore.FormatError, match=says):
        vlstore.import_(source, path, format="lammps-dump", reader={"units": "lj"})


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
        # The first two frames in sequence with the same atoms are on the two sides of a commit.
        kinds = ["N2", "CO", "HF", "HF", "HF", "CO", "N2", "N2", "CO", "HF"]
        images = [ase.Atoms(kind, rng.random((2, 3))) for kind in kinds]
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


RESTARTED = """
import os, signal, sys
import vlstore
calls = 0
def progress(done, total):
    global calls
    calls += 1
    if calls == int(sys.argv[4]):
        os.kill(os.getpid(), signal.SIGKILL)
from vlstore._libraries import _fill
_fill._EACH = 0.0
vlstore.import_(sys.argv[1:3], sys.argv[3], append=True, duplicates=sys.argv[5], commit_frames=1, progress=progress)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("files", [1, 2])
def test_frames_that_a_restarted_simulation_wrote_again_are_said_and_kept_dropped_replaced_or_refused(
    files, tmp_path, path
):
    def run(steps, z):
        return "".join(DUMP.format(step=i, time=i, z=i + z / 4) for i in steps)

    # Steps 60 and 70 as they were; another run from 80 on.
    before, after = run(range(0, 91, 10), 0), run((60, 70), 0) + run(range(80, 111, 10), 0.5)
    inputs = [tmp_path / "a.dump", tmp_path / "b.dump"][:files]
    for file, text in zip(inputs, [before + after] if files == 1 else [before, after], strict=True):
        file.write_text(text)
    old, new = list(range(0, 91, 10)), list(range(60, 111, 10))
    expected = {"keep": old + new, "drop": old + new[2:], "latest": [*range(0, 111, 10)]}
    for how, steps in expected.items():
        with pytest.warns(UserWarning, match="step") as said:
            done = vlstore.import_(inputs, path, overwrite=True, duplicates=how)
        frames, _, keys = stored(path)
        assert [frame.step for frame in frames] == steps and keys == list(range(len(steps)))
        assert [frame.positions[0, 2] % 1 for frame in frames[-4:]] == [0.5] * 4
        assert (done.duplicates, done.dropped) == ((3, 2) if how == "latest" else (4, 0))
        texts = [str(warning.message) for warning in said]
        of = "the same file" if files == 1 else "a.dump"
        first = 10 if files == 1 else 0
        assert f"frames {first} to {first + 1} (steps 60 to 70) repeat frames of {of}; " in texts[0]
        assert ("2 earlier deleted" in texts[1]) == (how == "latest") and f"of {of} and other content" in texts[1]
        if how == "keep":
            continue
        again = vlstore.import_(inputs, path, append=True, duplicates=how)
        assert (again.frames, again.duplicates) == (0, 0)
        for stop in (6, 10, 11, 12, 13, 14):
            resumed = tmp_path / f"{how}-{stop}.vls"
            words = [sys.executable, "-P", "-c", RESTARTED, inputs[0], inputs[-1], resumed, str(stop), how]
            if files == 1:
                words[3] = RESTARTED.replace("sys.argv[1:3]", "sys.argv[1]")
            assert subprocess.run(words, check=False, capture_output=True).returncode == -9
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                vlstore.import_(inputs, resumed, append=True)
            assert stored(resumed)[0] == frames and stored(resumed)[2] == keys, (how, stop)
    with pytest.raises(vlstore.FormatError, match=r"frame \d+ \(step 60\) repeats a frame of .*\"latest\""):
        vlstore.import_(inputs, path, overwrite=True, duplicates="refuse")
    assert [frame.step for frame in stored(path)[0]] == old
    with pytest.warns(UserWarning, match="earlier deleted"):
        vlstore.import_(inputs, path, append=True, duplicates="latest")
    assert [frame.step for frame in stored(path)[0]] == expected["latest"]
    with pytest.raises(vlstore.InvalidError, match="latest"):
        vlstore.import_(inputs, path, overwrite=True, duplicates="first")


def test_frames_without_steps_are_the_same_if_all_of_them_is(tmp_path, path):
    ase = pytest.importorskip("ase")
    from ase.io import write

    images = [ase.Atoms("H2", [[0, 0, 0], [0, 0, i / 10]], info={"n": i}) for i in (1, 2, 3, 2, 3, 4)]
    images.append(images[-1].copy())
    images[-1].info["n"] = 5
    write(tmp_path / "a.traj", images)
    with pytest.warns(UserWarning, match="frames 3 to 4 repeat frames of the same file; stored once"):
        vlstore.import_(tmp_path / "a.traj", path, duplicates="drop")
    assert [frame.frame_properties["n"] for frame in stored(path)[0]] == [1, 2, 3, 4, 5]


def test_files_of_atompack_are_read_with_all_that_they_hold(tmp_path, path):
    atompack = pytest.importorskip("atompack", reason="pip install atompack-db")
    rng = np.random.default_rng(1)
    source = tmp_path / "set.data"
    database = atompack.Database(str(source), overwrite=True)
    molecules = []
    for i in range(7):
        sites = 2 + i % 3
        given = {
            "forces": rng.random((sites, 3), np.float32), "charges": rng.random(sites),
            "velocities": rng.random((sites, 3), np.float32), "stress": rng.random((3, 3)),
        }  # fmt: skip
        given |= {"energy": -1.5 * i, "cell": 10 * np.eye(3), "pbc": (True, True, False)}
        given = given if i != 3 else {}
        molecule = atompack.Molecule.from_arrays(
            rng.random((sites, 3), np.float32), np.arange(1, sites + 1, dtype=np.uint8), **given
        )
        for name, value in (("tag", "a"), ("n", i), ("vector", np.arange(4.0)), ("nothing", None)):
            molecule.set_property(name, value)
        molecule.set_property("label", np.arange(sites), scope="atom")
        database.add_molecule(molecule)
        molecules.append((molecule, given))
    database.flush()
    del database
    done = vlstore.import_(source, path, commit_frames=2)
    frames, attrs, keys = stored(path)
    assert done.frames == 7 and keys == list(range(7))
    assert attrs["units"]["energy"] == "eV" and attrs["units"]["velocity"] == "angstrom/fs"
    for i, (frame, (molecule, given)) in enumerate(zip(frames, molecules, strict=True)):
        same_bits(frame.positions, molecule.positions)
        assert frame.types.tolist() == molecule.atomic_numbers.tolist()
        properties = frame.frame_properties
        assert (properties["tag"], properties["n"]) == ("a", i) and "nothing" not in properties
        assert properties["vector"].tolist() == [0, 1, 2, 3]
        assert frame.atom_properties["label"].tolist() == list(range(frame.nsites))
        for name in ("forces", "charges", "stress"):
            assert (getattr(frame, name) is None) == (name not in given)
            if name in given:
                same_bits(getattr(frame, name), given[name])
        assert frame.energy == given.get("energy") and frame.pbc == given.get("pbc")
        if given:
            units = pytest.importorskip("ase").units
            np.testing.assert_allclose(frame.velocities, given["velocities"] * units.fs, rtol=1e-6)
    assert vlstore.import_(source, path, append=True).skipped == 7
    source.write_bytes(source.read_bytes()[:100])
    with pytest.raises(vlstore.FormatError, match=r"set\.data.*Atompack cannot"):
        vlstore.import_(source, path, overwrite=True)


def test_the_error_of_a_missing_library_names_what_brings_it(tmp_path, path, monkeypatch):
    pyproject = (pathlib.Path(__file__).parents[2] / "pyproject.toml").read_text()
    heads = [
        (b"ATPK", "atompack", "atompack"), (b"\x89HDF\r\n\x1a\n", "h5py", "hdf5"), (b"CDF", "MDAnalysis", "MDAnalysis"),
        (b"SQLite format 3\0", "ase", "ase"), (bytes(16) + b"\xde\xc0\xef\xbe", "ase_db_backends", "aselmdb"),
    ]  # fmt: skip
    for head, library, extra in heads:
        source = tmp_path / library
        source.write_bytes(head + bytes(600))
        with monkeypatch.context() as without:
            for name in [name for name in sys.modules if name.partition(".")[0] == library]:
                without.delitem(sys.modules, name)
            without.setitem(sys.modules, library, None)
            if library == "ase_db_backends":
                pytest.importorskip("ase")
            with pytest.raises(ImportError, match=rf'pip install "vlstore\[{extra}\]"') as caught:
                vlstore.import_(source, path)
        assert source.name in str(caught.value) and f"\n{extra} = [" in pyproject and not path.exists()


def test_progress_is_told_in_bytes_and_may_stop_the_import(tmp_path, path, monkeypatch):
    from vlstore._libraries import _fill

    monkeypatch.setattr(_fill, "_EACH", 0.0)
    source = tmp_path / "a.dump"
    source.write_text("".join(DUMP.format(step=i, time=i, z=i / 10) for i in range(100)))
    seen = []
    vlstore.import_(source, path, progress=lambda *at: seen.append(at))
    total = source.stat().st_size
    assert {all_of for _, all_of in seen} == {total} and seen[-1][0] == total
    assert sorted(seen) == seen and any(0 < done < total for done, _ in seen)

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        vlstore.import_(source, path, overwrite=True, progress=stop)
    assert len(stored(path)[0]) == 1
    assert vlstore.import_(source, path, append=True).frames == 99


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
    ({"format": "lammps-dump", "reader": {"unit": "metal"}}, "no argument 'unit'; it has units and dt"),
])
def test_what_cannot_work_is_said_and_leaves_no_store(arguments, says, tmp_path, path):
    ase = pytest.importorskip("ase")
    from ase.io import write

    write(tmp_path / "a.traj", ase.Atoms("H"))
    with pytest.raises(vlstore.Error, match=says):
        vlstore.import_(tmp_path / "a.traj", path, **arguments)
    assert not path.exists()


def test_a_topology_that_is_given_as_a_trajectory_is_called_one(path):
    source = pathlib.Path(__file__).parents[2] / "tests" / "data" / "gromacs" / "topol.tpr"
    with pytest.raises(vlstore.InvalidError, match=r"a topology \(TPR\).*--topology"):
        vlstore.import_(source, path)
    assert not path.exists()


def test_rounded_positions_are_stored_as_integers(tmp_path, path):
    ase = pytest.importorskip("ase")
    from ase.io import write

    rng = np.random.default_rng(1)
    write(tmp_path / "a.traj", [ase.Atoms("H500", rng.normal(size=(500, 3))) for _ in range(20)])
    vlstore.import_(tmp_path / "a.traj", path, precision=1000)
    frames, plain = stored(path)[0], tmp_path / "plain.vls"
    with vlstore.open(plain, "w", records="md-frame") as store:
        store.update(enumerate(frames))
    assert stored(plain)[0] == frames
    assert path.stat().st_size * 3 < plain.stat().st_size * 2


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


@pytest.mark.parametrize("size", [7, 3000])
def test_a_broken_file_of_netcdf_is_one_line(size, tmp_path, path):
    pytest.importorskip("MDAnalysis")
    source = data("mdanalysis/amber/ace_tip3p.nc", tmp_path)
    source.write_bytes(source.read_bytes()[:size])
    status, _, said = command("import", source, path)
    assert status == 1 and said.count("\n") == 1 and f"{source}: MDAnalysis cannot read it as NCDF" in said
    assert "is the file whole" in said and not path.exists()


def command(*words):
    done = subprocess.run([sys.executable, "-P", "-m", "vlstore", *map(str, words)], capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def test_the_command_says_what_to_do_with_what_is_packed_or_not_recognised(tmp_path, path):
    packed, text = tmp_path / "a.db.gz", tmp_path / "a.dump"
    packed.write_bytes(gzip.compress(b"SQLite format 3\0" + bytes(100)))
    status, _, said = command("import", packed, path)
    assert status == 1 and f"{packed}: it is compressed, and ase-db is read unpacked: gunzip -k" in said
    text.write_text("TIMESTEP\n0\n")
    status, _, said = command("import", "--reader", "units=real", text, path)
    assert status == 1 and "--reader" in said and "--format lammps-dump" in said and str(text) in said
    assert not path.exists()


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


@pytest.mark.skipif(os.name != "posix", reason="ulimit")
def test_after_a_full_disk_the_command_that_is_printed_resumes(tmp_path, path):
    """The error was that of closing the store, which did not say what had failed, and no command was named."""
    with gzip.open(pathlib.Path(__file__).parents[2] / "tests" / "data" / "argon.lammpstrj.gz", "rt") as file:
        dump = file.read()
    source = tmp_path / "two words.lammpstrj"
    source.write_text(dump * 6)
    words = [sys.executable, "-P", "-m", "vlstore", "import", "--commit-every", "20frames", "--reader", "units=metal", source, path]
    # No file grows beyond 400 blocks of 1024 bytes.
    limited = subprocess.run(
        ["bash", "-c", 'ulimit -f 400; exec "$@"', "-", *map(str, words)], capture_output=True, text=True, check=False
    )
    kept = len(stored(path)[0])
    told, error, hint = limited.stderr.splitlines()
    assert limited.returncode == 1 and 20 <= kept < 306
    assert told == f"{path}: {kept} frames stored, up to the error" and "File too large" in error
    start, _, again = hint.partition("resume: vlstore ")
    assert start == "hint: every commit is kept; free some space, then "
    status, out, _ = command(*shlex.split(again))
    assert status == 0 and f"skipped {kept} frames" in out
    vlstore.import_(source, tmp_path / "whole.vls", reader={"units": "metal"})
    frames, _, keys = stored(path)
    expected, _, expected_keys = stored(tmp_path / "whole.vls")
    assert frames == expected and keys == expected_keys and len(frames) == 306


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_command_that_is_interrupted_keeps_what_was_read(number, status, tmp_path, path):
    source = tmp_path / "long.dump"
    source.write_text("".join(DUMP.format(step=i, time=i, z=i / 10) for i in range(30_000)))
    words = [sys.executable, "-P", "-m", "vlstore", "import", "--commit-every", "50frames", str(source), str(path)]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    while process.poll() is None:
        with contextlib.suppress(vlstore.Error), vlstore.open(path) as store:
            if len(store) > 0:
                break
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    frames, _, keys = stored(path)
    assert process.returncode == status and 0 < len(frames) < 30_000 and keys == list(range(len(frames)))
    assert said.splitlines()[0] == f"interrupted: {len(frames)} frames stored in {path}"
    assert said.splitlines()[1].startswith("hint: to resume: vlstore import --append ")


def test_a_signal_that_is_dropped_while_an_object_is_freed_ends_the_import_all_the_same(tmp_path, path, monkeypatch, capsys):
    from vlstore._libraries import _command, _fill

    source = tmp_path / "long.dump"
    source.write_text("".join(DUMP.format(step=i, time=i, z=i / 10) for i in range(200)))

    class Freed:
        def __del__(self):
            signal.raise_signal(signal.SIGINT)

    show = _fill._Filling._show

    def shown(self, *words, **always):
        with contextlib.suppress(KeyboardInterrupt):
            Freed()
        show(self, *words, **always)

    monkeypatch.setattr(_fill, "_EACH", 0)
    monkeypatch.setattr(_fill._Filling, "_show", shown)
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)
    assert _command.run(["import", "--commit-every", "5frames", str(source), str(path)]) == 130
    assert "hint: to resume: vlstore import --append" in capsys.readouterr().err


def test_the_command_writes_h5md(tmp_path, path):
    h5py = pytest.importorskip("h5py")
    with vlstore.open(path, "w", records="md-frame") as store:
        store.attrs["units"] = {"length": "nm"}
        for i in range(4):
            store[i] = vlstore.MdFrame(np.full((2, 3), float(i)), time=float(i), frame_properties={"note": "n"})
    output = tmp_path / "a.h5md"
    status, out, said = command("export", "--frames", "1::2", "--fields", "positions", path, output)
    assert (status, said) == (0, "note: H5MD has no place for note\n") and "2 frames as h5md" in out
    with h5py.File(output) as file:
        position = file["particles/trajectory/position"]
        assert position["value"][:, 0, 0].tolist() == [1, 3] and "time" not in position
    assert command("export", path, output)[0] == 1
    assert command("export", "--overwrite", "--quiet", path, output) == (0, "", "")


@pytest.mark.parametrize("verb", ["import", "export"])
def test_the_command_knows_each_option_of_the_compiled_one(verb):
    from vlstore._libraries._command import export_parser, parser

    make = {"import": parser, "export": export_parser}[verb]
    ours = {word for action in make()._actions for word in action.option_strings}
    shown = command(verb, "--help")[1].split()
    theirs = {word.rstrip(",") for word in shown if word.startswith("--") and len(word) > 3}
    options = {word for word in theirs if word.strip("-").replace("-", "").isalpha()}
    assert options - ours <= {"--help"}, options - ours
