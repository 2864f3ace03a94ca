"""Memories: added at the head of a branch, recalled on the path of any branch or scene."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row

from livingworld.errors import DimensionMismatch, InvalidInput, InvalidType, MemoryNotFound
from livingworld.inputs import check_integer, check_label, check_sequence, check_text, check_uuid
from livingworld.models.embeddings.vectors import MAX_DIMENSIONS, check_vector, normalized
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.postgres.transactions.unit_of_work import UnitOfWork
from livingworld.story.memories import embedding_jobs, writing
from livingworld.story.memories.records import Memory, NewMemory, Recalled, RecallWeights, Recollection
from livingworld.story.stories.coordinates import Viewpoint, check_place, lock_head, refuse_no_place

#: Most memories of one call.
MAX_MEMORIES: Final = 1000
#: How many memories a recall compares, unless told, and at most.
RECALL_CANDIDATES: Final = 10_000
MAX_CANDIDATES: Final = 1_000_000
_QUERY_CHARACTERS: Final = 100_000
_RECALL: Final = files(__package__).joinpath("sql/recall.sql").read_text()
_RECENT: Final = files(__package__).joinpath("sql/recent.sql").read_text()
_GET: Final = "SELECT * FROM livingworld.memories AS m WHERE m.world_id = $1 AND m.memory_id = $2"


class MemoryRepository:
    """What the stories of one world, and the characters in them, remember.

    Every write of new memories locks the story and stands at the scene where the branch stands then; whoever undoes
    that scene takes it back, and every path that contains the scene has it. Raises StoryNotFound, BranchNotFound,
    Archived, and StaleHead when the branch is not at `expected_head`.
    """

    def __init__(self, unit: UnitOfWork, world_id: UUID) -> None:
        self._unit = unit
        self._world_id = world_id

    async def add(
        self,
        story_id: UUID,
        memories: Sequence[NewMemory],
        *,
        branch: int | None = None,
        expected_head: int | None = None,
    ) -> tuple[tuple[Memory, bool], ...]:
        """Remember texts and return, for each in order, its memory and whether this call made it; all or none.

        A text that the same one remembers on the path already is not remembered again. Characters go by id. Raises
        CharacterNotFound, and DimensionMismatch for a vector of the world's embedder.
        """
        check_place(story_id, branch, expected_head)
        given = check_sequence("memories", memories, limit=MAX_MEMORIES)
        rows = [_row(f"memories[{index}]", memory) for index, memory in enumerate(given)]

        async def work(tx: Transaction) -> tuple[tuple[Memory, bool], ...]:
            place = await lock_head(tx, story_id, branch, expected_head)
            written = await writing.write(tx, self._world_id, story_id, place, rows)
            found = await writing.read(tx, self._world_id, [memory_id for memory_id, _ in written])
            return tuple((found[memory_id], created) for memory_id, created in written)

        return await self._unit.run(work, repeatable=True) if rows else ()

    async def get(self, memory_id: UUID) -> Memory:
        """Return a memory wherever it stands, also a forgotten one; raises MemoryNotFound."""
        key = check_uuid("memory_id", memory_id)

        async def work(tx: Transaction) -> Memory:
            row = (await tx.execute_text(_GET, (self._world_id, key))).first()
            if row is None:
                raise MemoryNotFound(memory_id=key)
            return writing.make_memory(row)

        return await self._unit.run(work, repeatable=True, single_statement=True)

    async def recall(  # noqa: PLR0913 - each narrows what comes back
        self,
        story_id: UUID,
        query: str | Sequence[float],
        *,
        text: str | None = None,
        embedder: str | None = None,
        character: UUID | None = None,
        kinds: Sequence[str] | None = None,
        k: int = 10,
        weights: RecallWeights | None = None,
        branch: int | None = None,
        as_of: int | None = None,
        candidates: int = RECALL_CANDIDATES,
    ) -> Recollection:
        """Return the k memories that come first, best first; empty when there is none. One round trip, exact.

        A vector is compared with those of `embedder` (default: the world's); memories that have none, and all of them
        when the query is text, go by their words, those of `text` beside a vector. Only what is on the path at the head
        of a branch, or at a scene, and what `character` may know: private memories of others never come, nor does what
        a summary that comes stands for.

        Where more than `candidates` may come, those are compared that importance and recency put first, and `is_cut`
        says so. 10,000 vectors of 384 numbers take half a second without pgvector. Raises StoryNotFound,
        BranchNotFound, SceneNotFound, DimensionMismatch.
        """
        vector = None if isinstance(query, str) else list(normalized(check_vector("query", query)))
        words = query if isinstance(query, str) else text
        if words is not None:
            check_text("query" if isinstance(query, str) else "text", words, limit=_QUERY_CHARACTERS)
        if embedder is not None:
            check_label("embedder", embedder)
        weighed = RecallWeights() if weights is None else weights
        if not isinstance(weighed, RecallWeights):
            raise InvalidType("weights", f"must be RecallWeights, not {type(weighed).__name__}")
        asked = (vector, embedder, words, weighed.similarity, weighed.importance, weighed.recency, weighed.half_life)
        most = check_integer("candidates", candidates, minimum=1, maximum=MAX_CANDIDATES)
        view = Viewpoint(story_id, branch, as_of)
        rows = await self._look(_RECALL, view, character, kinds, (*asked, _count(k), most))
        return Recollection((_recalled(row, vector) for row in rows), is_cut=any(row.is_cut for row in rows))

    async def recent(
        self,
        story_id: UUID,
        *,
        character: UUID | None = None,
        kinds: Sequence[str] | None = None,
        k: int = 10,
        branch: int | None = None,
        as_of: int | None = None,
    ) -> tuple[Memory, ...]:
        """Return the k newest memories, newest first, of those that `recall` may bring back; raises as it does."""
        rows = await self._look(_RECENT, Viewpoint(story_id, branch, as_of), character, kinds, (_count(k),))
        return tuple(writing.make_memory(row) for row in rows)

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

        Where it is not, since that place was left or it was forgotten, its parts are there again. Each memory is a part
        of at most one summary, for ever: AlreadyConsolidated otherwise. A summary of something private is private.
        Raises MemoryNotFound for one that is not on the path, is forgotten, or is another's.
        """
        check_place(story_id, branch, expected_head)
        given = check_sequence("memory_ids", memory_ids, limit=MAX_MEMORIES)
        ids = [check_uuid(f"memory_ids[{index}]", memory_id) for index, memory_id in enumerate(given)]
        if not ids or len(set(ids)) < len(ids):
            raise InvalidInput("memory_ids", "must name at least one memory, and none twice")
        row = _row("summary", summary)

        async def work(tx: Transaction) -> Memory:
            place = await lock_head(tx, story_id, branch, expected_head)
            return await writing.consolidate(tx, self._world_id, story_id, place, ids, row)

        return await self._unit.run(work)

    async def forget(self, memory_ids: Sequence[UUID]) -> int:
        """Let memories be recalled no more, on any path, and return how many were not forgotten before; they are kept.

        What a forgotten summary stood for is there again. Locks their stories.
        """
        given = check_sequence("memory_ids", memory_ids, limit=MAX_MEMORIES)
        ids = sorted({check_uuid(f"memory_ids[{index}]", memory_id) for index, memory_id in enumerate(given)})
        return await self._unit.run(lambda tx: writing.forget(tx, self._world_id, ids))

    async def use_embedder(self, embedder: str, dimensions: int) -> None:
        """Let memories be compared by the vectors of this embedder.

        The first one is the world's at once. Another one takes over when every memory has a vector of it; `recall`
        answers from the former's until then, and then at once from the new one's. See `World.memory_embeddings`.
        """
        name = check_label("embedder", embedder)
        count = check_integer("dimensions", dimensions, minimum=1, maximum=MAX_DIMENSIONS)
        await self._unit.run(lambda tx: embedding_jobs.begin(tx, self._world_id, name, count), repeatable=True)

    async def _look(
        self,
        statement: str,
        view: Viewpoint,
        character: UUID | None,
        kinds: Sequence[str] | None,
        rest: tuple[Any, ...],
    ) -> Sequence[Row[Any]]:
        who = None if character is None else check_uuid("character", character)
        of = (
            None
            if kinds is None
            else [check_label("kinds", kind, empty=True) for kind in check_sequence("kinds", kinds, limit=100)]
        )

        async def work(tx: Transaction) -> Sequence[Row[Any]]:
            rows = (await tx.execute_text(statement, (*view.parameters(self._world_id), who, of, *rest))).all()
            if not rows:
                await refuse_no_place(tx, view)
            return rows

        return await self._unit.run(work, repeatable=True, single_statement=True)


def _row(field: str, memory: object) -> dict[str, Any]:
    if not isinstance(memory, NewMemory):
        raise InvalidType(field, f"must be a NewMemory, not {type(memory).__name__}")
    who = None if memory.character is None else str(check_uuid(f"{field}.character", memory.character))
    return {**memory.row(), "character_id": who}


def _count(k: int) -> int:
    return check_integer("k", k, minimum=1, maximum=MAX_MEMORIES)


def _recalled(row: Row[Any], vector: list[float] | None) -> Recalled:
    if row.similarity != row.similarity and vector is not None:  # NaN comes first in PostgreSQL's order
        reason = f"has {len(vector)} numbers; the memories' vectors have {row.dimensions}"
        raise DimensionMismatch("query", reason, expected=row.dimensions, actual=len(vector))
    return Recalled(memory=writing.make_memory(row), score=row.score, similarity=row.similarity)
