"""The connection is lost around the COMMIT of a queue's calls: each takes effect once, and nothing is forgotten."""

from __future__ import annotations

import pytest

from livingworld import LaneSize, LivingWorld, NewScene, RunningAction, Story, TransactionScope, World
from livingworld.errors import CommitUnknown
from livingworld.testing.protocol_proxy import Moment, ProtocolProxy
from livingworld.testing.staged_races import Connection
from tests.faults.test_lost_commit import both_moments
from tests.support.action_checks import an_hour_goes_by
from tests.support.aftermath import assert_nothing_left, scene_contents


@pytest.mark.direct_connection("behind a pooler a claim has a COMMIT too, which the fault would meet")
@both_moments
async def test_an_effect_takes_place_once(
    moment: Moment, proxy: ProtocolProxy, story: Story, world: World, livingworld: LivingWorld, observer: Connection
) -> None:
    told: list[int] = []

    async def tell(running: RunningAction) -> None:
        async def effect(tx: TransactionScope) -> int:
            return (await tx.stories.append_scene(story.id, NewScene("The lantern."))).number

        told.append(await running.complete(effect))

    given = await world.actions.enqueue("mara", "tell")
    fault = proxy.at(moment, "COMMIT;")
    await world.actions.worker({"tell": tell}).run_once()

    assert fault.happened.is_set()
    assert told == [1]
    done = await world.actions.get(given.id)
    assert (done.state, done.result, done.attempts) == ("done", 1, 1)
    assert await scene_contents(observer, story.id) == ["The lantern."]
    await assert_nothing_left(livingworld, observer)


@both_moments
async def test_a_command_is_stored_once(moment: Moment, proxy: ProtocolProxy, world: World) -> None:
    fault = proxy.at(moment, "enqueue_actions_v1")

    action = await world.actions.enqueue("mara", "tell")

    assert fault.happened.is_set()
    assert [each.id for each in (await world.actions.commands("mara")).items] == [action.id]
    assert await world.actions.size() == LaneSize(waiting=1, running=0)


@both_moments
async def test_an_end_is_stored_once(moment: Moment, proxy: ProtocolProxy, world: World) -> None:
    await world.actions.enqueue("mara", "tell")
    (action,) = await world.actions.claim()
    fault = proxy.at(moment, "complete_action_v1")

    await world.actions.complete(action, "told")

    assert fault.happened.is_set()
    assert (await world.actions.get(action.id)).result == "told"


@pytest.mark.direct_connection("behind a pooler it is a transaction whose COMMIT was not sent: nothing is unknown")
@both_moments
async def test_a_claim_whose_answer_was_lost_ends_by_itself(
    moment: Moment, proxy: ProtocolProxy, world: World, database_url: str
) -> None:
    await world.actions.enqueue("mara", "tell")
    proxy.at(moment, "claim_actions_v1")
    with pytest.raises(CommitUnknown):
        await world.actions.claim()

    await an_hour_goes_by(database_url)
    (action,) = await world.actions.claim()
    assert action.attempts == (2 if moment is Moment.AFTER else 1)
