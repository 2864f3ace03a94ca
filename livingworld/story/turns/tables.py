"""What is stored of turns: who may write next at a branch, who waits for it, the turns, and every answer of a model."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    literal_column,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from livingworld.inputs import MAX_LABEL_CHARACTERS
from livingworld.postgres.metadata import SCHEMA, metadata, time_columns, world_id_column


def _to(table: str, columns: tuple[str, ...], referred: tuple[str, ...] | None = None) -> ForeignKeyConstraint:
    targets = [f"{SCHEMA}.{table}.{name}" for name in referred or columns]
    return ForeignKeyConstraint(columns, targets, ondelete="CASCADE")


_BRANCH = ("world_id", "story_id", "branch_number")
_SCENE = ("world_id", "story_id", "scene_number")
_TURN = ("world_id", "story_id", "request_key")

turn_leases = Table(
    "turn_leases",
    metadata,
    world_id_column(),
    Column("story_id", Uuid(), primary_key=True),
    Column("branch_number", Integer, primary_key=True, autoincrement=False),
    #: Rises with every holding; a write that proves itself by an older one is refused.
    Column("token", BigInteger, nullable=False, server_default=text("0")),
    #: Who holds it: one holding of one turn. NULL: it is free.
    Column("owner", Uuid()),
    Column("request_key", Text),
    #: Version of the branch when it was taken: when the head moves, the holding is over.
    Column("branch_version", Integer),
    Column("taken_at", DateTime(timezone=True)),
    Column("expires_at", DateTime(timezone=True)),
    #: The counter of the tickets.
    Column("last_ticket", Integer, nullable=False, server_default=text("0")),
    _to("branches", _BRANCH),
    CheckConstraint("token >= 0", name="token_natural"),
    CheckConstraint(
        "num_nulls(owner, request_key, branch_version, taken_at, expires_at) IN (0, 5)", name="held_wholly_or_not"
    ),
)

turn_waiters = Table(
    "turn_waiters",
    metadata,
    world_id_column(),
    Column("story_id", Uuid(), primary_key=True),
    Column("branch_number", Integer, primary_key=True, autoincrement=False),
    #: The order of arrival, one for each request key; 0: behind the turn that runs under the key, ahead of all others.
    Column("ticket", Integer, primary_key=True, autoincrement=False),
    #: The try that waits.
    Column("owner", Uuid(), primary_key=True),
    Column("request_key", Text, nullable=False),
    Column("request_hash", LargeBinary, nullable=False),
    #: Whether other inputs may be combined with this one, and how often that happened.
    Column("mergeable", Boolean, nullable=False, server_default=text("false")),
    Column("merges", Integer, nullable=False, server_default=text("0")),
    Column("player", Text),
    Column("choice", Integer),
    Column("instruction", Text),
    #: A caller that does not ask again until then is gone.
    Column("expires_at", DateTime(timezone=True), nullable=False),
    _to("branches", _BRANCH),
    CheckConstraint("ticket >= 0", name="ticket_natural"),
    CheckConstraint("ticket > 0 OR NOT mergeable", name="follower_alone"),
)
# The tries of a request key.
Index("ix_turn_waiters_key", turn_waiters.c.world_id, turn_waiters.c.request_key, turn_waiters.c.story_id)

turns = Table(
    "turns",
    metadata,
    world_id_column(),
    Column("story_id", Uuid(), primary_key=True),
    Column("request_key", Text, primary_key=True),
    Column("request_hash", LargeBinary, nullable=False),
    Column("state", Text, nullable=False),
    Column("branch_number", Integer, nullable=False),
    #: Where the branch stood when the turn was taken; NULL: before the first scene.
    Column("base_scene_number", Integer),
    #: Who brought the input, in the application's words.
    Column("player", Text),
    #: The input that the model gets, with what was merged into it.
    Column("choice", Integer),
    Column("instruction", Text),
    #: {choice, instruction} as the player brought it, where others were merged into it; NULL: as above.
    Column("own_input", JSONB(none_as_null=True)),
    #: The first turn at this place: what was generated under it are the alternatives of one scene.
    Column("origin_key", Text, nullable=False),
    #: The scene that is regenerated.
    Column("regenerates", Integer),
    #: The turn of another input that took this one in. The inputs of a turn are its own and those merged into it.
    Column("merged_into", Text),
    Column("attempts", Integer, nullable=False, server_default=text("1")),
    #: The last holding that worked on it.
    Column("token", BigInteger, nullable=False),
    #: The result.
    Column("scene_number", Integer),
    *time_columns(),
    _to("stories", ("world_id", "story_id")),
    CheckConstraint(
        "CASE state WHEN 'committed' THEN scene_number IS NOT NULL AND merged_into IS NULL"
        " WHEN 'merged' THEN scene_number IS NULL AND merged_into IS NOT NULL"
        " WHEN 'running' THEN num_nonnulls(scene_number, merged_into) = 0"
        " WHEN 'failed' THEN num_nonnulls(scene_number, merged_into) = 0"
        " WHEN 'replaced' THEN num_nonnulls(scene_number, merged_into) = 0 ELSE false END",
        name="state_fits",
    ),
    CheckConstraint("octet_length(request_hash) = 32", name="request_hash_length"),
    CheckConstraint(f"char_length(request_key) BETWEEN 1 AND {MAX_LABEL_CHARACTERS}", name="request_key_length"),
)
# The turns of a story in their order, and those of a player. The first is partial on what is true of every turn, since
# it begins as the primary key does; see the decision on indexes.
Index(
    "ix_turns_story",
    turns.c.world_id,
    turns.c.story_id,
    turns.c.created_at,
    turns.c.request_key,
    postgresql_where=turns.c.created_at > literal_column("'-infinity'"),
)
# Without the request key, which orders turns of one moment: both texts together may be too long for an entry.
Index(
    "ix_turns_player",
    turns.c.world_id,
    turns.c.player,
    turns.c.story_id,
    turns.c.created_at,
    postgresql_where=turns.c.player.is_not(None),
)
# The other turns at a place.
Index(
    "ix_turns_origin",
    turns.c.world_id,
    turns.c.origin_key,
    turns.c.story_id,
    postgresql_where=turns.c.regenerates.is_not(None),
)
# The inputs that a turn took in.
Index(
    "ix_turns_merged",
    turns.c.world_id,
    turns.c.merged_into,
    turns.c.story_id,
    postgresql_where=turns.c.merged_into.is_not(None),
)

generations = Table(
    "generations",
    metadata,
    world_id_column(),
    Column("generation_id", Uuid(), primary_key=True),
    Column("story_id", Uuid(), nullable=False),
    Column("request_key", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    #: answered: the model has spoken. complete: it became a scene that can be shown. failed: neither.
    Column("state", Text, nullable=False),
    #: The scene that shows it now; NULL: it is an alternative, or nothing.
    Column("scene_number", Integer),
    Column("model", Text),
    Column("script_version", Text),
    Column("parameters", JSONB, nullable=False, server_default=text("'{}'")),
    Column("prompt_digest", LargeBinary),
    Column("raw_response", Text),
    #: What the answer was parsed into: the fields of a scene. NULL while a scene shows it: there they are.
    Column("parsed", JSONB(none_as_null=True)),
    Column("input_tokens", Integer),
    Column("output_tokens", Integer),
    Column("duration_ms", Integer),
    Column("error", Text),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    _to("turns", _TURN),
    _to("scenes", _SCENE),
    UniqueConstraint("world_id", "request_key", "story_id", "attempt", name="uq_generations_attempt"),
    CheckConstraint(
        "CASE state WHEN 'complete' THEN (parsed IS NULL) = (scene_number IS NOT NULL)"
        " WHEN 'answered' THEN scene_number IS NULL AND raw_response IS NOT NULL"
        " WHEN 'failed' THEN scene_number IS NULL ELSE false END",
        name="state_fits",
    ),
    CheckConstraint("prompt_digest IS NULL OR octet_length(prompt_digest) = 32", name="prompt_digest_length"),
    CheckConstraint("least(input_tokens, output_tokens, duration_ms) >= 0", name="counts_natural"),
)
# A scene shows one generation.
Index(
    "uq_generations_shown",
    generations.c.world_id,
    generations.c.scene_number,
    generations.c.story_id,
    unique=True,
    postgresql_where=generations.c.scene_number.is_not(None),
)

model_calls = Table(
    "model_calls",
    metadata,
    world_id_column(),
    Column("story_id", Uuid(), primary_key=True),
    Column("request_key", Text, primary_key=True),
    Column("call_id", Uuid(), primary_key=True),
    #: The attempt at the turn that made it; its generation may not be stored yet.
    Column("generation_id", Uuid(), nullable=False),
    #: The call in whose block it was made; NULL: it was made by the turn.
    Column("parent_id", Uuid()),
    Column("name", Text, nullable=False),
    Column("model", Text),
    Column("script_version", Text),
    Column("parameters", JSONB, nullable=False, server_default=text("'{}'")),
    #: The parts of the prompt in their order, [name, text] each.
    Column("prompt", JSONB, nullable=False, server_default=text("'[]'")),
    #: What the model answered; NULL: nothing.
    Column("answer", Text),
    Column("input_tokens", Integer),
    Column("output_tokens", Integer),
    Column("duration_ms", Integer, nullable=False),
    Column("error", Text),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    _to("turns", _TURN),
    CheckConstraint("least(input_tokens, output_tokens, duration_ms) >= 0", name="counts_natural"),
)
