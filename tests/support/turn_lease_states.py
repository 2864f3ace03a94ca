"""All states of the machine of the turn lease, and the promises of the guarantees page in each of them."""

from __future__ import annotations

from typing import Final

from tests.support.turn_lease_model import State, TurnLease

ENDED: Final = frozenset({"done", "refused", "dead"})


def broken_invariant(machine: TurnLease, state: State) -> str:
    """Return the promise of the guarantees page that a state breaks, or nothing."""
    told = [each for inputs, _ in state.scenes for each in inputs]
    tokens = [token for _, token in state.scenes]
    if state.broken:
        return state.broken
    if len(told) != len(set(told)):
        return "an input is told twice"
    if tokens != sorted(set(tokens)):
        return "an overtaken holder wrote"
    for each, answer in zip(machine.tries, state.answers, strict=True):
        if answer is not None and each.key not in state.scenes[answer][0]:
            return "an answer is a scene without its input"
    return ""


def explore(machine: TurnLease) -> tuple[int, str]:
    """Return how many states there are, and the first broken promise with the steps that led to it, or nothing."""
    start = machine.first()
    came_from: dict[State, tuple[State, str] | None] = {start: None}
    todo = [start]
    for state in todo:
        reason = broken_invariant(machine, state)
        steps = [(name, after) for name, after in machine.steps(state) if after != state]
        if not reason and not steps:
            reason = _at_the_end(machine, state)
        if reason:
            return len(came_from), f"{reason}: {'; '.join(_way(came_from, state))}"
        for name, after in (*steps, *machine.accidents(state)):
            if after not in came_from:
                came_from[after] = (state, name)
                todo.append(after)
    return len(came_from), ""


def _at_the_end(machine: TurnLease, state: State) -> str:
    if not ENDED.issuperset(state.phases):
        return "a request waits for ever"
    undisturbed = state.faults == machine.faults and all(each.busy != "replace" for each in machine.tries)
    return "an input is lost" if undisturbed and set(state.phases) != {"done"} else ""


def _way(came_from: dict[State, tuple[State, str] | None], state: State) -> list[str]:
    names: list[str] = []
    while (before := came_from[state]) is not None:
        state, name = before
        names.append(name)
    return names[::-1]
