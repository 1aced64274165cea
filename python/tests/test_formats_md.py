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
    # The file itself: the reader above it keeps the box of an earlier frame for one that has none.
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
            if frame.cell is None:
                assert not step.hasbox or not np.any(step.box)
            else:
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
        header, steps = raw.header, list(raw)
    # The reader above it, which knows what the numbers of the cell mean, refuses a fourth coordinate.
    flat = steps[0].xyz.shape[1] == 3
    sizes_of = [s.dimensions for s in theirs(file, tmp_path, DCDReader)] if flat else []
    assert len(frames) == len(steps) > 0
    for number, (frame, step) in enumerate(zip(frames, steps, strict=True)):
        assert np.array_equal(frame.positions, step.xyz[:, :3])
        if not flat:
            assert np.array_equal(frame.atom_properties["w"], step.xyz[:, 3])
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
