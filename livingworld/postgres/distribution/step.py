"""A step of distributing a database, and what steps of several kinds say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from livingworld.postgres.metadata import SCHEMA

#: The table that the shards of all others stand beside.
BESIDE: Final = "request_keys"


@dataclass(frozen=True, slots=True)
class Step:
    """Something that is missing, and the statements that bring it, in one transaction."""

    #: What is not so yet, for people.
    missing: str
    statements: tuple[str, ...]


def known(function: str, *, is_routed: bool) -> str:
    """Return what makes a function on every node; `is_routed`: and runs a call on the node of its world."""
    place = f", 'in_world_id', colocate_with => '{SCHEMA}.{BESIDE}'" if is_routed else ""
    return f"SELECT create_distributed_function({function}{place})"
