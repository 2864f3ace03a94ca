"""One claimed action as its handler runs it: its claim extended, told when it has to stop, ended however it goes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Final, Generic, TypeVar
from uuid import UUID

from livingworld.background.interruptible import run_unless
from livingworld.coordination.actions.claiming import ActionClaims
from livingworld.coordination.actions.records import Action
from livingworld.coordination.actions.repository import ActionRepository
from livingworld.coordination.actions.telling import action_topic, actions_topic
from livingworld.errors import ActionCancelled, ActionExpired, ActionNotFound, ActionSuperseded, LivingWorldError
from livingworld.inputs import MAX_DESCRIPTION_CHARACTERS, check_json
from livingworld.observability import events
from livingworld.postgres.leases import Lease
from livingworld.postgres.services import Services
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.postgres.transactions.unit_of_work import UnitOfWork

#: From then on the claim of an action that still runs is extended, and a cancellation is heard of.
_FIRST_LOOK: Final = timedelta(milliseconds=300)
#: So often in the time that a claim holds.
_LOOKS: Final = 3

#: The transaction as the application works in it.
Scope = TypeVar("Scope")
#: Writes what an action brings, in one transaction with its end, and returns its result, JSON; may be called again.
Effect = Callable[[Scope], Awaitable[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionServices(Generic[Scope]):
    """What running actions need of the world and the process."""

    world_id: UUID
    unit: UnitOfWork
    process: Services
    #: Makes the transaction of an effect.
    scope: Callable[[Transaction, UUID], Scope]
    ttl: timedelta
    #: After a failure, how long an action waits before its next attempt; None: it has failed for good.
    retry_in: Callable[[Action], timedelta | None]


class RunningAction(Generic[Scope]):
    """An action in hand, as its handler sees it."""

    def __init__(self, services: ActionServices[Scope], action: Action, asked_at: float) -> None:
        self._services = services
        self._actions = ActionClaims(services.unit, services.world_id)
        self._background = ActionClaims(services.process.background, services.world_id)
        #: The action as it was when it was claimed.
        self.action = action
        #: Set when somebody asked for a stop; the handler is then cancelled.
        self.cancel_requested = asyncio.Event()
        self._completed = False
        look = min(_FIRST_LOOK, services.ttl / _LOOKS)
        self._lease = Lease(
            self._extend,
            length=services.ttl,
            first_look=look,
            look_every=services.ttl / _LOOKS,
            asked_at=asked_at,
            subscription=lambda: services.process.notifications.subscribe(action_topic(action.id)),
            start=services.process.tasks.watch,
        )
        #: Set when the claim is lost, or may be; the handler is then cancelled.
        self.lost = self._lease.lost

    async def complete(self, effect: Effect[Scope] | None = None, *, result: Any = None) -> Any:  # noqa: ANN401 - a JSON value
        """End the action as done in one transaction with its effect, and return the result that the effect returned.

        The effect takes place exactly once, whatever is repeated and whoever dies. Raises ActionExpired when the
        deadline is over by the database's clock, ActionSuperseded when the claim is: then nothing is written.
        """
        if effect is None:
            await self._actions.complete(self.action, result)
        else:
            result = await self._complete_with(effect)
        self._completed = True
        return result

    async def _complete_with(self, effect: Effect[Scope]) -> Any:  # noqa: ANN401
        tries = 0

        async def unit(tx: Transaction) -> Any:  # noqa: ANN401
            nonlocal tries
            tries += 1
            actions = ActionClaims(tx, self._services.world_id)
            if tries > 1 and (ended := await self._ended(tx)) is not None:
                return ended.result
            scope = self._services.scope(tx, self._services.world_id)
            value = check_json("the result of the effect", await effect(scope))
            await actions.complete(self.action, value)
            return value

        return await self._services.unit.run(unit, repeatable=True)

    async def _ended(self, tx: Transaction) -> Action | None:
        """Return the action if this claim has ended it: a COMMIT whose answer was lost."""
        now = await ActionRepository(tx, self._services.world_id).get(self.action.id)
        return now if now.state == "done" and now.token == self.action.token else None

    async def run(self, handler: Callable[[RunningAction[Scope]], Awaitable[Any]]) -> None:
        """Call the handler and end the action as it ends: done with what it returns, failed, cancelled, or given back.

        Raises what the handler raised only when it is a cancellation.
        """
        ends = {
            self.lost: lambda: ActionSuperseded(action_id=self.action.id),
            self.cancel_requested: lambda: ActionCancelled(action_id=self.action.id),
        }
        try:
            result = await run_unless(handler(self), ends)
            if not self._completed:
                await self.complete(result=result)
        except asyncio.CancelledError:
            await asyncio.shield(self._services.process.tasks.finish(self._end(self._give_back)))
            raise
        except ActionCancelled:
            await self._end(lambda: self._actions.stop(self.action))
        except ActionExpired:
            await self._end(lambda: self._actions.expire(self.action))
        except Exception as error:  # noqa: BLE001 - whatever the handler raises is the action's failure
            await self._end(partial(self._fail, error))
        finally:
            self._lease.end()

    async def _fail(self, error: Exception) -> None:
        if self.lost.is_set() or isinstance(error, ActionSuperseded):
            raise ActionSuperseded(action_id=self.action.id)
        told = (
            f"{type(error).__name__}: {error}"[:MAX_DESCRIPTION_CHARACTERS].replace("\x00", "").encode(errors="replace")
        )
        failed = await self._actions.fail(self.action, told.decode(), retry_in=self._services.retry_in(self.action))
        events.emit(
            events.ACTION_FAILED,
            world_id=self._services.world_id,
            action_id=self.action.id,
            attempt=self.action.attempts,
            state=failed.state,
            error=type(error).__name__,
        )

    async def _give_back(self) -> None:
        if not self._completed:
            await self._background.release(self.action)
            self._services.process.notifications.notify(actions_topic(self._services.world_id))

    async def _end(self, end: Callable[[], Awaitable[object]]) -> None:
        """Store how it ended; what cannot be stored now is found by the end of the claim."""
        try:
            await end()
        except LivingWorldError as error:
            fields = {"world_id": self._services.world_id, "action_id": self.action.id}
            events.emit(events.ACTION_LOST, **fields, error=type(error).__name__)

    async def _extend(self) -> bool:
        try:
            now = await self._background.extend(self.action, self._services.ttl)
        except (ActionSuperseded, ActionNotFound):
            return False
        if now.cancel_requested_at is not None:
            self.cancel_requested.set()
        return True
