"""Reading and writing the table ``FBFrame`` with the names of the original's generated code.

Reading needs no other package: :class:`FBFrame` looks fields up in the bytes and its arrays are
views of them. Writing goes through a ``flatbuffers.Builder`` that the caller has made.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from vlstore.errors import CodecError
from vlstore.legacy.store._types import bytewise_memoryview

# Numbers of the fields, in the order of the schema.
_NAME, _NSITES, _NCODIM, _TYPES, _MASSES, _POSITIONS, _FORCES = range(7)
_FIELDS = 7

_INT = np.dtype("<i4")
_FLOAT = np.dtype("<f4")
_U32 = struct.Struct("<I")
_I32 = struct.Struct("<i")
_SIZES = struct.Struct("<HH")


def _bad(why: str) -> CodecError:
    return CodecError(f"the bytes are not a frame: {why}")


def _vector(field: int, dtype: np.dtype) -> tuple[Callable[..., Any], ...]:
    """The four methods of a field that is a vector of numbers."""

    def item(self: FBFrame, j: int) -> Any:
        """The number at position ``j``; 0 if the field is absent."""
        found = self._numbers(field, dtype)
        return 0 if found is None else found[j].item()

    def as_numpy(self: FBFrame) -> Any:
        """All numbers as an array over the bytes; 0 if the field is absent."""
        found = self._numbers(field, dtype)
        return 0 if found is None else found

    def length(self: FBFrame) -> int:
        """How many numbers there are; 0 if the field is absent."""
        found = self._numbers(field, dtype)
        return 0 if found is None else len(found)

    def is_none(self: FBFrame) -> bool:
        """Whether the field is absent."""
        return self._at(field) == 0

    return item, as_numpy, length, is_none


class FBFrame:
    """A frame over its bytes. What lies outside of them is an error, never read.

    >>> import numpy as np
    >>> from vlstore.serialize import create_fbframe_buffer
    >>> zeros = np.zeros((2, 3), dtype=np.float32)
    >>> data = create_fbframe_buffer("pair", [6, 8], [12, 16], 2, zeros, zeros)
    >>> frame = FBFrame.GetRootAs(data)
    >>> frame.Name(), frame.Nsites(), frame.Types(1), frame.MassesAsNumpy()
    (b'pair', 2, 8, array([12., 16.], dtype=float32))
    """

    __slots__ = ("_bytes", "_offsets", "_pos")

    @classmethod
    def GetRootAs(cls, buf: Any, offset: int = 0) -> FBFrame:  # noqa: N802
        """The frame in ``buf``, a buffer in which it begins at ``offset``.

        Raises :class:`~vlstore.errors.CodecError` if there is none.
        """
        view = bytewise_memoryview(buf)
        try:
            (root,) = _U32.unpack_from(view, offset)
        except struct.error:
            raise _bad("there is no root table") from None
        if root < _U32.size:
            raise _bad("there is no root table")
        frame = cls()
        frame.Init(view, offset + root)
        return frame

    @classmethod
    def GetRootAsFBFrame(cls, buf: Any, offset: int = 0) -> FBFrame:  # noqa: N802
        """As :meth:`GetRootAs`."""
        return cls.GetRootAs(buf, offset)

    def Init(self, buf: Any, pos: int) -> None:  # noqa: N802
        """Become the frame whose table begins at ``pos`` of ``buf``."""
        view = bytewise_memoryview(buf)
        try:
            at = pos - _I32.unpack_from(view, pos)[0]
            if at < 0:
                raise _bad("its table of fields lies outside of it")
            size, table = _SIZES.unpack_from(view, at)
            count = min(size // 2 - 2, _FIELDS)
            offsets = struct.unpack_from(f"<{max(count, 0)}H", view, at + _SIZES.size)
        except struct.error:
            raise _bad("it is cut short") from None
        if count < 0 or table < _I32.size or pos + table > len(view):
            raise _bad("its table of fields contradicts itself")
        if any(offset >= table for offset in offsets):
            raise _bad("a field lies outside of its table")
        self._bytes = view
        self._pos = pos
        self._offsets = offsets

    def _at(self, field: int) -> int:
        """Where a field begins in the bytes; 0 if it is absent."""
        offset = self._offsets[field] if field < len(self._offsets) else 0
        return self._pos + offset if offset else 0

    def _number(self, field: int, default: int) -> int:
        at = self._at(field)
        try:
            return _I32.unpack_from(self._bytes, at)[0] if at else default
        except struct.error:
            raise _bad("it is cut short") from None

    def _list(self, field: int, width: int) -> tuple[int, int] | None:
        """Where the values of a field begin, and how many there are; ``None`` if it is absent."""
        at = self._at(field)
        if not at:
            return None
        try:
            at += _U32.unpack_from(self._bytes, at)[0]
            (count,) = _U32.unpack_from(self._bytes, at)
        except struct.error:
            raise _bad("it is cut short") from None
        at += _U32.size
        if at + count * width > len(self._bytes):
            raise _bad("it is cut short")
        return at, count

    def _numbers(self, field: int, dtype: np.dtype) -> np.ndarray | None:
        found = self._list(field, dtype.itemsize)
        if found is None:
            return None
        at, count = found
        return np.frombuffer(self._bytes[at : at + count * dtype.itemsize], dtype)

    def Name(self) -> bytes | None:  # noqa: N802
        """The name as UTF-8; ``None`` if there is none."""
        found = self._list(_NAME, 1)
        return None if found is None else bytes(self._bytes[found[0] : sum(found)])

    def Nsites(self) -> int:  # noqa: N802
        """Number of sites."""
        return self._number(_NSITES, 0)

    def Ncodim(self) -> int:  # noqa: N802
        """Components of a position."""
        return self._number(_NCODIM, 3)

    Types, TypesAsNumpy, TypesLength, TypesIsNone = _vector(_TYPES, _INT)
    Masses, MassesAsNumpy, MassesLength, MassesIsNone = _vector(_MASSES, _FLOAT)
    Positions, PositionsAsNumpy, PositionsLength, PositionsIsNone = _vector(_POSITIONS, _FLOAT)
    Forces, ForcesAsNumpy, ForcesLength, ForcesIsNone = _vector(_FORCES, _FLOAT)

    def _check(self) -> None:
        """Compare the lengths of all fields with the number of sites."""
        sites, components = self.Nsites(), self.Ncodim()
        if sites < 0 or components < 1:
            raise _bad(f"it has {sites} sites with {components} components")
        for what, field, each in (
            ("types", _TYPES, 1),
            ("masses", _MASSES, 1),
            ("positions", _POSITIONS, components),
            ("forces", _FORCES, components),
        ):
            found = self._list(field, _INT.itemsize)
            if found is not None and found[1] != sites * each:
                raise _bad(f"it has {found[1]} numbers as {what} of {sites} sites")


# What follows fills a table through a builder.


def _start_vector(builder: Any, numElems: int) -> Any:  # noqa: N803
    """Begin a vector of ``numElems`` numbers of 32 bits."""
    return builder.StartVector(4, numElems, 4)


def _add(builder: Any, field: int, offset: Any) -> None:
    builder.PrependUOffsetTRelativeSlot(field, int(offset), 0)


def FBFrameStart(builder: Any) -> None:  # noqa: N802
    """Begin a table."""
    builder.StartObject(_FIELDS)


def FBFrameAddNsites(builder: Any, nsites: int) -> None:  # noqa: N802
    """Enter the number of sites."""
    builder.PrependInt32Slot(_NSITES, nsites, 0)


def FBFrameAddNcodim(builder: Any, ncodim: int) -> None:  # noqa: N802
    """Enter the number of components of a position."""
    builder.PrependInt32Slot(_NCODIM, ncodim, 3)


def FBFrameAddName(builder: Any, name: int) -> None:  # noqa: N802
    """Enter the name, which was written there."""
    _add(builder, _NAME, name)


def FBFrameAddTypes(builder: Any, types: int) -> None:  # noqa: N802
    """Enter the types, which were written there."""
    _add(builder, _TYPES, types)


def FBFrameAddMasses(builder: Any, masses: int) -> None:  # noqa: N802
    """Enter the masses, which were written there."""
    _add(builder, _MASSES, masses)


def FBFrameAddPositions(builder: Any, positions: int) -> None:  # noqa: N802
    """Enter the positions, which were written there."""
    _add(builder, _POSITIONS, positions)


def FBFrameAddForces(builder: Any, forces: int) -> None:  # noqa: N802
    """Enter the forces, which were written there."""
    _add(builder, _FORCES, forces)


def FBFrameEnd(builder: Any) -> Any:  # noqa: N802
    """End the table; where it lies."""
    return builder.EndObject()


FBFrameStartTypesVector = StartTypesVector = _start_vector
FBFrameStartMassesVector = StartMassesVector = _start_vector
FBFrameStartPositionsVector = StartPositionsVector = _start_vector
FBFrameStartForcesVector = StartForcesVector = _start_vector
Start = FBFrameStart
AddName = FBFrameAddName
AddTypes = FBFrameAddTypes
AddMasses = FBFrameAddMasses
AddPositions = FBFrameAddPositions
AddForces = FBFrameAddForces
AddNsites = FBFrameAddNsites
AddNcodim = FBFrameAddNcodim
End = FBFrameEnd
