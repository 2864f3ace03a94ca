"""Every call that locks something when it is made in a transaction that is open."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any, Final, cast

from livingworld import TransactionScope, World
from livingworld.models.scripts.kinds import ScriptKinds
from tests.support.every_call import CALLS
from tests.support.every_write import ALONE, WRITES, Furnished
from tests.support.staging import GaveUp

_CHECKED: Final = ScriptKinds().check("greeting", "Good evening", "plain")
_NEW: Final = ScriptKinds().check("farewell", "Bye", "plain")
#: Beside WRITES.
_MORE: Final = (
    *("stories.restore", "stories.lock", "branches.rewind", "branches.redo", "characters.get_or_create_many"),
    *("facts.set_many", "facts.compare_and_set", "relationships.adjust_many", "documents.merge", "lore.restore"),
    *("tasks.progress", "tasks.fail", "tasks.stop", "tasks.hand_on", "tasks.take_over_dead"),
    *("actions.stop", "actions.expire", "ai_models.mark_validated"),
)
#: By the name that a failure tells, as in `tx.<name>`; each is given a Furnished whose world is a transaction.
JOINED: Final[Mapping[str, Callable[[Any], Any]]] = {
    **{name: write for name, write in WRITES.items() if name not in ALONE},
    **{name: CALLS[name] for name in _MORE},
    "scripts.publish_all": lambda at: at.world.scripts.publish_all([_CHECKED]),
    "scripts.publish_all, new": lambda at: at.world.scripts.publish_all([_NEW]),
    "scripts.publish_all, both": lambda at: at.world.scripts.publish_all([_NEW, _CHECKED]),
    "locks.exclusive": lambda at: at.world.locks.exclusive("harbour"),
    "locks.shared": lambda at: at.world.locks.shared("lighthouse"),
    "locks.try_exclusive": lambda at: at.world.locks.try_exclusive("market"),
}


async def join(name: str, there: Furnished, tx: TransactionScope) -> None:
    """Make a call in a transaction."""
    await JOINED[name](replace(there, world=cast("Any", tx)))


@asynccontextmanager
async def given_up(world: World) -> AsyncIterator[TransactionScope]:
    """Open a transaction of which nothing stays."""
    with suppress(GaveUp):
        async with world.transaction() as tx:
            yield tx
            raise GaveUp
