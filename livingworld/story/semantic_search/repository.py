"""Search by meaning among the scenes and characters of one world."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row

from livingworld.errors import DimensionMismatch, InvalidInput
from livingworld.inputs import check_integer, check_label, check_number, check_sequence, check_uuid
from livingworld.models.embeddings.vectors import check_vector, normalized
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.postgres.transactions.world_unit import WorldUnit
from livingworld.story.semantic_search.records import SIMILAR_KINDS, SimilarKind, SimilarText, SimilarTexts

_SIMILAR: Final = files(__package__).joinpath("sql/similar.sql").read_text()
#: Most that one search returns, and texts of each kind that it compares, unless another number is asked for.
MAX_FOUND: Final = 1000
CANDIDATES: Final = 10_000
MAX_CANDIDATES: Final = 1_000_000


class SemanticSearch:
    """The scenes and characters of one world that have vectors."""

    def __init__(self, unit: WorldUnit) -> None:
        self._unit = unit

    async def similar(
        self,
        query: Sequence[float],
        *,
        embedder: str,
        kinds: Sequence[SimilarKind] = SIMILAR_KINDS,
        story_id: UUID | None = None,
        k: int = 10,
        min_similarity: float | None = None,
        candidates: int = CANDIDATES,
    ) -> SimilarTexts:
        """Return the k scenes and characters nearest to a vector of `embedder`, nearest first. One round trip.

        Only what has a vector of this embedder is found; empty when nothing has. With `story_id`, scenes of that story,
        on any branch, and characters in them. Exact unless `is_cut`: of each kind `candidates` are compared, the newest
        first. Raises DimensionMismatch when the embedder's vectors have another length.
        """
        asked_for = list(normalized(check_vector("query", query)))
        name = check_label("embedder", embedder)
        narrowed = checked_options(kinds, story_id, k, min_similarity, candidates)
        return await self._unit.read(_similar, (name, asked_for, *narrowed))


def checked_options(
    kinds: Sequence[SimilarKind] = SIMILAR_KINDS,
    story_id: UUID | None = None,
    k: int = 10,
    min_similarity: float | None = None,
    candidates: int = CANDIDATES,
) -> tuple[Any, ...]:
    """Return the options of SemanticSearch.similar as its statement takes them; raises InvalidInput."""
    if unknown := [kind for kind in check_sequence("kinds", kinds, limit=100) if kind not in SIMILAR_KINDS]:
        raise InvalidInput("kinds", f"may hold {', '.join(SIMILAR_KINDS)}, not {unknown!r}")
    of = None if story_id is None else check_uuid("story_id", story_id)
    count = check_integer("k", k, minimum=1, maximum=MAX_FOUND)
    most = check_integer("candidates", candidates, minimum=1, maximum=MAX_CANDIDATES)
    if min_similarity is not None:
        check_number("min_similarity", min_similarity, minimum=-1, maximum=1)
    return list(kinds), of, count, most, min_similarity


async def _similar(tx: Transaction, asked: tuple[Any, ...]) -> SimilarTexts:
    rows = (await tx.execute_text(_SIMILAR, (tx.world_id, *asked))).all()
    found = [_make(row, asked[1]) for row in rows if row.kind is not None]
    return SimilarTexts(found, is_cut=rows[0].is_cut)


def _make(row: Row[Any], vector: list[float]) -> SimilarText:
    if row.similarity != row.similarity:  # NaN comes first in PostgreSQL's order
        reason = f"has {len(vector)} numbers; the embedder's vectors have {row.dimensions}"
        raise DimensionMismatch("query", reason, expected=row.dimensions, actual=len(vector))
    return SimilarText(
        kind=row.kind,
        story_id=None if row.story_id is None else UUID(int=row.story_id.int),
        scene_number=row.scene_number,
        character_id=None if row.character_id is None else UUID(int=row.character_id.int),
        title=row.title,
        excerpt=row.excerpt,
        similarity=row.similarity,
    )
