"""Random arrivals, delivered up to many times, cancelled, in processes that are stopped, thawed and killed.

Every input that was answered with a scene is a part of that scene's recorded inputs, and of what its model was told,
exactly once.
"""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Final

import pytest

from livingworld import Story, Turn, World
from livingworld.story.stories.new_scene import NewScene
from tests.concurrency.programs import PlayerProcess, started
from tests.support.story_checks import broken_promises
from tests.support.turn_checks import broken_turns, rows

_PROGRAM: Final = Path(__file__).with_name("input_program.py")
_PROCESSES: Final = 3
_STEPS: Final = 120
#: So many inputs are delivered at about the same time, each a few times; then come the next ones.
_AT_A_TIME: Final = 5
_KEYS: Final = [f"k{number}" for number in range(_STEPS // 6 + _AT_A_TIME)]
_LEASE: Final = 1
#: What a caller may be told besides a scene.
_REFUSALS: Final = {"Busy", "Fenced", "StaleHead", "TurnTimeout", "CancelledError", "ZeroDivisionError"}

_RECORDED: Final = """
    SELECT s.scene_number, s.content, t.request_key, ARRAY(
        SELECT m.request_key FROM livingworld.turns m
        WHERE m.world_id = t.world_id AND m.merged_into = t.request_key AND m.story_id = t.story_id
            AND m.state = 'merged'
    )
    FROM livingworld.turns t JOIN livingworld.scenes s USING (world_id, story_id, scene_number)
    WHERE t.story_id = $1 AND t.state = 'committed'
"""


class Walk:
    """One random walk: what is asked of which process, and what the processes have answered."""

    def __init__(self, seed: int, *arguments: object) -> None:
        self._random = random.Random(seed)
        self._arguments = arguments
        self._processes: list[PlayerProcess] = []
        self._readers: list[asyncio.Task[None]] = []
        self._paused: list[PlayerProcess] = []
        self.answers: list[list[str]] = []

    async def start(self) -> PlayerProcess:
        """Start a process and read whatever it prints."""
        process = await started(_PROGRAM, *self._arguments)
        self._processes.append(process)
        self._readers.append(asyncio.create_task(self._read(process)))
        return process

    async def walk(self) -> None:
        """Do something, again and again, and let all that lives come to its end."""
        for _ in range(_PROCESSES):
            await self.start()
        for step in range(_STEPS):
            first = step // 6
            await self._step(self._random.choice(_KEYS[first : first + _AT_A_TIME]))
            await asyncio.sleep(self._random.uniform(0, 0.06))
        for process in self._paused:
            process.thaw()
        for process in self._processes:
            process.say("end")
        await asyncio.gather(*self._readers)

    async def stop(self) -> None:
        """End every process."""
        for process in self._processes:
            await process.kill()
        await asyncio.gather(*self._readers)

    async def _step(self, key: str) -> None:
        process = self._random.choice(self._processes)
        match self._random.choices(["send", "cancel", "pause", "thaw", "kill"], [85, 10, 2, 8, 1])[0]:
            case "send":
                process.say(f"send {key} {self._manner()}")
            case "cancel":
                process.say(f"cancel {key}")
            case "pause":
                process.pause()
                self._paused.append(process)
            case "thaw" if self._paused:
                self._paused.pop(0).thaw()
            case "kill":
                await process.kill()
                self._processes.remove(process)
                self._paused = [each for each in self._paused if each is not process]
                await self.start()

    def _manner(self) -> str:
        busy = self._random.choices(["merge", "queue", "reject", "replace"], [60, 20, 15, 5])[0]
        fate = self._random.choices(["tell", "record", "fail"], [70, 20, 10])[0]
        return f"{busy} {self._random.choice([0, 0.1, 0.3])} {fate}"

    async def _read(self, process: PlayerProcess) -> None:
        async for line in process.lines():
            self.answers.append(line.split(maxsplit=3))


async def tell(turn: Turn) -> NewScene:
    answered = turn.recorded.raw_response if turn.recorded else None
    return NewScene(answered or turn.context.instruction or "")


@pytest.mark.rotates(parts=8)
@pytest.mark.parametrize("seed", range(8))
async def test_every_input_that_was_answered_is_told_once_in_the_scene_it_was_answered_with(
    database_url: str, world: World, story: Story, seed: int
) -> None:
    walk = Walk(seed, database_url, world.id, story.id, _LEASE)
    try:
        await walk.walk()
    finally:
        await walk.stop()
    told = [(key, int(number), content) for outcome, key, number, content in full(walk.answers) if outcome == "told"]
    for key in _KEYS:  # whoever got no answer asks again
        scene = await world.turns.play(story.id, tell, request_key=key, instruction=key, busy="queue")
        told.append((key, scene.number, scene.content))

    recorded = {}
    for number, content, key, merged in await rows(database_url, _RECORDED, story.id):
        assert sorted(content.split("+")) == sorted([key, *merged]), "what is recorded is not what was told"
        recorded[number] = content
    assert sorted("+".join(recorded.values()).split("+")) == sorted(_KEYS), "each input is told once"
    for key, number, content in told:
        assert key in content.split("+"), "answered with a scene that does not tell it"
        assert content == recorded[number]
    assert {words[2] for words in walk.answers if words[0] == "refused"} <= _REFUSALS
    assert await broken_promises(database_url, world.id, story.id) == []
    assert await broken_turns(database_url, story.id) == []


def full(answers: list[list[str]]) -> list[list[str]]:
    """Return the answers that were printed to their end."""
    return [words for words in answers if len(words) == 4]
