"""What becomes of a command, given what runs and waits in its lane: a table of rules, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, Protocol, get_args
from uuid import UUID

from livingworld.coordination.actions.records import Decision
from livingworld.errors import InvalidInput, InvalidType
from livingworld.inputs import check_sequence

#: Stands for every kind and category in a rule.
ANY: Final = "*"

_MAX_RULES: Final = 10_000

#: Makes one payload of that of the command that waits and that of the new one.
Merge = Callable[[Mapping[str, Any], Mapping[str, Any]], Mapping[str, Any]]


class Present(Protocol):
    """What runs or waits in the lane."""

    @property
    def id(self) -> UUID:
        """Which action it is."""
        ...

    @property
    def kind(self) -> str:
        """What it is."""
        ...

    @property
    def state(self) -> str:
        """Whether it is running or waiting."""
        ...


@dataclass(frozen=True, slots=True)
class PresentAction:
    """What a decision sees of an action that runs or waits in the lane."""

    id: UUID
    kind: str
    state: str


@dataclass(frozen=True, slots=True)
class Rule:
    """A command of the one kind or category meets one of the other."""

    new: str
    present: str
    decision: Decision
    #: Which of the present ones it is about.
    state: Literal["running", "waiting", "any"] = "any"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was decided about one command."""

    decision: Decision
    #: The actions that it replaces, is merged into, or is refused for; those that run first, then in the lane's order.
    by: tuple[UUID, ...] = ()


def merge_objects(waiting: Mapping[str, Any], new: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the fields of both, the new ones where both have one."""
    return {**waiting, **new}


@dataclass(frozen=True, slots=True)
class ConflictPolicy:
    """A table of rules; for each one present the first rule that fits says what it means for the command.

    Any rejection refuses the command. Else an action that it replaces ends if it waits and is asked to stop if it runs,
    and the command goes into the last waiting one that it merges with, or else waits at its place. A running action
    cannot be merged with: the command waits behind it.
    """

    rules: tuple[Rule, ...] = ()
    #: Category of a kind; a rule may name either.
    categories: Mapping[str, str] = field(default_factory=dict)
    #: Where no rule fits.
    default: Decision = "queue"
    merge: Merge = merge_objects

    def __post_init__(self) -> None:
        for number, rule in enumerate(check_sequence("rules", self.rules, limit=_MAX_RULES)):
            if not isinstance(rule, Rule):
                raise InvalidType(f"rules[{number}]", f"must be a Rule, not {type(rule).__name__}")
            _check_decision(f"rules[{number}].decision", rule.decision)
            if rule.state not in ("running", "waiting", "any"):
                raise InvalidInput(f"rules[{number}].state", "must be running, waiting or any")
        _check_decision("default", self.default)

    def extended(self, *rules: Rule, categories: Mapping[str, str] | None = None) -> ConflictPolicy:
        """Return a policy in which these rules come before the present ones."""
        return replace(self, rules=(*rules, *self.rules), categories={**self.categories, **(categories or {})})

    def decide(self, kind: str, present: Sequence[Present]) -> Verdict:
        """Return the verdict on a command, given what is in its lane: what runs first, then what waits in its order."""
        decided = [(each, self._decision(kind, each)) for each in present]
        if refusing := tuple(each.id for each, decision in decided if decision == "reject"):
            return Verdict("reject", refusing)
        merging = [each.id for each, decision in decided if decision == "merge" and each.state == "waiting"]
        replaced = tuple(each.id for each, decision in decided if decision == "replace")
        if replaced:
            return Verdict("replace", replaced)
        return Verdict("merge", (merging[-1],)) if merging else Verdict("queue")

    def _decision(self, kind: str, present: Present) -> Decision:
        for rule in self.rules:
            here = rule.state in ("any", present.state)
            if here and self._fits(rule.new, kind) and self._fits(rule.present, present.kind):
                return rule.decision
        return self.default

    def _fits(self, named: str, kind: str) -> bool:
        return named in (ANY, kind, self.categories.get(kind))


def check_policy(conflict: object) -> ConflictPolicy:
    """Return the policy that `conflict` means: one itself, or one decision for all."""
    if isinstance(conflict, ConflictPolicy):
        return conflict
    return ConflictPolicy(default=_check_decision("conflict", conflict))


def _check_decision(field_name: str, decision: object) -> Decision:
    for known in get_args(Decision):
        if decision == known:
            return known  # type: ignore[no-any-return]  # one of the literals
    raise InvalidInput(field_name, f"must be one of {', '.join(get_args(Decision))}")


#: What players of most games expect, by the categories movement and skill: extend it with the categories of your kinds.
COMMANDS: Final = ConflictPolicy(
    rules=(
        Rule("movement", "movement", "replace"),
        Rule("movement", "skill", "queue"),
        Rule("skill", "skill", "queue"),
    )
)
