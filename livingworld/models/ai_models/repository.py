"""The registry of AI models: which versions each role has, and which one is active."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update

from livingworld.errors import InvalidCursor, ModelNotFound, NoActiveModel
from livingworld.identifiers import new_id
from livingworld.inputs import check_integer, check_text, check_uuid
from livingworld.models.ai_models import transitions
from livingworld.models.ai_models.new_model import check_new_model, check_role
from livingworld.models.ai_models.records import AIModel, make_model
from livingworld.models.ai_models.sample_repository import TrainingSampleRepository
from livingworld.models.ai_models.tables import ai_models
from livingworld.postgres.keyset import Page, check_limit
from livingworld.postgres.locks import ANY, UNKNOWN, in_order
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.postgres.transactions.unit_of_work import UnitOfWork


class AIModelRepository:
    """The AI models of one world.

    Every write but the validation locks the role's row until the transaction ends. A model that became active is told
    to all processes after the commit.
    """

    def __init__(self, unit: UnitOfWork, world_id: UUID) -> None:
        self._unit = unit
        self._world_id = world_id
        #: What the models were given and answered.
        self.samples = TrainingSampleRepository(unit, world_id)

    async def register(
        self,
        role: str,
        *,
        provider: str,
        name: str,
        dimensions: int | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> AIModel:
        """Store a model in staging and return it, with the next version of its role: 1..n without a gap.

        `settings` are JSON that anybody may read; a key that looks like a secret is InvalidInput.
        """
        values, model_id = check_new_model(role, provider, name, dimensions, settings), UUID(int=new_id().int)

        async def work(tx: Transaction) -> AIModel:
            return make_model(await transitions.register(tx, self._world_id, model_id, values))

        return await self._unit.run(work, repeatable=True)

    async def get(self, model_id: UUID) -> AIModel:
        """Return a model; one round trip, no lock. Raises ModelNotFound."""
        key = check_uuid("model_id", model_id)

        async def work(tx: Transaction) -> AIModel:
            return make_model(await transitions.find_model(tx, self._world_id, key))

        return await self._unit.run(work, repeatable=True, single_statement=True)

    async def list(self, role: str, *, after: str | None = None, limit: int = 50) -> Page[AIModel]:
        """Return a page of a role's models, the newest version first; empty when it has none."""
        own, most = (ai_models.c.world_id == self._world_id, ai_models.c.role == check_role(role)), check_limit(limit)
        statement = select(ai_models).where(*own).order_by(ai_models.c.version.desc()).limit(most + 1)
        if after is not None:
            statement = statement.where(ai_models.c.version < _version_number(after))

        async def work(tx: Transaction) -> Page[AIModel]:
            found = [make_model(row) for row in await tx.execute(statement)]
            shown = tuple(found[:most])
            return Page(shown, str(shown[-1].version) if len(found) > most else None)

        return await self._unit.run(work, repeatable=True, single_statement=True)

    async def active(self, role: str) -> AIModel:
        """Return the active model of a role; one round trip, no lock. Raises NoActiveModel."""
        key = check_role(role)
        if (model := (await self.all_active()).get(key)) is None:
            raise NoActiveModel
        return model

    async def all_active(self) -> Mapping[str, AIModel]:
        """Return the active model of each role that has one; one round trip, no lock."""
        statement = select(ai_models).where(ai_models.c.world_id == self._world_id, ai_models.c.state == "active")

        async def work(tx: Transaction) -> Mapping[str, AIModel]:
            return {row.role: make_model(row) for row in await tx.execute(statement)}

        return await self._unit.run(work, repeatable=True, single_statement=True)

    async def mark_validated(self, model_id: UUID) -> AIModel:
        """Note that a model was loaded and answered as it should, which `ModelHost.load` finds out; ModelNotFound."""
        key = check_uuid("model_id", model_id)
        own = (ai_models.c.world_id == self._world_id, ai_models.c.model_id == key)
        values = {"validated_at": func.now(), "updated_at": func.now()}
        statement = update(ai_models).where(*own).values(**values).returning(ai_models)

        async def work(tx: Transaction) -> AIModel:
            async with in_order(tx, LockKind.MODEL, ANY):  # waits for who promotes it
                row = (await tx.execute(statement)).one_or_none()
            if row is None:
                raise ModelNotFound(model_id=key)
            tx.lock_order.hold(LockKind.MODEL, UNKNOWN)
            return make_model(row)

        return await self._unit.run(work, repeatable=True, single_statement=True)

    async def promote(self, model_id: UUID, *, expected_activation: int | None = None) -> AIModel:
        """Make a validated model of staging the active one of its role, and retire the former, in one step.

        `expected_activation` is the `activation` of the model that is to be replaced, 0 for none yet; when another one
        became active since, ActiveModelChanged. One that is active already stays so. Raises ModelNotFound,
        ModelNotValidated, and ModelNotStaging for a retired one: `rollback` brings the former back.
        """
        key, expected = check_uuid("model_id", model_id), _check_activation(expected_activation)

        async def work(tx: Transaction) -> AIModel:
            return make_model(await transitions.promote(tx, self._world_id, key, expected))

        return await self._unit.run(work, repeatable=True)

    async def rollback(self, role: str, *, expected_activation: int | None = None) -> AIModel:
        """Make the model active again that the active one had replaced, retire that one, and return the former.

        Called again it goes back one further. `expected_activation` is the `activation` of the one to be given up;
        when another one became active since, ActiveModelChanged. Raises NothingToRollBack when there is no former one.
        """
        key, expected = check_role(role), _check_activation(expected_activation)

        async def work(tx: Transaction) -> AIModel:
            return make_model(await transitions.roll_back(tx, self._world_id, key, expected))

        return await self._unit.run(work)


def _check_activation(expected: object) -> int | None:
    return None if expected is None else check_integer("expected_activation", expected)


def _version_number(cursor: str) -> int:
    check_text("after", cursor)
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < len(str(2**31))):
        raise InvalidCursor("after", "is not the cursor of a page")
    return int(cursor)
