from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import text

from livingworld.postgres.transactions.transaction import Transaction
from livingworld.testing.staged_races import connected, holding
from tests.integration.databases import opened

ROWS = """SELECT number AS counted, number::text AS "two words" FROM generate_series(1, $1) AS number"""
HOLD = "SELECT pg_advisory_xact_lock(4711)"


async def rows(tx: Transaction, sql: str, *parameters: object) -> Any:  # noqa: ANN401 - rows of any shape
    return (await tx.execute_text(sql, parameters)).all()


async def pid(tx: Transaction) -> int:
    return int((await tx.execute_text("SELECT pg_backend_pid()", ())).scalar_one())


@pytest.mark.parametrize("number", [0, 2])
async def test_the_rows_of_a_text_are_the_same_alone_and_in_a_transaction(database_url: str, number: int) -> None:
    async with opened(database_url) as database:
        alone = await database.run(lambda tx: rows(tx, ROWS, number), single_statement=True)
        together = await database.run(lambda tx: rows(tx, ROWS, number))

    assert alone == together == [(n, str(n)) for n in range(1, number + 1)]
    assert [row.counted for row in alone] == [row.counted for row in together]


async def test_a_connection_whose_statement_was_cancelled_is_not_used_again(database_url: str) -> None:
    async with opened(database_url, pool_size=1) as database:
        before = await database.run(pid, single_statement=True)
        async with holding(database_url, HOLD) as holder:
            cancelled = asyncio.create_task(database.run(partial(rows, sql=HOLD), single_statement=True))
            await holder.until_blocked()
            cancelled.cancel()
            with pytest.raises(asyncio.CancelledError):
                await cancelled
            after = await database.run(pid, single_statement=True)

    assert after != before


async def test_a_statement_and_a_text_may_follow_each_other_on_one_connection(database_url: str) -> None:
    async with opened(database_url, pool_size=1) as database:

        async def both(tx: Transaction) -> list[int]:
            return [await pid(tx), await tx.scalar(text("SELECT pg_backend_pid()")), await pid(tx)]

        pids = await database.run(both, repeatable=True, single_statement=True)

    assert len(set(pids)) == 1


@pytest.mark.direct_connection("in the transaction that sets limits a changed plan is a further try of the whole")
@pytest.mark.parametrize("limit", [30, 40], ids=["the call ends first", "the driver's timer ends first"])
async def test_a_plan_whose_result_changed_is_made_again_without_a_further_try(database_url: str, limit: int) -> None:
    settings = {"pool_size": 1, "conflict_retries": 0, "call_timeout": timedelta(seconds=limit)}
    async with opened(database_url, **settings) as database, connected(database_url) as observer:
        read = partial(rows, sql="SELECT * FROM livingworld.worlds")
        before = await database.run(pid, single_statement=True)
        await database.run(read, single_statement=True)

        await observer.execute("ALTER TABLE livingworld.worlds ADD COLUMN added text")

        assert await database.run(read, single_statement=True) == []
        assert await database.run(pid, single_statement=True) == before


@pytest.mark.direct_connection("the plans of one session are counted")
async def test_a_connection_keeps_so_many_plans_and_no_more(database_url: str) -> None:
    async with opened(database_url, pool_size=1) as database:
        for number in range(400):
            await database.run(partial(rows, sql=f"SELECT {number}"), single_statement=True)
        kept = await database.run(
            partial(rows, sql="SELECT statement FROM pg_prepared_statements"), single_statement=True
        )

    numbered = {row.statement for row in kept} & {f"SELECT {number}" for number in range(400)}
    assert 200 < len(numbered) <= 250
    assert "SELECT 399" in numbered


@pytest.mark.direct_connection("each statement of the transaction that sets limits has a timer")
@pytest.mark.plain_server("a cluster of one node is asked again whether it has several, with a timer of its own")
@pytest.mark.parametrize("limit", [30, 40], ids=["the call ends first", "the driver's timer ends first"])
async def test_the_driver_has_a_timer_only_where_it_would_end_first(
    database_url: str, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    timers: list[float] = []
    loop = asyncio.get_running_loop()
    call_later = loop.call_later

    def counted(seconds: float, *given: Any) -> asyncio.TimerHandle:  # noqa: ANN401 - of the loop's method
        timers.append(seconds)
        return call_later(seconds, *given)

    async with opened(database_url, pool_size=1, call_timeout=timedelta(seconds=limit)) as database:
        await database.run(pid, single_statement=True)
        monkeypatch.setattr(loop, "call_later", counted)
        await database.run(pid, single_statement=True)

    assert [seconds > 30 for seconds in timers] == ([] if limit < 35 else [True])
