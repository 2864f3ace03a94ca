"""What each write publishes, and that a write which changes nothing publishes nothing."""

from __future__ import annotations

from livingworld import LiveKind, NewLoreEntry, NewScene, NewState, Story, Subject, World
from tests.support.live_checks import nothing_more, published


async def test_a_story_tells_what_happens_to_its_scenes_and_branches(world: World, story: Story) -> None:
    async with world.live.subscribe(story=story.id) as events:
        await world.stories.append_scene(story.id, NewScene("one"))
        await world.stories.append_scene(story.id, NewScene("two", (), ["Mara"]))
        await world.stories.edit_scene(story.id, 1, expected_version=1, content="uno")
        await world.stories.update(story.id, expected_version=1, title="x")
        await world.branches.undo(story.id)
        await world.branches.fork(story.id, "fork", at=2)
        await world.branches.switch(story.id, 2)
        await world.branches.switch(story.id, 2)
        await world.branches.rename(story.id, 1, "old")
        await world.branches.delete(story.id, 1)
        received = await published(events, 9)
        assert await nothing_more(events)

    assert received == [
        (LiveKind.SCENE_APPENDED, {"scene_number": 1, "branch_number": 1}),
        (LiveKind.SCENE_APPENDED, {"scene_number": 2, "branch_number": 1}),
        (LiveKind.SCENE_CHANGED, {"scene_number": 1, "version": 2}),
        (LiveKind.STORY_CHANGED, {"version": 2}),
        (LiveKind.HEAD_MOVED, {"branch_number": 1, "scene_number": 1}),
        (LiveKind.BRANCH_FORKED, {"branch_number": 2, "scene_number": 2}),
        (LiveKind.BRANCH_SWITCHED, {"branch_number": 2}),
        (LiveKind.BRANCH_RENAMED, {"branch_number": 1}),
        (LiveKind.BRANCH_DELETED, {"branch_number": 1}),
    ]


async def test_a_story_tells_what_turns_bring(world: World, story: Story) -> None:
    async with world.live.subscribe(story=story.id) as events, world.live.subscribe() as of_world:
        async with world.turns.take(story.id, request_key="1") as turn:
            await turn.commit(NewScene("one", (), ["Mara"]))
        async with world.turns.take(story.id, request_key="2") as turn:
            await turn.commit(NewScene("two", (), ["Mara", "Tom"]), NewState(facts={(Subject("a"), "b"): 1}))
        async with world.turns.regenerate(story.id, request_key="3") as turn:
            await turn.commit(NewScene("two, again"))
        received = await published(events, 3)
        first, second = await world.generations.alternatives(story.id, 2)
        hidden = second if received[2][1]["generation_id"] == str(first.id) else first
        await world.generations.choose(hidden.id)
        await world.generations.choose(hidden.id)  # is shown already
        received += await published(events, 1)
        made = await published(of_world, 2)
        assert await nothing_more(events)

    place = {"scene_number": 2, "branch_number": 1}
    assert received[:2] == [
        (LiveKind.SCENE_APPENDED, {"scene_number": 1, "branch_number": 1}),
        (LiveKind.SCENE_APPENDED, place),
    ]
    assert received[2][0] == LiveKind.GENERATION_CHOSEN
    assert received[3] == (LiveKind.GENERATION_CHOSEN, {**place, "generation_id": str(hidden.id)})
    names = [await world.characters.find(name) for name in ("Mara", "Tom")]
    assert made == [(LiveKind.CHARACTER_CREATED, {"character_id": str(each.id)}) for each in names if each]


