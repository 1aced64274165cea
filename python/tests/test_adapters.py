"""The training loader in the programs of others: PyTorch Geometric, Grain, Lightning, torchdata, torchrun.

./test installs them where it can; where one is missing its tests are skipped.
"""

import json
import os
import pathlib
import pickle
import subprocess
import sys

import numpy as np
import pytest

import vlstore
from vlstore.loader import Loader

WHY = "is not installed: ./test installs it unless VLSTORE_TORCH is 0"
FRAMES = 150
FIELDS = ["positions", "types", "cell", "energy", "step", "q"]


@pytest.fixture
def frames(path):
    """Frames of 1 to 12 sites whose numbers say which frame they are of, with an atom property ``q``."""
    random = np.random.default_rng(0)
    with vlstore.open(path, "w", records="md-frame") as store:
        for i, n in enumerate(random.integers(1, 13, FRAMES)):
            store.push(vlstore.MdFrame(
                np.full((n, 3), float(i)), types=np.full(n, i % 7), cell=i * np.eye(3), pbc=True, energy=i, step=i,
                atom_properties={"q": np.arange(n) + 100.0 * i},
            ))
    return path


class TestPyg:
    @pytest.fixture(autouse=True)
    def pyg(self):
        self.torch = pytest.importorskip("torch", reason=f"PyTorch {WHY}")
        pytest.importorskip("torch_geometric", reason=f"PyTorch Geometric {WHY}")
        import vlstore.pyg

        self.pyg = vlstore.pyg

    def test_a_batch_is_what_pyg_makes_of_its_frames_one_by_one(self, frames):
        import torch_geometric
        from vlstore.torch import Stream

        single = self.pyg.Frames(frames, fields=FIELDS)
        loader = Loader(frames, max_atoms=60, seed=1, fields=FIELDS, transform=self.pyg.to_batch)
        seen = []
        for batch in loader:
            assert isinstance(batch, torch_geometric.data.Batch)
            expected = torch_geometric.data.Batch.from_data_list([single[int(i)] for i in batch.ordinals])
            assert batch.num_graphs == expected.num_graphs and batch.num_nodes == expected.num_nodes
            for name in ("pos", "z", "cell", "energy", "step", "q", "batch", "ptr"):
                assert self.torch.equal(batch[name], expected[name]), name
            parts = batch.to_data_list()
            assert [int(part.ordinals) for part in parts] == batch.ordinals.tolist()
            for part, own in zip(parts, expected.to_data_list(), strict=True):
                assert all(self.torch.equal(part[name], own[name]) for name in own.keys())
            seen += batch.ordinals.tolist()
        assert sorted(seen) == list(range(FRAMES))
        plain = Loader(frames, max_atoms=60, fields=FIELDS)
        batch = next(iter(Stream(plain)))
        assert self.pyg.to_batch(batch).pos.data_ptr() == batch["positions"].data_ptr(), "no copy"
        with pytest.raises(vlstore.InvalidError, match="ragged"):
            next(iter(Loader(frames, batch_size=4, layout="padded", transform=self.pyg.to_batch)))

    def test_edges_of_a_batch_are_what_pyg_makes_of_those_of_its_frames(self, frames):
        import torch_geometric
        from torch.utils.data import DataLoader
        from vlstore.torch import Stream

        def with_ring(data):
            data.edge_index, data.edge_attr = (self.torch.from_numpy(part) for part in ring(data.num_nodes))
            data.face = data.edge_index[[0, 1, 0], :1]
            return data

        single = self.pyg.Frames(frames, fields=FIELDS, transform=with_ring)
        how = {"batch_size": 6, "seed": 1, "fields": FIELDS}
        ways = {
            "a batch": {"transform": ring_of_batch},
            "records": {"transform_record": ring_of_record, "transform": self.pyg.to_batch},
        }
        for name, functions in ways.items():
            for workers in (0, 1):
                stream = Stream(Loader(frames, **how, **functions))
                for batch in DataLoader(stream, batch_size=None, num_workers=workers):
                    expected = torch_geometric.data.Batch.from_data_list([single[int(i)] for i in batch.ordinals])
                    for field in ("pos", "edge_index", "edge_attr", "face", "batch", "ptr"):
                        assert self.torch.equal(batch[field], expected[field]), (name, field)
                    for part, own in zip(batch.to_data_list(), expected.to_data_list(), strict=True):
                        assert part.num_nodes == own.num_nodes and part.num_edges == own.num_edges
                        assert all(self.torch.equal(part[key], own[key]) for key in own.keys()), name
                    # Such a batch says where it is, also from another process.
                    assert stream.state_dict(batch.clone())["epoch"] == 0

    def test_what_cannot_be_divided_into_frames_is_refused(self, frames):
        torch = self.torch
        loader = Loader(frames, batch_size=4, seed=1, fields=FIELDS)
        sites = len(next(iter(loader))["positions"])
        edges = np.zeros((2, 5), np.int64)

        def add(**arrays):
            batch = next(iter(Loader(frames, batch_size=4, seed=1, fields=FIELDS)))
            batch.update(arrays)
            return batch

        for arrays, why in (
            ({"edge_index": edges[0]}, r"'edge_index' has numbers of sites, integers \(2, edges\), not torch.int64 \(5"),
            ({"edge_index": edges.astype("f4")}, "integers .* not torch.float32"),
            ({"edge_index": ["a"]}, "not list"),
            ({"edge_index": edges + sites}, f"not those of the {sites} sites"),
            ({"edge_index": edges - 1}, f"not those of the {sites} sites"),
            ({"edge_index": np.array([[0], [sites - 1]])}, "joins sites of different frames"),
            ({"edge_index": np.array([[sites - 1, 0], [sites - 1, 0]])}, "together, frame after frame"),
            ({"edge_index": edges, "edge_attr": np.zeros(4)}, r"'edge_attr', of shape \(4,\).*should have 5 entries"),
            ({"edge_index": [edges[:, :n] for n in (1, 2, 3)]}, "has 3 arrays for the 4 frames"),
            ({"edge_index": [edges[:, :n] + 99 for n in (1, 2, 3, 0)]}, "numbers that are not .* of its frame"),
            ({"edge_index": [edges] * 4, "edge_attr": [np.zeros(4)] * 4}, "not as many entries in each frame"),
            ({"spin": np.zeros(sites)}, "'spin', of shape .* batch.per_site .= {'spin'}; one of edges needs"),
            ({"shift": np.zeros((5, 3))}, "is in batch.per_edge"),
            ({"names": ["a"]}, "'names', list, cannot be divided into frames: it should have 4 entries"),
            ({"rate": 0.1}, "'rate', float, cannot"),
        ):
            with pytest.raises(vlstore.InvalidError, match=why):
                self.pyg.to_batch(add(**arrays))
        batch = add(spin=np.zeros(sites), shift=np.arange(5), edge_index=edges, names=list("abcd"))
        batch.per_site |= {"spin"}
        batch.per_edge = {"shift"}
        parts = self.pyg.to_batch(batch).to_data_list()
        assert [len(part.shift) for part in parts] == [5, 0, 0, 0] and [part.names for part in parts] == list("abcd")
        assert [len(part.spin) for part in parts] == [part.num_nodes for part in parts]
        # Nothing that is read-only comes as a tensor that PyTorch would write to.
        one = self.pyg.to_batch(add(one=np.broadcast_to(np.float32(1), (4,)))).one
        one += 1
        assert torch.equal(one, torch.full((4,), 2.0))

    def test_frames_serve_any_sampler_of_pyg(self, frames):
        from torch_geometric.loader import DataLoader

        data = self.pyg.Frames(frames, fields=["positions", "step", "energy"], transform=add_two)
        assert len(data) == FRAMES and data[3].pos.shape[1] == 3
        for workers in (0, 1):
            loader = DataLoader(pickle.loads(pickle.dumps(data))[::2], batch_size=16, shuffle=True, num_workers=workers)
            steps = self.torch.cat([batch.step for batch in loader])
            assert sorted(steps.tolist()) == list(range(0, FRAMES, 2))
            batch = next(iter(loader))
            assert self.torch.equal(batch.step[batch.batch].double(), batch.pos[:, 0])
            assert self.torch.equal(batch.energy, batch.step.double()) and batch.two[0] == 2
        with pytest.raises(vlstore.InvalidError, match="does not exist"):
            self.pyg.Frames(frames, fields=["position"])

    @pytest.mark.parametrize("named", [True, False])
    def test_a_store_is_a_back_end_of_on_disk_data_sets(self, tmp_path, named):
        torch, Data = self.torch, pytest.importorskip("torch_geometric.data").Data
        tensors = {"x": {"dtype": torch.float, "size": (-1, 4)}, "edge_index": {"dtype": torch.long, "size": (2, -1)},
                   "y": float, "name": str}
        schema = tensors if named else object

        class Graphs(self.pyg.OnDiskDataset):
            def serialize(self, data):
                return {key: data[key] for key in ("x", "edge_index", "y", "name")} if named else data

            def deserialize(self, row):
                return Data(**row) if named else row

        made = [
            Data(x=torch.randn(n, 4), edge_index=torch.arange(2 * n).reshape(2, n), y=0.5 * n, name=f"é{n}")
            for n in range(20)
        ]
        data = Graphs(str(tmp_path), schema=schema)
        assert len(data) == 0
        for graph in made[:3]:
            data.append(graph)
        data.extend(made[3:], batch_size=8)
        data.close()
        again = Graphs(str(tmp_path), schema=schema)
        assert len(again) == 20 and again.processed_paths[0].endswith("vlstore.db")
        for found, graph in zip([*again.multi_get(range(20)), again[7]], [*made, made[7]], strict=True):
            assert torch.equal(found.x, graph.x) and torch.equal(found.edge_index, graph.edge_index)
            assert (found.y, found.name) == (graph.y, graph.name)
        from torch_geometric.loader import DataLoader

        assert sum(len(batch.name) for batch in DataLoader(again, batch_size=6, num_workers=1)) == 20
        with pytest.raises(vlstore.CodecError, match="another schema"):
            self.pyg.Database(again.processed_paths[0], object if named else tensors)[0]
        again.close()

    def test_rows_that_no_database_can_keep_are_refused(self, tmp_path):
        torch = self.torch
        db = self.pyg.Database(tmp_path / "rows", {"x": {"dtype": torch.float, "size": (-1,)}})
        with pytest.raises(vlstore.NotFoundError):
            db[0]
        with pytest.raises(vlstore.InvalidError, match="other values than the schema: y"):
            db[0] = {"x": torch.zeros(1), "y": 1}
        with pytest.raises(vlstore.InvalidError, match="not object"):
            db[0] = {"x": object()}
        db[0:2] = [{"x": torch.zeros(1)}, {"x": torch.ones(0)}]
        assert len(db) == 2 and db[1]["x"].shape == (0,)
        with pytest.raises(KeyError):
            db[5]
        with pytest.raises(vlstore.UnsupportedError, match="EdgeIndex"):
            self.pyg.Database(tmp_path / "e", {"e": {"dtype": torch.long, "is_edge_index": True}})


