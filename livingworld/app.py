"""LivingWorld and World: the only wiring."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from livingworld.ai_models.serving import AIModels
from livingworld.database.database import Database
from livingworld.database.embedded_database import embedded_database
from livingworld.database.idempotency import find_result, record_result, request_hash
from livingworld.database.transaction import Transaction
from livingworld.embeddings.embedder import Embedder
from livingworld.embeddings.pipeline import EmbeddingPipeline
from livingworld.inputs import check_function, check_json, check_json_object, check_label, check_uuid
from livingworld.process import Process, WorldWriters
from livingworld.sessions.sweeping import SweptSessions
from livingworld.sessions.taking_over import SucceededTasks
from livingworld.settings import Settings
from livingworld.transaction_scope import TransactionScope, WorldRepositories
from livingworld.workflows.choose_generation import Generations
from livingworld.workflows.embed_memories import MemoryEmbeddings
from livingworld.workflows.purge_world import purge_world
from livingworld.workflows.search import Search
from livingworld.workflows.take_turn import Turns
from livingworld.workflows.watch_document import WatchedDocuments
from livingworld.workflows.work_actions import Actions
from livingworld.workflows.world_locks import WorldLocks
from livingworld.worlds.records import WorldRecord
from livingworld.worlds.repository import WorldRepository

T = TypeVar("T")


class World(WorldRepositories):
    """One world: its record, and repositories of which each call is one whole transaction with retries."""

    #: Sittings of players.
    sessions: SweptSessions
    #: One of a kind at a time in each session.
    tasks: SucceededTasks
    #: Queued commands, one at a time in each lane.
    actions: Actions
    #: Registered, served and swapped while others use them.
    ai_models: AIModels
    #: Versioned state of the whole world, which can be watched.
    documents: WatchedDocuments

    def __init__(self, database: Database, record: WorldRecord, writers: WorldWriters) -> None:
        super().__init__(database, record.id, writers.appends)
        self._database = database
        self._writers = writers
        #: The world as it was when this object was made.
        self.record = record
        services = writers.services
        self.sessions = SweptSessions(database, record.id)
        self.tasks = SucceededTasks(database, record.id, services)
        self.actions = Actions(database, record.id, services)
        self.ai_models = AIModels(database, record.id, services)
        self.documents = WatchedDocuments(database, record.id, services.notifications, services.poll_interval)
        #: One generation at a time on each branch.
        self.turns = Turns(writers.turns)
        #: What models have answered.
        self.generations = Generations(writers.turns)
        #: Names that one transaction has at a time.
        self.locks = WorldLocks(database, record.id)
        #: The right to do something for longer than a transaction.
        self.leases = writers.leases
        #: Recurring jobs, one instance of each at a time.
        self.cycles = writers.cycles
        #: Named texts that are swapped while others run them.
        self.scripts = writers.scripts
        #: What happens in stories, sessions and the world, as it happens.
        self.live = writers.live
        #: Everything that is told and known, by words.
        self.search = Search(database, record.id)

    def embeddings(self, embedder: Embedder) -> EmbeddingPipeline:
        """Return the way from texts to vectors by this embedder; raises InvalidInput when its name cannot be stored.

        All pipelines of this world in one process share what they compute under one name.
        """
        return EmbeddingPipeline(embedder, self._writers.embeddings)

    def memory_embeddings(self, embedder: Embedder, *former: Embedder) -> MemoryEmbeddings:
        """Return what gives memories their vectors by this embedder, and recalls by a text.

        `former` embedders answer while this one's vectors are not complete; raises InvalidInput as `embeddings` does.
        """
        pipelines = [self.embeddings(each) for each in (embedder, *former)]
        return MemoryEmbeddings(self._database, self.id, pipelines)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[TransactionScope]:
        """Open one transaction: committed when the block ends, rolled back on any error, never repeated.

        Raises TransactionPoisoned when a statement's error was swallowed inside, CommitUnknown when the connection was
        lost in COMMIT. Use `run` for work that may be repeated.
        """
        async with self._database.transaction() as transaction:
            yield TransactionScope(transaction, self.id)

    async def run(
        self,
        work: Callable[[TransactionScope], Awaitable[T]],
        *,
        request_key: str | None = None,
        arguments: Mapping[str, Any] | None = None,
    ) -> T:
        """Run a function of a transaction and return its result; run it again where PostgreSQL said it may be.

        With a `request_key` it takes effect once: a repetition with equal `arguments` returns the stored result, which
        must be JSON, and other arguments are RequestKeyReused. Without one a lost COMMIT is CommitUnknown.
        """
        check_function("work", work)
        if request_key is None:
            return await self._database.run(lambda tx: work(TransactionScope(tx, self.id)))
        key = check_label("request_key", request_key)
        digest = request_hash(check_json_object("arguments", arguments or {}))

        async def once(tx: Transaction) -> T:
            stored = await find_result(tx, self.id, self.id, key, digest)
            if stored is None:
                result = await work(TransactionScope(tx, self.id))
                stored = {"result": check_json("the result of the work", result)}
                await record_result(tx, self.id, self.id, key, digest, stored)
            answer: T = stored["result"]
            return answer

        return await self._database.run(once, repeatable=True)

    @asynccontextmanager
    async def join(self, connection: AsyncConnection | AsyncSession) -> AsyncIterator[TransactionScope]:
        """Work inside a transaction of the caller's own, who commits it or rolls it back.

        The caller's time limits are in force. Raises UnsafeIsolation unless it is READ COMMITTED, and
        TransactionPoisoned at the end of the block when a statement's error was swallowed inside.
        """
        async with self._database.join(connection) as transaction:
            yield TransactionScope(transaction, self.id)


class Worlds:
    """The worlds of a database."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._database = process.database
        self._repository = WorldRepository(process.database)
        self.list = self._repository.list
        self.update = self._repository.update
        self.archive = self._repository.archive
        self.restore = self._repository.restore

    async def create(self, name: str, *, tenant: str | None = None, settings: Mapping[str, Any] | None = None) -> World:
        """Store a new world and return it; names need not be unique."""
        return self._bind(await self._repository.create(name, tenant=tenant, settings=settings))

    async def get(self, world_id: UUID) -> World:
        """Return a world, archived or not; raises WorldNotFound."""
        return self._bind(await self._repository.get(world_id))

    async def purge(self, world_id: UUID) -> None:
        """Remove the world and everything in it for ever, in one transaction; raises WorldNotFound."""
        key = check_uuid("world_id", world_id)
        await self._database.run(lambda tx: purge_world(tx, key))

    def _bind(self, record: WorldRecord) -> World:
        return World(self._database, record, self._process.writers(record.id))


