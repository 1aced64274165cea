"""MDTraj reads and writes stores as it does its own formats."""

import shutil

import numpy as np
import pytest

import vlstore
from conftest import DATA

md = pytest.importorskip("mdtraj")

import vlstore.plugins.mdtraj as vmd  # noqa: E402

pytestmark = pytest.mark.filterwarnings("error:other programs see:RuntimeWarning")


def same(a, b, exact=True):
    assert (a.n_frames, a.n_atoms) == (b.n_frames, b.n_atoms)
    assert np.array_equal(a.xyz, b.xyz) and np.array_equal(a.time, b.time)
    assert (a.unitcell_lengths is None) == (b.unitcell_lengths is None)
    if a.unitcell_lengths is not None:
        close = np.array_equal if exact else lambda x, y: np.allclose(x, y, rtol=1e-6)
        assert close(a.unitcell_lengths, b.unitcell_lengths) and close(a.unitcell_angles, b.unitcell_angles)


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """A real trajectory in a triclinic box, and the store that was imported from it."""
    folder = tmp_path_factory.mktemp("real")
    for name in ("ala2-npt.gro", "ala2-npt.trr"):
        if not (DATA / "md" / name).exists():
            pytest.skip(f"{name} is not on this machine")
        shutil.copyfile(DATA / "md" / name, folder / name)
    vlstore.import_(folder / "ala2-npt.trr", folder / "run.vls", topology=folder / "ala2-npt.gro")
    return folder / "ala2-npt.gro", folder / "ala2-npt.trr", folder / "run.vls"


def test_frames_are_those_that_mdtraj_reads(real):
    gro, trr, store = real
    theirs = md.load(trr, top=gro)
    same(md.load(store, top=gro), theirs, exact=False)
    ours = vmd.load(store)
    same(ours, theirs, exact=False)
    names = lambda traj: [(a.residue.resSeq, a.element.symbol) for a in traj.top.atoms]  # noqa: E731
    assert names(ours) == names(theirs)
    # MDTraj renames known residues and their atoms when it reads the file; the store has the names of the file.
    assert [atom.name for atom in ours.top.atoms][:3] == ["CH3", "HH31", "HH32"] and ours.top.n_bonds > 10
    assert len(ours.top.select("water")) == 1302
    atoms = ours.top.select("name CA or resname NME")
    assert len(atoms) == 7
    # Parts are taken from the whole: MDTraj 1.11 writes beyond an array when it reads some atoms of a TRR file.
    for options, part in (
        ({"stride": 7}, theirs[::7]),
        ({"atom_indices": atoms}, theirs.atom_slice(atoms)),
        ({"stride": 50, "atom_indices": atoms}, theirs.atom_slice(atoms)[::50]),
    ):
        same(vmd.load(store, **options), part, exact=False)
        same(md.load(store, top=ours.top, **options), vmd.load(store, **options))
    same(md.load_frame(store, 7), theirs[7], exact=False)
    same(vmd.load(store, frame=-1), theirs[-1], exact=False)
    for options, lengths in (
        ({"chunk": 60}, [60, 60, 60, 21]), ({"chunk": 13, "stride": 5}, [13, 13, 13, 2]),
        ({"chunk": 50, "skip": 170}, [31]), ({"chunk": 0, "skip": 195}, [6]), ({"skip": 500}, []),
    ):
        parts = list(vmd.iterload(store, **options))
        assert [len(part) for part in parts] == lengths
        if parts:
            same(md.join(parts), theirs[options.get("skip", 0) :: options.get("stride", 1)], exact=False)
        for a, b in zip(parts, md.iterload(store, top=gro, **options), strict="skip" not in options):
            same(a, b)


def test_a_store_is_a_file_of_mdtraj(real):
    with md.open(real[2]) as file:
        assert len(file) == file.n_frames == 201 and file.n_atoms == 1324
        xyz, time, lengths, angles = file.read(3)
        assert xyz.shape == (3, 1324, 3) and time.tolist() == [0, 0.5, 1] and file.tell() == 3
        assert lengths.shape == angles.shape == (3, 3) and lengths[0] == pytest.approx([2.66744] * 3, rel=1e-5)
        file.seek(-1, 2)
        assert len(file.read()[0]) == 1 and len(file.read()[0]) == 0 and file.tell() == 201
        file.seek(10)
        file.seek(-5, 1)
        assert file.read(1)[1].tolist() == [2.5]
        with pytest.raises(vlstore.InvalidError, match="201 frames, not a frame 202"):
            file.seek(202)
        with pytest.raises(vlstore.InvalidError, match="open for reading"):
            file.write(xyz)