def ring(sites):
    """Edges from each site to the next one, with a number for each; the last site has none."""
    begin = np.arange(sites - 1)
    return np.stack([begin, begin + 1]), begin[:, None] * 0.5


def ring_of_record(frame):
    frame["edge_index"], frame["edge_attr"] = ring(len(frame["positions"]))
    frame["face"] = frame["edge_index"][[0, 1, 0], :1]
    return frame


def ring_of_batch(batch):
    import vlstore.pyg

    starts = batch["ptr"][:-1]
    rings = [ring(sites) for sites in np.diff(batch["ptr"])]
    indices = [index + start for (index, _), start in zip(rings, starts, strict=True)]
    batch["edge_index"] = np.concatenate(indices, 1)
    batch["edge_attr"] = np.concatenate([values for _, values in rings])
    batch["face"] = np.concatenate([index[[0, 1, 0], :1] for index in indices], 1)
    return vlstore.pyg.to_batch(batch)


def add_two(data):
    data.two = 2
    return data


class TestGrain:
    @pytest.fixture(autouse=True)
    def grain(self):
        self.grain = pytest.importorskip("grain", reason=f"Grain {WHY}")
        import vlstore.grain

        self.ours = vlstore.grain

    def test_batches_go_on_from_a_state(self, frames):
        def batches(**how):
            return iter(self.ours.Batches(Loader(frames, batch_size=16, seed=3, layout="padded", **how), epochs=2))

        iterator = batches()
        assert isinstance(iterator, self.grain.DatasetIterator)
        steps, states = [], []
        for batch in iterator:
            assert type(batch) is dict and batch["site_mask"].shape == batch["positions"].shape[:2]
            steps.append(batch["step"].tolist())
            states.append(json.loads(json.dumps(iterator.get_state())))
        assert len(steps) == 20
        assert sorted(sum(steps[:10], [])) == sorted(sum(steps[10:], [])) == list(range(FRAMES))
        for at in (3, 9, 13, 19):
            again = batches()
            again.set_state(states[at])
            assert [batch["step"].tolist() for batch in again] == steps[at + 1 :]
        # Transforms of Grain stand on it, and its states go through them.
        data = self.ours.Batches(Loader(frames, batch_size=16, seed=3), epochs=1).map(lambda batch: batch["step"].sum())
        chain = iter(data)
        first = [next(chain) for _ in range(4)]
        state = chain.get_state()
        rest = list(chain)
        chain.set_state(state)
        assert list(chain) == rest and len(first) + len(rest) == 10
        with vlstore.memory() as empty:
            empty.commit()
            assert list(self.ours.Batches(Loader(empty, batch_size=4))) == []

    def test_a_source_serves_pipelines_of_grain(self, frames):
        source = self.ours.Source(frames, fields=["positions", "step", "q"])
        assert isinstance(source, self.grain.sources.RandomAccessDataSource)
        assert len(source) == FRAMES and source[5]["step"] == 5 and len(source[5]["q"]) == len(source[5]["positions"])
        data = self.grain.MapDataset.source(source).shuffle(seed=1).map(lambda frame: int(frame["step"]))
        assert sorted(data) == list(range(FRAMES))
        sampler = self.grain.samplers.IndexSampler(
            FRAMES, self.grain.sharding.NoSharding(), shuffle=True, num_epochs=1, seed=1
        )
        loader = self.grain.DataLoader(data_source=source, sampler=sampler)
        iterator = iter(loader)
        had = [int(next(iterator)["step"]) for _ in range(20)]
        state = iterator.get_state()
        again = iter(self.grain.DataLoader(data_source=pickle.loads(pickle.dumps(source)), sampler=sampler))
        again.set_state(state)
        assert sorted(had + [int(frame["step"]) for frame in again]) == list(range(FRAMES))
        with pytest.raises(vlstore.InvalidError, match="does not exist"):
            self.ours.Source(frames, fields=["position"])


