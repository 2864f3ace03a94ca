"""How vectors are compared: by pgvector where it is installed and safe on the processor, else exactly, in plain SQL.

pgvector is often built for the processor of its builder, and on an older one the first comparison ends the server
(measured with emulated processors). So the extension is made here only where the server runs on this machine and the
processor has what those builds use; elsewhere the administrator makes it.
"""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from livingworld.observability import events
from livingworld.postgres.metadata import MADE_BY_COMMAND

#: What the builds of pgvector in circulation use without asking, by processor.
_NEEDED: Final = {"x86_64": {"avx2", "fma", "bmi2"}, "aarch64": {"sve"}}
INSTALLED: Final = text(
    "SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace"
    " WHERE e.extname = 'vector'"
)
_FUNCTION: Final = """
    CREATE OR REPLACE FUNCTION livingworld.vector_similarity(real[], real[]) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
"""
#: Its names are looked up when the function is created, and a statement that calls it takes it in.
_ATOMIC: Final = "BEGIN ATOMIC {body}; END"
#: Who may call them: see postgres/migration_text.py.
_REVOKE: Final = (
    "REVOKE EXECUTE ON FUNCTION livingworld.vector_similarity(real[], real[]),"
    " livingworld.nearest_memories(uuid, text, real[], integer) FROM PUBLIC"
)
#: With the digest of a world and an embedder, the name of the index of its vectors.
NEAREST_INDEX: Final = f"{MADE_BY_COMMAND}nearest_"
#: The inner product, which is the cosine for vectors of length 1; of unequal dimensions NaN.
PLAIN_BODY: Final = """SELECT CASE WHEN cardinality($1) <> cardinality($2) THEN 'NaN' ELSE (
    SELECT sum(n.a::double precision * n.b::double precision) FROM unnest($1, $2) AS n (a, b)
) END"""
PGVECTOR_BODY: Final = """SELECT CASE WHEN cardinality($1) <> cardinality($2) THEN 'NaN'
    ELSE -($1::{schema}.vector OPERATOR({schema}.<#>) $2::{schema}.vector) END"""
#: Whether pgvector goes on with a search of an index whose first answers a filter has removed.
CAN_GO_ON: Final = text(
    "SELECT count(*) > 0 FROM pg_extension WHERE extname = 'vector'"
    " AND string_to_array(extversion, '.')::integer[] >= '{0,8}'"
)
_NEAREST_HEAD: Final = """
    CREATE OR REPLACE FUNCTION livingworld.nearest_memories(
        in_world_id uuid, in_embedder text, in_vector real[], in_limit integer
    ) RETURNS SETOF uuid LANGUAGE plpgsql STABLE SET search_path TO pg_catalog, pg_temp
"""
NO_NEAREST: Final = f"{_NEAREST_HEAD} AS $function$ BEGIN RETURN; END $function$"
#: The nearest memories of a world by its index of them; none where it has no index that is complete, or one of vectors
#: of another length. The world and the embedder stand in the statement itself, since the index has only them. The index
#: is not left out for being taken for dear.
NEAREST: Final = f"""{_NEAREST_HEAD}
    SET enable_seqscan TO off SET enable_sort TO off SET enable_bitmapscan TO off
    SET hnsw.iterative_scan TO 'relaxed_order' SET hnsw.ef_search TO 100
AS $function$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indexrelid
        WHERE i.indexrelid = to_regclass('livingworld.{NEAREST_INDEX}' || md5(in_world_id || in_embedder))
            AND i.indisvalid AND a.atttypmod = cardinality(in_vector)
    ) THEN
        RETURN;
    END IF;
    RETURN QUERY EXECUTE format(
        'SELECT v.memory_id FROM livingworld.memory_vectors AS v WHERE v.world_id = %L AND v.embedder = %L'
        ' ORDER BY (v.vector::{{schema}}.vector(%s)) OPERATOR({{schema}}.<#>) $1::{{schema}}.vector LIMIT $2',
        in_world_id, in_embedder, cardinality(in_vector)
    ) USING in_vector, in_limit;
END
$function$"""  # noqa: S608 - our own words


def provision_vectors(connection: Connection) -> bool:
    """Make livingworld.vector_similarity the fastest that is safe here; return whether that is pgvector.

    And livingworld.nearest_memories, which answers from an index where pgvector can go on with one that was filtered.
    """
    schema = connection.scalar(INSTALLED)
    if schema is None and _is_local(connection) and processor_is_safe():
        schema = _install(connection)
    body = PLAIN_BODY if schema is None else PGVECTOR_BODY.format(schema=schema)
    nearest = NEAREST if connection.scalar(CAN_GO_ON) else NO_NEAREST
    for statement in (f"{_FUNCTION}{_ATOMIC.format(body=body)}", nearest.replace("{schema}", str(schema)), _REVOKE):
        connection.execute(text(statement.replace(":", "\\:")))
    events.emit(events.VECTORS_PROVISIONED, pgvector=schema is not None)
    return schema is not None


def vectors_as_sql() -> str:
    """Return the statement with which a script does the same; the extension it takes where it is and never makes."""
    plain, pgvector = (f"{_FUNCTION}{_ATOMIC.format(body=body)}" for body in (PLAIN_BODY, PGVECTOR_BODY))
    return f"""DO $provision$
DECLARE
    place text;
BEGIN
    IF to_regclass('livingworld.memory_vectors') IS NULL THEN
        RETURN;
    END IF;
    {INSTALLED.text.replace(" FROM", " INTO place FROM", 1)};
    EXECUTE CASE WHEN place IS NULL THEN $ddl${plain}$ddl$
        ELSE replace($ddl${pgvector}$ddl$, '{{schema}}', place) END;
    EXECUTE CASE WHEN ({CAN_GO_ON.text}) THEN replace($ddl${NEAREST}$ddl$, '{{schema}}', place)
        ELSE $ddl${NO_NEAREST}$ddl$ END;
    {_REVOKE};
END $provision$"""


def processor_is_safe(machine: str | None = None, cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Return whether this machine's processor has what the builds of pgvector may use."""
    machine = machine or platform.machine()
    if platform.system() == "Darwin":
        return True  # there pgvector is built for any processor
    if machine not in _NEEDED or not cpuinfo.is_file():
        return False
    return _NEEDED[machine] <= set(cpuinfo.read_text().split())


def _is_local(connection: Connection) -> bool:
    url = connection.engine.url
    host = url.host or url.query.get("host", "/")
    return str(host).startswith("/") or host in {"localhost", "127.0.0.1", "::1"}


def _install(connection: Connection) -> str | None:
    """Make the extension if the server has it and the role may, and return its schema."""
    if not connection.scalar(text("SELECT true FROM pg_available_extensions WHERE name = 'vector'")):
        return None
    try:
        with connection.begin_nested():
            connection.execute(text("CREATE EXTENSION IF NOT EXISTS vector SCHEMA public"))
    except DBAPIError:
        return None  # the role may not; comparing works without it
    schema: str | None = connection.scalar(INSTALLED)
    return schema
