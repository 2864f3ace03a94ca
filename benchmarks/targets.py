"""A number beside its target."""

from __future__ import annotations

from typing import Any


def at_most(value: float, target: float) -> dict[str, Any]:
    """Return a number that is to be small."""
    return {"value": value, "at_most": target, "met": value <= target}


def at_least(value: float, target: float) -> dict[str, Any]:
    """Return a number that is to be large."""
    return {"value": value, "at_least": target, "met": value >= target}
