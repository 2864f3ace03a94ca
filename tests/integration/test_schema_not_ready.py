"""A server of one's own that was never migrated says what to do."""

from __future__ import annotations

import pytest
from sqlalchemy import make_url

from livingworld import LivingWorld
from livingworld.errors import SchemaNotReady
from livingworld.identifiers import new_id


async def test_a_database_without_tables_says_in_one_line_what_to_run(empty_database_url: str) -> None:
    url = make_url(empty_database_url).set(password="a-secret")
    told = []
    async with LivingWorld.open(database_url=url.render_as_string(hide_password=False)) as livingworld:
        for call in (
            livingworld.worlds.create("Saltmarsh"),
            livingworld.worlds.get(new_id()),
            livingworld.worlds.list(),
        ):
            with pytest.raises(SchemaNotReady) as refused:
                await call
            told.append(refused.value)

    for error in told:
        assert "run `livingworld db upgrade`" in str(error)
        assert f"{url.database} at " in str(error)
        assert error.database.startswith(f"{url.database} at ")
        assert "\n" not in str(error)
        assert "a-secret" not in str(error)
