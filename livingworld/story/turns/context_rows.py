"""The context of a turn, made of the JSON that comes with its grant."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any
from uuid import UUID

from livingworld.story.characters.records import Character
from livingworld.story.facts.records import Fact
from livingworld.story.memories.records import Memory
from livingworld.story.relationships.records import Relationship
from livingworld.story.stories.records import Branch, CastMember, Choice, Scene, Story
from livingworld.story.turns.outcomes import Granted
from livingworld.story.turns.records import TurnContext


def make_context(granted: Granted) -> TurnContext:
    """Return the context of a turn; see turn_contexts_v1.sql."""
    story_id, given = granted.holding.story_id, granted.input
    plain = json.loads(granted.context)
    story = _story(plain["story"], story_id)
    recent = tuple(_scene(fields, story_id) for fields in plain["recent"] or ())
    scene = recent[-1] if recent else None
    chosen = [each for each in (scene.choices if scene else ()) if each.number == given.choice]
    return TurnContext(
        story=story,
        branch=_branch(plain["branch"]),
        head=scene.number if scene else 0,
        scene=scene,
        choice=chosen[0] if chosen else None,
        instruction=given.instruction,
        recent=recent,
        cast=tuple(_character(fields) for fields in plain["cast"] or ()),
        facts=tuple(_fact(fields) for fields in plain["facts"] or ()),
        relationships=tuple(_relationship(fields) for fields in plain["relationships"] or ()),
        memories=tuple(_memory(fields, story_id) for fields in plain["memories"] or ()),
    )


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
        created_at=_time(created),
        updated_at=_time(updated),
        archived_at=None,  # an archived story grants no turn
    )


def _branch(fields: list[Any]) -> Branch:
    number, name, head, length = fields
    return Branch(number=number, name=name, head=head or 0, length=length)


def _scene(fields: list[Any], story_id: UUID) -> Scene:
    number, parent, position, content, chosen, location, story_time, metadata, version, created, updated, *rest = fields
    choices, cast = rest
    return Scene(
        story_id=story_id,
        number=number,
        parent_number=parent,
        position=position,
        content=content,
        choices=tuple(Choice(*choice) for choice in choices or ()),
        cast=tuple(CastMember(UUID(character), role, share) for character, role, share in cast or ()),
        chosen_choice=chosen,
        location=location,
        story_time=story_time,
        metadata=metadata,
        version=version,
        created_at=_time(created),
        updated_at=_time(updated),
    )


def _character(fields: list[Any]) -> Character:
    character_id, name, card, version, created, updated, names = fields
    return Character(
        id=UUID(character_id),
        name=name,
        names=tuple(names or ()),
        card=card,
        version=version,
        created_at=_time(created),
        updated_at=_time(updated),
    )


def _fact(fields: list[Any]) -> Fact:
    subject, attribute, value, version, scene_number, created = fields
    return Fact(
        subject=subject,
        attribute=attribute,
        value=value,
        version=version,
        scene_number=scene_number,
        created_at=_time(created),
    )


def _relationship(fields: list[Any]) -> Relationship:
    source, target, sentiment, trust, familiarity, kind, changes, version, scene_number, created = fields
    return Relationship(
        source=UUID(source),
        target=UUID(target),
        sentiment=float(sentiment),
        trust=float(trust),
        familiarity=float(familiarity),
        kind=kind,
        changes=changes,
        version=version,
        scene_number=scene_number,
        updated_at=_time(created),
    )


def _memory(fields: list[Any], story_id: UUID) -> Memory:
    memory_id, content, character, kind, private, importance, valence, scene_number, summary, created = fields
    return Memory(
        id=UUID(memory_id),
        story_id=story_id,
        content=content,
        character=None if character is None else UUID(character),
        kind=kind,
        private=private,
        importance=float(importance),
        valence=float(valence),
        scene_number=scene_number,
        consolidated_into=None if summary is None else UUID(summary),
        forgotten_at=None,  # what is forgotten is not told
        created_at=_time(created),
    )


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
