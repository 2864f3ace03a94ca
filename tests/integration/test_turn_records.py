"""A turn stays readable: who played, what was asked and merged, what models answered, and what became of it."""

from __future__ import annotations

import asyncio

import pytest

from livingworld import NewScene, Scene, Story, TurnInput, World
from livingworld.errors import InvalidCursor, TurnNotFound
from livingworld.identifiers import new_id
from livingworld.testing.staged_races import holding
from tests.support.played_turns import play
from tests.support.staging import THE_STORY
from tests.support.turn_checks import at_once, joined, rows, until_found

WAITS = "SELECT FROM livingworld.turn_waiters WHERE request_key = $1"
MERGED = "SELECT FROM livingworld.turns WHERE state = 'merged' HAVING count(*) = $1"


async def test_a_turn_keeps_who_played_what_and_what_became_of_it(world: World, story: Story) -> None:
    scene = await play(world, story, "one", "ada", tokens=7)
    turn = await world.turns.get(story.id, "one")

    assert scene.turn == "one"
    assert (turn.player, turn.instruction, turn.choice, turn.state) == ("ada", "say one", None, "committed")
    assert (turn.branch, turn.head, turn.scene_number, turn.attempts) == (1, 0, 1, 1)
    assert (turn.model, turn.input_tokens, turn.output_tokens, turn.error) == ("tide-7b", 7, 1, None)
    assert turn.duration is not None
    assert [(each.request_key, each.player, each.instruction) for each in turn.inputs] == [("one", "ada", "say one")]


async def test_every_way_to_read_a_scene_names_its_turn(world: World, story: Story) -> None:
    await play(world, story, "one")
    plain = await world.stories.append_scene(story.id, NewScene("no turn"))
    await play(world, story, "two")

    async with world.turns.take(story.id, request_key="three") as turn:
        named = [scene.turn for scene in turn.context.recent]
    assert plain.turn is None
    assert named == ["one", None, "two"]
    assert [scene.turn for scene in (await world.stories.scenes(story.id)).items] == named
    assert [(await world.stories.scene(story.id, number)).turn for number in (1, 2, 3)] == named
    head = await world.stories.head(story.id)
    assert head.scene is not None
    assert head.scene.turn == "two"


async def test_a_scene_names_the_turn_whose_text_it_shows(world: World, story: Story) -> None:
    await world.stories.append_scene(story.id, NewScene("written by hand"))
    async with world.turns.regenerate(story.id, request_key="again", player="bob") as turn:
        await turn.commit(NewScene("by the turn"))
    assert (await world.stories.scene(story.id, 1)).turn == "again"
    assert (await world.turns.get(story.id, "again")).regenerates == 1

    (old,) = [each for each in await world.generations.alternatives(story.id, 1) if not each.shown]
    await world.generations.choose(old.id)
    assert (await world.stories.scene(story.id, 1)).turn is None

    (mine,) = [each for each in await world.generations.alternatives(story.id, 1) if not each.shown]
    await world.stories.append_scene(story.id, NewScene("goes on"))
    beside = await world.generations.choose(mine.id)
    assert (beside.number, beside.turn) == (3, "again")
    # The turn that keeps the text of a scene which no turn wrote is the library's own.
    assert [each.request_key for each in (await world.turns.of(story.id)).items] == ["again"]


async def test_every_merged_input_is_kept_with_its_player(database_url: str, world: World, story: Story) -> None:
    def both(waiting: TurnInput, new: TurnInput) -> TurnInput:
        return TurnInput(None, f"{waiting.player}: {waiting.instruction}, {new.player}: {new.instruction}")

    async def send(name: str) -> Scene:
        return await world.turns.play(
            story.id,
            at_once("both"),
            request_key=name,
            player=name,
            instruction=f"I am {name}",
            busy="merge",
            combine=both,
        )

    async with world.turns.take(story.id, request_key="first", player="eve") as turn:
        ada = asyncio.create_task(send("ada"))
        await until_found(database_url, WAITS, "ada")
        bob = asyncio.create_task(send("bob"))
        await until_found(database_url, MERGED, 1)
        await turn.commit(NewScene("first"))
    assert await ada == await bob

    leader, merged = await world.turns.get(story.id, "ada"), await world.turns.get(story.id, "bob")
    assert leader.instruction == "ada: I am ada, bob: I am bob"
    assert [(each.player, each.instruction) for each in leader.inputs] == [("ada", "I am ada"), ("bob", "I am bob")]
    assert (merged.state, merged.merged_into, merged.player, merged.instruction) == ("merged", "ada", "bob", "I am bob")


