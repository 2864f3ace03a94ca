"""Full-text search in the scenes, memories and lore of one world."""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib.resources import files
from typing import Final
from uuid import UUID

from livingworld.errors import InvalidInput
from livingworld.inputs import check_sequence, check_text, check_uuid
from livingworld.postgres.keyset import check_limit, read_cursor, write_cursor
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.postgres.transactions.world_unit import WorldUnit
from livingworld.story.search.records import KINDS, Kind, SearchPage
from livingworld.story.search.rows import make_hit
from livingworld.story.stories.at_least import AtLeast, wanted

_FIND: Final = files(__package__).joinpath("sql/search.sql").read_text()
_QUERY_CHARACTERS: Final = 1000
#: Maximum number of texts of each kind that one search ranks, and of scenes not indexed yet that it reads.
MAX_LOOKED_AT: Final = 1000
_MARK_CHARACTERS: Final = 20


class Search:
    """The texts of one world."""

    def __init__(self, unit: WorldUnit) -> None:
        self._unit = unit

    async def find(
        self,
        query: str,
        *,
        kinds: Sequence[Kind] = KINDS,
        story_id: UUID | None = None,
        marks: tuple[str, str] = ("[", "]"),
        after: str | None = None,
        limit: int = 20,
        at_least: AtLeast | None = None,
    ) -> SearchPage:
        """Return a page of hits, the best first; empty when nothing matches. One round trip.

        The query is words; "quotes" make a phrase, OR joins, a minus excludes; there is no syntax error. Words are
        compared as written, without case, in any language. The first 100,000 characters of a scene are searched,
        and the first 10,000 of the instruction by which its turn wrote it, as if that stood below.
        Private, forgotten and replaced memories and disabled lore are never found. With `story_id` only texts of that
        story are found. While the texts do not change, pages that are not cut neither repeat nor skip a hit.

        A query must contain a word to find: one that only excludes finds nothing. At most MAX_LOOKED_AT texts of each
        kind that have the words are ranked, the oldest as a rule; `is_cut` says that there may be more. Scenes are
        indexed in the background, soon after their commit; until then a search reads them itself, so many at most.
        """
        words = check_text("query", query, limit=_QUERY_CHARACTERS, empty=False)
        of = None if story_id is None else check_uuid("story_id", story_id)
        if unknown := [kind for kind in check_sequence("kinds", kinds, limit=100) if kind not in KINDS]:
            raise InvalidInput("kinds", f"may hold {', '.join(KINDS)}, not {unknown!r}")
        place = (None, None) if after is None else read_cursor(after, _check_rank, _check_place)
        asked = (words, of, list(kinds), *place, check_limit(limit) + 1, _options(marks), MAX_LOOKED_AT)
        return await self._unit.read_at_least(wanted(self._unit, at_least, of), _find, limit, asked)


async def _find(tx: Transaction, limit: int, asked: tuple[object, ...]) -> SearchPage:
    rows = (await tx.execute_text(_FIND, (tx.world_id, *asked))).all()
    found = [row for row in rows if row.kind is not None]
    rest = write_cursor(found[limit - 1].rank, found[limit - 1].place) if len(found) > limit else None
    if rows[0].unindexed:
        tx.leave_work()  # of a process that did not come to it
    return SearchPage(tuple(map(make_hit, found[:limit])), rest, rows[0].is_cut, rows[0].unindexed)


def _options(marks: tuple[str, str]) -> str:
    quoted = []
    if len(check_sequence("marks", marks, limit=2)) != 2:  # noqa: PLR2004 - what comes before and after
        raise InvalidInput("marks", "must be two texts")
    for name, mark in zip(("StartSel", "StopSel"), marks, strict=True):
        text = check_text("marks", mark, limit=_MARK_CHARACTERS, empty=False)
        if '"' in text or "\\" in text:
            raise InvalidInput("marks", "must not hold a quotation mark or a backslash")
        quoted.append(f'{name}="{text}"')
    return ", ".join((*quoted, "MaxWords=35, MinWords=15"))


def _check_rank(rank: object) -> float:
    if not isinstance(rank, float) or not math.isfinite(rank):
        raise TypeError
    return rank


def _check_place(place: object) -> str:
    return check_text("after", place)
