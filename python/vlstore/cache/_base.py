"""What all storages have in common."""

import abc
import collections
import datetime
import json
import math
import time
import warnings

from vlstore.cache import _arguments, _result
from vlstore.cache._errors import DamagedEntryError, DamagedEntryWarning, ResultError
from vlstore.errors import InvalidError, NotFoundError, ReadOnlyError, WrongTypeError

#: What :meth:`StorageBase.info` returns.
StorageInfo = collections.namedtuple("StorageInfo", "hits misses entries bytes")

#: Names in the extra data that the storage itself fills.
_OWN = ("time_stored", "obj_module", "obj_class", "obj_props")


class Packed:
    """An entry as storages keep it: the tree of the result, its arrays, the time, extra data as JSON text."""

    __slots__ = ("arrays", "extra", "node", "stored")

    def __init__(self, node, arrays, stored, extra):
        self.node, self.arrays, self.stored, self.extra = node, arrays, stored, extra

    def result(self, raw=False, what="the entry"):
        return _result.decode(self.node, self.arrays, raw, what)

    def extra_data(self, what="the entry"):
        """The user's extra data with what the storage knows: when it was stored, and the class of an object."""
        try:
            out = json.loads(self.extra) if self.extra else {}
            found = _result.object_of(self.node)
        except ValueError as error:
            raise DamagedEntryError(f"{what} is malformed: {error}") from error
        if found:
            module, name, properties = found
            out["obj_module"], out["obj_class"] = module, name
            out["obj_props"] = _result.decode(properties, self.arrays, True, what)
        out["time_stored"] = self.stored
        return out


def pack(result, extra=None, local=False):
    """An entry of a result and extra data. ``ResultError`` names what cannot be stored."""
    node, arrays = _result.encode(result, local)
    stored = time.time()
    text = ""
    if extra:
        if not isinstance(extra, dict):
            raise WrongTypeError(f"extra data must be a dict of JSON, not {type(extra).__qualname__}")
        if "time_stored" in extra:
            stored = _seconds(extra["time_stored"], "time_stored")
        if "obj_class" in extra and _result.object_of(node) is None:
            # The data of an object, as iteration returned it.
            properties, more = _result.encode(extra.get("obj_props"))
            if more:
                raise ResultError("obj_props is JSON")
            names = [extra.get("obj_module"), extra["obj_class"]]
            node = {"object": names, "data": node, "extra": properties}
        rest = {name: value for name, value in extra.items() if name not in _OWN}
        text = _result.extra_text(rest) if rest else ""
    return Packed(node, arrays, stored, text)


def _seconds(value, what):
    if isinstance(value, datetime.datetime):
        return value.timestamp()
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = math.nan
    if not math.isfinite(seconds) and what == "time_stored" or math.isnan(seconds):
        raise WrongTypeError(f"{what} must be a number of seconds since 1970, or a datetime, not {value!r:.40}")
    return seconds


def _name_of(function):
    if function is None or isinstance(function, str):
        return function
    name = getattr(function, "cache_name", None)
    return name if isinstance(name, str) else _arguments.function_name(function)


