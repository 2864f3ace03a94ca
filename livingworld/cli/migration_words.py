"""What migrations did, would do, and have left to do, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from livingworld.postgres.migration_run import Migrated
from livingworld.postgres.migrations import MigrationStatus

#: What a person asks for first; the other tables are named after them.
_FIRST: Final = ("worlds", "stories", "scenes")


def standing(found: MigrationStatus) -> str:
    """Say where a database stands."""
    if found.current is None:
        behind = f"behind {found.head} by {len(found.pending)}: {', '.join(found.pending)}"
        return f"not migrated yet, {behind}; run `livingworld db upgrade`"
    if not found.pending:
        return f"at revision {found.current}, nothing to do"
    return f"at revision {found.current}, behind {found.head} by {len(found.pending)}: {', '.join(found.pending)}"


def told(name: str, verb: str, done: Migrated, found: MigrationStatus) -> str:
    """Say what ran on which database, and where it stands now."""
    if not done.revisions:
        return f"{name}: {standing(found)}"
    ran = f"{verb} from {_named(done.before)} to {_named(done.after)} ({', '.join(done.revisions)})"
    return f"{name}: {ran}"


def planned(done: Migrated) -> str:
    """Say what a downgrade takes back and away."""
    back = f"going back from {_named(done.before)} to {_named(done.after)} takes back {', '.join(done.revisions)}"
    return f"{back} and destroys {losses(done.lost)}"


def losses(lost: Mapping[str, int]) -> str:
    """Name what is lost: worlds, stories and scenes before everything else."""
    if not lost:
        return "no row"
    names = [name for name in _FIRST if name in lost] + [name for name in lost if name not in _FIRST]
    return ", ".join(f"{name}: {lost[name]:,}" for name in names)


def _named(revision: str | None) -> str:
    return "nothing" if revision is None else f"revision {revision}"
