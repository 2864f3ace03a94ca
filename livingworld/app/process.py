"""What one process shares: its pools, its notifications, its background tasks, and the group commits of each world."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final
from uuid import UUID
from weakref import WeakValueDictionary

from sqlalchemy import URL, func, select

from livingworld.background.tasks import BackgroundTasks
from livingworld.coordination.cycles.running import Cycles
from livingworld.coordination.locks.leases import Leases
from livingworld.coordination.sessions.locking import lock_session
from livingworld.errors import LivingWorldError
from livingworld.identifiers import new_id
from livingworld.live.live import Live
from livingworld.live.tail import LiveServices
from livingworld.models.embeddings.pipeline import EmbeddingServices
from livingworld.models.scripts.kinds import ScriptKinds
from livingworld.models.scripts.running import Scripts, ScriptServices
from livingworld.postgres.connections.engine import Revive, create_engine, listening_connection
from livingworld.postgres.group_commit import GroupCommit
from livingworld.postgres.group_requests import GroupLimits
from livingworld.postgres.notifications import Notifications
from livingworld.postgres.services import Services
from livingworld.postgres.transactions.admission import Admission, outside
from livingworld.postgres.transactions.database import Database
from livingworld.settings.settings import Settings
from livingworld.story.characters.cast_names import WorldCastNames
from livingworld.story.stories.appending import append_together
from livingworld.story.stories.writing import lock_story
from livingworld.story.turns.committing import commit_together
from livingworld.story.turns.taking import TakeTogether
from livingworld.story.turns.turn_services import TurnServices

#: Who waits for a turn asks in every polling interval; after so many without a word it is gone.
_MISSED_LOOKS: Final = 12


class Process:
    """An open door to one database, as every world in it uses it."""

    def __init__(self, settings: Settings, url: URL, *, revive_server: Revive | None = None) -> None:
        self.settings = settings
        self.admission = Admission()
        few = settings.model_copy(update={"pool_size": settings.background_connections})
        self.background = Database(create_engine(few, url, revive_server=revive_server), few, admission=self.admission)
        direct = settings.listening_url() or (None if settings.behind_pooler else url)
        connect = None if direct is None else listening_connection(settings, direct)
        self.notifications = Notifications(connect, self.background)
        engine = create_engine(settings, url, revive_server=revive_server)
        self.database = Database(engine, settings, admission=self.admission)
        self.database.notify = self.background.notify = self.notifications.tell
        if not settings.behind_pooler:  # there the process id is the pooler's
            self.database.cancel_session = self._cancel_session
        self.tasks = BackgroundTasks(outside)
        #: Under which others hear of what runs here.
        self.id = UUID(int=new_id().int)
        self.script_kinds = ScriptKinds()
        #: By the embedder's name: how many batches it works on at once, whatever the world.
        self._gates: dict[str, asyncio.Semaphore] = {}
        self._embeddings: WeakValueDictionary[UUID, EmbeddingServices] = WeakValueDictionary()
        #: One for each world that somebody here works in; it goes with the last World and the last request.
        self._writers: WeakValueDictionary[UUID, WorldWriters] = WeakValueDictionary()

    def services(self) -> Services:
        """Return what the parts of every world need of this process."""
        return Services(
            background=self.background,
            notifications=self.notifications,
            tasks=self.tasks,
            poll_interval=self.settings.poll_interval,
        )

    def writers(self, world_id: UUID) -> WorldWriters:
        """Return the group commits of a world."""
        return self._writers.setdefault(world_id, WorldWriters(self, world_id))

    def embeddings(self, world_id: UUID) -> EmbeddingServices:
        """Return what the embedding pipelines of a world share."""
        services = EmbeddingServices(
            world_id=world_id,
            unit=self.database,
            start=self.tasks.watch,
            gate=self._gate,
            batch_size=self.settings.embedding_batch_size,
            chunk_characters=self.settings.embedding_chunk_characters,
        )
        return self._embeddings.setdefault(world_id, services)

    def _gate(self, embedder: str) -> asyncio.Semaphore:
        return self._gates.setdefault(embedder, asyncio.Semaphore(self.settings.embedding_concurrency))

    async def _cancel_session(self, pid: int) -> None:
        with suppress(LivingWorldError):  # then the statement ends by its own time limit
            await self.background.run(
                lambda tx: tx.execute(select(func.pg_cancel_backend(pid))), repeatable=True, single_statement=True
            )

    async def close(self) -> None:
        """Finish what was begun, and leave no task and no connection behind; raises WrongEventLoop."""
        self.admission.refuse_other_loops()
        try:
            await self.tasks.close()
            await asyncio.gather(*(writers.close() for writers in list(self._writers.values())))
            await self.notifications.close()
        finally:
            await self.background.close()
            await self.database.close()


class WorldWriters:
    """The group commits of one world in this process."""

    def __init__(self, process: Process, world_id: UUID) -> None:
        patience = process.settings.poll_interval * _MISSED_LOOKS
        take = TakeTogether(lease=process.settings.turn_lease, patience=patience)
        limits = GroupLimits(process.settings.call_timeout, process.settings.lock_timeout, process.database.backlog)
        self.appends = GroupCommit(process.database, world_id, append_together, limits)
        takes = GroupCommit(process.database, world_id, take, limits)
        commits = GroupCommit(process.database, world_id, commit_together, limits)
        self._all = (self.appends, takes, commits)
        self.embeddings = process.embeddings(world_id)
        self.services = process.services()
        self.leases = Leases(process.database, world_id, self.services)
        self.cycles = Cycles(process.database, world_id, self.services)
        self.scripts = _scripts(process, world_id)
        self.live = _live(process, world_id)
        self.turns = TurnServices(
            world_id=world_id,
            unit=process.database,
            background=process.background,
            takes=takes,
            commits=commits,
            notifications=process.notifications,
            tasks=process.tasks,
            cast_rows=WorldCastNames(world_id),
            lease=process.settings.turn_lease,
            poll_interval=process.settings.poll_interval,
        )

    async def close(self) -> None:
        """Wait until everything that was handed over is stored or refused."""
        await asyncio.gather(*(group_commit.close() for group_commit in self._all))


def _scripts(process: Process, world_id: UUID) -> Scripts:
    services = ScriptServices(
        unit=process.database,
        background=process.background,
        world_id=world_id,
        tasks=process.tasks,
        notifications=process.notifications,
        kinds=process.script_kinds,
        process_id=process.id,
        lease=process.settings.script_lease,
        poll_interval=process.settings.poll_interval,
    )
    return Scripts(services)


def _live(process: Process, world_id: UUID) -> Live:
    shared = (process.database, process.background, world_id, process.tasks, process.notifications)
    services = LiveServices(*shared, process.settings.poll_interval)
    return Live(services, lock_story=lock_story, lock_session=lock_session)
