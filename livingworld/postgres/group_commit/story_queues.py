"""The requests of a group commit that were not sent yet, by story."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Final, Generic

from livingworld.errors import Overloaded
from livingworld.postgres.group_commit.requests import Q, R, Waiter

#: Most characters of text of one statement, beyond its first request.
_GROUP_CHARACTERS: Final = 4_000_000


class StoryQueues(Generic[Q, R]):
    """Each story has its queue, in the order of arrival; of a story that is under way nothing is taken."""

    def __init__(self) -> None:
        #: By the number of the story's id, since hashing a UUID is a call in Python; the waiters of a story by their
        #: results, so that one leaves at once.
        self.waiting: dict[int, OrderedDict[asyncio.Future[R], Waiter[Q, R]]] = {}
        #: The stories that are not under way, in the order in which they get their turn.
        self._ready: OrderedDict[int, None] = OrderedDict()
        self.busy: set[int] = set()
        #: How many requests wait, those of stories under way included.
        self.requests = 0

    @property
    def stories_ready(self) -> int:
        """How many stories have something to send."""
        return len(self._ready)

    def refuse_one_more(self, story: int, most: int) -> None:
        """Raise Overloaded where so many requests wait for a story already."""
        if len(self.waiting.get(story, ())) >= most:
            raise Overloaded(setting="story_queue_limit", limit=most)

    def add(self, waiter: Waiter[Q, R]) -> None:
        """Put a request behind the others of its story."""
        story = waiter.story
        queue = self.waiting.get(story)
        if queue is None:
            queue = self.waiting[story] = OrderedDict()
            if story not in self.busy:
                self._ready[story] = None
        queue[waiter.result] = waiter
        self.requests += 1

    def remove(self, waiter: Waiter[Q, R]) -> None:
        """Forget a request that was not taken."""
        story = waiter.story
        del self.waiting[story][waiter.result]
        self.requests -= 1
        if not self.waiting[story]:
            del self.waiting[story]
            self._ready.pop(story, None)

    def take_group(self, size: int) -> list[Waiter[Q, R]]:
        """Take up to `size` requests of stories that are not under way; these stories are under way now."""
        group: list[Waiter[Q, R]] = []
        characters = 0
        while self._ready and len(group) < size and characters < _GROUP_CHARACTERS:
            story, _ = self._ready.popitem(last=False)
            before = len(group)
            characters = self.take(story, group, size, characters)
            if len(group) > before:
                self.busy.add(story)
        return group

    def take(self, story: int, group: list[Waiter[Q, R]], size: int, characters: int = 0) -> int:
        """Move requests of a story into a group that has so many characters, and return how many it has then."""
        queue = self.waiting.get(story)
        while queue and len(group) < size and characters < _GROUP_CHARACTERS:
            _, waiter = queue.popitem(last=False)
            self.requests -= 1
            waiter.sent = True
            if not waiter.result.done():  # cancelled in this very turn of the loop
                characters += waiter.characters
                group.append(waiter)
        if not queue:
            self.waiting.pop(story, None)
        return characters

    def release(self, story: int) -> None:
        """Let others of the story be taken."""
        self.busy.discard(story)
        if story in self.waiting:
            self._ready[story] = None
