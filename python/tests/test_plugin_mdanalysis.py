"""MDAnalysis reads and writes stores as it does its own formats."""

import multiprocessing
import pickle
import shutil

import numpy as np
import pytest

import vlstore
import vlstore_workers
from conftest import DATA

mda = pytest.importorskip("MDAnalysis")

from MDAnalysis.analysis.rms import RMSD  # noqa: E402
from MDAnalysis.transformations import translate  # noqa: E402

from vlstore.plugins.mdanalysis import Reader, Writer  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("error:other programs see:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Reader has no dt information"),
    pytest.mark.filterwarnings("ignore:Failed to guess the mass"),
    pytest.mark.filterwarnings("ignore:there is no reference attributes"),
]
ARRAYS = ("positions", "velocities", "forces")
NM_PS = {"length": "nm", "time": "ps", "velocity": "nm/ps", "energy": "kJ/mol", "force": "kJ/mol/nm"}


def assert_same_frame(a, b):
    for name in ARRAYS:
        assert getattr(a, f"has_{name}") == getattr(b, f"has_{name}")
        if getattr(a, f"has_{name}"):
            assert np.array_equal(getattr(a, name), getattr(b, name)), name
    assert np.array_equal(a.dimensions, b.dimensions) if a.dimensions is not None else b.dimensions is None
    assert (a.time, a.data.get("step"), a.dt, a.frame) == (b.time, b.data.get("step"), b.dt, b.frame)


@pytest.fixture(scope="module", params=["xtc", "trr"])
def real(request, tmp_path_factory):
    """A real trajectory, and the store that was imported from it."""
    folder = tmp_path_factory.mktemp("real")
    for name in ("ala2-npt.gro", f"ala2-npt.{request.param}"):
        if not (DATA / "md" / name).exists():
            pytest.skip(f"{name} is not on this machine")
        shutil.copyfile(DATA / "md" / name, folder / name)
    gro, source = folder / "ala2-npt.gro", folder / f"ala2-npt.{request.param}"
    vlstore.import_(source, folder / "run.vls", topology=gro)
    return gro, source, folder / "run.vls"


def test_frames_are_those_of_the_own_readers_bit_by_bit(real):
    gro, source, store = real
    theirs, ours = mda.Universe(gro, source), mda.Universe(gro, store)
    assert len(ours.trajectory) == len(theirs.trajectory) == ours.trajectory.n_frames
    for a, b in zip(theirs.trajectory[::7], ours.trajectory[::7], strict=True):
        assert_same_frame(a, b)
    for i in (150, 3, -1, 77):
        assert_same_frame(theirs.trajectory[i], ours.trajectory[i])
    chosen = "name CH3 or resname NME"
    for options in ({}, {"start": 5, "stop": 150, "step": 3}, {"stop": 5, "order": "afc"}):
        series = ours.trajectory.timeseries(atomgroup=ours.select_atoms(chosen), **options)
        assert np.array_equal(series, theirs.trajectory.timeseries(atomgroup=theirs.select_atoms(chosen), **options))
    assert np.array_equal(ours.trajectory.timeseries(step=-50), ours.trajectory.timeseries()[::-50])
    assert np.array_equal(ours.trajectory.timeseries(stop=3), theirs.trajectory.timeseries(stop=3))
    ours.trajectory.add_transformations(translate([1, 2, 3]))
    moved = ours.trajectory.timeseries(stop=2)
    assert np.allclose(moved, theirs.trajectory.timeseries(stop=2) + [1, 2, 3], atol=1e-4)


def test_a_store_that_has_its_topology_is_a_universe(real):
    gro, source, store = real
    theirs, ours = mda.Universe(gro, source), mda.Universe(store)
    for name in ("names", "resids", "resnames", "ids"):
        assert getattr(ours.atoms, name).tolist() == getattr(theirs.atoms, name).tolist(), name
    assert ours.atoms.segids.tolist() == theirs.atoms.segids.tolist()
    assert (len(ours.residues), len(ours.segments)) == (len(theirs.residues), 1)
    assert len(ours.select_atoms("protein")) == 22


