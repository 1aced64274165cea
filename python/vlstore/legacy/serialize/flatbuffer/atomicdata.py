"""Frames of particles as FlatBuffers, in the layout of the original program.

The records are those of the codec ``"md-frame"`` too; ``vlstore.MdFrame.from_bytes(frame.raw)``
shows more of them, and holds more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from vlstore._core import MdFrame
from vlstore.errors import InvalidError, WrongTypeError
from vlstore.legacy.serialize.codec import Codec
from vlstore.legacy.serialize.flatbuffer.FBSites import FBFrame
from vlstore.legacy.serialize.numpy import copy_to
from vlstore.legacy.store._types import bytewise_memoryview

#: Bytes with which the original's builder begins; nothing here is built by one.
INI_SIZE: Final = 1 << 19


@dataclass(frozen=True)
class BackedAtomicData:
    """A frame over the bytes of its record.

    Made by :meth:`from_values`, or from ``raw``, a buffer with a record. Arrays are read-only
    views of that buffer, which is not copied. ``fb`` is the table in it, as the original's
    generated code reads it.

    Raises :class:`~vlstore.errors.CodecError` if ``raw`` is no such record.
    """

    raw: memoryview
    fb: FBFrame.FBFrame = field(default=None, repr=False, compare=False)  # type: ignore[assignment]

    def __post_init__(self) -> None:
        """Read the record."""
        raw = bytewise_memoryview(self.raw).toreadonly()
        if len(raw) > 3 and raw[3] >= 0x80:
            # A lean frame, from a store that this package made.
            raw = memoryview(MdFrame.from_bytes(raw).to_flatbuffer())
        table = FBFrame.FBFrame.GetRootAs(raw)
        table._check()
        object.__setattr__(self, "raw", raw)
        object.__setattr__(self, "fb", table)

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel as bytes."""
        return _unpack, (bytes(self.raw),)

    @classmethod
    def from_values(cls, **kwargs: Any) -> BackedAtomicData:
        """Make a frame; the arguments are those of :func:`create_fbframe_buffer`."""
        return cls(memoryview(create_fbframe_buffer(**kwargs)))

    @property
    def name(self) -> str:
        """Name of the frame."""
        return (self.fb.Name() or b"").decode()

    @property
    def n_sites(self) -> int:
        """Number of sites."""
        return self.fb.Nsites()

    @property
    def masses(self) -> np.ndarray:
        """Masses, ``(n_sites,)``, float32."""
        return self.fb.MassesAsNumpy() if not self.fb.MassesIsNone() else _kept(self, "masses")

    @property
    def atom_types(self) -> np.ndarray:
        """Types of the sites, ``(n_sites,)``, int32."""
        return self.fb.TypesAsNumpy() if not self.fb.TypesIsNone() else _kept(self, "types")

    @property
    def pos(self) -> np.ndarray:
        """Positions, ``(n_sites, 3)``, float32."""
        if self.fb.PositionsIsNone():
            return _kept(self, "positions")
        return self.fb.PositionsAsNumpy().reshape(self.fb.Nsites(), self.fb.Ncodim())

    @property
    def forces(self) -> np.ndarray:
        """Forces, ``(n_sites, 3)``, float32."""
        if self.fb.ForcesIsNone():
            return _kept(self, "forces")
        return self.fb.ForcesAsNumpy().reshape(self.fb.Nsites(), self.fb.Ncodim())


def _kept(record: BackedAtomicData, what: str) -> np.ndarray:
    """A field that the record keeps in a way that the original does not know, if it has it."""
    frame = MdFrame.from_bytes(record.raw)
    array = getattr(frame, what)
    if array is None and frame.topology_digest and frame.topology is None:
        raise InvalidError(
            f"the {what} of the frame are in a topology, which vlstore.open finds: open the store "
            'with records="md-frame"'
        )
    if array is None:
        raise InvalidError(f"the frame has no {what}")
    return array


