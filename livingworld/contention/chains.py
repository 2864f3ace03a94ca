"""Chains and cycles of waiting sessions; pure, no I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

#: The sessions that each waiting session waits for, by process id.
Blockers = Mapping[int, Sequence[int]]


def roots(blockers: Blockers) -> list[int]:
    """Return who holds others up and waits for none, in the order of their process ids."""
    return sorted({pid for ahead in blockers.values() for pid in ahead} - {pid for pid in blockers if blockers[pid]})


def behind(blockers: Blockers, root: int) -> set[int]:
    """Return who waits for a session, directly or behind another one, without the session itself."""
    found = {root}
    while more := {pid for pid, ahead in blockers.items() if found & set(ahead)} - found:
        found |= more
    return found - {root}


def cycles(blockers: Blockers) -> list[tuple[int, ...]]:
    """Return the groups of sessions that wait for each other, each in the order of its process ids.

    Each is one strongly connected component: two cycles that share a session are one group.
    """
    ahead = {pid: _ahead(blockers, pid) for pid in blockers}
    groups = {tuple(sorted(other for other in ahead[pid] if pid in ahead.get(other, ()))) for pid in ahead}
    return sorted(group for group in groups if group)


def _ahead(blockers: Blockers, pid: int) -> set[int]:
    """Return whom a session waits for, directly or through another one; itself too, when it is in a cycle."""
    found: set[int] = set()
    new = set(blockers[pid])
    while new:
        found |= new
        new = {other for each in new for other in blockers.get(each, ())} - found
    return found
