"""Says what the machines of the test network saw, and ends with status 1 if something is wrong.

    python benches/net/report.py readers RESULTS PROCESSES
    python benches/net/report.py train RESULTS
"""

import json
import pathlib
import re
import statistics
import sys

what, results = sys.argv[1], pathlib.Path(sys.argv[2])


def readers(processes):
    wrong = sorted(results.glob("reader-*.wrong"))
    for file in wrong[:3]:
        print(file.name, file.read_text(), file=sys.stderr)
    seen = [json.loads(file.read_text()) for file in sorted(results.glob("reader-*.json"))]
    machines = [json.loads((results / f"machine-{n}.json").read_text()) for n in (1, 2)]
    locks = [line for machine in machines for line in machine["locks"]]
    records = sum(one["records"] for one in seen)
    print(f"| processes | that saw something wrong | records compared | batches | saw the new member | locks held |")
    print("| --- | --- | --- | --- | --- | --- |")
    late = sum(one["publications"][-1] == 2 for one in seen)
    print(f"| {len(seen) + len(wrong)} | {len(wrong)} | {records} | {sum(o['batches'] for o in seen)} | {late} | {len(locks)} |\n")
    for name, title in [("open", "open the data set"), ("first", "open, and the first record")]:
        times = [one[name] for one in seen]
        print(f"{title}: median {statistics.median(times):.2f} s, longest {max(times):.2f} s")
    longest = max(one["until"] for one in seen)
    print(f"{records / longest:.0f} records a second, with {sum(o['numbers'] for o in seen) * 4 / longest / 1e6:.1f} MB of numbers")
    sent = {}
    for machine in machines:
        for name, (count, size) in machine["after"].items():
            before = machine["before"].get(name, [0, 0])
            sent[name] = [a + b - c for a, b, c in zip(sent.get(name, [0, 0]), (count, size), before, strict=True)]
    for name, (count, size) in sorted(sent.items(), key=lambda item: -item[1][0]):
        if name == "network":
            print(f"received by both machines: {size / 1e6:.1f} MB")
        elif count:
            print(f"{name.lower()}: {count} requests, {size / 1e6:.1f} MB received")
    requests = results / "requests"
    if requests.exists():
        statuses = re.findall(r'GET \S+ HTTP/1\.1\S*" (\d+)', requests.read_text())
        for what, own in [("ranges", {"206"}), ("lists", {"200"}), ("for what is not there", {"404"})]:
            n = sum(status in own for status in statuses)
            print(f"requests, {what}: {n}, {n / longest:.0f} a second")
        print(f"refused: {sum(status not in {'206', '200', '404'} for status in statuses)}")
    return not wrong and len(seen) == processes and late == processes and not locks


def ranks(job, steps):
    """The ordinals that all ranks had in the first steps of a job, those that were repeated left out."""
    had = []
    for file in sorted(results.glob(f"{job}-rank-*.jsonl")):
        lines = [json.loads(line) for line in file.read_text().splitlines() if line.endswith("}")]
        had += [o for line in lines if line["step"] < steps and not line["repeated"] for o in line["ordinals"]]
    return had


def train():
    first = json.loads((results / "train-steps.json").read_text())
    second = json.loads((results / "resume-steps.json").read_text())
    had = ranks("train", first["steps"]) + ranks("resume", second["steps"])
    records = json.loads((results / "resume-steps.json").read_text())["records"]
    twice, missing = len(had) - len(set(had)), records - len(set(had))
    print("\n| ranks until one was killed | steps | ranks that went on | steps | records | had twice | not had |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    print(f"| {first['world']} | {first['steps']} | {second['world']} | {second['steps']} | {records} | {twice} | {missing} |")
    return (first["world"], second["world"], twice, missing) == (4, 3, 0, 0)


sys.exit(0 if (readers(int(sys.argv[3])) if what == "readers" else train()) else 1)
