"""A decorator: a function runs once for the same arguments."""

import asyncio
import collections
import functools
import inspect
import math
import time
import warnings

from vlstore.cache import _base
from vlstore.cache._arguments import Call, is_object, own_name
from vlstore.cache._errors import DamagedEntryError, DamagedEntryWarning, NotStoredWarning, ResultError
from vlstore.cache._single_flight import Flights, LoopFlights
from vlstore.cache._memory import StorageMemory
from vlstore.errors import Error, InvalidError, WrongTypeError

#: What ``info()`` of a cached function returns.
CacheInfo = collections.namedtuple("CacheInfo", "hits misses entries bytes")

_MISSING = object()


class Options:
    """What :func:`cached` was told, checked."""

    def __init__(self, storage, ignore_kwargs, version, name, ttl, arrays, damaged, max_bytes):
        if storage is None:
            storage = StorageMemory(max_bytes=max_bytes)
        elif max_bytes is not None:
            raise InvalidError("max_bytes: a storage that is given has its own budget: StorageFile(..., max_bytes=...)")
        if not isinstance(storage, _base.StorageBase):
            raise WrongTypeError(
                f"storage must be a StorageMemory, StorageFile or StorageHDF5, not {type(storage).__qualname__}; "
                "write @cached() or @cached(storage)"
            )
        if isinstance(version, bool) or not isinstance(version, int) or version < 0:
            raise WrongTypeError(f"version must be an integer, 0 or more, not {version!r:.40}")
        if not (name is None or isinstance(name, str)):
            raise WrongTypeError(f"name must be a str, not {name!r:.40}")
        if ttl is not None and (isinstance(ttl, bool) or not isinstance(ttl, (int, float)) or not ttl >= 0):
            raise InvalidError(f"ttl must be a number of seconds, 0 or more, or None, not {ttl!r:.40}")
        if arrays not in ("refuse", "content"):
            raise InvalidError(f'arrays: {arrays!r} is neither "refuse" nor "content"')
        if damaged not in ("recompute", "raise"):
            raise InvalidError(f'damaged: {damaged!r} is neither "recompute" nor "raise"')
        self.storage, self.version, self.name = storage, version, name
        self.ignore = ignore_kwargs
        self.ttl = math.inf if ttl is None else ttl
        self.arrays, self.recompute = arrays == "content", damaged == "recompute"


def warn_not_stored(key, error, level):
    """Says that a result is returned, but not stored."""
    warnings.warn(f"the result of {key:.200} was not stored: {error}", NotStoredWarning, stacklevel=level)


class Keeper:
    """The results of one function in a storage."""

    def __init__(self, function, options):
        self.call = Call(function, options.ignore, options.arrays, options.name, options.version)
        self.storage, self.options = options.storage, options
        self.hits = self.misses = 0

    def find(self, key, tells=True):
        """The stored result, or ``_MISSING``. Only an entry that is not there, too old, or damaged, is missing.

        ``tells`` is whether a damaged one is warned of: once a call.
        """
        options = self.options
        try:
            packed = self.storage._load(key)
            if packed is None or time.time() - packed.stored > options.ttl:
                return _MISSING
            result = packed.result(False, key)
        except DamagedEntryError as error:
            if not options.recompute:
                raise
            if tells:
                warnings.warn(f"a damaged entry is computed again: {error}", DamagedEntryWarning, stacklevel=4)
            return _MISSING
        # No lock: see StorageBase._count.
        self.hits += 1
        self.storage._count(True)
        return result

    def begin(self):
        """Counts a call that is computed; raises first if its result could not be stored."""
        self.storage._writable()
        self.misses += 1
        self.storage._count(False)

    def keep(self, key, result):
        """Stores a result. What stands in the way is a warning: the result is worth more than its place."""
        try:
            # An error in ``storage_prepare`` of an object is its own, and reaches the caller.
            packed = _base.pack(result, None, self.storage._local)
        except ResultError as error:
            warn_not_stored(key, error, 5)
            return
        try:
            self.storage._save(key, packed)
        except (Error, OSError, MemoryError) as error:
            warn_not_stored(key, error, 5)

    def info(self):
        entries, size = self.storage._size()
        return CacheInfo(self.hits, self.misses, entries, size)


def _plain(function, keeper):
    flights = Flights()
    find, key_of = keeper.find, keeper.call.key

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        key = key_of(args, kwargs)
        found = find(key, False)
        if found is not _MISSING:
            return found
        while not flights.board(key):
            found = find(key, False)
            if found is not _MISSING:
                return found
        try:
            # It may have been stored between looking and boarding.
            found = find(key)
            if found is not _MISSING:
                return found
            keeper.begin()
            result = function(*args, **kwargs)
            keeper.keep(key, result)
            return result
        finally:
            flights.land(key)

    return wrapper


def _coroutine(function, keeper):
    flights = LoopFlights()
    find, key_of = keeper.find, keeper.call.key

    @functools.wraps(function)
    async def wrapper(*args, **kwargs):
        key = key_of(args, kwargs)
        found = find(key)
        if found is not _MISSING:
            return found
        while not await flights.board(key):
            found = find(key)
            if found is not _MISSING:
                return found
        try:
            keeper.begin()
            result = await function(*args, **kwargs)
            # Waiting for the turn to write would stop the event loop.
            await asyncio.to_thread(keeper.keep, key, result)
            return result
        finally:
            flights.land(key)

    return wrapper


