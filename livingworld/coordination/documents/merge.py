"""Merging two sides that changed the same document: pure functions, field by field.

`base` is what the caller had read, `theirs` what is stored now, `changes` what the caller wants. Only a field that both
sides changed, and not to the same value, is a conflict; the strategy decides it, and it is reported in any case.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, get_args

from livingworld.coordination.documents.records import ABSENT, MergeConflict
from livingworld.errors import InvalidInput, InvalidType
from livingworld.inputs import check_json_object, check_text
from livingworld.read_only import read_only

#: prefer_newer keeps what is stored: it was written after the base that the caller decided on. last_write_wins takes
#: what the caller wants: it is written last. prefer_higher takes the greater of two numbers and leaves everything else
#: to the caller. manual leaves all of it to the caller.
Strategy: TypeAlias = Literal["prefer_newer", "prefer_higher", "last_write_wins", "manual"]
#: One for all fields, or by field; a field without one is left to the caller.
Strategies: TypeAlias = Strategy | Mapping[str, Strategy]
Side: TypeAlias = Literal["ours", "theirs"]

_STRATEGIES: Final = get_args(Strategy)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """What is merged."""

    base: Mapping[str, Any]
    base_version: int
    theirs: Mapping[str, Any]
    their_version: int
    #: Field by field; ABSENT removes one.
    changes: Mapping[str, Any]


def check_changes(changes: object) -> dict[str, Any]:
    """Return a plain copy of changes if they are a JSON object, but for ABSENT as the value of a field."""
    if not isinstance(changes, Mapping):
        raise InvalidType("changes", f"must be a JSON object, not {type(changes).__name__}")
    removed = {check_text("changes (a key)", field): ABSENT for field, value in changes.items() if value is ABSENT}
    kept = {field: value for field, value in changes.items() if value is not ABSENT}
    return {**check_json_object("changes", kept), **removed}


def check_strategies(strategy: object) -> Strategies:
    """Return the strategies unchanged if each of them is one."""
    for name in strategy.values() if isinstance(strategy, Mapping) else (strategy,):
        if name not in _STRATEGIES:
            raise InvalidInput("strategy", f"must be one of {', '.join(_STRATEGIES)}, or such a one by field")
    return strategy  # type: ignore[return-value]  # just checked


def merge(sides: Sides, strategies: Strategies) -> tuple[dict[str, Any], tuple[MergeConflict, ...]]:
    """Return the merged value and every conflict, resolved or not."""
    merged = dict(sides.theirs)
    conflicts = []
    for field, ours in sides.changes.items():
        base, theirs = sides.base.get(field, ABSENT), sides.theirs.get(field, ABSENT)
        if same(ours, theirs) or same(ours, base):
            continue
        side: Side | None = "ours"
        if not same(theirs, base):
            side = _decide(_of_field(strategies, field), ours, theirs)
            conflicts.append(_conflict(sides, field, side))
        if side == "ours":
            _put(merged, field, ours)
    return merged, tuple(conflicts)


def same(one: Any, other: Any) -> bool:  # noqa: ANN401 - JSON values
    """Return whether two JSON values are equal: 1 and 1.0 are, 1 and true are not."""
    match one, other:
        case dict(), dict():
            return one.keys() == other.keys() and all(same(value, other[name]) for name, value in one.items())
        case list(), list():
            return len(one) == len(other) and all(same(*pair) for pair in zip(one, other, strict=True))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _decide(strategy: Strategy, ours: object, theirs: object) -> Side | None:
    match strategy:
        case "prefer_newer":
            return "theirs"
        case "last_write_wins":
            return "ours"
        case "prefer_higher" if _is_number(ours) and _is_number(theirs):
            return "ours" if ours > theirs else "theirs"  # type: ignore[operator]  # numbers both
    return None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _of_field(strategies: Strategies, field: str) -> Strategy:
    return strategies if isinstance(strategies, str) else strategies.get(field, "manual")


def _conflict(sides: Sides, field: str, resolved: Side | None) -> MergeConflict:
    return MergeConflict(
        field=field,
        base=sides.base.get(field, ABSENT),
        ours=read_only(sides.changes[field]),
        theirs=sides.theirs.get(field, ABSENT),
        base_version=sides.base_version,
        their_version=sides.their_version,
        resolved=resolved,
    )


def _put(merged: dict[str, Any], field: str, value: object) -> None:
    if value is ABSENT:
        merged.pop(field, None)
    else:
        merged[field] = value
