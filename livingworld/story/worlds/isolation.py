"""Row-level security: PostgreSQL shows a transaction the rows of one world, and the worlds of one tenant.

Off until `livingworld db isolate`. A transaction says by the settings of postgres/connections/scope.py whose rows it
works on, and one that says nothing fails. Neither a superuser nor a role with BYPASSRLS is held back.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

from sqlalchemy import URL, Connection, TextClause, text

from livingworld.errors import DatabaseFailure
from livingworld.postgres.connections.one_connection import connected
from livingworld.postgres.connections.scope import EVERY_TENANT, MAINTENANCE, NO_WORLD
from livingworld.postgres.connections.scoped_transport import TENANT, WORLD
from livingworld.postgres.distribution.cluster import is_distributed
from livingworld.postgres.metadata import SCHEMA, VERSION_TABLE
from livingworld.postgres.upgrades.turn import LOCK_KEY

#: The policy of every table for every role, and that of the owner, for what goes through all worlds.
POLICIES: Final = ("one_world", "maintenance")
#: Without a setting they fail: a transaction that says nothing must not find less than there is.
_WORLD: Final = f"current_setting('{WORLD}')::uuid"
_TENANT: Final = f"current_setting('{TENANT}')"
_MAINTAINED: Final = f"current_setting('{MAINTENANCE}', true) = 'on'"
_OF_WORLDS: Final = f"{_WORLD} IN ('{NO_WORLD}', world_id) AND {_TENANT} IN ('{EVERY_TENANT}', tenant)"
#: An equation of `world_id` with what is the same for all rows: it changes no plan, and is not checked for each row. It
#: is short, because it is made ready for each table of each statement.
_OF_OTHERS: Final = f"""world_id = CASE {_TENANT} WHEN '{EVERY_TENANT}' THEN {_WORLD}
    ELSE livingworld.world_of_tenant_v1() END"""

#: Whether a table `c` has both policies, they hold for its owner too, and maintenance is that of whoever owns it now.
WHOLE: Final = f"""c.relrowsecurity AND c.relforcerowsecurity AND 2 = (
    SELECT count(*) FROM pg_policy AS p
    WHERE p.polrelid = c.oid AND p.polname IN {POLICIES}
        AND (p.polname <> 'maintenance' OR p.polroles = ARRAY[c.relowner])
)"""  # noqa: S608 - our own words
_TABLES: Final = f"""
    SELECT c.oid::regclass AS name, c.relname, pg_get_userbyid(c.relowner) AS owner, {WHOLE} AS is_whole
    FROM pg_class AS c
    WHERE c.relnamespace = '{SCHEMA}'::regnamespace AND c.relkind IN ('r', 'p') AND c.relname <> '{VERSION_TABLE}'
    ORDER BY c.relname
"""  # noqa: S608 - our own words
#: Each table that is not whole, so that doing it again locks nothing.
_ON: Final = f"""DO $isolate$
DECLARE
    found record;
BEGIN
    FOR found IN {_TABLES} LOOP
        CONTINUE WHEN found.is_whole;
        EXECUTE format('DROP POLICY IF EXISTS one_world ON %1$s', found.name);
        EXECUTE format('DROP POLICY IF EXISTS maintenance ON %1$s', found.name);
        EXECUTE format('CREATE POLICY one_world ON %s USING (%s)', found.name,
            CASE found.relname WHEN 'worlds' THEN $of_worlds${_OF_WORLDS}$of_worlds$
            ELSE $of_others${_OF_OTHERS}$of_others$ END);
        EXECUTE format('CREATE POLICY maintenance ON %s TO %I USING (%s)', found.name, found.owner,
            $maintained${_MAINTAINED}$maintained$);
        EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', found.name);
    END LOOP;
END $isolate$"""
_OFF: Final = f"""DO $isolate$
DECLARE
    found record;
BEGIN
    FOR found IN {_TABLES} LOOP
        EXECUTE format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY', found.name);
        EXECUTE format('DROP POLICY IF EXISTS one_world ON %1$s', found.name);
        EXECUTE format('DROP POLICY IF EXISTS maintenance ON %1$s', found.name);
    END LOOP;
END $isolate$"""
_IS_ON: Final = f"""EXISTS (
    SELECT FROM pg_class AS other WHERE other.relnamespace = '{SCHEMA}'::regnamespace AND other.relrowsecurity
)"""
#: Where isolation is on: each table that is not whole, and each policy that lets more through.
NOT_ISOLATED: Final = text(f"""
    SELECT t.relname AS name, NULL AS policy FROM ({_TABLES}) AS t WHERE NOT t.is_whole AND {_IS_ON}
    UNION ALL
    SELECT p.polrelid::regclass::text, p.polname::text FROM pg_policy AS p JOIN pg_class AS c ON c.oid = p.polrelid
    WHERE c.relnamespace = '{SCHEMA}'::regnamespace AND p.polname NOT IN {POLICIES}
    ORDER BY name, policy
""")  # noqa: S608 - our own words
_DISTRIBUTED: Final = "The database is distributed over the nodes of Citus, where row-level security cannot be kept."
_LIMITS: Final = text("SELECT set_config('lock_timeout', :limit, true), pg_advisory_xact_lock(:key)")


async def isolate(url: str | URL, *, on: bool, lock_timeout: timedelta) -> None:
    """Switch the wall on or off for every table, in one transaction that locks them; doing it again changes nothing.

    Raises LockTimeout where a table is in use for longer than `lock_timeout`, MissingPrivilege for another role than
    the owner, and DatabaseFailure (0A000) where the tables are distributed: the settings that say which world do not
    reach the node that has it.
    """
    limit = f"{lock_timeout // timedelta(milliseconds=1)}ms"
    async with connected(url) as connection, connection.begin():
        if on and await connection.run_sync(is_distributed):
            raise DatabaseFailure(_DISTRIBUTED, sqlstate="0A000", constraint=None)
        await connection.execute(_LIMITS, {"limit": limit, "key": LOCK_KEY})
        await connection.execute(_verbatim(_ON if on else _OFF))


def keep_isolated(connection: Connection) -> None:
    """Give the tables that an upgrade has made, in its transaction, what the others have, where isolation is on."""
    if connection.scalar(text(f"SELECT {_IS_ON}")):
        connection.execute(_verbatim(_ON))


@contextmanager
def not_isolated(connection: Connection) -> Iterator[None]:
    """Switch isolation off for a downgrade, and on again: the policies need a function that may be removed."""
    is_on = connection.scalar(text(f"SELECT {_IS_ON}"))
    if is_on:
        connection.execute(_verbatim(_OFF))
    yield
    if is_on:
        connection.execute(_verbatim(_ON))


def _verbatim(statement: str) -> TextClause:
    return text(statement.replace(":", "\\:"))
