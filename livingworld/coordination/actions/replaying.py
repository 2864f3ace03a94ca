"""Repeating, from what was recorded, the decisions that were made when the commands came."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from livingworld.coordination.actions.conflict_policy import ConflictPolicy, PresentAction, Verdict
from livingworld.coordination.actions.records import Action


def replay(policy: ConflictPolicy, commands: Iterable[Action]) -> dict[UUID, Verdict]:
    """Return the verdict that the policy gives on each command of a lane, in the order in which they came.

    Given all commands of the lane and the policy they came under, it equals their `decision` and `decided_by`.
    """
    ordered = sorted(commands, key=lambda action: action.number)
    return {
        command.id: policy.decide(command.kind, _present_at(command.number, ordered[:place]))
        for place, command in enumerate(ordered)
    }


def _present_at(number: int, earlier: list[Action]) -> list[PresentAction]:
    """Return what ran and waited when a number was given out, what ran first and then in the lane's order."""
    present = [action for action in earlier if action.ended_number is None or action.ended_number >= number]
    running = [action for action in present if _ran_at(number, action)]
    waiting = sorted(
        (action for action in present if action not in running), key=lambda action: (-action.priority, action.number)
    )
    return [
        *(PresentAction(action.id, action.kind, "running") for action in running),
        *(PresentAction(action.id, action.kind, "waiting") for action in waiting),
    ]


def _ran_at(number: int, action: Action) -> bool:
    starts = sum(start < number for start in action.started_numbers)
    return starts > sum(stop < number for stop in action.stopped_numbers)
