"""Calls that are being computed: one computes, the others wait for it."""

import asyncio
import os
import threading


class Flights:
    """Calls under way in this process, by their key."""

    def __init__(self):
        self._reset()

    def _reset(self):
        # A child of a fork has none of the threads that compute here.
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._flights = {}

    def board(self, key):
        """Takes a call on and returns True. Returns False after having waited for the thread that was at it.

        A call from inside of itself is not waited for.
        """
        if self._process != os.getpid():
            self._reset()
        with self._lock:
            found = self._flights.get(key)
            if found is None:
                self._flights[key] = threading.get_ident(), threading.Event()
                return True
            owner, landed = found
        if owner == threading.get_ident():
            return True
        landed.wait()
        return False

    def land(self, key):
        """Ends a call that was taken on."""
        with self._lock:
            owner, landed = self._flights.get(key, (None, None))
            if owner != threading.get_ident():
                return
            del self._flights[key]
        landed.set()


class LoopFlights:
    """The same for coroutines: those of one event loop wait for each other."""

    def __init__(self):
        self._flights = {}

    async def board(self, key):
        loop = asyncio.get_running_loop()
        found = self._flights.get((loop, key))
        if found is None:
            self._flights[loop, key] = asyncio.current_task(), loop.create_future()
            return True
        task, landed = found
        if task is asyncio.current_task():
            return True
        # What cancels one that waits leaves the others waiting.
        await asyncio.shield(landed)
        return False

    def land(self, key):
        loop = asyncio.get_running_loop()
        task, landed = self._flights.get((loop, key), (None, None))
        if task is not asyncio.current_task():
            return
        del self._flights[loop, key]
        if not landed.done():
            landed.set_result(None)
