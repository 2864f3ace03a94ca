"""Erasing the turns of a person, and what the story kept of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, func, literal_column, select, tuple_, union, update

from livingworld.erasure.records import Counts, Scenes
from livingworld.live.kinds import LiveKind
from livingworld.live.log import publish_at_commit
from livingworld.postgres.locks import lock_row
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.story.stories.scene_tables import scenes
from livingworld.story.stories.tables import in_story, stories
from livingworld.story.turns.requests import end_topic, turn_topic
from livingworld.story.turns.tables import model_calls, turn_waiters, turns

#: Turns, and prompts, of one transaction.
_TURNS: Final = 50
_PROMPTS: Final = 500
_ERASE: Final = "SELECT * FROM livingworld.erase_turns_v1($1, $2, $3, $4)"
_STATE: Final = "SELECT livingworld.erase_state_v1($1, $2, $3, $4, $5)"
_SCENES: Final = "SELECT livingworld.erase_scenes_v1($1, $2, $3, $4)"
_VECTORS: Final = """
    WITH gone AS (
        DELETE FROM livingworld.scene_vectors AS v
        WHERE v.world_id = $1 AND v.story_id = $2 AND v.scene_number = ANY ($3) RETURNING true
    )
    SELECT jsonb_build_object('scene_vectors', count(*)) FROM gone
"""
_NEXT: Final = "SELECT livingworld.next_in_line_v1($1, $2, $3, clock_timestamp())"


async def stories_of(tx: Transaction, player: str) -> Sequence[UUID]:
    """Return the stories in which a person played or waits, in the order of their locks."""
    own = [
        select(table.c.story_id).where(table.c.world_id == tx.world_id, table.c.player == player)
        for table in (turns, turn_waiters)
    ]
    return sorted(UUID(int=row[0].int) for row in await tx.execute(union(*own)))


async def erase_prompts(tx: Transaction, story_id: UUID, player: str) -> Counts:
    """Empty some prompts of the story since the person's first turn there: any of them may repeat what was said before.

    Nothing is left to do when it returns 0. Locks the rows of the calls.
    """
    own = (*in_story(turns, tx.world_id, story_id), turns.c.player == player)
    first = select(func.min(turns.c.created_at)).where(*own).scalar_subquery()
    columns = model_calls.c
    said = (*in_story(model_calls, tx.world_id, story_id), columns.prompt != literal_column("'[]'::jsonb"))
    key = (columns.request_key, columns.call_id)
    found = select(*key).where(*said, columns.created_at >= first).order_by(*key).limit(_PROMPTS)
    emptied = update(model_calls).where(*said, tuple_(*key).in_(found)).values(prompt=literal_column("'[]'::jsonb"))
    return {"model_calls": (await tx.execute(emptied)).rowcount}


async def erase_turns(tx: Transaction, story_id: UUID, player: str, shown: Scenes) -> Counts:
    """Erase some turns of a person in a story; nothing is left to do when it counts nothing. Locks the story.

    A turn that runs ends, and its holder is told. A story that is gone has nothing.
    """
    if await lock_row(tx, LockKind.STORY, stories, {"world_id": tx.world_id, "story_id": story_id}) is None:
        return {}
    row = (await tx.execute_text(_ERASE, (tx.world_id, story_id, player, _TURNS))).one()
    blank = list(row.shown) if shown == "blank" else []
    of_state = (row.generations or [], row.substitutes or [], blank)
    counts: dict[str, int] = dict(row.counts)
    for statement, values in ((_STATE, of_state), (_SCENES, (row.numbers, blank)), (_VECTORS, (blank,))):
        counts |= (await tx.execute_text(statement, (tx.world_id, story_id, *values))).scalar_one()
    await _tell(tx, story_id, row, blank)
    return counts


async def _tell(tx: Transaction, story_id: UUID, row: Row[Any], blank: Sequence[int]) -> None:
    """Notify holders, those whose turn has come, and followers, with the commit."""
    if row.numbers:
        tx.leave_work()  # the words of these scenes are queued
    for key in row.gone:
        tx.notify_after_commit(end_topic(story_id, key))
    for branch in sorted(set(row.branches)):
        next_key = (await tx.execute_text(_NEXT, (tx.world_id, story_id, branch))).scalar_one()
        if next_key is not None:
            tx.notify_after_commit(turn_topic(story_id, next_key))
    own = (*in_story(scenes, tx.world_id, story_id), scenes.c.scene_number.in_(blank))
    changed = select(scenes.c.scene_number, scenes.c.version).where(*own).order_by(scenes.c.scene_number)
    for scene in await tx.execute(changed) if blank else ():
        ids = {"scene_number": scene.scene_number, "version": scene.version}
        publish_at_commit(tx, story_id, LiveKind.SCENE_CHANGED, **ids)
