"""Recalling: what is asked for, checked before any statement, and the statements that answer."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Any, Final
from uuid import UUID

from livingworld.errors import InvalidInput, InvalidType
from livingworld.inputs import check_boolean, check_integer, check_label, check_number, check_sequence, check_text
from livingworld.models.embeddings.vectors import check_vector, normalized
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.story.characters.references import check_optional_character
from livingworld.story.memories.memory_meter import counted
from livingworld.story.memories.records import Memory, RecallWeights, Recollection
from livingworld.story.memories.rows import make_memory, make_recalled
from livingworld.story.stories.coordinates import Viewpoint, read_at

#: Most memories that come back.
MAX_RECALLED: Final = 1000
#: How many memories a recall compares by default, and at most.
RECALL_CANDIDATES: Final = 10_000
MAX_CANDIDATES: Final = 1_000_000
_QUERY_CHARACTERS: Final = 100_000
_RECALL: Final = files(__package__).joinpath("sql/recall.sql").read_text()
_RECENT: Final = files(__package__).joinpath("sql/recent.sql").read_text()

_USUAL_WEIGHTS: Final = RecallWeights()


def checked(  # noqa: PLR0913, PLR0917 - as MemoryRepository.recall has them
    story_id: UUID,
    query: str | Sequence[float],
    text: str | None = None,
    embedder: str | None = None,
    character: UUID | str | None = None,
    kinds: Sequence[str] | None = None,
    excluded_kinds: Sequence[str] | None = None,
    only_own: bool = False,  # noqa: FBT001, FBT002 - the same
    k: int = 10,
    weights: RecallWeights | None = None,
    min_similarity: float | None = None,
    branch: int | None = None,
    as_of: int | None = None,
    candidates: int = RECALL_CANDIDATES,
) -> tuple[Any, ...]:
    """Return the arguments of `recall`; raises InvalidInput."""
    vector, words = _asked(query, text)
    if embedder is not None:
        check_label("embedder", embedder)
    by = _weighed(weights)
    who, wanted, *excluding = narrowed(character, kinds, excluded_kinds, only_own=only_own)
    if min_similarity is not None:
        check_number("min_similarity", min_similarity, minimum=-1, maximum=1)
    most = check_integer("candidates", candidates, minimum=1, maximum=MAX_CANDIDATES)
    asked = (vector, embedder, words, by.similarity, by.importance, by.recency, by.half_life, checked_count(k), most)
    view = Viewpoint(story_id, branch, as_of)
    return (view, vector, who, wanted, *asked, *excluding, min_similarity, by.words)


def checked_query(query: object) -> str:
    """Return the text that is looked for; raises InvalidInput."""
    return check_text("query", query, limit=_QUERY_CHARACTERS)


@counted("search_memory")
async def recall(
    tx: Transaction, view: Viewpoint, vector: list[float] | None, character: str | None, *asked: object
) -> Recollection:
    """Return the memories that come first from a viewpoint."""
    rows = await read_at(tx, _RECALL, view, character, *asked, characters=_given(character))
    return Recollection((make_recalled(row, vector) for row in rows), is_cut=any(row.is_cut for row in rows))


async def recent(tx: Transaction, view: Viewpoint, character: str | None, *asked: object) -> tuple[Memory, ...]:
    """Return the newest memories from a viewpoint."""
    rows = await read_at(tx, _RECENT, view, character, *asked, characters=_given(character))
    return tuple(map(make_memory, rows))


def _given(character: str | None) -> tuple[str, ...]:
    return () if character is None else (character,)


def checked_count(k: int) -> int:
    """Return how many memories come back at most; raises InvalidInput."""
    return check_integer("k", k, minimum=1, maximum=MAX_RECALLED)


def narrowed(
    character: UUID | str | None, kinds: Sequence[str] | None, excluded_kinds: Sequence[str] | None, *, only_own: bool
) -> tuple[str | None, list[str] | None, list[str] | None, bool]:
    """Return the character, the kinds and the excluded kinds that narrow what comes back, and whether only her own do.

    Raises InvalidInput.
    """
    who = check_optional_character("character", character)
    if check_boolean("only_own", only_own) and character is None:
        raise InvalidInput("only_own", "needs the character whose memories come back")
    return who, checked_kinds("kinds", kinds), checked_kinds("excluded_kinds", excluded_kinds), only_own


def checked_kinds(field: str, kinds: Sequence[str] | None) -> list[str] | None:
    """Return the kinds that narrow what comes back, or None; raises InvalidInput."""
    if kinds is None:
        return None
    return [check_label(field, kind, empty=True) for kind in check_sequence(field, kinds, limit=100)]


def _asked(query: str | Sequence[float], text: str | None) -> tuple[list[float] | None, str | None]:
    """Return the vector and the words that are looked for."""
    vector = None if isinstance(query, str) else list(normalized(check_vector("query", query)))
    field, words = ("query", query) if isinstance(query, str) else ("text", text)
    if words is not None:
        check_text(field, words, limit=_QUERY_CHARACTERS)
    return vector, words


def _weighed(weights: RecallWeights | None) -> RecallWeights:
    by = _USUAL_WEIGHTS if weights is None else weights
    if not isinstance(by, RecallWeights):
        raise InvalidType("weights", f"must be RecallWeights, not {type(by).__name__}")
    return by
