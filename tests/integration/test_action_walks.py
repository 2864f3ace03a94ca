"""Random walks over one world's lanes: whatever is done, the lanes say what is true, and the record can be replayed."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from livingworld import COMMANDS, Action, NewAction, Rule, World, replay
from livingworld.errors import ActionSuperseded, AlreadyCancelling, QueueFull
from tests.support.action_checks import broken_lanes

STEPS = 120
POLICY = COMMANDS.extended(
    Rule("say", "say", "merge"),
    Rule("*", "door", "reject", state="running"),
    categories={"walk": "movement", "run": "movement", "heal": "skill"},
)
KINDS = ("walk", "run", "heal", "say", "door", "speak")
NOW = timedelta(0)


class Walker:
    """Does one thing after another, and holds what it has claimed."""

    def __init__(self, world: World, seed: int) -> None:
        self.actions = world.actions
        self.chance = random.Random(seed)
        self.held: list[Action] = []
        self.full = 0

    async def give(self) -> None:
        """Give one command to a lane, under the policy."""
        lane, kind = self.chance.choice("ab"), self.chance.choice(KINDS)
        late, first = self.chance.choice((None, None, None, NOW)), self.chance.choice((0, 0, 1))
        payload = {"number": self.chance.random()}
        given = NewAction(lane, kind, payload, priority=first, deadline=late, max_attempts=2)
        (result,) = await self.actions.enqueue_many([given], conflict=POLICY)
        self.full += isinstance(result, QueueFull)

    async def claim(self) -> None:
        """Claim what is due in both lanes."""
        claimed = await self.actions.claim(2)
        lanes = [action.lane for action in (*self.held, *claimed)]
        assert len(lanes) == len(set(lanes))
        self.held += claimed

    async def end(self) -> None:
        """End what is held in one of the ways."""
        if not self.held:
            return
        action = self.held.pop(self.chance.randrange(len(self.held)))
        ends: list[Callable[[], Awaitable[object]]] = [
            lambda: self.actions.complete(action, {"well": True}),
            lambda: self.actions.fail(action, "no", retry_in=NOW),
            lambda: self.actions.release(action),
            lambda: self.actions.stop(action),
        ]
        await self.chance.choice(ends)()
        with pytest.raises(ActionSuperseded):
            await self.actions.extend(action)

    async def cancel(self) -> None:
        """Cancel something that waits or runs."""
        known = [*await self.actions.peek(self.chance.choice("ab")), *self.held]
        if known:
            try:
                await self.actions.cancel(self.chance.choice(known).id)
            except AlreadyCancelling:
                return

    async def step(self) -> None:
        """Do one of these."""
        await self.chance.choice((self.give, self.give, self.give, self.claim, self.end, self.cancel))()


@pytest.mark.rotates(parts=4)
@pytest.mark.parametrize("seed", range(8))
async def test_lanes_say_what_is_true_after_every_walk_and_the_record_is_replayed(
    database_url: str, world: World, seed: int
) -> None:
    for lane in "ab":
        await world.actions.limit_lane(lane, 6)
    walker = Walker(world, seed)
    for number in range(STEPS):
        await walker.step()
        if number % 20 == 0:
            assert await broken_lanes(database_url, world.id) == []

    assert await broken_lanes(database_url, world.id) == []
    for lane in "ab":
        recorded = (await world.actions.commands(lane, limit=1000)).items
        decided = {key: (verdict.decision, verdict.by) for key, verdict in replay(POLICY, recorded).items()}
        assert decided == {action.id: (action.decision, action.decided_by) for action in recorded}
        assert len({action.decision for action in recorded}) > 1
