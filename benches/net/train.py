"""One rank of a training through the loader: what it was given is written down step by step, and the state behind each step.

In the job ``train`` the last rank kills itself in the middle of a step; in the job ``resume`` all go on from the last state.
"""

import json
import os
import pathlib
import signal
import sys

import torch
import torch.distributed

import vlstore
from vlstore.loader import Loader
from vlstore.torch import Stream

KILLED_AT = 12

job, data, results = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
torch.distributed.init_process_group("gloo")
rank, world = torch.distributed.get_rank(), torch.distributed.get_world_size()
stream = Stream(Loader(data, batch_size=32, seed=5, rest="repeat"))
saved = results / "state.json"
records = len(vlstore.open(data))
if job == "resume":
    stream.load_state_dict(json.loads(saved.read_text()))
with open(results / f"{job}-rank-{rank}.jsonl", "w") as out:
    for step, batch in enumerate(stream):
        # What a step of a model does between the ranks.
        total = torch.tensor([float(len(batch.ordinals))])
        if job == "train" and step == KILLED_AT and rank == world - 1:
            os.kill(os.getpid(), signal.SIGKILL)
        torch.distributed.all_reduce(total)
        given = {"step": step, "repeated": bool(batch.repeated), "ordinals": batch.ordinals.tolist()}
        print(json.dumps(given), file=out, flush=True)
        torch.distributed.barrier()
        if rank == 0:
            (results / "new-state.json").write_text(json.dumps(stream.state_dict(batch)))
            about = {"steps": step + 1, "world": world, "records": records}
            (results / f"{job}-steps.json").write_text(json.dumps(about))
            os.replace(results / "new-state.json", saved)
        torch.distributed.barrier()
torch.distributed.destroy_process_group()
