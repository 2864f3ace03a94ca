"""The scripts of a world as a program uses them: published, swapped while others run them, and retired."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Final, TypeVar
from uuid import UUID

from livingworld.background.tasks import BackgroundTasks
from livingworld.errors import ScriptInvalid, ScriptRetired, StillRunning
from livingworld.inputs import check_duration, check_integer
from livingworld.models.scripts import retiring
from livingworld.models.scripts.catalogue import Catalogue, Snapshot, make_script
from livingworld.models.scripts.executions import Execution, Executions
from livingworld.models.scripts.kinds import CheckedScript, ScriptKinds, Validator, check_name
from livingworld.models.scripts.records import Script, ScriptHead, ScriptUsage, ScriptVersion
from livingworld.models.scripts.repository import ScriptRepository
from livingworld.models.scripts.telling import ended_topic, scripts_topic
from livingworld.postgres.keyset import Page
from livingworld.postgres.notifications import Notifications
from livingworld.postgres.transactions.unit_of_work import UnitOfWork

T = TypeVar("T")

_MAX_TIMEOUT: Final = timedelta(days=365)
#: So often a version may be retired between the moment it is read and the moment it is run.
_TRIES: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptServices:
    """What scripts need of the process they run in."""

    unit: UnitOfWork
    #: For what must get through while the pool is busy: few connections of its own.
    background: UnitOfWork
    world_id: UUID
    tasks: BackgroundTasks
    notifications: Notifications
    #: The validators of this LivingWorld.
    kinds: ScriptKinds
    #: One opened LivingWorld.
    process_id: UUID
    #: A process that is not heard of for so long runs nothing any more.
    lease: timedelta
    poll_interval: timedelta


class Scripts:
    """The scripts of one world; what is written here is told to every process that follows them."""

    def __init__(self, services: ScriptServices) -> None:
        self._services = services
        self._stored = ScriptRepository(services.unit, services.world_id)
        shared = (services.background, services.world_id, services.tasks, services.notifications)
        self._executions = Executions(*shared, process_id=services.process_id, lease=services.lease)
        self._catalogue = Catalogue(*shared, kinds=services.kinds, poll_interval=services.poll_interval)
        #: The last version of each script that was run without following, as its validators read it.
        self._compiled: dict[str, tuple[int, Script]] = {}

    def register(self, kind: str, validator: Validator) -> None:
        """Let scripts of a kind be read by a function of the body that returns what runs, or raises.

        It holds for all worlds of this LivingWorld, and replaces a former one; "plain" and "jinja2" are there.
        """
        self._services.kinds.register(kind, validator)

    def check(self, name: str, body: str, *, kind: str = "jinja2") -> CheckedScript:
        """Return a text as it can be published, also in a transaction; no SQL. Raises ScriptInvalid, InvalidInput."""
        return self._services.kinds.check(name, body, kind)

    async def publish(
        self, name: str, body: str, *, kind: str = "jinja2", expected_version: int | None = None, activate: bool = True
    ) -> ScriptVersion:
        """Check a text and store it as the script's next version, which it returns; no version is ever changed.

        The first one makes the script. A text equal to the newest version's is that version. `expected_version` is the
        number of the newest version, 0 for no script yet. Raises ScriptInvalid before any SQL, VersionConflict.
        """
        checked = self.check(name, body, kind=kind)
        return await self._told(self._stored.publish(checked, expected_version=expected_version, activate=activate))

    async def publish_all(
        self, scripts: Iterable[CheckedScript], *, activate: bool = True
    ) -> tuple[ScriptVersion, ...]:
        """Do as `publish` with several texts that were checked: others see all of the new versions, or none."""
        return await self._told(self._stored.publish_all(scripts, activate=activate))

    async def activate(self, name: str, version: int, *, expected_activation: int | None = None) -> ScriptVersion:
        """Make a version the active one and return it, as ScriptRepository.activate does."""
        return await self._told(self._stored.activate(name, version, expected_activation=expected_activation))

    async def rollback(
        self, name: str, *, expected_version: int | None = None, expected_activation: int | None = None
    ) -> ScriptVersion:
        """Make the version active again that was so before, and return it, as ScriptRepository.rollback does."""
        return await self._told(
            self._stored.rollback(name, expected_version=expected_version, expected_activation=expected_activation)
        )

    async def get(self, name: str, version: int | None = None) -> ScriptVersion:
        """Return a version of a script with its text, without one the active version; raises ScriptNotFound."""
        return await self._stored.get(name, version)

    async def list(self, *, after: str | None = None, limit: int = 50) -> Page[ScriptHead]:
        """Return a page of the world's scripts, by name."""
        return await self._stored.list(after=after, limit=limit)

    async def versions(self, name: str, *, after: str | None = None, limit: int = 50) -> Page[ScriptUsage]:
        """Return a page of a script's versions with who runs each and since when, the newest version first."""
        return await self._stored.versions(name, after=after, limit=limit)

    @asynccontextmanager
    async def use(self, name: str) -> AsyncIterator[Script]:
        """Give the active version of a script, the same one for the whole block whatever is activated meanwhile.

        Taken from the catalogue where this process follows, else read. That it runs here is stored while the block
        runs, in one row for all blocks of a version in a process. Raises ScriptNotFound, and ScriptInvalid when this
        process cannot compile it. Nothing is locked in the block.
        """
        script, execution = await self._pin(check_name(name))
        try:
            yield script
        finally:
            await self._executions.end(execution)

    async def retire(self, name: str, version: int, *, timeout: timedelta = timedelta(seconds=30)) -> ScriptVersion:
        """Let nobody begin to run a version, wait until nobody does, and return it, retired for ever.

        Raises StillRunning with who runs it after `timeout`: then, and when this is cancelled, the mark stays until
        the version is activated or its retirement is asked for again. A process that follows hears of the mark as of
        everything else. Dead processes count until their lease ends. Raises ScriptActive, ScriptNotFound.
        """
        key, number = check_name(name), check_integer("version", version, minimum=1)
        limit = check_duration("timeout", timeout, maximum=_MAX_TIMEOUT)
        services = self._services
        clock = asyncio.get_running_loop().time
        end, told = clock() + limit.total_seconds(), False
        with services.notifications.subscribe(ended_topic(services.world_id)) as subscription:
            while True:
                found, running = await services.unit.run(
                    lambda tx: retiring.retire_if_idle(tx, services.world_id, key, number), repeatable=True
                )
                if found.state == "retired":
                    return found
                if not told:
                    services.notifications.notify(scripts_topic(services.world_id))
                    told = True
                if (left := end - clock()) <= 0:
                    raise StillRunning(version=number, executions=running)
                await subscription.wait(min(services.poll_interval, timedelta(seconds=left)))

    def following(self) -> AbstractAsyncContextManager[None]:
        """Keep this process's catalogue current while the block runs: at once by notification, else by polling.

        Every script is compiled before the one swap. When one does not compile here, all that were in service stay;
        that is logged, and `refusal` says why. Raises ScriptInvalid when it is so from the start.
        """
        return self._catalogue.following()

    @property
    def catalogue(self) -> Snapshot:
        """The scripts in service in this process, by name, as one immutable snapshot; empty while nobody follows."""
        snapshot = self._catalogue.snapshot
        return MappingProxyType({}) if snapshot is None else snapshot

    @property
    def refusal(self) -> ScriptInvalid | None:
        """Why the newest scripts are not in service in this process; None: they are."""
        return self._catalogue.refusal

    async def _pin(self, name: str) -> tuple[Script, Execution]:
        """Return a version with the proof that it runs here; one that is being retired makes room for the active."""
        script = self.catalogue.get(name)
        for _ in range(_TRIES):
            if script is None:
                script = await self._read(name)
            execution = await self._executions.begin(script.name, script.version)
            if execution is not None:
                return script, execution
            script = None
        raise ScriptRetired

    async def _read(self, name: str) -> Script:
        version = await self._stored.get(name)
        revision, known = self._compiled.get(name, (None, None))
        if known is None or known.version != version.version or revision != self._services.kinds.revision:
            revision, known = self._services.kinds.revision, make_script(version, self._services.kinds)
            self._compiled[name] = (revision, known)
        return known

    async def _told(self, write: Awaitable[T]) -> T:
        result = await write
        await self._catalogue.catch_up()
        return result
