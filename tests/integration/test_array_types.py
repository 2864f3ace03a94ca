"""No connection asks the server about the arrays of PostgreSQL's own types."""

from __future__ import annotations

from asyncpg.introspection import INTRO_LOOKUP_TYPES

from livingworld import LivingWorld, NewScene
from livingworld.postgres.connections.array_types import ARRAY_TYPES
from livingworld.testing.protocol_proxy import protocol_proxy
from livingworld.testing.staged_races import connected


async def test_the_server_says_the_same_about_each(database_url: str) -> None:
    identifiers = [known["oid"] for known in ARRAY_TYPES]
    async with connected(database_url) as connection:
        told = await connection.fetch(INTRO_LOOKUP_TYPES, identifiers)
    arrays = {row["oid"]: {name: value for name, value in row.items() if name != "depth"} for row in told}
    assert {known["oid"]: known for known in ARRAY_TYPES} == {oid: arrays[oid] for oid in identifiers}


async def test_a_connection_of_a_pool_and_one_of_its_own_ask_for_none(database_url: str) -> None:
    async with protocol_proxy(database_url) as proxy:
        async with LivingWorld.open(database_url=proxy.url) as livingworld:
            world = await livingworld.worlds.create("Saltmarsh")
            story = await world.stories.create("The Causeway")
            async with world.turns.take(story.id, request_key="first") as turn:
                await turn.commit(NewScene("Fog.", choices=["Wait."], cast=["Mara"]))
            await world.memories.recall(story.id, "fog")
        async with connected(proxy.url) as connection:
            assert await connection.fetchval("SELECT $1::uuid[]", []) == []
        assert not [statement for statement in proxy.statements if "typeinfo" in statement]
