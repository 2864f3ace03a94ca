"""The role that a test run asks for is in force, and left where a test says why."""

from __future__ import annotations

import pytest
from sqlalchemy import make_url, text

from livingworld import World
from livingworld.testing.roles import RunAs
from tests.support.run_role import url_of_the_run, wants_owner


async def user_of(world: World) -> str:
    async with world.transaction() as tx:
        return str(await tx._transaction.scalar(text("SELECT current_user")))


async def test_a_world_is_opened_in_the_role_that_was_asked_for(
    world: World, database_url: str, request: pytest.FixtureRequest
) -> None:
    role, owner = RunAs.chosen(), make_url(database_url).username
    expected = owner if role is None or wants_owner(request.node) else f"{role.group} login"

    assert await user_of(world) == expected == make_url(url_of_the_run(database_url)).username


@pytest.mark.as_owner("to see that it is left")
async def test_a_test_that_needs_the_owner_is_the_owner(world: World, database_url: str) -> None:
    assert await user_of(world) == make_url(url_of_the_run(database_url)).username == make_url(database_url).username


def test_folders_that_are_not_named_are_the_owners(request: pytest.FixtureRequest) -> None:
    assert not wants_owner(request.node, ())
    assert not wants_owner(request.node, ("tests/isolation/", "tests/other/"))
    assert wants_owner(request.node, ("tests/other/",))
