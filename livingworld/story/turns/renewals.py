"""The leases of the turns that a process holds in a world: those that are due at one moment are renewed together."""

from __future__ import annotations

import asyncio

from livingworld.errors import LivingWorldError
from livingworld.errors.base import own_copy
from livingworld.postgres.services import Services
from livingworld.story.turns.holdings import renew_lease, renew_leases
from livingworld.story.turns.requests import Holding


class Renewals:
    """Renews leases, by one statement for all that are asked for in one turn of the loop."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._due: list[tuple[Holding, asyncio.Future[bool]]] = []

    async def renew(self, holding: Holding) -> bool:
        """Lengthen a lease; False when another holding has it, or the head has moved."""
        renewed: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        if not self._due:
            self._services.tasks.watch(self._renew_due())
        self._due.append((holding, renewed))
        length = self._services.settings.turn_lease
        # One that was left out is asked for alone: it is lost, or its row was locked at that moment.
        if await renewed:
            return True
        return await self._services.background.write_single_idempotent(renew_lease, holding, length)

    async def _renew_due(self) -> None:
        due, self._due = self._due, []
        length = self._services.settings.turn_lease
        try:
            owners = await self._services.background.write_single_idempotent(
                renew_leases, [holding for holding, _ in due], length
            )
        except LivingWorldError as error:
            for _, waiting in due:
                if not waiting.done():
                    waiting.set_exception(own_copy(error))
        except asyncio.CancelledError:
            for _, waiting in due:
                waiting.cancel()
            raise
        else:
            for holding, waiting in due:
                if not waiting.done():
                    waiting.set_result(holding.owner in owners)
