"""Known failures of other stores with conversations and turns, staged against this one."""

from __future__ import annotations

import asyncio

import pytest

from livingworld import NewScene, NewState, Story, Subject, Turn, World
from livingworld.errors import Fenced, SessionCleared, StaleHead, VersionConflict
from tests.concurrency.turn_players import expire, player
from tests.support.story_checks import broken_promises, read_path
from tests.support.turn_checks import broken_turns


async def test_a_thawed_worker_forks_no_conversation(database_url: str, world: World, story: Story) -> None:
    """https://github.com/langchain-ai/langgraph/issues/7417

    A worker that is silent for too long counts as dead, its run is started again from the checkpoint while it still
    works, and both write. Here the one that was overtaken is told so, and nothing of it is stored.
    """
    async with player(database_url, world, story) as first, player(database_url, world, story) as second:
        assert await first.do("take long-tool-call queue") == "taken long-tool-call"
        first.pause()
        await expire(database_url)
        assert await second.do("take long-tool-call queue") == "taken long-tool-call"
        first.thaw()
        assert await first.do("commit forked") == "Fenced"
        assert await second.do("commit resumed") == "committed 1"

    assert await read_path(world, story.id, 1) == [1]
    assert [branch.name for branch in (await world.branches.list(story.id)).items] == ["main"]
    assert (await world.stories.scene(story.id, 1)).content == "resumed"
    assert await broken_turns(database_url, story.id) == []


async def test_a_stale_session_is_refused_and_not_continued(world: World, story: Story) -> None:
    """https://github.com/google/adk-python/issues/4751

    Two servers run one session; the one whose copy is stale reloads it silently and goes on, and their events are
    interleaved for good. Here what was decided on an older head, version or epoch is refused.
    """
    await world.stories.append_scene(story.id, NewScene("Seen by both servers."))
    await world.stories.append_scene(story.id, NewScene("Server A."), expected_head=1)
    with pytest.raises(StaleHead):
        await world.stories.append_scene(story.id, NewScene("Server B."), expected_head=1)
    with pytest.raises(StaleHead):
        async with world.turns.take(story.id, request_key="server b", expected_head=1):
            pass

    session = await world.sessions.open(context={"seen": "by both"})
    await world.sessions.set_context(session.id, {"by": "a"}, expected_version=session.context_version)
    with pytest.raises(VersionConflict):
        await world.sessions.set_context(session.id, {"by": "b"}, expected_version=session.context_version)
    await world.sessions.clear(session.id)
    with pytest.raises(SessionCleared):
        await world.interactions.add(session.id, "of the time before", epoch=session.epoch)
    assert await read_path(world, story.id, 1) == [1, 2]


async def test_two_runs_of_one_conversation_are_not_interleaved(world: World, story: Story) -> None:
    """https://github.com/google/adk-python/issues/4751: the same, while both servers generate."""
    running, replaced = asyncio.Event(), asyncio.Event()

    async def server_a() -> None:
        async with world.turns.take(story.id, request_key="a") as turn:
            running.set()
            await replaced.wait()
            await turn.commit(NewScene("Server A."))

    first = asyncio.create_task(server_a())
    await running.wait()
    async with world.turns.take(story.id, request_key="b", busy="replace") as turn:
        replaced.set()
        with pytest.raises(Fenced):
            await first
        await turn.commit(NewScene("Server B."))

    assert [scene.content for scene in await world.stories.recent(story.id, 10)] == ["Server B."]


async def test_a_regeneration_that_fails_deletes_nothing(database_url: str, world: World, story: Story) -> None:
    """https://github.com/janhq/jan/issues/6308 and https://github.com/SillyTavern/SillyTavern/issues/394

    Regenerate removes the last message, and what the user wrote, before the model has answered; when it does not, they
    are lost. Here an attempt replaces nothing: a failed one leaves the story as it was, a good one stands beside it.
    """

    async def narrate(turn: Turn) -> NewScene:
        return NewScene(f"Answer to {turn.context.instruction}.")

    async def no_model(_: Turn) -> NewScene:
        raise ConnectionError

    await world.turns.play(story.id, narrate, request_key="typed", instruction="what the user wrote")
    await world.branches.undo(story.id)
    with pytest.raises(ConnectionError):
        await world.turns.play(story.id, no_model, request_key="retried", instruction="what the user wrote")
    await world.branches.redo(story.id)
    assert await read_path(world, story.id, 1) == [1]

    await world.branches.undo(story.id)
    await world.turns.play(story.id, narrate, request_key="retried", instruction="what the user wrote")
    stored = [(await world.stories.scene(story.id, number)).content for number in (1, 2)]
    assert stored == ["Answer to what the user wrote."] * 2
    assert await broken_promises(database_url, world.id, story.id) == []


async def test_a_branch_keeps_the_state_of_its_past(world: World, story: Story) -> None:
    """https://github.com/bal-spec/sillytavern-character-memory/issues/16

    A chat that is forked begins without the memories and variables of what came before. Here what became true on a
    path is true on every branch that contains it, and only there.
    """
    for number, mood in enumerate(("calm", "wary"), start=1):
        async with world.turns.take(story.id, request_key=str(number)) as turn:
            await turn.commit(NewScene(mood), NewState(facts={(Subject("sea"), "mood"): mood}))
    fork = await world.branches.fork(story.id, "aside", at=1)
    async with world.turns.take(story.id, request_key="aside", branch=fork.number) as turn:
        await turn.commit(NewScene("lit"), NewState(facts={(Subject("lamp"), "lit"): True}))

    async def known(branch: int) -> dict[str, object]:
        return {fact.attribute: fact.value for fact in await world.facts.all(story.id, branch=branch)}

    assert await known(fork.number) == {"mood": "calm", "lit": True}
    assert await known(1) == {"mood": "wary"}
