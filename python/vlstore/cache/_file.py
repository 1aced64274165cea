"""Results in a store file, shared by processes."""

import json
import os
import weakref

from vlstore.cache import _base
from vlstore.cache._errors import DamagedEntryError
from vlstore.cache._memory import budget
from vlstore.errors import Error, InvalidError


def modes(path, readonly, truncate, temporary):
    """Refuses modes that exclude each other."""
    if readonly and (truncate or temporary):
        raise InvalidError(f"{path}: a storage for reading only can be neither truncated nor temporary")


def remove(path, process):
    """Removes the file of a temporary storage, unless this is a child of the process that made it."""
    if os.getpid() == process:
        try:
            os.remove(path)
        except OSError:
            pass


class StorageFile(_base.StorageBase):
    """Keeps results in a store file, which is made if it is missing.

    Several processes and threads may use one file: a process opens it for writing only while it stores or
    deletes something, and waits up to ``lock_timeout`` seconds for its turn. Each sees what the others have
    stored.

    ``readonly`` needs no permission to write, and a missing file is an error. ``truncate`` begins with an
    empty file; a file that is not a cache is refused, and stays. A ``temporary`` file is removed when the object is closed or collected. ``max_bytes`` is the
    budget: bytes of all results together before compression; when a store exceeds it, the results that
    were used least recently are deleted. ``compression`` of a new file is one of those of
    :func:`vlstore.open`: ``"auto"`` is LZ4, ``"stored"`` returns large arrays fastest, ``"zstd"`` makes the smallest file. If the newest commit of the file cannot be read, ``OlderStateError`` is raised, also later;
    ``accept_older`` continues with the commit before.

    The file is a store of ``document`` records: ``vlstore info``, ``ls``, ``verify``, ``compact`` and ``copy``
    work on it.
    """

    def __init__(
        self,
        path,
        *,
        readonly=False,
        truncate=False,
        temporary=False,
        max_bytes=None,
        lock_timeout=60.0,
        compression="auto",
        accept_older=False,
    ):
        super().__init__()
        from vlstore._core import _Cache

        modes(path, readonly, truncate, temporary)
        self.readonly = bool(readonly)
        self.max_bytes = budget(max_bytes)
        self.lock_timeout = float(lock_timeout)
        self.compression, self.accept_older = compression, bool(accept_older)
        self._cache = _Cache(
            os.fspath(path),
            truncate=bool(truncate),
            readonly=self.readonly,
            max_bytes=self.max_bytes,
            lock_timeout=self.lock_timeout,
            compression=compression,
            accept_older=bool(accept_older),
        )
        self.filename = os.fspath(self._cache.path)
        self.temporary = bool(temporary)
        self._place = f"the storage {self.filename}"
        process = os.getpid()
        if temporary:
            self._end = weakref.finalize(self, remove, self.filename, process)
        elif self.max_bytes is not None and not readonly:
            self._end = weakref.finalize(self, _flush, self._cache, process)
        else:
            self._end = None

    def __repr__(self):
        return f"<vlstore.cache.StorageFile {self.filename}>"

    def __reduce__(self):
        if self.temporary:
            from vlstore.errors import PickleError

            raise PickleError(f"{self._place} is temporary: it stays in its process")
        options = {
            "readonly": self.readonly,
            "max_bytes": self.max_bytes,
            "lock_timeout": self.lock_timeout,
            "compression": self.compression,
            "accept_older": self.accept_older,
        }
        return _reopened, (self.filename, options)

    def close(self):
        """Writes down what was used last, if there is a budget, and removes the file of a temporary storage."""
        if self._end is not None:
            self._end()

    def _load(self, key):
        found = self._cache.get(key)
        if found is None:
            return None
        return self._packed(key, *found)[1]

    def _packed(self, key, text, arrays):
        try:
            head = json.loads(text)
            own = head["key"]
            if type(own) is not str or (key is not None and own != key):
                raise ValueError(f"it is the entry of {own!s:.80}")
            extra = head.get("extra", "")
            if type(extra) is dict:
                extra = json.dumps(extra)
            elif type(extra) is not str:
                raise ValueError("extra data is not an object")
            return own, _base.Packed(head["result"], arrays, float(head["stored"]), extra)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            what = "an entry" if key is None else f"the entry of {key:.200}"
            raise DamagedEntryError(
                f"{self.filename}: {what} is malformed: {type(error).__name__}: {error}"
            ) from error

    def _save(self, key, packed):
        extra = packed.extra
        if extra:
            # Readable where strict JSON can hold it; NaN it cannot.
            strict = "NaN" not in extra and "Infinity" not in extra
            extra = f',"extra":{extra if strict else json.dumps(extra)}'
        node = json.dumps(packed.node, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        head = f'{{"key":{json.dumps(key, ensure_ascii=False)},"stored":{packed.stored!r}{extra},"result":{node}}}'
        self._cache.put(key, packed.stored, head, packed.arrays)

    def _list(self):
        out = []
        for entry in self._cache.entries():
            key = entry.key
            if key is None:
                # A long key stands in the entry alone.
                found = self._cache.read(entry)
                if found is None:
                    continue
                try:
                    key, _ = self._packed(None, *found)
                except DamagedEntryError:
                    key = "damaged"
            out.append((key, entry.stored, entry))
        return out

    def _read(self, key, handle):
        found = self._cache.read(handle)
        return None if found is None else self._packed(key, *found)[1]

    def _remove(self, listed):
        return self._cache.remove([handle for _, _, handle in listed])

    def _clear(self):
        return self._cache.clear()

    def _delete(self, key):
        return self._cache.delete(key)

    def __contains__(self, key):
        return isinstance(key, str) and self._cache.contains(key)

    def __len__(self):
        return len(self._cache)

    def _size(self):
        info = self._cache.info()
        return info["entries"], info["bytes"]

    def _state(self):
        return self._cache.state()

    def repack(self):
        """Rewrites the file without dead space: a new file takes the place of the old in one step."""
        self._writable()
        self._cache.repack()


def _reopened(path, options):
    return StorageFile(path, **options)


def _flush(cache, process):
    if os.getpid() != process:
        return
    try:
        cache.flush()
    except (OSError, Error):
        # Only the order of the next deletions is a little older.
        pass
