"""Functions of SQL that read tables, as Citus can run them."""

from __future__ import annotations

from typing import Final

from livingworld.postgres.migrations import script_location

_IN_SQL: Final = "\nLANGUAGE sql\nSTABLE\nBEGIN ATOMIC\n"
_END: Final = ";\nEND\n"
_IN_PLPGSQL: Final = """
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_column
BEGIN
    {result};
END
$function$
"""


def as_plpgsql(name: str) -> str | None:
    """Return what replaces a function of SQL by one of PL/pgSQL; None for one that reads no table.

    Citus refuses a function of SQL that reads a table, where it is called with a parameter.
    """
    for path in sorted((script_location() / "versions/sql").glob(f"*/{name}.sql")):
        head, in_sql, body = path.read_text().partition(_IN_SQL)
        if in_sql:
            create = head[head.index("CREATE FUNCTION") :].replace("CREATE", "CREATE OR REPLACE", 1)
            query = body.removesuffix(_END)
            result = f"RETURN QUERY\n{query}" if "RETURNS TABLE" in head else f"RETURN (\n{query}\n    )"
            return create + _IN_PLPGSQL.replace("{result}", result)
    return None
