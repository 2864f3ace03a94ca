"""The scripts of a world as a program uses them: published, swapped while others run them, and retired."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from types import MappingProxyType
from typing import Final

from livingworld.errors import ScriptInvalid, ScriptRetired, StillRunning
from livingworld.inputs import check_duration, check_integer
from livingworld.models.scripts import retiring
from livingworld.models.scripts.catalogue import Catalogue, Snapshot, make_script
from livingworld.models.scripts.executions import Execution, Executions
from livingworld.models.scripts.kinds import CheckedScript, ScriptKinds, Validator, check_name
from livingworld.models.scripts.records import Script, ScriptVersion
from livingworld.models.scripts.repository import ScriptRepository
from livingworld.models.scripts.retiring import ended_topic
from livingworld.postgres.services import Services

_MAX_TIMEOUT: Final = timedelta(days=365)
#: How often a version may be retired between its read and its run.
_TRIES: Final = 20


class Scripts(ScriptRepository):
    """The scripts of one world, and what runs of them in this process; changes are notified after their commit."""

    def __init__(self, services: Services, kinds: ScriptKinds) -> None:
        """`kinds` are the validators of this LivingWorld."""
        self._services = services
        self._kinds = kinds
        self._executions = Executions(services)
        self._catalogue = Catalogue(services, kinds)
        super().__init__(services.unit, self._catalogue.catch_up)
        #: The last version of each script that was run without following, as its validators read it.
        self._compiled: dict[str, tuple[int, Script]] = {}

    def register(self, kind: str, validator: Validator) -> None:
        """Let scripts of a kind be read by a function of the body that returns what runs, or raises; in any thread.

        It holds for all worlds of this LivingWorld, and replaces a former one; "plain" and "jinja2" are there.
        """
        self._kinds.register(kind, validator)

    def check(self, name: str, body: str, *, kind: str = "jinja2") -> CheckedScript:
        """Return a text as it can be published, also in a transaction; no SQL. Raises ScriptInvalid, InvalidInput.

        It compiles at once, where it is called; `publish` does so in a thread.
        """
        return self._kinds.check(name, body, kind)

    async def publish(
        self, name: str, body: str, *, kind: str = "jinja2", expected_version: int | None = None, activate: bool = True
    ) -> ScriptVersion:
        """Check a text and store it as the script's next version, which it returns; no version is ever changed.

        The first one makes the script. A text equal to the newest version's is that version. `expected_version` is the
        number of the newest version, 0 for no script yet. Raises ScriptInvalid before any SQL, VersionConflict.
        """
        checked = await self._kinds.check_beside(name, body, kind)
        if expected_version is not None:
            check_integer("expected_version", expected_version)
        (version,) = await self.publish_all([checked], expected_versions=[expected_version], activate=activate)
        return version

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
        """Let no use of a version begin, wait until the last one has ended, and return it, retired for ever.

        Raises StillRunning with the processes that run it after `timeout`: then, and when this is cancelled, the mark
        stays until the version is activated or its retirement is asked for again. A process that follows is notified
        of the mark. Dead processes count until their lease ends. Raises ScriptActive, ScriptNotFound.
        """
        key, number = check_name(name), check_integer("version", version, minimum=1)
        limit = check_duration("timeout", timeout, maximum=_MAX_TIMEOUT)
        services = self._services
        clock = asyncio.get_running_loop().time
        end = clock() + limit.total_seconds()
        with services.notifications.subscribe(ended_topic(services.world_id)) as subscription:
            while True:
                found = await self._unit.write_idempotent(retiring.retire_if_idle, key, number)
                if isinstance(found, ScriptVersion):
                    return found
                if (left := end - clock()) <= 0:
                    raise StillRunning(version=number, executions=found)
                await subscription.wait(min(services.poll_interval, timedelta(seconds=left)))

    def following(self) -> AbstractAsyncContextManager[None]:
        """Keep this process's catalogue current while the block runs: at once by notification, else by polling.

        Every script is compiled before the one swap. When one does not compile here, all that were in service stay;
        that is logged, and `refusal` says why. Raises ScriptInvalid when it is so from the start.
        """
        return self._catalogue.following()

    @property
    def catalogue(self) -> Snapshot:
        """The scripts in service in this process, by name: one immutable snapshot, empty unless it follows."""
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
        version = await self.get(name)
        revision, known = self._compiled.get(name, (None, None))
        if known is None or known.version != version.version or revision != self._kinds.revision:
            revision, known = self._kinds.revision, await asyncio.to_thread(make_script, version, self._kinds)
            self._compiled[name] = (revision, known)
        return known
