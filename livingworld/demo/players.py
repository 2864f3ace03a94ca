"""Players and writers: they use the public API only, and record every answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from time import perf_counter
from typing import Final
from uuid import UUID, uuid4

from livingworld import NewMemory, NewScene, NewState, RelationshipChange, Scene, Subject, Turn, World
from livingworld.demo.plan import ENOUGH_FOR_DETOURS, Line, Plan, spellings
from livingworld.errors import StaleHead, TurnTimeout

#: An answer that takes longer than the library's own time limits together will never come.
_ANSWERED_WITHIN: Final = timedelta(minutes=2)
#: Every fourth request of a seat is sent twice at once.
_TWICE_EVERY: Final = 4
#: The fact that names the last scene.
_LAST_SCENE: Final = (Subject("the story"), "last scene")


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """The answer of the library to a turn."""

    #: In the scene's metadata, so that SQL finds the scene whatever its number is.
    token: str
    story_id: UUID
    number: int
    #: The scene it was to follow, 0 for none.
    parent: int
    #: SHA-256 of the text that was sent, in hexadecimal.
    digest: str


@dataclass(frozen=True, slots=True)
class Request:
    """A turn to take: the scene, the choice, the head that it follows, and the branch."""

    story_id: UUID
    scene: NewScene
    state: NewState
    choice: int | None
    head: int
    branch: int | None
    token: str


@dataclass(slots=True)
class Ledger:
    """All answers; the report compares them with the database."""

    acknowledgements: list[Acknowledgement] = field(default_factory=list)
    #: The character that was returned for each plain name.
    named: set[tuple[str, UUID]] = field(default_factory=set)
    #: How long each acknowledged turn took.
    durations: list[timedelta] = field(default_factory=list)
    #: Turns that were refused because another writer was first.
    conflicts_refused: int = 0
    #: Requests that were sent twice at the same moment.
    double_clicks: int = 0
    undos: int = 0
    forks: int = 0
    #: Scenes beyond the plan: after an undo, or on a fork.
    detours: int = 0
    #: Requests sent twice that got two different answers.
    contradictions: int = 0
    #: Reads after an undo or redo that did not return exactly the state of the scene at the head.
    wrong_states: int = 0
    #: Turns that were never answered; after one all seats stop, since further turns would wait as long.
    unanswered: int = 0


async def perform(
    worlds: Sequence[World],
    plan: Plan,
    ledger: Ledger,
    written: Callable[[], None],
    *,
    think_time: timedelta = timedelta(0),
) -> UUID:
    """Let all seats play at once and return the id of the shared story; `written` is called after each new scene.

    `worlds` is one world, opened by several applications that share the seats. `think_time` is how long the model takes
    for a scene.
    """
    shared = await worlds[0].stories.create(f"{plan.title} (together)", premise=plan.premise)
    players = len(plan.solos)
    seats = [Seat(number, worlds, ledger, written, think_time) for number in range(players + plan.writers)]
    async with asyncio.TaskGroup() as group:
        for seat, stories in zip(seats[:players], plan.solos, strict=True):
            group.create_task(seat.play(plan, stories))
        for seat in seats[players:]:
            group.create_task(seat.compete(plan, shared.id))
    return shared.id


class Seat:
    """One player or writer."""

    def __init__(
        self,
        number: int,
        worlds: Sequence[World],
        ledger: Ledger,
        written: Callable[[], None],
        think_time: timedelta,
    ) -> None:
        self._number = number
        #: The seat's own application first; a request that is sent twice goes to another one too.
        self._worlds = [worlds[(number + offset) % len(worlds)] for offset in range(len(worlds))]
        self._world = self._worlds[0]
        self._ledger = ledger
        self._written = written
        self._think_time = think_time
        self._sent = 0

    async def play(self, plan: Plan, stories: Sequence[Sequence[Line]]) -> None:
        """Play the seat's own stories, one after another; no other seat writes to them."""
        await self._greet(plan)
        for lines in stories:
            story = await self._world.stories.create(f"{plan.title} (player {self._number + 1})", premise=plan.premise)
            for head, line in enumerate(lines):
                await self._append(story.id, line, head)
                if self._ledger.unanswered:
                    return
            if len(lines) >= ENOUGH_FOR_DETOURS:
                await self._change_mind(story.id, lines)
                await self._try_another_way(story.id, lines)

    async def compete(self, plan: Plan, story_id: UUID) -> None:
        """Write the shared story against the other writers: read its head, take a turn, read again when refused."""
        await self._greet(plan)
        while not self._ledger.unanswered and (head := await self._head(story_id)) < len(plan.shared):
            await self._append(story_id, plan.shared[head], head)

    async def _greet(self, plan: Plan) -> None:
        """Get all people by name; every other seat names them only in its scenes: the same characters."""
        if self._number % 2:
            return
        for name in plan.people:
            character, _ = await self._world.characters.get_or_create(self._spell(name))
            self._ledger.named.add((name, character.id))

    async def _head(self, story_id: UUID) -> int:
        head = await self._world.stories.head(story_id)
        return head.scene.number if head.scene else 0

    async def _change_mind(self, story_id: UUID, lines: Sequence[Line]) -> None:
        """Undo the end, redo it, undo it, and write it again: the old scenes stay beside the new ones."""
        end = len(lines)
        undone = await self._world.branches.undo(story_id, 2, expected_head=end)
        await self._check_state(story_id, undone.head)
        await self._world.branches.redo(story_id, 2, expected_head=undone.head)
        await self._check_state(story_id, end)
        await self._world.branches.undo(story_id, expected_head=end)
        await self._check_state(story_id, end - 1)
        self._ledger.undos += 2
        written = await self._append(story_id, lines[-1], end - 1)
        self._ledger.detours += written  # not in one line: the sum would be read before the wait

    async def _check_state(self, story_id: UUID, head: int) -> None:
        """Check that the last fact and memory are those of the scene at the head, and of no later one."""
        (token,) = {
            each.token for each in self._ledger.acknowledgements if (each.story_id, each.number) == (story_id, head)
        }
        fact = await self._world.facts.get(story_id, *_LAST_SCENE)
        remembered = await self._world.memories.recent(story_id, k=1)
        seen = (fact and fact.value, [memory.content for memory in remembered])
        self._ledger.wrong_states += seen != (token, [_memory_of(token)])

    async def _try_another_way(self, story_id: UUID, lines: Sequence[Line]) -> None:
        """Fork in the middle and play on there; the branch that was played stays where it is."""
        middle = len(lines) // 2
        fork = await self._world.branches.fork(story_id, "another way", at=middle)
        self._ledger.forks += 1
        written = await self._append(story_id, lines[middle], middle, branch=fork.number)
        self._ledger.detours += written

    async def _append(self, story_id: UUID, line: Line, head: int, *, branch: int | None = None) -> bool:
        """Take a turn and write a line; send every fourth request twice. Return whether the scene was written."""
        token = uuid4().hex
        scene = NewScene(
            line.text,
            choices=line.choices,
            cast=[self._spell(name) for name in line.cast],
            metadata={"token": token},
        )
        self._sent += 1
        worlds = [self._world, self._worlds[-1]] if self._sent % _TWICE_EVERY == 0 else [self._world]
        self._ledger.double_clicks += len(worlds) - 1
        request = Request(story_id, scene, self._state(token, line), line.chosen, head, branch, token)
        async with asyncio.TaskGroup() as group:
            sent = [group.create_task(self._send(world, request)) for world in worlds]
        answers = {task.result() for task in sent}
        self._ledger.contradictions += len(answers) > 1
        if answers != {None}:
            self._written()
        return answers != {None}

    def _state(self, token: str, line: Line) -> NewState:
        """Return the state that a scene brings: a fact, a memory, and that two people grew closer."""
        pairs = zip(line.cast[:1], line.cast[1:2], strict=False)
        met = [RelationshipChange(self._spell(one), self._spell(two), familiarity=0.1) for one, two in pairs]
        return NewState(facts={_LAST_SCENE: token}, memories=[NewMemory(_memory_of(token))], relationships=met)

    async def _send(self, world: World, request: Request) -> int | None:
        """Send one request and return the stored scene's number, or None when it was refused or never answered."""
        began = perf_counter()
        try:
            async with asyncio.timeout(_ANSWERED_WITHIN.total_seconds()):
                stored = await self._take_turn(world, request)
        except StaleHead:
            self._ledger.conflicts_refused += 1
            return None
        except (TimeoutError, TurnTimeout):
            self._ledger.unanswered += 1
            return None
        self._ledger.durations.append(timedelta(seconds=perf_counter() - began))
        digest = sha256(request.scene.content.encode()).hexdigest()
        answer = Acknowledgement(request.token, request.story_id, stored.number, request.head, digest)
        self._ledger.acknowledgements.append(answer)
        return stored.number

    async def _take_turn(self, world: World, request: Request) -> Scene:
        async def think(_: Turn) -> tuple[NewScene, NewState]:
            await asyncio.sleep(self._think_time.total_seconds())
            return request.scene, request.state

        return await world.turns.play(
            request.story_id,
            think,
            request_key=request.token,
            choice=request.choice,
            branch=request.branch,
            expected_head=request.head,
            busy="queue",
            time_limit=_ANSWERED_WITHIN,
        )

    def _spell(self, name: str) -> str:
        ways = spellings(name)
        return ways[(self._number + self._sent) % len(ways)]


def _memory_of(token: str) -> str:
    return f"{token} was written"
