"""Every event livingworld logs, in one list; ids and numbers only, never story text, names or secrets."""

from __future__ import annotations

import logging
from typing import Final

from livingworld.observability.event_log import Event, emit, failure_fields
from livingworld.observability.event_log import declare as _event

__all__ = ["ALL", "Event", "emit", "emit_failure"]

ENGINE_CREATED: Final = _event(
    "engine created", logging.INFO, "isolation_level pool_size embedded behind_pooler", "A LivingWorld was opened."
)
COMMITTED: Final = _event("transaction committed", logging.INFO, "statements attempt", "A transaction was committed.")
RETRIED: Final = _event(
    "unit retried", logging.WARNING, "error attempt kind", "PostgreSQL rolled a unit back or was away; it runs again."
)
LOCK_AWAITED: Final = _event(
    "lock awaited", logging.DEBUG, "milliseconds", "A call met a row that others hold; it queues in the process."
)
FAILED: Final = _event(
    "unit failed",
    logging.ERROR,
    "error sqlstate constraint frames",
    "A unit was rolled back by an error that nobody asked for; with the places in livingworld that it came through.",
)
ROLLED_BACK: Final = _event(
    "unit rolled back", logging.INFO, "error", "The application's own work raised this class; its unit was rolled back."
)
DEADLOCK_BROKEN: Final = _event(
    "deadlock broken", logging.WARNING, "statements", "PostgreSQL ended a deadlock at this unit's so many-th statement."
)
SCENE_CREATED: Final = _event(
    "scene created", logging.DEBUG, "world_id story_id scene_number branch_number", "A scene was appended."
)
SCENE_REPLAYED: Final = _event(
    "scene replayed",
    logging.DEBUG,
    "world_id story_id scene_number",
    "A request key was sent again; the stored scene answered.",
)
SCENE_NUMBER_CONFLICT: Final = _event(
    "scene number conflict", logging.WARNING, "world_id story_id", "A scene with the next number exists already."
)
HEAD_STALE: Final = _event(
    "head stale", logging.INFO, "world_id story_id expected actual", "An append named a head that the branch has left."
)
BRANCH_FORKED: Final = _event(
    "branch forked", logging.INFO, "world_id story_id branch_number scene_number", "A branch was made at a scene."
)
BRANCH_DELETED: Final = _event(
    "branch deleted",
    logging.INFO,
    "world_id story_id branch_number scene_number",
    "A branch was forgotten; its scenes stay.",
)
HEAD_MOVED: Final = _event(
    "head moved", logging.INFO, "world_id story_id branch_number scene_number", "Undo, redo or rewind moved a head."
)
TURN_TAKEN: Final = _event(
    "turn taken", logging.DEBUG, "world_id story_id branch_number attempt", "A branch's lease was granted."
)
TURN_REPLAYED: Final = _event(
    "turn replayed",
    logging.DEBUG,
    "world_id story_id scene_number",
    "A turn's request key was sent again; the stored scene answered.",
)
TURN_COMMITTED: Final = _event(
    "turn committed", logging.DEBUG, "world_id story_id scene_number branch_number", "A turn became a scene."
)
TURN_REFUSED: Final = _event(
    "turn refused", logging.INFO, "world_id story_id error", "A turn was not granted, or not committed."
)
TURN_GIVEN_UP: Final = _event(
    "turn given up", logging.INFO, "world_id story_id reason", "A turn was left without a commit; its lease is free."
)
TURN_ABANDONED: Final = _event(
    "turn abandoned",
    logging.WARNING,
    "world_id story_id error",
    "A turn could not be given up; its lease ends by itself.",
)
TURN_LOST: Final = _event(
    "turn lost", logging.WARNING, "world_id story_id", "A turn that still runs has lost its lease."
)
GENERATION_CHOSEN: Final = _event(
    "generation chosen",
    logging.INFO,
    "world_id story_id scene_number branch_number",
    "Another answer of the model became the scene at its place.",
)
SESSION_CLEARED: Final = _event(
    "session cleared",
    logging.INFO,
    "world_id session_id epoch tasks",
    "A session was emptied, and what ran in it was cancelled.",
)
SESSIONS_EXPIRED: Final = _event(
    "sessions expired", logging.INFO, "world_id sessions", "Sessions that nobody renewed were removed."
)
TASK_CANCEL_REQUESTED: Final = _event(
    "task cancel requested", logging.INFO, "world_id task_id", "The owner of a task is asked to stop."
)
TASK_OWNER_DEAD: Final = _event(
    "task owner dead", logging.WARNING, "world_id task_id", "A task's owner was not heard of; the task has failed."
)
TASK_TAKEN_OVER: Final = _event(
    "task taken over",
    logging.WARNING,
    "world_id task_id token",
    "A task's owner was not heard of; another one has the task.",
)
TASK_LOST: Final = _event(
    "task lost", logging.WARNING, "world_id task_id", "A task that still runs belongs to its owner no more."
)
ACTION_FAILED: Final = _event(
    "action failed",
    logging.WARNING,
    "world_id action_id attempt state error",
    "An attempt at an action failed; by its state it waits for another one, or has failed for good.",
)
ACTION_LOST: Final = _event(
    "action lost",
    logging.WARNING,
    "world_id action_id error",
    "How an action ended could not be stored by its worker, which had it no more or could not reach the server.",
)
TASK_HANDLER_FAILED: Final = _event(
    "task handler failed",
    logging.WARNING,
    "world_id task_id error",
    "What ran a task that was taken over raised an error; the task has failed, and the service goes on.",
)
CHARACTER_FOUND: Final = _event("character found", logging.DEBUG, "world_id character_id", "A name was known already.")
CHARACTER_CREATED: Final = _event(
    "character created", logging.INFO, "world_id character_id", "A new character was stored."
)
CHARACTER_CREATED_ELSEWHERE: Final = _event(
    "character created by another transaction",
    logging.INFO,
    "world_id character_id",
    "A name became known between the first look and the lock.",
)
EMBEDDING_BATCH_FAILED: Final = _event(
    "embedding batch failed",
    logging.WARNING,
    "embedder batch texts error",
    "A batch of texts brought no vectors; nothing of it is stored.",
)
EMBEDDING_BATCH_HALVED: Final = _event(
    "embedding batch halved",
    logging.WARNING,
    "embedder batch texts",
    "The embedder had not enough memory for a batch; it is tried again in halves.",
)
EMBEDDER_FELL_BACK: Final = _event(
    "embedder fell back", logging.WARNING, "embedder texts error", "The fast backend failed; the safe one answered."
)
EMBEDDER_CIRCUIT_CHANGED: Final = _event(
    "embedder circuit changed",
    logging.WARNING,
    "embedder state",
    "The fast backend is left alone after failures (open), or works again (closed).",
)
EMBEDDER_WINDOW_ENDED: Final = _event(
    "embedder window ended",
    logging.DEBUG,
    "embedder backend carried started succeeded failed abandoned in_flight texts seconds",
    "What a backend did since the window before; the windows of a backend add up to all that it ever did.",
)
NOTIFICATIONS_LOST: Final = _event(
    "notifications lost",
    logging.WARNING,
    "",
    "The connection that listens is gone; until it is back, changes are found by polling.",
)
NOTIFICATIONS_RESTORED: Final = _event(
    "notifications restored", logging.INFO, "", "The connection that listens is back."
)
MIGRATION_WAITING: Final = _event(
    "migration waiting",
    logging.INFO,
    "time_limit_seconds",
    "The turn to migrate is asked for; another process may have it.",
)
MIGRATED: Final = _event("schema migrated", logging.INFO, "revision", "The schema stands at this revision.")
VECTORS_PROVISIONED: Final = _event(
    "vectors provisioned", logging.INFO, "pgvector", "How vectors are compared: by pgvector, or in plain SQL."
)
SCRIPT_PUBLISHED: Final = _event(
    "script published", logging.INFO, "world_id version", "A new version of a script was stored."
)
SCRIPT_ACTIVATED: Final = _event(
    "script activated", logging.INFO, "world_id version activation", "Another version of a script is the active one."
)
SCRIPT_RETIRED: Final = _event(
    "script retired", logging.INFO, "world_id version", "Nobody runs the version any more, and nobody will."
)
CATALOGUE_KEPT: Final = _event(
    "catalogue kept",
    logging.WARNING,
    "world_id version line",
    "This version does not compile in this process; the scripts that were in service stay, all of them.",
)
CATALOGUE_SWAPPED: Final = _event(
    "catalogue swapped", logging.DEBUG, "world_id scripts changed", "Another snapshot of all scripts is in service."
)
EXECUTION_LOST: Final = _event(
    "execution lost",
    logging.WARNING,
    "world_id version",
    "This process was not heard of in time; the version may be retired while it runs here.",
)
CYCLE_ENDED: Final = _event("cycle ended", logging.INFO, "world_id run_number state", "A run of a cycle is over.")
CYCLE_NOT_ENDED: Final = _event(
    "cycle not ended",
    logging.WARNING,
    "world_id run_number error",
    "That a run failed could not be stored; whoever runs the cycle next goes on with it.",
)
MODEL_PROMOTED: Final = _event(
    "model promoted", logging.INFO, "world_id model_id version activation", "An AI model became the active one."
)
MODEL_ROLLED_BACK: Final = _event(
    "model rolled back", logging.WARNING, "world_id model_id version activation", "A former AI model is active again."
)
MODEL_LOADED: Final = _event(
    "model loaded", logging.INFO, "world_id model_id milliseconds", "An AI model was loaded and probed here."
)
MODEL_NOT_LOADED: Final = _event(
    "model not loaded",
    logging.WARNING,
    "world_id model_id error",
    "An AI model could not be loaded here; what was in service stays, and an active one is tried again.",
)
MODEL_SWAPPED: Final = _event(
    "model swapped", logging.INFO, "world_id model_id version", "Whoever asks here from now on gets this AI model."
)
MODEL_CLOSED: Final = _event(
    "model closed", logging.INFO, "world_id model_id", "An AI model was closed after its last use here."
)
MODEL_CLOSED_IN_USE: Final = _event(
    "model closed in use", logging.WARNING, "world_id model_id uses", "An AI model's last users did not end in time."
)
MODEL_CLOSE_FAILED: Final = _event(
    "model close failed", logging.WARNING, "world_id model_id error", "Closing failed; it is not tried again."
)
SAMPLES_DROPPED: Final = _event(
    "samples dropped", logging.WARNING, "world_id dropped buffered", "The buffer was full; these are lost."
)
SAMPLE_REFUSED: Final = _event(
    "sample refused", logging.WARNING, "world_id sample_id error", "A training sample cannot be stored."
)
SAMPLES_DELAYED: Final = _event(
    "samples delayed", logging.WARNING, "world_id buffered error", "Samples wait in the buffer; they are tried again."
)
SAMPLES_NOT_STORED: Final = _event(
    "samples not stored", logging.ERROR, "world_id refused left", "A collector ended with samples in hand."
)
LEASE_NOT_RELEASED: Final = _event(
    "lease not released", logging.WARNING, "world_id error", "A lease could not be given back; it ends by itself."
)
SERVICE_FAILED: Final = _event(
    "service failed", logging.WARNING, "service error", "A round of a background service failed; it goes on."
)
MEMORIES_NOT_EMBEDDED: Final = _event(
    "memories not embedded",
    logging.WARNING,
    "world_id embedder memories",
    "The embedder failed at these; they are tried again later.",
)
EMBEDDED_SERVER_STARTED: Final = _event(
    "embedded server started",
    logging.INFO,
    "milliseconds data_directory version",
    "No database was named, so the embedded PostgreSQL server is used; it answers.",
)
EMBEDDED_SERVER_RESTARTED: Final = _event(
    "embedded server restarted", logging.WARNING, "milliseconds", "The embedded server was gone and was started again."
)
EMBEDDED_SERVER_NOT_SUPERVISED: Final = _event(
    "embedded server not supervised",
    logging.WARNING,
    "reason",
    "No supervisor could be started: when its clients are all killed, the server runs on until the next one leaves.",
)

#: All of them, for documentation and for tests.
ALL: Final = tuple(value for value in list(vars().values()) if isinstance(value, Event))


def emit_failure(error: BaseException) -> None:
    """Log FAILED with the error's class and the places in livingworld that it came through."""
    emit(FAILED, **failure_fields(error))
