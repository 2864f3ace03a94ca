"""The requests of a group commit that were not sent yet, by story."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Final, Generic
from uuid import UUID

from livingworld.postgres.group_commit.requests import Q, R, Waiter

#: Most characters of text of one statement, beyond its first request.
_GROUP_CHARACTERS: Final = 4_000_000


class StoryQueues(Generic[Q, R]):
    """Each story has its queue, in the order of arrival; of a story that is under way nothing is taken."""

    def __init__(self) -> None:
        #: By story; the waiters of a story by their results, so that one leaves at once.
        self.waiting: dict[UUID, OrderedDict[asyncio.Future[R], Waiter[Q, R]]] = {}
        #: The stories that are not under way, in the order in which they get their turn.
        self._ready: OrderedDict[UUID, None] = OrderedDict()
        self.busy: set[UUID] = set()
        #: How many requests wait, those of stories under way included.
        self.requests = 0

    @property
    def stories_ready(self) -> int:
        """How many stories have something to send."""
        return len(self._ready)

    def add(self, waiter: Waiter[Q, R]) -> None:
        """Put a request behind the others of its story."""
        story_id = waiter.request.story_id
        queue = self.waiting.get(story_id)
        if queue is None:
            queue = self.waiting[story_id] = OrderedDict()
            if story_id not in self.busy:
                self._ready[story_id] = None
        queue[waiter.result] = waiter
        self.requests += 1

    def remove(self, waiter: Waiter[Q, R]) -> None:
        """Forget a request that was not taken."""
        story_id = waiter.request.story_id
        del self.waiting[story_id][waiter.result]
        self.requests -= 1
        if not self.waiting[story_id]:
            del self.waiting[story_id]
            self._ready.pop(story_id, None)

    def take_group(self, size: int) -> list[Waiter[Q, R]]:
        """Take up to `size` requests of stories that are not under way; these stories are under way now."""
        group: list[Waiter[Q, R]] = []
        characters = 0
        while self._ready and len(group) < size and characters < _GROUP_CHARACTERS:
            story_id, _ = self._ready.popitem(last=False)
            before = len(group)
            characters = self.take(story_id, group, size, characters)
            if len(group) > before:
                self.busy.add(story_id)
        return group

    def take(self, story_id: UUID, group: list[Waiter[Q, R]], size: int, characters: int = 0) -> int:
        """Move requests of a story into a group that has so many characters, and return how many it has then."""
        queue = self.waiting.get(story_id)
        while queue and len(group) < size and characters < _GROUP_CHARACTERS:
            _, waiter = queue.popitem(last=False)
            self.requests -= 1
            waiter.sent = True
            if not waiter.result.done():  # cancelled in this very turn of the loop
                characters += waiter.request.characters
                group.append(waiter)
        if not queue:
            self.waiting.pop(story_id, None)
        return characters

    def release(self, story_id: UUID) -> None:
        """Let others of the story be taken."""
        self.busy.discard(story_id)
        if story_id in self.waiting:
            self._ready[story_id] = None
