"""`livingworld metrics`: what the database itself can tell. The counters of a process are read in that process."""

from __future__ import annotations

import json
from functools import partial
from typing import Annotated, Any, Final, TypeAlias

import typer

from livingworld.cli.database_choice import UrlOption, chosen_database
from livingworld.cli.interruption import interruption
from livingworld.observability import instruments
from livingworld.observability.metrics import Metrics
from livingworld.observability.prometheus import prometheus_text
from livingworld.postgres.connections.engine import create_engine
from livingworld.postgres.database_numbers import read_numbers
from livingworld.postgres.transactions.database import Database

Numbers: TypeAlias = dict[str, list[dict[str, Any]]]
#: By kind of row: the column that is a label, and the instrument of each other column.
_GAUGES: Final = {
    "sessions": (
        "state",
        {"sessions": instruments.DATABASE_SESSIONS, "waiting": instruments.DATABASE_SESSIONS_WAITING},
    ),
    "tables": (
        "name",
        {"rows": instruments.TABLE_ROWS, "dead_rows": instruments.TABLE_DEAD_ROWS, "bytes": instruments.TABLE_SIZE},
    ),
}


def metrics(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    as_prometheus: Annotated[bool, typer.Option("--prometheus", help="Print Prometheus' text.")] = False,
    url: UrlOption = None,
) -> None:
    """Show sessions by state, and rows, dead rows and bytes of each table, from PostgreSQL's catalogue.

    What a program has counted it shows itself: `livingworld.metrics()`. Who waits for whom: `livingworld locks`.
    """

    async def work() -> None:
        async with chosen_database(url) as chosen:
            settings = chosen.settings.model_copy(update={"pool_size": 1})
            database = Database(create_engine(settings, chosen.url), settings)
            try:
                numbers = await database.run(read_numbers, repeatable=True)
            finally:
                await database.close()
        typer.echo(_in_json(numbers) if as_json else _in_prometheus(numbers) if as_prometheus else _in_words(numbers))

    interruption.run(work())


def _in_json(numbers: Numbers) -> str:
    return json.dumps(numbers, indent=2)


def _in_prometheus(numbers: Numbers) -> str:
    metrics = Metrics()
    for kind, (label, columns) in _GAUGES.items():
        for row in numbers[kind]:
            for column, instrument in columns.items():
                metrics.observe(instrument, partial(float, row[column]), row[label])
    return prometheus_text(metrics.snapshot()).rstrip("\n")


def _in_words(numbers: Numbers) -> str:
    sessions = (
        f"sessions {each['state']}: {each['sessions']}, of these wait for a lock: {each['waiting']}"
        for each in numbers["sessions"]
    )
    tables = (
        f"{each['name']}: about {each['rows']:,} rows, {each['dead_rows']:,} dead, {each['bytes']:,} bytes"
        for each in numbers["tables"]
    )
    return "\n".join((*sessions, *tables))
