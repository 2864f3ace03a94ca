"""What a connection says ahead of a statement: in the same packet, for its own transaction and no other."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from livingworld import LivingWorld, NewScene, Settings, TransactionScope, World, errors
from livingworld.postgres.connections.connecting import connect
from livingworld.postgres.connections.scoped_transport import ScopedTransport, open_scoped
from livingworld.settings.database_url import connection_target, parse_url
from livingworld.testing.staged_races import connected
from tests.faults.test_behind_pgbouncer import limit_sessions
from tests.support.isolated import SOON, Isolated, declared
from tests.support.pooler import PGBOUNCER, pooled
from tests.support.staging import elsewhere

pytestmark = pytest.mark.xdist_group("scoped connections")  # what they share is made once


@pytest.fixture
def packets(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """Return the kind of each packet that is sent from now on, and whether settings go ahead of it."""
    noted: list[tuple[str, bool]] = []
    write, ahead_of = ScopedTransport.write, ScopedTransport._with_scope

    def note_ahead(transport: ScopedTransport, data: Any) -> Any:  # noqa: ANN401 - bytes or a view
        sent = ahead_of(transport, data)
        noted[-1] = (chr(data[0]), sent is not data)
        return sent

    def note(transport: ScopedTransport, data: Any) -> None:  # noqa: ANN401 - bytes or a view
        noted.append((chr(data[0]), False))
        write(transport, data)

    monkeypatch.setattr(ScopedTransport, "write", note)
    monkeypatch.setattr(ScopedTransport, "_with_scope", note_ahead)
    return noted


async def test_settings_travel_in_the_packet_of_a_statement(
    isolated: Isolated, packets: list[tuple[str, bool]]
) -> None:
    async with LivingWorld.open(declared(isolated.roles.application, pool_size=1, index_words=False)) as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
        story = await world.stories.create("The Causeway")
        for number in (1, 2):  # a new connection prepares first
            await world.stories.append_scene(story.id, NewScene(f"Scene {number}."))
            await world.stories.head(story.id)
        packets.clear()
        await world.stories.head(story.id)
        await world.stories.append_scene(story.id, NewScene("Scene 3."))
        assert packets == [("B", True), ("B", True)]
        packets.clear()
        async with world.transaction() as tx:
            await tx.stories.head(story.id)
        assert [ahead for kind, ahead in packets if kind == "B"] == [True, False]


async def test_a_connection_that_is_given_back_says_nothing_for_the_next(isolated: Isolated) -> None:
    async with LivingWorld.open(declared(isolated.roles.application, pool_size=1)) as livingworld:
        own, other = [await livingworld.worlds.get(world) for world in (isolated.own, isolated.other)]
        stories = {world.id: (await stories_of(world))[0] for world in (own, other)}
        assert len(set(stories.values())) == 2
        for world in (own, other, own):
            async with world.transaction():
                pass  # nothing is sent
            assert await stories_of(world) == [stories[world.id]]
            with pytest.raises(errors.StoryNotFound):
                async with world.transaction() as tx:
                    await tx.stories.get(uuid4())
        assert {record.id for record in (await livingworld.worlds.list()).items} >= {own.id, other.id}


async def test_the_first_transaction_of_a_connection_may_read_as_of_one_moment(isolated: Isolated) -> None:
    async with LivingWorld.open(declared(isolated.roles.application, index_words=False)) as livingworld:
        own = await livingworld.worlds.get(isolated.own)
        await own.live.snapshot(stories_of)  # the first follow of a world writes
        async with elsewhere(own.transaction()) as tx:  # which has the connection that was there
            stories = await stories_of(tx)
            assert (await own.live.snapshot(stories_of)).state == stories


async def test_a_connection_that_was_just_opened_is_in_no_transaction(isolated: Isolated) -> None:
    target = connection_target(parse_url(isolated.roles.application))
    opened = await connect(target, timeout=SOON, open_connection=open_scoped)
    try:
        async with connected(isolated.roles.owner) as owner:
            state = "SELECT state FROM pg_stat_activity WHERE pid = $1"
            assert await owner.fetchval(state, opened.get_server_pid()) == "idle"
    finally:
        await opened.close()


async def stories_of(world: World | TransactionScope) -> list[UUID]:
    return [story.id for story in (await world.stories.list()).items]


async def test_blocks_of_two_worlds_in_one_transaction_each_see_their_own(isolated: Isolated) -> None:
    engine = create_async_engine(isolated.roles.application)
    async with LivingWorld.open(declared(isolated.roles.application)) as livingworld:
        own, other = [await livingworld.worlds.get(world) for world in (isolated.own, isolated.other)]
        of_own, of_other = await stories_of(own), await stories_of(other)
        async with engine.connect() as connection, connection.begin(), own.join(connection) as first:
            async with other.join(connection) as second:
                assert await stories_of(second) == of_other
            assert await stories_of(first) == of_own
    await engine.dispose()


@pytest.mark.skipif(PGBOUNCER is None, reason="there is no pgbouncer (Debian's package, which .ci/run installs)")
@pytest.mark.parametrize("limits", ["transaction", "role"])
async def test_a_pooler_hands_the_world_of_a_transaction_to_nobody_else(isolated: Isolated, limits: str) -> None:
    if limits == "role":
        await limit_sessions(isolated.roles.owner)
    with pooled(isolated.roles.application, sessions=1) as url:
        settings = declared(url, behind_pooler=True, limits=limits, index_words=False)
        async with LivingWorld.open(settings) as livingworld:
            worlds = [await livingworld.worlds.get(world) for world in (isolated.own, isolated.other)]
            alone = [await stories_of(world) for world in worlds]
            together = await asyncio.gather(*(stories_of(world) for world in worlds * 5))
            assert together == alone * 5
            assert alone[0] != alone[1]
        untold = Settings.load(database_url=url, behind_pooler=True, limits=limits, row_security=False)
        async with LivingWorld.open(untold) as livingworld:
            with pytest.raises(errors.RowSecurityUndeclared):
                await livingworld.worlds.list()
            with pytest.raises(errors.RowSecurityUndeclared):
                await livingworld.worlds.get(isolated.own)