def fit(path, folder, workers, stop, limit):
    """Trains behind the checkpoint in ``folder``, if there is one; the epoch and the frames of each batch."""
    import lightning
    import torch
    from torch.utils.data import DataLoader

    import vlstore.lightning
    from vlstore.torch import Stream

    class Model(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(()))
            self.seen = []

        def training_step(self, batch, number):
            self.seen.append((self.current_epoch, batch["step"].tolist()))
            return (self.weight - batch["energy"].mean()) ** 2

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), 1e-3)

    stream = Stream(Loader(path, seed=2, window=40, group=4, **limit))
    model = Model()
    trainer = lightning.Trainer(
        max_epochs=3, max_steps=stop, accelerator="cpu", devices=1, logger=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=folder, callbacks=[
            vlstore.lightning.LoaderState(stream),
            lightning.pytorch.callbacks.ModelCheckpoint(folder, "last", every_n_train_steps=1),
        ],
    )
    checkpoint = folder / "last.ckpt"
    trainer.fit(model, DataLoader(stream, batch_size=None, num_workers=workers),
                ckpt_path=checkpoint if checkpoint.exists() else None)
    return model.seen


# Lightning is told how many batches an epoch has only where it is the same for all epochs.
@pytest.mark.parametrize(
    ("workers", "limit"), [(0, {"max_atoms": 70}), (2, {"max_atoms": 70}), (0, {"batch_size": 16}), (2, {"batch_size": 16})]
)
def test_lightning_goes_on_behind_the_last_batch_that_was_trained_with(frames, tmp_path, workers, limit):
    pytest.importorskip("torch", reason=f"PyTorch {WHY}")
    pytest.importorskip("lightning", reason=f"Lightning {WHY}")
    # In the middle of the first epoch, of the second, and the rest. Only the checkpoint leads from one to the next.
    stops = (4, 25, -1) if workers == 0 else (25, -1)
    seen = [line for stop in stops for line in fit(frames, tmp_path, workers, stop, limit)]
    for epoch in range(3):
        steps = [step for own, steps in seen if own == epoch for step in steps]
        assert sorted(steps) == list(range(FRAMES)), epoch
    expected = Loader(frames, seed=2, window=40, group=4, lanes=max(workers, 1), **limit)
    assert [steps for own, steps in seen if own == 0] == [b["step"].tolist() for b in expected]


