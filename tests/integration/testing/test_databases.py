from __future__ import annotations

import pytest
from sqlalchemy import make_url

from livingworld.postgres import migrations
from livingworld.testing.server import ServerAddress
from livingworld.testing.staged_races import connected

pytestmark = pytest.mark.any_server


async def test_a_database_is_migrated_and_a_tests_own(database_url: str) -> None:
    status = await migrations.status(database_url)

    assert status.pending == ()
    async with connected(database_url) as connection:
        # Whichever of these two tests runs second would fail here if the other's table were in its database.
        await connection.execute("CREATE TABLE left_behind (number integer)")


async def test_a_database_does_not_have_what_another_test_left(database_url: str) -> None:
    async with connected(database_url) as connection:
        await connection.execute("CREATE TABLE left_behind (number integer)")


async def test_an_empty_database_has_no_schema_of_ours(empty_database_url: str) -> None:
    async with connected(empty_database_url) as connection:
        assert await connection.fetchval("SELECT to_regnamespace('livingworld')") is None


async def test_both_kinds_of_database_in_one_test_are_two(database_url: str, empty_database_url: str) -> None:
    assert make_url(database_url).database != make_url(empty_database_url).database


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("database.example", "postgresql+asyncpg://reader:p%40ss@database.example:6432/stories"),
        ("/run/sockets", "postgresql+asyncpg://reader:p%40ss@/stories?host=%2Frun%2Fsockets&port=6432"),
    ],
)
def test_an_address_becomes_a_url(host: str, expected: str) -> None:
    address = ServerAddress(host, 6432, "reader", "p@ss")

    assert address.url("stories") == expected
