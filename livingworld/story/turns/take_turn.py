"""Take a turn: ask for the branch's lease, wait in order of arrival where that is wanted, and end it in every case."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final, Generic, Required, TypedDict, Unpack
from uuid import UUID

from livingworld import inputs
from livingworld.errors import InvalidInput
from livingworld.story.stories.appending import Replayed
from livingworld.story.stories.new_scene import NewScene
from livingworld.story.stories.reading import read_scene
from livingworld.story.stories.records import Scene
from livingworld.story.turns.checked_request import RECENT, RequestOptions, checked_request
from livingworld.story.turns.new_state import NewState
from livingworld.story.turns.records import BusyPolicy, Combine, TurnInput
from livingworld.story.turns.repository import read_generation
from livingworld.story.turns.requests import AT_HEAD, TakeRequest
from livingworld.story.turns.turn import Turn
from livingworld.story.turns.turn_parts import Scope, TurnParts
from livingworld.story.turns.turn_queue import Grant, Takes, TurnQueue
from livingworld.story.turns.turn_repository import TurnRepository

#: The longest wait for a place, unless another one is asked for.
TIME_LIMIT: Final = timedelta(seconds=60)


#: What a turn's work returns.
Written = NewScene | tuple[NewScene, NewState]


class TurnOptions(TypedDict, total=False):
    """The arguments of `take`."""

    request_key: Required[str]
    player: str | None
    choice: int | None
    instruction: str | None
    branch: int | None
    expected_head: int | None
    busy: BusyPolicy
    replace_own: bool
    combine: Combine | None
    time_limit: timedelta
    recent: int


class Turns(TurnRepository, Generic[Scope]):
    """The turns of one world: one at a time on each branch, in all processes."""

    def __init__(self, parts: TurnParts[Scope], takes: Takes) -> None:
        super().__init__(parts.services.unit)
        self._services = parts.services
        self._parts = parts
        self._queue = TurnQueue(parts.services, takes)

    @asynccontextmanager
    async def take(  # noqa: PLR0913 - options of one call, by name
        self,
        story_id: UUID,
        *,
        request_key: str,
        player: str | None = None,
        choice: int | None = None,
        instruction: str | None = None,
        branch: int | None = None,
        expected_head: int | None = None,
        busy: BusyPolicy = "reject",
        replace_own: bool = False,
        combine: Combine | None = None,
        time_limit: timedelta = TIME_LIMIT,
        recent: int = RECENT,
    ) -> AsyncIterator[Turn[Scope]]:
        """Have the next scene of a branch (default: the current one) to write; one round trip when it is free.

        In the block nothing is locked and no connection is held: a lease is, renewed in the background. Left without
        `commit`, the attempt is kept as a failed generation and the lease is free at once.

        `request_key` makes it idempotent: carried out before, `turn.scene` is the stored scene and the model need not
        be asked. While a turn runs or waits under the same key, in any process, this one waits for it and gets its
        scene, whatever `busy` says, for `time_limit` at most, then TurnTimeout; when that one is given up, fails or
        dies, one of the waiting callers takes the turn over. Other arguments under the same key are RequestKeyReused.
        `player` is who plays, in the application's words: kept with the turn, told by Busy.
        `expected_head` is the scene number that the player decided on, 0 before the first: when the branch has moved
        on, StaleHead.

        `busy` says what happens when a turn of another key runs or waits: `reject` raises Busy; `queue` waits in order
        of arrival across processes, for `time_limit` at most; `replace` ends the running turn: its `lost` is set, and
        every caller with its key gets Fenced; `merge` waits too, and lets `combine` make one input of the waiting one
        and this one, so that both callers get one scene. With `replace_own` a running turn of the same player is
        replaced, and her requests that wait are dropped, whatever `busy` says: for a player whose program was killed
        and started again. Also raises StoryNotFound, BranchNotFound, ChoiceNotFound, Archived.
        """
        given = TurnInput(choice, instruction, player)
        asked: RequestOptions = {
            "branch": branch,
            "expected_head": expected_head,
            "busy": busy,
            "replace_own": replace_own,
        }
        request = checked_request(story_id, request_key, given, asked, recent=recent)
        if (busy == "merge") != (combine is not None):
            raise InvalidInput("combine", "is needed for busy='merge' and for nothing else")
        async with self._holding(request, combine, inputs.check_duration("time_limit", time_limit)) as turn:
            yield turn

    @asynccontextmanager
    async def regenerate(  # noqa: PLR0913 - options of one call, by name
        self,
        story_id: UUID,
        *,
        request_key: str,
        scene_number: int | None = None,
        player: str | None = None,
        choice: int | None = None,
        instruction: str | None = None,
        branch: int | None = None,
        expected_head: int | None = None,
        busy: BusyPolicy = "reject",
        replace_own: bool = False,
        time_limit: timedelta = TIME_LIMIT,
        recent: int = RECENT,
    ) -> AsyncIterator[Turn[Scope]]:
        """Take the turn of a scene (default: the one at the head) again, at the same place, with the same input.

        Its commit makes the new text the scene, as `generations.choose` does; the old text stays a generation. Choice
        and instruction are those of the scene's own turn unless others are given. Otherwise as `take`; also raises
        SceneNotFound.
        """
        scene = AT_HEAD if scene_number is None else inputs.check_integer("scene_number", scene_number, minimum=1)
        if busy == "merge":
            raise InvalidInput("busy", "must be reject, queue or replace: a regenerated scene merges no other input")
        given = TurnInput(choice, instruction, player)
        asked: RequestOptions = {
            "branch": branch,
            "expected_head": expected_head,
            "busy": busy,
            "replace_own": replace_own,
        }
        request = checked_request(story_id, request_key, given, asked, recent=recent, regenerates=scene)
        async with self._holding(request, None, inputs.check_duration("time_limit", time_limit)) as turn:
            yield turn

    async def play(
        self, story_id: UUID, write: Callable[[Turn[Scope]], Awaitable[Written]], **options: Unpack[TurnOptions]
    ) -> Scene:
        """Take a turn, have `write` make its scene, commit it and return it; options and errors as `take`.

        `write` may return what becomes true with the scene, as a second item. It is not called when the request was
        carried out before, and is cancelled when the turn is lost.
        """
        inputs.check_function("write", write)
        async with self.take(story_id, **options) as turn:
            if turn.scene is not None:
                return turn.scene
            written = await turn.while_held(write(turn))
            scene, state = written if isinstance(written, tuple) else (written, None)
            return await turn.commit(scene, state)

    @asynccontextmanager
    async def _holding(
        self, request: TakeRequest, combine: Combine | None, time_limit: timedelta
    ) -> AsyncIterator[Turn[Scope]]:
        """Yield the turn, and give it up when the block is left without a commit, however it is left."""
        turn: Turn[Scope] | None = None
        reason: BaseException | None = None
        grant = await self._queue.take(request, combine, time_limit)
        try:
            turn = await self._turn(request, grant)
            yield turn
        except BaseException as error:
            reason = error
            raise
        finally:
            if turn is None:
                self._queue.withdraw(request)
            elif turn.scene is None:
                await asyncio.shield(self._services.tasks.finish(turn.give_up(reason)))

    async def _turn(self, request: TakeRequest, grant: Grant) -> Turn[Scope]:
        unit, taken, recorded = self._services.unit, grant.outcome, None
        if isinstance(taken, Replayed):
            scene = await unit.read(read_scene, request.story_id, taken.scene_number)
            return Turn(self._parts, request, scene, asked_at=grant.asked_at)
        if taken.answered is not None:
            recorded = await unit.read(read_generation, taken.answered)
        return Turn(self._parts, request, taken, asked_at=grant.asked_at, recorded=recorded)
