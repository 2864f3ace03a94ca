"""What is decided under the row of a script: its next version, and which of them is active."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as insert_or_keep

from livingworld.errors import NothingToRollBack, ScriptNotFound, ScriptRetired, VersionConflict
from livingworld.models.scripts.kinds import CheckedScript
from livingworld.models.scripts.records import ScriptVersion
from livingworld.models.scripts.rows import make_version
from livingworld.models.scripts.tables import script_activations, script_versions, scripts
from livingworld.observability import events
from livingworld.postgres.locks import in_order, lock_row, row_order_key
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.transactions.transaction import Transaction


async def lock_script(tx: Transaction, name: str) -> Row[Any]:
    """Lock a script against other writers until the transaction ends; raises ScriptNotFound."""
    row = await lock_row(tx, LockKind.SCRIPT, scripts, {"world_id": tx.world_id, "name": name})
    if row is None:
        raise ScriptNotFound
    return row


def scripts_topic(world_id: UUID) -> str:
    """Return the topic that is notified of publications, activations and retirements."""
    return f"scripts:{world_id}"


async def publish_all(
    tx: Transaction, new: Sequence[CheckedScript], expected: Sequence[int | None], *, activate: bool
) -> tuple[ScriptVersion, ...]:
    """Publish scripts, in the order of their names, and return what each came to, in the order given."""
    stored = {}
    for place in sorted(range(len(new)), key=lambda place: new[place].name):
        stored[place] = await _publish(tx, new[place], expected[place], activate=activate)
    return tuple(stored[place] for place in range(len(new)))


async def _publish(tx: Transaction, new: CheckedScript, expected: int | None, *, activate: bool) -> ScriptVersion:
    """Store the next version of a script, or find that the newest one is the same, and return it."""
    key = {"world_id": tx.world_id, "name": new.name}
    async with in_order(tx, LockKind.SCRIPT, row_order_key(key)):  # waits for a transaction that makes it
        await tx.execute(insert_or_keep(scripts).values(**key).on_conflict_do_nothing())
    script = await lock_script(tx, new.name)
    refuse_another(expected, script.last_version)
    newest = await find_version(tx, script, script.last_version)
    if newest is None or newest.digest != new.digest or newest.state == "retired":
        newest = await _store(tx, script, new)
    version = make_version(newest)
    return await activate_version(tx, script, version) if activate else version


async def activate(tx: Transaction, name: str, version: int, expected_activation: int | None) -> ScriptVersion:
    """Make a version the active one and return it."""
    script = await lock_script(tx, name)
    refuse_another(expected_activation, script.activation)
    return await activate_version(tx, script, await read_version(tx, script, version))


async def roll_back(
    tx: Transaction, name: str, expected_version: int | None, expected_activation: int | None
) -> ScriptVersion:
    """Make the version active again that was so before, and return it; once more goes back further."""
    script = await lock_script(tx, name)
    refuse_another(expected_version, script.active_version or 0)
    refuse_another(expected_activation, script.activation)
    before = await _activation(tx, script, script.activation)
    while before is not None and before.back_to is not None:
        before = await _activation(tx, script, before.back_to)
        row = None if before is None else await find_version(tx, script, before.version)
        if before is not None and row is not None and row.state != "retired" and row.version != script.active_version:
            return await activate_version(tx, script, make_version(row), back_to=before.back_to, going_back=True)
    raise NothingToRollBack


async def activate_version(
    tx: Transaction, script: Row[Any], version: ScriptVersion, *, back_to: int | None = None, going_back: bool = False
) -> ScriptVersion:
    """Make a version of a locked script the active one, if it is not; one that is retiring is ready again."""
    if version.state == "retired":
        raise ScriptRetired(version=version.version)
    if script.active_version == version.version:
        return version
    number = script.activation + 1
    values = {"active_version": version.version, "activation": number, "activated_at": func.now()}
    await change_script(tx, script, **values)
    key = {"world_id": script.world_id, "name": script.name, "activation": number}
    before = back_to if going_back else script.activation or None
    await tx.execute(insert(script_activations).values(**key, version=version.version, back_to=before))
    tx.notify_after_commit(scripts_topic(script.world_id))
    tx.log_after_commit(events.SCRIPT_ACTIVATED, world_id=script.world_id, version=version.version, activation=number)
    if version.state == "ready":
        return version
    return make_version(await change_version(tx, script, version.version, state="ready"))


async def find_version(tx: Transaction, script: Row[Any], version: int) -> Row[Any] | None:
    """Return a version of a locked script, or None."""
    return (await tx.execute(select(script_versions).where(*of_version(script, version)))).one_or_none()


async def read_version(tx: Transaction, script: Row[Any], version: int) -> ScriptVersion:
    """Return a version of a locked script; raises ScriptNotFound."""
    row = await find_version(tx, script, version)
    if row is None:
        raise ScriptNotFound(version=version)
    return make_version(row)


async def change_script(tx: Transaction, script: Row[Any], **values: Any) -> None:  # noqa: ANN401 - column values
    """Change columns of a locked script."""
    own = (scripts.c.world_id == script.world_id, scripts.c.name == script.name)
    await tx.execute(update(scripts).where(*own).values(**values))


async def change_version(
    tx: Transaction,
    script: Row[Any],
    version: int,
    **values: Any,  # noqa: ANN401 - column values
) -> Row[Any]:
    """Change columns of a version of a locked script, and return it; waits for a use of it that begins."""
    statement = update(script_versions).where(*of_version(script, version)).values(**values)
    return (await tx.execute(statement.returning(script_versions))).one()


def of_version(script: Row[Any], version: int) -> tuple[Any, ...]:
    """Return the conditions that name a version of a script."""
    columns = script_versions.c
    return (columns.world_id == script.world_id, columns.name == script.name, columns.version == version)


def refuse_another(expected: int | None, actual: int) -> None:
    """Raise VersionConflict when something is expected and something else is there."""
    if expected is not None and expected != actual:
        raise VersionConflict(expected=expected, actual=actual)


async def _store(tx: Transaction, script: Row[Any], new: CheckedScript) -> Row[Any]:
    number = script.last_version + 1
    await change_script(tx, script, last_version=number)
    key = {"world_id": script.world_id, "name": script.name, "version": number}
    statement = insert(script_versions).values(**key, kind=new.kind, body=new.body, digest=new.digest)
    tx.log_after_commit(events.SCRIPT_PUBLISHED, world_id=script.world_id, version=number)
    return (await tx.execute(statement.returning(script_versions))).one()


async def _activation(tx: Transaction, script: Row[Any], number: int) -> Row[Any] | None:
    columns = script_activations.c
    own = (columns.world_id == script.world_id, columns.name == script.name, columns.activation == number)
    return (await tx.execute(select(script_activations).where(*own))).one_or_none()
