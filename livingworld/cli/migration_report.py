"""Lines about migrations: what ran, what would run, and what is left to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from livingworld.postgres.migration_run import Migrated
from livingworld.postgres.migrations import MigrationStatus
from livingworld.postgres.upgrades.plan import PlannedStep

#: The tables that people ask for first; the others follow.
_FIRST: Final = ("worlds", "stories", "scenes")


def standing(found: MigrationStatus) -> str:
    """Return the line about the revision of a database."""
    if found.current is None:
        behind = f"behind {found.head} by {len(found.pending)}: {', '.join(found.pending)}"
        return f"not migrated yet, {behind}; run `livingworld db upgrade`"
    if not found.pending:
        return f"at revision {found.current}, nothing to do"
    return f"at revision {found.current}, behind {found.head} by {len(found.pending)}: {', '.join(found.pending)}"


def summary(name: str, verb: str, done: Migrated, found: MigrationStatus) -> str:
    """Return the line about what ran on which database."""
    if not done.revisions:
        return f"{name}: {standing(found)}"
    ran = f"{verb} from {_named(done.before)} to {_named(done.after)} ({', '.join(done.revisions)})"
    return f"{name}: {ran}"


def planned(done: Migrated) -> str:
    """Return the line about what a downgrade would take back and destroy."""
    back = f"going back from {_named(done.before)} to {_named(done.after)} takes back {', '.join(done.revisions)}"
    return f"{back} and destroys {losses(done.lost)}"


def plan_of_upgrade(name: str, steps: Sequence[PlannedStep]) -> str:
    """Return a line for each step of an upgrade, below one with the name of the database."""
    if not steps:
        return f"{name}: nothing to do"
    return "\n".join([f"{name}: {len(steps)} steps", *map(_planned_step, steps)])


def _planned_step(step: PlannedStep) -> str:
    limit = "" if step.at_most is None else f", at most {step.at_most.total_seconds():g} s for a statement"
    done = "; done already" if step.done else ""
    return (
        f"  {step.revision} {step.title}: locks {step.locks}, {step.stops}{limit};"
        f" reads {step.reads}; rewrites {step.rewrites}{done}"
    )


def losses(lost: Mapping[str, int]) -> str:
    """Return what is lost: worlds, stories and scenes first."""
    if not lost:
        return "no row"
    names = [name for name in _FIRST if name in lost] + [name for name in lost if name not in _FIRST]
    return ", ".join(f"{name}: {lost[name]:,}" for name in names)


def _named(revision: str | None) -> str:
    return "nothing" if revision is None else f"revision {revision}"
