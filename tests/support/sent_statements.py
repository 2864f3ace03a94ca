"""The statements that pools send: those that SQLAlchemy runs, and those that go straight to the driver."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from livingworld.postgres.transactions.single_statement import SingleStatement
from livingworld.postgres.transactions.text_result import TextResult


def sent_statements(monkeypatch: pytest.MonkeyPatch, *engines: AsyncEngine) -> list[str]:
    """Return the list that the statements of these engines are added to from now on, until the test ends."""
    sent: list[str] = []
    pools = [engine.sync_engine.pool for engine in engines]
    for engine in engines:
        event.listen(engine.sync_engine, "before_cursor_execute", lambda *call: sent.append(call[2]))
    send = SingleStatement.exec_driver_sql

    async def heard(self: SingleStatement, sql: str, parameters: tuple[Any, ...]) -> TextResult:
        if self.engine.sync_engine.pool in pools:
            sent.append(sql)
        return await send(self, sql, parameters)

    monkeypatch.setattr(SingleStatement, "exec_driver_sql", heard)
    return sent
