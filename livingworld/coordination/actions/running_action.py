"""One claimed action as its handler runs it: its claim is extended, its stop is noticed, its end is stored."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import count
from time import perf_counter
from typing import Any, Final, Generic, TypeVar

from livingworld.background.interruptible import WatchedEvent, run_unless
from livingworld.coordination.actions import action_writing
from livingworld.coordination.actions.claiming import ActionClaims
from livingworld.coordination.actions.locking import action_topic, actions_topic, read_action
from livingworld.coordination.actions.records import Action
from livingworld.errors import (
    ActionCancelled,
    ActionExpired,
    ActionNotFound,
    ActionSuperseded,
    CallTimeout,
    CircuitOpen,
    EmbedderUnavailable,
    LivingWorldError,
    Unavailable,
)
from livingworld.inputs import check_json, storable_error_text
from livingworld.observability import events, instruments
from livingworld.postgres.leases import Lease
from livingworld.postgres.services import Services
from livingworld.postgres.transactions.transaction import Transaction

#: From then on the claim of an action that still runs is extended, and a cancellation is noticed.
_FIRST_LOOK: Final = timedelta(milliseconds=300)

#: The transaction as the application works in it.
Scope = TypeVar("Scope")
#: Writes what an action brings, in one transaction with its end, and returns its result, JSON; may be called again.
Effect = Callable[[Scope], Awaitable[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions(Generic[Scope]):
    """How a worker runs actions."""

    #: Makes the transaction of an effect.
    scope: Callable[[Transaction], Scope]
    ttl: timedelta
    #: After a failure, how long an action waits before its next attempt; None: it has failed for good.
    retry_in: Callable[[Action], timedelta | None]
    #: Receives an action whose claim was lost, or whose end could not be stored, since the server was away.
    cut_off: Callable[[Action], object]


class RunningAction(Generic[Scope]):
    """A claimed action, as its handler sees it."""

    def __init__(self, services: Services, options: WorkerOptions[Scope], action: Action, asked_at: float) -> None:
        self._services = services
        self._options = options
        self._actions = ActionClaims(services.unit)
        self._background = ActionClaims(services.background)
        #: The action as it was when it was claimed.
        self.action = action
        #: Set when a stop was requested; the handler is then cancelled.
        self.cancel_requested = WatchedEvent()
        self._completed = False
        #: Whether the last look at the claim has no answer of the server.
        self._unreachable = False
        self._lease = Lease(
            self._extend,
            length=options.ttl,
            first_look=_FIRST_LOOK,
            asked_at=asked_at,
            subscription=lambda: services.notifications.subscribe(action_topic(action.id)),
            start=services.tasks.watch,
            count=partial(services.metrics.add, instruments.LEASE_RENEWALS, 1, "action"),
        )
        #: Set when the claim is lost, or may be; the handler is then cancelled.
        self.lost = self._lease.lost

    async def complete(self, effect: Effect[Scope] | None = None, *, result: Any = None) -> Any:  # noqa: ANN401 - a JSON value
        """End the action as done in one transaction with its effect, and return the result that the effect returned.

        The effect takes place exactly once, whatever is repeated and whichever process dies. Raises ActionExpired when
        the deadline is over by the database's clock, ActionSuperseded when the claim is: then nothing is written.
        """
        if effect is None:
            await self._actions.complete(self.action, result)
        else:
            result = await self._services.unit.write_idempotent(self._take_effect, effect, count())
        self._completed = True
        return result

    async def _take_effect(self, tx: Transaction, effect: Effect[Scope], tries: Iterator[int]) -> Any:  # noqa: ANN401
        if next(tries) and (ended := await self._ended(tx)) is not None:
            return ended.result
        value = check_json("the result of the effect", await effect(self._options.scope(tx)))
        await ActionClaims(tx).complete(self.action, value)
        return value

    async def _ended(self, tx: Transaction) -> Action | None:
        """Return the action if this claim has ended it: a COMMIT whose answer was lost."""
        now = await read_action(tx, self.action.id)
        return now if now.state == "done" and now.token == self.action.token else None

    async def run(self, handler: Callable[[RunningAction[Scope]], Awaitable[Any]]) -> None:
        """Call the handler and end the action as it ends: done with what it returns, failed, cancelled, or given back.

        Raises what the handler raised only when it is a cancellation.
        """
        ends = {
            self.lost: lambda: ActionSuperseded(action_id=self.action.id),
            self.cancel_requested: lambda: ActionCancelled(action_id=self.action.id),
        }
        began, outcome = perf_counter(), "done"
        try:
            result = await run_unless(handler(self), ends)
            if not self._completed:
                await self.complete(result=result)
        except asyncio.CancelledError:
            outcome = "given back"
            await asyncio.shield(self._services.tasks.finish(self._end(self._give_back())))
            raise
        except ActionCancelled:
            outcome = "cancelled"
            await self._end(self._actions.stop(self.action))
        except ActionExpired:
            outcome = "expired"
            await self._end(self._actions.expire(self.action))
        except Exception as error:  # noqa: BLE001 - whatever the handler raises is the action's failure
            outcome = "lost" if self.lost.is_set() or isinstance(error, ActionSuperseded) else "failed"
            await self._end(self._fail(error))
        finally:
            self._lease.end()
            duration = (perf_counter() - began, self.action.kind, outcome)
            self._services.metrics.record(instruments.ACTION_DURATION, *duration)

    async def _fail(self, error: Exception) -> None:
        if self.lost.is_set() or isinstance(error, ActionSuperseded):
            raise ActionSuperseded(action_id=self.action.id)
        retry_in, reason = self._options.retry_in(self.action), storable_error_text(error)
        if _server_is_away(error):
            pause, unit = retry_in or timedelta(0), self._services.unit
            failed = await unit.write(action_writing.fail, self.action, reason, pause, counted=False)
        else:
            failed = await self._actions.fail(self.action, reason, retry_in=retry_in)
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
            self._services.notifications.notify(actions_topic(self._services.world_id))

    async def _end(self, ending: Awaitable[object]) -> None:
        """Store how it ended; an end that cannot be stored now comes with the end of the claim."""
        try:
            await ending
        except LivingWorldError as error:
            if self._unreachable or _server_is_away(error):
                self._options.cut_off(self.action)
            fields = {"world_id": self._services.world_id, "action_id": self.action.id}
            events.emit(events.ACTION_LOST, **fields, error=type(error).__name__)

    async def _extend(self) -> bool:
        self._unreachable = True  # until an answer comes
        try:
            now = await self._background.extend(self.action, self._options.ttl)
        except (ActionSuperseded, ActionNotFound):
            self._unreachable = False
            return False
        except LivingWorldError as error:
            self._unreachable = isinstance(error, (Unavailable, CallTimeout))
            raise
        self._unreachable = False
        if now.cancel_requested_at is not None:
            self.cancel_requested.set()
        return True


def _server_is_away(error: Exception) -> bool:
    """Return whether an error says that the database cannot be reached; an embedder's absence is the handler's."""
    return isinstance(error, Unavailable) and not isinstance(error, (EmbedderUnavailable, CircuitOpen))
