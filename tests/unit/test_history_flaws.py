"""Each check of a history alone: the smallest history that it is for, and what it says."""

from __future__ import annotations

from typing import Final

import pytest

from livingworld.testing.history import Effect, Flaw, Kind, Observed, Operation, Outcome, check

CASES: Final[list[tuple[Flaw, str, list[Operation], Observed]]] = []


def call(
    kind: Kind, value: object = None, *, at: tuple[float, float] = (0, 9), said: object = None, **of: str
) -> Operation:
    """Return one confirmed operation with one effect on `it`."""
    effect = Effect(kind, "it", value)  # type: ignore[arg-type]  # a test may say anything
    client, key = of.get("client", "one"), of.get("key")
    return Operation(client, kind.value, (effect,), at[0], at[1], Outcome.OK, () if said is None else (said,), key)


def case(flaw: Flaw, says: str, operations: list[Operation], observed: Observed) -> None:
    CASES.append((flaw, says, operations, observed))


a, b = call(Kind.APPEND, "a"), call(Kind.APPEND, "b")
case(Flaw.PHANTOM, "no call asked", [a], Observed(lists={"it": ["a", "b"]}))
case(
    Flaw.WRONG_ORDER, "'a' was confirmed at 2", [call(Kind.APPEND, "a", said=2), b], Observed(lists={"it": ["a", "b"]})
)
case(
    Flaw.WRONG_ORDER, "'a' was confirmed at 0", [call(Kind.APPEND, "a", said=0), b], Observed(lists={"it": ["b", "a"]})
)
early, late = call(Kind.APPEND, "a", at=(0, 1)), call(Kind.APPEND, "b", at=(2, 3))
case(Flaw.WRONG_ORDER, "'a' ended before 'b' began", [early, late], Observed(lists={"it": ["b", "a"]}))
case(Flaw.WRONG_ORDER, "no beginning", [a, b, call(Kind.READ, said=["b"])], Observed(lists={"it": ["a", "b"]}))
case(Flaw.WRONG_ORDER, "no beginning", [a, b, call(Kind.LAST, said=[1, "b"])], Observed(lists={"it": ["a", "b"]}))
case(Flaw.STALE, "a read ends before 'a'", [early, call(Kind.LAST, at=(2, 3), said=[0, None])], Observed({"it": ["a"]}))

first, second = call(Kind.WRITE, "a", said=1), call(Kind.WRITE, "b", said=1)
case(Flaw.LOST, "version 1 was confirmed to 2", [first, second], Observed(documents={"it": ["a", "b"]}))
case(Flaw.WRONG_ORDER, "version 1 is not", [first, call(Kind.WRITE, "b")], Observed(documents={"it": ["b", "a"]}))
case(Flaw.PHANTOM, "which it never was", [first, call(Kind.LOOK, said=[1, "b"])], Observed(documents={"it": ["a"]}))
wrote, looked = call(Kind.WRITE, "a", at=(0, 1)), call(Kind.LOOK, at=(2, 3), said=[0, None])
case(Flaw.STALE, "version 0 was read", [wrote, looked], Observed(documents={"it": ["a"]}))

case(Flaw.LOST, "the sum is 1", [call(Kind.ADD, 1), call(Kind.ADD, 1)], Observed(counters={"it": 1}))
case(Flaw.DOUBLED, "the sum is 3", [call(Kind.ADD, 1), call(Kind.ADD, 1)], Observed(counters={"it": 3}))
case(Flaw.LOST, "two additions", [call(Kind.ADD, 1, said=1), call(Kind.ADD, 1, said=1)], Observed(counters={"it": 2}))
backwards = [call(Kind.ADD, 1, at=(0, 1), said=2), call(Kind.ADD, 1, at=(2, 3), said=1)]
case(Flaw.WRONG_ORDER, "before a lower one was asked for", backwards, Observed(counters={"it": 2}))

granted = call(Kind.GRANT, said=1), call(Kind.GRANT, said=1, client="two")
case(Flaw.DOUBLED, "token 1 was granted 2 times", [*granted], Observed())
writes = [call(Kind.FENCED, 1), call(Kind.FENCED, 2)]
case(Flaw.OVERLAP, "stored after one of token 2", writes, Observed(fenced={"it": [2, 1]}))
case(Flaw.LOST, "a write of token 2", writes, Observed(fenced={"it": [1]}))
overtaken = [call(Kind.GRANT, said=2, at=(0, 1)), call(Kind.FENCED, 1, at=(2, 3))]
case(Flaw.OVERLAP, "token 1 wrote after token 2", overtaken, Observed(fenced={"it": [1]}))

queued, ended = call(Kind.ENQUEUE, "a"), call(Kind.END, "a", at=(2, 3))
case(Flaw.LOST, "neither waiting nor ended", [queued], Observed())
case(Flaw.DOUBLED, "'a' was ended 2 times", [queued], Observed(ended={"it": ["a", "a"]}))
case(Flaw.DOUBLED, "confirmed to 2 workers", [queued, ended, ended], Observed(ended={"it": ["a"]}))
case(Flaw.LOST, "it has not ended", [queued, ended], Observed(waiting={"it": ["a"]}))
in_turn = [call(Kind.ENQUEUE, "a", at=(0, 1)), call(Kind.ENQUEUE, "b", at=(2, 3))]
case(Flaw.WRONG_ORDER, "'a' ended before 'b' began", in_turn, Observed(ended={"it": ["b", "a"]}))
runs = [
    call(Kind.CLAIM, "a", at=(0, 1)),
    call(Kind.CLAIM, "b", at=(2, 3), client="two"),
    call(Kind.END, "b", at=(4, 5), client="two"),
    call(Kind.END, "a", at=(6, 7)),
]
both = [call(Kind.ENQUEUE, "a"), call(Kind.ENQUEUE, "b")]
case(Flaw.OVERLAP, "ran at once", [*both, *runs], Observed(ended={"it": ["a", "b"]}))

answers = [call(Kind.APPEND, "a", said=1, key="k"), call(Kind.APPEND, "a", said=2, key="k")]
case(Flaw.DOUBLED, "2 answers", answers, Observed(lists={"it": ["a", "a"]}))

events = [call(Kind.RECEIVE, "a", said=1), call(Kind.RECEIVE, "c", said=2)]
case(Flaw.GAP, "'b' did not come", events, Observed(streams={"it": ["a", "b", "c"]}))
case(Flaw.WRONG_ORDER, "'c' came after 'a'", events, Observed(streams={"it": ["c", "a"]}))
again = [call(Kind.RECEIVE, said=1), call(Kind.RECEIVE, said=1)]
case(Flaw.DOUBLED, "event 1 came after event 1", again, Observed())

unit = Operation(
    "one", "unit", (Effect(Kind.APPEND, "it", "a"), Effect(Kind.WRITE, "mood", "a")), 0, 9, Outcome.UNKNOWN
)
case(Flaw.PARTIAL, "without 'a'", [unit], Observed(lists={"it": ["a"]}))


@pytest.mark.any_server
@pytest.mark.parametrize(("flaw", "says", "operations", "observed"), CASES, ids=[str(n) for n in range(len(CASES))])
def test_a_flaw_is_found_and_said(flaw: Flaw, says: str, operations: list[Operation], observed: Observed) -> None:
    found = check(operations, observed).anomalies

    assert [each for each in found if each.flaw is flaw and says in each.what], found
