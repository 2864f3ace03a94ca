"""Reading turns: one, those of a story in pages, everything of one, and the sums of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.resources import files
from typing import Final, get_args
from uuid import UUID

from livingworld import inputs
from livingworld.errors import InvalidInput, InvalidType, TurnNotFound
from livingworld.postgres.keyset import Page, check_limit, read_cursor, write_cursor
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.postgres.transactions.world_unit import WorldUnit
from livingworld.story.turns.turn_records import TokenUsage, TurnRecord, TurnTree, UsagePart
from livingworld.story.turns.turn_rows import make_tree, make_turn, make_usage

_TURNS: Final = files(__package__).joinpath("sql/turns.sql").read_text()
_GENERATIONS: Final = files(__package__).joinpath("sql/turn_generations.sql").read_text()
_CALLS: Final = files(__package__).joinpath("sql/turn_calls.sql").read_text()
_USAGE: Final = files(__package__).joinpath("sql/usage.sql").read_text()
#: After every turn that can exist.
NEWEST: Final = (datetime.max.replace(tzinfo=UTC), "")


class TurnRepository:
    """The turns of one world, as they are stored."""

    def __init__(self, unit: WorldUnit) -> None:
        self._unit = unit

    async def get(self, story_id: UUID, request_key: str) -> TurnRecord:
        """Return the turn of a request, for instance of `scene.turn`; raises TurnNotFound. One round trip."""
        return await self._unit.read(_read_turn, inputs.check_uuid("story_id", story_id), check_key(request_key))

    async def of(
        self,
        story_id: UUID,
        *,
        branch: int | None = None,
        player: str | None = None,
        after: str | None = None,
        limit: int = 50,
    ) -> Page[TurnRecord]:
        """Return a page of the story's turns, the newest first; one round trip.

        Those taken on one branch, or of one player, where named. Requests that wait are not among them. Empty when
        there is no such story. A page of one branch reads the turns of other branches that lie between.
        """
        if branch is not None:
            inputs.check_integer("branch", branch, minimum=1)
        if player is not None:
            inputs.check_label("player", player)
        place = NEWEST if after is None else read_cursor(after, datetime.fromisoformat, check_key)
        asked = (inputs.check_uuid("story_id", story_id), None, player, branch, *place, check_limit(limit) + 1)
        turns = await self._unit.read(_read_turns, *asked)
        last = turns[limit - 1] if len(turns) > limit else None
        rest = None if last is None else write_cursor(last.created_at.isoformat(), last.request_key)
        return Page(turns[:limit], rest)

    async def tree(self, story_id: UUID, request_key: str) -> TurnTree:
        """Return everything that is stored of a turn: each attempt, its answer and its calls; raises TurnNotFound."""
        return await self._unit.read(_read_tree, inputs.check_uuid("story_id", story_id), check_key(request_key))

    async def usage(
        self,
        by: Sequence[UsagePart] = (),
        *,
        story_id: UUID | None = None,
        request_key: str | None = None,
        player: str | None = None,
        model: str | None = None,
        script_version: str | None = None,
        since: datetime | None = None,
    ) -> tuple[TokenUsage, ...]:
        """Return the tokens that models were given and answered, divided by the parts named, the largest sum first.

        Of everything, or of one story, turn, player, model or script, and of turns that began since a time; a
        `request_key` and the part `turn` need a story. Empty where nothing was asked. One round trip, which reads all
        turns of what is named.
        """
        parts = list(inputs.check_sequence("by", by, limit=100))
        if unknown := [part for part in parts if part not in get_args(UsagePart)]:
            raise InvalidInput("by", f"may hold {', '.join(get_args(UsagePart))}, not {unknown!r}")
        if story_id is None and ("turn" in parts or request_key is not None):
            raise InvalidInput("story_id", "must be named with a turn")
        asked = (
            parts,
            None if story_id is None else inputs.check_uuid("story_id", story_id),
            None if request_key is None else check_key(request_key),
            None if player is None else inputs.check_label("player", player),
            None if model is None else inputs.check_label("model", model),
            None if script_version is None else inputs.check_label("script_version", script_version),
            None if since is None else _check_time(since),
        )
        return await self._unit.read(_read_usage, *asked)


def check_key(request_key: object) -> str:
    """Return the key of a turn that may be stored."""
    return inputs.check_label("request_key", request_key)


def _check_time(since: object) -> datetime:
    if not isinstance(since, datetime) or since.tzinfo is None:
        raise InvalidType("since", "must be a datetime with a time zone")
    return since


async def _read_turns(tx: Transaction, *asked: object) -> tuple[TurnRecord, ...]:
    return tuple(map(make_turn, (await tx.execute_text(_TURNS, (tx.world_id, *asked))).all()))


async def _read_turn(tx: Transaction, story_id: UUID, request_key: str) -> TurnRecord:
    found = await _read_turns(tx, story_id, request_key, None, None, *NEWEST, 1)
    if not found:
        raise TurnNotFound(story_id=story_id, request_key=request_key)
    return found[0]


async def _read_tree(tx: Transaction, story_id: UUID, request_key: str) -> TurnTree:
    turn = await _read_turn(tx, story_id, request_key)
    key = (tx.world_id, story_id, request_key)
    generations = (await tx.execute_text(_GENERATIONS, key)).all()
    return make_tree(turn, generations, (await tx.execute_text(_CALLS, key)).all())


async def _read_usage(tx: Transaction, *asked: object) -> tuple[TokenUsage, ...]:
    return tuple(map(make_usage, (await tx.execute_text(_USAGE, (tx.world_id, *asked))).all()))
