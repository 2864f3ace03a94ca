"""Worlds, stories and characters: the foundation.

Revision: 0001
Revises:
Created: 2026-11-20
"""

from __future__ import annotations

from importlib.resources import files

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SCHEMA = "livingworld"
FUNCTION = "story/stories/sql/append_scenes_v1"
TABLES = (
    "worlds",
    "characters",
    "character_names",
    "stories",
    "timelines",
    "timeline_lineage",
    "scenes",
    "choices",
    "scene_cast",
    "branches",
    "revisions",
    "request_keys",
)


def upgrade() -> None:
    create_worlds()
    create_characters()
    create_stories()
    create_timelines()
    create_scenes()
    create_choices_and_cast()
    create_branches()
    create_revisions()
    create_request_keys()
    # One statement for one execute: a driver that prepares statements takes no two, and Citus none.
    op.execute(sa.text(files("livingworld").joinpath(f"{FUNCTION}.sql").read_text().replace(":", "\\:")))


def downgrade() -> None:
    op.execute(f"DROP FUNCTION {SCHEMA}.{FUNCTION.rpartition('/')[2]}")
    op.drop_constraint("fk_scenes_chosen_choice", "scenes", schema=SCHEMA)
    for table in reversed(TABLES):
        op.drop_table(table, schema=SCHEMA)


