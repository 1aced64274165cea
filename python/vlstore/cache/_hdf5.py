"""Results in an HDF5 file, in the layout of ``data-storage``: one dataset for each.

A dataset has the attributes ``args``, ``kwargs`` and ``internal_data``, texts of JSON, and ``deleted`` if it was
deleted. What HDF5 cannot say about a result stands in the member ``vlstore`` of ``internal_data``, which the
original program passes over.
"""

import contextlib
import errno
import hashlib
import json
import os
import random
import shutil
import threading
import time
import weakref

import numpy as np

from vlstore.cache import _base, _result
from vlstore.cache._arguments import VERBATIM, key_text, named_text, parse_key, positional_text
from vlstore.cache._errors import DamagedEntryError
from vlstore.cache._file import modes, remove
from vlstore.cache._fork_lock import Lock
from vlstore.errors import (
    InvalidError,
    LimitError,
    LockedError,
    MissingFileError,
    NotAStoreError,
    PermissionDeniedError,
)

try:
    import fcntl
except ImportError:
    fcntl = None

try:
    import h5py
except ImportError as error:
    raise ImportError("StorageHDF5 needs h5py: pip install 'vlstore[hdf5]'") from error

#: The member of ``internal_data`` that is ours.
_OURS = "vlstore"
#: Longest text that an attribute of every version of HDF5 holds, with its own header.
_ATTRIBUTE = 64_000
#: Longest tree of a result that stands in an attribute; a longer one stands in the dataset.
_TREE = 16_000
#: Between a change of a file and the next that is sure to have another time.
_LAG = 0.1
#: The attribute of a file that each of our writers gives a new value.
_MARK = "vlstore_changed"
#: What an entry has.
_ATTRIBUTES = ("args", "kwargs", "internal_data")
#: Room on the disk that HDF5 needs beside the values: one that is full leaves the file open, and useless to
#: this process.
_ROOM = 1 << 20
#: Longest array of which a checksum is kept: it is one chunk of the dataset.
_CHUNK = 1 << 31

# HDF5 has one handle for a file in a process: one thread at a time.
_turns = weakref.WeakValueDictionary()
_finding = threading.Lock()


def _turn_of(path):
    with _finding:
        found = _turns.get(path)
        if found is None:
            found = _turns[path] = Lock()
        return found


