"""What a worker does: claim actions, keep them, and end each of them once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from livingworld.coordination.actions import action_writing
from livingworld.coordination.actions.records import Action
from livingworld.coordination.actions.rows import make_action
from livingworld.errors import InvalidInput, InvalidType
from livingworld.inputs import MAX_DESCRIPTION_CHARACTERS, MAX_TTL, MIN_TTL, check_duration, check_json, check_text
from livingworld.postgres.keyset import check_limit
from livingworld.postgres.locks import UNKNOWN
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.postgres.transactions.world_unit import WorldUnit

_CLAIM: Final = "SELECT * FROM livingworld.claim_actions_v1($1, $2, $3)"


class ActionClaims:
    """The claims on the actions of one world. Every end locks the row of the lane, last in the order of locks."""

    def __init__(self, unit: WorldUnit) -> None:
        self._unit = unit

    async def claim(self, limit: int = 1, *, ttl: timedelta = timedelta(seconds=30)) -> tuple[Action, ...]:
        """Claim what is next, at most one in each lane, and return it; empty when nothing is due. One round trip.

        By priority, then arrival. A claim that is not extended ends after `ttl` by the database's clock: then the
        action waits again, or has failed when that was its last attempt. What is past its deadline expires. Never waits
        for a lock.
        """
        length = check_duration("ttl", ttl, minimum=MIN_TTL, maximum=MAX_TTL)
        return await self._unit.write_single(_claim, check_limit(limit), length)

    async def complete(self, action: Action, result: Any = None) -> None:  # noqa: ANN401 - a JSON value
        """End a claimed action as done, in the transaction of its effect; the same claim's second call changes nothing.

        Raises ActionExpired when its deadline is over by the database's clock, and ActionSuperseded, a Fenced, when the
        claim is: then the transaction must not be committed, and leaving its block by the error sees to that. One round
        trip.
        """
        own, value = _check_action(action), check_json("result", result)
        await self._unit.write_single_idempotent(action_writing.complete, own, value)

    async def fail(self, action: Action, error: str, *, retry_in: timedelta | None = timedelta(seconds=1)) -> Action:
        """Let an attempt fail and return the action: it waits again for `retry_in`, or has failed for good.

        For good when `retry_in` is None or this was the last attempt; cancelled when it was asked to stop. Raises
        ActionSuperseded.
        """
        own, reason = _check_action(action), check_text("error", error, limit=MAX_DESCRIPTION_CHARACTERS)
        pause = timedelta(0) if retry_in is None else check_duration("retry_in", retry_in)
        return await self._unit.write(action_writing.fail, own, reason, pause, finally_=retry_in is None)

    async def release(self, action: Action) -> Action:
        """Give a claimed action back, as if it had never been claimed, and return it; raises ActionSuperseded.

        One that was asked to stop is cancelled instead.
        """
        return await self._unit.write(action_writing.release, _check_action(action))

    async def stop(self, action: Action) -> Action:
        """End a claimed action as cancelled and return it; raises ActionSuperseded."""
        return await self._unit.write(action_writing.stop, _check_action(action))

    async def expire(self, action: Action) -> bool:
        """End a claimed action as expired if its deadline is over, and return whether it has ended so."""
        return await self._unit.write_idempotent(action_writing.expire, _check_action(action))

    async def extend(self, action: Action, ttl: timedelta = timedelta(seconds=30)) -> Action:
        """Let a claim hold for so long from now on and return the action; raises ActionSuperseded."""
        own, length = _check_action(action), check_duration("ttl", ttl, minimum=MIN_TTL, maximum=MAX_TTL)
        return await self._unit.write_idempotent(action_writing.extend, own, length)


async def _claim(tx: Transaction, limit: int, ttl: timedelta) -> tuple[Action, ...]:
    rows = await tx.execute_text(_CLAIM, (tx.world_id, limit, ttl))
    tx.lock_order.hold(LockKind.LANE, UNKNOWN)  # lanes without a next action too
    return tuple(make_action(row) for row in rows)


def _check_action(action: object) -> Action:
    if not isinstance(action, Action):
        raise InvalidType("action", f"must be an Action, not {type(action).__name__}")
    if action.token < 1:
        raise InvalidInput("action", "was never claimed")
    return action
