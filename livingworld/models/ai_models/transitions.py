"""From staging to active to retired: each is one transaction that holds the role's row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import Row, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as insert_or_keep

from livingworld.errors import ActiveModelChanged, ModelNotFound, ModelNotStaging, ModelNotValidated, NothingToRollBack
from livingworld.models.ai_models.tables import ai_model_roles, ai_models
from livingworld.observability import events
from livingworld.postgres.locks import in_order, lock_row, row_order_key
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.transactions.transaction import Transaction


async def find_model(tx: Transaction, world_id: UUID, model_id: UUID) -> Row[Any]:
    """Return a model's row; raises ModelNotFound."""
    own = (ai_models.c.world_id == world_id, ai_models.c.model_id == model_id)
    row = (await tx.execute(select(ai_models).where(*own))).one_or_none()
    if row is None:
        raise ModelNotFound(model_id=model_id)
    return row


async def register(tx: Transaction, world_id: UUID, model_id: UUID, values: Mapping[str, Any]) -> Row[Any]:
    """Store a model in staging under the next version of its role; what was stored before is returned as it is."""
    key = {"world_id": world_id, "role": values["role"]}
    if await lock_row(tx, LockKind.MODEL, ai_model_roles, key) is None:
        async with in_order(tx, LockKind.MODEL, row_order_key(key)):  # waits for somebody who makes it
            await tx.execute(insert_or_keep(ai_model_roles).values(**key).on_conflict_do_nothing())
        await lock_row(tx, LockKind.MODEL, ai_model_roles, key)
    own = (ai_models.c.world_id == world_id, ai_models.c.model_id == model_id)
    if (stored := (await tx.execute(select(ai_models).where(*own))).one_or_none()) is not None:
        return stored
    role = await _count(tx, world_id, values["role"], last_version=ai_model_roles.c.last_version + 1)
    new = {**values, "world_id": world_id, "model_id": model_id, "version": role.last_version}
    return (await tx.execute(insert(ai_models).values(**new).returning(ai_models))).one()


async def promote(tx: Transaction, world_id: UUID, model_id: UUID, expected: int | None) -> Row[Any]:
    """Make a model that is staged the active one of its role, and retire the former; one that is active stays so."""
    role_name = (await find_model(tx, world_id, model_id)).role
    role = await _lock(tx, world_id, role_name)
    if role is None:
        raise ModelNotFound(model_id=model_id)
    model = await find_model(tx, world_id, model_id)
    if model.state == "active":
        return model
    _check_activations(role, expected)
    if model.state != "staging":
        raise ModelNotStaging(state=model.state)
    if model.validated_at is None:
        raise ModelNotValidated(model_id=model_id)
    former = await _retire_active(tx, world_id, role.role)
    promoted = await _activate(tx, role, model_id, replaced_model_id=None if former is None else former.model_id)
    told = {"world_id": world_id, "model_id": model_id, "version": promoted.version, "activation": promoted.activation}
    tx.notify_after_commit(models_topic(world_id))
    tx.log_after_commit(events.MODEL_PROMOTED, **told)
    return promoted


async def roll_back(tx: Transaction, world_id: UUID, role_name: str, expected: int | None) -> Row[Any]:
    """Make the model active again that the active one replaced, and retire that; raises NothingToRollBack."""
    role = await _lock(tx, world_id, role_name)
    if role is None:
        raise NothingToRollBack(activations=0)
    _check_activations(role, expected)
    given_up = (await tx.execute(select(ai_models).where(*_active(world_id, role_name)))).one_or_none()
    if given_up is None or given_up.replaced_model_id is None:
        raise NothingToRollBack(activations=role.activations)
    await _retire_active(tx, world_id, role_name)
    former = await _activate(tx, role, given_up.replaced_model_id, retired_at=None)
    told = {"world_id": world_id, "model_id": former.model_id, "version": former.version}
    tx.notify_after_commit(models_topic(world_id))
    tx.log_after_commit(events.MODEL_ROLLED_BACK, **told, activation=former.activation)
    return former


async def _lock(tx: Transaction, world_id: UUID, role_name: str) -> Row[Any] | None:
    return await lock_row(tx, LockKind.MODEL, ai_model_roles, {"world_id": world_id, "role": role_name})


def _check_activations(role: Row[Any], expected: int | None) -> None:
    if expected is not None and role.activations != expected:
        raise ActiveModelChanged(expected=expected, actual=role.activations)


def _active(world_id: UUID, role_name: str) -> tuple[Any, ...]:
    return (ai_models.c.world_id == world_id, ai_models.c.role == role_name, ai_models.c.state == "active")


async def _retire_active(tx: Transaction, world_id: UUID, role_name: str) -> Row[Any] | None:
    values = {"state": "retired", "retired_at": func.now(), "updated_at": func.now()}
    statement = update(ai_models).where(*_active(world_id, role_name)).values(**values).returning(ai_models)
    return (await tx.execute(statement)).one_or_none()


async def _activate(tx: Transaction, role: Row[Any], model_id: UUID, **values: Any) -> Row[Any]:  # noqa: ANN401
    counted = await _count(tx, role.world_id, role.role, activations=ai_model_roles.c.activations + 1)
    own = (ai_models.c.world_id == role.world_id, ai_models.c.model_id == model_id)
    changed = {"state": "active", "activation": counted.activations, "activated_at": func.now()}
    statement = update(ai_models).where(*own).values(**changed, **values, updated_at=func.now()).returning(ai_models)
    return (await tx.execute(statement)).one()


async def _count(tx: Transaction, world_id: UUID, role_name: str, **values: Any) -> Row[Any]:  # noqa: ANN401
    own = (ai_model_roles.c.world_id == world_id, ai_model_roles.c.role == role_name)
    return (await tx.execute(update(ai_model_roles).where(*own).values(**values).returning(ai_model_roles))).one()


def models_topic(world_id: UUID) -> str:
    """Return the topic on which is told that another model became active."""
    return f"ai_models:{world_id}"
