"""What OpenTelemetry's semantic conventions say of the instruments and attributes that livingworld takes from them.

Databases: version 1.44.0 (2026-08-04), model/db and docs/db/postgresql.md of open-telemetry/semantic-conventions.
Generative AI: version 1.41.0 (2026-04-27), the last there; since then open-telemetry/semantic-conventions-genai has it,
of which the names for memories (pull request 140, 2026-05) are here too.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Convention(NamedTuple):
    """An instrument of the conventions."""

    #: As the conventions have it: histogram, counter or updowncounter.
    kind: str
    unit: str
    required: frozenset[str]
    #: Required in some cases, recommended, or to opt in.
    optional: frozenset[str]
    #: Advised for the buckets; empty: nothing is advised.
    bounds: tuple[float, ...] = ()


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_POOL: Final = _names("db.client.connection.pool.name")
_NO_NAMES: Final = _names("")
_MODEL: Final = _names("gen_ai.request.model gen_ai.response.model server.address server.port")
_OPERATION: Final = _names("gen_ai.operation.name gen_ai.provider.name")
INSTRUMENTS: Final = {
    "db.client.operation.duration": Convention(
        "histogram",
        "s",
        _names("db.system.name"),
        _names(
            "db.collection.name db.namespace db.operation.name db.response.status_code error.type db.query.summary"
            " db.query.text db.stored_procedure.name network.peer.address network.peer.port server.address server.port"
        ),
        (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10),
    ),
    "db.client.connection.count": Convention(
        "updowncounter", "{connection}", _POOL | _names("db.client.connection.state"), _NO_NAMES
    ),
    "db.client.connection.max": Convention("updowncounter", "{connection}", _POOL, _NO_NAMES),
    "db.client.connection.pending_requests": Convention("updowncounter", "{request}", _POOL, _NO_NAMES),
    "db.client.connection.timeouts": Convention("counter", "{timeout}", _POOL, _NO_NAMES),
    "db.client.connection.wait_time": Convention("histogram", "s", _POOL, _NO_NAMES),
    "gen_ai.client.operation.duration": Convention(
        "histogram",
        "s",
        _OPERATION,
        _MODEL | _names("error.type"),
        (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92),
    ),
    "gen_ai.client.token.usage": Convention(
        "histogram",
        "{token}",
        _OPERATION | _names("gen_ai.token.type"),
        _MODEL,
        (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864),
    ),
}
#: Of a span of a call to PostgreSQL: required, and those that apply to a call of this library.
SPAN_REQUIRED: Final = _names("db.system.name")
SPAN_OPTIONAL: Final = _names(
    "db.namespace db.operation.name db.response.status_code error.type server.address server.port"
)
#: Values of attributes that the conventions list; any other value is of one's own.
VALUES: Final = {
    "db.system.name": _names("postgresql"),
    "db.client.connection.state": _names("idle used"),
    "gen_ai.token.type": _names("input output"),
    "gen_ai.operation.name": _names(
        "chat generate_content text_completion embeddings retrieval create_agent invoke_agent execute_tool"
        " invoke_workflow create_memory search_memory update_memory upsert_memory delete_memory"
    ),
}
