"""What can go wrong with cached results, beside the errors of every store."""

from vlstore.errors import Error, WrongTypeError

__all__ = [
    "ArgumentError",
    "DamagedEntryError",
    "DamagedEntryWarning",
    "EntryError",
    "MissingClassError",
    "NotStoredWarning",
    "ResultError",
]


class ArgumentError(WrongTypeError):
    """An argument that JSON cannot hold, so that it cannot be part of a key. The message names it."""


class ResultError(WrongTypeError):
    """A result, or extra data, that cannot be stored and come back as what it was."""


class EntryError(Error, ValueError):
    """There is an entry, but it cannot be returned. Not a ``KeyError``: nothing is missing."""


class DamagedEntryError(EntryError):
    """The bytes of an entry have changed, or they are not those of an entry."""


class MissingClassError(EntryError):
    """The class of a stored object is gone: its module or its name. The message names it."""


class DamagedEntryWarning(UserWarning):
    """A damaged entry was computed again, or left out of an import."""


class NotStoredWarning(UserWarning):
    """A result was returned, but could not be stored; the message says why."""
