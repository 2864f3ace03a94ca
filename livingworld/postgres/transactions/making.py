"""What is made at the moment by calls of one process."""

from __future__ import annotations

import asyncio
from weakref import WeakValueDictionary


class Making:
    """Lets one call of a process at a time make what has a key."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[tuple[object, ...], asyncio.Lock] = WeakValueDictionary()

    def of(self, *key: object) -> asyncio.Lock:
        """Return the lock of a key, which lives as long as it is used."""
        return self._locks.setdefault(key, asyncio.Lock())
