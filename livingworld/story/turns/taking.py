"""Taking turns: what is asked for, the one statement that does it, and what its answers mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from livingworld.errors import (
    Archived,
    BranchNotFound,
    Busy,
    ChoiceNotFound,
    Fenced,
    LivingWorldError,
    RequestKeyReused,
    SceneNotFound,
    StaleHead,
    StoryNotFound,
)
from livingworld.postgres.group_requests import NOT_TRIED, NotTried
from livingworld.postgres.idempotency import request_hash
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.story.turns.records import BusyPolicy, TurnInput

#: As asyncpg takes it; the driver knows the types from the function.
_TAKE: Final = f"SELECT * FROM livingworld.take_turns_v1({', '.join(f'${number}' for number in range(1, 16))})"  # noqa: S608

#: The scene at the head, as a scene to tell anew.
AT_HEAD: Final = 0


@dataclass(frozen=True, slots=True)
class TakeRequest:
    """One turn to take."""

    story_id: UUID
    branch_number: int | None
    expected_head: int | None
    #: The scene to tell anew, AT_HEAD, or None for a new scene.
    regenerates: int | None
    request_key: str
    #: This try to take it; also the id of the generation that it leads to.
    owner: UUID
    input: TurnInput
    busy: BusyPolicy
    recent: int

    @property
    def repeatable(self) -> bool:
        """Whether sending it again finds what the first answer would have told: the owner tells the tries apart."""
        return True

    @property
    def characters(self) -> int:
        """About how many characters of text it brings."""
        return len(self.input.instruction or "")

    def request_hash(self) -> bytes:
        """Return the digest of what a repetition must repeat; where the branch stands is no part of it."""
        return request_hash([self.branch_number, self.regenerates, self.input.choice, self.input.instruction])

    def values(self) -> tuple[Any, ...]:
        """Return what this request puts into each of the function's arrays, in their order."""
        return (
            self.story_id,
            self.branch_number,
            self.expected_head,
            self.regenerates,
            self.request_key,
            self.request_hash(),
            self.owner,
            self.input.choice,
            self.input.instruction,
            self.busy,
            self.recent,
        )


@dataclass(frozen=True, slots=True)
class TakeResult:
    """What became of one request; the fields are those of take_turns_v1.sql."""

    status: str
    branch_number: int | None
    base_scene_number: int | None
    token: int | None
    attempt: int | None
    scene_number: int | None
    request_key: str | None
    running_seconds: float | None
    ticket: int | None
    merges: int | None
    choice: int | None
    instruction: str | None
    answered: UUID | None
    context: str | None


class TakeTogether:
    """The statement that takes turns, with the lengths that this process uses."""

    def __init__(self, *, lease: timedelta, patience: timedelta) -> None:
        self._lengths = (lease, patience)

    async def __call__(
        self, tx: Transaction, requests: Sequence[TakeRequest], *, wait: bool
    ) -> list[TakeResult | NotTried]:
        """Take turns by one statement and return one result for each, in order; see take_turns_v1.sql."""
        columns = zip(*(request.values() for request in requests), strict=True)
        rows = (await tx.execute_text(_TAKE, (tx.world_id, wait, *self._lengths, *map(list, columns)))).all()
        answers, contexts = rows[: len(requests)], iter(rows[len(requests) :])
        results = [NOT_TRIED.get(row[0]) or TakeResult(*tuple(row)) for row in answers]
        results = [
            replace(each, context=next(contexts)[-1])
            if isinstance(each, TakeResult) and each.status == "granted"
            else each
            for each in results
        ]
        if len(results) != len(requests) or next(contexts, None) is not None:
            message = f"take_turns_v1 answered {len(rows)} rows to {len(requests)} requests"
            raise AssertionError(message)
        return results


def refusal(result: TakeResult, request: TakeRequest) -> LivingWorldError | None:
    """Return the error that a result means, or None when the turn is had or may be waited for."""
    match result.status:
        case "busy":
            seconds = result.running_seconds
            running_for = None if seconds is None else timedelta(seconds=seconds)
            return Busy(request_key=result.request_key, running_for=running_for)
        case "stale_head":
            return StaleHead(expected=request.expected_head, actual=result.base_scene_number or 0)
        case "choice_not_found":
            return ChoiceNotFound(choice=request.input.choice, scene_number=result.base_scene_number or 0)
        case "scene_not_found":
            return SceneNotFound(story_id=request.story_id, scene_number=result.scene_number or 0)
        case status if status in _REFUSALS:
            return _REFUSALS[status](story_id=request.story_id)
    return None


_REFUSALS: Final[dict[str, type[LivingWorldError]]] = {
    "story_not_found": StoryNotFound,
    "archived": Archived,
    "branch_not_found": BranchNotFound,
    "request_key_reused": RequestKeyReused,
    "replaced": Fenced,
}
