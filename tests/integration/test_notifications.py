"""Notifications between processes: each Notifications here is one, with connections of its own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from livingworld import LivingWorld, Settings
from livingworld.app.process import Process
from livingworld.errors import InvalidSettings
from livingworld.postgres.connections.engine import listening_connection
from livingworld.postgres.notifications import Notifications, TopicSubscription
from livingworld.testing.staged_races import connected
from tests.integration.databases import opened
from tests.support.patience import PATIENCE, patiently
from tests.support.turn_checks import rows, until_found

SOON, LONG = timedelta(seconds=0.05), PATIENCE
LISTENING = """
    SELECT pid, state, xact_start FROM pg_stat_activity
    WHERE datname = current_database() AND query ILIKE 'LISTEN%' AND pid <> pg_backend_pid()
"""


@asynccontextmanager
async def one_process(url: str, *, direct: bool = True) -> AsyncIterator[Notifications]:
    settings = Settings.load(database_url=url)
    address = settings.listening_url() or settings.url()
    assert address is not None
    async with opened(url) as database:
        connect = listening_connection(settings, address) if direct else None
        notifications = Notifications(connect, database)
        try:
            yield notifications
        finally:
            await notifications.close()


async def until_notified(sender: Notifications, subscription: TopicSubscription, topic: str) -> bool:
    """Tell until it is heard: the one that hears may not listen yet."""
    for _ in range(1000):
        sender.notify(topic)
        if await subscription.wait(SOON):
            return True
    return False


async def test_a_notification_of_one_process_wakes_another_one(database_url: str) -> None:
    async with one_process(database_url) as here, one_process(database_url) as there:
        with there.subscribe("turn:1") as subscription, there.subscribe("turn:2") as other:
            assert await until_notified(here, subscription, "turn:1")
            await other.wait(SOON)  # the first connection wakes every subscriber once
            here.notify("turn:2")
            assert await other.wait(LONG)


async def test_without_a_direct_connection_only_this_process_is_notified(database_url: str) -> None:
    async with one_process(database_url) as elsewhere, one_process(database_url, direct=False) as here:
        with here.subscribe("t") as subscription:
            here.notify("t")
            assert await subscription.wait(LONG)
            elsewhere.notify("t")
            assert not await subscription.wait(timedelta(seconds=0.2))
            assert await rows(database_url, LISTENING) == []


async def test_a_notification_before_the_wait_is_not_lost(database_url: str) -> None:
    async with one_process(database_url, direct=False) as here:
        with here.subscribe("t") as subscription:
            here.notify("t")
            here.notify("t")
            assert await subscription.wait(LONG)
            assert not await subscription.wait(timedelta(0))


async def test_a_listener_that_was_killed_comes_back_and_every_subscriber_wakes(database_url: str) -> None:
    async with one_process(database_url) as here, one_process(database_url) as there:
        with there.subscribe("t") as subscription, there.subscribe("quiet") as quiet:
            assert await until_notified(here, subscription, "t")
            ((pid, state, transaction),) = await rows(database_url, LISTENING)
            assert (state, transaction) == ("idle", None)
            await quiet.wait(SOON)
            await rows(database_url, "SELECT pg_terminate_backend(CAST($1 AS integer), 5000)", pid)
            assert await quiet.wait(LONG)
            await until_found(database_url, f"{LISTENING} AND pid <> $1", pid)
            assert await until_notified(here, subscription, "t")


async def test_subscribers_are_woken_when_notifications_stop_and_poll_from_then_on(database_url: str) -> None:
    settings = Settings.load(database_url=database_url)
    address = settings.listening_url() or settings.url()
    assert address is not None
    connections = [listening_connection(settings, address)]

    async def connect() -> object:
        if not connections:
            raise ConnectionRefusedError
        return await connections.pop()()

    async with opened(database_url) as database:
        notifications = Notifications(connect, database)
        with notifications.subscribe("t") as subscription:
            assert await subscription.wait(LONG)  # it listens
            assert notifications.arrive()
            ((pid, *_),) = await rows(database_url, LISTENING)
            await rows(database_url, "SELECT pg_terminate_backend(CAST($1 AS integer), 5000)", pid)
            assert await subscription.wait(LONG)
            assert not notifications.arrive()
        await notifications.close()


async def test_what_a_process_has_sent_itself_does_not_wake_it_again(database_url: str) -> None:
    async with one_process(database_url) as here, one_process(database_url) as there:
        with here.subscribe("t") as subscription, here.subscribe("barrier") as barrier, there.subscribe("t") as other:
            assert await until_notified(there, barrier, "barrier")  # here is listening
            assert await until_notified(here, other, "t")  # there is listening
            await subscription.wait(SOON)
            here.notify("t")
            assert await subscription.wait(LONG)
            assert await other.wait(LONG)
            barrier._notified.clear()
            there.notify("barrier")  # arrives after what was sent before
            assert await barrier.wait(LONG)
            assert not await subscription.wait(timedelta(0))


async def test_a_thousand_topics_are_few_statements_and_no_payload_is_too_long(database_url: str) -> None:
    heard: list[str] = []
    async with connected(database_url) as connection, one_process(database_url) as here:
        await connection.add_listener("livingworld", lambda *told: heard.append(told[-1]))
        for number in range(1000):
            here.notify(f"turn:{number:036}")
        while sum(len(payload.split()) for payload in heard) < 1000:
            await connection.execute("SELECT 1")

    assert len(heard) <= 8
    assert max(map(len, heard)) < 8000
    assert len({topic for payload in heard for topic in payload.split()}) == 1000


@pytest.mark.direct_connection("sessions of the server are counted")
async def test_nothing_is_left_of_a_closed_one(database_url: str) -> None:
    before = asyncio.all_tasks()
    async with one_process(database_url) as here:
        with here.subscribe("t") as subscription:
            assert await until_notified(here, subscription, "t")
            waiting = asyncio.create_task(subscription.wait(LONG))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        here.notify("last")
    here.notify("too late")

    assert here._subscriptions == {}
    async with patiently():
        while asyncio.all_tasks() - before:
            await asyncio.wait(asyncio.all_tasks() - before)
    sessions = """
        SELECT pid FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
            AND application_name NOT LIKE 'citus%'
    """
    async with patiently():
        while await rows(database_url, sessions):
            pass


async def test_a_server_that_is_away_is_asked_again_and_the_loss_is_logged_once_by_its_error(
    database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "livingworld")
    tries = 0
    settings = Settings.load(database_url=database_url)
    address = settings.listening_url() or settings.url()
    assert address is not None
    real = listening_connection(settings, address)

    async def connect() -> object:
        nonlocal tries
        tries += 1
        if tries < 4:
            raise [ConnectionRefusedError, InvalidSettings, OSError][tries - 1]
        return await real()

    async with opened(database_url) as database:
        notifications = Notifications(connect, database)
        with notifications.subscribe("t") as subscription:
            await until_found(database_url, LISTENING)
            assert await subscription.wait(LONG)
        await notifications.close()

    assert tries == 4
    lost, restored = (record for record in caplog.records if record.message.startswith("notifications"))
    assert lost.message == "notifications lost error=ConnectionRefusedError"
    assert restored.message.strip() == "notifications restored"


async def test_behind_a_pooler_nothing_listens_unless_there_is_a_direct_way(database_url: str) -> None:
    for direct, listening in ((None, False), (database_url, True)):
        settings = Settings.load(database_url=database_url, behind_pooler=True, direct_database_url=direct)
        url = settings.url()
        assert url is not None
        process = Process(settings, url)
        assert (process.notifications._listening is not None) is listening
        await process.close()


@pytest.mark.parametrize("pooler", [True, False])
async def test_turns_queue_with_and_without_notifications(database_url: str, *, pooler: bool) -> None:
    from livingworld import NewScene  # noqa: PLC0415

    settings = Settings.load(database_url=database_url, behind_pooler=pooler, poll_interval=SOON)
    async with LivingWorld.open(settings) as one, LivingWorld.open(settings) as other:
        world = await one.worlds.create("Saltmarsh")
        story = await world.stories.create("The Causeway")
        there = await other.worlds.get(world.id)

        async def write(_: object) -> NewScene:
            return NewScene("second")

        async with world.turns.take(story.id, request_key="first") as turn:
            second = asyncio.create_task(there.turns.play(story.id, write, request_key="second", busy="queue"))
            await until_found(database_url, "SELECT FROM livingworld.turn_waiters")
            await turn.commit(NewScene("first"))
        assert (await second).number == 2
