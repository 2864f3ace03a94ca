"""The check of what is given to a lane, and the form in which the database takes it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from livingworld.coordination.actions.records import NewAction, When
from livingworld.errors import InvalidInput, InvalidNumber, InvalidType
from livingworld.identifiers import new_id
from livingworld.inputs import check_duration, check_integer, check_json_object, check_label, check_sequence, check_uuid

#: Most commands of one call.
MAX_ACTIONS: Final = 10_000
MAX_PRIORITY: Final = 1_000_000
MAX_ATTEMPTS: Final = 1_000
_FIRST_YEAR, _LAST_YEAR = 1970, 9000


def check_actions(given: Sequence[NewAction]) -> list[dict[str, Any]]:
    """Return commands as the database takes them; raises InvalidInput with the place of the one that cannot be."""
    checked = check_sequence("actions", given, limit=MAX_ACTIONS)
    rows = [check_action(action, f"actions[{place}].") for place, action in enumerate(checked)]
    if len({row["action_id"] for row in rows}) < len(rows):
        raise InvalidInput("actions", "name one id twice")
    return rows


def check_action(action: NewAction, prefix: str = "") -> dict[str, Any]:
    """Return a command as the database takes it, with an id of its own if it has none."""
    if not isinstance(action, NewAction):
        raise InvalidType(prefix.rstrip(".") or "action", f"must be a NewAction, not {type(action).__name__}")
    at = f"{prefix}priority"
    return {
        "action_id": str(check_uuid(f"{prefix}id", action.id) if action.id is not None else UUID(int=new_id().int)),
        "lane": check_label(f"{prefix}lane", action.lane),
        "kind": check_label(f"{prefix}kind", action.kind),
        "payload": check_json_object(f"{prefix}payload", action.payload),
        "priority": check_integer(at, action.priority, minimum=-MAX_PRIORITY, maximum=MAX_PRIORITY),
        "max_attempts": check_integer(f"{prefix}max_attempts", action.max_attempts, minimum=1, maximum=MAX_ATTEMPTS),
        **_when(f"{prefix}not_before", action.not_before, "not_before", "runs_after"),
        **_when(f"{prefix}deadline", action.deadline, "deadline", "expires_after"),
    }


def _when(field: str, value: When | None, absolute: str, relative: str) -> dict[str, str | int]:
    """Return a time as the database takes it: one of its own clock, or how long after the command has come."""
    if value is None:
        return {}
    if isinstance(value, timedelta):
        return {relative: check_duration(field, value) // timedelta(microseconds=1)}
    if not isinstance(value, datetime):
        raise InvalidType(field, f"must be a datetime or a timedelta, not {type(value).__name__}")
    if value.utcoffset() is None:
        raise InvalidInput(field, "must be a time with its zone")
    if not _FIRST_YEAR <= value.year <= _LAST_YEAR:
        raise InvalidNumber(field, f"must lie in the years {_FIRST_YEAR} to {_LAST_YEAR}")
    return {absolute: value.isoformat()}