def create_worlds() -> None:
    op.create_table(
        "worlds",
        sa.Column("world_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=True),
        sa.Column("settings", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("char_length(name) BETWEEN 1 AND 500", name=op.f("ck_worlds_name_length")),
        sa.CheckConstraint("version > 0", name=op.f("ck_worlds_version_positive")),
        sa.PrimaryKeyConstraint("world_id", name=op.f("pk_worlds")),
        schema=SCHEMA,
    )
    op.create_index("ix_worlds_created_at", "worlds", ["created_at", "world_id"], unique=False, schema=SCHEMA)
    op.create_index("ix_worlds_tenant", "worlds", ["tenant", "created_at", "world_id"], unique=False, schema=SCHEMA)


def create_characters() -> None:
    op.create_table(
        "characters",
        sa.Column("world_id", sa.Uuid(), nullable=False),
        sa.Column("character_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("card", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("char_length(name) BETWEEN 1 AND 200", name=op.f("ck_characters_name_length")),
        sa.CheckConstraint("version > 0", name=op.f("ck_characters_version_positive")),
        sa.ForeignKeyConstraint(
            ["world_id"], [f"{SCHEMA}.worlds.world_id"], name=op.f("fk_characters_world_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("world_id", "character_id", name=op.f("pk_characters")),
        schema=SCHEMA,
    )
    op.create_index(
        "ix_characters_world_id_created_at",
        "characters",
        ["world_id", "created_at", "character_id"],
        unique=False,
        schema=SCHEMA,
    )
    op.create_table(
        "character_names",
        sa.Column("world_id", sa.Uuid(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False),
        sa.Column("character_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("char_length(name) BETWEEN 1 AND 200", name=op.f("ck_character_names_name_length")),
        sa.CheckConstraint("char_length(name_key) BETWEEN 1 AND 400", name=op.f("ck_character_names_name_key_length")),
        sa.ForeignKeyConstraint(
            ["world_id", "character_id"],
            [f"{SCHEMA}.characters.world_id", f"{SCHEMA}.characters.character_id"],
            name=op.f("fk_character_names_world_id_character_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("world_id", "name_key", name=op.f("pk_character_names")),
        schema=SCHEMA,
    )
    op.create_index(
        "ix_character_names_character", "character_names", ["world_id", "character_id"], unique=False, schema=SCHEMA
    )


def create_stories() -> None:
    op.create_table(
        "stories",
        sa.Column("world_id", sa.Uuid(), nullable=False),
        sa.Column("story_id", sa.Uuid(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("premise", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("system_prompt", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("status", sa.Text(), server_default=sa.text("'active'"), nullable=False),
        sa.Column("last_scene_number", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("last_timeline_number", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("last_branch_number", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("current_branch", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("settings", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("status IN ('active', 'paused', 'completed')", name=op.f("ck_stories_status_known")),
        sa.CheckConstraint("char_length(title) BETWEEN 1 AND 500", name=op.f("ck_stories_title_length")),
        sa.CheckConstraint(
            "current_branch BETWEEN 1 AND last_branch_number", name=op.f("ck_stories_current_branch_known")
        ),
        sa.CheckConstraint("last_scene_number >= 0", name=op.f("ck_stories_last_scene_number_natural")),
        sa.CheckConstraint("last_timeline_number >= 1", name=op.f("ck_stories_last_timeline_number_positive")),
        sa.CheckConstraint("version > 0", name=op.f("ck_stories_version_positive")),
        sa.ForeignKeyConstraint(
            ["world_id"], [f"{SCHEMA}.worlds.world_id"], name=op.f("fk_stories_world_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("world_id", "story_id", name=op.f("pk_stories")),
        schema=SCHEMA,
    )
    op.create_index(
        "ix_stories_world_id_created_at", "stories", ["world_id", "created_at", "story_id"], unique=False, schema=SCHEMA
    )


def create_timelines() -> None:
    op.create_table(
        "timelines",
        sa.Column("world_id", sa.Uuid(), nullable=False),
        sa.Column("story_id", sa.Uuid(), nullable=False),
        sa.Column("timeline_number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("parent_timeline", sa.Integer(), nullable=True),
        sa.Column("fork_position", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("tip_position", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("fork_position BETWEEN 0 AND tip_position", name=op.f("ck_timelines_fork_before_tip")),
        sa.CheckConstraint("parent_timeline < timeline_number", name=op.f("ck_timelines_parent_is_older")),
        sa.ForeignKeyConstraint(
            ["world_id", "story_id", "parent_timeline"],
            [f"{SCHEMA}.timelines.world_id", f"{SCHEMA}.timelines.story_id", f"{SCHEMA}.timelines.timeline_number"],
            name=op.f("fk_timelines_world_id_story_id_parent_timeline"),
        ),
        sa.ForeignKeyConstraint(
            ["world_id", "story_id"],
            [f"{SCHEMA}.stories.world_id", f"{SCHEMA}.stories.story_id"],
            name=op.f("fk_timelines_world_id_story_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("world_id", "story_id", "timeline_number", name=op.f("pk_timelines")),
        schema=SCHEMA,
    )
    op.create_table(
        "timeline_lineage",
        sa.Column("world_id", sa.Uuid(), nullable=False),
        sa.Column("story_id", sa.Uuid(), nullable=False),
        sa.Column("timeline_number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("owner_timeline", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("from_position", sa.Integer(), nullable=False),
        sa.Column("to_position", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "1 <= from_position AND from_position <= to_position", name=op.f("ck_timeline_lineage_range_not_empty")
        ),
        sa.CheckConstraint("owner_timeline < timeline_number", name=op.f("ck_timeline_lineage_owner_is_older")),
        sa.ForeignKeyConstraint(
            ["world_id", "story_id", "owner_timeline"],
            [f"{SCHEMA}.timelines.world_id", f"{SCHEMA}.timelines.story_id", f"{SCHEMA}.timelines.timeline_number"],
            name=op.f("fk_timeline_lineage_world_id_story_id_owner_timeline"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["world_id", "story_id", "timeline_number"],
            [f"{SCHEMA}.timelines.world_id", f"{SCHEMA}.timelines.story_id", f"{SCHEMA}.timelines.timeline_number"],
            name=op.f("fk_timeline_lineage_world_id_story_id_timeline_number"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "world_id", "story_id", "timeline_number", "owner_timeline", name=op.f("pk_timeline_lineage")
        ),
        schema=SCHEMA,
    )


def create_scenes() -> None:
    op.create_table(
        "scenes",
        sa.Column("world_id", sa.Uuid(), nullable=False),
        sa.Column("story_id", sa.Uuid(), nullable=False),
        sa.Column("scene_number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("parent_scene_number", sa.Integer(), nullable=True),
        sa.Column("timeline_number", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("chosen_choice", sa.Integer(), nullable=True),
        sa.Column("location", sa.Text(), nullable=True),
        sa.Column("story_time", sa.Text(), nullable=True),
        sa.Column("metadata", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("raw_response", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "(parent_scene_number IS NULL) = (position = 1)", name=op.f("ck_scenes_first_has_no_parent")
        ),
        sa.CheckConstraint(
            "chosen_choice IS NULL OR parent_scene_number IS NOT NULL", name=op.f("ck_scenes_choice_has_parent")
        ),
        sa.CheckConstraint("parent_scene_number < scene_number", name=op.f("ck_scenes_parent_is_older")),
        sa.CheckConstraint("scene_number >= 1 AND position >= 1", name=op.f("ck_scenes_numbers_positive")),
        sa.CheckConstraint("version > 0", name=op.f("ck_scenes_version_positive")),
        sa.ForeignKeyConstraint(
            ["world_id", "story_id", "parent_scene_number"],
            [f"{SCHEMA}.scenes.world_id", f"{SCHEMA}.scenes.story_id", f"{SCHEMA}.scenes.scene_number"],
            name=op.f("fk_scenes_world_id_story_id_parent_scene_number"),
        ),
        sa.ForeignKeyConstraint(
            ["world_id", "story_id", "timeline_number"],
            [f"{SCHEMA}.timelines.world_id", f"{SCHEMA}.timelines.story_id", f"{SCHEMA}.timelines.timeline_number"],
            name=op.f("fk_scenes_world_id_story_id_timeline_number"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("world_id", "story_id", "scene_number", name=op.f("pk_scenes")),
        sa.UniqueConstraint("world_id", "timeline_number", "story_id", "position", name="uq_scenes_coordinate"),
        schema=SCHEMA,
    )
    op.create_index(
        "ix_scenes_parent",
        "scenes",
        ["world_id", "story_id", "parent_scene_number", "chosen_choice"],
        unique=False,
        schema=SCHEMA,
        postgresql_where=sa.text("parent_scene_number IS NOT NULL"),
    )


def create_choices_and_cast() -> None:
    op.create_table(
        "choices",
        sa.Column("world_id", sa.Uuid(), nullable=False),
        sa.Column("story_id", sa.Uuid(), nullable=False),
        sa.Column("scene_number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("choice_number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.CheckConstraint("choice_number >= 1", name=op.f("ck_choices_choice_number_positive")),
        sa.ForeignKeyConstraint(
            ["world_id", "story_id", "scene_number"],
            [f"{SCHEMA}.scenes.world_id", f"{SCHEMA}.scenes.story_id", f"{SCHEMA}.scenes.scene_number"],
            name=op.f("fk_choices_world_id_story_id_scene_number"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("world_id", "story_id", "scene_number", "choice_number", name=op.f("pk_choices")),
        schema=SCHEMA,
    )
    op.create_table(
        "scene_cast",
        sa.Column("world_id", sa.Uuid(), nullable=False),
        sa.Column("story_id", sa.Uuid(), nullable=False),
        sa.Column("scene_number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("character_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.Text(), nullable=True),
        sa.Column("importance", sa.Float(precision=53), nullable=True),
        sa.CheckConstraint("importance BETWEEN 0 AND 1", name=op.f("ck_scene_cast_importance_is_share")),
        sa.ForeignKeyConstraint(
            ["world_id", "character_id"],
            [f"{SCHEMA}.characters.world_id", f"{SCHEMA}.characters.character_id"],
            name=op.f("fk_scene_cast_world_id_character_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["world_id", "story_id", "scene_number"],
            [f"{SCHEMA}.scenes.world_id", f"{SCHEMA}.scenes.story_id", f"{SCHEMA}.scenes.scene_number"],
            name=op.f("fk_scene_cast_world_id_story_id_scene_number"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("world_id", "story_id", "scene_number", "character_id", name=op.f("pk_scene_cast")),
        schema=SCHEMA,
    )
    op.create_index("ix_scene_cast_character", "scene_cast", ["world_id", "character_id"], unique=False, schema=SCHEMA)
    op.create_foreign_key(
        "fk_scenes_chosen_choice",
        "scenes",
        "choices",
        ["world_id", "story_id", "parent_scene_number", "chosen_choice"],
        ["world_id", "story_id", "scene_number", "choice_number"],
        source_schema=SCHEMA,
        referent_schema=SCHEMA,
    )


def create_branches() -> None:
    op.create_table(
        "branches",
        sa.Column("world_id", sa.Uuid(), nullable=False),
        sa.Column("story_id", sa.Uuid(), nullable=False),
        sa.Column("branch_number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("head_scene_number", sa.Integer(), nullable=True),
        sa.Column("head_timeline", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("head_position", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "(head_scene_number IS NULL) = (head_position = 0)", name=op.f("ck_branches_head_is_one_place")
        ),
        sa.CheckConstraint("char_length(name) BETWEEN 1 AND 500", name=op.f("ck_branches_name_length")),
        sa.CheckConstraint("version > 0", name=op.f("ck_branches_version_positive")),
        sa.ForeignKeyConstraint(
            ["world_id", "story_id", "head_scene_number"],
            [f"{SCHEMA}.scenes.world_id", f"{SCHEMA}.scenes.story_id", f"{SCHEMA}.scenes.scene_number"],
            name=op.f("fk_branches_world_id_story_id_head_scene_number"),
        ),
        sa.ForeignKeyConstraint(
            ["world_id", "story_id", "head_timeline"],
            [f"{SCHEMA}.timelines.world_id", f"{SCHEMA}.timelines.story_id", f"{SCHEMA}.timelines.timeline_number"],
            name=op.f("fk_branches_world_id_story_id_head_timeline"),
        ),
        sa.ForeignKeyConstraint(
            ["world_id", "story_id"],
            [f"{SCHEMA}.stories.world_id", f"{SCHEMA}.stories.story_id"],
            name=op.f("fk_branches_world_id_story_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("world_id", "story_id", "branch_number", name=op.f("pk_branches")),
        sa.UniqueConstraint("world_id", "name", "story_id", name="uq_branches_name"),
        schema=SCHEMA,
    )


def create_revisions() -> None:
    op.create_table(
        "revisions",
        sa.Column("world_id", sa.Uuid(), nullable=False),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("entity_id", sa.Uuid(), nullable=False),
        sa.Column("scene_number", sa.Integer(), server_default=sa.text("0"), autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("content", postgresql.JSONB(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "(entity = 'scene') = (scene_number > 0)", name=op.f("ck_revisions_scene_number_for_scenes")
        ),
        sa.CheckConstraint("entity IN ('story', 'scene', 'character')", name=op.f("ck_revisions_entity_known")),
        sa.CheckConstraint("version > 0", name=op.f("ck_revisions_version_positive")),
        sa.ForeignKeyConstraint(
            ["world_id"], [f"{SCHEMA}.worlds.world_id"], name=op.f("fk_revisions_world_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint(
            "world_id", "entity", "entity_id", "scene_number", "version", name=op.f("pk_revisions")
        ),
        schema=SCHEMA,
    )


def create_request_keys() -> None:
    op.create_table(
        "request_keys",
        sa.Column("world_id", sa.Uuid(), nullable=False),
        sa.Column("scope_id", sa.Uuid(), nullable=False),
        sa.Column("request_key", sa.Text(), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.Column("result", postgresql.JSONB(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "char_length(request_key) BETWEEN 1 AND 500", name=op.f("ck_request_keys_request_key_length")
        ),
        sa.CheckConstraint("octet_length(request_hash) = 32", name=op.f("ck_request_keys_request_hash_length")),
        sa.ForeignKeyConstraint(
            ["world_id"], [f"{SCHEMA}.worlds.world_id"], name=op.f("fk_request_keys_world_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("world_id", "scope_id", "request_key", name=op.f("pk_request_keys")),
        schema=SCHEMA,
    )