def test_a_universe_travels_to_other_processes(real):
    universe = mda.Universe(real[2])
    universe.trajectory[5]
    other = pickle.loads(pickle.dumps(universe))
    assert other.trajectory.ts.frame == 5 and np.array_equal(other.atoms.positions, universe.atoms.positions)
    other.trajectory[9]
    assert universe.trajectory.frame == 5
    copy = universe.copy()
    assert_same_frame(copy.trajectory.ts, universe.trajectory.ts)
    copy.trajectory[2]
    assert universe.trajectory.frame == 5
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found = pool.map(vlstore_workers.centre_of, [(universe, 3), (universe, 7)])
    for frame, centre in zip((3, 7), found, strict=True):
        universe.trajectory[frame]
        assert np.array_equal(universe.atoms.positions.mean(0), centre)


@pytest.mark.skipif(not hasattr(RMSD, "get_supported_backends"), reason="MDAnalysis before 2.8 has no backends")
def test_analysis_in_parallel(real):
    universe = mda.Universe(real[2])
    backbone = universe.select_atoms("protein and name CH3 C CA N O")
    serial = RMSD(backbone).run(stop=40)
    parallel = RMSD(backbone).run(stop=40, backend="multiprocessing", n_workers=2)
    assert np.array_equal(serial.results.rmsd, parallel.results.rmsd) and serial.results.rmsd.shape == (40, 3)


def test_a_reader_does_what_mdanalysis_asks_of_all(real, tmp_path):
    universe = mda.Universe(real[2])
    reader, first = universe.trajectory, universe.trajectory.ts.copy()
    (tmp_path / "data.xvg").write_text("".join(f"{i * 2 * reader.dt} {i}\n" for i in range(4)))
    reader.add_auxiliary("every_other", str(tmp_path / "data.xvg"))
    reader[50]
    assert [ts.frame for ts in reader.iter_as_aux("every_other")] == [0, 2, 4, 6]
    reader.remove_auxiliary("every_other")
    assert reader.next().frame == 7 and next(iter(reader)).frame == 0 and reader.next().frame == 1
    with pytest.raises(StopIteration):
        reader[-1]
        reader.next()
    assert reader.frame == 0  # at its end it goes back, as all do
    reader.close()
    reader.close()
    reader._reopen()
    assert_same_frame(reader.next(), first)
    with pytest.warns(DeprecationWarning, match="asel argument"):
        reader.timeseries(asel=universe.atoms[:2], stop=1)
    with pytest.raises(ValueError, match="both asel and atomgroup"):
        reader.timeseries(asel=universe.atoms, atomgroup=universe.atoms)


def made_up(n=5, frames=4, **attributes):
    """A universe with everything, in memory."""
    random = np.random.default_rng(3)
    universe = mda.Universe.empty(
        n, n_residues=2, n_segments=2, atom_resindex=[0, 0, 0, 1, 1][:n], residue_segindex=[1, 0], trajectory=True,
        velocities=True, forces=True,
    )
    every = {
        "names": ["N", "CA", "C", "X", "Y"], "elements": ["N", "C", "C", "", "Na"], "types": ["n", "ct", "c", "x", "na"],
        "masses": [14.0, 12.0, 12.0, 1.5, 23.0], "charges": random.normal(size=5), "ids": [7, 8, 9, 1, 2],
        "resids": [10, -3], "resnames": ["ALA", "IONS"], "segids": ["B", "A"], "icodes": ["", "A"],
        "occupancies": random.random(5), "tempfactors": random.random(5), "altLocs": ["", "A", "B", "", ""],
        "chainIDs": ["P"] * 3 + ["Q"] * 2, "record_types": ["ATOM"] * 3 + ["HETATM"] * 2, "formalcharges": [0, 0, 0, 0, 1],
        "radii": random.random(5),
    } | attributes
    for name, values in every.items():
        universe.add_TopologyAttr(name, values)
    universe.add_bonds([(0, 1), (1, 2), (3, 4)])
    shape = (frames, n, 3)
    universe.load_new(
        random.normal(size=shape).astype("f4"), velocities=random.normal(size=shape).astype("f4"),
        forces=random.normal(size=shape).astype("f4"), dimensions=[20.3, 21.1, 22.7, 71.3, 83.7, 97.1], dt=0.3,
    )
    return universe, every


