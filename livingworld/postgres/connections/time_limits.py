"""Time limits as PostgreSQL's settings take them."""

from __future__ import annotations

from datetime import timedelta


def in_milliseconds(limit: timedelta) -> str:
    """Return a limit as the value of a setting; never 0, which would mean no limit."""
    return f"{max(1, round(limit.total_seconds() * 1000))}ms"
