"""What runs and waits at this server, and the words of its model, for all who watch at any server.

`world.live.publish` brings it there. Nothing depends on it: a scene is stored by its turn, whoever has seen it written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid4

from livingworld import World
from livingworld.errors import LivingWorldError
from story_generator.live import Live

Page = dict[str, Any]

#: Words of a model are published in groups, so often.
_PUBLISH_SECONDS: Final = 0.2
#: A server repeats what runs there so often; what it has not repeated for longer than the second number is gone.
_REPEAT_SECONDS: Final = 2.0
_GONE_SECONDS: Final = 8.0
#: Of one event: turns, characters of an instruction, characters of a group of words.
_MOST_TURNS: Final = 10
_LONGEST_INSTRUCTION: Final = 200
_LONGEST_GROUP: Final = 2000


@dataclass
class _Server:
    turns: list[Page]
    seen_at: float


class Relay:
    """The turns under way on all servers of this database."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._name = str(uuid4())
        self._here: dict[UUID, list[Page]] = {}
        self._elsewhere: dict[UUID, dict[str, _Server]] = {}
        #: Where the words that are not published yet begin, and what they are.
        self._words: dict[tuple[UUID, str], tuple[int, str]] = {}
        self._due: dict[UUID, float] = {}
        self.live = Live(world, self._receive)
        #: Asks this server to stop a turn; set by who plays turns.
        self.stop: Callable[[UUID, str, str], None] = lambda *_: None
        self._publishing = asyncio.create_task(self._publish_in_intervals())

    def turns(self, story_id: UUID) -> Page:
        """Return what runs and waits for a story, on all servers."""
        others = self._elsewhere.get(story_id, {}).values()
        return {
            "type": "turns",
            "turns": [*self._here.get(story_id, []), *(turn for each in others for turn in each.turns)],
        }

    def announce(self, story_id: UUID, turns: list[Page]) -> None:
        """Show what runs and waits for a story at this server."""
        self._here[story_id] = turns
        self._due[story_id] = 0.0
        self.live.send(story_id, self.turns(story_id))

    def words(self, story_id: UUID, request_key: str, at: int, piece: str) -> None:
        """Show the next words of a scene that is being written here."""
        words = {"request_key": request_key, "at": at, "piece": piece}
        self._add_words(story_id, self._here.get(story_id, []), words)
        begin, waiting = self._words.get((story_id, request_key), (at, ""))
        self._words[story_id, request_key] = (begin, (waiting + piece)[:_LONGEST_GROUP])

    async def stop_elsewhere(self, story_id: UUID, request_key: str, player: str) -> None:
        """Ask the other servers to stop a turn."""
        await self._publish(story_id, "stop", {"request_key": request_key, "player": player})

    async def close(self) -> None:
        """Stop publishing and following."""
        self._publishing.cancel()
        await asyncio.gather(self._publishing, return_exceptions=True)
        await self.live.close()

    def _receive(self, story_id: UUID, kind: str, details: Mapping[str, Any]) -> None:
        if details["server"] == self._name:
            return
        servers = self._elsewhere.setdefault(story_id, {})
        if kind == "stop":
            self.stop(story_id, details["request_key"], details["player"])
        elif kind == "words":
            self._add_words(story_id, [turn for each in servers.values() for turn in each.turns], details)
        else:
            former = {turn["request_key"]: turn["text"] for each in servers.values() for turn in each.turns}
            turns = [{**turn, "text": former.get(turn["request_key"], "")} for turn in details["turns"]]
            servers[details["server"]] = _Server(turns, asyncio.get_running_loop().time())
            self.live.send(story_id, self.turns(story_id))

    def _add_words(self, story_id: UUID, turns: list[Page], details: Mapping[str, Any]) -> None:
        words = {key: details[key] for key in ("request_key", "at", "piece")}
        for turn in turns:
            if turn["request_key"] == words["request_key"]:
                turn["text"] = turn["text"][: words["at"]] + words["piece"]
        self.live.send(story_id, {"type": "text", **words})

    async def _publish_in_intervals(self) -> None:
        while True:
            await asyncio.sleep(_PUBLISH_SECONDS)
            now = asyncio.get_running_loop().time()
            for story_id in [story for story, due in self._due.items() if due <= now]:
                await self._publish_turns(story_id, now)
            words, self._words = self._words, {}
            for (story_id, key), (at, piece) in words.items():
                await self._publish(story_id, "words", {"request_key": key, "at": at, "piece": piece})
            self._forget_servers(now)

    async def _publish_turns(self, story_id: UUID, now: float) -> None:
        turns = self._here[story_id]
        if turns:
            self._due[story_id] = now + _REPEAT_SECONDS
        else:
            del self._here[story_id], self._due[story_id]
        await self._publish(story_id, "turns", {"turns": [_small(turn) for turn in turns[:_MOST_TURNS]]})

    async def _publish(self, story_id: UUID, kind: str, details: Page) -> None:
        try:
            await self._world.live.publish(kind, {**details, "server": self._name}, story=story_id)
        except LivingWorldError:
            return  # it is shown again with the next repetition

    def _forget_servers(self, now: float) -> None:
        for story_id, servers in list(self._elsewhere.items()):
            gone = [name for name, server in servers.items() if now - server.seen_at > _GONE_SECONDS]
            for name in gone:
                del servers[name]
            if gone:
                self.live.send(story_id, self.turns(story_id))
            if not servers:
                del self._elsewhere[story_id]


def _small(turn: Page) -> Page:
    return {**turn, "text": "", "instruction": (turn["instruction"] or "")[:_LONGEST_INSTRUCTION] or None}
