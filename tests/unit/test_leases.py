"""A lease as its holder sees it: lost when the renewal says so, and lost without an answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from livingworld.background.tasks import BackgroundTasks
from livingworld.errors import Unavailable
from livingworld.postgres.leases import Lease
from livingworld.postgres.notifications import TopicSubscription
from tests.support.virtual_time import in_virtual_time

LENGTH = timedelta(minutes=1)
TRUSTED = LENGTH.total_seconds() * 0.9


class Held:
    """A lease, who may be told of it, and what it has started."""

    def __init__(self, renew: Callable[[], Awaitable[bool]], **options: timedelta) -> None:
        self.told = TopicSubscription()
        self.tasks = BackgroundTasks()
        self.began = asyncio.get_running_loop().time()
        lengths: dict[str, Any] = {"length": LENGTH, "first_look": LENGTH / 20, "look_every": LENGTH / 8} | options
        self.lease = Lease(renew, **lengths, asked_at=self.began, subscription=self._hearing, start=self.tasks.watch)

    @contextmanager
    def _hearing(self) -> Iterator[TopicSubscription]:
        yield self.told

    async def lost_after(self) -> float:
        await self.lease.lost.wait()
        return asyncio.get_running_loop().time() - self.began

    async def end(self) -> None:
        self.lease.end()
        await self.tasks.close()
        assert not self.tasks._watching


async def refuse() -> bool:
    return False


async def fail() -> bool:
    raise Unavailable


async def hang() -> bool:
    await asyncio.Event().wait()
    return True


@in_virtual_time
async def test_a_holder_that_is_told_no_has_lost_it_at_the_first_look() -> None:
    held = Held(refuse)

    assert await held.lost_after() == pytest.approx(LENGTH.total_seconds() / 20)
    await held.end()


@pytest.mark.parametrize("renew", [fail, hang])
@in_virtual_time
async def test_a_renewal_that_fails_counts_as_lost_before_the_lease_ends_and_not_sooner(
    renew: Callable[[], Awaitable[bool]],
) -> None:
    held = Held(renew)

    assert await held.lost_after() == pytest.approx(TRUSTED)
    await held.end()


@in_virtual_time
async def test_a_renewed_lease_outlives_its_length_and_a_wrong_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    renewals = 0
    enough = asyncio.Event()

    async def renew() -> bool:
        nonlocal renewals
        renewals += 1
        if renewals == 20:
            enough.set()
        return True

    real = time.time
    held = Held(renew)
    monkeypatch.setattr(time, "time", lambda: real() + 3600)
    await enough.wait()

    assert not held.lease.lost.is_set()
    assert asyncio.get_running_loop().time() - held.began > LENGTH.total_seconds()
    await held.end()


@in_virtual_time
async def test_an_answer_that_comes_too_late_brings_nothing_back() -> None:
    answer = asyncio.Event()

    async def renew() -> bool:
        await answer.wait()
        return True

    held = Held(renew)
    await held.lost_after()
    answer.set()
    for _ in range(5):
        await asyncio.sleep(0)

    assert held.lease.lost.is_set()
    await held.end()


@in_virtual_time
async def test_a_holder_that_is_told_looks_at_once() -> None:
    answers = iter([True, False])

    async def renew() -> bool:
        return next(answers)

    held = Held(renew, length=timedelta(seconds=100), look_every=timedelta(seconds=100), first_look=timedelta(0))
    await asyncio.sleep(1)
    held.told.wake()

    assert await held.lost_after() == 1
    await held.end()


@in_virtual_time
async def test_who_ends_it_before_the_first_look_started_nothing() -> None:
    held = Held(fail)
    held.lease.end()

    assert not held.tasks._watching
    await asyncio.sleep(LENGTH.total_seconds())
    assert not held.lease.lost.is_set()


@in_virtual_time
async def test_an_end_in_the_middle_of_a_renewal_leaves_no_task() -> None:
    looking = asyncio.Event()

    async def renew() -> bool:
        looking.set()
        return await hang()

    held = Held(renew)
    await looking.wait()
    await held.end()

    assert not held.lease.lost.is_set()
