"""One writer: does one deed after the other, and records what it was answered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import Random
from typing import Any, Final, TypeAlias

from livingworld import LivingWorld, World
from livingworld.errors import Conflict, InvalidInput, LivingWorldError, NotFound, Refused
from livingworld.testing.history import Effect, History
from livingworld.testing.stress.stage import Stage

Deed: TypeAlias = "Callable[[Writer], Awaitable[None]]"

#: A request with a key is asked again so often when its answer was lost.
_TRIES: Final = 3
#: Of so many deeds one is cancelled, where that is a fault of the phase.
_ONE_OF: Final = 8
_LATEST_CANCEL_SECONDS: Final = 0.05
#: The client of the operations that are faults.
INJECTED: Final = "fault"


class Writer:
    """One client of a world."""

    def __init__(
        self, name: str, livingworld: LivingWorld, worlds: tuple[World, World], stage: Stage, history: History
    ) -> None:
        self.name, self.livingworld, self.stage = name, livingworld, stage
        #: The world whose history is checked, and the one beside it.
        self.world, self.aside = worlds
        self.history, self.chance = history, Random(name)
        self._values = 0

    def value(self) -> str:
        """Return a text that is used once."""
        self._values += 1
        return f"{self.name}.{self._values}"

    def story(self) -> str:
        """Return one of the stories."""
        return self.chance.choice(self.stage.stories)

    async def ask(
        self,
        name: str,
        effects: tuple[Effect, ...],
        call: Callable[[], Awaitable[tuple[Any, ...]]],
        *,
        key: str | None = None,
    ) -> tuple[Any, ...]:
        """Record a call and return its results; with a key it is asked again when its answer was lost."""
        for _ in range(_TRIES - 1 if key is not None else 0):
            with suppress(LivingWorldError):
                return await self._once(name, effects, call, key)
        return await self._once(name, effects, call, key)

    async def _once(
        self,
        name: str,
        effects: tuple[Effect, ...],
        call: Callable[[], Awaitable[tuple[Any, ...]]],
        key: str | None,
    ) -> tuple[Any, ...]:
        with self.history.recording(self.name, name, *effects, request_key=key) as answer:
            answer.results = await call()
        return answer.results

    async def do(self, name: str, call: Awaitable[Any]) -> Any:  # noqa: ANN401 - what the call returns
        """Record a call without effects that are checked, and return what it returns."""
        with self.history.recording(self.name, name):
            return await call

    async def play(self, deeds: tuple[Deed, ...], stopped: asyncio.Event, *, cancelling: bool) -> None:
        """Do deeds until the run is stopped; each of them fails as it may."""
        while not stopped.is_set():
            deed = asyncio.ensure_future(self.tried(self.chance.choice(deeds)))
            if cancelling and self.chance.randrange(_ONE_OF) == 0:
                await asyncio.wait([deed], timeout=self.chance.uniform(0, _LATEST_CANCEL_SECONDS))
                with self.history.recording(INJECTED, "cancel"):
                    deed.cancel()
            await asyncio.wait([deed])
            if not deed.cancelled() and (error := deed.exception()) is not None:
                raise error

    async def tried(self, deed: Deed) -> None:
        """Do a deed. Being refused, finding nothing, having waited too long and an absent server are part of it."""
        try:
            await deed(self)
        except (Conflict, NotFound, Refused, InvalidInput):
            pass
        except LivingWorldError:
            await asyncio.sleep(self.chance.uniform(0, _LATEST_CANCEL_SECONDS))  # the server may be away
