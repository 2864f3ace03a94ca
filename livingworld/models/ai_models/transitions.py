"""From staging to active to retired: each is one transaction that holds the role's row."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import Row, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as insert_or_keep

from livingworld.errors import ActiveModelChanged, ModelNotFound, ModelNotStaging, ModelNotValidated, NothingToRollBack
from livingworld.models.ai_models.records import AIModel
from livingworld.models.ai_models.rows import make_model
from livingworld.models.ai_models.tables import ai_model_roles, ai_models
from livingworld.observability import events
from livingworld.observability.events import Event
from livingworld.postgres.idempotency import CreateRequest, create_once
from livingworld.postgres.locks import ANY, UNKNOWN, in_order, lock_row, row_order_key
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.transactions.transaction import Transaction


async def read_model(tx: Transaction, model_id: UUID) -> AIModel:
    """Return a model; raises ModelNotFound."""
    row = (await tx.execute(select(ai_models).where(*_model(tx, model_id)))).one_or_none()
    if row is None:
        raise ModelNotFound(model_id=model_id)
    return make_model(row)


async def register(tx: Transaction, model_id: UUID, values: Mapping[str, Any]) -> AIModel:
    """Store a model in staging under the next version of its role; what was stored before is returned as it is."""
    key = {"world_id": tx.world_id, "role": values["role"]}
    if await _lock(tx, values["role"]) is None:
        async with in_order(tx, LockKind.MODEL, row_order_key(key)):  # waits for a transaction that makes it
            await tx.execute(insert_or_keep(ai_model_roles).values(**key).on_conflict_do_nothing())
        await _lock(tx, values["role"])
    stored = (await tx.execute(select(ai_models).where(*_model(tx, model_id)))).one_or_none()
    if stored is not None:
        return make_model(stored)
    role = await _count(tx, values["role"], last_version=ai_model_roles.c.last_version + 1)
    new = {**values, "world_id": tx.world_id, "model_id": model_id, "version": role.last_version}
    return make_model((await tx.execute(insert(ai_models).values(**new).returning(ai_models))).one())


async def register_once(
    tx: Transaction, model_id: UUID, values: Mapping[str, Any], request: CreateRequest | None
) -> AIModel:
    """Store a model in staging as `register` does, once for each request key."""

    async def read(registered: str) -> AIModel:
        return await read_model(tx, UUID(registered))

    return await create_once(tx, request, partial(register, tx, model_id, values), read, lambda model: str(model.id))


async def mark_validated(tx: Transaction, model_id: UUID) -> AIModel:
    """Note that a model was loaded and answered a probe; raises ModelNotFound."""
    values = {"validated_at": func.now(), "updated_at": func.now()}
    statement = update(ai_models).where(*_model(tx, model_id)).values(**values).returning(ai_models)
    async with in_order(tx, LockKind.MODEL, ANY):  # waits for a promotion of it
        row = (await tx.execute(statement)).one_or_none()
    if row is None:
        raise ModelNotFound(model_id=model_id)
    tx.lock_order.hold(LockKind.MODEL, UNKNOWN)
    return make_model(row)


async def promote(tx: Transaction, model_id: UUID, expected: int | None) -> AIModel:
    """Make a model that is staged the active one of its role, and retire the former; one that is active stays so."""
    role = await _lock(tx, (await read_model(tx, model_id)).role)
    if role is None:
        raise ModelNotFound(model_id=model_id)
    model = await read_model(tx, model_id)
    if model.state == "active":
        return model
    _check_activations(role, expected)
    if model.state != "staging":
        raise ModelNotStaging(state=model.state)
    if model.validated_at is None:
        raise ModelNotValidated(model_id=model_id)
    former = await _retire_active(tx, role.role)
    promoted = await _activate(tx, role, model_id, replaced_model_id=None if former is None else former.model_id)
    return _announced(tx, events.MODEL_PROMOTED, promoted)


async def roll_back(tx: Transaction, role_name: str, expected: int | None) -> AIModel:
    """Make the model active again that the active one replaced, and retire that; raises NothingToRollBack."""
    role = await _lock(tx, role_name)
    if role is None:
        raise NothingToRollBack(activations=0)
    _check_activations(role, expected)
    given_up = (await tx.execute(select(ai_models).where(*_active(tx, role_name)))).one_or_none()
    if given_up is None or given_up.replaced_model_id is None:
        raise NothingToRollBack(activations=role.activations)
    await _retire_active(tx, role_name)
    former = await _activate(tx, role, given_up.replaced_model_id, retired_at=None)
    return _announced(tx, events.MODEL_ROLLED_BACK, former)


def models_topic(world_id: UUID) -> str:
    """Return the topic that is notified when another model became active."""
    return f"ai_models:{world_id}"


async def _lock(tx: Transaction, role_name: str) -> Row[Any] | None:
    return await lock_row(tx, LockKind.MODEL, ai_model_roles, {"world_id": tx.world_id, "role": role_name})


def _check_activations(role: Row[Any], expected: int | None) -> None:
    if expected is not None and role.activations != expected:
        raise ActiveModelChanged(expected=expected, actual=role.activations)


def _model(tx: Transaction, model_id: UUID) -> tuple[Any, ...]:
    return (ai_models.c.world_id == tx.world_id, ai_models.c.model_id == model_id)


def _active(tx: Transaction, role_name: str) -> tuple[Any, ...]:
    return (ai_models.c.world_id == tx.world_id, ai_models.c.role == role_name, ai_models.c.state == "active")


async def _retire_active(tx: Transaction, role_name: str) -> Row[Any] | None:
    values = {"state": "retired", "retired_at": func.now(), "updated_at": func.now()}
    statement = update(ai_models).where(*_active(tx, role_name)).values(**values).returning(ai_models)
    return (await tx.execute(statement)).one_or_none()


async def _activate(tx: Transaction, role: Row[Any], model_id: UUID, **values: Any) -> AIModel:  # noqa: ANN401
    counted = await _count(tx, role.role, activations=ai_model_roles.c.activations + 1)
    changed = {"state": "active", "activation": counted.activations, "activated_at": func.now()}
    statement = update(ai_models).where(*_model(tx, model_id)).values(**changed, **values, updated_at=func.now())
    return make_model((await tx.execute(statement.returning(ai_models))).one())


async def _count(tx: Transaction, role_name: str, **values: Any) -> Row[Any]:  # noqa: ANN401
    own = (ai_model_roles.c.world_id == tx.world_id, ai_model_roles.c.role == role_name)
    return (await tx.execute(update(ai_model_roles).where(*own).values(**values).returning(ai_model_roles))).one()


def _announced(tx: Transaction, event: Event, model: AIModel) -> AIModel:
    """Have the change notified and logged after the commit, and return the model that is active now."""
    tx.notify_after_commit(models_topic(tx.world_id))
    fields = {"world_id": tx.world_id, "model_id": model.id, "version": model.version, "activation": model.activation}
    tx.log_after_commit(event, **fields)
    return model
