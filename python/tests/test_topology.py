"""Topologies: what frames share is stored once, and every frame shows it."""

import pickle
import subprocess
import sys

import numpy as np
import pytest

import vlstore
from vlstore.errors import CodecError, CorruptError, InvalidError, WrongTypeError


def water(**more):
    return vlstore.Topology(
        types=[8, 1, 1], masses=np.array([16, 1, 1], "f4"), names=["OW", "HW1", "HW2"],
        residues=[0, 0, 0], residue_names=["SOL"], bonds=[[0, 1], [0, 2]], **more,
    )


def positions(i):
    return np.full((3, 3), i, "f4")


def test_a_topology_has_the_fields_that_it_was_given():
    topology = water(
        charges=[-0.8, 0.4, 0.4], residue_ids=[7], segments=[0], segment_names=["A"], name="spc",
        bond_orders=[1, 1], atom_properties={"tag": [1, 2, 3], "label": ["a", "b", "c"]},
    )
    assert topology.types.tolist() == [8, 1, 1] and topology.types.dtype == np.int32
    assert topology.masses.dtype == np.float32 and topology.charges.dtype == np.float64
    assert topology.names == ["OW", "HW1", "HW2"] and topology.residue_names == ["SOL"]
    assert topology.residues.dtype == topology.bonds.dtype == topology.segments.dtype == np.uint32
    assert topology.bonds.tolist() == [[0, 1], [0, 2]] and topology.bond_orders.tolist() == [1, 1]
    assert topology.residue_ids.tolist() == [7] and topology.segment_names == ["A"]
    assert topology.atom_properties["tag"].tolist() == [1, 2, 3]
    assert topology.atom_properties["label"] == ["a", "b", "c"]
    assert (topology.name, topology.nsites, len(topology)) == ("spc", 3, 3)
    assert not topology.types.flags.writeable
    assert vlstore.Topology(**topology.to_dict()) == topology
    assert vlstore.Topology.from_bytes(bytes(topology.record)) == topology
    again = pickle.loads(pickle.dumps(topology))
    assert again == topology and hash(again) == hash(topology) and again.digest == topology.digest
    assert "3 sites: name, types" in repr(topology)
    assert vlstore.Topology(nsites=2).bonds is None
    assert vlstore.Topology(nsites=2, bonds=[]).bonds.shape == (0, 2)


