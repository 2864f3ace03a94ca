"""The active version of every script, compiled: one snapshot in each process, swapped whole or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Final

from livingworld.errors import InvalidInput, LivingWorldError, ScriptInvalid
from livingworld.models.scripts import reading
from livingworld.models.scripts.activating import scripts_topic
from livingworld.models.scripts.kinds import ScriptKinds
from livingworld.models.scripts.records import Script, ScriptVersion
from livingworld.observability import events
from livingworld.postgres.services import Services

#: Bodies of one read.
_BATCH: Final = 100

Snapshot = Mapping[str, Script]


class Catalogue:
    """The scripts of one world in this process."""

    def __init__(self, services: Services, kinds: ScriptKinds) -> None:
        self._services = services
        self._kinds = kinds
        self._looking = asyncio.Lock()
        self._blocks = 0
        self._follower: asyncio.Task[None] | None = None
        #: Replaced by one assignment, never changed.
        self._snapshot: Snapshot = MappingProxyType({})
        #: What was active, by which validators, when a version did not compile.
        self._refused: tuple[Mapping[str, int], int] | None = None
        #: Why the newest scripts are not in service here; None: they are.
        self.refusal: ScriptInvalid | None = None

    @property
    def snapshot(self) -> Snapshot | None:
        """Return what is in service, immutable; None while the process does not follow."""
        return None if self._follower is None or self._follower.done() else self._snapshot

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Keep the snapshot current while the block runs; see Scripts.following."""
        self._services.background.refuse_misplaced()
        self._blocks += 1
        try:
            if self._follower is None:
                await self._look()
                if self.refusal is not None:
                    raise self.refusal
            if self._follower is None:
                self._follower = self._services.tasks.watch(self._follow())
            yield
        finally:
            self._blocks -= 1
            await self._stop_if_last()

    async def catch_up(self) -> None:
        """Bring what this process has just written into service, if it follows; polling finds what fails here."""
        if self._follower is not None:
            await self._look_again()

    async def _stop_if_last(self) -> None:
        if self._blocks or self._follower is None:
            return
        follower, self._follower = self._follower, None
        follower.cancel()
        await asyncio.wait([follower])

    async def _follow(self) -> None:
        with self._services.notifications.subscribe(scripts_topic(self._services.world_id)) as subscription:
            while True:
                await self._look_again()
                await subscription.wait_or_poll(self._services.poll_interval)

    async def _look_again(self) -> None:
        try:
            await self._look()
        except LivingWorldError as error:
            events.emit(events.SERVICE_FAILED, service="script catalogue", error=type(error).__name__)

    async def _look(self) -> None:
        """Compile what is new and swap, or keep the snapshot; one look at a time, so that none goes back."""
        async with self._looking:
            active = await self._services.background.read(reading.read_active)
            old, known = self._snapshot, (active, self._kinds.revision)
            if active == {name: script.version for name, script in old.items()}:
                self._refused = self.refusal = None
                return
            if known == self._refused:
                return
            new = [(name, number) for name, number in active.items() if _version(old, name) != number]
            compiled = await self._compile(await self._read(new))
            if compiled is None:
                self._refused = known
            elif len(compiled) == len(new):
                everything = {name: compiled.get(name) or old[name] for name in active}
                self._snapshot = MappingProxyType(everything)
                self._refused = self.refusal = None
                counts = {"scripts": len(active), "changed": len(new)}
                events.emit(events.CATALOGUE_SWAPPED, world_id=self._services.world_id, **counts)

    async def _read(self, versions: list[tuple[str, int]]) -> list[ScriptVersion]:
        found: list[ScriptVersion] = []
        for first in range(0, len(versions), _BATCH):
            found += await self._services.background.read(reading.read_bodies, versions[first : first + _BATCH])
        return found

    async def _compile(self, versions: list[ScriptVersion]) -> dict[str, Script] | None:
        """Return all of them, ready to run; None when one is not, which is logged."""
        compiled = {}
        for version in versions:
            try:
                compiled[version.name] = await asyncio.to_thread(make_script, version, self._kinds)
            except InvalidInput as error:
                line = getattr(error, "line", None)
                self.refusal = ScriptInvalid(f"{version.name} {version.version}", error.reason, line=line)
                events.emit(events.CATALOGUE_KEPT, world_id=self._services.world_id, version=version.version, line=line)
                return None
        return compiled


def make_script(version: ScriptVersion, kinds: ScriptKinds) -> Script:
    """Return a version ready to run; raises ScriptInvalid when this process cannot compile it."""
    return Script(
        name=version.name,
        version=version.version,
        kind=version.kind,
        body=version.body,
        digest=version.digest,
        compiled=kinds.compile(version.kind, version.body),
    )


def _version(snapshot: Snapshot, name: str) -> int | None:
    script = snapshot.get(name)
    return None if script is None else script.version
