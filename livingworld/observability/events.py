"""Every event livingworld logs, in one list; ids and numbers only, never story text, names or secrets."""

from __future__ import annotations

import logging
from functools import partial
from typing import Final

from livingworld.observability.event_log import Event, declare, emit, failure_fields

__all__ = ["ALL", "Event", "emit", "emit_failure"]

_debug = partial(declare, logging.DEBUG)
_info = partial(declare, logging.INFO)
_warning = partial(declare, logging.WARNING)
_error = partial(declare, logging.ERROR)

ENGINE_CREATED: Final = _info(
    "engine created", "isolation_level pool_size embedded behind_pooler", "A LivingWorld was opened."
)
COMMITTED: Final = _info("transaction committed", "statements attempt", "A transaction was committed.")
RETRIED: Final = _warning(
    "unit retried", "error attempt kind", "PostgreSQL rolled a unit back or was away; it runs again."
)
LOCK_AWAITED: Final = _debug(
    "lock awaited", "milliseconds", "A call met a row that another session holds; it queues in the process."
)
FAILED: Final = _error(
    "unit failed",
    "error sqlstate constraint frames",
    "A unit was rolled back by a failure, not by a refusal; `frames` are its places in livingworld.",
)
ROLLED_BACK: Final = _info(
    "unit rolled back", "error", "The application's own work raised this class; its unit was rolled back."
)
DEADLOCK_BROKEN: Final = _warning(
    "deadlock broken",
    "statements statement others",
    "PostgreSQL ended a deadlock by failing this unit, after this number of statements; the statements that met.",
)
DEADLOCK_AHEAD: Final = _warning(
    "deadlock ahead",
    "reason kinds world_id story_id sessions statements",
    "Sessions wait for each other (cycle), or one waits out of the declared order (order); nothing is ended.",
)
LOCK_WAIT_LONG: Final = _warning(
    "lock wait long",
    "kind table world_id story_id seconds calls waiter waiter_statement holder holder_state holder_statement"
    " holder_seconds",
    "A lock is waited for longer than `report_lock_waits_after`; both sides, by PostgreSQL's process ids.",
)
LOCK_HELD_LONG: Final = _warning(
    "lock held long",
    "kinds tables world_id seconds holder holder_state holder_statement waiters waiter waiter_statement",
    "A transaction holds locks longer than `report_lock_holds_after`; both sides, by PostgreSQL's process ids.",
)
LOCKS_NOT_SEEN: Final = _info(
    "locks not seen", "error", "A look at the locks of the database failed; the next one comes by itself."
)
SCENE_CREATED: Final = _debug("scene created", "world_id story_id scene_number branch_number", "A scene was appended.")
SCENE_REPLAYED: Final = _debug(
    "scene replayed", "world_id story_id scene_number", "A request key was sent again; the stored scene was returned."
)
SCENE_NUMBER_CONFLICT: Final = _warning(
    "scene number conflict", "world_id story_id", "A scene with the next number exists already."
)
HEAD_STALE: Final = _info(
    "head stale", "world_id story_id expected actual", "An append named a head that is no longer the branch's."
)
BRANCH_FORKED: Final = _info(
    "branch forked", "world_id story_id branch_number scene_number", "A branch was made at a scene."
)
BRANCH_DELETED: Final = _info(
    "branch deleted", "world_id story_id branch_number scene_number", "A branch was deleted; its scenes stay."
)
HEAD_MOVED: Final = _info(
    "head moved", "world_id story_id branch_number scene_number", "Undo, redo or rewind moved a head."
)
TURN_TAKEN: Final = _debug("turn taken", "world_id story_id branch_number attempt", "A branch's lease was granted.")
TURN_REPLAYED: Final = _debug(
    "turn replayed",
    "world_id story_id scene_number",
    "A turn's request key was sent again; the stored scene was returned.",
)
TURN_COMMITTED: Final = _debug(
    "turn committed", "world_id story_id scene_number branch_number", "A turn became a scene."
)
TURN_REFUSED: Final = _info("turn refused", "world_id story_id error", "A turn was not granted, or not committed.")
TURN_GIVEN_UP: Final = _info(
    "turn given up", "world_id story_id reason", "A turn was left without a commit; its lease is free."
)
TURN_NOT_COMMITTED: Final = _warning(
    "turn not committed",
    "world_id story_id generation_id",
    "The block of a turn was left without a commit and without an error: no scene was stored. Call `turn.commit`.",
)
CALL_NOT_STORED: Final = _warning(
    "call not stored", "world_id story_id error", "A call of a model that failed could not be stored."
)
TURN_ABANDONED: Final = _warning(
    "turn abandoned", "world_id story_id error", "A turn could not be given up; its lease expires."
)
TURN_LOST: Final = _warning("turn lost", "world_id story_id", "A running turn lost its lease.")
GENERATION_CHOSEN: Final = _info(
    "generation chosen",
    "world_id story_id scene_number branch_number",
    "Another generation became the scene at its place.",
)
SESSION_CLEARED: Final = _info(
    "session cleared", "world_id session_id epoch tasks", "A session was emptied, and its running tasks were cancelled."
)
SESSIONS_EXPIRED: Final = _info("sessions expired", "world_id sessions", "Sessions without a heartbeat were removed.")
TASK_CANCEL_REQUESTED: Final = _info(
    "task cancel requested", "world_id task_id", "The owner of a task is asked to stop."
)
TASK_OWNER_DEAD: Final = _warning(
    "task owner dead", "world_id task_id", "A task's owner sent no heartbeat in time; the task has failed."
)
TASK_TAKEN_OVER: Final = _warning(
    "task taken over", "world_id task_id token", "A task's owner sent no heartbeat in time; another owner has the task."
)
TASK_LOST: Final = _warning("task lost", "world_id task_id", "A running task no longer belongs to its owner.")
ACTION_FAILED: Final = _warning(
    "action failed",
    "world_id action_id attempt state error",
    "An attempt at an action failed; `state` says whether another attempt follows.",
)
ACTION_LOST: Final = _warning(
    "action lost",
    "world_id action_id error",
    "The worker could not store how an action ended: it had lost the claim, or the server was away.",
)
TASK_HANDLER_FAILED: Final = _warning(
    "task handler failed",
    "world_id task_id error",
    "The handler of a task that was taken over raised an error; the task has failed, and the service goes on.",
)
CHARACTER_FOUND: Final = _debug("character found", "world_id character_id", "A name belongs to a character already.")
CHARACTER_CREATED: Final = _info("character created", "world_id character_id", "A new character was stored.")
CHARACTER_CREATED_ELSEWHERE: Final = _info(
    "character created by another transaction",
    "world_id character_id",
    "Another transaction created the character between the first read and the lock.",
)
EMBEDDING_BATCH_FAILED: Final = _warning(
    "embedding batch failed",
    "embedder batch texts error",
    "The embedder failed at a batch of texts; no vector of it is stored.",
)
EMBEDDING_BATCH_HALVED: Final = _warning(
    "embedding batch halved",
    "embedder batch texts",
    "The embedder ran out of memory at a batch; it is tried again in halves.",
)
EMBEDDER_FELL_BACK: Final = _warning(
    "embedder fell back", "embedder texts error", "The fast backend failed; the safe backend answered."
)
EMBEDDER_CIRCUIT_CHANGED: Final = _warning(
    "embedder circuit changed",
    "embedder state",
    "The fast backend is not called after failures (open), or is called again (closed).",
)
EMBEDDER_WINDOW_ENDED: Final = _debug(
    "embedder window ended",
    "embedder backend carried started succeeded failed abandoned in_flight texts seconds",
    "The work of a backend since its window before; all windows of a backend add up to all its work.",
)
NOTIFICATIONS_LOST: Final = _warning(
    "notifications lost",
    "error",
    "The listening connection is lost; until it is restored, changes are found by polling.",
)
NOTIFICATIONS_RESTORED: Final = _info("notifications restored", "", "The listening connection is restored.")
MIGRATION_WAITING: Final = _info(
    "migration waiting",
    "time_limit_seconds",
    "This process waits for the right to migrate; another process may have it.",
)
MIGRATION_STEP_DONE: Final = _info("migration step done", "step seconds", "A step of an upgrade took effect.")
MIGRATION_BATCH_DONE: Final = _debug(
    "migration batch done",
    "step rows expected filled",
    "A back-fill has passed so many of some `expected` rows, and has written so many.",
)
MIGRATION_BLOCKED: Final = _warning(
    "migration blocked",
    "step error tries sessions",
    "A step found its tables held, gave up so that others go first, and is tried again.",
)
MIGRATED: Final = _info("schema migrated", "revision", "The schema stands at this revision.")
VECTORS_PROVISIONED: Final = _info(
    "vectors provisioned", "pgvector", "How vectors are compared: by pgvector, or in plain SQL."
)
SCRIPT_PUBLISHED: Final = _info("script published", "world_id version", "A new version of a script was stored.")
SCRIPT_ACTIVATED: Final = _info(
    "script activated", "world_id version activation", "Another version of a script is the active one."
)
SCRIPT_RETIRED: Final = _info(
    "script retired", "world_id version", "The version is not run any more, and cannot be run again."
)
CATALOGUE_KEPT: Final = _warning(
    "catalogue kept",
    "world_id version line",
    "This version does not compile in this process; all scripts that were in service stay in service.",
)
CATALOGUE_SWAPPED: Final = _debug(
    "catalogue swapped", "world_id scripts changed", "Another snapshot of all scripts is in service."
)
EXECUTION_LOST: Final = _warning(
    "execution lost",
    "world_id version",
    "This process renewed an execution too late; the version may be retired while it runs here.",
)
CYCLE_ENDED: Final = _info("cycle ended", "world_id run_number state", "A run of a cycle is over.")
CYCLE_NOT_ENDED: Final = _warning(
    "cycle not ended",
    "world_id run_number error",
    "The failure of a run could not be stored; the next holder of the cycle continues the run.",
)
MODEL_PROMOTED: Final = _info(
    "model promoted", "world_id model_id version activation", "An AI model became the active one."
)
MODEL_ROLLED_BACK: Final = _warning(
    "model rolled back", "world_id model_id version activation", "A former AI model is active again."
)
MODEL_LOADED: Final = _info("model loaded", "world_id model_id milliseconds", "An AI model was loaded and probed here.")
MODEL_NOT_LOADED: Final = _warning(
    "model not loaded",
    "world_id model_id error",
    "An AI model could not be loaded here; the former one stays in service, and an active one is tried again.",
)
MODEL_SWAPPED: Final = _info(
    "model swapped", "world_id model_id version", "From now on this process answers with this AI model."
)
MODEL_CLOSED: Final = _info("model closed", "world_id model_id", "An AI model was closed after its last use here.")
MODEL_CLOSED_IN_USE: Final = _warning(
    "model closed in use", "world_id model_id uses", "The last uses of an AI model did not end in time."
)
MODEL_CLOSE_FAILED: Final = _warning(
    "model close failed", "world_id model_id error", "Closing failed; it is not tried again."
)
SAMPLES_DROPPED: Final = _warning(
    "samples dropped", "world_id dropped buffered", "The buffer was full; these samples are lost."
)
SAMPLE_REFUSED: Final = _warning("sample refused", "world_id sample_id error", "A training sample cannot be stored.")
SAMPLES_DELAYED: Final = _warning(
    "samples delayed", "world_id buffered error", "Samples stay in the buffer; storing them is tried again."
)
SAMPLES_NOT_STORED: Final = _error(
    "samples not stored", "world_id refused left", "A collector ended with samples that are not stored."
)
LEASE_NOT_RELEASED: Final = _warning(
    "lease not released", "world_id error", "A lease could not be released; it expires."
)
SERVICE_FAILED: Final = _warning(
    "service failed", "service error", "A round of a background service failed; it goes on."
)
MEMORIES_NOT_EMBEDDED: Final = _warning(
    "memories not embedded",
    "world_id embedder memories",
    "The embedder failed at these memories; they are tried again later.",
)
TEXTS_NOT_EMBEDDED: Final = _warning(
    "texts not embedded",
    "world_id embedder texts error",
    "The embedder failed at these scenes and characters; they are tried again later.",
)
WORDS_INDEXED: Final = _debug(
    "words indexed",
    "world_id texts waited_milliseconds",
    "The words of texts of scenes were indexed; the first of them had waited so long.",
)
REPLICA_LEFT_ALONE: Final = _warning(
    "replica left alone",
    "reason error seconds",
    "Reads go to the primary for so long; then one of them tries the standby again.",
)
REPLICA_USED_AGAIN: Final = _info("replica used again", "", "Reads that say `at_least` go to the standby again.")
EMBEDDED_SERVER_STARTED: Final = _info(
    "embedded server started",
    "milliseconds data_directory version",
    "No database was named, so the embedded PostgreSQL server is used; it is ready.",
)
EMBEDDED_SERVER_RESTARTED: Final = _warning(
    "embedded server restarted", "milliseconds", "The embedded server had ended and was started again."
)
EMBEDDED_SERVER_NOT_SUPERVISED: Final = _warning(
    "embedded server not supervised",
    "reason",
    "No supervisor could be started: if all clients are killed, the server runs until the next client leaves.",
)

#: All of them, for documentation and for tests.
ALL: Final = tuple(value for value in list(vars().values()) if isinstance(value, Event))


def emit_failure(error: BaseException) -> None:
    """Log FAILED with the error's class and its frames inside livingworld."""
    emit(FAILED, **failure_fields(error))
