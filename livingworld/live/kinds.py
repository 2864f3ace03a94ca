"""What the followers of a story, a session or a world get: small events, ids and numbers only."""

from __future__ import annotations

from enum import StrEnum


class LiveKind(StrEnum):
    """What happened. Each says which details its events have; the id of the story or session is the stream's own.

    A kind has several words; the kind of an application's own event is one word, so it is never one of these.
    """

    #: A scene was stored, and the head of its branch stands on it: `scene_number`, `branch_number`.
    SCENE_APPENDED = "scene appended"
    #: The text of a scene was edited: `scene_number`, `version`.
    SCENE_CHANGED = "scene changed"
    #: Another answer of the model is the scene now: `scene_number`, `branch_number`, `generation_id`.
    GENERATION_CHOSEN = "generation chosen"
    #: An undo, a redo or a rewind: `branch_number`, and `scene_number` of the head, 0 before the first.
    HEAD_MOVED = "head moved"
    #: A branch was made: `branch_number`, and `scene_number` of its head.
    BRANCH_FORKED = "branch forked"
    #: Another branch is the one that is played: `branch_number`.
    BRANCH_SWITCHED = "branch switched"
    #: A branch has another name: `branch_number`.
    BRANCH_RENAMED = "branch renamed"
    #: A branch is gone, its scenes are not: `branch_number`.
    BRANCH_DELETED = "branch deleted"
    #: The story's own fields, or whether it is archived: `version`.
    STORY_CHANGED = "story changed"
    #: The first connection of a player has joined, in a story, a session or the world: `player`.
    PLAYER_JOINED = "player joined"
    #: The last connection of a player has left or expired: `player`.
    PLAYER_LEFT = "player left"

    #: `interaction_number`.
    INTERACTION_ADDED = "interaction added"
    #: `interaction_number`, `version`.
    INTERACTION_CHANGED = "interaction changed"
    #: All interactions of the session are gone; no details.
    INTERACTIONS_CLEARED = "interactions cleared"
    #: `context_version`.
    CONTEXT_CHANGED = "context changed"
    #: Interactions and context are gone, and what ran is cancelled: `epoch`, the new one.
    SESSION_CLEARED = "session cleared"
    #: No details.
    SESSION_CLOSED = "session closed"
    #: `task_id`, `task_kind`.
    TASK_STARTED = "task started"
    #: `task_id`.
    TASK_PROGRESSED = "task progressed"
    #: Its owner is asked to stop: `task_id`.
    TASK_CANCEL_REQUESTED = "task cancel requested"
    #: A task has another owner: `task_id`.
    TASK_TAKEN_OVER = "task taken over"
    #: `task_id`, `state`: "finished", "failed" or "cancelled".
    TASK_ENDED = "task ended"

    #: For the followers of the world, as all below: `story_id`.
    STORY_CREATED = "story created"
    #: A story and everything in it was removed: `story_id`.
    STORY_PURGED = "story purged"
    #: `character_id`.
    CHARACTER_CREATED = "character created"
    #: Its card, name or aliases: `character_id`.
    CHARACTER_CHANGED = "character changed"
    #: `key`, `version`; also for a document that is new or deleted.
    DOCUMENT_CHANGED = "document changed"
    #: `lore_id`; added, edited, removed or restored.
    LORE_CHANGED = "lore changed"
    #: `name`, `run_number`, `state`: "done", "stopped" or "failed".
    CYCLE_ENDED = "cycle ended"