@pytest.mark.parametrize(
    ("given", "error", "word"),
    [
        ({"types": [1, 2], "masses": [1.0]}, CodecError, "masses"),
        ({"types": [[1]]}, InvalidError, "shape"),
        ({"nsites": 2, "bonds": [[0, 2]]}, CodecError, "name 2"),
        ({"nsites": 2, "bonds": [0, 1]}, InvalidError, "(b, 2)"),
        ({"nsites": 2, "bonds": [[0, -1]]}, InvalidError, "-1"),
        ({"nsites": 1, "residues": [0], "residue_names": "SOL"}, WrongTypeError, "list of strings"),
        ({"names": [1]}, WrongTypeError, "entry of names"),
        ({"nsites": -1}, InvalidError, "negative"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(given, error, word):
    with pytest.raises(error, match=word.replace("(", r"\(").replace(")", r"\)")):
        vlstore.Topology(**given)


def test_frames_show_what_they_share_and_it_is_stored_once(path):
    topology = water()
    with vlstore.open(path, "w", records="md-frame") as depot:
        for i in range(5):
            depot[i] = vlstore.MdFrame(positions(i), topology=topology, step=i)
        depot["bare"] = vlstore.MdFrame(positions(9), types=[6, 6, 6])
        depot["own"] = vlstore.MdFrame(positions(9), types=[2, 2, 2], topology=topology)
        assert depot[0].types.tolist() == [8, 1, 1]
    depot = vlstore.open(path, records="md-frame")
    assert len(depot) == 7 and depot.info()["shared"] == 1
    assert depot.topologies() == [topology]
    for i, frame in enumerate(depot.at[:5]):
        assert frame.topology == topology and frame.topology_digest == topology.digest
        assert frame.types.tolist() == [8, 1, 1] and frame.masses.tolist() == [16, 1, 1]
        assert frame.positions[0, 0] == i
        assert "topology" in repr(frame) and "types" in repr(frame)
    assert depot[0].topology is depot[1].topology
    assert depot["bare"].topology is None and depot["bare"].types.tolist() == [6, 6, 6]
    assert depot["bare"].topology_digest is None
    assert depot["own"].types.tolist() == [2, 2, 2]
    assert depot["own"].masses.tolist() == [16, 1, 1]
    assert [f.topology for f in depot.values()][:5] == [topology] * 5


def test_a_frame_with_a_topology_travels_and_is_changed_with_it(path):
    topology = water(atom_properties={"tag": [1, 2, 3]})
    frame = vlstore.MdFrame(positions(1), topology=topology, atom_properties={"q": [1.0, 2, 3]})
    assert set(frame.atom_properties) == {"q", "tag"}
    for other in (pickle.loads(pickle.dumps(frame)), vlstore.MdFrame(**frame.to_dict())):
        assert other == frame and other.topology == topology
    changed = frame.replace(step=4)
    assert changed.topology == topology and changed.step == 4
    assert frame.replace(topology=None).types is None
    alone = vlstore.MdFrame.from_bytes(frame.record)
    assert alone.topology is None and alone.types is None
    assert alone.topology_digest == topology.digest
    assert vlstore.MdFrame.from_bytes(bytes(frame.record), topology).types.tolist() == [8, 1, 1]
    with pytest.raises(CodecError, match="refers to"):
        vlstore.MdFrame.from_bytes(frame.record, vlstore.Topology(nsites=3))
    # Into another store it brings its topology; without one it is refused.
    with vlstore.memory(records="md-frame") as other:
        other[1] = frame
        assert other.at[0].types.tolist() == [8, 1, 1]
    with vlstore.memory(records="md-frame") as other:
        with pytest.raises(InvalidError, match=topology.digest):
            other[1] = alone
        with pytest.raises(InvalidError, match=topology.digest):
            other[1] = bytes(frame.record)
        assert len(other) == 0


def test_sites_must_agree():
    with pytest.raises(InvalidError, match="topology has 3 sites"):
        vlstore.MdFrame(np.zeros((2, 3)), topology=water())
    with pytest.raises(WrongTypeError, match="topology"):
        vlstore.MdFrame(np.zeros((2, 3)), topology="water")
    assert vlstore.MdFrame(topology=water()).nsites == 3


def test_flat_arrays_have_what_frames_share():
    small, large = water(), vlstore.Topology(types=[6] * 5, masses=[12.0] * 5)
    with vlstore.memory(records="md-frame") as depot:
        assert depot.put_frames(np.zeros((4, 3, 3), "f4"), topology=small) == 4
        depot.push(vlstore.MdFrame(np.zeros((5, 3), "f4"), topology=large))
        depot.push(vlstore.MdFrame(np.zeros((1, 3), "f4"), types=[3], masses=[7.0]))
        with pytest.raises(InvalidError, match="topology"):
            depot.put_frames(np.zeros((2, 4, 3), "f4"), topology=small)
        arrays = depot.at.arrays([0, 4, 5, 0])
        assert arrays["types"].tolist() == [8, 1, 1] + [6] * 5 + [3] + [8, 1, 1]
        assert arrays["masses"].dtype == np.float64
        assert arrays["ptr"].tolist() == [0, 3, 8, 9, 12]
        depot.commit()
        assert depot.topologies() == [small, large]


def test_a_damaged_topology_is_an_error_that_names_it(path):
    n = 3000
    topology = vlstore.Topology(types=np.arange(n), masses=np.arange(n) / 7)
    options = {"compression": "stored", "chunk_size": 1 << 16}
    with vlstore.open(path, "w", records="md-frame", **options) as depot:
        for i in range(3):
            depot[i] = vlstore.MdFrame(np.full((n, 3), i, "f4"), topology=topology)
        depot["bare"] = vlstore.MdFrame(np.zeros((n, 3)))
    data = bytearray(path.read_bytes())
    at = data.rindex(bytes(topology.types[100:900]))
    data[at] ^= 1
    path.write_bytes(data)
    depot = vlstore.open(path, records="md-frame")
    with pytest.raises(CorruptError, match=f"topology {topology.digest}"):
        depot[0]
    assert depot["bare"].nsites == n
    # What the frame has itself can still be read.
    assert vlstore.MdFrame.from_bytes(depot.view(1)).positions[5, 2] == 1
    assert any(topology.digest in damage for damage in depot.verify().damages)


def test_the_command_line_shares_and_shows_them(path, tmp_path):
    lines = []
    for step in range(4):
        lines += ["60", f'Properties=species:S:1:pos:R:3:label:S:1 step={step}']
        lines += [f"C {i} {step} 0.5 atom{i}" for i in range(60)]
    source = tmp_path / "labelled.extxyz"
    source.write_text("\n".join(lines) + "\n")
    run = [sys.executable, "-m", "vlstore"]
    subprocess.run([*run, "import", "--quiet", source, path], check=True)
    with vlstore.open(path, records="md-frame") as depot:
        [topology] = depot.topologies()
        for frame in depot.values():
            assert frame.topology == topology
            assert frame.types.tolist() == [6] * 60
            assert frame.atom_properties["label"][59] == "atom59"
    listed = subprocess.run([*run, "topology", path], check=True, capture_output=True, text=True)
    assert topology.digest in listed.stdout
