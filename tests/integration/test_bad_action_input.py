"""Bad input of actions is refused by name, before any SQL: there is no server here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from livingworld import Action, NewAction, World
from livingworld.coordination.actions.new_action import MAX_ACTIONS
from livingworld.errors import InvalidInput
from livingworld.identifiers import new_id
from tests.integration.test_bad_turn_input import BAD_ID, NUL, SURROGATE, nowhere

pytestmark = pytest.mark.any_server

__all__ = ["nowhere"]

LONG = "x" * 501
BAD_NAME: list[Any] = [NUL, SURROGATE, 7, None, "", " ", LONG]
BAD_TIME: list[Any] = [
    7,
    "soon",
    timedelta(-1),
    timedelta(days=40_000),
    datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None),
    datetime(1, 1, 1, tzinfo=UTC),
]
BAD_TTL: list[Any] = [7, None, timedelta(0), timedelta(days=2)]
BAD_RETRY: list[Any] = [7, "1 s", timedelta(-1), timedelta(days=40_000)]
BAD_JSON: list[Any] = [7, "x", [], {"a": NUL}, {"a": float("nan")}, {"a": object()}]
Call = Callable[[World, Any], Awaitable[object]]


def claimed(token: int = 1) -> Action:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    nothing: dict[str, Any] = dict.fromkeys(
        ("not_before", "deadline", "cancel_requested_at", "cancel_reason", "result", "ended_number", "ended_at")
    )
    none: dict[str, Any] = dict.fromkeys(("decided_by", "errors", "started_numbers", "stopped_numbers"), ())
    return Action(
        id=new_id(), lane="a", number=1, kind="walk", payload={}, priority=0, state="running", decision="queue",
        attempts=1, max_attempts=5, token=token, claimed_until=moment, created_at=moment, started_at=moment,
        **nothing, **none,
    )  # fmt: skip


CASES: dict[str, tuple[str, list[Any], Call]] = {
    "lane": ("lane", BAD_NAME, lambda w, bad: w.actions.enqueue(bad, "walk")),
    "kind": ("kind", BAD_NAME, lambda w, bad: w.actions.enqueue("a", bad)),
    "payload": ("payload", BAD_JSON, lambda w, bad: w.actions.enqueue("a", "walk", bad)),
    "priority": ("priority", [True, "1", 1.5, 2**31], lambda w, bad: w.actions.enqueue("a", "walk", priority=bad)),
    "deadline": ("deadline", BAD_TIME, lambda w, bad: w.actions.enqueue("a", "walk", deadline=bad)),
    "not before": ("not_before", BAD_TIME, lambda w, bad: w.actions.enqueue("a", "walk", not_before=bad)),
    "attempts": ("max_attempts", [0, True, 1001], lambda w, bad: w.actions.enqueue("a", "walk", max_attempts=bad)),
    "conflict": ("conflict", ["drop", 7, None], lambda w, bad: w.actions.enqueue("a", "walk", conflict=bad)),
    "id": ("id", ["x", 7], lambda w, bad: w.actions.enqueue("a", "walk", id=bad)),
    "place in a batch": (
        "actions[1].kind",
        BAD_NAME,
        lambda w, bad: w.actions.enqueue_many([NewAction("a", "walk"), NewAction("a", bad)]),
    ),
    "batch": (
        "actions",
        [7, "ab", [NewAction("a", "b")] * (MAX_ACTIONS + 1)],
        lambda w, bad: w.actions.enqueue_many(bad),
    ),
    "item of a batch": ("actions[0]", [[7, 7]], lambda w, bad: w.actions.enqueue_many(bad)),
    "limit": ("limit", [0, True, 1001], lambda w, bad: w.actions.claim(bad)),
    "ttl": ("ttl", BAD_TTL, lambda w, bad: w.actions.claim(ttl=bad)),
    "extended by": ("ttl", BAD_TTL, lambda w, bad: w.actions.extend(claimed(), bad)),
    "completed": ("action", [7, None, claimed(token=0)], lambda w, bad: w.actions.complete(bad)),
    "result": ("result", BAD_JSON[3:], lambda w, bad: w.actions.complete(claimed(), bad)),
    "error": ("error", [NUL, 7, None], lambda w, bad: w.actions.fail(claimed(), bad)),
    "retry": ("retry_in", BAD_RETRY, lambda w, bad: w.actions.fail(claimed(), "x", retry_in=bad)),
    "released": ("action", [7], lambda w, bad: w.actions.release(bad)),
    "stopped": ("action", [7], lambda w, bad: w.actions.stop(bad)),
    "expired": ("action", [7], lambda w, bad: w.actions.expire(bad)),
    "got": ("action_id", BAD_ID, lambda w, bad: w.actions.get(bad)),
    "cancelled": ("action_id", BAD_ID, lambda w, bad: w.actions.cancel(bad)),
    "reason": ("reason", [NUL, 7, LONG], lambda w, bad: w.actions.cancel(new_id(), reason=bad)),
    "size": ("lane", [NUL, 7, ""], lambda w, bad: w.actions.size(bad)),
    "peek": ("lane", BAD_NAME, lambda w, bad: w.actions.peek(bad)),
    "commands": ("lane", BAD_NAME, lambda w, bad: w.actions.commands(bad)),
    "cursor": ("after", ["x", 7, "9" * 40, "²"], lambda w, bad: w.actions.commands("a", after=bad)),
    "limited lane": ("max_waiting", [0, True, None], lambda w, bad: w.actions.limit_lane("a", bad)),
    "forgotten": ("ended_for", BAD_RETRY, lambda w, bad: w.actions.forget("a", ended_for=bad)),
}


@pytest.mark.parametrize("case", CASES)
async def test_bad_input_names_its_field_before_any_sql(nowhere: World, case: str) -> None:
    field, values, call = CASES[case]
    for bad in values:
        with pytest.raises(InvalidInput) as refused:
            await call(nowhere, bad)
        assert refused.value.field.split(".(value)")[0].split(" (")[0] in (field, f"{field}.a"), bad


async def test_two_commands_of_one_id_are_refused(nowhere: World) -> None:
    key = new_id()
    with pytest.raises(InvalidInput, match="twice"):
        await nowhere.actions.enqueue_many([NewAction("a", "walk", id=key), NewAction("b", "walk", id=key)])


async def test_a_worker_that_cannot_be_one_is_refused(nowhere: World) -> None:
    with pytest.raises(InvalidInput, match=r"handlers\[walk\]"):
        nowhere.actions.worker({"walk": 7})  # type: ignore[dict-item]
    with pytest.raises(InvalidInput, match="concurrency"):
        nowhere.actions.worker({}, concurrency=0)
    with pytest.raises(InvalidInput, match="ttl"):
        nowhere.actions.worker({}, ttl=timedelta(0))
    with pytest.raises(InvalidInput, match="finish_within"):
        async with nowhere.actions.worker({}).running(finish_within=7):  # type: ignore[arg-type]
            pass
