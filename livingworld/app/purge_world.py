"""Remove a world and everything in it."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Column, Table, delete, func, select, true

from livingworld.coordination.actions.tables import lanes
from livingworld.coordination.cycles.tables import cycles
from livingworld.coordination.documents.tables import document_versions, documents
from livingworld.coordination.locks.tables import leases
from livingworld.coordination.sessions.tables import sessions
from livingworld.errors import WorldNotFound
from livingworld.live.tables import live_streams, present_players
from livingworld.models.ai_models.tables import ai_model_roles, ai_models, training_samples
from livingworld.models.scripts.tables import scripts
from livingworld.postgres.idempotency import request_keys
from livingworld.postgres.locks import lock_all_rows
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.story.characters.tables import character_names, characters
from livingworld.story.lore.tables import lore_entries
from livingworld.story.memories.tables import memory_embedders
from livingworld.story.revisions import revisions
from livingworld.story.stories.scene_tables import scene_cast, scenes
from livingworld.story.stories.tables import branches, stories, story_activity, timelines
from livingworld.story.stories.word_tables import scene_words, unindexed_scenes
from livingworld.story.worlds.tables import worlds

#: What a writer may hold before it touches the world's row, in the order of LockKind; leases come before the world.
_PARTS: Final[tuple[Column[Any], ...]] = (
    stories.c.story_id,
    sessions.c.session_id,
    characters.c.character_id,
    documents.c.key,
    memory_embedders.c.world_id,
    scripts.c.name,
    ai_model_roles.c.role,
    ai_models.c.model_id,  # a sample holds its model, and then needs the world's row
    cycles.c.name,
    lore_entries.c.lore_id,
    lanes.c.lane,
    present_players.c.player,
)
#: The tables whose rows are removed, in this order; the rows of other tables are removed with their parents.
#: The queue comes before the words: see their module.
_TABLES: Final[tuple[Table, ...]] = (
    *(branches, unindexed_scenes, scene_words, scene_cast, scenes, timelines, stories, story_activity),
    sessions,
    *(character_names, characters),
    *(document_versions, documents),
    scripts,
    *(training_samples, ai_models, ai_model_roles),
    *(revisions, request_keys, worlds),
)


async def purge_world(tx: Transaction) -> None:
    """Remove the world of a transaction permanently; raises WorldNotFound.

    A writer locks a part of the world first, a story or a lease, and then the world's row, by foreign key. So the parts
    are locked while that row is still free; afterwards their new rows are locked without a wait: when a writer holds
    one, the LockTimeout makes the unit run again from the start.
    """
    # Citus locks a row that is on every node where the statement runs. The keys of a writer look for it on the node of
    # the world: the sub-select, which reads no row, has it locked there.
    place = select(func.count()).where(
        request_keys.c.world_id == tx.world_id, request_keys.c.scope_id == tx.world_id, request_keys.c.request_key == ""
    )
    world = (
        select(worlds.c.world_id)
        .select_from(worlds.join(place.subquery(), true()))
        .where(worlds.c.world_id == tx.world_id)
    )
    await lock_all_rows(tx, leases.c.name, wait=True)
    if await tx.scalar(world.with_for_update(of=worlds, key_share=True)) is None:
        raise WorldNotFound(world_id=tx.world_id)
    for key in (*_PARTS, live_streams.c.stream_id):  # publishing comes last of all in a transaction
        await lock_all_rows(tx, key, wait=True)
    # Plain FOR UPDATE, because from here on inserts of children must wait.
    await tx.execute(world.with_for_update(of=worlds, nowait=True))
    for key in (leases.c.name, *_PARTS):
        await lock_all_rows(tx, key, wait=False)
    for table in _TABLES:
        await tx.execute(delete(table).where(table.c.world_id == tx.world_id))
