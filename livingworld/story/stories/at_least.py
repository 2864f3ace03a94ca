"""How new a read has to be, in the words of a caller: a scene that she has seen, or a token."""

from __future__ import annotations

from typing import Final, TypeAlias
from uuid import UUID

from livingworld.errors import InvalidInput, InvalidType
from livingworld.inputs import check_integer
from livingworld.postgres.replicas.wanted import ANYTHING, Position, Wanted
from livingworld.postgres.transactions.world_unit import WorldUnit
from livingworld.story.stories.records import Scene

#: A scene, as it was seen; the number of a scene of the story that is read, 0: however old; a token of `world.token()`.
AtLeast: TypeAlias = Scene | int | str

_FIELD: Final = "at_least"
# A scene of another history, after a failover that lost some, has the same number and another time.
_SCENE: Final = """
    SELECT 1 FROM livingworld.scenes
    WHERE world_id = $1 AND story_id = $2 AND scene_number = $3 AND version >= $4 AND created_at = $5"""
_NUMBER: Final = "SELECT 1 FROM livingworld.scenes WHERE world_id = $1 AND story_id = $2 AND scene_number = $3"


def wanted(unit: WorldUnit, at_least: object, story_id: UUID | None = None) -> Wanted | None:
    """Return what a standby has to have for a read, of a story or of none; None: the primary is to be read.

    Raises InvalidInput.
    """
    if at_least is None:
        return None
    if isinstance(at_least, Scene):
        seen = at_least
        key = (unit.world_id, seen.story_id, seen.number, seen.version, seen.created_at)
        return Wanted(statement=_SCENE, parameters=key)
    if isinstance(at_least, str):
        return Wanted(Position.read(_FIELD, at_least))
    if not isinstance(at_least, int) or isinstance(at_least, bool):
        raise InvalidType(_FIELD, f"must be a Scene, its number or a token, not {type(at_least).__name__}")
    number = check_integer(_FIELD, at_least)
    if number == 0:
        return ANYTHING
    if story_id is None:
        raise InvalidInput(_FIELD, "is the number of a scene, and this call names no story; give the Scene, or a token")
    return Wanted(statement=_NUMBER, parameters=(unit.world_id, story_id, number))
