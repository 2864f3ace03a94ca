"""The lists of a world's stories: by creation, by when they were last played, or by title; of one status; with words.

Stories of one status, archived or not, stand together in each index, so every page is a few short ranges, wherever it
begins. Stories that have some words are all looked up, and then sorted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from livingworld import inputs
from livingworld.errors import InvalidInput
from livingworld.postgres.keyset import Page, read_cursor, write_cursor
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.story.stories.records import Story
from livingworld.story.stories.rows import make_story
from livingworld.story.stories.story_fields import STATUSES, check_status

_QUERY_CHARACTERS: Final = 1000


def _title(value: object) -> str:
    return inputs.check_text("after", value)


_NEWEST: Final = (datetime.max.replace(tzinfo=UTC), UUID(int=2**128 - 1))
#: By order, the place before all stories, and what reads one from a cursor.
_ORDERS: Final[dict[str, tuple[tuple[object, UUID], Callable[[Any], object]]]] = {
    "created": (_NEWEST, datetime.fromisoformat),
    "played": (_NEWEST, datetime.fromisoformat),
    "title": (("", UUID(int=0)), _title),
}


@dataclass(frozen=True, slots=True)
class StoryList:
    """Which stories are listed, and in which order; raises InvalidInput."""

    order: Any
    status: Any
    search: str | None
    include_archived: bool

    def __post_init__(self) -> None:
        if not isinstance(self.order, str) or self.order not in _ORDERS:
            raise InvalidInput("order", f"must be one of {', '.join(_ORDERS)}")
        if self.status is not None:
            check_status("status", self.status)
        if self.search is not None:
            inputs.check_text("search", self.search, limit=_QUERY_CHARACTERS, empty=False)
        inputs.check_boolean("include_archived", self.include_archived)

    def place(self, cursor: object) -> tuple[Any, ...]:
        """Return the place after which a page begins; raises InvalidCursor."""
        start, reader = _ORDERS[self.order]
        return start if cursor is None else read_cursor(cursor, reader, UUID)


async def list_stories(tx: Transaction, stories: StoryList, place: tuple[Any, ...], limit: int) -> Page[Story]:
    """Return a page of stories."""
    statuses = STATUSES if stories.status is None else (stories.status,)
    shelves = (list(statuses), stories.include_archived)
    words = () if stories.search is None else (stories.search,)
    statement = _STATEMENTS[stories.order, bool(words)]
    rows = (await tx.execute_text(statement, (tx.world_id, *shelves, *place, limit + 1, *words))).all()
    shown = tuple(map(make_story, rows[:limit]))
    return Page(shown, _cursor(rows[limit - 1].place, shown[-1].id) if len(rows) > limit else None)


def _cursor(place: str | datetime, story_id: UUID) -> str:
    return write_cursor(place if isinstance(place, str) else place.isoformat(), str(story_id))


# Parameters: the world; statuses; whether archived ones too; the place after which the page begins; its length; words.
_CREATED: Final = """
    SELECT found.* FROM unnest($2::text[]) AS status (name)
    CROSS JOIN unnest(CASE WHEN $3::boolean THEN ARRAY[false, true] ELSE ARRAY[false] END) AS shelf (archived)
    CROSS JOIN LATERAL (
        SELECT s.*, s.created_at AS place FROM livingworld.stories AS s
        WHERE s.world_id = $1::uuid AND s.status = status.name AND (s.archived_at IS NOT NULL) = shelf.archived
            AND s.created_at > '-infinity' AND (s.created_at, s.story_id) < ($4::timestamptz, $5::uuid)
        ORDER BY s.created_at DESC, s.story_id DESC LIMIT $6::integer
    ) AS found
    ORDER BY found.place DESC, found.story_id DESC LIMIT $6::integer
