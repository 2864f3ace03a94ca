"""Memories: added at the head of a branch, recalled on the path of any branch or scene."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from livingworld.errors import InvalidInput, InvalidType, MemoryNotFound
from livingworld.inputs import check_boolean, check_integer, check_label, check_number, check_sequence, check_uuid
from livingworld.models.embeddings.vectors import MAX_DIMENSIONS
from livingworld.postgres.keyset import Page, check_limit, id_cursor, page_by
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.postgres.transactions.world_unit import WorldUnit
from livingworld.story.characters.references import check_optional_character
from livingworld.story.memories import embedding_jobs, recalling, writing
from livingworld.story.memories.editing import update_memory
from livingworld.story.memories.listing import NEWEST, list_memories
from livingworld.story.memories.recalling import RECALL_CANDIDATES
from livingworld.story.memories.records import Memory, NewMemory, RecallWeights, Recollection, checked_content
from livingworld.story.stories.at_least import AtLeast, wanted
from livingworld.story.stories.coordinates import Viewpoint, check_place

#: Most memories of one call.
MAX_MEMORIES: Final = 1000


class MemoryRepository:
    """What the stories of one world, and the characters in them, remember.

    Every write of new memories locks the story and stands at the scene at the head of the branch; undoing that scene
    takes it back, and every path that contains the scene has it. Raises StoryNotFound, BranchNotFound,
    Archived, and StaleHead when the branch is not at `expected_head`.
    """

    def __init__(self, unit: WorldUnit) -> None:
        self._unit = unit

    async def add(
        self,
        story_id: UUID,
        memories: Sequence[NewMemory],
        *,
        branch: int | None = None,
        expected_head: int | None = None,
    ) -> tuple[tuple[Memory, bool], ...]:
        """Remember texts and return, for each in order, its memory and whether this call made it; all or none.

        A text that the same one remembers on the path already is not remembered again, so the same call at the same
        head needs no request key. Raises CharacterNotFound, and DimensionMismatch for a vector of the world's embedder.
        """
        check_place(story_id, branch, expected_head)
        given = check_sequence("memories", memories, limit=MAX_MEMORIES)
        rows = [_row(f"memories[{index}]", memory) for index, memory in enumerate(given)]
        return await self._unit.write_idempotent(writing.add, story_id, rows, branch, expected_head) if rows else ()

    async def get(self, memory_id: UUID) -> Memory:
        """Return a memory wherever it stands, also a forgotten one; raises MemoryNotFound."""
        return await self._unit.read(_get, check_uuid("memory_id", memory_id))

    async def list(
        self,
        story_id: UUID,
        *,
        character: UUID | str | None = None,
        kinds: Sequence[str] | None = None,
        include_forgotten: bool = False,
        after: str | None = None,
        limit: int = 50,
    ) -> Page[Memory]:
        """Return a page of what a story remembers, or one character in it, newest first, whatever the branch.

        Private ones and parts of summaries are among them; those that `kinds` leaves out are read and passed over.
        Costs the same wherever the page begins. Empty when there is no such story; raises CharacterNotFound.
        """
        check_limit(limit)
        key, place = check_uuid("story_id", story_id), NEWEST if after is None else id_cursor(after)
        who, of_kinds = check_optional_character("character", character), recalling.checked_kinds("kinds", kinds)
        asked = (key, place, of_kinds, check_boolean("include_forgotten", include_forgotten), limit + 1)
        return page_by(await self._unit.read(list_memories, asked, who), limit, lambda memory: memory.id)

    async def update(
        self,
        memory_id: UUID,
        *,
        expected_version: int,
        content: str | None = None,
        kind: str | None = None,
        private: bool | None = None,
        importance: float | None = None,
        valence: float | None = None,
    ) -> Memory:
        """Change the given fields of a memory and return it; with another text it loses its vectors.

        The text before is not kept; the world's embedder makes a vector of the new one. Locks its story. Raises
        VersionConflict when it was changed since `expected_version`, MemoryNotFound, Archived, and InvalidInput for a
        text that the same one remembers at the same place already.
        """
        key = check_uuid("memory_id", memory_id)
        check_integer("expected_version", expected_version, minimum=1)
        given = {
            "content": None if content is None else checked_content(content),
            "kind": None if kind is None else check_label("kind", kind),
            "private": None if private is None else check_boolean("private", private),
            "importance": None if importance is None else check_number("importance", importance, minimum=0, maximum=1),
            "valence": None if valence is None else check_number("valence", valence, minimum=-1, maximum=1),
        }
        changes = {name: value for name, value in given.items() if value is not None}
        return await self._unit.write(update_memory, key, expected_version, changes)

    async def recall(  # noqa: PLR0913 - each narrows what comes back
        self,
        story_id: UUID,
        query: str | Sequence[float],
        *,
        text: str | None = None,
        embedder: str | None = None,
        character: UUID | str | None = None,
        kinds: Sequence[str] | None = None,
        excluded_kinds: Sequence[str] | None = None,
        only_own: bool = False,
        k: int = 10,
        weights: RecallWeights | None = None,
        min_similarity: float | None = None,
        branch: int | None = None,
        as_of: int | None = None,
        candidates: int = RECALL_CANDIDATES,
        at_least: AtLeast | None = None,
    ) -> Recollection:
        """Return the k memories that come first, best first; empty when there is none. One round trip.

        A vector is compared with those of `embedder` (default: the world's); memories that have none, and all of them
        when the query is text, go by their words, those of `text` beside a vector. With both, the words count by their
        weight too, among the 1,000 that come first without them. Only what is on the path at the head of a branch, or
        at a scene, and what `character` may know: private memories of others never come, nor does what a summary that
        comes stands for; with `only_own`, what `character` remembers. What is less similar than `min_similarity` does
        not come.

        Exact, unless `is_cut` says that one that was not compared might have come before. With an index of the world's
        vectors (`livingworld db index-memories`) the newest 300 are compared, and at least as many that are near.
        Without, and where that finds too few, at most `candidates`, which importance and recency put first: 10,000
        vectors of 384 numbers take half a second without pgvector. Raises StoryNotFound, BranchNotFound,
        SceneNotFound, CharacterNotFound, DimensionMismatch.
        """
        given = (text, embedder, character, kinds, excluded_kinds, only_own)
        asked = recalling.checked(story_id, query, *given, k, weights, min_similarity, branch, as_of, candidates)
        newest = wanted(self._unit, at_least, story_id)
        return await self._unit.read_at_least(newest, recalling.recall, *asked)

    async def recent(  # noqa: PLR0913 - each narrows what comes back
        self,
        story_id: UUID,
        *,
        character: UUID | str | None = None,
        kinds: Sequence[str] | None = None,
        excluded_kinds: Sequence[str] | None = None,
        only_own: bool = False,
        k: int = 10,
        branch: int | None = None,
        as_of: int | None = None,
        at_least: AtLeast | None = None,
    ) -> tuple[Memory, ...]:
        """Return the k newest memories, newest first, of those that `recall` may bring back; raises as it does."""
        view, most = Viewpoint(story_id, branch, as_of), recalling.checked_count(k)
        narrowed = recalling.narrowed(character, kinds, excluded_kinds, only_own=only_own)
        newest = wanted(self._unit, at_least, story_id)
        return await self._unit.read_at_least(newest, recalling.recent, view, *narrowed, most)

    async def consolidate(
        self,
        story_id: UUID,
        memory_ids: Sequence[UUID],
        summary: NewMemory,
        *,
        branch: int | None = None,
        expected_head: int | None = None,
    ) -> Memory:
        """Let a summary stand for memories of the same character wherever it is visible, and return it.

        Elsewhere, and when the summary is forgotten, its parts are recalled. Each memory is a part of at most one
        summary, for ever: AlreadyConsolidated otherwise. A summary of something private is private. Raises
        MemoryNotFound for a memory that is not on the path, is forgotten, or is another character's.
        """
        check_place(story_id, branch, expected_head)
        given = check_sequence("memory_ids", memory_ids, limit=MAX_MEMORIES)
        ids = [check_uuid(f"memory_ids[{index}]", memory_id) for index, memory_id in enumerate(given)]
        if not ids or len(set(ids)) < len(ids):
            raise InvalidInput("memory_ids", "must name at least one memory, and none twice")
        row = _row("summary", summary)
        return await self._unit.write(writing.consolidate, story_id, ids, row, branch, expected_head)

    async def forget(self, memory_ids: Sequence[UUID]) -> int:
        """Keep memories from being recalled, on any path, and return how many were not forgotten before.

        They stay stored. The parts of a forgotten summary are recalled again. Locks their stories.
        """
        given = check_sequence("memory_ids", memory_ids, limit=MAX_MEMORIES)
        ids = sorted({check_uuid(f"memory_ids[{index}]", memory_id) for index, memory_id in enumerate(given)})
        return await self._unit.write(writing.forget, ids)

    async def use_embedder(self, embedder: str, dimensions: int) -> None:
        """Let memories be compared by the vectors of this embedder.

        The first one is the world's at once. Another one takes over when every memory has a vector of it; `recall`
        answers from the former's until then, and then at once from the new one's. See `World.memory_embeddings`.
        """
        name = check_label("embedder", embedder)
        count = check_integer("dimensions", dimensions, minimum=1, maximum=MAX_DIMENSIONS)
        await self._unit.write_idempotent(embedding_jobs.begin, name, count)


async def _get(tx: Transaction, memory_id: UUID) -> Memory:
    found = await writing.read(tx, [memory_id])
    if memory_id not in found:
        raise MemoryNotFound(memory_id=memory_id)
    return found[memory_id]


def _row(field: str, memory: object) -> dict[str, Any]:
    if not isinstance(memory, NewMemory):
        raise InvalidType(field, f"must be a NewMemory, not {type(memory).__name__}")
    return memory.row()
