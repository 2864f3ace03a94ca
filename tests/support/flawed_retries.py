"""Stores that keep every promise until something is asked for again: a request, a unit, or a stream after a cut."""

from __future__ import annotations

from tests.support.flawed_stores import Store


class AnswersWithTheLastScene(Store):
    """Finds that a request was done before, and answers with the newest scene instead of that of the request."""

    async def append(self, story: str, value: str, key: str) -> int:
        is_repeated = key in self.answers
        number = await super().append(story, value, key)
        return len(self.lists[story]) if is_repeated else number


class AnswersWithAnothersScene(Store):
    """Keeps its answers by story, and gives each caller the one that was kept last."""

    async def append(self, story: str, value: str, key: str) -> int:
        await super().append(story, value, key)
        await self.pause()
        return max(self.answers[kept] for kept in self.answers if kept in self.lists[story])


class CountsNothingInARetry(Store):
    """Repeats a unit whose answer is lost without what is not a row of its own: the counter that it raises."""

    async def counted_unit(self, story: str, value: str, counter: str) -> tuple[int, int]:
        await self.pause()
        self.lists[story].append(value)
        if self.chance.random() < 0.5:
            raise ConnectionError
        self.counters[counter] += 1
        return len(self.lists[story]), self.counters[counter]


class WritesTwiceUnderAToken(Store):
    """Repeats a write under a lease whose answer it has lost."""

    async def write_fenced(self, lease: str, token: int) -> None:
        await super().write_fenced(lease, token)
        if self.chance.random() < 0.3:
            self.fenced[lease].append(token)


class QueuesAgain(Store):
    """Queues an action again when the answer of its end is lost."""

    async def end(self, lane: str, worker: str, value: str) -> None:
        await super().end(lane, worker, value)
        if self.chance.random() < 0.3:
            self.queued[lane].append(value)


class GrantsTokensAgain(Store):
    """Forgets the tokens that it granted since its last snapshot."""

    async def grant(self, lease: str) -> int:
        if self.tokens[lease] > 3 and self.chance.random() < 0.3:
            self.tokens[lease] -= 2
        return await super().grant(lease)


class ForgetsWhereItWas(Store):
    """Says after a cut that events were missed, and then sends again what was received before it."""

    async def reconnected(self, story: str, position: int) -> tuple[int, list[tuple[int, str]]]:
        events = await self.events_after(story, max(position - 2, 0))
        return position + 1, events


class SwapsAcrossACut(Store):
    """Sends what was under way at the cut after the first event behind it."""

    async def reconnected(self, story: str, position: int) -> tuple[int | None, list[tuple[int, str]]]:
        events = await self.events_after(story, position)
        return None, [*events[1:2], *events[:1], *events[2:]]


class NumbersAnewAcrossACut(Store):
    """Sends two events in the wrong order under the numbers that a subscriber expects."""

    async def reconnected(self, story: str, position: int) -> tuple[int | None, list[tuple[int, str]]]:
        events = await self.events_after(story, position)
        values = [value for _, value in events]
        values[:2] = values[1::-1] if len(values) > 1 else values
        return None, [(number, value) for (number, _), value in zip(events, values, strict=True)]


class AnnouncesWhatIsRolledBack(Store):
    """Sends an event before its scene is committed, which then is not."""

    async def reconnected(self, story: str, position: int) -> tuple[int | None, list[tuple[int, str]]]:
        events = await self.events_after(story, position)
        return None, [*events[:1], (position + 2, "rolled back")] if len(events) == 1 else events