def create_fbframe_buffer(
    name: str,
    atom_types: Sequence[int] | np.ndarray,
    masses: Sequence[float] | np.ndarray,
    nsites: int,
    positions: np.ndarray,
    forces: np.ndarray,
    builder: Any = None,  # noqa: ARG001 - nothing is shared that could break
    check: bool = True,  # noqa: ARG001 - what it asks for is always done
) -> bytes:
    """The record of a frame.

    ``atom_types`` are ``nsites`` integers of 32 bits, ``masses`` ``nsites`` numbers,
    ``positions`` and ``forces`` arrays ``(nsites, 3)``; real numbers are kept as float32.
    ``builder`` and ``check`` have no effect.

    Raises :class:`~vlstore.errors.InvalidError`, a ``ValueError``, for another shape or length,
    :class:`~vlstore.errors.WrongTypeError` for what is not a number.
    """
    if not isinstance(name, str):
        raise WrongTypeError(f"name must be a str, not {type(name).__name__}")
    if isinstance(nsites, bool) or not hasattr(nsites, "__index__"):
        raise WrongTypeError(f"nsites must be an integer, not {nsites!r}")
    n = nsites.__index__()
    if n < 0:
        raise InvalidError(f"nsites: {n} is negative")
    frame = MdFrame(
        positions=_real("positions", positions, (n, 3)),
        types=_types(atom_types, n),
        masses=_real("masses", masses, (n,)),
        forces=_real("forces", forces, (n, 3)),
        name=name,
        nsites=n,
    )
    return bytes(frame.record)


def _array(what: str, values: Any) -> np.ndarray:
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise InvalidError(f"{what}: NumPy cannot make an array of this: {error}") from None
    if array.dtype == bool and not isinstance(values, np.ndarray):
        # In a list the bools of Python are numbers.
        array = array.astype(np.int32)
    if array.size and array.dtype.kind not in "iuf":
        raise WrongTypeError(f"{what} must be numbers, not {array.dtype}")
    return array


def _shaped(what: str, array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if array.shape != shape:
        raise InvalidError(f"{what} have shape {array.shape}, and with {shape[0]} sites {shape} "
                           "is needed")
    return array


def _real(what: str, values: Any, shape: tuple[int, ...]) -> np.ndarray:
    array = _shaped(what, _array(what, values), shape)
    with np.errstate(over="ignore"):
        single = array.astype(np.float32)
    if (np.isinf(single) & np.isfinite(array)).any():
        raise InvalidError(f"{what} have a value that is too large for float32")
    return single


def _types(values: Any, n: int) -> np.ndarray:
    array = _shaped("atom_types", _array("atom_types", values), (n,))
    bounds = np.iinfo(np.int32)
    if array.size and (array.min() < bounds.min or array.max() > bounds.max):
        raise InvalidError("atom_types have a value that does not fit 32 bits")
    types = array.astype(np.int32)
    if (types != array).any():
        raise InvalidError("atom_types have a value that is not an integer")
    return types


def _pack(target: BackedAtomicData, /, out: Any = None) -> Any:
    """The record of ``target``; or ``out`` with a copy at its beginning."""
    if not isinstance(target, BackedAtomicData):
        raise WrongTypeError(f"the value is a BackedAtomicData, not {type(target).__name__}")
    if out is None:
        return target.raw
    copy_to(out, target.raw)
    return out


def _unpack(data: Any, /) -> BackedAtomicData:
    """The frame over ``data``."""
    return BackedAtomicData(data)


BackedAtomicDataCodec: Codec[BackedAtomicData] = Codec(pack=_pack, unpack=_unpack)


def _adder(start: str, prepend: str) -> Callable[[Any, Sequence[Any], Any], Any]:
    def add(builder: Any, data: Sequence[Any], fbclass: Any) -> Any:
        """Write the numbers of ``data`` through a ``flatbuffers.Builder``; where they lie.

        ``fbclass`` is the module :mod:`~vlstore.serialize.flatbuffer.FBSites.FBFrame`.
        """
        getattr(fbclass, start)(builder, len(data))
        one = getattr(builder, prepend)
        for number in reversed(data):
            one(number)
        return builder.EndVector()

    return add


add_types_vector = _adder("StartTypesVector", "PrependInt32")
add_masses_vector = _adder("StartMassesVector", "PrependFloat32")
add_positions_vector = _adder("StartPositionsVector", "PrependFloat32")
add_forces_vector = _adder("StartForcesVector", "PrependFloat32")
