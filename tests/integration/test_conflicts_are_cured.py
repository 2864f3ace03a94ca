"""Who meets a conflict reads again, or waits for the other, and succeeds; who is refused is refused again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import pytest

from livingworld import LivingWorld, NewMemory, NewScene, Settings, errors
from livingworld.testing.staged_races import connected
from tests.faults.test_refusals_by_name import cross
from tests.support.error_branches import CONFLICTS, REFUSALS
from tests.support.every_write import Furnished, furnish
from tests.support.full_queues import limit_reached, queue_full

#: PostgreSQL prefers another one, once. A sequence is not rolled back.
_PREFERS_ANOTHER: Final = """
    CREATE SEQUENCE tries;
    GRANT USAGE ON SEQUENCE tries TO PUBLIC;
    CREATE FUNCTION prefer_another() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF nextval('public.tries') = 1 THEN RAISE EXCEPTION 'refused' USING ERRCODE = '40001'; END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER prefer_another BEFORE UPDATE ON livingworld.stories FOR EACH ROW EXECUTE FUNCTION prefer_another();
"""


async def head_of(at: Furnished) -> int:
    scene = (await at.world.stories.head(at.story.id)).scene
    return scene.number if scene else 0


async def stale_head(at: Furnished, url: str) -> None:
    seen = await head_of(at)
    await at.world.stories.append_scene(at.story.id, NewScene("first"), expected_head=seen)
    with pytest.raises(errors.StaleHead):
        await at.world.stories.append_scene(at.story.id, NewScene("second"), expected_head=seen)

    seen = await head_of(at)
    await at.world.stories.append_scene(at.story.id, NewScene("second"), expected_head=seen)


async def version_conflict(at: Furnished, url: str) -> None:
    await at.world.stories.update(at.story.id, expected_version=at.story.version, title="first")
    with pytest.raises(errors.VersionConflict):
        await at.world.stories.update(at.story.id, expected_version=at.story.version, title="second")

    now = await at.world.stories.get(at.story.id)
    await at.world.stories.update(at.story.id, expected_version=now.version, title="second")


async def branch_changed(at: Furnished, url: str) -> None:
    await at.world.branches.switch(at.story.id, 2)
    with pytest.raises(errors.BranchChanged) as refused:
        await at.world.branches.switch(at.story.id, 1, expected_branch=1)

    await at.world.branches.switch(at.story.id, 1, expected_branch=refused.value.actual)


async def session_cleared(at: Furnished, url: str) -> None:
    await at.world.sessions.clear(at.session.id)
    with pytest.raises(errors.SessionCleared):
        await at.world.sessions.merge_context(at.session.id, {"at": "sea"}, epoch=at.session.epoch)

    now = await at.world.sessions.get(at.session.id)
    await at.world.sessions.merge_context(at.session.id, {"at": "sea"}, epoch=now.epoch)


async def active_model_changed(at: Furnished, url: str) -> None:
    seen = (await at.world.ai_models.active("narrator")).activation
    await at.world.ai_models.rollback("narrator")
    with pytest.raises(errors.ActiveModelChanged):
        await at.world.ai_models.promote(at.staged.id, expected_activation=seen)

    seen = (await at.world.ai_models.active("narrator")).activation
    await at.world.ai_models.promote(at.staged.id, expected_activation=seen)


async def already_consolidated(at: Furnished, url: str) -> None:
    added = await at.world.memories.add(at.story.id, [NewMemory("It snowed.", at.mara.id)])
    seen = [at.memory.id, added[0][0].id]
    await at.world.memories.consolidate(at.story.id, seen[:1], NewMemory("Rain.", at.mara.id))
    with pytest.raises(errors.AlreadyConsolidated):
        await at.world.memories.consolidate(at.story.id, seen, NewMemory("Weather.", at.mara.id))

    seen = [memory.id for memory in await at.world.memories.recent(at.story.id, character=at.mara.id)]
    await at.world.memories.consolidate(at.story.id, seen, NewMemory("Weather.", at.mara.id))


async def busy(at: Furnished, url: str) -> None:
    async with at.world.turns.take(at.story.id, request_key="first"):
        with pytest.raises(errors.Busy):
            async with at.world.turns.take(at.story.id, request_key="second", busy="reject"):
                pass

    async with at.world.turns.take(at.story.id, request_key="second", busy="reject") as turn:
        await turn.commit(NewScene("second"))


async def already_running(at: Furnished, url: str) -> None:
    with pytest.raises(errors.AlreadyRunning) as refused:
        await at.world.tasks.create_unless_running(at.session.id, "tell")
    await at.world.tasks.finish(refused.value.task)

    await at.world.tasks.create_unless_running(at.session.id, "tell")


async def lease_held(at: Furnished, url: str) -> None:
    async with at.world.leases.hold("tide"):
        with pytest.raises(errors.LeaseHeld):
            async with at.world.leases.hold("tide"):
                pass

    async with at.world.leases.hold("tide"):
        pass


async def fenced(at: Furnished, url: str) -> None:
    async with (
        at.world.turns.take(at.story.id, request_key="first") as overtaken,
        at.world.turns.take(at.story.id, request_key="second", busy="replace"),
    ):
        with pytest.raises(errors.Fenced):
            await overtaken.commit(NewScene("first"))

    async with at.world.turns.take(at.story.id, request_key="first") as turn:
        await turn.commit(NewScene("first"))


async def task_superseded(at: Furnished, url: str) -> None:
    await at.world.sessions.clear(at.session.id)
    with pytest.raises(errors.TaskSuperseded):
        await at.world.tasks.finish(at.task, "told")

    await at.world.tasks.finish(await at.world.tasks.create_unless_running(at.session.id, "tell"), "told")


async def action_superseded(at: Furnished, url: str) -> None:
    await at.world.actions.release(at.claimed)
    with pytest.raises(errors.ActionSuperseded):
        await at.world.actions.complete(at.claimed)

    for claimed in await at.world.actions.claim(limit=2):
        await at.world.actions.complete(claimed)


async def serialization_failure(at: Furnished, url: str) -> None:
    async with connected(url) as connection:
        await connection.execute(_PREFERS_ANOTHER)
    async with LivingWorld.open(Settings.load(database_url=url, conflict_retries=0)) as livingworld:
        world = await livingworld.worlds.get(at.world.id)
        with pytest.raises(errors.SerializationFailure):
            await world.stories.update(at.story.id, expected_version=1, title="x")

        await world.stories.update(at.story.id, expected_version=1, title="x")


async def deadlock_detected(at: Furnished, url: str) -> None:
    async with connected(url) as observer:
        ends = await cross(at.world, observer)
    assert [type(end) for end in ends if isinstance(end, Exception)] == [errors.DeadlockDetected]

    async with at.world.locks.exclusive("again") as tx:
        await tx.documents.increment("waves")


Stage: TypeAlias = Callable[[Furnished, str], Awaitable[None]]
STAGES: Final[dict[str, Stage]] = {
    "StaleHead": stale_head,
    "VersionConflict": version_conflict,
    "BranchChanged": branch_changed,
    "SessionCleared": session_cleared,
    "ActiveModelChanged": active_model_changed,
    "AlreadyConsolidated": already_consolidated,
    "Busy": busy,
    "AlreadyRunning": already_running,
    "LeaseHeld": lease_held,
    "QueueFull": queue_full,
    "LimitReached": limit_reached,
    "Fenced": fenced,
    "TaskSuperseded": task_superseded,
    "ActionSuperseded": action_superseded,
    "SerializationFailure": serialization_failure,
    "DeadlockDetected": deadlock_detected,
}


@pytest.mark.parametrize("name", STAGES)
async def test_who_reads_again_and_decides_again_succeeds(
    livingworld: LivingWorld, database_url: str, name: str
) -> None:
    await STAGES[name](await furnish(livingworld), database_url)


def test_every_conflict_is_staged() -> None:
    assert STAGES.keys() == CONFLICTS.keys()


async def cancel_twice(at: Furnished) -> object:
    await at.world.tasks.cancel(at.task.id)
    return await at.world.tasks.cancel(at.task.id)


async def cancel_what_is_over(at: Furnished) -> object:
    await at.world.tasks.finish(at.task)
    return await at.world.tasks.cancel(at.task.id)


async def complete_and_cancel(at: Furnished) -> object:
    await at.world.actions.complete(at.claimed)
    return await at.world.actions.cancel(at.claimed.id)


async def close_and_write(at: Furnished) -> object:
    await at.world.sessions.close(at.session.id)
    return await at.world.sessions.heartbeat(at.session.id)


async def archive_and_write(at: Furnished) -> object:
    await at.world.stories.archive(at.story.id)
    return await at.world.stories.append_scene(at.story.id, NewScene("x"))


async def other_arguments(at: Furnished) -> object:
    if (await at.world.stories.get(at.story.id)).scene_count == 2:
        await at.world.stories.append_scene(at.story.id, NewScene("x"), request_key="k")
    return await at.world.stories.append_scene(at.story.id, NewScene("y"), request_key="k")


async def merge_a_number(at: Furnished) -> object:
    await at.world.documents.increment("number")
    return await at.world.documents.merge("number", base_version=1, changes={"a": 1}, strategy="last_write_wins")


async def promote_again(at: Furnished) -> object:
    (_, *retired) = sorted(
        (await at.world.ai_models.list("narrator")).items, key=lambda model: model.name, reverse=True
    )
    return await at.world.ai_models.promote(retired[-1].id)


async def promote_unloaded(at: Furnished) -> object:
    model = await at.world.ai_models.register("judge", provider="local", name="new")
    return await at.world.ai_models.promote(model.id)


async def retire_and_activate(at: Furnished) -> object:
    await at.world.scripts.retire("greeting", 1)
    return await at.world.scripts.activate("greeting", 1)


Refuse: TypeAlias = Callable[[Furnished], Awaitable[object]]
REFUSED: Final[dict[str, Refuse]] = {
    "RequestKeyReused": other_arguments,
    "NameTaken": lambda at: at.world.characters.add_alias(at.tom.id, "Mara"),
    "BranchNameTaken": lambda at: at.world.branches.rename(at.story.id, 2, "main"),
    "BranchInUse": lambda at: at.world.branches.delete(at.story.id, 1),
    "NothingToUndo": lambda at: at.world.branches.undo(at.story.id, 9),
    "NothingToRedo": lambda at: at.world.branches.redo(at.story.id),
    "Archived": archive_and_write,
    "NotCountable": lambda at: at.world.documents.increment("flags"),
    "NotMergeable": merge_a_number,
    "SessionClosed": close_and_write,
    "TaskEnded": cancel_what_is_over,
    "AlreadyCancelling": cancel_twice,
    "ActionEnded": complete_and_cancel,
    "ScriptActive": lambda at: at.world.scripts.retire("greeting", 2),
    "ScriptRetired": retire_and_activate,
    "ModelNotValidated": promote_unloaded,
    "ModelNotStaging": promote_again,
}
#: Told to whoever runs something, or in the course of a turn: staged in tests of their own.
#: Refusals of bundles are tried beside their files: tests/integration/bundles.
ELSEWHERE: Final = {
    *("BundleDamaged", "BundleOfOtherSchema", "StoryExists", "WorldExists"),
    "SameCharacter",
    "GenerationIncomplete",
    "TaskCancelled",
    "ActionExpired",
    "ActionCancelled",
    "NothingToRollBack",
    "LockOrderViolation",
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_refused_is_refused_again(livingworld: LivingWorld, name: str) -> None:
    at = await furnish(livingworld)
    for _ in range(3):
        with pytest.raises(getattr(errors, name)):
            await REFUSED[name](at)


def test_every_refusal_is_tried_here_or_named() -> None:
    assert REFUSED.keys() | ELSEWHERE == REFUSALS.keys()
