"""Players in processes of their own."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from pathlib import Path
from typing import Final

from livingworld import Story, World
from tests.concurrency.programs import PlayerProcess, running
from tests.support.turn_checks import rows

_PROGRAM: Final = Path(__file__).with_name("turn_program.py")
#: Longer than any test waits: whoever has one loses it by nobody's slowness.
LEASE: Final = timedelta(hours=1)
_EXPIRE: Final = "UPDATE livingworld.turn_leases SET expires_at = now() - interval '1 second' WHERE owner IS NOT NULL"


def player(
    url: str, world: World, story: Story, *, clock_offset: float = 0
) -> AbstractAsyncContextManager[PlayerProcess]:
    """Start a player, and end it with the block, whatever it does."""
    return running(_PROGRAM, url, world.id, story.id, LEASE.total_seconds(), clock_offset)


async def expire(url: str) -> None:
    """Let the lease be over, as if its holder had been silent for so long."""
    await rows(url, _EXPIRE)
