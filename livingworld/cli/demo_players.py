"""Players and writers: they know the public API only, and remember every answer they were given."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from time import perf_counter
from typing import Final
from uuid import UUID, uuid4

from livingworld import NewScene, World
from livingworld.cli.demo_plan import Line, Plan, spellings
from livingworld.errors import StaleHead

#: No answer takes longer than the library's own time limits together; one that does will never come.
_ANSWERED_WITHIN: Final = timedelta(minutes=2)
#: Every so many appends of a seat the request is sent twice at once.
_TWICE_EVERY: Final = 4


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """What the library answered to an append."""

    #: Stands in the scene's metadata, so that SQL finds it whatever number it has.
    token: str
    story_id: UUID
    number: int
    #: SHA-256 of the text that was sent, in hexadecimal.
    digest: str


@dataclass(slots=True)
class Ledger:
    """What everybody was told; the report holds it against what the database has."""

    acknowledgements: list[Acknowledgement] = field(default_factory=list)
    #: Characters that were answered to a name, by their plain name.
    named: set[tuple[str, UUID]] = field(default_factory=set)
    #: How long each acknowledged append took.
    durations: list[timedelta] = field(default_factory=list)
    #: Appends that were refused because another writer was first.
    conflicts_refused: int = 0
    #: Requests sent twice that were answered in two different ways.
    contradictions: int = 0
    #: Appends that were never answered; after one everybody stops, since what follows would wait as long.
    unanswered: int = 0


async def perform(worlds: Sequence[World], plan: Plan, ledger: Ledger, written: Callable[[], None]) -> UUID:
    """Let everybody play at once and return the id of the shared story; `written` is called after each new scene.

    `worlds` are one world as several applications have it open: the seats are dealt out among them.
    """
    shared = await worlds[0].stories.create(f"{plan.title} (together)", premise=plan.premise)
    players = len(plan.solos)
    seats = [Seat(number, worlds, ledger, written) for number in range(players + plan.writers)]
    async with asyncio.TaskGroup() as group:
        for seat, stories in zip(seats[:players], plan.solos, strict=True):
            group.create_task(seat.play(plan, stories))
        for seat in seats[players:]:
            group.create_task(seat.compete(plan, shared.id))
    return shared.id


class Seat:
    """One player or writer."""

    def __init__(self, number: int, worlds: Sequence[World], ledger: Ledger, written: Callable[[], None]) -> None:
        self._number = number
        #: Our own application first; a request that is sent twice goes to the next one too, as after a lost reply.
        self._worlds = [worlds[(number + offset) % len(worlds)] for offset in range(len(worlds))]
        self._world = self._worlds[0]
        self._ledger = ledger
        self._written = written
        self._sent = 0

    async def play(self, plan: Plan, stories: Sequence[Sequence[Line]]) -> None:
        """Play stories of one's own, one after another; nobody else writes to them."""
        await self._greet(plan)
        for lines in stories:
            story = await self._world.stories.create(f"{plan.title} (player {self._number + 1})", premise=plan.premise)
            for head, line in enumerate(lines):
                await self._append(story.id, line, head)
                if self._ledger.unanswered:
                    return

    async def compete(self, plan: Plan, story_id: UUID) -> None:
        """Write the shared story against the other writers: read its head, append to it, read again when refused."""
        await self._greet(plan)
        while not self._ledger.unanswered and (head := await self._head(story_id)) < len(plan.shared):
            await self._append(story_id, plan.shared[head], head)

    async def _greet(self, plan: Plan) -> None:
        """Ask for everybody by name; every other seat names people only in its scenes, which must find the same."""
        if self._number % 2:
            return
        for name in plan.people:
            character, _ = await self._world.characters.get_or_create(self._spell(name))
            self._ledger.named.add((name, character.id))

    async def _head(self, story_id: UUID) -> int:
        head = await self._world.stories.head(story_id)
        return head.scene.number if head.scene else 0

    async def _append(self, story_id: UUID, line: Line, head: int) -> None:
        token = uuid4().hex
        scene = NewScene(
            line.text,
            choices=line.choices,
            cast=[self._spell(name) for name in line.cast],
            chosen_choice=line.chosen,
            metadata={"token": token},
        )
        self._sent += 1
        worlds = [self._world, self._worlds[-1]] if self._sent % _TWICE_EVERY == 0 else [self._world]
        async with asyncio.TaskGroup() as group:
            sent = [group.create_task(self._send(world, story_id, scene, head, token)) for world in worlds]
        answers = {task.result() for task in sent}
        self._ledger.contradictions += len(answers) > 1
        if answers != {None}:
            self._written()

    async def _send(self, world: World, story_id: UUID, scene: NewScene, head: int, token: str) -> int | None:
        """Send one append and return the stored scene's number, or None when it was refused or never answered."""
        began = perf_counter()
        try:
            async with asyncio.timeout(_ANSWERED_WITHIN.total_seconds()):
                stored = await world.stories.append_scene(story_id, scene, expected_head=head, request_key=token)
        except StaleHead:
            self._ledger.conflicts_refused += 1
            return None
        except TimeoutError:
            self._ledger.unanswered += 1
            return None
        self._ledger.durations.append(timedelta(seconds=perf_counter() - began))
        digest = sha256(scene.content.encode()).hexdigest()
        self._ledger.acknowledgements.append(Acknowledgement(token, story_id, stored.number, digest))
        return stored.number

    def _spell(self, name: str) -> str:
        ways = spellings(name)
        return ways[(self._number + self._sent) % len(ways)]
