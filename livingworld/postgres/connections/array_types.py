"""The arrays of PostgreSQL's own types, which each new connection knows without asking the server.

asyncpg asks for a type that it does not know when a statement first needs it: two or four round trips and some 15 ms of
the server's CPU, in each connection, and for each statement that brings other types. The object identifiers of these
types are the same in every server.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

#: The type of the array and of an element, and their names. Not json and jsonb, for which SQLAlchemy sets a codec.
_ARRAYS: Final = (
    (1000, 16, "bool", "boolean"),
    (1001, 17, "bytea", "bytea"),
    (1005, 21, "int2", "smallint"),
    (1007, 23, "int4", "integer"),
    (1015, 1043, "varchar", "character varying"),
    (1016, 20, "int8", "bigint"),
    (1021, 700, "float4", "real"),
    (1022, 701, "float8", "double precision"),
    (1185, 1184, "timestamptz", "timestamp with time zone"),
    (1187, 1186, "interval", "interval"),
    (2287, 2249, "record", "record"),
    (2951, 2950, "uuid", "uuid"),
)
_OF_OTHER_KINDS: Final = (
    "basetype",
    "range_subtype",
    "attrtypoids",
    "attrnames",
    "basetype_name",
    "range_subtype_name",
)
#: What asyncpg's query returns for them, without its column `depth`.
ARRAY_TYPES: Final[tuple[dict[str, Any], ...]] = tuple(
    dict.fromkeys(_OF_OTHER_KINDS)
    | {"oid": array, "ns": "pg_catalog", "name": f"_{name}", "kind": b"p" if name == "record" else b"b"}
    | {"elemtype": element, "elemdelim": b",", "elemtype_name": standard_name}
    for array, element, name, standard_name in _ARRAYS
)


def register_array_types(connection: Any) -> None:  # noqa: ANN401 - asyncpg's connection
    """Have a connection of asyncpg know them; one that is built otherwise asks the server, as for others."""
    with suppress(AttributeError):
        connection._protocol.get_settings().register_data_types(ARRAY_TYPES)  # noqa: SLF001 - asyncpg has no public way
