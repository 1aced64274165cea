"""Frames of a store to files of other programs."""

import os
import signal
import stat
import subprocess
import sys
import threading

import numpy as np
import pytest

import vlstore
from vlstore import errors


@pytest.fixture
def frames(path):
    """A store of 300 frames of twelve atoms."""
    random = np.random.default_rng(7)
    with vlstore.open(path, "w", records="md-frame") as store:
        store.attrs["units"] = {"length": "angstrom", "energy": "eV"}
        for step in range(300):
            positions = random.integers(-5000, 5000, (12, 3)) / 1000
            store[f"f{step}"] = vlstore.MdFrame(
                positions, types=[8, 1, 1] * 4, step=step, energy=-float(step), precision=1000
            )
    return path


def read(file):
    return pytest.importorskip("ase.io").read(file, index=":")


def test_all_frames_come_out_as_another_program_reads_them(frames, tmp_path):
    told = []
    done = vlstore.export(frames, tmp_path / "all.xyz", progress=lambda *at: told.append(at))
    assert (done.frames, done.format, done.skipped, done.units_stated) == (300, "extxyz", [], True)
    assert told[0] == (0, 300)
    assert told[-1] == (300, 300)
    images = read(tmp_path / "all.xyz")
    with vlstore.open(frames, records="auto") as store:
        for image, frame in zip(images, store.values(), strict=True):
            assert (image.positions == frame.positions).all()
            assert (image.numbers == frame.types).all()
            assert image.get_potential_energy() == frame.energy


def test_chosen_frames_and_fields_in_the_order_asked_for(frames, tmp_path):
    out = tmp_path / "some.xyz"
    for chosen, right in [
        (slice(None, None, 100), [0, 100, 200]),
        (slice(5, 2, -1), [5, 4, 3]),
        ([7, 7, -1], [7, 7, 299]),
        (np.array([3, 1]), [3, 1]),
        (range(2), [0, 1]),
        (-2, [298]),
        ([], []),
    ]:
        done = vlstore.export(
            frames, out, frames=chosen, fields=["positions", "types", "step"], overwrite=True
        )
        assert done.frames == len(right)
        images = read(out) if right else []
        assert [image.info["step"] for image in images] == right
        assert all("energy" not in image.info and image.calc is None for image in images)
    for bad, error in [([300], IndexError), ([1.5], TypeError), ("0:3", ValueError)]:
        with pytest.raises(error):
            vlstore.export(frames, out, frames=bad, overwrite=True)
    with pytest.raises(errors.InvalidError, match="speed"):
        vlstore.export(frames, out, fields=["speed"], overwrite=True)
    assert out.exists()


def test_an_open_store_is_exported_once_it_is_committed(frames, tmp_path):
    with vlstore.open(frames, "a", records="md-frame") as store:
        vlstore.export(store, tmp_path / "a.xyz")
        store["more"] = vlstore.MdFrame(np.zeros((1, 3)), types=[1])
        with pytest.raises(errors.InvalidError, match="commit first"):
            vlstore.export(store, tmp_path / "b.xyz")
        store.commit()
        assert vlstore.export(store, tmp_path / "b.xyz").frames == 301
    assert not (tmp_path / "c.xyz").exists()
    with pytest.raises(errors.InvalidError, match="md-frame"):
        vlstore.export(vlstore.memory(records="raw"), tmp_path / "c.xyz")


def test_what_is_there_is_replaced_only_when_asked_and_a_store_never(frames, tmp_path):
    out = tmp_path / "out.xyz"
    out.write_text("old")
    with pytest.raises(errors.StoreExistsError):
        vlstore.export(frames, out)
    assert out.read_text() == "old"
    vlstore.export(frames, out, overwrite=True)
    before = frames.read_bytes()
    with pytest.raises(errors.InvalidError, match="this is a store"):
        vlstore.export(frames, frames, format="xtc", precision=1000, overwrite=True)
    assert frames.read_bytes() == before
    with pytest.raises(errors.InvalidError, match="xtc or trr or dcd or extxyz"):
        vlstore.export(frames, tmp_path / "out.nc")


def test_a_frame_that_does_not_fit_is_named(frames, tmp_path):
    with vlstore.open(frames, "a", records="md-frame") as store:
        positions = np.zeros((12, 3))
        positions[4, 2] = np.nan
        store["bad"] = vlstore.MdFrame(positions, types=[1] * 12, precision=1000)
    out = tmp_path / "out.xtc"
    with pytest.raises(errors.FormatError, match="frame 300 .*site 4 .*z is NaN") as raised:
        vlstore.export(frames, out)
    error = raised.value
    assert (error.ordinal, error.key, error.field, error.site) == (300, '"bad"', "positions", 4)
    assert not out.exists()
    done = vlstore.export(frames, out, skip_unfit=True)
    assert (done.frames, done.skipped) == (300, [300])


def test_an_error_of_the_callable_ends_the_work_and_leaves_nothing(frames, tmp_path):
    def stop(done, _total):
        if done:
            raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        vlstore.export(frames, tmp_path / "out.xyz", progress=stop)
    assert os.listdir(tmp_path) == [frames.name]
    with pytest.raises(TypeError, match="callable"):
        vlstore.export(frames, tmp_path / "out.xyz", progress=7)


@pytest.mark.skipif(sys.platform == "win32", reason="named pipes of POSIX")
def test_a_pipe_is_written_to_while_other_threads_work(frames, tmp_path):
    vlstore.export(frames, tmp_path / "out.xyz")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    found = []
    # The reader is a thread of this interpreter: it runs because the export detaches.
    reader = threading.Thread(target=lambda: found.append(pipe.read_bytes()))
    reader.start()
    vlstore.export(frames, pipe, format="extxyz")
    reader.join()
    assert found == [(tmp_path / "out.xyz").read_bytes()]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_ctrl_c_ends_an_export_and_leaves_nothing(frames, tmp_path):
    # It waits for a reader of the pipe that never comes.
    os.mkfifo(tmp_path / "pipe")
    script = (
        "import signal, sys, vlstore\n"
        # A job of the background has it ignored.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "try:\n"
        "    vlstore.export(sys.argv[1], sys.argv[2], format='extxyz',\n"
        "                   progress=lambda *at: print('waiting', flush=True))\n"
        "except KeyboardInterrupt:\n"
        "    print('stopped')\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script, frames, tmp_path / "pipe"], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout.readline() == "waiting\n"
    child.send_signal(signal.SIGINT)
    rest, _ = child.communicate(timeout=60)
    assert rest.endswith("stopped\n")
    assert child.returncode == 0