"""
_TITLE: Final = """
    SELECT found.* FROM unnest($2::text[]) AS status (name)
    CROSS JOIN unnest(CASE WHEN $3::boolean THEN ARRAY[false, true] ELSE ARRAY[false] END) AS shelf (archived)
    CROSS JOIN LATERAL (
        SELECT s.*, s.title AS place FROM livingworld.stories AS s
        WHERE s.world_id = $1::uuid AND s.status = status.name AND (s.archived_at IS NOT NULL) = shelf.archived
            AND s.created_at > '-infinity' AND (s.title, s.story_id) > ($4::text, $5::uuid)
        ORDER BY s.title, s.story_id LIMIT $6::integer
    ) AS found
    ORDER BY found.place, found.story_id LIMIT $6::integer
"""
_PLAYED: Final = """
    SELECT story.*, page.place FROM (
        SELECT found.* FROM unnest($2::text[]) AS status (name)
    CROSS JOIN unnest(CASE WHEN $3::boolean THEN ARRAY[false, true] ELSE ARRAY[false] END) AS shelf (archived)
        CROSS JOIN LATERAL (
            SELECT a.last_scene_at AS place, a.story_id FROM livingworld.story_activity AS a
            WHERE a.world_id = $1::uuid AND a.status = status.name AND a.archived = shelf.archived
                AND (a.last_scene_at, a.story_id) < ($4::timestamptz, $5::uuid)
            ORDER BY a.last_scene_at DESC, a.story_id DESC LIMIT $6::integer
        ) AS found
        ORDER BY found.place DESC, found.story_id DESC LIMIT $6::integer
    ) AS page
    CROSS JOIN LATERAL (
        SELECT * FROM livingworld.stories AS s WHERE s.world_id = $1 AND s.story_id = page.story_id OFFSET 0
    ) AS story
    ORDER BY page.place DESC, page.story_id DESC
"""


def _with_words(of_story: str) -> str:
    """Return the statement whose stories have some words, by a time."""
    return f"""
        SELECT story.*, page.place FROM (
            SELECT m.place, m.story_id FROM (
                SELECT {of_story} AS place, s.story_id FROM livingworld.stories AS s
                WHERE s.world_id = $1::uuid
                    AND to_tsvector('simple', s.title || ' ' || s.premise) @@ websearch_to_tsquery('simple', $7::text)
                    AND s.status = ANY ($2::text[]) AND (s.archived_at IS NULL OR $3::boolean) OFFSET 0
            ) AS m
            WHERE (m.place, m.story_id) < ($4::timestamptz, $5::uuid)
            ORDER BY m.place DESC, m.story_id DESC LIMIT $6::integer
        ) AS page
        CROSS JOIN LATERAL (
            SELECT * FROM livingworld.stories AS s WHERE s.world_id = $1 AND s.story_id = page.story_id OFFSET 0
        ) AS story
        ORDER BY page.place DESC, page.story_id DESC
    """  # noqa: S608 - our own words


_TITLE_WITH_WORDS: Final = """
    SELECT story.*, page.place FROM (
        SELECT m.place, m.story_id FROM (
            SELECT s.title AS place, s.story_id FROM livingworld.stories AS s
            WHERE s.world_id = $1::uuid
                AND to_tsvector('simple', s.title || ' ' || s.premise) @@ websearch_to_tsquery('simple', $7::text)
                AND s.status = ANY ($2::text[]) AND (s.archived_at IS NULL OR $3::boolean) OFFSET 0
        ) AS m
        WHERE (m.place, m.story_id) > ($4::text, $5::uuid)
        ORDER BY m.place, m.story_id LIMIT $6::integer
    ) AS page
    CROSS JOIN LATERAL (
        SELECT * FROM livingworld.stories AS s WHERE s.world_id = $1 AND s.story_id = page.story_id OFFSET 0
    ) AS story
    ORDER BY page.place, page.story_id
"""
#: By order, and whether words are looked for.
_STATEMENTS: Final = {
    ("created", False): _CREATED,
    ("played", False): _PLAYED,
    ("title", False): _TITLE,
    ("created", True): _with_words("s.created_at"),
    ("played", True): _with_words("coalesce(s.last_scene_at, s.created_at)"),
    ("title", True): _TITLE_WITH_WORDS,
}
