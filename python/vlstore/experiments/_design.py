"""Designs: what is planned before a run, and what a trial holds while it is acquired."""

from __future__ import annotations

import pprint
import random
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from vlstore.errors import InvalidError, WrongTypeError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from vlstore import _core

__all__ = ["Array", "Block", "Design", "Trial"]


class Design(list["Block"]):
    """A list of blocks, which are lists of trials.

    >>> from vlstore.experiments import Design
    >>> design = Design()
    >>> block = design.add_block()
    >>> for side in ("left", "right"):
    ...     trial = block.add_trial({"side": side})
    >>> design[0][1].attrs
    {'side': 'right', 'block': 0, 'trial': 1}
    """

    def add_block(self) -> Block:
        """Append an empty block and return it. Blocks are numbered from 0."""
        block = Block(len(self))
        self.append(block)
        return block


class Block(list["Trial"]):
    """A list of trials; ``index`` is the number of the block in its design."""

    def __init__(self, index: int, trials: Any = ()) -> None:
        super().__init__(trials)
        self.index = index

    def add_trial(self, attrs: Mapping[str, Any] | None = None) -> Trial:
        """Append a trial with these attributes and return it.

        ``block`` and ``trial`` are set to the number of the block and to the place of the trial in
        it, counted from 0, whatever ``attrs`` says.
        """
        trial = Trial({**(attrs or {}), "block": self.index, "trial": len(self)})
        self.append(trial)
        return trial

    def shuffle(self, reset_index: bool = True, seed: int | None = None) -> None:
        """Bring the trials into random order.

        Parameters
        ----------
        reset_index : bool
            Number the trials anew, in the new order. Without, each keeps its number.
        seed : int, optional
            The same seed gives the same order. The state of the module :mod:`random` is not changed.
        """
        random.Random(seed).shuffle(self)
        if reset_index:
            for place, trial in enumerate(self):
                trial.attrs["trial"] = place


class Trial:
    """What belongs to one trial: ``attrs``, a dict of single values, and ``arrays``.

    Attributes are ``None`` (missing), bool, int, float, str, or single numbers of NumPy; each
    comes back with the type that it had.
    """

    def __init__(self, attrs: Mapping[str, Any] | None = None) -> None:
        self.attrs: dict[str, Any] = dict(attrs or {})
        self.arrays: dict[str, Array] = {}
        self._writer: _core._TaskWriter | None = None
        self._token: int | None = None
        #: Arrays that hand their pieces to the writer, also those that were taken out of `arrays`.
        self._attached: list[Array] = []

    def add_array(
        self, name: str, data: ArrayLike | None = None, stack_axis: int = 1
    ) -> Array:
        """Declare the array ``name`` and return it: see :class:`Array` for the arguments."""
        array = Array(data, stack_axis)
        old = self.arrays.get(name)
        if old is not None:
            old._forget()
        self.arrays[name] = array
        if self._writer is not None and self._token is not None:
            self._attach(name, array)
        return array

    def _attach(self, name: str, array: Array) -> None:
        assert self._writer is not None and self._token is not None
        self._attached.append(array)
        array._attach(self._writer, self._token, name)

    def _begin(self, writer: _core._TaskWriter, token: int) -> None:
        self._writer, self._token = writer, token
        for name, array in self.arrays.items():
            self._attach(name, array)

    def _end(self) -> None:
        attached, self._attached = self._attached, []
        for array in attached:
            if array._to is not None and array._to[:2] == (self._writer, self._token):
                array._detach()
        self._writer = self._token = None

    def __str__(self) -> str:
        return pprint.pformat(self.attrs, sort_dicts=False)

    def __repr__(self) -> str:
        return f"<Trial {self.attrs} with the arrays {list(self.arrays)}>"


