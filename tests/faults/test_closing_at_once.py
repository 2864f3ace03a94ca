"""A program may leave as soon as its last call is answered: closing waits for what is left, and then is over."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from livingworld import LivingWorld
from livingworld.background.tasks import BackgroundTasks
from livingworld.identifiers import new_id
from livingworld.postgres.group_commit.group_commit import GroupCommit
from livingworld.postgres.group_commit.requests import NotTried
from livingworld.postgres.transactions.transaction import Transaction


@contextmanager
def no_longer_than(seconds: float) -> Iterator[None]:
    """Fail after so long, also where the event loop itself comes to nothing any more."""

    def give_up(*_: object) -> None:
        message = f"not over after {seconds} seconds"
        raise AssertionError(message)

    former = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)


@dataclass(frozen=True)
class Question:
    """A request of a group commit."""

    story_id: UUID
    characters: int = 0
    repeatable: bool = True


@dataclass(frozen=True)
class Answer:
    """What a request led to."""


async def answer(tx: Transaction, requests: Sequence[Question], *, wait: bool) -> list[Answer | NotTried]:
    """Carry out a group by a statement."""
    await tx.execute_text("SELECT $1::uuid, $2::boolean", (tx.world_id, wait))
    return [Answer() for _ in requests]


async def test_a_group_commit_is_closed_in_the_moment_of_its_last_answer(livingworld: LivingWorld) -> None:
    commits = GroupCommit[Question, Answer](livingworld.worlds._database, new_id(), answer)
    with no_longer_than(30):
        assert await commits.submit(Question(new_id())) == Answer()
        await commits.close()


async def test_what_has_just_ended_is_not_waited_for_again() -> None:
    tasks = BackgroundTasks()

    async def just_end() -> None: ...

    with no_longer_than(30):
        tasks.finish(just_end())
        await asyncio.create_task(tasks.close())  # its first step comes right after the other one's last
