"""What must be true of turns, asked of PostgreSQL; and a turn whose model answers at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, get_args
from uuid import UUID

from livingworld import NewScene, Turn, TurnInput
from livingworld.story.turns.checked_request import RequestOptions, checked_request
from livingworld.story.turns.records import BusyPolicy
from livingworld.story.turns.requests import TakeRequest
from livingworld.testing.staged_races import connected
from tests.support.patience import patiently

POLICIES: Final[tuple[str, ...]] = get_args(BusyPolicy)

#: Each statement finds what breaks one promise, and is empty when all is well.
_PROMISES: Final = {
    "a committed turn has one scene, shown by one generation of its place": """
        SELECT t.request_key FROM livingworld.turns t
        WHERE t.story_id = $1 AND t.state = 'committed' AND 1 <> (
            SELECT count(*) FROM livingworld.scenes s
            JOIN livingworld.generations g USING (world_id, story_id, scene_number)
            WHERE s.world_id = t.world_id AND s.story_id = t.story_id AND s.scene_number = t.scene_number
        )
    """,
    "a scene is the result of one ordinary turn at most": """
        SELECT t.scene_number FROM livingworld.turns t
        WHERE t.story_id = $1 AND t.state = 'committed' AND t.regenerates IS NULL
        GROUP BY t.scene_number HAVING count(*) > 1
    """,
    "a running turn holds the lease of its branch": """
        SELECT t.request_key FROM livingworld.turns t LEFT JOIN livingworld.turn_leases l
            USING (world_id, story_id, branch_number, request_key, token)
        WHERE t.story_id = $1 AND t.state = 'running' AND l.owner IS NULL
    """,
    "no token is above the one of its lease": """
        SELECT t.request_key FROM livingworld.turns t LEFT JOIN livingworld.turn_leases l
            USING (world_id, story_id, branch_number)
        WHERE t.story_id = $1 AND t.token > coalesce(l.token, 0)
    """,
}
_IDLE: Final = {
    "nobody holds a lease": """
        SELECT l.request_key FROM livingworld.turn_leases l
        JOIN livingworld.branches b USING (world_id, story_id, branch_number)
        WHERE l.story_id = $1 AND l.expires_at > clock_timestamp() AND l.branch_version = b.version
    """,
    "nobody waits": """
        SELECT ticket FROM livingworld.turn_waiters WHERE story_id = $1 AND expires_at > clock_timestamp()
    """,
    "nothing runs": "SELECT request_key FROM livingworld.turns WHERE story_id = $1 AND state = 'running'",
}


async def broken_turns(url: str, story_id: UUID, *, idle: bool = True) -> list[str]:
    """Return each promise that the turns of a story break; with `idle` also what is left of turns that are over."""
    broken = []
    async with connected(url) as connection:
        for promise, statement in (_PROMISES | (_IDLE if idle else {})).items():
            if rows := await connection.fetch(statement, story_id):
                broken.append(f"{promise}: {[tuple(row) for row in rows]}")
    return broken


def at_once(text: str) -> Callable[[Turn], Awaitable[NewScene]]:
    """Return a model that answers at once."""

    async def write(turn: Turn) -> NewScene:
        assert turn.context.head >= 0
        return NewScene(text, ["on"])

    return write


def joined(waiting: TurnInput, new: TurnInput) -> TurnInput:
    """Combine two inputs so that each can be found in what is told."""
    return TurnInput(None, f"{waiting.instruction}+{new.instruction}")


def merging(story_id: UUID, key: str) -> TakeRequest:
    """Return a request for a turn whose input is its key, which may be combined with others."""
    asked: RequestOptions = {"branch": None, "expected_head": None, "busy": "merge", "replace_own": False}
    return checked_request(story_id, key, TurnInput(None, key), asked, recent=1)


def options_of(busy: str) -> dict[str, Any]:
    """Return the options that a policy takes."""
    return {"busy": busy, "combine": joined if busy == "merge" else None}


async def until_tries_wait(url: str, count: int, *, unless: Iterable[asyncio.Task[Any]], at_most: bool = False) -> None:
    """Look until so many wait for turns, or one of these tasks, which should wait, is done."""
    tasks = list(unless)
    async with patiently(), connected(url) as connection:
        while not any(task.done() for task in tasks):
            found: int = await connection.fetchval("SELECT count(*) FROM livingworld.turn_waiters")
            if found == count or (found > count and not at_most):
                return


async def until_found(url: str, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
    """Look until a statement finds something, and return it."""
    async with patiently(), connected(url) as connection:
        while not (found := await connection.fetch(statement, *parameters)):
            pass
    return [tuple(row) for row in found]


async def rows(url: str, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
    """Return what a statement finds."""
    async with connected(url) as connection:
        return [tuple(row) for row in await connection.fetch(statement, *parameters)]
