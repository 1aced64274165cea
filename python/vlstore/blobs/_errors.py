"""What can go wrong with blobs, beside what :mod:`vlstore.errors` has."""

from vlstore.errors import CorruptError, InvalidError, NotFoundError, UnsupportedError


class MissingBlobError(NotFoundError):
    """A storage has no such content: the one error for blobs and for streams."""


class NotRegisteredError(NotFoundError):
    """A registry has nothing under this name, type or content type."""


class DuplicateError(InvalidError):
    """Two things of a registry have one name, and that was to be refused."""


class WrongContentError(CorruptError):
    """A content is not what was written: its bytes have another digest than its manifest says."""


def undefined(obj, action, method):
    """The error for a method that the class of ``obj`` inherits from its base class, and has to define itself."""
    return UnsupportedError(f"{type(obj).__qualname__} cannot {action}: the class does not define the method {method}")
