"""The context of a turn, made of the JSON that comes with its grant."""

from __future__ import annotations

import json
from collections import namedtuple
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, TypeAlias

from asyncpg.pgproto.pgproto import UUID

from livingworld.frozen_records import unfrozen
from livingworld.story.characters.rows import make_character
from livingworld.story.facts.rows import make_fact
from livingworld.story.memories.rows import make_memory
from livingworld.story.relationships.rows import make_relationship
from livingworld.story.stories.rows import make_branch, make_scene, make_story
from livingworld.story.turns.outcomes import Granted
from livingworld.story.turns.records import TurnContext

_Maker: TypeAlias = Callable[[Any], Any]
#: The values of each row, in the order in which turn_contexts_v1.sql gives them.
_COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    part: tuple(columns.split())
    for part, columns in {
        "story": "story_id title premise system_prompt status last_scene_number current_branch settings version"
        " created_at updated_at archived_at key last_scene_at",
        "branch": "branch_number name head_scene_number head_position",
        "recent": "scene_number parent_scene_number position content chosen_choice location story_time scene_metadata"
        " scene_version scene_created_at scene_updated_at choices turn_key cast_members",
        "cast": "character_id name card version created_at updated_at key names",
        "facts": "subject name attribute value version scene_number created_at",
        "relationships": "source_id target_id sentiment trust familiarity kind notes changes version scene_number"
        " created_at",
        "memories": "memory_id story_id content character_id kind private importance valence scene_number"
        " consolidated_into forgotten_at version created_at updated_at",
    }.items()
}
_TIMES: Final = (
    *("created_at", "updated_at", "last_scene_at", "archived_at", "forgotten_at"),
    *("scene_created_at", "scene_updated_at"),
)
_IDS: Final = ("story_id", "character_id", "source_id", "target_id", "memory_id", "consolidated_into")
_REALS: Final = ("sentiment", "trust", "familiarity", "importance", "valence")
#: Of the columns that JSON has no type for, what makes their values. A UUID becomes asyncpg's, as it is in a row that
#: was read: a record makes a plain one of it.
_MAKERS: Final[dict[str, _Maker]] = {
    **dict.fromkeys(_TIMES, datetime.fromisoformat),
    **dict.fromkeys(_IDS, UUID),
    **dict.fromkeys(_REALS, float),
}
#: What makes a row of its values, a named tuple; as many as its columns, or it raises TypeError.
_SHAPES: Final[dict[str, _Maker]] = {
    part: namedtuple("Row", columns)._make  # type: ignore[attr-defined]  # noqa: PYI024 - the columns stand above
    for part, columns in _COLUMNS.items()
}
_CONVERSIONS: Final = {
    part: [(place, _MAKERS[name]) for place, name in enumerate(columns) if name in _MAKERS]
    for part, columns in _COLUMNS.items()
}


_UnfrozenContext: Final = unfrozen(TurnContext)


def make_context(granted: Granted) -> TurnContext:
    """Return the context of a turn; see turn_contexts_v1.sql."""
    story_id, given = granted.holding.story_id, granted.input
    found = _Found(json.loads(granted.context))
    recent = tuple(make_scene(row, story_id) for row in found.rows("recent"))
    scene = recent[-1] if recent else None
    chosen = [each for each in (scene.choices if scene else ()) if each.number == given.choice]
    context = _UnfrozenContext(
        story=make_story(found.row("story")),
        branch=make_branch(found.row("branch")),
        head=scene.number if scene else 0,
        scene=scene,
        choice=chosen[0] if chosen else None,
        instruction=given.instruction,
        recent=recent,
        cast=tuple(map(make_character, found.rows("cast"))),
        facts=tuple(map(make_fact, found.rows("facts"))),
        relationships=tuple(map(make_relationship, found.rows("relationships"))),
        memories=tuple(map(make_memory, found.rows("memories"))),
    )
    context.__class__ = TurnContext
    return context


class _Found:
    """What the statement found, as rows that have their columns as attributes."""

    def __init__(self, found: dict[str, Any]) -> None:
        self._found = found

    def row(self, part: str) -> Any:  # noqa: ANN401 - stands for a row
        return _row(_SHAPES[part], _CONVERSIONS[part], self._found[part])

    def rows(self, part: str) -> list[Any]:
        make, conversions = _SHAPES[part], _CONVERSIONS[part]
        return [_row(make, conversions, values) for values in self._found[part] or ()]


def _row(make: _Maker, conversions: list[tuple[int, _Maker]], values: list[Any]) -> Any:  # noqa: ANN401
    for place, convert in conversions:
        if (value := values[place]) is not None:
            values[place] = convert(value)
    return make(values)