class Array:
    """An array of a trial: given whole, or growing piece by piece.

    Parameters
    ----------
    data : array, optional
        What it begins with.
    stack_axis : {1, 0, 2}
        Along which axis :meth:`stack` joins pieces, as ``numpy.hstack``, ``vstack`` and ``dstack``
        do: 1 puts columns beside columns, and arrays of one axis end to end; 0 puts rows below
        rows; 2 layers behind layers. Pieces get the axes that they lack.

    All pieces have one type: a piece of another is refused, so that no value changes unseen.
    What is given is copied: a buffer of a device may be used again at once. One thread may stack
    while others look at the data.
    """

    def __init__(self, data: ArrayLike | None = None, stack_axis: int = 1) -> None:
        if stack_axis not in (0, 1, 2) or isinstance(stack_axis, bool):
            raise InvalidError(
                f"stack_axis: {stack_axis!r} is not one of 0 (rows), 1 (columns), 2 (layers)"
            )
        self.stack_axis = int(stack_axis)
        self._pieces: list[np.ndarray] = []
        self._whole: np.ndarray | None = None
        self._to: tuple[_core._TaskWriter, int, str] | None = None
        #: Pieces of the list that the writer has.
        self._sent = 0
        #: What the fields above are read and changed with.
        self._lock = threading.RLock()
        if data is not None:
            self._whole = _own(data)

    @property
    def data(self) -> np.ndarray | None:
        """All of it as one array; ``None`` if there is nothing yet.

        It is read-only, since an edit in place would not reach what is written already. Assign an
        array to replace it all.
        """
        with self._lock:
            if not self._pieces:
                return self._whole
            joined = self._pieces[0]
            if len(self._pieces) > 1:
                # Joined once, and kept as one piece.
                joined = _fixed(np.concatenate(self._pieces, axis=self._along()))
            sent = 1 if self._sent == len(self._pieces) else 0
            if self._to is None or sent:
                self._pieces = [joined]
                self._sent = sent
            return joined

    @data.setter
    def data(self, data: ArrayLike | None) -> None:
        whole = None if data is None else _own(data)
        with self._lock:
            self.clear()
            self._whole = whole

    def stack(self, data: ArrayLike) -> None:
        """Add a piece. Of a trial that was begun (:meth:`TaskWriter.begin`), it is written at once.

        A piece that is refused (it does not fit those before it) is not in the array. Where writing
        fails, as on a full disk, this raises, and the array keeps the piece in memory: ``data`` has
        everything. Free the trial with :meth:`TaskWriter.abandon` and write it elsewhere.
        """
        piece = _own(data)
        if piece.ndim == 0:
            raise InvalidError("a single value cannot be stacked; give an array of one entry")
        piece = self._lifted(piece)
        with self._lock:
            first = self._pieces[0] if self._pieces else self._whole
            if first is not None:
                self._check(self._lifted(first), piece)
            if self._whole is not None:
                self._pieces, self._whole = [self._lifted(self._whole)], None
            self._pieces.append(piece)
            try:
                self._send()
            except (InvalidError, WrongTypeError):
                self._pieces.pop()
                raise

    def clear(self) -> None:
        """Empty it. What was in it is gone, also from the trial that is under way."""
        with self._lock:
            if self._to is not None and self._sent:
                writer, token, name = self._to
                writer.clear(token, name)
            self._pieces, self._whole, self._sent = [], None, 0

    def _along(self) -> int:
        return 0 if self.stack_axis == 1 and self._pieces[0].ndim == 1 else self.stack_axis

    def _lifted(self, piece: np.ndarray) -> np.ndarray:
        return (np.atleast_2d, np.atleast_1d, np.atleast_3d)[self.stack_axis](piece)

    def _check(self, first: np.ndarray, piece: np.ndarray) -> None:
        if first.dtype != piece.dtype:
            raise InvalidError(
                f"the array holds {first.dtype}, and this piece {piece.dtype}; convert the piece "
                "first, so that no value changes unseen"
            )
        along = 0 if self.stack_axis == 1 and first.ndim == 1 else self.stack_axis
        same = first.ndim == piece.ndim and all(
            a == b for axis, (a, b) in enumerate(zip(first.shape, piece.shape)) if axis != along
        )
        if not same:
            raise InvalidError(
                f"a piece of shape {piece.shape} cannot be joined to one of shape {first.shape} "
                f"along axis {along}: all other axes must be equal"
            )

    def _attach(self, writer: _core._TaskWriter, token: int, name: str) -> None:
        with self._lock:
            self._to, self._sent = (writer, token, name), 0
            self._send()

    def _detach(self) -> None:
        with self._lock:
            self._to, self._sent = None, 0

    def _forget(self) -> None:
        """Takes its pieces back from the writer, and keeps them in memory."""
        with self._lock:
            if self._to is not None and self._sent:
                writer, token, name = self._to
                writer.clear(token, name)
            self._detach()

    def _send(self) -> None:
        if self._to is None:
            return
        writer, token, name = self._to
        while self._sent < len(self._pieces):
            writer.stack(token, name, self.stack_axis, self._pieces[self._sent])
            self._sent += 1

    def _given(self, name: str) -> np.ndarray | None:
        """What a writer is given with the trial under this name: nothing if it has all pieces."""
        sent = self._to is not None and self._to[2] == name and self._pieces
        return None if sent else self.data

    @property
    def _filled(self) -> bool:
        return bool(self._pieces) or self._whole is not None

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.RLock()

    def __repr__(self) -> str:
        data = self.data
        held = "empty" if data is None else f"{data.dtype} of shape {data.shape}"
        return f"<Array, {held}, stacked along axis {self.stack_axis}>"


def _own(data: ArrayLike) -> np.ndarray:
    """A copy of numbers, so that what the caller does with its buffer changes nothing here."""
    return _fixed(np.array(_numbers(data)))


def _fixed(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


def _numbers(data: ArrayLike) -> np.ndarray:
    if isinstance(data, np.ma.MaskedArray):
        raise WrongTypeError("a masked array would lose its mask; give array.filled(...)")
    try:
        array = np.asarray(data)
    except ValueError as error:
        raise WrongTypeError(f"NumPy cannot make an array of this: {error}") from error
    if array.dtype.kind not in "biufc" or array.dtype.itemsize > 16 or (
        array.dtype.kind == "f" and array.dtype.itemsize > 8
    ):
        raise WrongTypeError(
            f"an array holds numbers or booleans, not {array.dtype}; keep other objects with "
            "`TaskWriter.put_object`"
        )
    return array