def _refuse(function):
    if isinstance(function, (staticmethod, classmethod, property)):
        kind = type(function).__name__
        raise WrongTypeError(f"cached goes below @{kind}: decorate the function, then make it a {kind}")
    # Not what a wrapper has inside: it may make a list of a generator, or run a coroutine.
    inner = function
    while isinstance(inner, functools.partial):
        inner = inner.func
    if not callable(inner):
        raise WrongTypeError(f"cached decorates a function, not {type(inner).__qualname__}")
    if is_object(inner):
        inner = type(inner).__call__
    owner = getattr(inner, "__self__", None)
    if inspect.isbuiltin(inner) and not (owner is None or inspect.ismodule(owner) or isinstance(owner, type)):
        # Its object is not seen by its signature.
        raise WrongTypeError(
            f"{inner.__qualname__} is a method of an object of C, which would not count: write a function that takes "
            f"the {type(owner).__qualname__} as an argument"
        )
    if inspect.isgeneratorfunction(inner) or inspect.isasyncgenfunction(inner):
        raise WrongTypeError(
            f"{getattr(inner, '__qualname__', inner)} is a generator, whose result cannot be stored: return a list"
        )
    return inner


def _require_name(function, name):
    """Refuses what has no name, and a lambda: two of one scope would share their results."""
    own = own_name(function) or f"an object of {type(function).__qualname__}"
    if name is None and (own_name(function) is None or own.endswith("<lambda>")):
        what = "a lambda" if own.endswith("<lambda>") else own
        raise InvalidError(f"{what} has no name that tells it from others: give one, cached(..., name=...), or use def")


def cached(
    storage=None,
    ignore_kwargs=None,
    *,
    version=1,
    name=None,
    ttl=None,
    arrays="refuse",
    damaged="recompute",
    max_bytes=None,
):
    """Decorates a function so that it runs once for the same arguments, and keeps the results in ``storage``.

    Without a storage the function has one of its own in memory, of ``max_bytes`` if that is given. A result
    belongs to the qualified name of the function, ``version`` and the arguments: raise the version when the
    function returns something else than before. ``name`` replaces the qualified name; a lambda needs one.

    Positional and named arguments are unified and defaults filled in. Arguments that JSON cannot hold raise
    ``ArgumentError`` before the function runs; ``arrays="content"`` accepts NumPy arrays by their content. The
    arguments named in ``ignore_kwargs`` do not count, whether they are passed by name or by position. For a
    method the object counts by its class and its attributes, or by what its method ``cache_key()`` returns; one whose
    objects differ by more than attributes, as subclasses of ``int`` or ``list`` do, needs that method.

    A result older than ``ttl`` seconds is computed again. A damaged entry is computed again with a
    ``DamagedEntryWarning``, or raises with ``damaged="raise"``. Exceptions are not kept. A result that cannot
    be stored is returned with a ``NotStoredWarning``; in a storage for reading only, ``ReadOnlyError`` is
    raised before the function runs. Arrays of a stored result are read-only.

    Threads that call with the same arguments at the same time wait for one of them; so do coroutines of one event
    loop. Processes do not wait.

    The decorated function has ``storage``, ``info()`` (hits and misses of this process, entries and bytes of the
    storage), ``key(*args, **kwargs)``, ``forget(*args, **kwargs)`` (whether there was a result), ``clear()`` (all its
    results), and ``__wrapped__``, the function itself.
    """
    given = None
    if callable(storage) and not isinstance(storage, (_base.StorageBase, type)):
        # @cached without parentheses.
        given, storage = storage, None
    options = Options(storage, ignore_kwargs, version, name, ttl, arrays, damaged, max_bytes)

    def decorate(function):
        inner = _refuse(function)
        keeper = Keeper(function, options)
        call, store = keeper.call, options.storage
        _require_name(inner, options.name)
        make = _coroutine if inspect.iscoroutinefunction(inner) else _plain
        wrapper = make(function, keeper)
        if not hasattr(function, "__name__"):
            # A partial has no name of its own.
            for attribute in ("__module__", "__name__", "__qualname__", "__doc__"):
                if hasattr(inner, attribute):
                    setattr(wrapper, attribute, getattr(inner, attribute))

        def key(*args, **kwargs):
            """The key of a call with these arguments."""
            return call.key(args, kwargs)

        def forget(*args, **kwargs):
            """Deletes the result for these arguments; whether there was one."""
            store._writable()
            return store._delete(call.key(args, kwargs))

        def clear():
            """Deletes the results of this function and version, and returns how many."""
            return store.clear(function=call.name, version=options.version)

        wrapper.storage, wrapper.info, wrapper.key = store, keeper.info, key
        wrapper.forget, wrapper.clear = forget, clear
        wrapper.cache_name, wrapper.cache_version = call.name, options.version
        return wrapper

    return decorate(given) if given is not None else decorate
