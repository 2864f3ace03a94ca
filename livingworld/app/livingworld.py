"""LivingWorld and its worlds: the entry point of a program."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar
from uuid import UUID

from livingworld.app.process import Process
from livingworld.app.pruning import PRUNE_EVERY, Pruned, Pruning
from livingworld.app.purge_world import purge_world
from livingworld.app.world import World
from livingworld.background.periodic_service import running
from livingworld.bundles.exporting import export_bundle
from livingworld.bundles.files import BundleFile
from livingworld.bundles.importing import import_world
from livingworld.bundles.records import Bundle, Report, ignore
from livingworld.contention.lock_report import read_locks
from livingworld.contention.records import LockReport
from livingworld.embedded_server.embedded_database import embedded_database
from livingworld.inputs import (
    check_boolean,
    check_duration,
    check_function,
    check_integer,
    check_optional_label,
    check_uuid,
)
from livingworld.observability.opentelemetry_metrics import exporting
from livingworld.observability.snapshot import MetricsSnapshot
from livingworld.postgres.transactions.contention import MOST_STORIES, LockContention
from livingworld.postgres.transactions.world_database import WorldDatabase
from livingworld.story.worlds.records import WorldRecord
from livingworld.story.worlds.repository import WorldRepository

if TYPE_CHECKING:
    from livingworld.settings.settings import Settings

T = TypeVar("T")
#: As OpenTelemetry's own reader does.
EXPORT_EVERY: Final = timedelta(seconds=60)
#: So many of the stories that are counted are returned, unless another number is asked for.
HOTTEST: Final = 20
#: Twice before PostgreSQL ends a deadlock, by its default.
LOOK_EVERY: Final = timedelta(seconds=0.4)
LONGEST_PAUSE: Final = timedelta(days=1)


class Worlds:
    """The worlds of a database."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._database = process.database
        self._repository = WorldRepository(process.database, process.settings.tenant)
        self.list = self._repository.list
        self.update = self._repository.update
        self.archive = self._repository.archive
        self.restore = self._repository.restore

    async def create(
        self,
        name: str,
        *,
        tenant: str | None = None,
        settings: Mapping[str, Any] | None = None,
        request_key: str | None = None,
    ) -> World:
        """Store a new world and return it; names need not be unique.

        With a `request_key`, unique in the database, a repetition returns the world as it is now; other arguments under
        the same key are RequestKeyReused.
        """
        return self._bind(
            await self._repository.create(name, tenant=tenant, settings=settings, request_key=request_key)
        )

    async def get_or_create(
        self,
        key: str,
        *,
        name: str | None = None,
        tenant: str | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> tuple[World, bool]:
        """Return the world of a key of the application's own, archived or not, and whether this call made it.

        Keys are unique in the database, whatever the tenant. One round trip when the world exists; the other arguments
        are not used then. A new world without a name is named as its key.
        """
        record, created = await self._repository.get_or_create(key, name=name, tenant=tenant, settings=settings)
        return self._bind(record), created

    async def find_by_key(self, key: str) -> World | None:
        """Return the world of a key, archived or not, or None; one round trip, no lock."""
        record = await self._repository.find_by_key(key)
        return None if record is None else self._bind(record)

    async def get(self, world_id: UUID) -> World:
        """Return a world, archived or not; raises WorldNotFound."""
        return self._bind(await self._repository.get(world_id))

    async def purge(self, world_id: UUID) -> None:
        """Remove the world and everything in it permanently, in one transaction; raises WorldNotFound."""
        key = check_uuid("world_id", world_id)
        await self._refuse_foreign(key)
        await WorldDatabase(self._database, key).write(purge_world)

    async def export_bundle(
        self, world_id: UUID, file: BundleFile, *, vectors: bool = True, progress: Report = ignore
    ) -> Bundle:
        """Write all of a world as it is at one moment to a file of JSON Lines, and return what is in it.

        Holds a connection of its own, and no lock; what is at a path is replaced when all is written. Without `vectors`
        they are left out. Raises WorldNotFound, BundleFileFailed.
        """
        key = check_uuid("world_id", world_id)
        check_function("progress", progress)
        with_vectors = check_boolean("vectors", vectors)
        await self._refuse_foreign(key)
        async with self._process.one_connection() as database:
            return await export_bundle(database, key, None, file, progress, vectors=with_vectors)

    async def import_bundle(
        self, file: BundleFile, *, as_world: UUID | None = None, progress: Report = ignore
    ) -> World:
        """Restore a world from a bundle in one transaction, under its id or `as_world`, and return it.

        What is stored is read back and compared. Under another id it has neither the key nor the request key. Raises
        WorldExists, BundleDamaged, BundleOfOtherSchema, BundleNotRestored, BundleFileFailed.
        """
        key = None if as_world is None else check_uuid("as_world", as_world)
        check_function("progress", progress)
        async with self._process.one_connection() as database:
            return await self.get(await import_world(database, file, key, progress))

    async def _refuse_foreign(self, world_id: UUID) -> None:
        """Raise WorldNotFound for a world of another tenant than that of this process."""
        if self._process.settings.tenant is not None:
            await self._repository.get(world_id)

    def _bind(self, record: WorldRecord) -> World:
        return World(record, self._process.shared_parts(record.id))


class LivingWorld:
    """An open connection to one database and its worlds; made by `open`."""

    def __init__(self, process: Process) -> None:
        self.worlds = Worlds(process)
        self._process = process
        self._pruning = Pruning(process.background, process.settings)

    async def prune(self) -> Pruned:
        """Remove what is older than the settings `keep_...` say from every world, and return how much that was.

        Cached vectors, request keys, published events, ended actions, interactions. Each statement removes at most
        1,000 rows, locks them for its own length, and waits for no other; a row that is in use is left. Several
        processes may prune at once.
        """
        return await self._pruning.prune()

    def pruning(self, *, every: timedelta = PRUNE_EVERY) -> AbstractAsyncContextManager[None]:
        """Prune while the block runs, at its begin and then about so often; what fails is logged, and done later."""
        return self._pruning.pruning(every)

    def metrics(self, *, reader: str | None = None) -> MetricsSnapshot:
        """Return what this LivingWorld has counted and measured, all as of one moment; no statement is sent.

        Since it was opened, or since the last call with the same `reader`, which takes nothing from other readers.
        Raises WrongEventLoop elsewhere, InvalidInput for a seventeenth reader.
        """
        name = check_optional_label("reader", reader)
        self._process.admission.refuse_other_loops()
        return self._process.metrics.snapshot(name)

    async def locks(self) -> LockReport:
        """Return who holds what and who waits for whom, in every session of the database; locks nothing.

        Held turns are leases and stand beside the locks. `missing` says what this role may not see.
        """
        return await self._process.background.run(read_locks, repeatable=True)

    def contention(self, *, stories: int = HOTTEST) -> LockContention:
        """Return what this LivingWorld met at locks since it was opened, by kind of lock and for the hottest stories.

        Kept in memory, for the last 1,000 stories at which a lock was met; other processes count their own. Raises
        WrongEventLoop elsewhere.
        """
        most = check_integer("stories", stories, maximum=MOST_STORIES)
        self._process.admission.refuse_other_loops()
        return self._process.database.lock_watch.contention.report(most)

    def watching_locks(self, *, every: timedelta = LOOK_EVERY) -> AbstractAsyncContextManager[None]:
        """Look at the locks of the whole database about so often while the block runs, and log what is wrong.

        Long waits, long holds, and deadlocks before PostgreSQL ends them, of other programs too. Without it a
        LivingWorld looks only when its own transactions take long. Nothing is ever ended.
        """
        checked = check_duration("every", every, minimum=timedelta.resolution, maximum=LONGEST_PAUSE)
        process = self._process
        return running("watching locks", process.lock_monitor.look_at_all, every=checked, metrics=process.metrics)

    @asynccontextmanager
    async def export_metrics(
        self,
        exporter: Any,  # noqa: ANN401 - OpenTelemetry's
        *,
        every: timedelta = EXPORT_EVERY,
        resource: Any = None,  # noqa: ANN401
    ) -> AsyncIterator[None]:
        """Give the metrics to a MetricExporter of OpenTelemetry about so often while the block runs, and at its end.

        Needs `livingworld[otel]`, else raises MissingPackage. Numbers are cumulative; `resource` is a Resource, by
        default the one of the environment. An export that fails is logged, and the next one has its numbers too.
        """
        self._process.admission.refuse_other_loops()
        length = check_duration("every", every, minimum=timedelta.resolution)
        async with exporting(self._process.metrics, exporter, length, resource):
            yield

    @classmethod
    @asynccontextmanager
    async def open(
        cls, settings: Settings | None = None, *, database_url: str | None = None, replica_url: str | None = None
    ) -> AsyncIterator[LivingWorld]:
        """Connect to PostgreSQL, and leave nothing behind when the block ends.

        `database_url` takes precedence over the settings' URL, and that over the environment's; so does `replica_url`,
        a standby for reads that say `at_least`. The tables of a named database are not changed. Without a URL the
        embedded server is started, or shared with other processes, an event names its data directory, and its tables
        are upgraded to this release. Raises InvalidSettings, EmbeddedServerFailed, SchemaTooNew.
        """
        from livingworld.settings.settings import Settings  # noqa: PLC0415 - with pydantic; only who opens pays for it

        settings = Settings.chosen(settings, database_url, replica_url)
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
