"""A call that is cancelled while its connection is being set up leaves no session behind."""

from __future__ import annotations

import asyncio

import pytest

from livingworld import LivingWorld
from livingworld.testing.protocol_proxy import Moment, ProtocolProxy, ProxiedConnection
from livingworld.testing.staged_races import Connection
from tests.support.aftermath import eventually
from tests.support.patience import patiently

SESSIONS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'livingworld'"
)


@pytest.mark.usefixtures("strict_loop")
async def test_no_session_stays_when_a_set_up_is_cancelled(proxy: ProtocolProxy, observer: Connection) -> None:
    """SQLAlchemy asks for the version before it hands the first connection out; before 2.0.55 nobody closed it then."""
    let_go = asyncio.Event()

    async def hold(_: ProxiedConnection) -> None:
        await let_go.wait()

    async with LivingWorld.open(database_url=proxy.url) as livingworld:
        set_up = proxy.at(Moment.BEFORE, "pg_catalog.version()", hold)
        call = asyncio.create_task(livingworld.worlds.create("Saltmarsh"))
        async with patiently():
            await set_up.happened.wait()
        call.cancel()
        let_go.set()
        with pytest.raises(asyncio.CancelledError):
            await call

        async def are_gone() -> bool:
            return bool(await observer.fetchval(SESSIONS) == 0)

        assert await eventually(are_gone)
