"""A turn in hand: what the prompt needs, whether the turn is still held, and the commit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from functools import cached_property, partial
from typing import Any, Final, Generic, TypeVar, Unpack

from livingworld import inputs
from livingworld.background.interruptible import WatchedEvent, run_unless
from livingworld.errors import Fenced, InvalidInput, InvalidType, LivingWorldError
from livingworld.observability import events, instruments
from livingworld.postgres.leases import Lease
from livingworld.postgres.notifications import TopicSubscription
from livingworld.story.stories.new_scene import NewScene
from livingworld.story.stories.records import Scene
from livingworld.story.turns.attempt import Attempt
from livingworld.story.turns.commit_turn import commit
from livingworld.story.turns.context_rows import make_context
from livingworld.story.turns.holdings import give_up, record_answer
from livingworld.story.turns.new_state import NewState
from livingworld.story.turns.outcomes import Granted
from livingworld.story.turns.records import Generation, TurnContext
from livingworld.story.turns.requests import TakeRequest, end_topic
from livingworld.story.turns.turn_call import CallOptions, TurnCall, calling
from livingworld.story.turns.turn_parts import Effect, Scope, TurnParts

T = TypeVar("T")

#: Without a notification a holder checks its lease so many polling intervals apart.
_INTERVALS: Final = 10


class Turn(Generic[Scope]):
    """One attempt at a turn; made by `take` and `regenerate`. It holds no transaction and no connection."""

    def __init__(
        self,
        parts: TurnParts[Scope],
        request: TakeRequest,
        taken: Granted | Scene,
        *,
        asked_at: float,
        recorded: Generation | None = None,
    ) -> None:
        self._services = parts.services
        self._parts = parts
        self._request = request
        #: None when the request was carried out before.
        self._granted = taken if isinstance(taken, Granted) else None
        self._choice = taken.input.choice if isinstance(taken, Granted) else taken.chosen_choice
        self._attempt = Attempt()
        #: An answer of the model that an earlier attempt at the same place has left: it need not be paid for again.
        self.recorded = recorded
        #: The stored scene: None until the commit, and at once when the request was carried out before.
        self.scene = taken if isinstance(taken, Scene) else None
        #: Set when the lease was lost, or may have been: what the model still says comes too late.
        self.lost = WatchedEvent()
        self._asked_at = asked_at
        self._lease = self._keep_lease(asked_at) if isinstance(taken, Granted) else None

    @property
    def request_key(self) -> str:
        """The key that makes the turn idempotent."""
        return self._request.request_key

    @cached_property
    def context(self) -> TurnContext:
        """Everything a prompt needs, as it stood when the turn was taken; InvalidInput for a turn that is stored."""
        return make_context(self._taken())

    def describe(
        self,
        *,
        model: str | None = None,
        script_version: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        prompt: str | None = None,
    ) -> None:
        """Say how the model is asked; kept with the generation, of the prompt a digest. Its time counts from here."""
        self._attempt.describe(model=model, script_version=script_version, parameters=parameters, prompt=prompt)

    async def record(
        self, raw_response: str, *, input_tokens: int | None = None, output_tokens: int | None = None
    ) -> None:
        """Store what the model has answered before anything else can go wrong; one round trip.

        Also when the lease was lost: it was paid for. When the process dies after this, the next `take` of the same
        request key has the answer, as `recorded`. Raises InvalidInput for a turn that was stored before.
        """
        holding = self._taken().holding
        self._attempt.answer(raw_response, input_tokens=input_tokens, output_tokens=output_tokens)
        self._attempt.count(self._services.metrics)
        await self._services.unit.write_single_idempotent(record_answer, holding, self._attempt.columns())

    async def while_held(self, work: Awaitable[T]) -> T:
        """Return the result of `work`, or cancel it when the turn is lost and raise Fenced."""
        self._services.unit.refuse_other_loops()
        return await run_unless(work, {self.lost: partial(Fenced, story_id=self._request.story_id)})

    def call(self, name: str, **options: Unpack[CallOptions]) -> AbstractAsyncContextManager[TurnCall]:
        """Give a call of a model in a block, which is stored when the block ends; one round trip.

        For every model that is asked but the one whose answer becomes the scene, which `describe` and `record` keep.
        `name` says what it is for, `prompt` is its parts by name, in their order. A block that raises is kept with its
        error, and one whose turn was lost too: it was paid for. `turns.tree` has the calls, `turns.usage` their sums.
        Raises InvalidInput for a turn that was stored before.
        """
        return calling(self._services, self._taken().holding, name, options)

    async def commit(
        self, scene: NewScene, state: NewState | None = None, *, effect: Effect[Scope] | None = None
    ) -> Scene:
        """Store the scene at the head that the turn was taken at, end the turn, and return the scene; one round trip.

        `state` is what becomes true with it, stored together or not at all. Again, or after a lost answer, it returns
        the stored scene. Names in the cast that are new become characters with the scene. The choice is the turn's own.
        `effect` gets the transaction that stores them, after the scene, for what is no state of the story; it may be
        called again, and takes place once. When it raises, nothing is stored and the turn is still held.
        Raises Fenced when the turn was taken over, replaced or given up, StaleHead when the branch has moved on,
        CharacterNotFound, SameCharacter, DimensionMismatch, Archived; then nothing was written.
        """
        if not isinstance(scene, NewScene):
            raise InvalidType("scene", f"must be a NewScene, not {type(scene).__name__}")
        if state is not None and not isinstance(state, NewState):
            raise InvalidType("state", f"must be a NewState, not {type(state).__name__}")
        if effect is not None:
            inputs.check_function("effect", effect)
        if scene.chosen_choice not in {None, self._choice}:
            raise InvalidInput("scene.chosen_choice", "must be left to the turn, which was taken with the choice")
        if self.scene is None:
            holding = self._taken().holding
            self.scene = await commit(self._parts, holding, scene, self._attempt, state, effect)
            self.end_lease()
            self._count("committed")
        return self.scene

    async def give_up(self, reason: BaseException | None) -> None:
        """End the attempt, free the lease and keep what is known; called when the block is left without a commit.

        A server that is away does not hide why the block was left: then the lease ends by itself.
        """
        self.end_lease()
        self._count("given up")
        kept = self._attempt.answered and isinstance(reason, LivingWorldError | asyncio.CancelledError)
        state = "answered" if kept else "failed"  # the model's own failure is not offered to the next attempt
        known = self._attempt.columns(error="left without commit" if reason is None else reason)
        ids = {"world_id": self._services.world_id, "story_id": self._request.story_id}
        try:
            await self._services.unit.write_idempotent(give_up, self._taken().holding, known, state=state)
        except LivingWorldError as failure:
            events.emit(events.TURN_ABANDONED, **ids, error=type(failure).__name__)
            return
        if reason is None:
            events.emit(events.TURN_NOT_COMMITTED, **ids, generation_id=self._taken().holding.owner)
        else:
            events.emit(events.TURN_GIVEN_UP, **ids, reason=type(reason).__name__)

    def end_lease(self) -> None:
        """Stop renewing."""
        if self._lease is not None:
            self._lease.end()

    def _count(self, outcome: str) -> None:
        seconds = asyncio.get_running_loop().time() - self._asked_at
        self._services.metrics.record(instruments.TURN_DURATION, seconds, outcome)

    def _taken(self) -> Granted:
        if self._granted is None:
            raise InvalidInput("turn", "is stored already, as `turn.scene`; it has no context and no generation")
        return self._granted

    def _keep_lease(self, asked_at: float) -> Lease:
        services = self._services
        lease = Lease(
            self._renew,
            length=services.settings.turn_lease,
            first_look=services.poll_interval,
            look_every=services.poll_interval * _INTERVALS,
            asked_at=asked_at,
            subscription=self._end_of_holding,
            start=services.tasks.watch,
            count=partial(services.metrics.add, instruments.LEASE_RENEWALS, 1, "turn"),
        )
        self.lost = lease.lost
        return lease

    def _end_of_holding(self) -> AbstractContextManager[TopicSubscription]:
        holding = self._taken().holding
        return self._services.notifications.subscribe(end_topic(holding.story_id, holding.request_key))

    async def _renew(self) -> bool:
        services, holding = self._services, self._taken().holding
        held = await self._parts.renewals.renew(holding)
        if not held:
            events.emit(events.TURN_LOST, world_id=services.world_id, story_id=holding.story_id)
        return held
