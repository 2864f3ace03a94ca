"""What a standby is compared with is asked of the primary, however long ago the machine was started."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, cast

from livingworld.background.tasks import BackgroundTasks
from livingworld.postgres.replicas.identity import Identity, Primary
from livingworld.postgres.transactions.database import Database
from tests.support.virtual_time import in_virtual_time

FOUND = Identity(cluster=1, timeline=1, revision="0005", is_distributed=False)


class Asked:
    """Stands for the pool of a primary that answers at once."""

    async def run(self, work: Callable[..., Awaitable[Any]], **_: object) -> Identity:
        del work
        return FOUND


@in_virtual_time  # whose clock begins at 0, as that of a machine does
async def test_the_first_look_waits_for_the_primary() -> None:
    tasks = BackgroundTasks()
    primary = Primary(cast("Database", Asked()), tasks, look_every=timedelta(hours=5))

    assert await primary.identity() == FOUND
