"""Results in memory."""

import collections
import operator

from vlstore.cache import _base
from vlstore.cache._fork_lock import Lock
from vlstore.errors import InvalidError, LimitError

_EXTRA = 64


def budget(max_bytes):
    """A number of bytes, or ``None`` for no limit."""
    if max_bytes is None:
        return None
    if isinstance(max_bytes, bool) or not hasattr(max_bytes, "__index__") or max_bytes < 0:
        raise InvalidError(f"max_bytes must be a number of bytes, 0 or more, or None, not {max_bytes!r:.40}")
    # No file is longer.
    return min(operator.index(max_bytes), 2**63 - 1)


def frozen(array):
    """A copy that nobody can write to, also not after asking for it."""
    import numpy as np

    if array.size == 0:
        out = np.empty(array.shape, array.dtype)
        out.flags.writeable = False
        return out
    return np.frombuffer(array.tobytes(), array.dtype).reshape(array.shape)


class StorageMemory(_base.StorageBase):
    """Keeps results in memory, for as long as it lives.

    ``max_bytes`` is the budget: bytes of all results together; those that were used least recently are
    deleted. A forked child has a copy of its own.
    """

    _place = "the storage in memory"
    _local = True

    def __init__(self, max_bytes=None):
        super().__init__()
        self.max_bytes = budget(max_bytes)
        self._entries = collections.OrderedDict()
        self._order = {}
        self._bytes = self._changes = 0
        self._lock = Lock()

    def __repr__(self):
        return f"<vlstore.cache.StorageMemory of {len(self)} results>"

    def __reduce__(self):
        from vlstore.errors import PickleError

        raise PickleError("a StorageMemory stays in its process: use a StorageFile to share results")

    def _load(self, key):
        with self._lock:
            found = self._entries.get(key)
            if found is None:
                return None
            self._entries.move_to_end(key)
            return found[0]

    def _save(self, key, packed):
        import json

        arrays = [frozen(array) for array in packed.arrays]
        text = json.dumps(packed.node)
        size = len(key) + len(text) + len(packed.extra) + sum(array.nbytes + _EXTRA for array in arrays)
        if self.max_bytes is not None and size > self.max_bytes:
            raise LimitError(f"a result of {size} bytes is above the budget of {self.max_bytes} (max_bytes)")
        # Its own copy of the tree: lists of the result belong to the caller.
        packed = _base.Packed(json.loads(text), arrays, packed.stored, packed.extra)
        with self._lock:
            self._drop(key)
            self._entries[key] = packed, size, packed.stored
            self._order[key] = packed.stored
            self._bytes += size
            self._changes += 1
            while self.max_bytes is not None and self._bytes > self.max_bytes:
                self._drop(next(iter(self._entries)))

    def _drop(self, key):
        found = self._entries.pop(key, None)
        if found is None:
            return False
        del self._order[key]
        self._bytes -= found[1]
        self._changes += 1
        return True

    def _list(self):
        with self._lock:
            return [(key, stored, None) for key, stored in self._order.items()]

    def _read(self, key, handle):
        with self._lock:
            found = self._entries.get(key)
            return None if found is None else found[0]

    def _remove(self, listed):
        with self._lock:
            return sum(self._drop(key) for key, _, _ in listed)

    def _delete(self, key):
        with self._lock:
            return self._drop(key)

    def _size(self):
        with self._lock:
            return len(self._entries), self._bytes

    def _state(self):
        return self._changes
