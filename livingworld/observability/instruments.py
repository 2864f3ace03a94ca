"""Every instrument of livingworld, in one list: what is counted or measured, in which unit, by which attributes.

Names, units and bounds follow OpenTelemetry's conventions: `db.client.*` and `gen_ai.*` where they exist. An attribute
is a kind, a state, the class of an error or where the database is: never an id, a name or a text of a story, so the
number of series stays small.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Final


class Kind(Enum):
    """What an instrument does with what it is given."""

    #: Adds up; never falls.
    COUNTER = "counter"
    #: Is read at the moment of a snapshot.
    GAUGE = "gauge"
    #: Keeps the distribution of values.
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True, eq=False)
class Instrument:
    """Something that is counted or measured; its series differ in the values of its attributes."""

    kind: Kind
    name: str
    unit: str
    attributes: tuple[str, ...]
    meaning: str
    #: Of the buckets of a histogram that are exported, as the conventions advise; empty: those of its unit.
    bounds: tuple[float, ...] = ()


def declare(
    kind: Kind, name: str, unit: str, attributes: str, meaning: str, bounds: tuple[float, ...] = ()
) -> Instrument:
    """Return an instrument whose attributes are given as words."""
    return Instrument(kind, name, unit, tuple(attributes.split()), meaning, bounds)


_counter = partial(declare, Kind.COUNTER)
_gauge = partial(declare, Kind.GAUGE)
_histogram = partial(declare, Kind.HISTOGRAM)

# The database client, by the names of OpenTelemetry.
STATEMENT_DURATION: Final = _histogram(
    "db.client.operation.duration",
    "s",
    "db.operation.name db.namespace server.address server.port error.type db.response.status_code",
    "A statement from its sending to its answer: by its SQL function, or by its first word.",
    bounds=(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10),
)
CONNECTION_COUNT: Final = _gauge(
    "db.client.connection.count",
    "{connection}",
    "db.client.connection.pool.name db.client.connection.state",
    "Connections that are used, or idle in the pool.",
)
CONNECTION_MAX: Final = _gauge(
    "db.client.connection.max",
    "{connection}",
    "db.client.connection.pool.name",
    "Most connections that the pool opens.",
)
CONNECTION_PENDING: Final = _gauge(
    "db.client.connection.pending_requests",
    "{request}",
    "db.client.connection.pool.name",
    "Uses that wait for a connection, or open one.",
)
CONNECTION_TIMEOUTS: Final = _counter(
    "db.client.connection.timeouts",
    "{timeout}",
    "db.client.connection.pool.name",
    "Uses that got no connection within `pool_timeout`.",
)
CONNECTION_WAIT: Final = _histogram(
    "db.client.connection.wait_time",
    "s",
    "db.client.connection.pool.name",
    "The time to get an open connection from the pool.",
)
# Units of work, which the runner repeats.
UNIT_DURATION: Final = _histogram(
    "livingworld.unit.duration",
    "s",
    "outcome error.type",
    "A unit of work with all its tries: committed, refused (an answer that a caller has to expect) or failed.",
)
UNIT_RETRIES: Final = _counter(
    "livingworld.unit.retries",
    "{retry}",
    "kind error.type",
    "Further tries of a unit that PostgreSQL rolled back (conflict), or while the server was away (outage).",
)
UNIT_LOCK_WAIT: Final = _histogram(
    "livingworld.unit.lock_wait",
    "s",
    "outcome",
    "How long a unit that met a held row waited for it in all: until it went on, or gave up.",
)
CONFLICTS: Final = _counter(
    "livingworld.conflicts", "{conflict}", "error.type", "Calls that were answered by a conflict or a refusal."
)
CALLS_UNANSWERED: Final = _gauge(
    "livingworld.calls.unanswered",
    "{call}",
    "db.client.connection.pool.name",
    "Calls without an answer yet; `queue_limit` is the most.",
)
CHARACTERS_UNANSWERED: Final = _gauge(
    "livingworld.calls.characters",
    "{character}",
    "db.client.connection.pool.name",
    "Text of these calls; `queue_characters` is the most.",
)
LOCK_QUEUE: Final = _gauge(
    "livingworld.unit.lock_queue",
    "{unit}",
    "db.client.connection.pool.name",
    "Units that wait in the process for rows that other sessions hold.",
)
# Group commit.
GROUP_SIZE: Final = _histogram(
    "livingworld.group.size", "{request}", "kind", "Requests that one statement of a group commit carried."
)
GROUP_QUEUE_TIME: Final = _histogram(
    "livingworld.group.queue_time", "s", "kind", "How long a request waited in its process before it was sent."
)
GROUP_WAITING: Final = _gauge(
    "livingworld.group.waiting", "{request}", "kind", "Requests that wait to be sent with a group."
)
GROUP_PARTS: Final = _counter(
    "livingworld.group.parts", "{part}", "kind", "Parts of groups that had to be sent again by themselves."
)
# Turns, and the leases that are renewed in the background.
TURN_REQUESTS: Final = _counter(
    "livingworld.turn.requests",
    "{request}",
    "outcome",
    "Requests for a turn: granted, replayed (carried out before), or not granted.",
)
TURN_WAIT: Final = _histogram(
    "livingworld.turn.wait_time", "s", "outcome", "From asking for a turn to having it, or to its refusal."
)
TURN_DURATION: Final = _histogram(
    "livingworld.turn.duration", "s", "outcome", "How long a turn was held: until it was committed, or given up."
)
TURN_WAITING: Final = _gauge("livingworld.turn.waiting", "{request}", "", "Requests of this process that wait in line.")
TURN_LONGEST_LINE: Final = _gauge(
    "livingworld.turn.longest_line", "{request}", "", "Most requests of this process that wait for one branch."
)
LEASE_RENEWALS: Final = _counter(
    "livingworld.lease.renewals",
    "{renewal}",
    "kind outcome",
    "Renewals of leases: renewed, lost (another owner has it, or may), or failed (no answer; it is tried again).",
)
# Actions: one runs at a time in each lane.
ACTION_WAIT: Final = _histogram(
    "livingworld.action.wait_time",
    "s",
    "action.kind",
    "From when an action was due until it was claimed here, by the database's clock.",
)
ACTION_DURATION: Final = _histogram(
    "livingworld.action.duration",
    "s",
    "action.kind outcome",
    "How long an attempt ran: done, failed, expired, cancelled, given back, or lost (another worker has the claim).",
)
ACTIONS_RUNNING: Final = _gauge(
    "livingworld.action.running", "{action}", "", "Actions that run in this process, each in a lane of its own."
)
# Models, by the names of OpenTelemetry.
MODEL_DURATION: Final = _histogram(
    "gen_ai.client.operation.duration",
    "s",
    "gen_ai.operation.name gen_ai.request.model error.type",
    "A call of a model: the answer to a turn or to a call within it, or the vectors of a batch of texts; or a try of an"
    " operation on memories.",
    bounds=(0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92),
)
MODEL_TOKENS: Final = _histogram(
    "gen_ai.client.token.usage",
    "{token}",
    "gen_ai.operation.name gen_ai.request.model gen_ai.token.type",
    "Tokens of a call that the application reported.",
    bounds=tuple(4.0**power for power in range(14)),
)
EMBEDDED_TEXTS: Final = _counter(
    "livingworld.embedding.texts",
    "{text}",
    "outcome",
    "Parts of texts that asked for a vector: cached, computed, or failed.",
)
# Live streams and notifications.
LIVE_STREAMS: Final = _gauge("livingworld.live.streams", "{stream}", "", "Streams that this process follows.")
LIVE_SUBSCRIPTIONS: Final = _gauge("livingworld.live.subscriptions", "{subscription}", "", "Their subscribers here.")
LIVE_EVENTS: Final = _counter("livingworld.live.events", "{event}", "", "Events that were handed on, once each.")
LIVE_MISSED: Final = _counter(
    "livingworld.live.missed", "{event}", "", "Times that a slow subscriber was given a Missed in place of its buffer."
)
LIVE_LAG: Final = _histogram(
    "livingworld.live.lag",
    "s",
    "",
    "From the begin of the transaction that published an event to its handing on: two clocks, and never below 0.",
)
NOTIFICATIONS: Final = _counter(
    "livingworld.notifications", "{topic}", "direction", "Topics that were notified: sent to, or received from others."
)
LISTENING: Final = _gauge(
    "livingworld.notifications.listening", "1", "", "1 while notifications of other processes arrive, else 0."
)
# Background.
SERVICE_ROUNDS: Final = _counter(
    "livingworld.service.rounds",
    "{round}",
    "service outcome",
    "Rounds of background services: worked, idle (there was nothing to do) or failed.",
)
TASKS: Final = _gauge(
    "livingworld.tasks", "{task}", "kind", "Background tasks: that must reach their end, and that may be cancelled."
)

REPLICA_READS: Final = _counter(
    "livingworld.replica.reads",
    "{read}",
    "server reason",
    "Reads that say `at_least`, where there is a standby: by the server that answered; why, when it is the primary.",
)
REPLICA_WAIT: Final = _histogram(
    "livingworld.replica.wait.duration",
    "s",
    "outcome",
    "How long a read waited for a standby that was behind: it went on there, or gave up.",
)
LOCK_WAIT: Final = _histogram(
    "livingworld.lock.wait.duration",
    "s",
    "kind",
    "How long a call waited for a lock of this kind that another transaction had.",
)
LOCK_HOLD: Final = _histogram(
    "livingworld.lock.hold.duration", "s", "kind", "How long a transaction had locks of this kind, until it ended."
)
LOCK_CONFLICTS: Final = _counter(
    "livingworld.lock.conflicts", "{conflict}", "kind", "Locks of this kind that another transaction had."
)
LOCK_TIMEOUTS: Final = _counter(
    "livingworld.lock.timeouts", "{timeout}", "kind", "Calls that waited for a lock of this kind as long as they may."
)
DEADLOCKS: Final = _counter(
    "livingworld.lock.deadlocks",
    "{deadlock}",
    "reason",
    "Deadlocks: broken by PostgreSQL, or a cycle of waits or a wait out of order that was seen before.",
)
# What the catalogue of the database knows, of every program: `livingworld metrics --prometheus`.
DATABASE_SESSIONS: Final = _gauge(
    "livingworld.database.sessions", "{session}", "state", "Sessions of the database, by what they do."
)
DATABASE_SESSIONS_WAITING: Final = _gauge(
    "livingworld.database.sessions.waiting", "{session}", "state", "Those of them that wait for a lock."
)
TABLE_ROWS: Final = _gauge("livingworld.table.rows", "{row}", "table", "Rows of a table, as PostgreSQL estimates them.")
TABLE_DEAD_ROWS: Final = _gauge(
    "livingworld.table.dead_rows",
    "{row}",
    "table",
    "Rows that vacuum has not removed yet, as PostgreSQL estimates them.",
)
TABLE_SIZE: Final = _gauge("livingworld.table.size", "By", "table", "A table on disk, with its indexes.")

#: All of them, for documentation, for export and for tests.
ALL: Final = tuple(value for value in list(vars().values()) if isinstance(value, Instrument))
