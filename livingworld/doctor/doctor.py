"""The doctor of one database: finds what is wrong, and repairs what is safe to repair."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final
from uuid import UUID

from sqlalchemy import URL, Row, TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from livingworld.doctor.coordination_checks import COORDINATION_CHECKS
from livingworld.doctor.live_checks import LIVE_CHECKS
from livingworld.doctor.memory_checks import MEMORY_CHECKS
from livingworld.doctor.model_checks import MODEL_CHECKS
from livingworld.doctor.path_checks import PATH_CHECKS
from livingworld.doctor.place_repair import places, repair_place
from livingworld.doctor.records import Finding, Repaired
from livingworld.doctor.reference_checks import REFERENCE_CHECKS
from livingworld.doctor.server_checks import COMMANDS, SERVER_CHECKS, ServerCheck
from livingworld.doctor.state_checks import STATE_CHECKS
from livingworld.doctor.story_checks import STORY_CHECKS
from livingworld.doctor.text_checks import TEXT_CHECKS
from livingworld.doctor.turn_checks import TURN_CHECKS
from livingworld.doctor.world_check import WorldCheck
from livingworld.embedded_server.embedded_database import embedded_database
from livingworld.errors import InvalidInput, LivingWorldError
from livingworld.inputs import check_uuid
from livingworld.postgres.connections.engine import create_engine, unpooled_engine
from livingworld.postgres.connections.scope import SET_SCOPE, scope_of
from livingworld.postgres.distribution.partition_indexes import in_partitions
from livingworld.postgres.driver_errors.failures import DRIVER_EXCEPTIONS, name_failure
from livingworld.postgres.transactions.database import Database
from livingworld.postgres.transactions.world_database import WorldDatabase
from livingworld.settings.settings import Settings

#: In an order in which a repair finds repaired what it goes by: the paths before what stands on them.
WORLD_CHECKS: Final = (
    *STORY_CHECKS,
    *PATH_CHECKS,
    *TEXT_CHECKS,
    *STATE_CHECKS,
    *MEMORY_CHECKS,
    *TURN_CHECKS,
    *COORDINATION_CHECKS,
    *MODEL_CHECKS,
    *LIVE_CHECKS,
    *REFERENCE_CHECKS,
)
#: Every check, by its name.
CHECKS: Final[dict[str, WorldCheck | ServerCheck]] = {check.name: check for check in (*SERVER_CHECKS, *WORLD_CHECKS)}
#: So many rows of a finding are shown.
MAX_EXAMPLES: Final = 5
_WORLDS: Final = text("SELECT w.world_id FROM livingworld.worlds w ORDER BY w.world_id")


class Doctor:
    """Examines one database and repairs it; made by `open`."""

    def __init__(self, engine: AsyncEngine, database: Database) -> None:
        self._in_transactions = engine
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._database = database

    @classmethod
    @asynccontextmanager
    async def open(
        cls, settings: Settings | None = None, *, database_url: str | URL | None = None
    ) -> AsyncIterator[Doctor]:
        """Connect to a database, the embedded server's without a URL, and leave nothing behind when the block ends."""
        named = database_url.render_as_string(hide_password=False) if isinstance(database_url, URL) else database_url
        settings = Settings.chosen(settings, named)
        if (url := settings.url()) is not None:
            async with _opened(settings, url) as doctor:
                yield doctor
            return
        async with embedded_database(settings) as embedded, _opened(settings, embedded.url) as doctor:
            yield doctor

    async def examine(self, world_id: UUID | None = None) -> tuple[Finding, ...]:
        """Return what is wrong in one world, or in the database and all its worlds; changes nothing and locks nothing.

        Each check is one statement, so writers that go on meanwhile cause no finding.
        """
        chosen = None if world_id is None else check_uuid("world_id", world_id)
        failure = None
        try:
            return await self._examine(chosen)
        except DRIVER_EXCEPTIONS as exception:
            failure = name_failure(exception)
        raise failure.error from failure.cause

    async def repair(self, finding: Finding) -> Repaired:
        """Repair what a finding is about, as it is now: each place in one transaction, which locks it as writers do.

        A place of which the repair fails, or is still wrong afterwards, is left as it was. Raises InvalidInput for a
        finding that is not repairable.
        """
        check = CHECKS.get(finding.check)
        if check is None or not finding.repairable:
            raise InvalidInput("finding", f"cannot be repaired. {finding.repair}")
        if isinstance(check, ServerCheck):
            return await self._repair_server(finding, check)
        return await self._repair_world(finding, check)

    async def _examine(self, world_id: UUID | None) -> tuple[Finding, ...]:
        findings = []
        if world_id is None:
            async with self._engine.connect() as connection:
                findings += [found for each in SERVER_CHECKS if (found := await _of_server(connection, each))]
        async with self._in_transactions.connect() as connection:
            worlds = await _worlds(connection) if world_id is None else [world_id]
            for own in worlds:
                findings += [found for each in WORLD_CHECKS if (found := await _of_world(connection, each, own))]
        return tuple(findings)

    async def _repair_world(self, finding: Finding, check: WorldCheck) -> Repaired:
        world = WorldDatabase(self._database, check_uuid("finding.world_id", finding.world_id))
        repaired, reasons = 0, []
        for place in await world.read(places, check):
            try:
                repaired += await world.write_idempotent(repair_place, check, place)
            except LivingWorldError as error:
                reasons.append(str(error))
        return Repaired(finding=finding, repaired=repaired, left=len(reasons), reason=next(iter(reasons), None))

    async def _repair_server(self, finding: Finding, check: ServerCheck) -> Repaired:
        repaired, reasons = 0, []
        async with self._engine.connect() as connection:
            for row in await check.find(connection):
                try:
                    for command in row[COMMANDS]:
                        for each in await connection.run_sync(in_partitions, command):
                            await connection.execute(text(each.replace(":", "\\:")))
                    repaired += 1
                except DRIVER_EXCEPTIONS as exception:
                    reasons.append(str(name_failure(exception).error))
            left = len(await check.find(connection))
        reason = next(iter(reasons), "it is still so; perhaps only the owner of the tables may do it" if left else None)
        return Repaired(finding=finding, repaired=max(0, repaired - left + len(reasons)), left=left, reason=reason)


