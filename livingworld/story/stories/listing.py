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


@dataclass(frozen=True, slots=True)
class _Order:
    """What a list goes by."""

    of_story: str
    type: str
    beyond: str
    direction: str
    #: The place before all stories, and what reads one from a cursor.
    start: tuple[object, UUID]
    reader: Callable[[Any], object]


def _title(value: object) -> str:
    return inputs.check_text("after", value)


_NEWEST: Final = (datetime.max.replace(tzinfo=UTC), UUID(int=2**128 - 1))
_ORDERS: Final[dict[str, _Order]] = {
    "created": _Order("s.created_at", "timestamptz", "<", "DESC", _NEWEST, datetime.fromisoformat),
    "played": _Order(
        "coalesce(s.last_scene_at, s.created_at)", "timestamptz", "<", "DESC", _NEWEST, datetime.fromisoformat
    ),
    "title": _Order("s.title", "text", ">", "ASC", ("", UUID(int=0)), _title),
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
        order = _ORDERS[self.order]
        return order.start if cursor is None else read_cursor(cursor, order.reader, UUID)


async def list_stories(tx: Transaction, stories: StoryList, place: tuple[Any, ...], limit: int) -> Page[Story]:
    """Return a page of stories."""
    statuses = STATUSES if stories.status is None else (stories.status,)
    shelves = (list(statuses), [False, True] if stories.include_archived else [False])
    words = () if stories.search is None else (stories.search,)
    statement = _STATEMENTS[stories.order, bool(words)]
    rows = (await tx.execute_text(statement, (tx.world_id, *shelves, *place, limit + 1, *words))).all()
    shown = tuple(map(make_story, rows[:limit]))
    return Page(shown, _cursor(rows[limit - 1].place, shown[-1].id) if len(rows) > limit else None)


def _cursor(place: str | datetime, story_id: UUID) -> str:
    return write_cursor(place if isinstance(place, str) else place.isoformat(), str(story_id))


# Parameters: the world; statuses; archived or not; the place after which the page begins; its length; words.
_SHELVES: Final = "unnest($2::text[]) AS status (name) CROSS JOIN unnest($3::boolean[]) AS shelf (archived)"
_BY_KEY: Final = """
    CROSS JOIN LATERAL (
        SELECT * FROM livingworld.stories AS s WHERE s.world_id = $1 AND s.story_id = page.story_id OFFSET 0
    ) AS story
"""


def _in_order_of_the_table(by: _Order) -> str:
    order = f"{by.direction}, found.story_id {by.direction}"
    return f"""
        SELECT found.* FROM {_SHELVES} CROSS JOIN LATERAL (
            SELECT s.*, {by.of_story} AS place FROM livingworld.stories AS s
            WHERE s.world_id = $1::uuid AND s.status = status.name AND (s.archived_at IS NOT NULL) = shelf.archived
                AND s.created_at > '-infinity' AND ({by.of_story}, s.story_id) {by.beyond} ($4::{by.type}, $5::uuid)
            ORDER BY {by.of_story} {by.direction}, s.story_id {by.direction} LIMIT $6::integer
        ) AS found
        ORDER BY found.place {order} LIMIT $6::integer
    """  # noqa: S608 - our own words


_LAST_PLAYED: Final = f"""
    SELECT story.*, page.place FROM (
        SELECT found.* FROM {_SHELVES} CROSS JOIN LATERAL (
            SELECT a.last_scene_at AS place, a.story_id FROM livingworld.story_activity AS a
            WHERE a.world_id = $1::uuid AND a.status = status.name AND a.archived = shelf.archived
                AND (a.last_scene_at, a.story_id) < ($4::timestamptz, $5::uuid)
            ORDER BY a.last_scene_at DESC, a.story_id DESC LIMIT $6::integer
        ) AS found
        ORDER BY found.place DESC, found.story_id DESC LIMIT $6::integer
    ) AS page {_BY_KEY}
    ORDER BY page.place DESC, page.story_id DESC
"""  # noqa: S608


def _with_words(by: _Order) -> str:
    order = f"place {by.direction}, story_id {by.direction}"
    return f"""
        SELECT story.*, page.place FROM (
            SELECT m.place, m.story_id FROM (
                SELECT {by.of_story} AS place, s.story_id FROM livingworld.stories AS s
                WHERE s.world_id = $1::uuid
                    AND to_tsvector('simple', s.title || ' ' || s.premise) @@ websearch_to_tsquery('simple', $7::text)
                    AND s.status = ANY ($2::text[]) AND (s.archived_at IS NOT NULL) = ANY ($3::boolean[]) OFFSET 0
            ) AS m
            WHERE (m.place, m.story_id) {by.beyond} ($4::{by.type}, $5::uuid)
            ORDER BY {order} LIMIT $6::integer
        ) AS page {_BY_KEY}
        ORDER BY page.place {by.direction}, page.story_id {by.direction}
    """  # noqa: S608


#: By order, and whether words are looked for.
_STATEMENTS: Final = {
    **{(name, True): _with_words(by) for name, by in _ORDERS.items()},
    **{(name, False): _in_order_of_the_table(by) for name, by in _ORDERS.items()},
    ("played", False): _LAST_PLAYED,
}