class StorageBase(abc.ABC):
    """Results by the arguments that they belong to; one interface over memory, a store file, and HDF5.

    An entry belongs to positional and named arguments, and to the name and version of a function if
    :func:`~vlstore.cache.cached` stored it. Iteration is over the keys of the entries, which
    ``storage[key]``, ``del storage[key]`` and ``key in storage`` take; the other methods take arguments.
    """

    #: Whether nothing may be written.
    readonly = False
    #: Whether objects of classes inside of functions can be kept.
    _local = False
    #: What the storage is called in messages.
    _place = "the storage"

    def __init__(self):
        self._hits = self._misses = 0

    # What each storage does its own way.

    @abc.abstractmethod
    def _load(self, key):
        """The packed entry of a key; ``None`` if there is none."""

    @abc.abstractmethod
    def _save(self, key, packed):
        """Stores an entry; one under the same key is replaced."""

    @abc.abstractmethod
    def _list(self):
        """``(key, time, handle)`` of all entries, oldest first, without reading a result where that can be."""

    @abc.abstractmethod
    def _read(self, key, handle):
        """The packed entry of a listed one; ``None`` if it is gone meanwhile."""

    @abc.abstractmethod
    def _remove(self, listed):
        """Deletes listed entries; how many were still there."""

    @abc.abstractmethod
    def _size(self):
        """Number of entries and their bytes."""

    def _state(self):
        """What tells one content from another; ``None`` if that is not known."""
        return None

    def _writable(self):
        """Raises if nothing may be written."""
        if self.readonly:
            raise ReadOnlyError(f"{self._place} is open for reading only: nothing can be stored or deleted")

    def close(self):
        """Ends the work with the storage. Files are open only during an operation, so that it need not be called."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # Keys.

    def get_key(self, args=None, kwargs=None, *, function="", version=1):
        """The key of these arguments: a text, the same in every run.

        ``ArgumentError`` names an argument that JSON cannot hold.
        """
        args = () if args is None else args
        kwargs = {} if kwargs is None else kwargs
        if isinstance(args, (str, bytes)) or not isinstance(kwargs, dict):
            raise WrongTypeError("args must be a sequence of positional arguments, kwargs a dict of named ones")
        positional, named = _arguments.positional_text(args), _arguments.named_text(kwargs)
        return _arguments.key_text(positional, named, _name_of(function) or "", version)

    # Storing and retrieving.

    def store(self, result, args=None, kwargs=None, internal_data=None, *, function="", version=1):
        """Stores ``result`` under these arguments; what is stored under equal ones is replaced.

        ``internal_data`` is a dict of JSON that :meth:`retrieve` returns beside it. A ``time_stored`` in it,
        in seconds since 1970, replaces the time of now. ``ResultError`` names what of the result cannot
        be stored, ``ArgumentError`` an argument.
        """
        self._writable()
        key = self.get_key(args, kwargs, function=function, version=version)
        self._save(key, pack(result, internal_data, self._local))

    def retrieve(self, args=None, kwargs=None, *, function="", version=1):
        """Result, positional arguments, named arguments, and extra data of the entry of these arguments.

        Extra data has ``time_stored``, and for an object ``obj_module``, ``obj_class`` and ``obj_props``.
        ``NotFoundError`` (a ``KeyError``) if there is none, ``DamagedEntryError`` if it is damaged,
        ``MissingClassError`` if the class of an object is gone. Arrays are read-only.
        """
        return self[self.get_key(args, kwargs, function=function, version=version)]

    def _count(self, hit):
        # The interpreter changes threads between calls, not within such a line: no lock is needed.
        if hit:
            self._hits += 1
        else:
            self._misses += 1

    def __getitem__(self, key):
        packed = self._load(_checked(key))
        self._count(packed is not None)
        if packed is None:
            raise NotFoundError(f"{self._place} has no result of {key}")
        return self._value(key, packed, raw=False)

    def _value(self, key, packed, raw):
        try:
            _, _, args, kwargs = _arguments.parse_key(key)
        except ValueError as error:
            raise DamagedEntryError(f"the key of an entry is malformed: {key:.80}: {error}") from error
        what = f"the entry of {key:.200}"
        return packed.result(raw, what), args, kwargs, packed.extra_data(what)

    def __contains__(self, key):
        return isinstance(key, str) and self._load(key) is not None

    def __delitem__(self, key):
        self._writable()
        if not self._delete(_checked(key)):
            raise NotFoundError(f"{self._place} has no result of {key}")

    def _delete(self, key):
        return self._remove([entry for entry in self._list() if entry[0] == key]) > 0

    def delete(self, args=None, kwargs=None, *, function="", version=1):
        """Deletes the entry of these arguments. ``NotFoundError`` if there is none."""
        del self[self.get_key(args, kwargs, function=function, version=version)]

    # Looking through.

    def __len__(self):
        return self._size()[0]

    def __bool__(self):
        # An empty storage is still one: ``storage or other`` must not pass it over.
        return True

    def __iter__(self):
        return iter([key for key, _, _ in self._list()])

    def keys(self):
        """The keys, oldest entry first."""
        return list(self)

    def times(self):
        """When each entry was stored, by key, in seconds since 1970 (UTC). Reads no result."""
        return {key: stored for key, stored, _ in self._list()}

    def time_stored(self, args=None, kwargs=None, *, function="", version=1):
        """When the entry of these arguments was stored, in seconds since 1970 (UTC)."""
        key = self.get_key(args, kwargs, function=function, version=version)
        packed = self._load(key)
        if packed is None:
            raise NotFoundError(f"{self._place} has no result of {key}")
        return packed.stored

    def values(self, *, raw=False):
        """Iterates over ``(result, args, kwargs, extra)``, oldest entry first.

        With ``raw`` the result of an object is the data that its class returned. An error in one entry is
        raised when its turn comes; the iterator goes on behind it if it is asked to.
        """
        return _Entries(self, self._list(), lambda key, value: value, raw)

    def items(self, *, raw=False):
        """Iterates over ``(key, (result, args, kwargs, extra))``; see :meth:`values`."""
        return _Entries(self, self._list(), lambda key, value: (key, value), raw)

    # The names that the original program has.
    itervalues, iteritems = values, items

    def iterdata(self, kwargs=None, ret_extra_data=False, *, function=None, raw=False):
        """Iterates over ``(result, args)`` of the entries with exactly these named arguments.

        ``{}`` are those without named arguments, ``None`` all. With ``ret_extra_data`` extra data comes as a
        third. ``function`` (a function or its name) limits it to the results of one.
        """

        def value(_, found):
            return (found[0], found[1], found[3]) if ret_extra_data else found[:2]

        return _Entries(self, self._select(None, kwargs, function), value, raw)

    def _select(self, time_max=None, kwargs=None, function=None, version=None):
        """Listed entries that meet all conditions that are given."""
        named = None if kwargs is None else _arguments.named_text(kwargs)
        function = _name_of(function)
        before = None if time_max is None else _seconds(time_max, "time_max")
        out = []
        for entry in self._list():
            key, stored, _ = entry
            if before is not None and not stored < before:
                continue
            if named is not None or function is not None or version is not None:
                try:
                    name, number, _, _ = _arguments.parse_key(key)
                except ValueError:
                    continue
                if function is not None and name != function or version is not None and number != version:
                    continue
                if named is not None and not _ends_with(key, named):
                    continue
            out.append(entry)
        return out

    # Keeping in order.

    def clear(self, time_max=None, kwargs=None, *, function=None, version=None):
        """Deletes entries, and returns how many: all, or those that meet all conditions that are given.

        ``time_max``: stored before this time (seconds since 1970, or a ``datetime``). ``kwargs``: with exactly
        these named arguments; ``{}`` are those without. ``function``, ``version``: results of this function.
        """
        self._writable()
        if time_max is None and kwargs is None and function is None and version is None:
            return self._clear()
        return self._remove(self._select(time_max, kwargs, function, version))

    def _clear(self):
        return self._remove(self._list())

    def repack(self):
        """Rewrites what is stored without dead space; the old file is kept until the new one is whole."""
        self._writable()

    def import_(self, source, damaged="raise"):
        """Copies all entries of another storage, with their times and extra data, and returns how many.

        Entries under the same key are replaced if those of ``source`` are not older. A damaged entry raises
        ``DamagedEntryError``, and what was copied before it stays; with ``damaged="skip"`` it is left out with a
        ``DamagedEntryWarning``, and the others are copied.
        """
        if damaged not in ("raise", "skip"):
            raise InvalidError(f'damaged must be "raise" or "skip", not {damaged!r}')
        self._writable()
        there, done = self.times(), 0
        for key, stored, handle in source._list():
            if key in there and there[key] > stored:
                continue
            try:
                packed = source._read(key, handle)
            except DamagedEntryError as error:
                if damaged == "raise":
                    error.add_note('import_(source, damaged="skip") copies the others')
                    raise
                warnings.warn(f"a damaged entry is not copied: {error}", DamagedEntryWarning, stacklevel=2)
                continue
            if packed is not None:
                self._save(key, packed)
                done += 1
        return done

    def info(self):
        """Hits and misses of this object, and the number of entries and their bytes before compression."""
        entries, size = self._size()
        return StorageInfo(self._hits, self._misses, entries, size)


def _checked(key):
    if not isinstance(key, str):
        raise WrongTypeError(f"a key must be a str, as get_key returns it, not {type(key).__qualname__}")
    return key


def _ends_with(key, named):
    """Whether the named arguments of a key have this text: they are the last part of it."""
    if not key.endswith(f",{named}]"):
        return False
    # ``{}`` also ends a list whose last item is an object.
    positional = key[: -len(named) - 2]
    try:
        parts = json.loads(positional + "]")
    except ValueError:
        return False
    return len(parts) in (1, 3) and isinstance(parts[-1], list)


class _Entries:
    """An iterator that goes on after an error."""

    def __init__(self, storage, listed, make, raw):
        self._storage, self._listed, self._make, self._raw = storage, iter(listed), make, raw

    def __iter__(self):
        return self

    def __next__(self):
        while True:
            key, _, handle = next(self._listed)
            packed = self._storage._read(key, handle)
            if packed is not None:
                return self._make(key, self._storage._value(key, packed, self._raw))

    def __length_hint__(self):
        return self._listed.__length_hint__()