def test_what_is_written_is_read_again(tmp_path):
    universe, every = made_up()
    with mda.Writer(str(tmp_path / "a.vls"), n_atoms=5) as writer:
        assert isinstance(writer, Writer)
        for ts in universe.trajectory:
            ts.data |= {"energy": -1.5 * ts.frame, "step": 10 * ts.frame, "temperature": 300.0, "tag": "x"}
            writer.write(universe.atoms)
    back = mda.Universe(tmp_path / "a.vls")
    assert isinstance(back.trajectory, Reader)
    for a, b in zip(universe.trajectory, back.trajectory, strict=True):
        for name in ARRAYS:
            assert np.array_equal(getattr(a, name), getattr(b, name)), name
        assert np.array_equal(a.dimensions, b.dimensions) and b.time == pytest.approx(a.time) and b.dt == a.dt
        assert (b.data["energy"], b.data["step"]) == (-1.5 * a.frame, 10 * a.frame)
        assert b.data["temperature"] == 300.0 and b.data["tag"] == "x"
    for name, values in every.items():
        group = back.segments if name == "segids" else back.residues if name in ("resids", "resnames", "icodes") else back.atoms
        assert getattr(group, name).tolist() == list(values), name
    assert sorted(map(tuple, back.bonds.indices.tolist())) == [(0, 1), (1, 2), (3, 4)]
    assert back.atoms.segids.tolist() == ["A", "A", "A", "B", "B"]
    store = vlstore.open(tmp_path / "a.vls")
    assert len(store.topologies()) == 1 and store.attrs["units"]["velocity"] == "angstrom/ps"
    vlstore.export(store, tmp_path / "a.trr")
    trr = mda.Universe(tmp_path / "a.vls", tmp_path / "a.trr")
    for a, b in zip(back.trajectory, trr.trajectory, strict=True):
        assert all(np.allclose(getattr(a, name), getattr(b, name), rtol=1e-6) for name in ARRAYS)


def test_parts_of_a_universe_are_written(tmp_path):
    universe, _ = made_up()
    path = str(tmp_path / "a.vls")
    universe.atoms[[2, 1, 4]].write(path, frames=universe.trajectory[1:3])
    part = mda.Universe(path)
    assert part.atoms.names.tolist() == ["C", "CA", "Y"] and part.bonds.indices.tolist() == [[0, 1]]
    assert part.atoms.resnames.tolist() == ["ALA", "ALA", "IONS"]
    universe.trajectory[2]
    assert np.array_equal(part.trajectory[1].positions, universe.atoms.positions[[2, 1, 4]])
    with Writer(path, 3, append=True, velocities=False, forces=False, topology=False, precision=100) as writer:
        writer.write(universe.atoms[:3])
        with pytest.raises(vlstore.InvalidError, match="written with 3 atoms, not 5"):
            writer.write(universe)
        with pytest.raises(TypeError, match="AtomGroup or a Universe"):
            writer.write([1])
    last = mda.Universe(path).trajectory[-1]
    assert not last.has_velocities and len(mda.Universe(path).trajectory) == 3
    assert np.allclose(last.positions, universe.atoms.positions[:3], atol=0.0051)
    assert np.array_equal(last.positions, np.rint(last.positions * 100) * np.float32(0.01))
    with part.trajectory.Writer(str(tmp_path / "b.vls")) as writer:
        assert writer.n_atoms == 3


def frames_of(path, *frames, units=NM_PS):
    with vlstore.open(path, "w", records="md-frame") as store:
        if units:
            store.attrs["units"] = units
        store.push_many(frames)
    return path


