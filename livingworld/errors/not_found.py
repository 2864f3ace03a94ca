"""The named thing does not exist."""

from __future__ import annotations

from typing import Final, Self
from uuid import UUID

from livingworld.errors.base import LivingWorldError

#: Stands before the key of a character's name, where an id would be.
NAME_MARK: Final = "@"


class NotFound(LivingWorldError):
    """The named thing does not exist in this world."""


class WorldNotFound(NotFound):
    """There is no such world."""


class StoryNotFound(NotFound):
    """There is no such story in this world."""


class BranchNotFound(NotFound):
    """The story has no such branch."""


class SceneNotFound(NotFound):
    """The story has no such scene."""


class ChoiceNotFound(NotFound):
    """The scene at the head does not offer this choice."""


class SceneNotOnPath(NotFound):
    """The branch does not lead through this scene."""


class CharacterNotFound(NotFound):
    """There is no such character in this world."""

    @classmethod
    def of_reference(cls, reference: str) -> Self:
        """Make it of an id, or of the key of a name behind its mark."""
        if not reference.startswith(NAME_MARK):
            return cls(character_id=UUID(reference))
        name = reference.removeprefix(NAME_MARK)
        hint = f"a fact's subject that is no character is written Subject({name!r})"
        return cls(f"There is no character with the name {name!r} in this world; {hint}.", name=name)


class TurnNotFound(NotFound):
    """The story has no such turn, or has it no more."""


class GenerationNotFound(NotFound):
    """There is no such generation in this world."""


class DocumentNotFound(NotFound):
    """There is no such document in this world, or it has no such version."""


class LoreEntryNotFound(NotFound):
    """There is no such lore entry in this world, or it was removed."""


class MemoryNotFound(NotFound):
    """There is no such memory on this path, or the character does not know it."""


class SessionNotFound(NotFound):
    """There is no such session in this world."""


class PresenceNotFound(NotFound):
    """The connection of the player has left or expired, or never joined in this world."""


class InteractionNotFound(NotFound):
    """The session has no such interaction."""


class TaskNotFound(NotFound):
    """There is no such task in this world."""


class ActionNotFound(NotFound):
    """There is no such action in this world."""


class ScriptNotFound(NotFound):
    """There is no such script in this world, it has no such version, or none of its versions is active."""


class ModelNotFound(NotFound):
    """There is no such AI model in this world."""


class NoActiveModel(NotFound):
    """No AI model of this role was ever promoted."""
