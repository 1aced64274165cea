"""TRR, DCD and PDB files hold for us what they hold for MDAnalysis, frame by frame."""

import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest

import vlstore
from conftest import DATA

HERE = Path(__file__).parents[2] / "tests" / "data"
mda = pytest.importorskip("MDAnalysis")
pytestmark = pytest.mark.filterwarnings("ignore")


def files(end, *folders):
    """Files of our own and, where they are on this machine, those of other programs."""
    own = sorted(HERE.glob(f"*.{end}"))
    return own + [file for folder in folders for file in sorted((DATA / folder).glob(f"*.{end}"))]


TRR = files("trr", "md", "chemfiles/trr", "mdanalysis", "mdanalysis/coordinates")
# MDAnalysis does not read lengths of records of 64 bits.
DCD = [f for f in files("dcd", "md", "chemfiles/dcd", "mdanalysis", "mdanalysis/coordinates")
       if "64bit" not in f.name]


def ours(file, folder):
    store = folder / "frames.vls"
    vlstore.import_(file, store)
    with vlstore.open(store) as opened:
        return [opened.at[i] for i in range(len(opened))], opened.attrs["units"]


def theirs(file, folder, reader, **options):
    """MDAnalysis leaves index files beside its input: it gets a copy."""
    copy = folder / file.name
    shutil.copyfile(file, copy)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return reader(str(copy), convert_units=False, **options)


def vectors(step):
    from MDAnalysis.lib.mdamath import triclinic_vectors

    return None if step.dimensions is None else triclinic_vectors(step.dimensions)


@pytest.mark.parametrize("file", TRR, ids=lambda f: f"{f.parent.name}-{f.name}")
def test_trr_frames_are_those_of_mdanalysis(file, tmp_path):
    from MDAnalysis.lib.formats.libmdaxdr import TRRFile

    frames, units = ours(file, tmp_path)
    assert (units["length"], units["time"], units["force"]) == ("nm", "ps", "kJ/mol/nm")
    copy = tmp_path / file.name
    shutil.copyfile(file, copy)
    with TRRFile(str(copy)) as raw:
        assert len(frames) == len(raw) > 0
        for frame, step in zip(frames, raw, strict=True):
            assert frame.step == step.step
            assert frame.time == pytest.approx(step.time, rel=1e-6)
            lam = float(np.asarray(frame.frame_properties["lambda"]))
            assert lam == pytest.approx(step.lmbda, abs=1e-7)
            for mine, there, values in [
                (frame.positions, step.hasx, step.x),
                (frame.velocities, step.hasv, step.v),
                (frame.forces, step.hasf, step.f),
            ]:
                assert (mine is not None) == there
                if there:
                    # MDAnalysis narrows to 32 bits.
                    assert np.array_equal(np.asarray(mine, np.float32), values)
            # MDAnalysis keeps the box of an earlier frame for one that has none.
            if frame.cell is not None:
                assert np.array_equal(np.asarray(frame.cell, np.float32).ravel(), step.box.ravel())


