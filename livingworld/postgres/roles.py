"""The roles of a shared server: the owner migrates, the application reads and writes rows, a reader reads.

An application that is broken into, or whose SQL is injected, can then change no table, no function and no revision, and
has no temporary schema in which to put functions of its own.
"""

from __future__ import annotations

import re
from typing import Final

from sqlalchemy import URL, text

from livingworld.errors import InvalidInput
from livingworld.inputs import check_label
from livingworld.postgres.connections.one_connection import connected
from livingworld.postgres.metadata import SCHEMA, VERSION_TABLE
from livingworld.postgres.upgrades.turn import LOCK_KEY

APPLICATION: Final = "livingworld_application"
READER: Final = "livingworld_reader"
#: PostgreSQL cuts longer names off.
MAX_NAME_BYTES: Final = 63
#: None of them has a meaning between quotes.
_NAME: Final = re.compile(r"[\w .@-]+")
_ALONE: Final = f"SELECT pg_advisory_xact_lock({LOCK_KEY})"
#: Who waits for an upgrade keeps a snapshot, for which the build of an index in that upgrade waits.
_AT_MOST: Final = "SET LOCAL lock_timeout = '60s'"
_CREATE: Final = """
    DO $roles$BEGIN
        IF to_regrole('{role}') IS NULL THEN CREATE ROLE {role} NOLOGIN; END IF;
    END$roles$
"""
#: What every role of the server may do in every database, unless it is taken away.
_OF_EVERYBODY: Final = """
    DO $roles$BEGIN
        EXECUTE format('REVOKE CREATE, TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
        EXECUTE format('GRANT CONNECT ON DATABASE %I TO {application}, {reader}', current_database());
    END$roles$
"""
_READING_FUNCTIONS: Final = """
    DO $roles$
    DECLARE
        reads regprocedure;
    BEGIN
        FOR reads IN
            SELECT p.oid FROM pg_proc p WHERE p.pronamespace = '{schema}'::regnamespace AND p.provolatile <> 'v'
        LOOP
            EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO {reader}', reads);
        END LOOP;
    END$roles$
"""
_PRIVILEGES: Final = (
    "REVOKE ALL ON SCHEMA {schema} FROM PUBLIC, {application}, {reader}",
    "REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM PUBLIC, {application}, {reader}",
    "REVOKE ALL ON ALL FUNCTIONS IN SCHEMA {schema} FROM PUBLIC, {application}, {reader}",
    "GRANT USAGE ON SCHEMA {schema} TO {application}, {reader}",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {application}",
    "REVOKE INSERT, UPDATE, DELETE ON {schema}.{version_table} FROM {application}",
    "GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {schema} TO {application}",
    "GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {reader}",
    # What a later upgrade makes.
    "ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {application}",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT EXECUTE ON FUNCTIONS TO {application}",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT ON TABLES TO {reader}",
)
_TOO_MUCH: Final = text("""
    SELECT r.rolname FROM pg_roles r JOIN pg_namespace n ON n.nspname = :schema
    WHERE r.rolname IN (:application, :reader) AND (r.rolsuper OR pg_has_role(r.oid, n.nspowner, 'MEMBER'))
""")
_STILL_TEMPORARY: Final = text("SELECT has_database_privilege(:application, current_database(), 'TEMPORARY')")


def role_statements(application: str = APPLICATION, reader: str = READER) -> list[str]:
    """Return the statements that make both roles and give them what they need; running them again changes nothing."""
    names = [_checked(field, name) for field, name in (("application", application), ("reader", reader))]
    if names[0] == names[1]:
        field = "reader"
        raise InvalidInput(field, "is the application's role too")
    quoted = [f'"{name}"' for name in names]
    words = {"application": quoted[0], "reader": quoted[1], "schema": SCHEMA, "version_table": VERSION_TABLE}
    return [
        _AT_MOST,
        _ALONE,
        *(_CREATE.format(role=role) for role in quoted),
        *(statement.format(**words) for statement in (_OF_EVERYBODY, *_PRIVILEGES, _READING_FUNCTIONS)),
    ]


async def make_roles(url: str | URL, application: str = APPLICATION, reader: str = READER) -> None:
    """Make both roles and give them what they need, in one transaction; doing it again changes nothing.

    Raises InvalidInput for a role that is a superuser or the owner, or that may still make temporary tables because
    another role than the database's owner runs this; MissingPrivilege where the role may not make roles.
    """
    statements = role_statements(application, reader)
    async with connected(url) as connection, connection.begin():
        for statement in statements:
            await connection.execute(text(statement.replace(":", "\\:")))
        both = {"application": application, "reader": reader}
        if (strong := await connection.scalar(_TOO_MUCH, both | {"schema": SCHEMA})) is not None:
            field = "application" if strong == application else "reader"
            raise InvalidInput(field, "is a superuser, or a member of the role that owns the tables")
        if await connection.scalar(_STILL_TEMPORARY, {"application": application}):
            field = "url"
            raise InvalidInput(field, "names a role that may not take TEMPORARY from PUBLIC: be the database's owner")


def _checked(field: str, name: str) -> str:
    checked = check_label(field, name)
    if not _NAME.fullmatch(checked) or len(checked.encode()) > MAX_NAME_BYTES:
        reason = f"is not a name of letters, digits, spaces and the signs _ . @ - in at most {MAX_NAME_BYTES} bytes"
        raise InvalidInput(field, reason)
    return checked
