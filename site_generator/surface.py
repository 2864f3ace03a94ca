"""What a program may call: the rooms of a world, and the calls of each."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

from livingworld import LivingWorld, TransactionScope, WorldRecord

#: The name of a room, for example `stories` or `ai_models.samples`, and the room.
Rooms = dict[str, object]
#: Nothing connects before the first call.
_NOWHERE = "postgresql://nobody@localhost/nothing"
_YEAR_ONE = datetime(1, 1, 1, tzinfo=UTC)
_RECORD = WorldRecord(
    id=UUID(int=1),
    key=None,
    name="Saltmarsh",
    tenant=None,
    settings={},
    version=1,
    created_at=_YEAR_ONE,
    updated_at=_YEAR_ONE,
    archived_at=None,
)


@dataclass(frozen=True, slots=True)
class Surface:
    """Every room that a program reaches from `livingworld`, `world` and `tx`."""

    livingworld: Rooms
    world: Rooms
    tx: Rooms


async def surface() -> Surface:
    """Return the rooms of this release."""
    async with LivingWorld.open(database_url=_NOWHERE) as livingworld:
        world = livingworld.worlds._bind(_RECORD)  # noqa: SLF001 - the public way asks a database for the record
        tx = TransactionScope(cast("Any", world._unit))  # noqa: SLF001 - no transaction is opened
        return Surface(_rooms(livingworld), _rooms(world), _rooms(tx))


def calls(room: object) -> Iterator[tuple[str, Any]]:
    """Yield the name and the function, or property, of each public call, in the order in which they are written."""
    kind = room if inspect.isclass(room) else type(room)
    names = [name for each in reversed(kind.__mro__) if _is_ours(each) for name in vars(each)]
    names += [name for name, value in getattr(room, "__dict__", {}).items() if inspect.ismethod(value)]
    for name in dict.fromkeys(names):
        member = inspect.getattr_static(room, name)
        function = getattr(member, "__func__", member)
        if not name.startswith("_") and (inspect.isfunction(function) or isinstance(function, property)):
            yield name, function


def _rooms(scope: object, prefix: str = "") -> Rooms:
    rooms: Rooms = {}
    for name, value in vars(scope).items():
        if not name.startswith("_") and _is_ours(type(value)) and not hasattr(type(value), "__match_args__"):
            rooms[prefix + name] = value
            rooms |= _rooms(value, f"{prefix}{name}.")
    return rooms


def _is_ours(kind: type[Any]) -> bool:
    return kind.__module__.startswith("livingworld.")
