"""The verdict on a demo: read from the tables by SQL and compared with the answers that the players got."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from importlib.resources import files
from typing import Any, Final
from uuid import UUID

from sqlalchemy import URL, text

from livingworld.demo.plan import Plan, spellings
from livingworld.demo.players import Ledger
from livingworld.postgres.connections.engine import unpooled_engine
from livingworld.postgres.connections.scope import SET_SCOPE, scope_of
from livingworld.postgres.driver_errors.failures import DRIVER_EXCEPTIONS, name_failure

#: Counts of demo_report.sql that must be 0, and the meaning of each one.
COUNTED_PROMISES: Final = {
    "duplicate_numbers": "scene numbers given twice",
    "unwritten": "planned scenes that are not stored",
    "gaps": "scene numbers missing",
    "lost": "acknowledged scenes not stored as acknowledged",
    "doubled": "scenes stored more than once",
    "unacknowledged": "stored scenes that were not acknowledged",
    "stale_parents": "scenes after a head that had moved",
    "unfinished": "turns that did not end",
    "unshown": "turns without the generation of their scene",
    "unremembered": "scenes without their fact and their memory",
    "duplicate_characters": "characters beyond one for each person",
    "misnamed": "names answered with a character that is not stored",
}
#: The same for faults that leave no trace in the tables.
SEEN_PROMISES: Final = {
    "contradictions": "requests sent twice and answered differently",
    "wrong_states": "reads after undo or redo that returned another scene's facts or memories",
    "unanswered": "requests never answered",
}
PROMISES: Final = COUNTED_PROMISES | SEEN_PROMISES


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The counts; the fields named in PROMISES must be 0."""

    scenes_written: int
    unwritten: int
    duplicate_numbers: int
    gaps: int
    lost: int
    doubled: int
    unacknowledged: int
    stale_parents: int
    unfinished: int
    unshown: int
    unremembered: int
    contradictions: int
    wrong_states: int
    unanswered: int
    duplicate_characters: int
    misnamed: int
    conflicts_refused: int
    double_clicks: int
    undos: int
    forks: int
    scenes_per_second: float
    p50_ms: float
    p99_ms: float

    @property
    def broken(self) -> tuple[str, ...]:
        """Names of the promises that were broken; empty when all were kept."""
        return tuple(name for name in PROMISES if getattr(self, name) != 0)

    def as_json(self) -> dict[str, Any]:
        """Return every field, as plain JSON values."""
        return asdict(self)


async def read_report(url: str | URL, world_id: UUID, plan: Plan, ledger: Ledger, elapsed: timedelta) -> Report:
    """Return the verdict on one world; everything but times and refusals is counted by SQL."""
    counts = await _count(url, _parameters(world_id, plan.people, ledger))
    return Report(
        **counts,
        unwritten=max(0, plan.scenes + ledger.detours - counts["scenes_written"]),
        contradictions=ledger.contradictions,
        wrong_states=ledger.wrong_states,
        unanswered=ledger.unanswered,
        conflicts_refused=ledger.conflicts_refused,
        double_clicks=ledger.double_clicks,
        undos=ledger.undos,
        forks=ledger.forks,
        scenes_per_second=round(counts["scenes_written"] / max(elapsed.total_seconds(), 1e-9), 1),
        p50_ms=_percentile_milliseconds(ledger.durations, 50),
        p99_ms=_percentile_milliseconds(ledger.durations, 99),
    )


def _parameters(world_id: UUID, people: Sequence[str], ledger: Ledger) -> dict[str, Any]:
    spelled = [(spelling, name) for name in people for spelling in spellings(name)]
    answers, named = ledger.acknowledgements, sorted(ledger.named)
    return {
        "world_id": world_id,
        "tokens": [answer.token for answer in answers],
        "story_ids": [answer.story_id for answer in answers],
        "numbers": [answer.number for answer in answers],
        "parents": [answer.parent for answer in answers],
        "digests": [answer.digest for answer in answers],
        "spellings": [spelling for spelling, _ in spelled],
        "people": [name for _, name in spelled],
        "named_people": [name for name, _ in named],
        "named_ids": [character_id for _, character_id in named],
    }


async def _count(url: str | URL, parameters: dict[str, Any]) -> dict[str, int]:
    statement = text(files("livingworld.demo").joinpath("sql/demo_report.sql").read_text(encoding="utf-8"))
    # A connection of its own: the library being judged has no part in the verdict.
    engine = unpooled_engine(url)
    try:
        async with engine.connect() as connection:
            await connection.execute(SET_SCOPE, scope_of(parameters["world_id"], None)._asdict())
            row = (await connection.execute(statement, parameters)).one()
    except DRIVER_EXCEPTIONS as exception:
        failure = name_failure(exception)
    else:
        return {name: int(count) for name, count in row._mapping.items()}  # noqa: SLF001 - its public name
    finally:
        await engine.dispose()
    raise failure.error from failure.cause


def _percentile_milliseconds(durations: Sequence[timedelta], percent: int) -> float:
    """Return the nearest-rank percentile, 0 when nothing was measured."""
    if not durations:
        return 0.0
    rank = -(-len(durations) * percent // 100)
    return round(sorted(durations)[rank - 1] / timedelta(milliseconds=1), 3)
