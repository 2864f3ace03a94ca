"""One request of a group that cannot be carried out, or not now, costs its neighbours a moment and nothing else."""

from __future__ import annotations

from livingworld import NewScene, World
from livingworld.errors import DatabaseFailure, StatementTimeout
from livingworld.testing.staged_races import connected, holding
from tests.isolation.regimes import held, poison, running, while_held

NEIGHBOURS = 30
THE_CHARACTER = "SELECT FROM livingworld.characters WHERE character_id = $1 FOR UPDATE"


async def test_a_held_character_holds_up_only_the_scene_that_casts_her(database_url: str, world: World) -> None:
    mara, _ = await world.characters.get_or_create("Mara")
    stories = [await world.stories.create(f"{number}") for number in range(NEIGHBOURS + 1)]
    async with holding(database_url, THE_CHARACTER, [mara.id]) as holder:
        casting = world.stories.append_scene(stories[0].id, NewScene("with her", cast=[mara.id]))
        async with running([casting]) as (waiting,):
            answers = await while_held(
                [world.stories.append_scene(story.id, NewScene("without her")) for story in stories[1:] * 2]
            )
            await holder.until_blocked()

            assert sorted(scene.number for scene in answers) == [1] * NEIGHBOURS + [2] * NEIGHBOURS
            assert not waiting.done()
            await holder.connection.execute("ROLLBACK")
            assert (await waiting).number == 1


async def test_a_poisoned_request_beside_a_held_story_fails_alone(database_url: str, world: World) -> None:
    await poison(database_url)
    stories = [await world.stories.create(f"{number}") for number in range(NEIGHBOURS)]
    stuck, bad = await world.stories.create("Held"), await world.stories.create("Poisoned")
    async with (
        held(database_url, [stuck]) as holder,
        running([world.stories.append_scene(stuck.id, NewScene("waits"))]) as (waiting,),
    ):
        healthy = [world.stories.append_scene(story.id, NewScene("healthy")) for story in stories]
        *answers, refused = await while_held([*healthy, world.stories.append_scene(bad.id, NewScene("poison"))])
        await holder.until_blocked()

        assert isinstance(refused, DatabaseFailure)
        assert [scene.number for scene in answers] == [1] * NEIGHBOURS
        assert not waiting.done()
        await holder.connection.execute("ROLLBACK")
        assert (await waiting).number == 1


async def test_a_statement_that_takes_for_ever_takes_its_own_request_with_it(database_url: str, world: World) -> None:
    await poison(database_url)
    stories = [await world.stories.create(f"{number}") for number in range(NEIGHBOURS)]
    slow = await world.stories.create("Slow")
    async with running([world.stories.append_scene(slow.id, NewScene("slow"))]) as (waiting,):
        answers = await while_held([world.stories.append_scene(story.id, NewScene("quick")) for story in stories])

        assert [scene.number for scene in answers] == [1] * NEIGHBOURS
        assert not waiting.done()
        async with connected(database_url) as connection:
            await connection.execute(
                "SELECT pg_cancel_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event = 'PgSleep'"
            )
        assert isinstance((await while_held([waiting]))[0], StatementTimeout)


async def test_a_poisoned_request_among_others_of_its_story_fails_alone_and_the_order_stays(
    database_url: str, world: World
) -> None:
    await poison(database_url)
    story = await world.stories.create("One story")
    texts = [f"{number}" for number in range(20)]
    texts[7] = "poison"
    answers = await while_held([world.stories.append_scene(story.id, NewScene(text)) for text in texts])

    assert isinstance(answers.pop(7), DatabaseFailure)
    texts.pop(7)
    assert [scene.number for scene in answers] == list(range(1, 20))
    assert [scene.content for scene in await world.stories.recent(story.id, 20)] == texts
