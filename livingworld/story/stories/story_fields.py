"""The fields of a story that a caller gives, each checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from livingworld import inputs
from livingworld.errors import InvalidInput

_STATUSES = ("active", "paused", "completed")


def checked_new(title: str, premise: str, system_prompt: str, settings: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the fields of a new story, each checked."""
    inputs.check_label("title", title)
    return checked(title, premise, system_prompt, None, settings or {})


def checked(
    title: str | None,
    premise: str | None,
    system_prompt: str | None,
    status: str | None,
    settings: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return the given fields of a story, each checked."""
    long = inputs.MAX_DESCRIPTION_CHARACTERS
    values: dict[str, Any] = {}
    if title is not None:
        values["title"] = inputs.check_label("title", title)
    if premise is not None:
        values["premise"] = inputs.check_text("premise", premise, limit=long)
    if system_prompt is not None:
        values["system_prompt"] = inputs.check_text("system_prompt", system_prompt, limit=long)
    if status is not None:
        if status not in _STATUSES:
            raise InvalidInput("status", f"must be one of {', '.join(_STATUSES)}")
        values["status"] = status
    if settings is not None:
        values["settings"] = inputs.check_json_object("settings", settings)
    return values