async def test_a_turn_that_was_combined_and_failed_keeps_its_own_input_the_next_time(
    database_url: str, world: World, story: Story
) -> None:
    async def fail(_: object) -> NewScene:
        raise ZeroDivisionError

    async def send(name: str) -> Scene:
        return await world.turns.play(story.id, fail, request_key=name, instruction=name, busy="merge", combine=joined)

    async with world.turns.take(story.id, request_key="first") as turn:
        tasks = [asyncio.create_task(send("ada"))]
        await until_found(database_url, WAITS, "ada")
        tasks.append(asyncio.create_task(send("bob")))
        await until_found(database_url, MERGED, 1)
        await turn.commit(NewScene("first"))
    await asyncio.gather(*tasks, return_exceptions=True)
    await world.turns.play(story.id, at_once("alone"), request_key="ada", instruction="ada")

    turn_of_ada = await world.turns.get(story.id, "ada")
    assert (turn_of_ada.instruction, turn_of_ada.attempts, len(turn_of_ada.inputs)) == ("ada", 2, 1)
    assert await rows(database_url, "SELECT own_input FROM livingworld.turns WHERE request_key = 'ada'") == [(None,)]


async def test_pages_of_turns_are_the_newest_first_and_neither_repeat_nor_skip(world: World, story: Story) -> None:
    for number in range(7):
        await play(world, story, f"key-{number}", "ada" if number % 2 else "bob")
    branch = await world.branches.fork(story.id, "aside", at=3)
    async with world.turns.take(story.id, request_key="aside", branch=branch.number, player="ada") as turn:
        await turn.commit(NewScene("aside"))

    async def keys(**options: object) -> list[str]:
        found, after = [], None
        while True:
            page = await world.turns.of(story.id, after=after, limit=2, **options)  # type: ignore[arg-type]
            found += [turn.request_key for turn in page.items]
            assert len(page.items) <= 2
            if (after := page.next) is None:
                return found

    everything = ["aside", *(f"key-{number}" for number in range(6, -1, -1))]
    assert await keys() == everything
    assert await keys(player="ada") == ["aside", "key-5", "key-3", "key-1"]
    assert await keys(branch=1) == everything[1:]
    assert await keys(branch=branch.number, player="ada") == ["aside"]
    assert await keys(player="nobody") == []
    with pytest.raises(InvalidCursor):
        await world.turns.of(story.id, after="x")


@pytest.mark.parametrize("player", ["ada", None], ids=["of one player", "of all"])
async def test_turns_of_one_moment_are_in_the_order_of_their_keys(
    player: str | None, database_url: str, world: World, story: Story
) -> None:
    for number in range(6):
        await play(world, story, f"key-{number}", "ada")
    await rows(database_url, "UPDATE livingworld.turns SET created_at = now() WHERE request_key <> 'key-0'")

    found, after = [], None
    while (page := await world.turns.of(story.id, player=player, after=after, limit=2)).items:
        found += [turn.request_key for turn in page.items]
        if (after := page.next) is None:
            break

    assert found == [f"key-{number}" for number in range(5, -1, -1)]


async def test_a_turn_that_waited_for_its_story_comes_after_those_of_before(
    database_url: str, world: World, story: Story
) -> None:
    """Otherwise a reader who has a page already would never see it."""
    async with holding(database_url, THE_STORY, [world.id, story.id]) as holder:
        late = asyncio.create_task(world.turns.play(story.id, at_once("late"), request_key="late"))
        await holder.until_blocked()
        ((released_at,),) = await rows(database_url, "SELECT clock_timestamp()")
    await late

    assert (await world.turns.get(story.id, "late")).created_at > released_at


async def test_generations_of_a_story_are_read_in_pages(world: World, story: Story) -> None:
    for number in range(3):
        await play(world, story, f"key-{number}")
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            async with world.turns.take(story.id, request_key="fails"):
                raise ZeroDivisionError
    async with world.turns.take(story.id, request_key="runs"):
        found, after = [], None
        for _ in range(3):
            page = await world.generations.of(story.id, after=after, limit=2)
            found += [(each.request_key, each.attempt) for each in page.items]
            after = page.next

    assert after is None
    assert found == [("fails", 2), ("fails", 1), ("key-2", 1), ("key-1", 1), ("key-0", 1)]


async def test_what_is_not_there_is_not_found(world: World, story: Story) -> None:
    for read in (world.turns.get, world.turns.tree):
        with pytest.raises(TurnNotFound):
            await read(story.id, "never")
        with pytest.raises(TurnNotFound):
            await read(new_id(), "never")
    assert (await world.turns.of(new_id())).items == ()
    assert (await world.generations.of(new_id())).items == ()


async def test_turns_are_read_in_a_transaction_too(world: World, story: Story) -> None:
    await play(world, story, "one")
    async with world.transaction() as tx:
        assert (await tx.turns.get(story.id, "one")).scene_number == 1
        assert len(await tx.turns.usage(["turn"], story_id=story.id)) == 1
