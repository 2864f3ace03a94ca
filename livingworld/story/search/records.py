"""The hits of a search as frozen records."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from livingworld.postgres.keyset import Page

Kind = Literal["scene", "memory", "lore"]
KINDS: Final[tuple[Kind, ...]] = ("scene", "memory", "lore")


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchHit:
    """A text in which the words were found."""

    kind: Kind
    #: The story of a scene or a memory; None for lore.
    story_id: UUID | None
    #: The scene, or the one that a memory stands at; None for lore.
    scene_number: int | None
    #: The memory or the lore entry; None for a scene.
    id: UUID | None
    #: The story's title, or the lore entry's; None for a memory.
    title: str | None
    #: A part of the text with the words marked.
    excerpt: str
    #: How well it matches; the order of the hits.
    rank: float


@dataclass(frozen=True, slots=True)
class SearchPage(Page[SearchHit]):
    """One slice of the hits."""

    #: Whether MAX_LOOKED_AT texts of a kind were ranked, or so many read that are not indexed yet, so that there may be
    #: more, and better ones.
    is_cut: bool
    #: Scenes that this search read itself, because their words were not indexed yet; they make it slower.
    unindexed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchBacklog:
    """What is still to be indexed of a world."""

    #: Texts of scenes; one that was edited again counts again.
    texts: int
    #: Since when the first of them waits; None: nothing does.
    since: datetime | None
