"""A lease as its holder sees it: renewed in the background, and trusted only while no other owner can have it.

The holder counts from the moment before it asked, the database from the moment it answered, so the holder gives up
first. No clock is compared with another one. Safety does not rest on this: the token is checked where something is
written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import Any, Final

from livingworld.background.interruptible import WatchedEvent
from livingworld.errors import LivingWorldError
from livingworld.postgres.notifications import TopicSubscription

#: The share of a lease that its holder trusts it for: the rest is for a loop that is late.
_TRUSTED: Final = 0.9
#: Renewals in the length of a lease; all but one may fail.
RENEWALS: Final = 4


def trusted_until(asked_at: float, length: timedelta) -> float:
    """Return until when the holder trusts a lease that it asked for at `asked_at`, in seconds of the loop's clock."""
    return asked_at + length.total_seconds() * _TRUSTED


class Lease:
    """One holding of a lease, from its grant until `end`."""

    def __init__(
        self,
        renew: Callable[[], Awaitable[bool]],
        *,
        length: timedelta,
        asked_at: float,
        start: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        first_look: timedelta | None = None,
        look_every: timedelta | None = None,
        subscription: Callable[[], AbstractContextManager[TopicSubscription]] | None = None,
        count: Callable[[str], object] = lambda _: None,
    ) -> None:
        """Keep a lease that was granted to a request sent at `asked_at`, in seconds of the loop's clock.

        `renew` returns whether it is still held; it is called in each of RENEWALS parts of `length`, or sooner by
        `look_every`, and when the subscription is notified. A lease that ends before `first_look` starts no task.
        `count` is called with the outcome of each renewal.
        """
        self._renew = renew
        self._length = length
        self._interval = min(length / RENEWALS, look_every or length)
        self._subscribe = subscription or _unnotified
        self._start = start
        self._count = count
        self._task: asyncio.Task[None] | None = None
        #: Set when the lease is lost, or may be.
        self.lost = WatchedEvent()
        self._loop = asyncio.get_running_loop()
        self._trusted_until = trusted_until(asked_at, length)
        # One timer at a time: the first look comes before the end of the trust.
        first = self._interval if first_look is None else min(first_look, self._interval)
        self._timer = self._loop.call_at(asked_at + first.total_seconds(), self._begin)

    def end(self) -> None:
        """Stop renewing; giving the lease back is the caller's."""
        self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    def _begin(self) -> None:
        self._trust(self._trusted_until)
        self._task = self._start(self._keep())

    def _trust(self, until: float) -> None:
        self._timer.cancel()
        self._timer = self._loop.call_at(until, self.lost.set)

    async def _keep(self) -> None:
        with self._subscribe() as subscription:
            while not self.lost.is_set():
                await self._look()
                await subscription.wait(timedelta(seconds=self._until_next_look()))

    def _until_next_look(self) -> float:
        """Return the seconds to the next whole interval: leases of one length are looked at in the same moments."""
        seconds = self._interval.total_seconds()
        return seconds - self._loop.time() % seconds

    async def _look(self) -> None:
        """Renew once; a renewal that fails does not prolong the trust."""
        asked_at = self._loop.time()
        try:
            held = await self._renew()
        except LivingWorldError:
            self._count("failed")
            return
        self._count("renewed" if held else "lost")
        if not held:
            self.lost.set()
        elif not self.lost.is_set():  # an answer that comes too late does not bring it back
            self._trust(trusted_until(asked_at, self._length))


def _unnotified() -> AbstractContextManager[TopicSubscription]:
    return nullcontext(TopicSubscription())
