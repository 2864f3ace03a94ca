"""What is found by meaning, as frozen records."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, Self
from uuid import UUID

SimilarKind = Literal["scene", "character"]
SIMILAR_KINDS: Final[tuple[SimilarKind, ...]] = ("scene", "character")


@dataclass(frozen=True, slots=True, kw_only=True)
class SimilarText:
    """A scene or a character whose text is near to the query."""

    kind: SimilarKind
    #: The scene; None for a character.
    story_id: UUID | None
    scene_number: int | None
    #: The character; None for a scene.
    character_id: UUID | None
    #: The story's title, or the character's name.
    title: str
    #: The beginning of the scene; "" for a character.
    excerpt: str
    #: The cosine: 1 for the same direction.
    similarity: float


class SimilarTexts(tuple[SimilarText, ...]):  # noqa: SLOT001 - a tuple has no room for slots
    """What was found, the nearest first."""

    #: Whether there were more texts than were compared, so that one of them might be nearer.
    is_cut: bool

    def __new__(cls, found: Iterable[SimilarText], *, is_cut: bool) -> Self:
        """Make it of what was found."""
        made = super().__new__(cls, found)
        made.is_cut = is_cut
        return made
