"""The context of a turn: everything a prompt needs, as it stood when the turn was taken."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from livingworld.characters.records import Character
from livingworld.stories.records import Branch, CastMember, Choice, Scene, Story

#: So many of the fields that are told are the story's; the others are the branch's.
_STORY: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnContext:
    """An immutable picture of the place that a turn continues; nothing that others write changes it."""

    story: Story
    branch: Branch
    #: Number of the scene that the turn continues, 0 before the first: what the commit compares with.
    head: int
    #: That scene, or None before the first.
    scene: Scene | None
    #: What the player chose of that scene's choices, or None.
    choice: Choice | None
    instruction: str | None
    #: The last scenes of the path, oldest first, that scene included.
    recent: tuple[Scene, ...]
    #: Who appears in that scene.
    cast: tuple[Character, ...]

    @property
    def choices(self) -> tuple[Choice, ...]:
        """What that scene offers."""
        return self.scene.choices if self.scene else ()


def read_context(
    story_id: UUID, told: str, scenes: Sequence[tuple[Any, ...]], choice: int | None, instruction: str | None
) -> TurnContext:
    """Return the context that take_turns_v1 has told: story and branch as JSON, and rows of scenes in no order."""
    plain = json.loads(told)
    rows = sorted(scenes, key=_position)
    recent = tuple([_scene(row, story_id) for row in rows])
    scene = recent[-1] if recent else None
    chosen = [each for each in (scene.choices if scene else ()) if each.number == choice]
    return TurnContext(
        story=_story(plain[:_STORY], story_id),
        branch=_branch(plain[_STORY:]),
        head=scene.number if scene else 0,
        scene=scene,
        choice=chosen[0] if chosen else None,
        instruction=instruction,
        recent=recent,
        cast=_characters(rows[-1][-1] if rows else None),
    )


def _position(row: tuple[Any, ...]) -> int:
    position: int = row[2]
    return position


def _story(fields: list[Any], story_id: UUID) -> Story:
    title, premise, system_prompt, status, scene_count, current_branch, settings, version, created, updated = fields
    return Story(
        id=story_id,
        title=title,
        premise=premise,
        system_prompt=system_prompt,
        status=status,
        scene_count=scene_count,
        current_branch=current_branch,
        settings=settings,
        version=version,
        created_at=datetime.fromisoformat(created),
        updated_at=datetime.fromisoformat(updated),
        archived_at=None,  # an archived story grants no turn
    )


def _branch(fields: list[Any]) -> Branch:
    number, name, head, length = fields
    return Branch(number=number, name=name, head=head or 0, length=length)


def _scene(row: tuple[Any, ...], story_id: UUID) -> Scene:
    number, parent, position, content, chosen, location, story_time, metadata, version, created, updated, *rest = row
    numbers, choices, cast = rest
    return Scene(
        story_id=story_id,
        number=number,
        parent_number=parent,
        position=position,
        content=content,
        choices=tuple(map(Choice, numbers, choices)) if numbers else (),
        cast=tuple([CastMember(UUID(who), role, share) for who, role, share, _ in json.loads(cast)]) if cast else (),
        chosen_choice=chosen,
        location=location,
        story_time=story_time,
        metadata=json.loads(metadata) if metadata else {},
        version=version,
        created_at=created,
        updated_at=updated,
    )


def _characters(cast: str | None) -> tuple[Character, ...]:
    """Return who appears in the base scene, of whose members the database has told who they are."""
    return tuple(_character(who, *about) for who, _, _, about in json.loads(cast or "[]"))


def _character(character_id: str, *about: Any) -> Character:  # noqa: ANN401 - JSON
    name, card, version, created, updated, names = about
    return Character(
        id=UUID(character_id),
        name=name,
        names=tuple(names or ()),
        card=card,
        version=version,
        created_at=datetime.fromisoformat(created),
        updated_at=datetime.fromisoformat(updated),
    )
