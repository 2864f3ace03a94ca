"""Who appends scenes: livingworld, what a person writes by hand, and other libraries, each in its documented way."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Protocol, cast
from uuid import UUID

from scenes import SampleScene

#: Most connections of a contestant in one process.
CONNECTIONS: Final = 16
#: Always measured.
CONTESTANTS: Final = {
    "livingworld": "peers.livingworld_api",
    "asyncpg": "peers.asyncpg_by_hand",
    "orm": "peers.orm_pattern",
}
#: Measured with --peers; they need `pip install -e '.[bench]'`.
PEERS: Final = {
    "sqlalchemy_text": "peers.sqlalchemy_text",
    "eventsourcing": "peers.eventsourcing_application",
    "langgraph": "peers.langgraph_saver",
    "procrastinate": "peers.procrastinate_jobs",
}


class Contestant(Protocol):
    """One of them, connected."""

    async def begin(self, count: int) -> Sequence[UUID]:
        """Begin so many stories."""
        ...

    async def append(self, story_id: UUID, scene: SampleScene) -> object:
        """Append a scene, and return when it is committed."""
        ...

    async def stored(self, story_ids: Sequence[UUID]) -> int:
        """Return how many scenes of these stories are stored."""
        ...


class Module(Protocol):
    """What each module of a contestant has."""

    async def prepare(self, url: str) -> str:
        """Make its tables, and return the name of what it keeps its stories in."""
        ...

    def opened(self, url: str, space: str) -> AbstractAsyncContextManager[Contestant]:
        """Connect."""
        ...


def contestant(name: str) -> Module:
    """Return the module of a contestant."""
    module: Any = importlib.import_module((CONTESTANTS | PEERS)[name])
    return cast("Module", module)