class LivingWorld:
    """An open door to one database; made by `open`."""

    def __init__(self, process: Process) -> None:
        self.worlds = Worlds(process)

    @classmethod
    @asynccontextmanager
    async def open(
        cls, settings: Settings | None = None, *, database_url: str | None = None
    ) -> AsyncIterator[LivingWorld]:
        """Connect to PostgreSQL, and leave nothing behind when the block ends.

        `database_url` before the settings' one, before the environment's; a database that is named so keeps the tables
        it has. Without any the embedded server is started, or shared when another process has it, an event says where
        its data is, and its tables become those of this release. Raises InvalidSettings, EmbeddedServerFailed,
        SchemaTooNew.
        """
        settings = settings or Settings.load()
        if database_url is not None:
            settings = Settings.load(**settings.model_dump() | {"database_url": database_url})
        url = settings.url()
        if url is not None:
            async with _connected(Process(settings, url)) as livingworld:
                yield livingworld
            return
        async with embedded_database(settings) as embedded:
            process = Process(settings, embedded.url, revive_server=embedded.revive)
            async with _connected(process) as livingworld:
                yield livingworld


@asynccontextmanager
async def _connected(process: Process) -> AsyncIterator[LivingWorld]:
    try:
        yield LivingWorld(process)
    finally:
        await process.close()
