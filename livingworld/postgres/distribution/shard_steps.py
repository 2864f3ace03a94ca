"""What is left to do until each shard has its functions, and none has those of a shard that is no more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from sqlalchemy import MetaData

from livingworld.postgres.distribution.cluster import Cluster, Function
from livingworld.postgres.distribution.shard_functions import Written, is_written, written_for
from livingworld.postgres.distribution.step import BESIDE, Step, known
from livingworld.postgres.metadata import SCHEMA

#: Who may call a function may call what it was written as: the roles of an application.
_GRANTS: Final = """
    DO $grants$
    DECLARE
        statement text;
    BEGIN
        FOR statement IN
            SELECT format('GRANT EXECUTE ON FUNCTION %s TO %I', CAST(w.oid AS regprocedure), pg_get_userbyid(a.grantee))
            FROM pg_proc p CROSS JOIN LATERAL aclexplode(p.proacl) a
            JOIN pg_proc w ON w.pronamespace = p.pronamespace AND w.proname IN ({written})
            WHERE p.oid = CAST('{schema}.{name}' AS regproc) AND a.grantee NOT IN (0, p.proowner)
        LOOP
            EXECUTE statement;
        END LOOP;
    END
    $grants$
"""


def functions_of_shards(cluster: Cluster, metadata: MetaData, plan_cache_mode: str) -> Iterator[Step]:
    """Give the steps; what goes through Citus is planned as `plan_cache_mode` says."""
    there = {function.name: function for function in cluster.functions}
    needed: set[str] = set()
    for name in sorted(metadata.info["written_for_shards"] & there.keys()):
        is_routed = name in metadata.info["called_alone"]
        written = written_for(name, cluster.shards, BESIDE, plan_cache_mode)
        needed |= {each.name for each in written}
        new = [
            each
            for each in written
            if not _is_there(there.get(each.name), each, is_routed=is_routed and each.name == name)
        ]
        if new:
            yield Step(f"the function {name} for each shard", tuple(_statements(name, new, is_routed=is_routed)))
    for function in cluster.functions:
        if is_written(function.name) and function.name not in needed:
            yield Step(f"the end of {function.name}, of no shard", (f"DROP FUNCTION {function.signature}",))


def _is_there(function: Function | None, written: Written, *, is_routed: bool) -> bool:
    if function is None or not function.is_known or function.is_routed != is_routed:
        return False
    return (function.source, function.plan_cache_mode) == (written.source, written.plan_cache_mode)


def _statements(name: str, written: Sequence[Written], *, is_routed: bool) -> Iterator[str]:
    for each in written:
        yield each.text
        yield f"REVOKE EXECUTE ON FUNCTION {SCHEMA}.{each.name} FROM PUBLIC"
    yield _GRANTS.format(schema=SCHEMA, name=name, written=", ".join(f"'{each.name}'" for each in written))
    for each in written:
        function = f"CAST(CAST('{SCHEMA}.{each.name}' AS regproc) AS regprocedure)"
        yield known(function, is_routed=is_routed and each.name == name)
