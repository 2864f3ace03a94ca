"""What is decided about a command, given what is in its lane: every rule of the table, and no database."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import pytest

from livingworld import COMMANDS, ConflictPolicy, Rule, Verdict
from livingworld.coordination.actions.conflict_policy import check_policy
from livingworld.errors import InvalidInput, InvalidType

GAME = COMMANDS.extended(categories={"walk": "movement", "run": "movement", "fireball": "skill", "heal": "skill"})


@dataclass(frozen=True)
class Here:
    number: int
    kind: str
    state: str = "waiting"

    @property
    def id(self) -> UUID:
        return UUID(int=self.number)


def decided(policy: ConflictPolicy, kind: str, *present: Here) -> tuple[str, list[int]]:
    verdict = policy.decide(kind, present)
    return verdict.decision, [each.int for each in verdict.by]


@pytest.mark.parametrize(
    ("kind", "present", "verdict"),
    [
        ("run", [Here(1, "walk", "running"), Here(2, "walk")], ("replace", [1, 2])),
        ("heal", [Here(1, "fireball", "running")], ("queue", [])),
        ("walk", [Here(1, "fireball", "running")], ("queue", [])),
        ("walk", [Here(1, "fireball", "running"), Here(2, "run")], ("replace", [2])),
        ("speak", [Here(1, "walk")], ("queue", [])),
        ("walk", [], ("queue", [])),
    ],
)
def test_the_commands_of_a_game_meet_as_players_expect(
    kind: str, present: list[Here], verdict: tuple[str, list[int]]
) -> None:
    assert decided(GAME, kind, *present) == verdict


def test_the_first_rule_that_fits_decides_and_an_extension_comes_first() -> None:
    stubborn = GAME.extended(Rule("run", "walk", "reject", state="running"))

    assert decided(stubborn, "run", Here(1, "walk", "running"), Here(2, "walk")) == ("reject", [1])
    assert decided(stubborn, "run", Here(2, "walk")) == ("replace", [2])
    assert decided(GAME, "run", Here(1, "walk", "running")) == ("replace", [1])


def test_a_rejection_wins_over_a_replacement_and_that_over_a_merge() -> None:
    policy = ConflictPolicy((Rule("*", "wall", "reject"), Rule("*", "old", "replace"), Rule("*", "like", "merge")))

    assert decided(policy, "new", Here(1, "old"), Here(2, "wall"), Here(3, "like")) == ("reject", [2])
    assert decided(policy, "new", Here(1, "old"), Here(3, "like")) == ("replace", [1])
    assert decided(policy, "new", Here(3, "like"), Here(4, "like")) == ("merge", [4])


def test_what_runs_cannot_be_merged_with() -> None:
    assert decided(ConflictPolicy(default="merge"), "say", Here(1, "say", "running")) == ("queue", [])


def test_one_decision_is_a_policy_for_all() -> None:
    assert check_policy("reject").decide("walk", [Here(1, "x", "running"), Here(2, "y")]) == Verdict(
        "reject", (UUID(int=1), UUID(int=2))
    )
    assert check_policy("reject").decide("walk", []) == Verdict("queue")


@pytest.mark.parametrize("conflict", ["Queue", "", None, 1, []])
def test_an_unknown_decision_is_refused(conflict: object) -> None:
    with pytest.raises(InvalidInput, match="conflict"):
        check_policy(conflict)


def test_a_rule_that_cannot_be_one_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"rules\[0\].decision"):
        ConflictPolicy((Rule("a", "b", "drop"),))  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match=r"rules\[0\].state"):
        ConflictPolicy((Rule("a", "b", "queue", state="done"),))  # type: ignore[arg-type]
    with pytest.raises(InvalidType, match=r"rules\[0\]"):
        ConflictPolicy(("a",))  # type: ignore[arg-type]
