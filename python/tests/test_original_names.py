"""Every public name of the original is there, with its arguments; tables and dict verbs too."""

import importlib
import inspect
import json
import pathlib
import struct

import numpy as np
import pytest

from vlstore.serialize import BackedAtomicData, BackedAtomicDataCodec, create_fbframe_buffer
from vlstore.serialize.flatbuffer.FBSites import FBFrame
from vlstore.store import Depot, LocationIndex, SChunkStore, _create_default_schunk

from test_original import TEXT, frame

# Modules, names, members and arguments of the original at its newest commit, f018cd9.
NAMES = json.loads((pathlib.Path(__file__).parent / "original_names.json").read_text())


def accepts(function, names):
    """What of these arguments, in their order, the function does not take."""
    parameters = inspect.signature(function).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return []
    there = [p.name for p in parameters if p.name != "self" and p.kind is not p.VAR_POSITIONAL]
    wanted = [n for n in names if not n.startswith("*")]
    return [n for n in wanted if n not in there] or (
        [] if [n for n in there if n in wanted] == wanted else [f"the order of {wanted}"]
    )


@pytest.mark.parametrize("module", NAMES)
def test_every_public_name_of_the_original_is_there_with_its_arguments(module):
    found = importlib.import_module(module)
    missing = []
    for name, what in NAMES[module].items():
        if not hasattr(found, name):
            missing.append(name)
        elif isinstance(what, list):
            missing += [f"{name}({a})" for a in accepts(getattr(found, name), what)]
        elif isinstance(what, dict):
            owner = getattr(found, name)
            instance = instances().get(name, owner)
            for member, how in what.items():
                if not hasattr(instance, member):
                    missing.append(f"{name}.{member}")
                elif isinstance(how, list) and not member.startswith("__"):
                    missing += [f"{name}.{member}({a})" for a in accepts(getattr(instance, member), how)]
                elif member == "__init__":
                    missing += [f"{name}({a})" for a in accepts(owner, how)]
    assert missing == []


def instances():
    """An object of each class whose attributes are made with it."""
    depot = Depot(codec=TEXT)
    depot.put("a", "text")
    loader = importlib.import_module("vlstore.loader").BlockShuffleBatch
    return {
        "SChunkStore": depot.backing,
        "Depot": depot,
        "LocationIndex": LocationIndex({1: depot.lookup["a"]}),
        "Location": depot.lookup["a"],
        "BlockShuffleBatch": loader(read_size=1, batch_size=1, backing=depot),
        "BackedAtomicData": frame(),
        "Codec": TEXT,
    }


def test_the_table_of_a_frame_is_read_as_the_generated_code_reads_it():
    made = frame(5, "name", 2.0)
    table = FBFrame.FBFrame.GetRootAs(bytes(made.raw), 0)
    assert isinstance(made.fb, FBFrame.FBFrame)
    assert (table.Name(), table.Nsites(), table.Ncodim()) == (b"name", 5, 3)
    for what, values in (
        ("Types", np.arange(5)), ("Masses", np.full(5, 2)),
        ("Positions", np.full(15, 2)), ("Forces", np.full(15, -2)),
    ):
        assert getattr(table, f"{what}AsNumpy")().tolist() == values.tolist()
        assert getattr(table, f"{what}Length")() == len(values)
        assert [getattr(table, what)(j) for j in range(len(values))] == values.tolist()
        assert not getattr(table, f"{what}IsNone")()
    # An absent field is 0, as there.
    bare = struct.pack("<IHHi", 8, 4, 4, 4)
    table = FBFrame.FBFrame.GetRootAsFBFrame(bare)
    assert (table.Name(), table.Nsites(), table.Ncodim(), table.TypesLength()) == (None, 0, 3, 0)
    assert table.ForcesIsNone() and table.ForcesAsNumpy() == 0 == table.Forces(3)
    # Behind something else.
    there = FBFrame.FBFrame.GetRootAs(b"12345678" + bytes(made.raw), 8)
    assert there.Name() == b"name" and there.MassesAsNumpy().tolist() == [2.0] * 5


