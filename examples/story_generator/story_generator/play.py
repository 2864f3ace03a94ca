"""Playing a turn: it belongs to its request key, not to the socket that asked for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from livingworld import NewScene, Scene, Turn, World
from livingworld.errors import LivingWorldError
from story_generator.live import Live
from story_generator.models import Model, ModelFailedError
from story_generator.pages import scene_page
from story_generator.prompt import PROMPT_VERSION, make_prompt, read_scene


class Request(BaseModel):
    """What a player asks for; the key is new for each click and the same when a click is sent again."""

    request_key: str
    choice: int | None = None
    instruction: str | None = None
    expected_head: int | None = None
    #: Tell the scene at the head anew instead of the next one.
    anew: bool = False


@dataclass
class Running:
    """A turn under way in this process."""

    task: asyncio.Task[None]
    text: str = ""


class Stage:
    """The turns that this process plays."""

    def __init__(self, world: World, live: Live, model: Model) -> None:
        self._world = world
        self._live = live
        self._model = model
        self._running: dict[tuple[UUID, str], Running] = {}

    def play(self, story_id: UUID, request: Request) -> str:
        """Start a turn, or go on with it when it runs here already; return what was told of it so far."""
        key = (story_id, request.request_key)
        if key not in self._running:
            task = asyncio.create_task(self._run(story_id, request))
            self._running[key] = Running(task)
            task.add_done_callback(lambda _: self._running.pop(key))
        return self._running[key].text

    async def close(self) -> None:
        """Give up what runs: another server, or this one later, can take the same request key again."""
        tasks = [running.task for running in self._running.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, story_id: UUID, request: Request) -> None:
        outcome: dict[str, Any]
        try:
            scene = await self._take(story_id, request)
            outcome = {"type": "scene", "scene": scene_page(scene)}
        except (LivingWorldError, ModelFailedError, ValueError) as error:
            outcome = {"type": "refused", "error": type(error).__name__, "message": str(error)}
        self._live.tell(story_id, {**outcome, "request_key": request.request_key})

    async def _take(self, story_id: UUID, request: Request) -> Scene:
        """Play at once; the same click again, in whatever process, waits for the first one and gets its scene."""
        take = self._world.turns.regenerate if request.anew else self._world.turns.take
        options = request.model_dump(exclude={"anew"})
        async with take(story_id, **options) as turn:
            if turn.scene is not None:
                return turn.scene
            return await turn.commit(await turn.while_held(self._write(story_id, turn)))

    async def _write(self, story_id: UUID, turn: Turn) -> NewScene:
        """Have the model answer, keep the answer before anything else, and read it as a scene."""
        prompt = make_prompt(turn.context)
        turn.describe(model=self._model.name, script_version=PROMPT_VERSION, prompt=prompt)
        answer = turn.recorded.raw_response if turn.recorded else None
        if answer is None:
            answer = await self._stream(story_id, turn, self._model.stream(prompt))
        return read_scene(answer)

    async def _stream(self, story_id: UUID, turn: Turn, pieces: AsyncIterator[str]) -> str:
        running = self._running[story_id, turn.request_key]
        async for piece in pieces:
            running.text += piece
            self._live.tell(story_id, {"type": "text", "request_key": turn.request_key, "piece": piece})
        await turn.record(running.text)
        return running.text
