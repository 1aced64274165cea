"""Lines that tests reach, room by room, from the summary of `cargo llvm-cov --json --summary-only`.

    python scripts/coverage.py SUMMARY [LEAST] [ROOM...]

Run it in the repository. Ends with status 1 if one of the rooms, folders or starts of file names, has less than LEAST
percent; an empty LEAST or none asks for nothing.
"""

import collections
import json
import os
import sys


def room(name):
    """The folder of a source file under `src`; for a file of `src`, `src/store` or `src/maintain` the file."""
    parts = name.split("/")
    return "/".join(parts if parts[1] in ("store", "maintain") else parts[:2])


def main(summary, least="", *judged):
    files = json.load(open(summary))["data"][0]["files"]
    rooms = collections.defaultdict(lambda: [0, 0])
    for file in files:
        name = os.path.relpath(file["filename"])
        if not name.startswith("src/"):
            continue
        lines = file["summary"]["lines"]
        name = room(name)
        rooms[name][0] += lines["count"]
        rooms[name][1] += lines["covered"]
    for name, (count, covered) in sorted(rooms.items()):
        print(f"{name:<32} {covered:>6} of {count:>6} lines {100 * covered / max(count, 1):6.1f} %")
    low = []
    for wanted in judged:
        parts = [v for name, v in rooms.items() if name.startswith(wanted)]
        count, covered = map(sum, zip(*parts)) if parts else (0, 0)
        percent = 100 * covered / max(count, 1)
        print(f"{wanted}: {percent:.1f} %")
        if least and percent < float(least):
            low.append(wanted)
    for name in low:
        print(f"error: {name} is below {least} %", file=sys.stderr)
    return bool(low)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
