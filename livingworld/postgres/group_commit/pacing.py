"""How many statements of a group commit are under way, and how many requests each takes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from math import ceil
from typing import Any, Final

from livingworld.postgres.group_commit.story_queues import StoryQueues

#: Most statements under way at once, not counting those of one story alone: the process prepares one while the server
#: works at the other.
STATEMENTS: Final = 2
#: Most requests of one statement.
GROUP: Final = 64
#: So long a few requests wait for the statements before them.
PROMPT: Final = timedelta(milliseconds=20)
#: So long after a group met the groups of other processes it is expected to meet them again.
_CROWDED_SECONDS: Final = 0.25
#: So many requests are worth a statement then: it waits for those of the others, and they for it.
_WORTHWHILE_IN_A_CROWD: Final = 32


class Pacing:
    """Counts the statements under way, and says when another one pays."""

    def __init__(self, worthwhile: int, start: Callable[[], None]) -> None:
        """`start` starts the statements that pay; it is called when those under way turn out not to be prompt."""
        self._worthwhile = worthwhile
        self._start = start
        self._statements = 0
        #: When the statements under way that are not overtaken yet began.
        self._prompt: dict[object, float] = {}
        self._overtaking: asyncio.TimerHandle | None = None
        #: 0: no other process was met.
        self._crowded_until = 0.0

    def begin(self) -> object:
        """Count a statement, and return what it ends with."""
        statement = object()
        self._statements += 1
        self._prompt[statement] = asyncio.get_running_loop().time()
        return statement

    def end(self, statement: object) -> None:
        """Count a statement no longer."""
        self._prompt.pop(statement, None)
        self._statements -= 1

    def share(self, queues: StoryQueues[Any, Any]) -> int:
        """Return how many requests the next statement takes, 0 for none: few wait for the statements under way."""
        free, ready = STATEMENTS - self._statements, queues.stories_ready
        if not free or not ready:
            return 0
        worthwhile = _WORTHWHILE_IN_A_CROWD if self.is_crowded else self._worthwhile
        if queues.requests < worthwhile:
            return 0 if self._prompt else worthwhile
        return min(max(ceil(queues.requests / min(free, ready)), worthwhile), GROUP)

    @property
    def is_crowded(self) -> bool:
        """Whether other processes write groups of the same stories: a group waits for theirs then.

        To be told that they have the stories, and to come again, costs more than the moment that they take.
        """
        return self._crowded_until > 0 and asyncio.get_running_loop().time() < self._crowded_until

    def met_others(self) -> None:
        """Note that another process had several stories of one group."""
        self._crowded_until = asyncio.get_running_loop().time() + _CROWDED_SECONDS

    def overtake_later(self, queues: StoryQueues[Any, Any]) -> None:
        """Start statements beside those that are not prompt, where something waits for them."""
        if self._prompt and queues.stories_ready and self._statements < STATEMENTS and not self._overtaking:
            at = min(self._prompt.values()) + PROMPT.total_seconds()
            self._overtaking = asyncio.get_running_loop().call_at(at, self._overtake)

    def _overtake(self) -> None:
        """Let others go ahead of the statements that take long, whatever holds them up."""
        self._overtaking = None
        late = asyncio.get_running_loop().time() - PROMPT.total_seconds()
        self._prompt = {statement: began for statement, began in self._prompt.items() if began > late}
        self._start()
