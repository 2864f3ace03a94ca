"""How much may wait in one process: beyond it a call is refused at once, by name, instead of using up the memory."""

from __future__ import annotations

from livingworld.errors import Overloaded


class Backlog:
    """The calls of one process that have no answer yet."""

    def __init__(self, calls: int, characters: int) -> None:
        self._most_calls = calls
        self._most_characters = characters
        #: The calls, and the text that they bring.
        self.calls = 0
        self.characters = 0

    def enter(self, characters: int = 0) -> None:
        """Count a call and the text that it brings, or raise Overloaded, which names the limit, and count nothing."""
        if self.calls >= self._most_calls:
            raise Overloaded(setting="queue_limit", limit=self._most_calls)
        # One call alone is within the limits of its fields.
        if self.characters and self.characters + characters > self._most_characters:
            raise Overloaded(setting="queue_characters", limit=self._most_characters)
        self.calls += 1
        self.characters += characters

    def leave(self, characters: int = 0) -> None:
        """Forget a call that has its answer."""
        self.calls -= 1
        self.characters -= characters
