"""On which topics work is told, and what is asked of those who do it."""

from __future__ import annotations

from uuid import UUID


def actions_topic(world_id: UUID) -> str:
    """Return the topic on which new work of a world is told."""
    return f"actions:{world_id}"


def action_topic(action_id: UUID) -> str:
    """Return the topic on which an action's worker is told that something was asked of it."""
    return f"action:{action_id}"
