"""The data set that the machines read: each record says by itself what it has to be.

    python benches/net/data.py FOLDER          # makes it
    python benches/net/data.py FOLDER --more   # publishes one more member, while others read
"""

import os
import sys

import numpy as np

import vlstore

MEMBERS, RECORDS = 8, 2500


def record(i):
    """Numbers of different lengths that follow from the key."""
    return np.arange(64 + i * 7919 % 300, dtype=np.float32) * 0.25 + i


def member(folder, number):
    with vlstore.open(f"{folder}/part-{number:03}.vls", "x", records="array") as store:
        for i in range(number * RECORDS, (number + 1) * RECORDS):
            store[i] = record(i)


if __name__ == "__main__":
    folder = sys.argv[1]
    if sys.argv[2:] == ["--more"]:
        member(folder, MEMBERS)
    else:
        os.mkdir(folder)
        for number in range(MEMBERS):
            member(folder, number)
    vlstore.publish(folder)
