"""What can go wrong with blobs, beside what :mod:`vlstore.errors` has."""

from vlstore.errors import CorruptError, InvalidError, NotFoundError


class MissingBlobError(NotFoundError):
    """A storage has no such content: the one error for blobs and for streams."""


class NotRegisteredError(NotFoundError):
    """A registry has nothing under this name, type or content type."""


class DuplicateError(InvalidError):
    """Two things of a registry have one name, and that was to be refused."""


class WrongContentError(CorruptError):
    """A content is not what was written: its bytes have another digest than its manifest says."""
