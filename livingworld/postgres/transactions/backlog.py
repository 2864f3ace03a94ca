"""How much may wait in one process: beyond it a call is refused at once, by name, instead of using up the memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from livingworld.errors import Overloaded


class Backlog:
    """The calls of one process that have no answer yet."""

    def __init__(self, calls: int, characters: int) -> None:
        self._limits = {"queue_limit": calls, "queue_characters": characters}
        self._calls = 0
        self._characters = 0

    def enter(self, characters: int = 0) -> None:
        """Count a call and the text that it brings, or raise Overloaded, which names the limit, and count nothing."""
        self._refuse_beyond("queue_limit", self._calls + 1)
        if self._characters:  # one call alone is within the limits of its fields
            self._refuse_beyond("queue_characters", self._characters + characters)
        self._calls += 1
        self._characters += characters

    def leave(self, characters: int = 0) -> None:
        """Forget a call that has its answer."""
        self._calls -= 1
        self._characters -= characters

    @contextmanager
    def place(self) -> Iterator[None]:
        """Count a call while the block runs."""
        self.enter()
        try:
            yield
        finally:
            self.leave()

    def _refuse_beyond(self, setting: str, wanted: int) -> None:
        if wanted > self._limits[setting]:
            raise Overloaded(setting=setting, limit=self._limits[setting])
