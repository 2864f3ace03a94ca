"""Players in processes of their own."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Final

from livingworld import Story, World
from tests.concurrency.programs import PlayerProcess, running

_PROGRAM: Final = Path(__file__).with_name("turn_program.py")


def player(
    url: str, world: World, story: Story, *, lease: float = 30, clock_offset: float = 0
) -> AbstractAsyncContextManager[PlayerProcess]:
    """Start a player, and end it with the block, whatever it does."""
    return running(_PROGRAM, url, world.id, story.id, lease, clock_offset)