def test_the_lightning_callback_says_what_it_needs(frames):
    pytest.importorskip("torch", reason=f"PyTorch {WHY}")
    lightning = pytest.importorskip("lightning", reason=f"Lightning {WHY}")
    from lightning.pytorch.demos.boring_classes import BoringModel

    import vlstore.lightning
    from vlstore.torch import Stream

    with pytest.raises(vlstore.WrongTypeError, match="Stream"):
        vlstore.lightning.LoaderState(Loader(frames, batch_size=4))
    stream = Stream(Loader(frames, batch_size=4))
    trainer = lightning.Trainer(
        max_steps=1, accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
        enable_checkpointing=False, callbacks=[vlstore.lightning.LoaderState(stream)],
    )
    with pytest.raises(vlstore.InvalidError, match="the trainer gets DataLoader"):
        trainer.fit(BoringModel(), stream)


TORCHRUN = """
import json, sys, torch.distributed as dist
from torch.utils.data import DataLoader
from vlstore.errors import InvalidError
from vlstore.loader import Loader
from vlstore.torch import Stream

dist.init_process_group("gloo")
rank = dist.get_rank()
# Without worker processes and with one, in the same processes: it takes long to start them.
for workers in (0, 1):
    stream = Stream(Loader(sys.argv[1], max_atoms=70, seed=2, window=40, group=4, rest="repeat"))
    seen = []
    for number, batch in enumerate(DataLoader(stream, batch_size=None, num_workers=workers)):
        seen.append([batch.repeated, batch.ordinals.tolist()])
        state = stream.state_dict(batch)
        assert workers or stream.state_dict() == state
        states = [None] * dist.get_world_size()
        dist.all_gather_object(states, state)
        assert states[0] == states[1], states
        if number == 2:
            middle = state
    assert len(Stream(Loader(sys.argv[1], batch_size=8))) == 9, "of 19 batches"
    with open(f"{sys.argv[2]}/{workers}-{rank}.json", "w") as file:
        json.dump({"seen": seen, "state": middle}, file)
# Copies of one store, with other blocks on one rank.
said = []
for how in ({}, {"group": 4}, {"group": 4, "records": range(2 * rank, 80 + 2 * rank)}):
    try:
        said.append(len(list(Stream(Loader(sys.argv[3 + rank], batch_size=5, window=40, seed=3, **how)))))
    except InvalidError as error:
        said.append(str(error))
    dist.barrier()
with open(f"{sys.argv[2]}/copies-{rank}.json", "w") as file:
    json.dump(said, file)
dist.destroy_process_group()
"""


