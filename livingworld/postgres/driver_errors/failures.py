"""The one place where SQLSTATEs, constraint names and driver failures become errors of livingworld.

The driver's message is not chained: its parameters would be story text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

import asyncpg
from sqlalchemy.exc import DBAPIError, InterfaceError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from livingworld import errors
from livingworld.errors import LivingWorldError


class RetryKind(Enum):
    """Which budget a repetition is taken from."""

    #: PostgreSQL preferred another transaction: many quick tries.
    CONFLICT = "conflict"
    #: The server was away: few slow tries.
    OUTAGE = "outage"
    #: Another session holds a row: it is waited for within the lock timeout, see lock_waits.
    LOCK = "lock"


class DriverError(Exception):
    """What the driver reported, without the values it quoted."""

    #: What PostgreSQL answered; None: it did not.
    sqlstate: str | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """A driver's exception, named: the error to raise, what to chain, and whether the unit may run again."""

    error: LivingWorldError
    cause: DriverError
    retry: RetryKind | None
    #: True when PostgreSQL itself answered: then the transaction was rolled back for certain.
    answered: bool


class ConnectFailed(Exception):  # noqa: N818 - a signal to the opener of the connection
    """No connection was made; carries the failure that it means."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(str(failure.error))
        self.failure = failure


#: Everything a driver, the pool or the network may raise out of a call.
DRIVER_EXCEPTIONS: Final = (
    ConnectFailed,
    SQLAlchemyError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,  # includes TimeoutError, which asyncpg's command_timeout raises
)

_BY_SQLSTATE: Final[dict[str, tuple[type[LivingWorldError], RetryKind | None]]] = {
    "40001": (errors.SerializationFailure, RetryKind.CONFLICT),
    "40P01": (errors.DeadlockDetected, RetryKind.CONFLICT),
    "55P03": (errors.LockTimeout, RetryKind.LOCK),
    "57014": (errors.StatementTimeout, None),
    "25P02": (errors.TransactionPoisoned, None),
    "25P03": (errors.TransactionTimeout, None),  # idle in the transaction: the session was ended
    "25P04": (errors.TransactionTimeout, None),
    "25006": (errors.ServerReadOnly, RetryKind.OUTAGE),  # until another server is the primary
    "57P01": (errors.Unavailable, RetryKind.OUTAGE),
    "57P02": (errors.Unavailable, RetryKind.OUTAGE),
    "57P03": (errors.ServerNotReady, RetryKind.OUTAGE),
    "57P04": (errors.Unavailable, None),  # the database was dropped
    "57P05": (errors.Unavailable, RetryKind.OUTAGE),
    "53000": (errors.ServerExhausted, None),
    "53100": (errors.DiskFull, None),
    "53200": (errors.ServerExhausted, None),
    "53300": (errors.TooManyConnections, RetryKind.OUTAGE),
    "53400": (errors.ServerExhausted, None),  # temp_file_limit
    "42501": (errors.MissingPrivilege, None),
    "XX001": (errors.DataCorrupted, None),
    "XX002": (errors.DataCorrupted, None),
    "26000": (errors.PoolerUndeclared, None),  # a prepared statement is on another session
    "42P05": (errors.PoolerUndeclared, None),
    "3D000": (errors.Unavailable, None),
    "28P01": (errors.Unavailable, None),
    "28000": (errors.Unavailable, None),
    "3F000": (errors.SchemaNotReady, None),
    "42P01": (errors.SchemaNotReady, None),
    "42883": (errors.SchemaNotReady, None),
    "42703": (errors.SchemaNotReady, None),
}

#: By the SQLSTATE, what the message quotes when a policy (story/worlds/isolation.py) asks for a setting in vain: this
#: session never had it, or an earlier transaction of the session had.
_NO_SCOPE: Final = {"42704": '"livingworld.', "22P02": 'uuid: ""'}


#: The class of SQLSTATE of a violated constraint, and what its message has between quotes.
_VIOLATED: Final = "23"
#: What Citus says instead, and in its message, where another node refuses rows that were sent there by COPY.
_SENT_BY_COPY: Final = ("XX000", " violates ")
_NAMES: Final = re.compile(r'"(\w+)"')
#: What Citus adds to the name of a constraint for each shard.
_SHARD: Final = re.compile(r"_\d{6,}$")
#: An answer with one of these does not tell whether a COMMIT under way took effect.
_SESSION_ENDED: Final = ("08", "40003", "57P", "58", "XX")

_BY_CONSTRAINT: Final[dict[str, type[LivingWorldError]]] = {
    "pk_scenes": errors.SceneNumberConflict,
    "fk_stories_world_id": errors.WorldNotFound,
    "fk_characters_world_id": errors.WorldNotFound,
    "fk_documents_world_id": errors.WorldNotFound,
    "fk_request_keys_world_id": errors.WorldNotFound,
    "fk_cycles_world_id": errors.WorldNotFound,
    "fk_ai_model_roles_world_id": errors.WorldNotFound,
    "fk_ai_models_world_id_role": errors.WorldNotFound,
    "fk_training_samples_world_id": errors.WorldNotFound,
    "fk_training_samples_world_id_model_id": errors.ModelNotFound,
    "fk_leases_world_id": errors.WorldNotFound,
    "fk_lore_entries_world_id": errors.WorldNotFound,
    "fk_lore_changes_world_id": errors.WorldNotFound,
    "fk_live_streams_world_id": errors.WorldNotFound,
    "fk_present_players_world_id": errors.WorldNotFound,
    "fk_embedding_cache_world_id": errors.WorldNotFound,
    "fk_memory_embedders_world_id": errors.WorldNotFound,
    "fk_character_names_world_id_character_id": errors.CharacterNotFound,
    "fk_scene_cast_world_id_character_id": errors.CharacterNotFound,
    "fk_branches_world_id_story_id": errors.StoryNotFound,
    "uq_branches_name": errors.BranchNameTaken,
    "pk_turns": errors.RequestKeyReused,
    "fk_turns_world_id_story_id": errors.StoryNotFound,
    "fk_generations_world_id_story_id_request_key": errors.TurnNotFound,
    "fk_model_calls_world_id_story_id_request_key": errors.TurnNotFound,
    "fk_characters_known": errors.CharacterNotFound,
    "fk_relationships_world_id_source_id": errors.CharacterNotFound,
    "fk_relationships_world_id_target_id": errors.CharacterNotFound,
    "fk_memories_world_id_character_id": errors.CharacterNotFound,
    "ck_relationships_two_characters": errors.SameCharacter,
    "uq_facts_given_once": errors.SameCharacter,
    "ck_memory_vectors_dimensions": errors.DimensionMismatch,
    "fk_sessions_world_id": errors.WorldNotFound,
    "fk_interactions_world_id_session_id": errors.SessionNotFound,
    "fk_tasks_world_id_session_id": errors.SessionNotFound,
    "fk_lanes_world_id": errors.WorldNotFound,
    "uq_actions_running": errors.AlreadyRunning,
    "fk_scripts_world_id": errors.WorldNotFound,
    "fk_script_versions_world_id_name": errors.ScriptNotFound,
    "fk_script_executions_world_id_name_version": errors.ScriptNotFound,
    "uq_tasks_running": errors.AlreadyRunning,
    "pk_request_keys": errors.RequestKeyReused,
    "pk_worlds": errors.WorldExists,
    "uq_worlds_key": errors.WorldExists,
    "uq_worlds_request_key": errors.WorldExists,
    "pk_stories": errors.StoryExists,
    "uq_stories_key": errors.StoryExists,
}


def name_failure(exception: BaseException) -> Failure:
    """Return the failure that `exception` means; every exception of DRIVER_EXCEPTIONS has one."""
    if isinstance(exception, ConnectFailed):
        return exception.failure
    if isinstance(exception, PoolTimeoutError):
        return Failure(errors.PoolTimeout(), _scrub(exception, None, None), None, answered=False)
    sqlstate = next((state for link in error_chain(exception) if (state := _attribute(link, "sqlstate"))), None)
    constraint = _constraint(exception, sqlstate)
    cause = _scrub(exception, sqlstate, constraint)
    answered = sqlstate is not None and not sqlstate.startswith(_SESSION_ENDED)
    error, retry = _named(exception, sqlstate, constraint)
    return Failure(error, cause, retry, answered=answered)


def _constraint(exception: BaseException, sqlstate: str | None) -> str | None:
    """Return the name of the constraint that was violated, by the name that the tables of this release give it.

    Citus adds the number of the shard (`pk_scenes_102138`), and names the constraint of another node only in the
    message, which names nothing but tables and constraints.
    """
    names = [name for link in error_chain(exception) if (name := _attribute(link, "constraint_name"))]
    if not names and sqlstate is not None and sqlstate.startswith((_VIOLATED, _SENT_BY_COPY[0])):
        message = " ".join(str(_attribute(link, "message") or "") for link in error_chain(exception))
        names = _NAMES.findall(message) if sqlstate != _SENT_BY_COPY[0] or _SENT_BY_COPY[1] in message else []
    known = (name for each in names for name in (each, _SHARD.sub("", each)) if name in _BY_CONSTRAINT)
    return next(known, names[0] if len(names) == 1 else None)


def _named(
    exception: BaseException, sqlstate: str | None, constraint: str | None
) -> tuple[LivingWorldError, RetryKind | None]:
    if constraint in _BY_CONSTRAINT:
        return _refusal(exception, constraint), None
    if any(isinstance(link, asyncpg.InvalidCachedStatementError) for link in error_chain(exception)):
        return errors.SerializationFailure(), RetryKind.CONFLICT  # the schema changed under a cached plan
    if sqlstate in _BY_SQLSTATE:
        kind, retry = _BY_SQLSTATE[sqlstate]
        return kind(), retry
    return _unlisted(exception, sqlstate, constraint)


def _unlisted(
    exception: BaseException, sqlstate: str | None, constraint: str | None
) -> tuple[LivingWorldError, RetryKind | None]:
    if sqlstate in _NO_SCOPE and any(_NO_SCOPE[sqlstate] in str(link) for link in error_chain(exception)):
        return errors.RowSecurityUndeclared(), None
    if _connection_is_gone(exception, sqlstate):
        return errors.Unavailable(), RetryKind.OUTAGE
    if any(isinstance(link, TimeoutError) for link in error_chain(exception)):
        return errors.StatementTimeout(), None
    return errors.DatabaseFailure(sqlstate=sqlstate, constraint=constraint), None


def _refusal(exception: BaseException, constraint: str) -> LivingWorldError:
    reference = next((detail for link in error_chain(exception) if (detail := _attribute(link, "detail"))), None)
    if constraint == "fk_characters_known" and reference is not None:  # raised by write_turn_state_v1, which names it
        return errors.CharacterNotFound.of_reference(reference)
    return _BY_CONSTRAINT[constraint]()


def _connection_is_gone(exception: BaseException, sqlstate: str | None) -> bool:
    if sqlstate is not None:
        return sqlstate.startswith("08")
    if isinstance(exception, DBAPIError) and exception.connection_invalidated:
        return True
    return any(
        isinstance(link, InterfaceError | asyncpg.InterfaceError) or _is_network_error(link)
        for link in error_chain(exception)
    )


def _is_network_error(link: BaseException) -> bool:
    return isinstance(link, OSError) and not isinstance(link, TimeoutError)


def error_chain(exception: BaseException) -> Iterator[BaseException]:
    """Yield the exception, the driver's one in it, and its causes."""
    link: BaseException | None = exception
    while link is not None:
        yield link
        link = getattr(link, "orig", None) or link.__cause__


def _attribute(link: BaseException, name: str) -> str | None:
    value = getattr(link, name, None)
    return value if isinstance(value, str) else None


def _scrub(exception: BaseException, sqlstate: str | None, constraint: str | None) -> DriverError:
    *_, root = error_chain(exception)
    cause = DriverError(f"{type(root).__name__} (SQLSTATE {sqlstate}, constraint {constraint})")
    cause.sqlstate = sqlstate
    return cause
