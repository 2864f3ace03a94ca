"""Playing turns: a turn belongs to its request key, not to the socket that asked for it."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Literal
from uuid import UUID

from pydantic import BaseModel

from livingworld import Scene, Turn, TurnInput, World
from livingworld.errors import LivingWorldError
from story_generator.answer import Answer, read_answer, shown
from story_generator.explain import StoppedError, explain
from story_generator.models import Model
from story_generator.openai_model import ModelFailedError
from story_generator.pages import scene_page
from story_generator.prompt import PROMPT_VERSION, make_prompt
from story_generator.relay import Relay

#: The longest wait for a place in the queue.
_TIME_LIMIT: Final = timedelta(minutes=5)
#: What a model has said is stored so often while it speaks, so that a successor of this process pays only for the rest.
_STORE_SECONDS: Final = 1.0
#: Refusals that are kept for pages that were away when they came.
_REFUSALS: Final = 1000


class Request(BaseModel):
    """What a player asks for; the key is new for each wish, and the same when the wish is sent again."""

    request_key: str
    player: str = "Somebody"
    choice: int | None = None
    instruction: str | None = None
    expected_head: int | None = None
    busy: Literal["reject", "queue", "replace", "merge"] = "reject"
    #: Write the scene at the head again instead of the next one.
    regenerate: bool = False
    #: End a turn of the same player that runs: its server has died.
    replace_own: bool = False


@dataclass
class Submission:
    """A request that waits or runs in this process."""

    request: Request
    task: asyncio.Task[None]
    #: The model's work, once the turn runs.
    writing: asyncio.Task[Answer] | None = None
    text: str = ""
    stopped_by: str | None = None

    def page(self) -> dict[str, Any]:
        """Return what the page shows of it."""
        asked = self.request.model_dump(include={"request_key", "player", "instruction", "choice", "regenerate"})
        return {**asked, "running": self.writing is not None, "text": shown(self.text)}


class Stage:
    """The turns that this process plays."""

    def __init__(self, world: World, relay: Relay, model: Model) -> None:
        self._world = world
        self._relay = relay
        relay.stop = self._stop_here
        self._model = model
        self._submissions: dict[tuple[UUID, str], Submission] = {}
        self._refusals: OrderedDict[tuple[UUID, str], dict[str, Any]] = OrderedDict()

    def play(self, story_id: UUID, request: Request) -> None:
        """Start a turn; a request that runs already, or was refused, is answered and not started again."""
        key = (story_id, request.request_key)
        if key in self._refusals:
            self._relay.live.send(story_id, self._refusals[key])
            return
        if key not in self._submissions:
            self._submissions[key] = Submission(request, asyncio.create_task(self._run(story_id, request)))
        self._announce(story_id)

    async def stop(self, story_id: UUID, request_key: str, player: str) -> None:
        """Stop a turn, or take a waiting one out of the queue, here or at another server."""
        if (story_id, request_key) in self._submissions:
            self._stop_here(story_id, request_key, player)
        else:
            await self._relay.stop_elsewhere(story_id, request_key, player)

    async def close(self) -> None:
        """Give up what runs: another server, or this one later, can take the same request key again."""
        tasks = [submission.task for submission in self._submissions.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _stop_here(self, story_id: UUID, request_key: str, player: str) -> None:
        submission = self._submissions.get((story_id, request_key))
        if submission is not None and submission.stopped_by is None:
            submission.stopped_by = player
            (submission.writing or submission.task).cancel()

    async def _run(self, story_id: UUID, request: Request) -> None:
        key = (story_id, request.request_key)
        outcome: dict[str, Any] = {}
        try:
            outcome = {"type": "scene", "scene": scene_page(await self._take(story_id, self._submissions[key]))}
        except (LivingWorldError, ModelFailedError, StoppedError, ValueError) as error:
            outcome = {"type": "refused", **explain(error)}
        except asyncio.CancelledError:
            if (player := self._submissions[key].stopped_by) is None:
                raise
            outcome = {"type": "refused", **explain(StoppedError(player))}
        finally:
            del self._submissions[key]
        outcome["request_key"] = request.request_key
        if outcome["type"] == "refused":
            self._keep(key, outcome)
        self._relay.live.send(story_id, outcome)
        self._announce(story_id)

    async def _take(self, story_id: UUID, submission: Submission) -> Scene:
        """Play a turn; the same request again, in whatever process, waits for the first one and gets its scene."""
        request = submission.request
        options: dict[str, Any] = request.model_dump(exclude={"regenerate"}) | {"time_limit": _TIME_LIMIT}
        if request.busy == "merge":
            options["combine"] = combine
        take = self._world.turns.regenerate if request.regenerate else self._world.turns.take
        async with take(story_id, **options) as turn:
            if turn.scene is not None:
                return turn.scene
            submission.writing = asyncio.create_task(self._write(story_id, submission, turn))
            self._announce(story_id)
            try:
                answer = await turn.while_held(submission.writing)
            except asyncio.CancelledError:
                if submission.stopped_by is None:
                    raise
                raise StoppedError(submission.stopped_by) from None
            return await turn.commit(answer.scene, answer.state)

    async def _write(self, story_id: UUID, submission: Submission, turn: Turn) -> Answer:
        """Have the model answer, keep the answer before anything else, and read it."""
        prompt = make_prompt(turn.context)
        turn.describe(model=self._model.name, script_version=PROMPT_VERSION, prompt=prompt)
        former = turn.recorded
        submission.text = (former.raw_response or "") if former else ""
        if former is None or former.output_tokens is None:  # no answer yet, or the beginning of one
            await self._stream(story_id, submission, turn, prompt)
        choice, instruction = turn.context.choice, turn.context.instruction
        asked = {"choice": choice.content if choice else None, "instruction": instruction}
        return read_answer(submission.text, {"player": submission.request.player, **asked})

    async def _stream(self, story_id: UUID, submission: Submission, turn: Turn, prompt: str) -> None:
        stored_at = 0.0  # the first words at once
        async for piece in self._model.stream(prompt, submission.text):
            before = len(shown(submission.text))
            submission.text += piece
            self._relay.words(story_id, turn.request_key, before, shown(submission.text)[before:])
            if time.monotonic() - stored_at > _STORE_SECONDS:
                await turn.record(submission.text)
                stored_at = time.monotonic()
        await turn.record(submission.text, output_tokens=len(submission.text.split()))

    def _keep(self, key: tuple[UUID, str], outcome: dict[str, Any]) -> None:
        self._refusals[key] = outcome
        if len(self._refusals) > _REFUSALS:
            self._refusals.popitem(last=False)

    def _announce(self, story_id: UUID) -> None:
        pages = [each.page() for (story, _), each in self._submissions.items() if story == story_id]
        self._relay.announce(story_id, pages)


def combine(waiting: TurnInput, new: TurnInput) -> TurnInput:
    """Make one turn of two inputs."""
    choice = waiting.choice if new.choice is None else new.choice
    said = [each.instruction for each in (waiting, new) if each.instruction]
    return TurnInput(choice, "\n".join(said) or None, waiting.player)
