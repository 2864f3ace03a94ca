"""A process of a tenant finds, makes and changes no world of another one, with and without row-level security."""

from __future__ import annotations

from typing import Final
from uuid import UUID, uuid4

import pytest

from livingworld import InvalidInput, InvalidSettings, LivingWorld, NewScene, Settings, errors
from livingworld.schema import metadata
from livingworld.testing.staged_races import connected
from tests.support.isolated import Isolated, declared, scoped

pytestmark = pytest.mark.xdist_group("tenants")  # what they share is made once

TABLES: Final = sorted(table.name for table in metadata.tables.values())


@pytest.mark.parametrize("walled", [True, False])
async def test_a_process_of_a_tenant_has_its_worlds_only(
    isolated: Isolated, database_url: str, *, walled: bool
) -> None:
    url = isolated.roles.application if walled else database_url
    key = f"key {uuid4()}"
    async with (
        LivingWorld.open(declared(url)) as every,
        LivingWorld.open(declared(url, tenant="Acme")) as acme,
        LivingWorld.open(declared(url, tenant="Other")) as other,
    ):
        own = await acme.worlds.create("Saltmarsh")
        assert own.record.tenant == "Acme"
        foreign, _ = await other.worlds.get_or_create(key)
        assert {record.tenant for record in (await other.worlds.list()).items} == {"Other"}
        assert {own.id, foreign.id} <= {record.id for record in (await every.worlds.list(limit=500)).items}
        assert await acme.worlds.find_by_key(key) is None
        with pytest.raises(InvalidInput, match="key"):
            await acme.worlds.get_or_create(key)
        await other.worlds.create("Fen", request_key=key)
        with pytest.raises(errors.RequestKeyReused):
            await acme.worlds.create("Fen", request_key=key)
        await refuses_to_work_on(acme, foreign.id)
        assert (await every.worlds.get(foreign.id)).record == foreign.record
        await acme.worlds.archive(own.id)


async def refuses_to_work_on(acme: LivingWorld, foreign: UUID) -> None:
    for call in (
        lambda: acme.worlds.get(foreign),
        lambda: acme.worlds.archive(foreign),
        lambda: acme.worlds.restore(foreign),
        lambda: acme.worlds.purge(foreign),
        lambda: acme.worlds.update(foreign, expected_version=1, name="Mine"),
    ):
        with pytest.raises(errors.WorldNotFound):
            await call()


async def test_a_process_makes_no_world_of_another_tenant(database_url: str) -> None:
    async with LivingWorld.open(Settings.load(database_url=database_url, tenant="Acme")) as acme:
        own = await acme.worlds.create("Saltmarsh", tenant="Acme")
        for tenant in ("Other", None):
            with pytest.raises(InvalidInput, match="tenant"):
                await acme.worlds.update(own.id, expected_version=1, tenant=tenant)
        with pytest.raises(InvalidInput, match="tenant"):
            await acme.worlds.create("Fen", tenant="Other")
        with pytest.raises(InvalidInput, match="tenant"):
            await acme.worlds.create("Fen", tenant="*")


async def test_no_tenant_is_named_as_all_of_them(database_url: str) -> None:
    with pytest.raises(InvalidSettings, match="tenant"):
        Settings.load(database_url=database_url, tenant="*")
    async with LivingWorld.open(Settings.load(database_url=database_url)) as every:
        with pytest.raises(InvalidInput, match="tenant"):
            await every.worlds.create("Fen", tenant="*")


async def test_plain_sql_of_a_tenant_finds_nothing_of_another_ones_world(isolated: Isolated) -> None:
    async with LivingWorld.open(declared(isolated.roles.application, tenant="Acme")) as acme:
        world = await acme.worlds.create("Saltmarsh")
        story = await world.stories.create("The Causeway")
        await world.stories.append_scene(story.id, NewScene("One."))
    for tenant, found in (("Acme", True), ("Other", False), ("*", True)):
        async with scoped(isolated.roles.application, world.id, tenant) as application:
            for table in ("worlds", "stories", "scenes", "branches"):
                assert (await application.fetchrow(f"TABLE livingworld.{table}") is not None) is found, table
            other_tables = [await application.fetch(f"TABLE livingworld.{table}") for table in TABLES]
            assert any(other_tables) is found
    async with connected(isolated.roles.owner) as owner:
        assert await owner.fetchval("SELECT tenant FROM livingworld.worlds WHERE world_id = $1", world.id) == "Acme"
