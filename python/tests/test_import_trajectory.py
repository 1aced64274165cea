"""Trajectories into a store from Python: resumed, watched, stopped."""

import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

import vlstore

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"
WATER = ROOT / "cli" / "data" / "ala2-npt-160.xtc"


def frames(store):
    with vlstore.open(store) as opened:
        return [opened.at[i] for i in range(len(opened))]


def test_an_import_is_resumed_and_tells_what_it_did(tmp_path):
    store = tmp_path / "a.vls"
    first = [DATA / "replica-a.xtc", DATA / "replica-b-first5.xtc"]
    done = vlstore.import_(first, store, commit_frames=4)
    assert (done.frames, done.skipped, done.dropped, done.records, done.notes) == (15, 0, 0, 15, [])
    both = [DATA / "replica-a.xtc", DATA / "replica-b.xtc"]
    done = vlstore.import_(both, store, append=True)
    assert (done.frames, done.skipped, done.records) == (5, 15, 20)
    assert "20 in all" in repr(done)
    steps = [frame.step for frame in frames(store)]
    assert steps == [frame.step for frame in frames(store)[:10]] * 2
    with pytest.raises(vlstore.StoreExistsError):
        vlstore.import_(both, store)


def test_what_cannot_be_settled_raises_with_a_reason(tmp_path):
    store = tmp_path / "a.vls"
    with vlstore.open(store, "w", records="md-frame") as opened:
        opened.put_frames(np.zeros((3, 20, 3), np.float32))
    with pytest.raises(vlstore.ResumeError) as refused:
        vlstore.import_(DATA / "replica-a.xtc", store, append=True, same_units=True)
    assert refused.value.reason == "unknown"
    assert isinstance(refused.value, ValueError)
    done = vlstore.import_(
        DATA / "replica-a.xtc", store, append=True, keep_all=True, same_units=True
    )
    assert done.records == 13
    for wrong in [{"duplicates": "x"}, {"topologies": "x"}, {"format": "x"}, {"precision": -1.0},
                  {"append": True, "overwrite": True}]:
        with pytest.raises(vlstore.InvalidError):
            vlstore.import_(DATA / "replica-a.xtc", tmp_path / "b.vls", **wrong)
        assert not (tmp_path / "b.vls").exists()


def test_what_should_be_known_is_a_warning(tmp_path):
    whole = (DATA / "steps-zero.xtc").read_bytes()
    part = tmp_path / "run.xtc"
    part.write_bytes(whole[:-5])
    store = tmp_path / "a.vls"
    with pytest.warns(UserWarning, match="not complete yet"):
        done = vlstore.import_(part, store, append=True)
    assert done.frames == 9
    part.write_bytes(whole)
    assert vlstore.import_(part, store, append=True).frames == 1


def test_progress_is_told_and_may_end_the_import_which_goes_on_later(tmp_path):
    store, seen = tmp_path / "a.vls", []
    run = WATER

    def watch(done, total):
        seen.append((done, total))
        if len(seen) == 2:
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        vlstore.import_(run, store, progress=watch)
    assert seen[0][1] == run.stat().st_size
    stored = len(frames(store))
    assert stored <= 160
    done = vlstore.import_(run, store, append=True, progress=lambda done, total: None)
    assert (done.skipped, done.records) == (stored, 160)
    with pytest.raises(vlstore.WrongTypeError):
        vlstore.import_(run, tmp_path / "b.vls", progress=3)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")
def test_ctrl_c_commits_and_raises(tmp_path):
    program = textwrap.dedent("""
        import os, signal, sys, vlstore
        # Who starts this in the background has signals of the keyboard ignored.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        def watch(done, total):
            os.kill(os.getpid(), signal.SIGINT)
        try:
            vlstore.import_(sys.argv[1], "a.vls", progress=watch)
        except KeyboardInterrupt:
            print(len(vlstore.open("a.vls")))
    """)
    run = [sys.executable, "-c", program, str(WATER)]
    out = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=True)
    stored = int(out.stdout)
    assert stored < 160
    done = vlstore.import_(WATER, tmp_path / "a.vls", append=True)
    assert (done.skipped, done.records) == (stored, 160)


