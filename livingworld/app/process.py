"""What one process shares: its pools, notifications and background tasks, and the shared parts of each world."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID
from weakref import WeakValueDictionary

from sqlalchemy import URL, func, select

from livingworld.app.streams import STREAMS
from livingworld.app.transaction_scope import TransactionScope
from livingworld.background.tasks import BackgroundTasks
from livingworld.contention.monitor import LockMonitor
from livingworld.coordination.cycles.running import Cycles
from livingworld.coordination.locks.leases import Leases
from livingworld.errors import LivingWorldError
from livingworld.identifiers import new_id
from livingworld.live.live import Live
from livingworld.live.polling import LivePolling
from livingworld.live.presence import Presences
from livingworld.models.embeddings.pipeline import WorldEmbeddings
from livingworld.models.scripts.kinds import ScriptKinds
from livingworld.models.scripts.running import Scripts
from livingworld.models.scripts.template_limits import LIMITS, TemplateLimits
from livingworld.observability import instruments
from livingworld.observability.metrics import Metrics
from livingworld.postgres.connections.driver_connection import request_cancel
from livingworld.postgres.connections.engine import Revive, create_engine, listening_connection
from livingworld.postgres.group_commit.group_commit import GroupCommit
from livingworld.postgres.group_commit.group_meter import GroupMeter
from livingworld.postgres.group_commit.requests import GroupLimits
from livingworld.postgres.notifications import Notifications
from livingworld.postgres.replicas.identity import Primary
from livingworld.postgres.replicas.reading import ReplicaReads
from livingworld.postgres.replicas.rest import Rest
from livingworld.postgres.replicas.standby import Standby
from livingworld.postgres.services import Services
from livingworld.postgres.transactions.admission import Admission, outside
from livingworld.postgres.transactions.database import Database
from livingworld.postgres.transactions.lock_watch import LockWatch
from livingworld.postgres.transactions.several_nodes import cancelling, several_nodes
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.postgres.transactions.world_database import WorldDatabase
from livingworld.story.lore.lore_keys import LoreKeys
from livingworld.story.search.word_indexer import WordIndexer
from livingworld.story.stories.appending import append_together
from livingworld.story.stories.scene_appender import Appends
from livingworld.story.turns.renewals import Renewals
from livingworld.story.turns.take_turn import Turns
from livingworld.story.turns.turn_parts import Commits, TurnParts
from livingworld.story.turns.turn_queue import Takes
from livingworld.story.turns.waiting import patience
from livingworld.story.turns.writing import commit_turns, take_turns

if TYPE_CHECKING:
    from livingworld.settings.settings import Settings

#: The kinds of group commits.
_GROUPS: Final = ("append", "take turn", "commit turn")
#: A turn costs the server and the process several times what an append does: from so many on, two groups at once pay.
_TURNS_WORTHWHILE: Final = 8


class Process:
    """An open LivingWorld, as its worlds use it."""

    def __init__(self, settings: Settings, url: URL, *, revive_server: Revive | None = None) -> None:
        self.settings = settings
        self.admission = Admission()
        self.metrics = Metrics()
        self._engine = partial(create_engine, url=url, revive_server=revive_server)
        self.background = self._pool(_with(settings, settings.background_connections), name="background")
        self.notifications = Notifications(_listening(settings, url), self.background)
        self.database = self._pool(settings, name="work")
        self.database.notify = self.background.notify = self.notifications.notify
        self._cancel_where_certain()
        self.tasks = BackgroundTasks(outside)
        self.lock_monitor = self._observe()
        self.live_polling = LivePolling(self.background, self.notifications, self.tasks, settings)
        self._word_indexer = WordIndexer(self.background, self.tasks)
        if settings.index_words:
            self.database.work_left = self._word_indexer.wake
        self.replica = self._replica_of(settings)
        #: Counts the group commits of all worlds, by kind.
        self.group_meters = {kind: GroupMeter(self.metrics, kind) for kind in _GROUPS}
        #: Identifies this LivingWorld to other processes.
        self.id = UUID(int=new_id().int)
        self.script_kinds = ScriptKinds(_template_limits(settings))
        #: By the embedder's name: limits its concurrent batches, over all worlds.
        self._gates: dict[str, asyncio.Semaphore] = {}
        #: Shared by the pipelines of a world, which may outlive its World.
        self.embeddings: WeakValueDictionary[UUID, WorldEmbeddings] = WeakValueDictionary()
        #: One for each world that is in use here, until its last World and its last request have ended.
        self._shared_parts: WeakValueDictionary[UUID, SharedParts] = WeakValueDictionary()

    def _cancel_where_certain(self) -> None:
        self.database.several_nodes = self.background.several_nodes = several_nodes(self.background)
        # Behind a pooler the process id is the pooler's.
        cancel = request_cancel if self.settings.behind_pooler else self._cancel_session
        self.database.cancel_session = cancelling(cancel, self.database.several_nodes)

    def _observe(self) -> LockMonitor:
        self.tasks.observe(self.metrics)
        self.metrics.observe(instruments.LISTENING, self.notifications.arrive)
        watch = self.database.lock_watch = self.background.lock_watch = LockWatch(self.settings, self.metrics)
        monitor = LockMonitor(self.background, watch, self.tasks, self.settings)
        watch.look = monitor.wake
        return monitor

    def _replica_of(self, settings: Settings) -> ReplicaReads | None:
        if (url := settings.standby_url()) is None:
            return None
        rest = Rest(settings.replica_pause)
        standby = Standby(settings, url, rest, self.tasks, self.admission, self.metrics)
        standby.work_left = self.database.work_left
        primary = Primary(self.background, self.tasks, settings.replica_pause)
        return ReplicaReads(settings, standby, primary, rest, self.metrics)

    def _pool(self, settings: Settings, *, name: str) -> Database:
        return Database(self._engine(settings), settings, admission=self.admission, metrics=self.metrics, name=name)

    @asynccontextmanager
    async def one_connection(self) -> AsyncIterator[Database]:
        """Give a pool of one connection for long work, which takes none from the calls of the application."""
        self.database.refuse_misplaced()
        one = _with(self.settings, 1)
        database = Database(self._engine(one), one, admission=self.admission)  # metrics of its own, which end with it
        database.notify, database.work_left = self.database.notify, self.database.work_left
        try:
            yield database
        finally:
            await database.close()

    def services(self, world_id: UUID) -> Services:
        """Return the services of this process for the parts of a world."""
        return Services(
            unit=WorldDatabase(self.database, world_id, self.replica),
            background=WorldDatabase(self.background, world_id),
            notifications=self.notifications,
            tasks=self.tasks,
            settings=self.settings,
            metrics=self.metrics,
            process_id=self.id,
        )

    def shared_parts(self, world_id: UUID) -> SharedParts:
        """Return the parts of a world that this process has once."""
        return self._shared_parts.setdefault(world_id, SharedParts(self, world_id))

    def gate(self, embedder: str) -> asyncio.Semaphore:
        """Return the limit of an embedder's concurrent batches."""
        return self._gates.setdefault(embedder, asyncio.Semaphore(self.settings.embedding_concurrency))

    async def _cancel_session(self, connection: Any) -> None:  # noqa: ANN401 - asyncpg's connection
        pid = connection.get_server_pid()
        with suppress(LivingWorldError):  # the statement then ends by its own time limit
            await self.background.run(partial(_cancel, pid=pid), repeatable=True, single_statement=True)

    async def close(self) -> None:
        """Finish the work in progress, and leave no task and no connection behind; raises WrongEventLoop."""
        self.admission.refuse_other_loops()
        try:
            self._word_indexer.close()
            self.database.lock_watch.close()
            await self.tasks.close()
            await asyncio.gather(*(parts.close() for parts in list(self._shared_parts.values())))
            await self.notifications.close()
        finally:
            await self.background.close()
            await self.database.close()
            if self.replica is not None:
                await self.replica.standby.close()


