"""Processes of one machine that read the data set at the same time and compare every number with what it has to be.

    python benches/net/readers.py DATA RESULTS MACHINE PROCESSES SECONDS
"""

import json
import os
import pathlib
import sys
import time
import traceback

import numpy as np

import vlstore

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from data import MEMBERS, RECORDS, record

data, results, machine, processes, seconds = (
    sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])
)
BATCH = 32


far = data.startswith("s3://")


def operations():
    """What came through the network in all; what the NFS client has sent: how many of each operation, and the bytes that came."""
    found = {}
    for line in pathlib.Path("/proc/net/dev").read_text().splitlines():
        name, _, numbers = line.strip().partition(":")
        if name == "eth0":
            found["network"] = [int(numbers.split()[1]), int(numbers.split()[0])]
    try:
        lines = pathlib.Path("/proc/self/mountstats").read_text().splitlines()
    except OSError:
        return found
    inside = False
    for line in lines:
        if line.startswith("device"):
            inside = "fstype nfs" in line
        name, _, numbers = line.strip().partition(": ")
        if inside and name.isupper():
            numbers = numbers.split()
            if numbers and int(numbers[0]):
                found[name] = [int(numbers[0]), int(numbers[4])]
    return found


def read(number):
    """What one process does; returns what it saw."""
    random = np.random.default_rng([machine, number])
    begun = time.monotonic()
    store = vlstore.open(data)
    opened = time.monotonic() - begun
    first = store.at[int(random.integers(len(store)))]
    until_first = time.monotonic() - begun
    seen = {"open": opened, "first": until_first, "records": 1, "numbers": len(first), "batches": 0, "publications": [1]}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if store.refresh():
            seen["publications"].append(store.generation)
        assert len(store) == (MEMBERS + store.generation - 1) * RECORDS
        ordinals = random.integers(len(store), size=BATCH)
        for i, found in zip(ordinals, store.at.batch(ordinals), strict=True):
            assert np.array_equal(found, record(int(i))), f"record {i} is another one"
            seen["numbers"] += len(found)
        key = int(random.integers(len(store)))
        assert np.array_equal(store[key], record(key)), f"key {key} has another record"
        seen["records"] += BATCH + 1
        seen["batches"] += 1
    seen["until"] = time.monotonic() - begun
    # NFS may keep an old answer for up to a minute; then everybody has to see what was published.
    last = time.monotonic() + 90
    while store.generation == 1 and time.monotonic() < last:
        time.sleep(0.5)
        store.refresh()
    if store.generation == 2 and seen["publications"] == [1]:
        newest = len(store) - 1
        assert np.array_equal(store.at[newest], record(newest)), "the new member has other records"
        seen["publications"].append(2)
    return seen


def child(number):
    try:
        (results / f"reader-{machine}-{number}.json").write_text(json.dumps(read(number)))
    except BaseException:
        (results / f"reader-{machine}-{number}.wrong").write_text(traceback.format_exc())


(results / f"ready-{machine}").touch()
while not (results / "go").exists():
    time.sleep(0.2)
before = operations()
children = []
for number in range(processes):
    pid = os.fork()
    if pid == 0:
        child(number)
        os._exit(0)
    children.append(pid)
time.sleep(seconds / 2)
locks = [line for line in pathlib.Path("/proc/locks").read_text().splitlines() if line]
if far:
    # The kernel is not that of these machines alone.
    locks = [line for line in locks if line.split()[4] in map(str, children)]
for pid in children:
    os.waitpid(pid, 0)
(results / f"machine-{machine}.json").write_text(
    json.dumps({"locks": locks, "before": before, "after": operations()})
)