def made_up(frames=5, cell=True):
    random = np.random.default_rng(0)
    top = md.Topology()
    first, second = top.add_chain("A"), top.add_chain("B")
    ala, water = top.add_residue("ALA", first, 7, "PROT"), top.add_residue("HOH", second, -2)
    atoms = [
        top.add_atom("N", md.element.nitrogen, ala, serial=11), top.add_atom("CA", md.element.carbon, ala, serial=12),
        top.add_atom("O", md.element.oxygen, water, serial=3), top.add_atom("M", md.element.virtual, water, serial=4),
    ]
    top.add_bond(atoms[0], atoms[1], order=2)
    top.add_bond(atoms[2], atoms[3], order=1)
    box = {"unitcell_lengths": random.uniform(2, 3, (frames, 3)), "unitcell_angles": random.uniform(70, 110, (frames, 3))}
    xyz = random.normal(size=(frames, 4, 3)).astype("f4")
    return md.Trajectory(xyz, top, time=np.arange(frames) * 0.1, **(box if cell else {}))


def test_what_is_saved_is_loaded_again(tmp_path):
    path = tmp_path / "a.vls"
    for cell in (True, False):
        traj = made_up(150, cell)
        vmd.save(traj, path)
        back = vmd.load(path)
        same(back, traj, exact=False)
        assert back.top == traj.top and vlstore.open(path).at[-1].pbc == ((True, True, True) if cell else None)
        assert [chain.chain_id for chain in back.top.chains] == ["A", "B"]
        assert [residue.segment_id for residue in back.top.residues] == ["PROT", ""]
        assert [atom.serial for atom in back.top.atoms] == [11, 12, 3, 4]
        assert [bond.order for bond in back.top.bonds] == [2, 1]
    vmd.save(traj, path, append=True)
    store = vlstore.open(path)
    assert store.at[0].pbc is None and vmd.load(path).unitcell_lengths is None
    assert len(store) == 300 and len(store.topologies()) == 1 and store.attrs["units"]["length"] == "nm"
    vmd.save(traj[3], path, precision=100)
    (frame,) = vlstore.open(path).at
    assert frame.precision == 100 and np.array_equal(frame.positions, np.rint(traj.xyz[3] * 100) * np.float32(0.01))
    with pytest.raises(vlstore.StoreExistsError, match="force_overwrite"):
        vmd.save(traj, path, force_overwrite=False)
    with md.open(tmp_path / "b.vls", "w") as file:
        file.write(traj.xyz[0])
        file.write(traj.xyz[1:3], time=[1.0, 2.0])
        file.flush()
        with pytest.raises(vlstore.InvalidError, match="open for writing"):
            file.read()
        with pytest.raises(vlstore.InvalidError, match="give both"):
            file.write(traj.xyz, cell_lengths=np.ones((150, 3)))
    with pytest.warns(UserWarning, match="frames with a time and frames without"):
        assert np.array_equal(vmd.load(tmp_path / "b.vls", top=traj).xyz, traj.xyz[:3])


def frames_of(path, *frames, units=None):
    with vlstore.open(path, "w", records="md-frame") as store:
        store.attrs["units"] = units or {"length": "angstrom", "time": "fs"}
        store.push_many(frames)
    return path


def test_units_and_stores_that_do_not_fit(tmp_path):
    frame = vlstore.MdFrame(
        np.arange(6.0).reshape(2, 3), types=[8, 1], masses=[16, 2], time=500.0, cell=[20, 30, 40], pbc=True
    )
    path = frames_of(tmp_path / "a.vls", frame, frame.replace(pbc=False, time=600.0))
    with pytest.warns(UserWarning, match="frames with a cell and frames without"):
        traj = vmd.load(path)
    assert np.allclose(traj.xyz[0], np.arange(6).reshape(2, 3) / 10) and traj.time.tolist() == [0.5, 0.6]
    assert [atom.element.symbol for atom in traj.top.atoms] == ["O", "H"] and traj.unitcell_lengths is None
    assert np.allclose(vmd.load(path, frame=0).unitcell_lengths, [[2, 3, 4]])
    beads = vmd.topology(frames_of(tmp_path / "beads.vls", frame.replace(masses=[72.0, 72.0])))
    assert [atom.element.symbol for atom in beads.atoms] == ["VS", "VS"]
    with pytest.raises(vlstore.InvalidError, match="length in angstrom"):
        vmd.save(made_up(), path, append=True)
    frames_of(path, frame, vlstore.MdFrame(np.zeros((3, 3))), vlstore.MdFrame(types=[1, 1]))
    with pytest.raises(vlstore.InvalidError, match="frame 1 of .*a.vls has 3 atoms, the first one has 2"):
        vmd.load(path)
    with pytest.raises(vlstore.InvalidError, match="frame 2 of .*a.vls has no positions"):
        vmd.load(path, frame=2)
    frames_of(path)
    for refused in (vmd.load, vmd.topology, lambda path: vmd.VlsTrajectoryFile(path).n_atoms):
        with pytest.raises(vlstore.InvalidError, match="a.vls has no frame yet"):
            refused(path)
    with pytest.raises(vlstore.InvalidError, match="mode must be r, w or a"):
        md.open(path, "x")
