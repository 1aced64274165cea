"""Between threads and event loops: what blocks runs in threads, what is asynchronous in a loop."""

import asyncio
import os
import threading
import time
from collections import deque
from contextlib import suppress

# Bytes that are handed to a thread at once: a step between threads costs as much as copying some 10 KiB.
_JOINED = 1 << 20
# Items that are carried over together, and for how long they may be collected, in seconds.
_TOGETHER, _PATIENCE = 128, 0.02

_home = None  # (process, loop, thread)
_starting = threading.Lock()


def _loop():
    """The loop of this process in which asynchronous code runs that is called from synchronous code."""
    global _home, _starting
    if _home is not None and _home[0] != os.getpid():
        # After a fork neither the thread nor, perhaps, the lock is as it was.
        _home, _starting = None, threading.Lock()
    with _starting:
        if _home is None:
            loop = asyncio.new_event_loop()
            thread = threading.Thread(target=loop.run_forever, name="vlstore.blobs", daemon=True)
            thread.start()
            _home = (os.getpid(), loop, thread)
        return _home[1:]


def run(coroutine):
    """The result of a coroutine, waited for by code that is not asynchronous."""
    loop, thread = _loop()
    if threading.current_thread() is thread:
        coroutine.close()
        raise RuntimeError(
            "a blocking call of vlstore.blobs was made from asynchronous code that another one runs: use the "
            "asynchronous call here"
        )
    future = asyncio.run_coroutine_threadsafe(coroutine, loop)
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


async def in_own_thread(function, *args):
    """Runs what may wait for other threads in one of its own, so that those never wait for it."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()

    def tell(set_, what):
        if not done.done():
            set_(what)

    def work():
        try:
            outcome, set_ = function(*args), done.set_result
        except BaseException as error:
            outcome, set_ = error, done.set_exception
            if isinstance(error, StopIteration):
                outcome = RuntimeError("a stream raised StopIteration")
        with suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(tell, set_, outcome)

    threading.Thread(target=work, name="vlstore.blobs stream", daemon=True).start()
    return await done


class _ReceiverGone(Exception):
    """Nobody takes the pieces any more."""


class Pump:
    """Carries pieces of bytes from a loop to a thread, which iterates over it."""

    def __init__(self):
        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Event()
        self._changed = threading.Condition()
        self._pieces = deque()
        self._ended = self._gone = False
        self._error = None

    def __iter__(self):
        return self

    def __next__(self):
        with self._changed:
            while not self._pieces and not self._ended:
                self._changed.wait()
            if self._pieces:
                piece = self._pieces.popleft()
                with suppress(RuntimeError):
                    self._loop.call_soon_threadsafe(self._room.set)
                return piece
            if self._error is not None:
                raise self._error
            raise StopIteration

    def leave(self, _=None):
        """Says that nobody iterates any more."""
        with self._changed:
            self._gone = True
        self._room.set()

    def _end(self, error):
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify()

    async def _put(self, piece):
        while True:
            with self._changed:
                if self._gone:
                    raise _ReceiverGone
                if len(self._pieces) < 2:
                    self._pieces.append(piece)
                    self._changed.notify()
                    return
                self._room.clear()
            await self._room.wait()

    async def feed(self, source):
        """Carries all of ``source``; its errors come out where the pieces are taken."""
        held, size = [], 0
        try:
            async for piece in source:
                held.append(piece if isinstance(piece, bytes) else bytes(memoryview(piece)))
                size += len(held[-1])
                if size >= _JOINED:
                    await self._put(held[0] if len(held) == 1 else b"".join(held))
                    held, size = [], 0
            if held:
                await self._put(b"".join(held))
        except _ReceiverGone:
            self._end(None)
        except asyncio.CancelledError:
            self._end(RuntimeError("the writing of a stream was cancelled"))
            raise
        except BaseException as error:
            self._end(error)
        else:
            self._end(None)


async def pumped(source, write):
    """What ``write`` makes of an iterator over the pieces of the asynchronous ``source``, in a thread."""
    pump = Pump()
    writing = asyncio.ensure_future(in_own_thread(write, pump))
    writing.add_done_callback(pump.leave)
    try:
        await pump.feed(source)
    except BaseException:
        with suppress(BaseException):
            await asyncio.shield(writing)
        raise
    return await asyncio.shield(writing)


def is_async(source):
    """Whether a source of items is asynchronous."""
    return hasattr(source, "__aiter__")


def _take(iterator):
    """Some items of an iterator, whether there are more, and the error that ended it."""
    items, until = [], time.monotonic() + _PATIENCE
    try:
        for item in iterator:
            items.append(item)
            if len(items) >= _TOGETHER or time.monotonic() > until:
                return items, True, None
    except BaseException as error:
        return items, False, error
    return items, False, None


async def as_async(source):
    """The items of any source, asynchronously; a blocking one is asked in a thread."""
    if is_async(source):
        async for item in source:
            yield item
        return
    iterator, more = iter(source), True
    while more:
        items, more, error = await asyncio.to_thread(_take, iterator)
        for item in items:
            yield item
        if error is not None:
            raise error


async def _take_async(iterator):
    items, until = [], time.monotonic() + _PATIENCE
    try:
        async for item in iterator:
            items.append(item)
            if len(items) >= _TOGETHER or time.monotonic() > until:
                return items, True, None
    except BaseException as error:
        return items, False, error
    return items, False, None


def as_sync(source):
    """The items of an asynchronous source for code that is not."""
    iterator, more = source.__aiter__(), True
    try:
        while more:
            items, more, error = run(_take_async(iterator))
            yield from items
            if error is not None:
                raise error
    finally:
        if hasattr(iterator, "aclose"):
            run(iterator.aclose())


async def close(source):
    """Closes a source of items, if it can be closed."""
    if hasattr(source, "aclose"):
        await source.aclose()
    elif hasattr(source, "close"):
        await asyncio.to_thread(source.close)
