"""A scene that may be lost does not wait for the disk; whatever is written with it, or follows it, does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import make_url

from livingworld import NewScene, Story, World
from livingworld.errors import InvalidInput
from livingworld.testing.staged_races import connected
from tests.support.staging import same_world

pytestmark = pytest.mark.direct_connection("the test changes a default of new sessions, and a pooler has some already")

#: Notes the setting at the very end of each transaction that stores scenes.
_NOTE_THE_COMMIT = """
    CREATE TABLE commits (content text, setting text);
    GRANT INSERT ON commits TO PUBLIC;
    CREATE FUNCTION note_the_commit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO commits VALUES (NEW.content, current_setting('synchronous_commit'));
        RETURN NULL;
    END $$;
    CREATE CONSTRAINT TRIGGER note_the_commit AFTER INSERT ON livingworld.scenes DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION note_the_commit();
"""


@pytest.fixture
async def same(database_url: str, world: World) -> AsyncIterator[World]:
    """Give the world on connections that wait for the disk, which those of a test server do not."""
    async with connected(database_url) as connection:
        await connection.execute(_NOTE_THE_COMMIT)
        await connection.execute(f"ALTER DATABASE {make_url(database_url).database} SET synchronous_commit = 'on'")
    async with same_world(database_url, world.id, pools=1) as (same,):
        yield same


async def settings_of_commits(url: str) -> dict[str, str]:
    async with connected(url) as connection:
        return {row["content"]: row["setting"] for row in await connection.fetch("SELECT * FROM commits")}


async def test_only_a_scene_that_may_be_lost_does_not_wait_for_the_disk(
    database_url: str, same: World, story: Story
) -> None:
    await same.stories.append_scene(story.id, NewScene("kept"))
    await same.stories.append_scene(story.id, NewScene("may be lost"), durable=False)
    await same.stories.append_scene(story.id, NewScene("kept again"))

    assert await settings_of_commits(database_url) == {"kept": "on", "may be lost": "off", "kept again": "on"}


async def test_a_group_with_one_durable_scene_waits_for_the_disk(database_url: str, same: World, story: Story) -> None:
    texts = [f"{number}" for number in range(6)]
    appends = [same.stories.append_scene(story.id, NewScene(text), durable=text == "3") for text in texts]
    scenes = await asyncio.gather(*appends)

    assert [scene.number for scene in scenes] == [1, 2, 3, 4, 5, 6]
    assert await settings_of_commits(database_url) == dict.fromkeys(texts, "on")


async def test_a_group_of_scenes_that_may_be_lost_keeps_their_order(
    database_url: str, same: World, story: Story
) -> None:
    texts = [f"{number}" for number in range(6)]
    await asyncio.gather(*(same.stories.append_scene(story.id, NewScene(text), durable=False) for text in texts))

    assert [scene.content for scene in await same.stories.recent(story.id, 6)] == texts
    assert await settings_of_commits(database_url) == dict.fromkeys(texts, "off")


async def test_a_scene_of_a_followed_story_waits_for_the_disk(database_url: str, same: World, story: Story) -> None:
    async with same.live.subscribe(story=story.id):
        await same.stories.append_scene(story.id, NewScene("followed"), durable=False)

    assert await settings_of_commits(database_url) == {"followed": "on"}


async def test_a_request_key_is_always_durable(world: World, story: Story) -> None:
    with pytest.raises(InvalidInput, match="durable"):
        await world.stories.append_scene(story.id, NewScene("x"), request_key="k", durable=False)