def test_two_ranks_under_torchrun_share_every_frame(frames, copies, tmp_path):
    pytest.importorskip("torch", reason=f"PyTorch {WHY}")
    program = tmp_path / "program.py"
    program.write_text(TORCHRUN)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"]
    done = subprocess.run(
        [*command, program, frames, tmp_path, *copies], capture_output=True, text=True, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"}, timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for workers in (0, 1):
        ranks = [json.loads((tmp_path / f"{workers}-{rank}.json").read_text()) for rank in range(2)]
        assert len(ranks[0]["seen"]) == len(ranks[1]["seen"])
        first = [o for rank in ranks for repeated, batch in rank["seen"] if not repeated for o in batch]
        assert sorted(first) == list(range(FRAMES))
        # One process goes on where the two were after three steps.
        alone = Loader(frames, max_atoms=70, seed=2, window=40, group=4, rest="repeat")
        alone.load_state_dict(ranks[0]["state"])
        had = [o for rank in ranks for _, batch in rank["seen"][:3] for o in batch]
        assert sorted(had + [o for batch in alone for o in batch.ordinals.tolist()]) == list(range(FRAMES))
    # Which rank came first is open: it is the other one that is told.
    said = [json.loads((tmp_path / f"copies-{rank}.json").read_text()) for rank in range(2)]
    for number, why in ((0, "give the loaders of all ranks the same group="), (2, "are not chosen as those of rank")):
        told = [ours[number] for ours in said if isinstance(ours[number], str)]
        assert len(told) == 1 and why in told[0] and "records would be lost" in told[0], said
    assert [ours[1] for ours in said] == [10, 10]


def test_torchdata_finds_the_protocol_of_states(frames):
    pytest.importorskip("torch", reason=f"PyTorch {WHY}")
    nodes = pytest.importorskip("torchdata.nodes", reason=f"torchdata {WHY}")
    from vlstore.torch import Stream

    def loader():
        return nodes.Loader(nodes.IterableWrapper(Stream(Loader(frames, batch_size=16, seed=1))))

    one = loader()
    steps, state = [], None
    for batch in one:
        steps.append(batch["step"].tolist())
        if len(steps) == 4:
            state = one.state_dict()
    two = loader()
    two.load_state_dict(state)
    assert [batch["step"].tolist() for batch in two] == steps[4:]
    assert pathlib.Path(frames).exists()