class StorageHDF5(_base.StorageBase):
    """Keeps results in an HDF5 file of the layout of ``data-storage``; reads the files of that program in place.

    The file is open only during an operation, so that several processes may use it: each waits up to
    ``lock_timeout`` seconds for its turn. A deleted entry keeps its space until :meth:`repack`.
    ``readonly`` needs no permission to write, and a missing file is an error; ``truncate`` begins with an empty
    file; a ``temporary`` file is removed when the object is closed or collected. Needs h5py
    (``pip install 'vlstore[hdf5]'``).

    What else is in the file (other datasets, groups, attributes) stays there; a file with such things is not
    truncated.

    HDF5 has no commits: a process that is killed while it writes can leave a file that HDF5 does not open. A
    :class:`~vlstore.cache.StorageFile` cannot; ``import_`` takes the entries over. The values of arrays have a
    checksum (Fletcher-32), what else HDF5 writes has none.
    """

    def __init__(self, path, readonly=False, truncate=False, temporary=False, *, lock_timeout=60.0):
        super().__init__()
        modes(path, readonly, truncate, temporary)
        self.filename = os.path.abspath(os.fspath(path))
        self.readonly, self.temporary = bool(readonly), bool(temporary)
        self.lock_timeout = float(lock_timeout)
        self._place = f"the storage {self.filename}"
        self._turn = _turn_of(os.path.realpath(self.filename))
        self._index, self._older, self._changes, self._stamp, self._settled = {}, {}, 0, None, False
        # What the file said of its changes when it was read.
        self._seen = None
        there = os.path.exists(self.filename) and os.path.getsize(self.filename) > 0
        if there and not h5py.is_hdf5(self.filename):
            # One that may not be read is not told from one that is no HDF5 file.
            with contextlib.closing(self._file_itself()):
                raise NotAStoreError(f"{self.filename}: not an HDF5 file")
        if readonly:
            if not there:
                raise MissingFileError(f"{self.filename}: this file does not exist, or is empty")
        elif truncate and there:
            with self._open("r+") as file:
                foreign = [name for name in file if not _is_entry(file.get(name))]
                if foreign:
                    raise InvalidError(
                        f"{self.filename}: it has {foreign[0]!r}, which is no result: a file with other things is not "
                        "truncated; clear() deletes the results alone"
                    )
                for name in list(file):
                    del file[name]
                self._mark_changed(file)
            self._rewrite(clear=True)
        elif not there:
            with self._open("w"):
                pass
        self._end = weakref.finalize(self, remove, self.filename, os.getpid()) if temporary else None
        self._looked()

    def __repr__(self):
        return f"<vlstore.cache.StorageHDF5 {self.filename}>"

    def __reduce__(self):
        if self.temporary:
            from vlstore.errors import PickleError

            raise PickleError(f"{self._place} is temporary: it stays in its process")
        return _reopened, (self.filename, {"readonly": self.readonly, "lock_timeout": self.lock_timeout})

    def close(self):
        """Removes the file of a temporary storage."""
        if self._end is not None:
            self._end()

    # The file.

    def _file_itself(self):
        try:
            return open(self.filename, "rb")
        except PermissionError as error:
            raise PermissionDeniedError(f"{self.filename}: {error.strerror}") from error

    @contextlib.contextmanager
    def _open(self, mode):
        """The open file, when it is this thread's and this process's turn. With ``w`` an empty one is made, if there is
        none yet."""
        begun, pause = time.monotonic(), 0.001
        with self._turn:
            while True:
                try:
                    if (found := self._opened(mode)) is not None:
                        break
                except FileNotFoundError as error:
                    raise MissingFileError(f"{self.filename}: this file does not exist") from error
                except PermissionError as error:
                    raise PermissionDeniedError(f"{self.filename}: {error}") from error
                except OSError as error:
                    # Its lock, as HDF5 says it.
                    if not isinstance(error, BlockingIOError) and "lock file" not in str(error):
                        raise
                    if time.monotonic() - begun >= self.lock_timeout:
                        raise LockedError(f"{self.filename}: another process has the file open: {error}") from error
                time.sleep(pause * (0.5 + random.random()))
                pause = min(2 * pause, 0.05)
            lock, file = found
            try:
                yield file
            finally:
                _close(lock, file)

    def _opened(self, mode):
        """What has the lock, and the open file; ``None`` if another process has put a new file in its place since."""
        lock = _lock(os.path.dirname(os.path.realpath(self.filename)), mode != "r")
        file = None
        try:
            if mode == "w" and os.path.exists(self.filename) and os.path.getsize(self.filename) > 0:
                mode = "r+"
            file = h5py.File(self.filename, mode)
            if self._is_the_file(file):
                return lock, file
        except BaseException:
            _close(lock, file)
            raise
        _close(lock, file)
        return None

    def _is_the_file(self, file):
        try:
            there, opened = os.stat(self.filename), os.fstat(file.id.get_vfd_handle())
        except FileNotFoundError:
            return False
        return (there.st_dev, there.st_ino) == (opened.st_dev, opened.st_ino)

    def _has_room(self, size):
        """Raises if the disk is nearly full, before anything is written."""
        free = shutil.disk_usage(os.path.dirname(os.path.realpath(self.filename))).free
        if free < size + _ROOM:
            raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)}: {size} bytes and {_ROOM} for HDF5, {free} free", self.filename)

    @staticmethod
    def _mark_changed(file):
        mark = int.from_bytes(os.urandom(7))
        file.attrs[_MARK] = mark
        return mark, len(file)

    def _now(self):
        try:
            found = os.stat(self.filename)
        except FileNotFoundError as error:
            raise MissingFileError(f"{self.filename}: the file is gone") from error
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns

    def _looked(self):
        """Brings the index up to date if the file may have changed."""
        with self._turn:
            now, stamp = time.time(), self._now()
            # Two changes in a moment can bear one time: what was read then is read once more, later.
            settled = abs(now - stamp[3] / 1e9) > _LAG
            if self._stamp == stamp and (self._settled or not settled):
                return
            with self._open("r") as file:
                seen = int(file.attrs.get(_MARK, 0)), len(file)
                # A program that leaves no mark changes the time, or adds a dataset.
                found = self._index if self._stamp == stamp and self._seen == seen else self._read_index(file)
            self._seen = seen
            if found is not self._index and found != self._index:
                self._index, self._changes = found, self._changes + 1
            self._stamp, self._settled = stamp, settled

    def _read_index(self, file):
        """Name, time and bytes of each entry, by key. Of two under one key the newer counts."""
        out, self._older = {}, {}
        for name in file:
            item = file.get(name)
            if not isinstance(item, h5py.Dataset) or item.attrs.get("deleted", False):
                continue
            try:
                key, stored = self._key(item), self._internal(item)["time_stored"]
                entry = name, float(stored), int(item.size) * int(item.dtype.itemsize)
            except (KeyError, TypeError, ValueError, AttributeError):
                # Not an entry, or one whose writer was killed: there is no key to find it by.
                continue
            if key in out:
                older, entry = sorted((out[key], entry), key=lambda found: found[1])
                self._older.setdefault(key, []).append(older[0])
            out[key] = entry
        return dict(sorted(out.items(), key=lambda pair: pair[1][1]))

    @staticmethod
    def _json(item, name):
        value = item.attrs[name]
        return json.loads(value.decode() if isinstance(value, bytes) else str(value))

    def _internal(self, item):
        value = self._json(item, "internal_data")
        if not isinstance(value, dict):
            raise ValueError("internal_data is not an object")
        return value

    def _key(self, item):
        args, kwargs = self._json(item, "args"), self._json(item, "kwargs")
        ours = _ours(self._internal(item))
        positional = positional_text(args or (), VERBATIM)
        return key_text(positional, named_text(kwargs or {}, VERBATIM), ours.get("function", ""), ours.get("version", 1))

    # Entries.

    def _load(self, key):
        self._looked()
        found = self._index.get(key)
        return None if found is None else self._read(key, found[0])

    def _read(self, key, handle):
        with self._open("r") as file:
            item = file.get(handle)
            if item is None or item.attrs.get("deleted", False):
                return None
            try:
                return self._packed(item)
            except (KeyError, TypeError, ValueError, IndexError, OSError, RuntimeError) as error:
                raise DamagedEntryError(
                    f"{self.filename}: the entry of {key:.200} is malformed: {type(error).__name__}: {error}"
                ) from error

    def _packed(self, item):
        internal = self._internal(item)
        ours = _ours(internal)
        if ours:
            del internal[_OURS]
        if _OURS in ours:
            internal[_OURS] = ours[_OURS]
        stored = float(internal.pop("time_stored"))
        data = item[()]
        if isinstance(data, (bytes, str)) and not isinstance(data, np.generic):
            node, arrays = data if isinstance(data, str) else _result.encode(data)[0], []
            if isinstance(data, bytes):
                arrays = _result.encode(data)[1]
        elif isinstance(data, h5py.Empty):
            node, arrays = None, []
        else:
            node, arrays = _result.encode(data)
        if "result" in ours:
            node = ours["result"]
            if "parts" in ours:
                arrays = _apart(np.asarray(data), ours["parts"])
            elif isinstance(data, np.generic):
                arrays = [np.asarray(data)]
        elif "tree" in ours:
            whole, length = np.asarray(data), ours["tree"]
            tree = json.loads(whole[:length].tobytes())
            node, arrays = tree["result"], _apart(whole[length:], tree["parts"])
        for array in arrays:
            array.flags.writeable = False
        if "obj_class" in internal:
            extra = ours.get("props", _result.encode(internal.pop("obj_props", None))[0])
            node = {"object": [internal.pop("obj_module"), internal.pop("obj_class")], "data": node, "extra": extra}
        internal.pop("obj_props", None)
        return _base.Packed(node, arrays, stored, json.dumps(internal) if internal else "")

    def _save(self, key, packed):
        function, version, args, kwargs = parse_key(key)
        internal = json.loads(packed.extra) if packed.extra else {}
        internal["time_stored"] = packed.stored
        node, ours = packed.node, {}
        if _OURS in internal:
            ours[_OURS] = internal.pop(_OURS)
        found = _result.object_of(node)
        if found:
            internal["obj_module"], internal["obj_class"], properties = found
            node = node["data"]
            plain = _result.decode(properties, packed.arrays, True)
            if _result.encode(plain)[0] == properties and _is_json(plain):
                internal["obj_props"] = plain
            else:
                internal["obj_props"], ours["props"] = None, properties
        data = self._data(node, packed.arrays, ours)
        if function:
            ours["function"], ours["version"] = function, version
        if ours:
            internal[_OURS] = {"by": _OURS, **ours}
        texts = {"args": json.dumps(args), "kwargs": json.dumps(kwargs), "internal_data": json.dumps(internal)}
        for name, text in texts.items():
            if len(text) > _ATTRIBUTE:
                raise LimitError(f"{name} of {len(text)} bytes: an attribute of HDF5 holds {_ATTRIBUTE}")
        with self._turn:
            self._looked()
            whole = isinstance(data, np.ndarray) and data.ndim > 0 and 0 < data.nbytes < _CHUNK
            self._has_room(data.nbytes if isinstance(data, np.ndarray) else 0)
            with self._open("r+") as file:
                old = self._index.get(key)
                name = self._free_name(file, key)
                checked = {"chunks": data.shape, "fletcher32": True} if whole else {}
                item = file.create_dataset(name, data=data, **checked)
                for attribute, text in texts.items():
                    item.attrs[attribute] = text
                # Only now: a process that is killed in between leaves both, and the newer counts.
                if old is not None:
                    self._mark(file, key, old[0])
                size = int(item.size) * int(item.dtype.itemsize)
                self._seen = self._mark_changed(file)
            self._index.pop(key, None)
            self._index[key] = name, packed.stored, size
            self._restamp()

    def _restamp(self):
        self._stamp, self._settled = self._now(), False
        self._changes += 1

    @staticmethod
    def _free_name(file, key):
        first = name = hashlib.blake2b(key.encode(), digest_size=16).hexdigest()
        number = 0
        while name in file:
            name = f"{first}_{number:03d}"
            number += 1
        return name

    @staticmethod
    def _data(node, arrays, ours):
        """The dataset of a result; ``ours`` gets what the dataset does not say."""
        if len(arrays) == 1 and node in ({"array": 0}, {"scalar": 0}):
            array = arrays[0]
            if node == {"array": 0} and array.ndim == 0:
                # HDF5 does not tell a number from an array without axes.
                ours["result"] = node
            return array
        parts = [[array.dtype.str, list(array.shape)] for array in arrays]
        pieces = [array.reshape(-1).view(np.uint8) for array in map(np.ascontiguousarray, arrays)]
        tree = json.dumps({"result": node, "parts": parts}).encode()
        if len(tree) > _TREE:
            ours["tree"] = len(tree)
            return np.concatenate([np.frombuffer(tree, np.uint8), *pieces])
        ours["result"] = node
        if not arrays:
            return node if type(node) in (bool, int, float) else np.empty(0, np.uint8)
        if len(arrays) == 1:
            return arrays[0]
        ours["parts"] = parts
        return np.concatenate(pieces)

    def _list(self):
        self._looked()
        return [(key, stored, name) for key, (name, stored, _) in sorted(self._index.items(), key=lambda e: e[1][1])]

    def _size(self):
        self._looked()
        return len(self._index), sum(size for _, _, size in self._index.values())

    def __contains__(self, key):
        self._looked()
        return key in self._index

    def _state(self):
        self._looked()
        return self._changes

    def _delete(self, key):
        self._looked()
        found = self._index.get(key)
        return found is not None and self._remove([(key, found[1], found[0])]) > 0

    def _remove(self, listed):
        if not listed:
            return 0
        done = 0
        with self._turn:
            with self._open("r+") as file:
                for key, _, name in listed:
                    done += self._mark(file, key, name)
                    self._index.pop(key, None)
                self._seen = self._mark_changed(file)
            self._restamp()
        return done

    def _mark(self, file, key, name):
        """Marks an entry as deleted, and older ones under its key, which would show again; whether it was there."""
        found = False
        for each in (name, *self._older.pop(key, ())):
            item = file.get(each)
            if item is not None and not item.attrs.get("deleted", False):
                item.attrs["deleted"] = found = True
        return found

    # Rewriting.

    def _clear(self):
        count = len(self)
        self._rewrite(clear=True)
        return count

    def repack(self):
        """Rewrites the file without deleted entries. The old file stays until the new one is whole and synced."""
        self._writable()
        self._rewrite(clear=False)

    def _rewrite(self, clear):
        """Puts a new file in the place of the old: without what is deleted, or with ``clear`` without any entry.

        What is no entry, or one that cannot be read, stays.
        """
        with self._turn:
            # The lock of the old file keeps others out until the new one has its place.
            with self._open("r+") as old:
                self._read_index(old)
                gone = {name for names in self._older.values() for name in names}
                names = [name for name in old if name not in gone and not _goes(old.get(name), clear)]
                # Of links, the file itself: those who know it by another name go on with the same one.
                whole_path = os.path.realpath(self.filename)
                folder, base = os.path.split(whole_path)
                # Who has the lock is alone; one that is there was left by a process that was killed.
                path = os.path.join(folder, f".{base}.repack")
                try:
                    with h5py.File(path, "w") as new:
                        for name, value in old.attrs.items():
                            new.attrs[name] = value
                        for name in names:
                            link = old.get(name, getlink=True)
                            if isinstance(link, h5py.HardLink):
                                old.copy(name, new)
                            else:
                                new[name] = link
                        self._mark_changed(new)
                    with open(path, "rb+") as whole:
                        os.fsync(whole.fileno())
                    shutil.copymode(whole_path, path)
                    os.replace(path, whole_path)
                except BaseException:
                    with contextlib.suppress(OSError):
                        os.remove(path)
                    raise
            self._stamp = None
            self._looked()