async def test_a_session_tells_of_its_tasks_and_its_end(world: World) -> None:
    session = await world.sessions.open()
    async with world.live.subscribe(session=session.id) as events:
        async with world.tasks.running(session.id, "narrate") as run:
            await run.progress(1)
            await world.tasks.heartbeat(run.task)
            await world.tasks.cancel(run.task.id)
        left = await world.tasks.create_unless_running(session.id, "left")
        await world.sessions.clear(session.id)
        await world.sessions.close(session.id)
        await world.sessions.close(session.id)
        received = await published(events, 8)
        assert await nothing_more(events)

    task = {"task_id": str(run.task.id)}
    assert received == [
        (LiveKind.TASK_STARTED, {**task, "task_kind": "narrate"}),
        (LiveKind.TASK_PROGRESSED, task),
        (LiveKind.TASK_CANCEL_REQUESTED, task),
        (LiveKind.TASK_ENDED, {**task, "state": "finished"}),
        (LiveKind.TASK_STARTED, {"task_id": str(left.id), "task_kind": "left"}),
        (LiveKind.TASK_ENDED, {"task_id": str(left.id), "state": "cancelled"}),
        (LiveKind.SESSION_CLEARED, {"epoch": 2}),
        (LiveKind.SESSION_CLOSED, {}),
    ]


async def test_a_session_tells_of_its_interactions_and_context(world: World) -> None:
    session = await world.sessions.open()
    async with world.live.subscribe(session=session.id) as events:
        await world.interactions.add(session.id, "x")
        await world.interactions.update(session.id, 1, response="y")
        await world.interactions.clear(session.id)
        await world.interactions.clear(session.id)
        await world.sessions.heartbeat(session.id)
        await world.sessions.merge_context(session.id, {"a": 1})
        received = await published(events, 4)
        assert await nothing_more(events)

    assert received == [
        (LiveKind.INTERACTION_ADDED, {"interaction_number": 1}),
        (LiveKind.INTERACTION_CHANGED, {"interaction_number": 1, "version": 2}),
        (LiveKind.INTERACTIONS_CLEARED, {}),
        (LiveKind.CONTEXT_CHANGED, {"context_version": 2}),
    ]


async def test_the_world_tells_which_stories_and_characters_come_and_go(world: World) -> None:
    async with world.live.subscribe() as events:
        story = await world.stories.create("Another")
        await world.stories.append_scene(story.id, NewScene("x"))  # only the story publishes it
        await world.stories.purge(story.id)
        mara, _ = await world.characters.get_or_create("Mara")
        await world.characters.add_alias(mara.id, "The lamplighter")
        await world.characters.add_alias(mara.id, "The lamplighter")
        await world.characters.update(mara.id, expected_version=1, card={})
        received = await published(events, 5)
        assert await nothing_more(events)

    changed_id = {"character_id": str(mara.id)}
    assert received == [
        (LiveKind.STORY_CREATED, {"story_id": str(story.id)}),
        (LiveKind.STORY_PURGED, {"story_id": str(story.id)}),
        (LiveKind.CHARACTER_CREATED, changed_id),
        (LiveKind.CHARACTER_CHANGED, changed_id),
        (LiveKind.CHARACTER_CHANGED, changed_id),
    ]


async def test_the_world_tells_of_documents_lore_and_cycles(world: World) -> None:
    async def phase(_: object) -> None:
        return None

    async with world.live.subscribe() as events:
        await world.documents.increment("gold")
        await world.documents.set_if("gold", 7, expected=5)  # nothing is written
        await world.documents.update("gold", lambda value: value + 1)
        await world.documents.delete("gold")
        entry = await world.lore.add(NewLoreEntry("The lamp.", ["lamp"]))
        await world.lore.remove(entry.id, expected_version=1)
        await world.cycles.run("tide", {"do": phase})
        received = await published(events, 6)
        assert await nothing_more(events)

    assert received == [
        (LiveKind.DOCUMENT_CHANGED, {"key": "gold", "version": 1}),
        (LiveKind.DOCUMENT_CHANGED, {"key": "gold", "version": 2}),
        (LiveKind.DOCUMENT_CHANGED, {"key": "gold", "version": 3}),
        (LiveKind.LORE_CHANGED, {"lore_id": str(entry.id)}),
        (LiveKind.LORE_CHANGED, {"lore_id": str(entry.id)}),
        (LiveKind.CYCLE_ENDED, {"name": "tide", "run_number": 1, "state": "done"}),
    ]
