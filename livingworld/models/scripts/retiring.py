"""The end of a version: marked so that nobody begins to run it, and retired when nobody does any more."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import delete, func, select

from livingworld.errors import ScriptActive
from livingworld.models.scripts.activating import change_version, lock_script, read_version
from livingworld.models.scripts.records import ScriptExecution, ScriptVersion, make_execution, make_version
from livingworld.models.scripts.tables import script_executions
from livingworld.observability import events
from livingworld.postgres.transactions.transaction import Transaction


async def retire_if_idle(
    tx: Transaction, world_id: UUID, name: str, version: int
) -> tuple[ScriptVersion, tuple[ScriptExecution, ...]]:
    """Mark a version, retire it when nobody runs it, and return it with who does.

    The mark waits for everybody who is about to begin, so that the statement after it sees them. Raises ScriptActive,
    ScriptNotFound.
    """
    script = await lock_script(tx, world_id, name)
    now = await read_version(tx, script, version)
    if now.state == "retired":
        return now, ()
    if script.active_version == version:
        raise ScriptActive(version=version)
    marked = await change_version(tx, script, version, state="retiring")
    running = await _still_running(tx, world_id, name, version)
    if running:
        return make_version(marked), running
    retired = await change_version(tx, script, version, state="retired", retired_at=func.now())
    tx.log_after_commit(events.SCRIPT_RETIRED, world_id=world_id, version=version)
    return make_version(retired), ()


async def _still_running(tx: Transaction, world_id: UUID, name: str, version: int) -> tuple[ScriptExecution, ...]:
    """Remove what is not heard of any more and return the rest; a beat that comes at this moment is waited for."""
    columns = script_executions.c
    own = (columns.world_id == world_id, columns.name == name, columns.version == version)
    now = await tx.scalar(select(func.clock_timestamp()))
    await tx.execute(delete(script_executions).where(*own, columns.expires_at <= now))
    statement = select(script_executions).where(*own).order_by(columns.since, columns.execution_id)
    return tuple(make_execution(row) for row in await tx.execute(statement))
