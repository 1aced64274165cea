"""The memory of an import, by the size of its input: it should be the same for all.

    benches/layers/run import_memory [--gigabytes 0.5 2 5] [--source run.xtc] [--folder /scratch]

Makes an XTC file of each size from the frames of a real one (`../shared/data/md`, else made up), whose steps and times are
counted on; imports it with `vlstore import`; and prints size, frames, seconds, megabytes of XTC a second, the most memory that the
process had (VmHWM of /proc: all pages, also of the program) and the size of the store. Both files are deleted before the next size.
The last rows are dumps of LAMMPS, which Python reads, of a fiftieth and of an eighth of the first size.
"""

from __future__ import annotations

import argparse
import gzip
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
import vlstore

ROOT = pathlib.Path(__file__).resolve().parents[2]
REAL = ROOT / ".." / "shared" / "data" / "md" / "ala2-npt.xtc"
DUMP = ROOT / "tests" / "data" / "argon.lammpstrj.gz"


def made_up(folder):
    """A box of 1 324 atoms that move at random, for 500 frames, as XTC."""
    random, frames, atoms = np.random.default_rng(1), 500, 1324
    positions = random.random((atoms, 3)) * 3 + np.cumsum(random.normal(0, 0.01, (frames, atoms, 3)), axis=0)
    with vlstore.open(folder / "made.vls", "w", records="md-frame") as store:
        store.attrs["units"] = {"length": "nm", "time": "ps"}
        store.put_frames(
            positions.astype(np.float32), cell=np.eye(3) * 3, pbc=True, step=np.arange(frames) * 50, time=np.arange(frames) * 0.1
        )
    vlstore.export(folder / "made.vls", folder / "made.xtc", precision=1000)
    return folder / "made.xtc"


def places(content):
    """Where the frames of an XTC file of more than 9 atoms begin."""
    found, at = [], 0
    while at < len(content):
        assert content[at : at + 4] == (1995).to_bytes(4, "big"), "not an XTC file of the usual kind"
        found.append(at)
        length = int.from_bytes(content[at + 88 : at + 92], "big")
        at += 92 + (length + 3) // 4 * 4
    return np.array(found)


def write_xtc(source, path, size):
    """Repeats the frames of a file until there are `size` bytes; step and time of each frame are one more than before."""
    content = np.frombuffer(source.read_bytes(), np.uint8).copy()
    begin = places(content.tobytes())
    frames = 0
    with open(path, "wb") as file:
        while file.tell() < size:
            number = np.arange(frames, frames + len(begin))
            for offset, values in ((8, number.astype(">i4")), (12, (number * 0.5).astype(">f4"))):
                content[begin[:, None] + offset + np.arange(4)] = values.view(np.uint8).reshape(-1, 4)
            file.write(content)
            frames += len(begin)
    return frames


def write_dump(path, size):
    """Repeats the frames of a dump of LAMMPS, whose steps are counted on."""
    first, *others = gzip.open(DUMP, "rt").read().split("ITEM: TIME\n")[1:]
    parts = [part.split("\n", 3) for part in (first, *others)]
    frames = 0
    with open(path, "w") as file:
        while file.tell() < size:
            for _, _, _, rest in parts:
                file.write(f"ITEM: TIME\n{frames * 0.5}\nITEM: TIMESTEP\n{frames}\n{rest}")
                frames += 1
    return frames


def imported(command, path, store, *options):
    """Seconds, and the largest memory in bytes, of the import as a process of its own."""
    start = time.perf_counter()
    process = subprocess.Popen([*command, "import", "--quiet", *options, str(path), str(store)])
    most = 0
    while process.poll() is None:
        try:
            lines = pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines()
        except OSError:
            break
        most = max([most, *(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))])
        time.sleep(0.02)
    assert process.wait() == 0
    return time.perf_counter() - start, most


def row(what, command, path, store, frames, *options):
    size = path.stat().st_size
    seconds, most = imported(command, path, store, *options)
    with vlstore.open(store) as made:
        assert len(made) == frames, f"{len(made)} frames of {frames}"
    print(f"| {what} | {size / 1e9:.2f} | {frames} | {seconds:.1f} | {size / seconds / 1e6:.0f} | {most / 2**20:.0f} | "
          f"{store.stat().st_size / 1e9:.2f} |", flush=True)
    path.unlink()
    store.unlink()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", nargs="+", type=float, default=[0.5, 2, 5])
    parser.add_argument("--source", type=pathlib.Path, help="an XTC file of more than 9 atoms")
    parser.add_argument("--folder", help="where the files are made; twice the largest size must be free")
    parser.add_argument("--dumps", action=argparse.BooleanOptionalAction, default=True, help="the rows of LAMMPS, too")
    parser.add_argument("--command", nargs="+", default=[sys.executable, "-m", "vlstore"])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        folder = pathlib.Path(folder)
        source = given.source or (REAL if REAL.exists() else made_up(folder))
        path, store = folder / "run.xtc", folder / "run.vls"
        print("| input | GB | frames | s | MB/s | most memory, MiB | store, GB |\n| --- | --- | --- | --- | --- | --- | --- |")
        for size in given.gigabytes:
            frames = write_xtc(source, path, size * 1e9)
            row("XTC", given.command, path, store, frames)
        for part in (50, 8) if given.dumps else ():
            path = folder / "run.lammpstrj"
            frames = write_dump(path, given.gigabytes[0] * 1e9 / part)
            row("dump of LAMMPS", [sys.executable, "-m", "vlstore"], path, store, frames, "--reader", "units=metal")


if __name__ == "__main__":
    main()
