"""A small store that keeps every promise, and one for each way to break one; others run between two steps."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from random import Random

from livingworld.errors import Conflict, Fenced


class Store:
    """Keeps every promise: each write happens in one step."""

    def __init__(self, chance: Random) -> None:
        self.chance = chance
        self.lists: defaultdict[str, list[str]] = defaultdict(list)
        self.documents: defaultdict[str, list[str]] = defaultdict(list)
        self.counters: defaultdict[str, int] = defaultdict(int)
        self.tokens: defaultdict[str, int] = defaultdict(int)
        self.fenced: defaultdict[str, list[int]] = defaultdict(list)
        self.queued: defaultdict[str, list[str]] = defaultdict(list)
        self.running: dict[str, tuple[str, str]] = {}
        self.ended: defaultdict[str, list[str]] = defaultdict(list)
        self.answers: dict[str, int] = {}

    async def pause(self) -> None:
        """Let others go on."""
        for _ in range(self.chance.randrange(4)):
            await asyncio.sleep(0)

    async def append(self, story: str, value: str, key: str) -> int:
        await self.pause()
        if key not in self.answers:
            self.lists[story].append(value)
            self.answers[key] = len(self.lists[story])
        await self.pause()
        return self.answers[key]

    async def append_if_empty(self, story: str, value: str) -> int:
        await self.pause()
        if self.lists[story]:
            raise Conflict
        self.lists[story].append(value)
        return 1

    async def unit(self, story: str, fact: str, value: str) -> tuple[int, int]:
        await self.pause()
        self.lists[story].append(value)
        self.documents[fact].append(value)
        return len(self.lists[story]), len(self.documents[fact])

    async def read(self, story: str) -> list[str]:
        await self.pause()
        return list(self.lists[story])

    async def read_all(self, stories: Sequence[str]) -> list[list[str]]:
        await self.pause()
        return [list(self.lists[story]) for story in stories]

    async def write(self, name: str, value: str, expected: int) -> int:
        await self.pause()
        if len(self.documents[name]) != expected:
            raise Conflict
        self.documents[name].append(value)
        return expected + 1

    async def look(self, name: str) -> tuple[int, str | None]:
        await self.pause()
        versions = self.documents[name]
        return len(versions), versions[-1] if versions else None

    async def add(self, name: str) -> int:
        await self.pause()
        self.counters[name] += 1
        return self.counters[name]

    async def grant(self, lease: str) -> int:
        """Take the lease, whoever has it: as if that one had been paused for too long."""
        await self.pause()
        self.tokens[lease] += 1
        return self.tokens[lease]

    async def write_fenced(self, lease: str, token: int) -> None:
        await self.pause()
        if token != self.tokens[lease]:
            raise Fenced
        self.fenced[lease].append(token)

    async def enqueue(self, lane: str, value: str) -> None:
        await self.pause()
        self.queued[lane].append(value)

    async def claim(self, lane: str, worker: str) -> str | None:
        await self.pause()
        if lane in self.running or not self.queued[lane]:
            return None
        self.running[lane] = (worker, self.queued[lane].pop(0))
        return self.running[lane][1]

    async def end(self, lane: str, worker: str, value: str) -> None:
        await self.pause()
        if self.running.get(lane) != (worker, value):
            raise Fenced
        del self.running[lane]
        self.ended[lane].append(value)

    async def events_after(self, story: str, position: int) -> list[tuple[int, str]]:
        await self.pause()
        return list(enumerate(self.lists[story], start=1))[position:]


class NumbersByMaximum(Store):
    """Reads the greatest number and then stores under the next one."""

    async def append(self, story: str, value: str, key: str) -> int:  # noqa: ARG002 - it keeps no keys
        number = len(self.lists[story])
        await self.pause()
        self.lists[story][number:] = [value]
        return number + 1


class RepeatsWithoutKey(Store):
    """Does again what a repeated request asks for."""

    async def append(self, story: str, value: str, key: str) -> int:
        self.answers.pop(key, None)
        return await super().append(story, value, key)


class ConfirmsBeforeStoring(Store):
    """Keeps a part of what it has confirmed in memory, which is lost."""

    async def append(self, story: str, value: str, key: str) -> int:
        await self.pause()
        if key not in self.answers and self.chance.random() < 0.1:
            return len(self.lists[story]) + 1
        return await super().append(story, value, key)


class StoresInTwoSteps(Store):
    """Commits a scene and then its fact; the second commit may not come."""

    async def unit(self, story: str, fact: str, value: str) -> tuple[int, int]:
        self.lists[story].append(value)
        number = len(self.lists[story])
        await self.pause()
        if self.chance.random() < 0.2:
            raise ConnectionError
        self.documents[fact].append(value)
        return number, len(self.documents[fact])


class LastWriterWins(Store):
    """Compares the version before it waits."""

    async def write(self, name: str, value: str, expected: int) -> int:
        if len(self.documents[name]) != expected:
            raise Conflict
        await self.pause()
        self.documents[name][expected:] = [value]
        return expected + 1


class AddsWhatItRead(Store):
    """Reads the sum and then stores the next one."""

    async def add(self, name: str) -> int:
        found = self.counters[name]
        await self.pause()
        self.counters[name] = found + 1
        return found + 1


class BelievesItsLease(Store):
    """Takes the writes of whoever once had the lease."""

    async def write_fenced(self, lease: str, token: int) -> None:
        await self.pause()
        self.fenced[lease].append(token)


class ClaimsWhatItRead(Store):
    """Looks for the next action and marks it afterwards: two workers find it."""

    async def claim(self, lane: str, worker: str) -> str | None:  # noqa: ARG002 - it forgets who claimed
        found = self.queued[lane][:1]
        await self.pause()
        if not found:
            return None
        self.queued[lane] = [value for value in self.queued[lane] if value != found[0]]
        return found[0]

    async def end(self, lane: str, worker: str, value: str) -> None:  # noqa: ARG002 - it forgets who claimed
        await self.pause()
        self.ended[lane].append(value)


class ServesTheNewestFirst(Store):
    """Serves the newest action of a lane first."""

    async def claim(self, lane: str, worker: str) -> str | None:
        self.queued[lane].reverse()
        found = await super().claim(lane, worker)
        self.queued[lane].reverse()
        return found


class ReadsReplica(Store):
    """Reads from a copy that is some writes behind."""

    async def read(self, story: str) -> list[str]:
        await self.pause()
        return self.lists[story][: -self.chance.randrange(1, 4)]


class ReadsOneByOne(Store):
    """Reads several lists at several moments, as if they were one."""

    async def read_all(self, stories: Sequence[str]) -> list[list[str]]:
        found = []
        for story in stories:
            found.append(list(self.lists[story]))
            for _ in range(9):
                await asyncio.sleep(0)
        return found


class LosesEvents(Store):
    """Announces what is committed, and forgets an event that comes while it reads."""

    async def events_after(self, story: str, position: int) -> list[tuple[int, str]]:
        found = await super().events_after(story, position)
        return [event for event in found if self.chance.random() < 0.9]


class RefusesWhatItStored(Store):
    """Stores, and then finds that it should not have."""

    async def append_if_empty(self, story: str, value: str) -> int:
        await self.pause()
        self.lists[story].append(value)
        if len(self.lists[story]) > 1:
            raise Conflict
        return 1
