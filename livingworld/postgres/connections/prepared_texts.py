"""The statements that are prepared on one connection, each kept by its text.

asyncpg keeps statements too. It starts a timer with each execution of one (`command_timeout`), which costs a tenth of
a small statement, and this does not: the deadline of the call ends it.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

from asyncpg import InvalidCachedStatementError, Record
from asyncpg.exceptions import OutdatedSchemaCacheError
from asyncpg.protocol import NO_TIMEOUT

if TYPE_CHECKING:
    from asyncpg.prepared_stmt import PreparedStatement
    from sqlalchemy.pool import ConnectionPoolEntry

#: Most texts of one connection; the server keeps a plan of each.
_MOST: Final = 250
_KEY: Final = "livingworld prepared texts"


async def fetch_prepared(entry: ConnectionPoolEntry, sql: str, parameters: tuple[Any, ...]) -> list[Record]:
    """Run a statement without a timer of its own, on a connection that is in no transaction.

    When a table was changed under the plan, nothing was carried out: it is prepared again and runs once more.
    """
    kept: OrderedDict[str, PreparedStatement[Record]] = entry.info.setdefault(_KEY, OrderedDict())
    try:
        return await _fetch(kept, entry, sql, parameters)
    except InvalidCachedStatementError:
        kept.clear()
    except OutdatedSchemaCacheError:  # the statement was carried out, and a type of its answer is another one now
        kept.clear()
        raise
    return await _fetch(kept, entry, sql, parameters)


async def _fetch(
    kept: OrderedDict[str, PreparedStatement[Record]],
    entry: ConnectionPoolEntry,
    sql: str,
    parameters: tuple[Any, ...],
) -> list[Record]:
    statement = kept.get(sql)
    if statement is None:
        driver: Any = entry.driver_connection
        statement = kept[sql] = await driver.prepare(sql)
        if len(kept) > _MOST:
            kept.popitem(last=False)
    else:
        kept.move_to_end(sql)
    return await statement.fetch(*parameters, timeout=NO_TIMEOUT)  # type: ignore[arg-type]  # of asyncpg's own calls