def test_bytes_that_are_no_table_are_refused_and_no_byte_outside_is_read():
    good = bytes(frame(3).raw)
    for bad in (b"", b"123", bytes(1000), b"no frame at all", b"\xff" * 40, good[:20], good[:-13]):
        with pytest.raises(ValueError):
            BackedAtomicDataCodec.unpack(bad)
    for at in range(len(good)):
        for bit in range(8):
            changed = bytearray(good)
            changed[at] ^= 1 << bit
            try:
                read = BackedAtomicDataCodec.unpack(changed)
                for field in ("name", "n_sites", "masses", "atom_types", "pos", "forces"):
                    getattr(read, field)
            except ValueError:
                pass


def test_a_table_can_be_written_through_a_builder():
    class Builder:
        """Notes what it is told."""

        def __init__(self):
            self.told = []

        def __getattr__(self, name):
            return lambda *args: self.told.append((name, *args)) or len(self.told)

    module = importlib.import_module("vlstore.serialize.flatbuffer.atomicdata")
    builder = Builder()
    offset = module.add_types_vector(builder, data=[7, 8], fbclass=FBFrame)
    FBFrame.Start(builder)
    FBFrame.AddTypes(builder, offset)
    FBFrame.AddNsites(builder, 2)
    FBFrame.AddNcodim(builder, 3)
    FBFrame.End(builder)
    assert builder.told == [
        ("StartVector", 4, 2, 4), ("PrependInt32", 8), ("PrependInt32", 7), ("EndVector",),
        ("StartObject", 7), ("PrependUOffsetTRelativeSlot", 3, offset, 0),
        ("PrependInt32Slot", 1, 2, 0), ("PrependInt32Slot", 2, 3, 3), ("EndObject",),
    ]


def address(buffer):
    return np.frombuffer(buffer, np.uint8).ctypes.data


@pytest.mark.parametrize("shift", [0, 1, 4])
def test_an_unpacked_frame_is_a_view_of_the_buffer(shift):
    record = create_fbframe_buffer("f", range(1000), np.ones(1000), 1000,
                                   np.ones((1000, 3)), np.ones((1000, 3)))
    memory = bytearray(shift) + bytearray(record)
    buffer = memoryview(memory)[shift:]
    one = BackedAtomicDataCodec.unpack(buffer)
    begin, end = address(buffer), address(buffer) + len(buffer)
    for array in (one.masses, one.atom_types, one.pos, one.forces):
        assert begin <= array.ctypes.data < end and not array.flags.writeable
    assert address(one.raw) == begin and one.pos.shape == (1000, 3)
    # What is written to the buffer is seen.
    at = shift + one.pos.ctypes.data - begin
    memory[at : at + 4] = struct.pack("<f", 7.5)
    assert one.pos[0, 0] == 7.5
    assert isinstance(BackedAtomicData(buffer).fb, FBFrame.FBFrame)


@pytest.mark.parametrize("kind", ["file", "memory", "super-chunk", "depot"])
def test_what_a_dict_can_do_a_store_can_do(tmp_path, kind):
    if kind == "super-chunk":
        pytest.importorskip("blosc2")
        store = SChunkStore(location=_create_default_schunk(chunksize=1000))
    elif kind == "depot":
        store = Depot(codec=TEXT, backing=tmp_path / "a.vls")
    else:
        store = SChunkStore(location=tmp_path / "a.vls" if kind == "file" else None)
    value = str if kind == "depot" else str.encode
    store.update({"a": value("1"), 2: value("2")})
    store.update([(b"c", value("3"))], d=value("4"))
    assert list(store) == ["a", 2, b"c", "d"]
    assert store.pop(2) == value("2") and store.pop(2, None) is None
    with pytest.raises(KeyError):
        store.pop(2)
    assert store.setdefault("a", value("9")) == value("1")
    assert store.setdefault("e", value("5")) == value("5")
    assert store.popitem() == ("e", value("5")) and len(store) == 3
    store.clear()
    assert len(store) == 0 and store
    with pytest.raises(KeyError):
        store.popitem()
    if kind != "super-chunk":
        store.close()