def test_info_tells_an_import_that_was_killed_from_one_that_ended(tmp_path):
    """It named the first frame of the first input as all that was read, since the place is written down now and then only."""
    store = tmp_path / "a.vls"
    program = f"""
        import os
        import vlstore

        inputs = [{str(DATA / "ala2-npt-peptide.xtc")!r}] * 200
        first = os.path.getsize(inputs[0])
        vlstore.import_(inputs, {str(store)!r}, commit_frames=10, progress=lambda done, total: done > first and os._exit(9))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, check=False)
    assert done.returncode == 9

    def imported():
        info = subprocess.run([sys.executable, "-m", "vlstore", "info", store], capture_output=True, text=True, check=True)
        return next(line for line in info.stdout.splitlines() if line.startswith("imported"))

    assert "1 input or more; an import is running or did not end; last noted: ala2-npt-peptide.xtc, frame 0" in imported()
    vlstore.import_(DATA / "replica-a.xtc", store, overwrite=True)
    assert imported().endswith("1 input; of the last, replica-a.xtc, 10 frames were read")


def test_gro_is_read_as_mdanalysis_reads_it(tmp_path):
    MDAnalysis = pytest.importorskip("MDAnalysis")
    path = DATA / "waters.gro"
    assert vlstore.import_(path, tmp_path / "gro.vls").frames == 3
    first = frames(tmp_path / "gro.vls")[0]
    # MDAnalysis reads the first frame only, in angstrom.
    one = tmp_path / "one.gro"
    lines = path.read_text().splitlines(keepends=True)
    one.write_text("".join(lines[: len(lines) // 3]))
    atoms = MDAnalysis.Universe(str(one)).atoms
    np.testing.assert_allclose(first.positions * 10, atoms.positions, rtol=1e-6)
    np.testing.assert_allclose(first.velocities * 10, atoms.velocities, rtol=1e-6)
    topology = first.topology
    assert topology.names == list(atoms.names)
    assert topology.residue_names == list(atoms.residues.resnames)
    assert list(topology.residue_ids) == list(atoms.residues.resids)
    cell = MDAnalysis.lib.mdamath.triclinic_vectors(atoms.dimensions) / 10
    np.testing.assert_allclose(first.cell, cell, atol=1e-4)
    assert (first.time, first.step) == (0.0, 0)


def test_a_topology_names_the_atoms_of_a_trajectory_that_does_not(tmp_path):
    gro = tmp_path / "named.gro"
    lines = [f"{1:5d}ALA  {'C' + str(i):>5s}{i + 1:5d}{0.1 * i:8.3f}{0.0:8.3f}{0.0:8.3f}" for i in range(20)]
    gro.write_text("\n".join(["a chain", "20", *lines, "   2.0   2.0   2.0", ""]))
    store = tmp_path / "a.vls"
    first = [DATA / "replica-a.xtc"]
    vlstore.import_(first, store, topology=gro)
    both = [*first, DATA / "replica-b.xtc"]
    done = vlstore.import_(both, store, topology=gro, append=True)
    assert (done.frames, done.skipped) == (10, 10)
    with vlstore.open(store) as opened:
        assert len(opened.topologies()) == 1
        assert opened.at[19].topology.names[:2] == ["C0", "C1"]
        other = tmp_path / "b.vls"
        vlstore.import_(first, other, topology=opened.at[0].topology)
    with pytest.raises(vlstore.FormatError, match="has 20 atoms, but the topology that was given has 7"):
        vlstore.import_(first, tmp_path / "c.vls", topology=DATA / "waters.gro")
    assert not (tmp_path / "c.vls").exists()
