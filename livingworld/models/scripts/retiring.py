"""The end of a version: marked so that no use of it begins, and retired when the last one has ended."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import delete, func, select

from livingworld.errors import ScriptActive
from livingworld.models.scripts.activating import change_version, lock_script, read_version, scripts_topic
from livingworld.models.scripts.records import ScriptExecution, ScriptVersion
from livingworld.models.scripts.rows import make_execution, make_version
from livingworld.models.scripts.tables import script_executions
from livingworld.observability import events
from livingworld.postgres.transactions.transaction import Transaction


def ended_topic(world_id: UUID) -> str:
    """Return the topic that is notified when a retiring version runs in one process less."""
    return f"scripts-ended:{world_id}"


async def retire_if_idle(tx: Transaction, name: str, version: int) -> ScriptVersion | tuple[ScriptExecution, ...]:
    """Mark a version; retire it when no process runs it and return it, else return the processes that run it.

    The mark waits for every use that is about to begin, so that the statement after it sees them. Raises ScriptActive,
    ScriptNotFound.
    """
    script = await lock_script(tx, name)
    now = await read_version(tx, script, version)
    if now.state == "retired":
        return now
    if script.active_version == version:
        raise ScriptActive(version=version)
    await change_version(tx, script, version, state="retiring")
    running = await _still_running(tx, name, version)
    if running:
        if now.state == "ready":
            tx.notify_after_commit(scripts_topic(tx.world_id))
        return running
    retired = await change_version(tx, script, version, state="retired", retired_at=func.now())
    tx.log_after_commit(events.SCRIPT_RETIRED, world_id=tx.world_id, version=version)
    return make_version(retired)


async def _still_running(tx: Transaction, name: str, version: int) -> tuple[ScriptExecution, ...]:
    """Remove what has expired and return the rest; a renewal that comes at this moment is waited for."""
    columns = script_executions.c
    own = (columns.world_id == tx.world_id, columns.name == name, columns.version == version)
    now = await tx.scalar(select(func.clock_timestamp()))
    await tx.execute(delete(script_executions).where(*own, columns.expires_at <= now))
    statement = select(script_executions).where(*own).order_by(columns.since, columns.execution_id)
    return tuple(make_execution(row) for row in await tx.execute(statement))
