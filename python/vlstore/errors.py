"""What can go wrong: one base class, and a subclass for each kind.

Every error of this package is an :class:`Error`, and also the matching builtin exception, so that
other code can catch it as that::

    >>> import vlstore
    >>> store = vlstore.memory()
    >>> try:
    ...     store["missing"]
    ... except KeyError as error:
    ...     print(type(error).__name__, "-", error)
    NotFoundError - no record "missing"

A message says what is wrong, where, and what to do.
"""

import pickle

__all__ = [
    "ClosedError",
    "CodecError",
    "ConflictError",
    "CorruptError",
    "DataSetError",
    "OlderStateError",
    "Error",
    "ExistsError",
    "FormatError",
    "InvalidError",
    "LimitError",
    "LockedError",
    "MissingFileError",
    "NotAStoreError",
    "NotFoundError",
    "OrdinalError",
    "PermissionDeniedError",
    "PickleError",
    "PoisonedError",
    "ReadOnlyError",
    "RecordExistsError",
    "RecoveredWarning",
    "ReplacedError",
    "ResumeError",
    "StoreExistsError",
    "SystemCallError",
    "UnsupportedError",
    "WrongTypeError",
]


class Error(Exception):
    """Everything that this package raises."""

    # Not that of KeyError, which puts the message into quotes, nor that of OSError.
    __str__ = Exception.__str__


class NotFoundError(Error, KeyError):
    """There is no record, or no attribute, under this key."""


class OrdinalError(NotFoundError, IndexError):
    """There is no record at this ordinal."""


class ExistsError(Error):
    """Something is there already."""


class RecordExistsError(ExistsError, KeyError):
    """There is a record under this key already, and it was not to be overwritten."""


class StoreExistsError(ExistsError, FileExistsError):
    """There is a file at this path already."""


class SystemCallError(Error, OSError):
    """The operating system refused a call; ``errno`` says why, ``filename`` where."""


class MissingFileError(SystemCallError, FileNotFoundError):
    """There is no file at this path."""


class PermissionDeniedError(SystemCallError, PermissionError):
    """The operating system does not allow it."""


class CorruptError(Error, OSError):
    """Bytes that were written have changed, or were cut.

    ``part`` names the damaged part of the file, ``offset`` its place in bytes (``None`` if it
    has none), ``why`` says how the damage shows.
    """

    part: str = ""
    offset: int | None = None
    why: str = ""


class OlderStateError(CorruptError):
    """The newest commit cannot be read, and the store was opened for writing.

    Nothing was changed. ``vlstore recover`` saves all that is left into a new store; reading
    shows the older state; ``accept_older=True`` continues with it, and loses the newer.
    """


class NotAStoreError(Error, ValueError):
    """The bytes are not of a store at all."""


class UnsupportedError(Error, NotImplementedError):
    """A version, codec or feature that this release does not know."""


class LimitError(Error, ValueError):
    """A size above its ceiling, or a record that is larger than the buffer given for it."""


class InvalidError(Error, ValueError):
    """An argument, or a combination of options, that cannot work."""


class ResumeError(InvalidError):
    """An import cannot be resumed without the danger of frames lost or doubled.

    ``reason`` is one of ``"unknown"`` (the store does not say where its frames come from),
    ``"changed"`` (records were added, deleted or replaced since the import), ``"unfinished"`` (an
    import was stopped in an input that is not given), ``"replaced"`` (an input is not what it
    was), ``"out of order"``, ``"sites"`` (another number of atoms), ``"stream"`` and ``"options"``.
    """

    reason: str = ""


class WrongTypeError(Error, TypeError):
    """An argument of the wrong type: a key that is a float, a value that is a string."""


class LockedError(Error, BlockingIOError):
    """Another process or handle is writing to this file."""


class ReadOnlyError(Error, PermissionError):
    """A write to something that was opened for reading."""


class PoisonedError(Error, OSError):
    """An earlier write failed; this handle writes no more. Open the store again."""


class ReplacedError(Error, OSError):
    """Another file has taken the place of the one that is open. Open the store again.

    A writer is told at its next commit if its file was deleted, renamed or replaced. What was put
    so far is committed in that file; if no name leads to it any more, ``save_as`` writes it to a new
    one before the writer is closed.
    """


class DataSetError(Error, OSError):
    """A data set is not what its manifest says.

    A member is missing, or is not the store that was published, or the manifest was changed. The message
    names it.
    """


class ConflictError(Error, ValueError):
    """Somebody else published the data set meanwhile; nothing was published and nothing is lost."""


class ClosedError(Error, ValueError):
    """The store was closed."""


class CodecError(Error, ValueError):
    """A record does not decode, or an object does not encode."""


class FormatError(Error, ValueError):
    """A trajectory file of another program does not parse, or cannot hold a frame.

    For a frame that a format cannot hold, ``ordinal`` and ``key`` name the frame, ``field`` and
    ``site`` (counted from 0, ``None`` if it is about all sites) what does not fit.
    """

    ordinal: int | None = None
    key: str | None = None
    field: str | None = None
    site: int | None = None


class PickleError(Error, pickle.PicklingError):
    """A store cannot travel to another process as it is."""


class RecoveredWarning(UserWarning):
    """What was opened is less than what was written: the newest commit could not be read.

    ``store.opened`` says what was opened instead; ``vlstore verify`` says more.
    """
