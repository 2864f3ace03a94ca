"""Correcting a stored scene: its text, choices, cast and the rest, with the old ones kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final
from uuid import UUID

from sqlalchemy import delete, func, insert, select, update

from livingworld import inputs
from livingworld.errors import CharacterNotFound, ChoiceNotFound, SceneNotFound, VersionConflict
from livingworld.live.kinds import LiveKind
from livingworld.live.log import publish_at_commit
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.story.characters.cast import CastMember, cast_rows, make_cast
from livingworld.story.revisions import keep_revision
from livingworld.story.stories.locking import lock_open_story, touched
from livingworld.story.stories.new_scene import check_cast, check_choices
from livingworld.story.stories.reading import read_scene
from livingworld.story.stories.records import Scene
from livingworld.story.stories.scene_tables import scene_cast, scenes
from livingworld.story.stories.tables import in_story
from livingworld.story.stories.word_tables import unindexed_scenes

#: How each field of a scene that can be changed is checked.
SCENE_CHECKS: Final[Mapping[str, Callable[[str, Any], object]]] = {
    "content": partial(inputs.check_text, limit=inputs.MAX_CONTENT_CHARACTERS),
    "choices": lambda _, choices: check_choices(choices),
    "cast": lambda _, cast: check_cast(cast),
    "location": inputs.check_optional_text,
    "story_time": inputs.check_optional_text,
    "metadata": inputs.check_json_object,
}
_RESOLVED: Final = "SELECT cast_members, unknown FROM livingworld.resolved_cast_v1($1, $2)"
_CAST: Final = """
    INSERT INTO livingworld.scene_cast (world_id, story_id, scene_number, character_id, role, importance)
    SELECT $1, $2, $3, m.character_id, m.role, m.importance
    FROM json_to_recordset($4::json) AS m (character_id uuid, role text, importance double precision)
"""


async def edit_scene(
    tx: Transaction, story_id: UUID, scene_number: int, expected_version: int, changes: Mapping[str, Any]
) -> Scene:
    """Change fields of a scene and keep the old ones as a revision; see StoryRepository.edit_scene."""
    await lock_open_story(tx, story_id)
    own = (*in_story(scenes, tx.world_id, story_id), scenes.c.scene_number == scene_number)
    old = (await tx.execute(select(scenes).where(*own))).one_or_none()
    if old is None:
        raise SceneNotFound(story_id=story_id, scene_number=scene_number)
    if old.version != expected_version:
        raise VersionConflict(expected=expected_version, actual=old.version)
    columns = {name: value for name, value in changes.items() if name != "cast"}
    if len(changes.get("choices", old.choices)) < len(old.choices):
        await _refuse_chosen(tx, story_id, scene_number, len(changes["choices"]))
    scene = await read_scene(tx, story_id, scene_number)
    await keep_revision(
        tx, "scene", story_id, scene_number=scene_number, version=old.version, content=_as_revision(scene)
    )
    if "cast" in changes:
        await _replace_cast(tx, story_id, scene_number, changes["cast"])
    new = {**columns, "version": scenes.c.version + 1, "updated_at": func.now()}
    await tx.execute(update(scenes).where(*own).values(**new).add_cte(touched(tx.world_id, story_id)))
    if "content" in changes:
        key = {"world_id": tx.world_id, "story_id": story_id, "scene_number": scene_number}
        await tx.execute(insert(unindexed_scenes).values(**key, version=old.version + 1))
        tx.leave_work()
    publish_at_commit(tx, story_id, LiveKind.SCENE_CHANGED, scene_number=scene_number, version=old.version + 1)
    return await read_scene(tx, story_id, scene_number)


def _as_revision(scene: Scene) -> dict[str, Any]:
    """Return the fields that can be edited, as replace_scene_v1 keeps them too."""
    return {
        "content": scene.content,
        "choices": [choice.content for choice in scene.choices],
        "cast": [
            {"character_id": str(each.id), "role": each.role, "importance": each.importance} for each in scene.cast
        ],
        "location": scene.location,
        "story_time": scene.story_time,
        "metadata": scene.metadata,
    }


async def _refuse_chosen(tx: Transaction, story_id: UUID, scene_number: int, count: int) -> None:
    """Raise ChoiceNotFound when a scene that follows was reached by a later choice; the story is locked."""
    following = (*in_story(scenes, tx.world_id, story_id), scenes.c.parent_scene_number == scene_number)
    last = await tx.scalar(select(func.max(scenes.c.chosen_choice)).where(*following))
    if last is not None and last > count:
        message = f"A scene that follows was reached by choice {last}, which would be gone."
        raise ChoiceNotFound(message, choice=last, scene_number=scene_number)


async def _replace_cast(tx: Transaction, story_id: UUID, scene_number: int, cast: Sequence[CastMember]) -> None:
    await make_cast(tx, cast)
    given = inputs.canonical_json(cast_rows(cast))
    resolved = (await tx.execute_text(_RESOLVED, (tx.world_id, given))).one()
    if resolved.unknown:
        raise CharacterNotFound
    own = (*in_story(scene_cast, tx.world_id, story_id), scene_cast.c.scene_number == scene_number)
    await tx.execute(delete(scene_cast).where(*own))
    if resolved.cast_members is not None:
        await tx.execute_text(_CAST, (tx.world_id, story_id, scene_number, resolved.cast_members))