def test_units_times_and_boxes(tmp_path):
    x = np.arange(6.0).reshape(2, 3)
    frame = vlstore.MdFrame(
        x, velocities=x, forces=x, energy=2.0, stress=np.eye(3), time=3.0, step=4, types=[8, 1], cell=[2, 3, 4],
        pbc=[True, True, False],
    )
    path = frames_of(tmp_path / "a.vls", frame, frame.replace(time=3.5, pbc=False), frame.replace(cell=None, time=None))
    first, second, third = (ts.copy() for ts in mda.Universe(path).trajectory)
    assert np.array_equal(first.positions, x * 10) and np.array_equal(first.velocities, x * 10)
    assert np.allclose(first.forces, x / 10) and first.dimensions.tolist() == [20, 30, 40, 90, 90, 90]
    assert (first.time, first.dt, first.data["step"], first.data["energy"]) == (3, 0.5, 4, 2)
    assert np.allclose(first.data["stress"], np.eye(3) / 1000)
    assert second.dimensions is None and third.dimensions is None and third.time == 1.0
    plain = mda.Universe(path, convert_units=False, dt=2.0).trajectory
    assert np.array_equal(plain[1].positions, x) and plain[1].time == 2.0
    universe = mda.Universe(path)
    assert universe.atoms.elements.tolist() == ["O", "H"] and universe.atoms.names.tolist() == ["O", "H"]
    with pytest.raises(vlstore.InvalidError, match="length in nm.*angstrom"):
        Writer(path, 2, append=True)
    with pytest.warns(UserWarning, match="bare.vls does not state its units"):
        mda.Universe(frames_of(tmp_path / "bare.vls", frame, units=None))
    turned = frame.replace(cell=[[0, 2, 2], [2, 0, 2], [2, 2, 0]])
    with pytest.warns(UserWarning, match="cell of frame 0 .*not in the orientation"):
        mda.Universe(frames_of(tmp_path / "turned.vls", turned))
    beads = frame.replace(masses=[72.0, 72.0])
    assert not hasattr(mda.Universe(frames_of(tmp_path / "beads.vls", beads)).atoms, "elements")


def test_stores_that_do_not_fit_are_refused(tmp_path):
    small, large = vlstore.MdFrame(np.zeros((1, 3))), vlstore.MdFrame(np.zeros((2, 3)))
    universe = mda.Universe(frames_of(tmp_path / "a.vls", small, small, large))
    with pytest.raises(vlstore.InvalidError, match="frame 2 of .*a.vls has 2 atoms, the first one has 1"):
        universe.trajectory[2]
    with pytest.raises(vlstore.InvalidError, match="frame 2 of .*a.vls has 2 atoms"):
        universe.trajectory.timeseries()
    frames_of(tmp_path / "none.vls")
    for refused in (Reader, Reader.parse_n_atoms):
        with pytest.raises(vlstore.InvalidError, match="none.vls has no frame yet"):
            refused(tmp_path / "none.vls")
    with pytest.raises(ValueError, match="at least one atom"):
        Writer(tmp_path / "b.vls", 0)
    with pytest.raises(vlstore.InvalidError, match="precision must be positive"):
        Writer(tmp_path / "b.vls", 1, precision=0)


def test_a_store_is_followed_while_another_process_writes(tmp_path):
    path = tmp_path / "run.vls"
    frames_of(path, vlstore.MdFrame(np.zeros((2, 3)), step=0, time=0.0))
    universe = mda.Universe(path)
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=vlstore_workers.simulate, args=(path, 60))
    process.start()
    try:
        seen = []
        for ts in universe.trajectory.follow(timeout=30, poll=0.02):
            assert ts.positions[0, 0] == 10.0 * ts.frame and ts.time == ts.frame
            seen.append(ts.frame)
            if len(seen) == 61:
                break
        assert seen == list(range(61)) and universe.trajectory.n_frames == 61
    finally:
        process.join(30)
    assert process.exitcode == 0
    assert [ts.frame for ts in universe.trajectory.follow(start=58, timeout=0.05, poll=0.01)] == [58, 59, 60]
    with vlstore.open(path, "a", records="md-frame") as store:
        assert store.drop_from(step=50) == 11
    reader, looks = universe.trajectory, []
    refresh = reader.refresh
    reader.refresh = lambda: looks.append(refresh()) or looks[-1]
    assert [ts.frame for ts in reader.follow(start=55, timeout=0.2, poll=0.05)] == [55, 56, 57, 58, 59, 60]
    assert looks[0] == -11 and set(looks[1:]) == {0} and len(looks) < 10 and len(reader) == 50
