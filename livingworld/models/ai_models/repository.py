"""The registry of AI models: which versions each role has, and which one is active."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import select

from livingworld.errors import NoActiveModel
from livingworld.identifiers import new_id
from livingworld.inputs import MAX_INTEGER, check_integer, check_uuid
from livingworld.models.ai_models import transitions
from livingworld.models.ai_models.new_model import check_new_model, check_role
from livingworld.models.ai_models.records import AIModel
from livingworld.models.ai_models.rows import make_model
from livingworld.models.ai_models.sample_repository import TrainingSampleRepository
from livingworld.models.ai_models.tables import ai_models
from livingworld.postgres.idempotency import CreateRequest
from livingworld.postgres.keyset import Page, check_limit, number_cursor, page_by
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.postgres.transactions.world_unit import WorldUnit


class AIModelRepository:
    """The AI models of one world.

    Every write but the validation locks the role's row until the transaction ends. All processes are notified after
    the commit when another model became active.
    """

    def __init__(self, unit: WorldUnit) -> None:
        self._unit = unit
        #: What the models were given and answered.
        self.samples = TrainingSampleRepository(unit)

    async def register(
        self,
        role: str,
        *,
        provider: str,
        name: str,
        dimensions: int | None = None,
        settings: Mapping[str, Any] | None = None,
        request_key: str | None = None,
    ) -> AIModel:
        """Store a model in staging and return it, with the next version of its role: 1..n without a gap.

        `settings` are JSON that anybody may read; a key that looks like a secret is InvalidInput. With a `request_key`
        a repetition returns the model as it is now; other arguments under the same key are RequestKeyReused.
        """
        values, model_id = check_new_model(role, provider, name, dimensions, settings), UUID(int=new_id().int)
        request = CreateRequest.of(request_key, LockKind.MODEL, "ai_models.register", values)
        return await self._unit.write_idempotent(transitions.register_once, model_id, values, request)

    async def get(self, model_id: UUID) -> AIModel:
        """Return a model; one round trip, no lock. Raises ModelNotFound."""
        return await self._unit.read(transitions.read_model, check_uuid("model_id", model_id))

    async def list(self, role: str, *, after: str | None = None, limit: int = 50) -> Page[AIModel]:
        """Return a page of a role's models, the newest version first; empty when it has none."""
        key, most = check_role(role), check_limit(limit)
        before = MAX_INTEGER if after is None else number_cursor(after)
        return await self._unit.read(_read_page, key, before, most)

    async def active(self, role: str) -> AIModel:
        """Return the active model of a role; one round trip, no lock. Raises NoActiveModel."""
        key = check_role(role)
        if (model := (await self.all_active()).get(key)) is None:
            raise NoActiveModel
        return model

    async def all_active(self) -> Mapping[str, AIModel]:
        """Return the active model of each role that has one; one round trip, no lock."""
        return await self._unit.read(_read_active)

    async def mark_validated(self, model_id: UUID) -> AIModel:
        """Note that a model was loaded and answered as it should, which `ModelHost.load` finds out; ModelNotFound."""
        return await self._unit.write_single_idempotent(transitions.mark_validated, check_uuid("model_id", model_id))

    async def promote(self, model_id: UUID, *, expected_activation: int | None = None) -> AIModel:
        """Make a validated model of staging the active one of its role, and retire the former, in one step.

        `expected_activation` is the `activation` of the model that is to be replaced, 0 for none yet; when another one
        became active since, ActiveModelChanged. One that is active already stays so. Raises ModelNotFound,
        ModelNotValidated, and ModelNotStaging for a retired one: `rollback` brings the former back.
        """
        key, expected = check_uuid("model_id", model_id), _check_activation(expected_activation)
        return await self._unit.write_idempotent(transitions.promote, key, expected)

    async def rollback(self, role: str, *, expected_activation: int | None = None) -> AIModel:
        """Make the model active again that the active one had replaced, retire that one, and return the former.

        Called again it goes back one further. `expected_activation` is the `activation` of the one to be given up;
        when another one became active since, ActiveModelChanged. Raises NothingToRollBack when there is no former one.
        """
        key, expected = check_role(role), _check_activation(expected_activation)
        return await self._unit.write(transitions.roll_back, key, expected)


async def _read_page(tx: Transaction, role: str, before: int, limit: int) -> Page[AIModel]:
    columns = ai_models.c
    statement = select(ai_models).where(columns.world_id == tx.world_id, columns.role == role, columns.version < before)
    rows = await tx.execute(statement.order_by(columns.version.desc()).limit(limit + 1))
    return page_by([make_model(row) for row in rows], limit, lambda model: model.version)


async def _read_active(tx: Transaction) -> Mapping[str, AIModel]:
    statement = select(ai_models).where(ai_models.c.world_id == tx.world_id, ai_models.c.state == "active")
    return {row.role: make_model(row) for row in await tx.execute(statement)}


def _check_activation(expected: object) -> int | None:
    return None if expected is None else check_integer("expected_activation", expected)