def _lock(folder, alone):
    """A descriptor of the folder with a lock that processes share which read, and that one which writes has
    ``alone``; ``None`` where folders have no locks.

    HDF5 has locks of its own, which keep other programs out. But it looks at the length of a file before it has its
    lock, and writes after it gave it back, so that among several processes a file now and then seemed cut or damaged.
    """
    if fcntl is None:
        return None
    try:
        found = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(found, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except OSError as error:
        os.close(found)
        if isinstance(error, BlockingIOError):
            raise
        return None
    return found


def _close(lock, file):
    """Closes the file, and gives the lock back: also one of which a child that was forked meanwhile has a copy."""
    try:
        if file is not None:
            file.close()
    finally:
        if lock is not None:
            try:
                fcntl.flock(lock, fcntl.LOCK_UN)
            finally:
                os.close(lock)


def _is_entry(item):
    return isinstance(item, h5py.Dataset) and all(name in item.attrs for name in _ATTRIBUTES)


def _goes(item, clear):
    """Whether something is left out of a file that is written anew."""
    return _is_entry(item) and (clear or bool(item.attrs.get("deleted", False)))


def _ours(internal):
    """What we wrote of a result, beside the extra data of its user."""
    found = internal.get(_OURS)
    if not isinstance(found, dict) or found.get("by") != _OURS:
        return {}
    return found


def _is_json(value):
    try:
        return json.loads(json.dumps(value)) == value
    except (TypeError, ValueError):
        return False


def _apart(whole, parts):
    """The arrays that were put together into one of bytes."""
    out, at = [], 0
    for dtype, shape in parts:
        dtype = np.dtype(dtype)
        count = int(np.prod(shape, dtype=np.int64))
        size = count * dtype.itemsize
        if at + size > whole.size:
            raise ValueError("the arrays of the result are cut off")
        # A copy, so that each is aligned.
        out.append(np.frombuffer(whole[at : at + size].tobytes(), dtype, count).reshape(shape) if size else np.empty(shape, dtype))
        at += size
    return out


def _reopened(path, options):
    return StorageHDF5(path, **options)
