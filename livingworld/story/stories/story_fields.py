"""The fields of a story that a caller gives, each checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from livingworld import inputs
from livingworld.errors import InvalidInput

STATUSES = ("active", "paused", "completed")


def check_status(field: str, status: object) -> str:
    """Return a status of a story; raises InvalidInput for anything else."""
    if not isinstance(status, str) or status not in STATUSES:
        raise InvalidInput(field, f"must be one of {', '.join(STATUSES)}")
    return str.__str__(status)


def checked_new(title: str, premise: str, system_prompt: str, settings: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the fields of a new story, each checked."""
    given = {"title": title, "premise": premise, "system_prompt": system_prompt, "settings": settings or {}}
    return inputs.check_changes(STORY_CHECKS, given)


_check_long = partial(inputs.check_text, limit=inputs.MAX_DESCRIPTION_CHARACTERS)
#: How each field of a story that can be changed is checked.
STORY_CHECKS: Final[Mapping[str, Callable[[str, Any], object]]] = {
    "title": inputs.check_label,
    "premise": _check_long,
    "system_prompt": _check_long,
    "status": check_status,
    "settings": inputs.check_json_object,
}
