"""Sessions by a key of the application's own, by player, and interactions in pages."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from livingworld import Interaction, LivingWorld, Session, World
from livingworld.errors import InteractionNotFound, InvalidCursor, InvalidInput, RequestKeyReused, SessionNotFound
from livingworld.identifiers import new_id
from tests.support.sent_statements import sent_statements
from tests.support.turn_checks import rows

LONG_AGO = "UPDATE livingworld.sessions SET heartbeat_at = now() - interval '1 hour'"


async def test_a_key_names_one_session_whoever_asks(world: World) -> None:
    session, created = await world.sessions.get_or_create("channel", player="tom", context={"at": "pier"})
    again = await world.sessions.get_or_create("channel", player="mara", context={"at": "quay"})

    assert (created, session.key, session.player, session.context) == (True, "channel", "tom", {"at": "pier"})
    assert again == (session, False)
    assert await world.sessions.find_by_key("channel") == session
    assert await world.sessions.find_by_key("Channel") is None
    assert (await world.sessions.open()).key is None


async def test_a_key_is_of_one_world(livingworld: LivingWorld, world: World) -> None:
    session, _ = await world.sessions.get_or_create("channel")
    other = await livingworld.worlds.create("Elsewhere")

    assert (await other.sessions.get_or_create("channel"))[0].id != session.id


@pytest.mark.direct_connection("a pooler takes limits in the transaction, which are statements more")
async def test_a_session_that_exists_is_got_by_one_statement(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.sessions.get_or_create("channel")
    sent = sent_statements(monkeypatch, world._unit._database._engine)
    await world.sessions.get_or_create("channel")
    assert len(sent) == 1


async def test_a_key_is_free_again_when_its_session_has_expired(database_url: str, world: World) -> None:
    session, _ = await world.sessions.get_or_create("channel")
    closed = await world.sessions.close(session.id)
    assert await world.sessions.get_or_create("channel") == (closed, False)
    await rows(database_url, LONG_AGO)
    await world.sessions.expire(timedelta(minutes=1))
    assert (await world.sessions.get_or_create("channel"))[1]


async def test_in_a_transaction_a_key_is_of_its_own_session(world: World) -> None:
    async with world.transaction() as tx:
        session, created = await tx.sessions.get_or_create("channel")
        assert (await tx.sessions.get_or_create("channel"), created) == ((session, False), True)
    assert await world.sessions.find_by_key("channel") == session


async def test_a_repeated_request_opens_one_session(world: World) -> None:
    session = await world.sessions.open(player="tom", request_key="r")
    await world.sessions.merge_context(session.id, {"a": 1})

    assert await world.sessions.open(player="tom", request_key="r") == await world.sessions.get(session.id)
    with pytest.raises(RequestKeyReused):
        await world.sessions.open(player="mara", request_key="r")


async def test_sessions_are_listed_newest_first_and_by_player(world: World) -> None:
    opened = [await world.sessions.open(player=player) for player in ("tom", "mara", "tom", "tom")]
    closed = await world.sessions.close(opened[0].id)
    everything = [closed, *opened[1:]]

    assert await ids(world, None) == [each.id for each in reversed(everything)]
    assert await ids(world, "tom") == [opened[3].id, opened[2].id, opened[0].id]
    assert await ids(world, "ada") == []
    assert (await world.sessions.list(player="tom")).items[-1] == closed


async def ids(world: World, player: str | None) -> list[UUID]:
    found: list[UUID] = []
    after: str | None = None
    while True:
        page = await world.sessions.list(player=player, after=after, limit=2)
        found += [each.id for each in page.items]
        if (after := page.next) is None:
            return found


async def test_interactions_are_read_in_pages_in_both_directions(world: World) -> None:
    session = await world.sessions.open()
    added = [await world.interactions.add(session, f"{number}") for number in range(1, 6)]

    first = await world.interactions.list(session.id, limit=3)
    assert first.items == tuple(added[:3])
    assert await pages(world, session) == added
    assert await world.interactions.recent(session.id, 2) == tuple(added[3:])
    assert await world.interactions.recent(session.id, 2, before=4) == tuple(added[1:3])
    assert await world.interactions.recent(session.id, 2, before=1) == ()
    assert await world.interactions.get(session.id, 2) == added[1]
    assert (await world.interactions.list(new_id())).items == ()


async def pages(world: World, session: Session) -> list[Interaction]:
    found: list[Interaction] = []
    after: str | None = None
    while True:
        page = await world.interactions.list(session.id, after=after, limit=2)
        found += page.items
        if (after := page.next) is None:
            return found


async def test_what_is_not_there_or_no_key_is_refused_by_name(world: World) -> None:
    session = await world.sessions.open()
    with pytest.raises(InteractionNotFound):
        await world.interactions.get(session.id, 1)
    with pytest.raises(SessionNotFound):
        await world.interactions.add(new_id(), "x")
    for key in ("", "two\nlines", "\x00"):
        with pytest.raises(InvalidInput) as refused:
            await world.sessions.get_or_create(key)
        assert refused.value.field == "key"
    with pytest.raises(InvalidCursor):
        await world.sessions.list(after="x")
    with pytest.raises(InvalidCursor):
        await world.interactions.list(session.id, after="x")