@asynccontextmanager
async def _opened(settings: Settings, url: URL) -> AsyncIterator[Doctor]:
    # Connections of its own, without time limits: a check of a large world takes long.
    engine = unpooled_engine(settings.listening_url() or url, settings)
    database = Database(create_engine(settings, url), settings)
    try:
        yield Doctor(engine, database)
    finally:
        await database.close()
        await engine.dispose()


async def _worlds(connection: AsyncConnection) -> list[UUID]:
    return [UUID(int=row.world_id.int) for row in await _rows(connection, _WORLDS, None)]


async def _rows(connection: AsyncConnection, statement: TextClause, world_id: UUID | None) -> Sequence[Row[Any]]:
    """Run one statement in a transaction that says whose rows it reads."""
    async with connection.begin():
        await connection.execute(SET_SCOPE, scope_of(world_id, None)._asdict())
        return (await connection.execute(statement, {"world_id": world_id})).all()


async def _of_server(connection: AsyncConnection, check: ServerCheck) -> Finding | None:
    rows = await check.find(connection)
    return _finding(check, None, len(rows), rows, repairable=check.repairable) if rows else None


async def _of_world(connection: AsyncConnection, check: WorldCheck, world_id: UUID) -> Finding | None:
    statement = text(f"SELECT count(*) OVER () AS found_in_all, found.* FROM ({check.find}) found LIMIT {MAX_EXAMPLES}")  # noqa: S608 - our own words
    rows = [row._asdict() for row in await _rows(connection, statement, world_id)]
    if not rows:
        return None
    count = [row.pop("found_in_all") for row in rows].pop()
    return _finding(check, world_id, count, rows, repairable=check.root is not None)


def _finding(
    check: WorldCheck | ServerCheck,
    world_id: UUID | None,
    count: int,
    rows: list[dict[str, object]],
    *,
    repairable: bool,
) -> Finding:
    examples = tuple({name: value for name, value in row.items() if name != COMMANDS} for row in rows[:MAX_EXAMPLES])
    texts = {"wrong": check.wrong, "meaning": check.meaning, "repair": check.repair}
    return Finding(check=check.name, world_id=world_id, count=count, examples=examples, repairable=repairable, **texts)