@pytest.mark.parametrize("file", DCD, ids=lambda f: f"{f.parent.name}-{f.name}")
def test_dcd_frames_are_those_of_mdanalysis(file, tmp_path):
    from MDAnalysis.coordinates.DCD import DCDReader
    from MDAnalysis.lib.formats.libdcd import DCDFile

    frames, units = ours(file, tmp_path)
    assert (units["length"], units["time"]) == ("angstrom", "ps")
    copy = tmp_path / file.name
    shutil.copyfile(file, copy)
    with DCDFile(str(copy)) as raw:
        # Each frame is given in the same memory.
        header, steps = raw.header, [step.xyz.copy() for step in raw]
    # The reader above it, which knows what the numbers of the cell mean, refuses a fourth coordinate.
    flat = steps[0].shape[1] == 3
    sizes_of = [s.dimensions.copy() if s.dimensions is not None else None
                for s in theirs(file, tmp_path, DCDReader)] if flat else []
    assert len(frames) == len(steps) > 0
    for number, (frame, step) in enumerate(zip(frames, steps, strict=True)):
        assert np.array_equal(frame.positions, step[:, :3])
        # MDAnalysis does not fill the fourth column, which it has.
        assert flat or frame.atom_properties["w"].shape == (frame.nsites,)
        # CHARMM's unit of time is 48.88821 fs.
        if header["nsavc"] > 0:
            assert frame.step == header["istart"] + number * header["nsavc"]
            if header["delta"] > 0:
                time = frame.step * header["delta"] * 0.04888821
                assert frame.time == pytest.approx(time, rel=1e-6)
        sizes = sizes_of[number] if flat else None
        if frame.cell is None:
            assert sizes is None or not np.any(sizes[:3])
            continue
        cell = np.asarray(frame.cell, float).reshape(3, 3)
        lengths = np.linalg.norm(cell, axis=1)
        unit = cell / lengths[:, None]
        angles = np.degrees(np.arccos([unit[1] @ unit[2], unit[0] @ unit[2], unit[0] @ unit[1]]))
        np.testing.assert_allclose([*lengths, *angles], sizes, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("name", ["cell_shapes.trr", "cell_shapes_d.trr", "fixed-atoms.dcd"])
def test_what_is_exported_reads_in_mdanalysis_as_the_source(name, tmp_path):
    from MDAnalysis.coordinates.DCD import DCDReader
    from MDAnalysis.coordinates.TRR import TRRReader

    file = HERE / name
    reader = TRRReader if file.suffix == ".trr" else DCDReader
    ours(file, tmp_path)
    out = tmp_path / f"out{file.suffix}"
    vlstore.export(tmp_path / "frames.vls", out)
    before, after = theirs(file, tmp_path, reader), reader(str(out), convert_units=False)
    assert before.n_frames == after.n_frames
    for a, b in zip(before, after, strict=True):
        assert np.array_equal(a.positions, b.positions)
        assert a.time == pytest.approx(b.time, rel=1e-6)
        if a.dimensions is not None:
            np.testing.assert_allclose(vectors(a), vectors(b), atol=1e-4)


@pytest.mark.parametrize("to", ["trr", "dcd"])
def test_units_are_converted_between_formats(to, tmp_path):
    from MDAnalysis.coordinates.DCD import DCDReader
    from MDAnalysis.coordinates.TRR import TRRReader

    store = tmp_path / "frames.vls"
    vlstore.import_(HERE / "ala2-npt-peptide.xtc", store)
    out = tmp_path / f"out.{to}"
    # The cell of this run is that of GROMACS: the first vector along x.
    vlstore.export(store, out, frames=slice(0, 5))
    reader = {"trr": TRRReader, "dcd": DCDReader}[to](str(out), convert_units=True)
    with vlstore.open(store) as opened:
        for number, step in enumerate(reader):
            frame = opened.at[number]
            np.testing.assert_allclose(step.positions, frame.positions * 10, atol=1e-4)
            assert step.time == pytest.approx(frame.time, abs=1e-5)
            np.testing.assert_allclose(vectors(step), np.asarray(frame.cell) * 10, atol=1e-3)


PDB = sorted((DATA / "md").glob("*.pdb")) + sorted((DATA / "mdtraj").glob("*.pdb"))
SMALL = """\
TITLE     Two models
CRYST1   20.000   30.000   40.000  90.00  90.00  60.00 P 1           1
MODEL        1
ATOM      1  N   ALA A   1      11.104   6.134  -6.504  1.00  0.50           N
ATOM      2  CA AALA A   1      11.639   6.071  -5.147  0.60  1.50           C
ATOM      3  CA BALA A   1      11.640   6.072  -5.148  0.40  1.50           C
TER       4      ALA A   1
HETATM    5  O   HOH B   7      -1.000  -2.000 999.999  1.00  0.00           O
ENDMDL
MODEL        2
ATOM      1  N   ALA A   1      12.104   6.134  -6.504  1.00  0.50           N
ATOM      2  CA AALA A   1      11.639   6.071  -5.147  0.60  1.50           C
ATOM      3  CA BALA A   1      11.640   6.072  -5.148  0.40  1.50           C
TER       4      ALA A   1
HETATM    5  O   HOH B   7      -1.000  -2.000 999.999  1.00  0.00           O
ENDMDL
CONECT    1    2    3
END
"""


@pytest.fixture
def small(tmp_path):
    file = tmp_path / "small.pdb"
    file.write_text(SMALL)
    return file


def same_as_mdanalysis(file, folder):
    universe = mda.Universe(str(file))
    frames, units = ours(file, folder)
    assert units["length"] == "angstrom"
    assert len(frames) == len(universe.trajectory)
    for frame, step in zip(frames, universe.trajectory, strict=True):
        np.testing.assert_allclose(frame.positions, step.positions, atol=1e-4)
        # CRYST1 of the file holds for all its models here, in MDAnalysis for the first.
        assert frame.cell is not None or step.dimensions is None
        if step.dimensions is not None:
            np.testing.assert_allclose(frame.cell, vectors(step), atol=1e-3)
    topology = frames[0].topology
    assert list(topology.names) == list(universe.atoms.names)
    assert list(topology.residue_names) == list(universe.residues.resnames)
    assert list(topology.residue_ids) == list(universe.residues.resids)
    assert list(topology.residues) == list(universe.atoms.resindices)
    if hasattr(universe, "bonds"):
        bonds = sorted(sorted(pair) for pair in universe.bonds.indices.tolist())
        assert sorted(sorted(pair) for pair in topology.bonds.tolist()) == bonds
    if hasattr(universe.atoms, "elements") and any(universe.atoms.elements):
        from ase.data import atomic_numbers

        assert list(topology.types) == [atomic_numbers[e] for e in universe.atoms.elements]
    return frames


@pytest.mark.parametrize("file", PDB, ids=lambda f: f.name)
def test_pdb_structures_are_those_of_mdanalysis(file, tmp_path):
    copy = tmp_path / file.name
    shutil.copyfile(file, copy)
    same_as_mdanalysis(copy, tmp_path)


def test_models_bonds_and_alternate_locations_are_those_of_mdanalysis(small, tmp_path):
    frames = same_as_mdanalysis(small, tmp_path)
    assert len(frames) == 2
    assert list(frames[0].topology.atom_properties["altloc"]) == ["", "A", "B", ""]


def test_a_pdb_names_the_atoms_of_a_trajectory_and_chooses_them(small, tmp_path):
    run, store, out = tmp_path / "run.trr", tmp_path / "run.vls", tmp_path / "protein.dcd"
    vlstore.import_(small, tmp_path / "pdb.vls")
    vlstore.export(tmp_path / "pdb.vls", run)
    vlstore.import_(run, store, topology=small)
    done = vlstore.export(store, out, atoms_of="protein")
    assert (done.frames, done.format) == (2, "dcd")
    cut = mda.coordinates.DCD.DCDReader(str(out), convert_units=False)
    assert cut.n_atoms == 3
    np.testing.assert_allclose(cut[1].positions[0], [12.104, 6.134, -6.504], atol=1e-4)
    vlstore.export(store, out, atoms=slice(-1, None), overwrite=True)
    assert mda.coordinates.DCD.DCDReader(str(out)).n_atoms == 1
    with pytest.raises(vlstore.InvalidError, match="none is in residues of the kind nucleic"):
        vlstore.export(store, tmp_path / "no.trr", atoms_of="nucleic")
    with pytest.raises(vlstore.InvalidError, match="not both"):
        vlstore.export(store, tmp_path / "no.trr", atoms=slice(0, 1), atoms_of="water")
    with pytest.raises(vlstore.FormatError, match="topology that was given has 4"):
        vlstore.import_(HERE / "cell_shapes.trr", tmp_path / "no.vls", topology=small)