def _listening(settings: Settings, url: URL) -> Callable[[], Awaitable[Any]] | None:
    """Return what opens a connection that listens, or None behind a pooler without a direct way."""
    direct = settings.listening_url() or (None if settings.behind_pooler else url)
    return None if direct is None else listening_connection(settings, direct)


def _with(settings: Settings, pool_size: int) -> Settings:
    return settings.model_copy(update={"pool_size": pool_size})


def _template_limits(settings: Settings) -> TemplateLimits:
    return replace(
        LIMITS,
        characters=settings.template_characters,
        output=settings.template_output_characters,
        seconds=settings.template_timeout.total_seconds(),
    )


async def _cancel(tx: Transaction, *, pid: int) -> None:
    await tx.execute(select(func.pg_cancel_backend(pid)))


class SharedParts:
    """The parts of a world that a process has once: group commits, and the parts that follow other processes."""

    def __init__(self, process: Process, world_id: UUID) -> None:
        self.services = services = process.services(world_id)
        self.one_connection = process.one_connection
        settings, meters = process.settings, process.group_meters
        limits = GroupLimits(
            settings.call_timeout, settings.lock_timeout, process.database.backlog, settings.story_queue_limit
        )
        take = partial(take_turns, lease=settings.turn_lease, patience=patience(settings.poll_interval))
        self.appends: Appends = GroupCommit(process.database, world_id, append_together, limits, meters["append"])
        of_turns = replace(limits, worthwhile=_TURNS_WORTHWHILE)
        takes: Takes = GroupCommit(process.database, world_id, take, of_turns, meters["take turn"])
        commits: Commits = GroupCommit(process.database, world_id, commit_turns, of_turns, meters["commit turn"])
        self._group_commits: tuple[GroupCommit[Any, Any], ...] = (self.appends, takes, commits)
        self.embeddings = process.embeddings.setdefault(world_id, WorldEmbeddings(services, process.gate))
        self.lore_keys = LoreKeys()
        self.leases = Leases(services)
        self.cycles = Cycles(services)
        self.scripts = Scripts(services, process.script_kinds)
        self.live: Live[TransactionScope] = Live(services, process.live_polling, STREAMS, TransactionScope)
        self.presence = Presences(services, STREAMS)
        self.turns = Turns(TurnParts(services, commits, Renewals(services), TransactionScope), takes)

    async def close(self) -> None:
        """Wait until every submitted request is stored or refused."""
        await asyncio.gather(*(group_commit.close() for group_commit in self._group_commits))
