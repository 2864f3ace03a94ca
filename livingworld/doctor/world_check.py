"""A check of one world: a statement that finds what is wrong, and the statements that repair it under a lock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Table

from livingworld.coordination.actions.tables import lanes
from livingworld.coordination.cycles.tables import cycles
from livingworld.coordination.documents.tables import documents
from livingworld.coordination.locks.tables import leases
from livingworld.coordination.sessions.tables import sessions
from livingworld.live.tables import live_streams
from livingworld.models.ai_models.tables import ai_model_roles
from livingworld.models.scripts.tables import scripts
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.story.memories.tables import memory_embedders
from livingworld.story.stories.tables import stories


@dataclass(frozen=True, slots=True)
class Root:
    """The row whose lock every writer of a part of a world takes; a repair takes it too."""

    kind: LockKind
    table: Table
    #: The column beside `world_id`; NULL: the table has one row for each world.
    column: str | None


STORY: Final = Root(LockKind.STORY, stories, "story_id")
SESSION: Final = Root(LockKind.SESSION, sessions, "session_id")
DOCUMENT: Final = Root(LockKind.DOCUMENT, documents, "key")
EMBEDDER: Final = Root(LockKind.MEMORY, memory_embedders, None)
SCRIPT: Final = Root(LockKind.SCRIPT, scripts, "name")
ROLE: Final = Root(LockKind.MODEL, ai_model_roles, "role")
CYCLE: Final = Root(LockKind.CYCLE, cycles, "name")
LEASE: Final = Root(LockKind.LEASE, leases, "name")
LANE: Final = Root(LockKind.LANE, lanes, "lane")
STREAM: Final = Root(LockKind.STREAM, live_streams, "stream_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldCheck:
    """What may be wrong in a world."""

    name: str
    #: Returns a row for each place that is wrong in the world `:world_id`. It is one statement, so it sees one moment,
    #: and finds nothing in a sound world while others write.
    find: str
    wrong: str
    meaning: str
    #: What the repair does, or why it is refused and what to do instead.
    repair: str
    #: What is locked while one place is repaired; NULL: the repair is refused.
    root: Root | None = None
    #: Run for each row under the lock; they take its columns and `:world_id` as parameters.
    statements: tuple[str, ...] = ()
