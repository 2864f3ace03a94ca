"""A turn in hand: what the prompt needs, whether it is still ours, and the commit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from functools import cached_property
from typing import Any, TypeVar

from livingworld.errors import Fenced, InvalidInput, InvalidType, LivingWorldError
from livingworld.observability import events
from livingworld.postgres.leases import Lease
from livingworld.story.stories.new_scene import NewScene
from livingworld.story.stories.records import Scene
from livingworld.story.turns.attempt import Attempt
from livingworld.story.turns.commit_turn import commit_turn
from livingworld.story.turns.committing import Holding
from livingworld.story.turns.ending import give_up, record_answer, renew
from livingworld.story.turns.new_state import NewState
from livingworld.story.turns.records import Generation
from livingworld.story.turns.taking import TakeResult
from livingworld.story.turns.turn_context import TurnContext, read_context
from livingworld.story.turns.turn_services import TurnServices, branch_topic

T = TypeVar("T")


class Turn:
    """One attempt at a turn; made by `take` and `regenerate`. No transaction and no connection is held by it."""

    def __init__(
        self,
        services: TurnServices,
        holding: Holding,
        granted: TakeResult,
        *,
        asked_at: float,
        recorded: Generation | None,
        scene: Scene | None,
    ) -> None:
        self._services = services
        self._holding = holding
        self._granted = granted
        self._attempt = Attempt()
        #: An answer of the model that an earlier attempt at the same place has left: it need not be paid for again.
        self.recorded = recorded
        #: The stored scene: None until the commit, and at once when the request was carried out before.
        self.scene = scene
        #: Set when the lease was lost, or may have been: what the model still says comes too late.
        self.lost = asyncio.Event()
        self._lease = self._keep_lease(asked_at) if scene is None else None

    @property
    def request_key(self) -> str:
        """The key that makes the turn idempotent."""
        return self._holding.request_key

    @cached_property
    def context(self) -> TurnContext:
        """Everything a prompt needs, as it stood when the turn was taken; of a turn that is stored, InvalidInput."""
        if (told := self._granted.context) is None:
            raise InvalidInput("turn", "is stored already, as `turn.scene`; it has no context")
        return read_context(self._holding.story_id, told, self._granted.choice, self._granted.instruction)

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

        Also when the lease was lost: it was paid for. A process that dies after this leaves the answer to the next
        `take` of the same request key, as `recorded`.
        """
        self._attempt.answer(raw_response, input_tokens=input_tokens, output_tokens=output_tokens)
        known = self._attempt.columns()
        await self._services.unit.run(
            lambda tx: record_answer(tx, self._services.world_id, self._holding, known),
            repeatable=True,
            single_statement=True,
        )

    async def while_held(self, work: Awaitable[T]) -> T:
        """Return the result of `work`, or cancel it when the turn is lost and raise Fenced."""
        self._services.unit.refuse_other_loops()
        task = asyncio.ensure_future(work)
        lost = asyncio.ensure_future(self.lost.wait())
        try:
            await asyncio.wait((task, lost), return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
        finally:
            lost.cancel()
            task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        raise Fenced(story_id=self._holding.story_id)

    async def commit(self, scene: NewScene, state: NewState | None = None) -> Scene:
        """Store the scene at the head that the turn was taken at, end the turn, and return the scene; one round trip.

        `state` is what becomes true with it, stored together or not at all. Again, or after a lost answer, it returns
        the stored scene. Names in the cast that are new become characters with the scene. The choice is the turn's own.
        Raises Fenced when the turn was taken over, replaced or given up, StaleHead when the branch has moved on,
        CharacterNotFound, SameCharacter, DimensionMismatch, Archived; then nothing was written.
        """
        if not isinstance(scene, NewScene):
            raise InvalidType("scene", f"must be a NewScene, not {type(scene).__name__}")
        if state is not None and not isinstance(state, NewState):
            raise InvalidType("state", f"must be a NewState, not {type(state).__name__}")
        if scene.chosen_choice not in {None, self._granted.choice}:
            raise InvalidInput("scene.chosen_choice", "must be left to the turn, which was taken with the choice")
        if self.scene is None:
            raw_response = self._attempt.raw_response if scene.raw_response is None else scene.raw_response
            stored, awaited = await commit_turn(
                self._services, self._holding, scene, raw_response, self._attempt, state
            )
            self.scene = stored
            self.end_lease()
            if awaited:
                self._tell()
        return self.scene

    async def give_up(self, reason: BaseException | None) -> None:
        """End the attempt, free the lease and keep what is known; called when the block is left without a commit.

        A server that is away is no reason to hide why the block was left: then the lease ends by itself.
        """
        self.end_lease()
        error = "left without commit" if reason is None else f"{type(reason).__name__}: {reason}"
        kept = self._attempt.answered and isinstance(reason, LivingWorldError | asyncio.CancelledError)
        state = "answered" if kept else "failed"  # the model's own failure is not offered to the next attempt
        known = self._attempt.columns(error=error)
        ids = {"world_id": self._services.world_id, "story_id": self._holding.story_id}
        try:
            await self._services.unit.run(
                lambda tx: give_up(tx, self._services.world_id, self._holding, known, state=state), repeatable=True
            )
        except LivingWorldError as failure:
            events.emit(events.TURN_ABANDONED, **ids, error=type(failure).__name__)
            return
        events.emit(events.TURN_GIVEN_UP, **ids, reason=type(reason).__name__)
        self._tell()

    def end_lease(self) -> None:
        """Stop renewing."""
        if self._lease is not None:
            self._lease.end()

    def _tell(self) -> None:
        self._services.notifications.notify(branch_topic(self._holding.story_id, self._granted.branch_number))

    def _keep_lease(self, asked_at: float) -> Lease:
        services = self._services
        lease = Lease(
            self._renew,
            length=services.lease,
            first_look=services.poll_interval,
            look_every=services.look_every,
            asked_at=asked_at,
            subscription=services.subscription(branch_topic(self._holding.story_id, self._granted.branch_number)),
            start=services.tasks.watch,
        )
        self.lost = lease.lost
        return lease

    async def _renew(self) -> bool:
        services = self._services
        held = await services.background.run(
            lambda tx: renew(tx, services.world_id, self._holding, services.lease),
            repeatable=True,
            single_statement=True,
        )
        if not held:
            events.emit(events.TURN_LOST, world_id=services.world_id, story_id=self._holding.story_id)
        return held
