"""On which topics changes of scripts are told."""

from __future__ import annotations

from uuid import UUID


def scripts_topic(world_id: UUID) -> str:
    """Return the topic on which publications, activations and retirements are told."""
    return f"scripts:{world_id}"


def ended_topic(world_id: UUID) -> str:
    """Return the topic on which it is told that a retiring version runs in one process less."""
    return f"scripts-ended:{world_id}"
