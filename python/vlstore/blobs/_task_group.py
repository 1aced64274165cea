"""Tasks that run at once, with each result where it was asked for."""

import asyncio
from contextlib import suppress
from typing import Generic, TypeVar

from vlstore.blobs import _async_bridge

T = TypeVar("T")
_NOTHING = object()


class Later(Generic[T]):
    """What comes of a request, when the block in which it was made has ended."""

    def __init__(self):
        self._value = _NOTHING
        self._error = None

    @property
    def done(self) -> bool:
        """Whether there is a result or an error."""
        return self._value is not _NOTHING or self._error is not None

    @property
    def exception(self) -> BaseException | None:
        """The error of the request, if it failed."""
        return self._error

    @property
    def value(self) -> T:
        """The result; the error of the request is raised, and a ``RuntimeError`` if it is not done."""
        if self._error is not None:
            raise self._error
        if self._value is _NOTHING:
            raise RuntimeError("this is not done yet: ask when the block has ended")
        return self._value


class Group:
    """Requests that are worked on together in a block, which may be asynchronous or not."""

    def __init__(self, verb, at_once):
        self._verb = verb
        self._at_once = at_once
        self._tasks = None
        self._results = []
        self._waiting = {}
        self._loop = None

    def _open(self, loop):
        if self._tasks is not None:
            raise RuntimeError("this block is open already: one after the other")
        self._limit = asyncio.Semaphore(self._at_once)
        self._tasks, self._results, self._loop = [], [], loop
        return self

    def _begin(self, coroutine, give_up=None):
        """Begins ``coroutine``, or calls ``give_up`` if the block is cancelled before its turn came."""
        if self._tasks is None:
            coroutine.close()
            raise RuntimeError("nothing can be asked for outside of the block: use `async with`, or `with`")
        later = Later()

        async def work():
            async with self._limit:
                if self._waiting.pop(later, None) is None:
                    return
                try:
                    later._value = await coroutine
                except BaseException as error:
                    later._error = error
                    if not isinstance(error, Exception):
                        raise

        self._waiting[later] = coroutine, give_up
        self._results.append(later)
        if self._loop is None:
            self._tasks.append(asyncio.ensure_future(work()))
        else:
            self._tasks.append(asyncio.run_coroutine_threadsafe(work(), self._loop))
        return later

    async def _ended(self, done):
        """What is to be done with all results."""

    async def _all(self, tasks):
        try:
            await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            # Cancelled before their turn came.
            while self._waiting:
                later, (coroutine, give_up) = self._waiting.popitem()
                coroutine.close()
                later._error = asyncio.CancelledError()
                if give_up is not None:
                    with suppress(Exception):
                        await give_up()

    async def _end(self):
        """What is to be done with all results; the error of that, if any."""
        try:
            await self._ended([later._value for later in self._results if later._error is None and later.done])
        except Exception as error:
            return error
        return None

    def _raise(self, inside, at_the_end):
        errors = [later.exception for later in self._results if later.exception is not None]
        if inside is not None and at_the_end is None:
            return
        if at_the_end is not None and not errors:
            raise at_the_end
        if errors:
            message = f"{len(errors)} of {len(self._results)} objects were not {self._verb}"
            raise BaseExceptionGroup(message, errors if at_the_end is None else [*errors, at_the_end])

    async def __aenter__(self):
        return self._open(None)

    async def __aexit__(self, kind, error, trace):
        tasks, self._tasks = self._tasks, None
        await self._all(tasks)
        self._raise(error, await self._end())

    def __enter__(self):
        return self._open(_async_bridge._loop()[0])

    def __exit__(self, kind, error, trace):
        tasks, self._tasks = self._tasks, None

        async def wait():
            await self._all([asyncio.wrap_future(task) for task in tasks])
            return await self._end()

        self._raise(error, _async_bridge.run(wait()))
