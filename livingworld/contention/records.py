"""Who holds what and who waits for whom, in one database at one moment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from livingworld.read_only import read_only


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitedLock:
    """The lock that a session waits for."""

    #: Kind in the order of locks, for example "story" or "lane"; None: it is not in the order, or not known.
    kind: str | None
    #: What PostgreSQL calls it: "tuple" and "transactionid" for a row, "advisory" for a name, "relation" for a table.
    type: str
    #: Mode that is asked for, as PostgreSQL names it.
    mode: str
    #: Table of the row, or None.
    table: str | None
    #: World and story, where they are known.
    world_id: UUID | None
    story_id: UUID | None
    #: Primary key of the row, or the number of a name's lock.
    key: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class LockSession:
    """A session of the database that has a transaction open, waits, or holds up another one."""

    #: Its PostgreSQL process, for `pg_terminate_backend`; behind a pooler the server's, not the client's.
    pid: int
    role: str | None
    application_name: str
    client: str | None
    #: What PostgreSQL says that it does: "active", "idle in transaction"; None: this role may not see it.
    state: str | None
    #: Verb of its last statement with what that names of livingworld's tables and functions; never a value.
    statement: str | None
    #: World that its transaction announced, or None.
    world_id: UUID | None
    #: Since when, and how long, its transaction is open; None: there is none, or this role may not see it.
    open_since: datetime | None
    open_for: timedelta | None
    #: The lock that it waits for, since when, and for how long; None: it waits for none.
    waits_for: WaitedLock | None
    waits_since: datetime | None
    waited: timedelta | None
    #: Sessions that it waits for; 0 is a prepared transaction.
    blocked_by: tuple[int, ...]
    #: livingworld's tables of which it has locked or written rows.
    tables: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldTurn:
    """A turn that is held, which is a lease and no lock: nobody waits for it in PostgreSQL."""

    world_id: UUID
    story_id: UUID
    branch: int
    request_key: str
    player: str | None
    held_for: timedelta
    #: When another one may take the branch unless its holder renews.
    until: datetime
    #: Request keys that wait in line, the next one first.
    line: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LockChain:
    """A session that waits for none, and everybody who waits behind it."""

    #: None: it has ended meanwhile, or is a prepared transaction.
    root: LockSession | None
    #: The longest wait first.
    waiting: tuple[LockSession, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LockReport:
    """Who holds what and who waits for whom."""

    #: The longest open transaction first.
    sessions: tuple[LockSession, ...]
    #: The longest held one first.
    turns: tuple[HeldTurn, ...]
    #: One for each session that holds others up and waits for none itself, the longest wait first.
    chains: tuple[LockChain, ...]
    #: Sessions that wait for each other: PostgreSQL ends one of them after its `deadlock_timeout`.
    cycles: tuple[tuple[LockSession, ...], ...]
    #: What the role of this connection may not see, and what grants it; None: it sees everything.
    missing: str | None

    def as_json(self) -> dict[str, Any]:
        """Return every field, as plain JSON values; durations in seconds, sessions of chains and cycles by `pid`."""
        chains = [
            {"root": each.root and each.root.pid, "waiting": [session.pid for session in each.waiting]}
            for each in self.chains
        ]
        return {
            "sessions": [_plain(each) for each in self.sessions],
            "turns": [_plain(each) for each in self.turns],
            "chains": chains,
            "cycles": [[session.pid for session in cycle] for cycle in self.cycles],
            "missing": self.missing,
        }


def waited_key(parts: Iterable[tuple[str, object]]) -> Mapping[str, Any]:
    """Return the key of a lock as a value that cannot be changed."""
    key: Mapping[str, Any] = read_only(dict(parts))
    return key


def _plain(record: Any) -> Any:  # noqa: ANN401 - a record, or a value of one
    if isinstance(record, LockSession | HeldTurn | WaitedLock):
        record = {name: getattr(record, name) for name in type(record).__slots__}
    if isinstance(record, Mapping):
        return {name: _plain(value) for name, value in record.items()}
    if isinstance(record, tuple):
        return [_plain(value) for value in record]
    if isinstance(record, timedelta):
        return round(record.total_seconds(), 3)
    return record if record is None or isinstance(record, int | float | str) else str(record)
