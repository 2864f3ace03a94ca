"""Every statement of the live hub, for the test that reads them all."""

from __future__ import annotations

from typing import Final

from sqlalchemy import text

from livingworld import NewScene, World
from tests.support.live_checks import append, numbers, take

_EXPIRE: Final = text(
    "UPDATE livingworld.live_streams SET followed_until = '2000-01-01' WHERE world_id = :world AND stream_id = :stream"
)


async def use_live(world: World) -> None:
    """Follow everything that can be followed, come back late, and remove what is kept no more."""
    story, session = await world.stories.create("The Causeway"), await world.sessions.open()
    async with (
        world.live.subscribe(story=story.id) as events,
        world.live.subscribe(session=session.id) as of_session,
        world.live.subscribe() as of_world,
    ):
        await append(world, story.id, 2)
        await world.interactions.add(session.id, "one")
        async with world.turns.take(story.id, request_key="1") as turn:
            await turn.commit(NewScene("three", (), ["Nell"]))
        await world.documents.increment("followed")
        await world.branches.undo(story.id)
        await numbers(events, 4)
        await numbers(of_session, 1)
        await numbers(of_world, 2)
        world.live._hub.kept = 1
        assert await world.live._hub.renew()
        await world.live._hub._polling.poll()
        async with world.live.subscribe(story=story.id, after=1) as late:
            await take(late, 2)
    async with world.live.subscribe(session=session.id):
        await world._unit.write(lambda tx: tx.execute(_EXPIRE, {"world": world.id, "stream": story.id}))
        assert await world.live._hub.renew()
    async with world.live.subscribe(story=story.id, after=1) as too_late:
        await take(too_late, 1)
