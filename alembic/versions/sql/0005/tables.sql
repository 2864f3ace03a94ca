CREATE TABLE livingworld.characters (
    world_id UUID NOT NULL,
    character_id UUID NOT NULL,
    key TEXT,
    name TEXT NOT NULL,
    card JSONB DEFAULT '{}' NOT NULL,
    version INTEGER DEFAULT 1 NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_characters PRIMARY KEY (world_id, character_id),
    CONSTRAINT ck_characters_key_length CHECK (char_length(key) BETWEEN 1 AND 500),
    CONSTRAINT fk_characters_world_id FOREIGN KEY(world_id) REFERENCES livingworld.worlds (world_id) ON DELETE CASCADE,
    CONSTRAINT ck_characters_name_length CHECK (char_length(name) BETWEEN 1 AND 200),
    CONSTRAINT ck_characters_version_positive CHECK (version > 0)
);

CREATE INDEX ix_characters_world_id_created_at ON livingworld.characters (world_id, created_at, character_id);

CREATE UNIQUE INDEX uq_characters_key ON livingworld.characters (world_id, key) WHERE key IS NOT NULL;

CREATE TABLE livingworld.lore_entries (
    world_id UUID NOT NULL,
    lore_id UUID NOT NULL,
    book TEXT NOT NULL,
    position INTEGER NOT NULL,
    title TEXT NOT NULL,
    content TEXT NOT NULL,
    keys TEXT[] NOT NULL,
    case_sensitive BOOLEAN NOT NULL,
    enabled BOOLEAN NOT NULL,
    whole_words BOOLEAN DEFAULT true NOT NULL,
    regex BOOLEAN DEFAULT false NOT NULL,
    secondary_keys TEXT[] DEFAULT '{}' NOT NULL,
    secondary_logic TEXT DEFAULT 'and_any' NOT NULL,
    constant BOOLEAN DEFAULT false NOT NULL,
    scan_depth INTEGER,
    exclude_recursion BOOLEAN DEFAULT false NOT NULL,
    prevent_recursion BOOLEAN DEFAULT false NOT NULL,
    raw JSONB,
    version INTEGER DEFAULT 1 NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    removed_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_lore_entries PRIMARY KEY (world_id, lore_id),
    CONSTRAINT fk_lore_entries_world_id FOREIGN KEY(world_id) REFERENCES livingworld.worlds (world_id) ON DELETE CASCADE,
    CONSTRAINT ck_lore_entries_book_length CHECK (char_length(book) BETWEEN 1 AND 500),
    CONSTRAINT ck_lore_entries_title_length CHECK (char_length(title) <= 500),
    CONSTRAINT ck_lore_entries_content_length CHECK (char_length(content) <= 100000),
    CONSTRAINT ck_lore_entries_secondary_logic_known CHECK (secondary_logic IN ('and_any', 'and_all', 'not_any', 'not_all')),
    CONSTRAINT ck_lore_entries_scan_depth_positive CHECK (scan_depth >= 1),
    CONSTRAINT ck_lore_entries_version_positive CHECK (version > 0)
);

CREATE INDEX ix_lore_entries_book ON livingworld.lore_entries (world_id, book, position, lore_id) WHERE removed_at IS NULL;

CREATE INDEX ix_lore_entries_words ON livingworld.lore_entries USING gin (to_tsvector('simple', content));

CREATE TABLE livingworld.lore_changes (
    world_id UUID NOT NULL,
    change_id UUID NOT NULL,
    CONSTRAINT pk_lore_changes PRIMARY KEY (world_id, change_id),
    CONSTRAINT fk_lore_changes_world_id FOREIGN KEY(world_id) REFERENCES livingworld.worlds (world_id) ON DELETE CASCADE
);

CREATE TABLE livingworld.memory_embedders (
    world_id UUID NOT NULL,
    embedder TEXT,
    dimensions INTEGER,
    next_embedder TEXT,
    next_dimensions INTEGER,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_memory_embedders PRIMARY KEY (world_id),
    CONSTRAINT fk_memory_embedders_world_id FOREIGN KEY(world_id) REFERENCES livingworld.worlds (world_id) ON DELETE CASCADE,
    CONSTRAINT ck_memory_embedders_embedder_whole CHECK ((embedder IS NULL) = (dimensions IS NULL)),
    CONSTRAINT ck_memory_embedders_next_embedder_whole CHECK ((next_embedder IS NULL) = (next_dimensions IS NULL)),
    CONSTRAINT ck_memory_embedders_next_is_another CHECK (embedder <> next_embedder)
);

CREATE TABLE livingworld.revisions (
    world_id UUID NOT NULL,
    entity TEXT NOT NULL,
    entity_id UUID NOT NULL,
    scene_number INTEGER DEFAULT 0 NOT NULL,
    version INTEGER NOT NULL,
    content JSONB NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_revisions PRIMARY KEY (world_id, entity, entity_id, scene_number, version),
    CONSTRAINT fk_revisions_world_id FOREIGN KEY(world_id) REFERENCES livingworld.worlds (world_id) ON DELETE CASCADE,
    CONSTRAINT ck_revisions_entity_known CHECK (entity IN ('story', 'scene', 'character', 'lore')),
    CONSTRAINT ck_revisions_scene_number_for_scenes CHECK ((entity = 'scene') = (scene_number > 0)),
    CONSTRAINT ck_revisions_version_positive CHECK (version > 0)
);

CREATE TABLE livingworld.scenes (
    world_id UUID NOT NULL,
    story_id UUID NOT NULL,
    scene_number INTEGER NOT NULL,
    parent_scene_number INTEGER,
    timeline_number INTEGER NOT NULL,
    position INTEGER NOT NULL,
    content TEXT NOT NULL,
    choices TEXT[] DEFAULT '{}' NOT NULL,
    chosen_choice INTEGER,
    location TEXT,
    story_time TEXT,
    metadata JSONB DEFAULT '{}' NOT NULL,
    raw_response TEXT,
    turn_key TEXT,
    version INTEGER DEFAULT 1 NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_scenes PRIMARY KEY (world_id, story_id, scene_number),
    CONSTRAINT ck_scenes_numbers_positive CHECK (scene_number >= 1 AND position >= 1),
    CONSTRAINT ck_scenes_parent_is_older CHECK (parent_scene_number < scene_number),
    CONSTRAINT ck_scenes_first_has_no_parent CHECK ((parent_scene_number IS NULL) = (position = 1)),
    CONSTRAINT ck_scenes_choice_has_parent CHECK (chosen_choice IS NULL OR (chosen_choice >= 1 AND parent_scene_number IS NOT NULL)),
    CONSTRAINT ck_scenes_version_positive CHECK (version > 0)
);

CREATE INDEX ix_scenes_parent ON livingworld.scenes (world_id, story_id, parent_scene_number) WHERE parent_scene_number IS NOT NULL;

CREATE UNIQUE INDEX uq_scenes_coordinate ON livingworld.scenes (world_id, timeline_number, story_id, position) WHERE position > 0;

CREATE TABLE livingworld.stories (
    world_id UUID NOT NULL,
    story_id UUID NOT NULL,
    key TEXT,
    title TEXT NOT NULL,
    premise TEXT DEFAULT '' NOT NULL,
    system_prompt TEXT DEFAULT '' NOT NULL,
    status TEXT DEFAULT 'active' NOT NULL,
    last_scene_number INTEGER DEFAULT 0 NOT NULL,
    last_timeline_number INTEGER DEFAULT 1 NOT NULL,
    last_branch_number INTEGER DEFAULT 1 NOT NULL,
    current_branch INTEGER DEFAULT 1 NOT NULL,
    settings JSONB DEFAULT '{}' NOT NULL,
    version INTEGER DEFAULT 1 NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    last_scene_at TIMESTAMP WITH TIME ZONE,
    archived_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_stories PRIMARY KEY (world_id, story_id),
    CONSTRAINT ck_stories_key_length CHECK (char_length(key) BETWEEN 1 AND 500),
    CONSTRAINT fk_stories_world_id FOREIGN KEY(world_id) REFERENCES livingworld.worlds (world_id) ON DELETE CASCADE,
    CONSTRAINT ck_stories_title_length CHECK (char_length(title) BETWEEN 1 AND 500),
    CONSTRAINT ck_stories_status_known CHECK (status IN ('active', 'paused', 'completed')),
    CONSTRAINT ck_stories_last_scene_number_natural CHECK (last_scene_number >= 0),
    CONSTRAINT ck_stories_last_timeline_number_positive CHECK (last_timeline_number >= 1),
    CONSTRAINT ck_stories_current_branch_known CHECK (current_branch BETWEEN 1 AND last_branch_number),
    CONSTRAINT ck_stories_version_positive CHECK (version > 0)
);

CREATE INDEX ix_stories_created_at ON livingworld.stories (world_id, status, (archived_at IS NOT NULL), created_at, story_id) WHERE created_at > '-infinity';

CREATE INDEX ix_stories_title ON livingworld.stories (world_id, status, (archived_at IS NOT NULL), title, story_id) WHERE created_at > '-infinity';

CREATE INDEX ix_stories_words ON livingworld.stories USING gin (to_tsvector('simple', (title || ' '::text) || premise));

CREATE UNIQUE INDEX uq_stories_key ON livingworld.stories (world_id, key) WHERE key IS NOT NULL;

ALTER TABLE livingworld.stories SET (fillfactor = 50);

CREATE TABLE livingworld.story_activity (
    world_id UUID NOT NULL,
    status TEXT NOT NULL,
    archived BOOLEAN NOT NULL,
    last_scene_at TIMESTAMP WITH TIME ZONE NOT NULL,
    story_id UUID NOT NULL,
    CONSTRAINT pk_story_activity PRIMARY KEY (world_id, status, archived, last_scene_at, story_id)
);

ALTER TABLE livingworld.story_activity SET (autovacuum_vacuum_scale_factor = 0.02);

CREATE TABLE livingworld.unindexed_scenes (
    world_id UUID NOT NULL,
    story_id UUID NOT NULL,
    scene_number INTEGER NOT NULL,
    version INTEGER NOT NULL,
    queued_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_unindexed_scenes PRIMARY KEY (world_id, story_id, scene_number, version)
);

CREATE TABLE livingworld.scene_words (
    world_id UUID NOT NULL,
    story_id UUID NOT NULL,
    scene_number INTEGER NOT NULL,
    version INTEGER NOT NULL,
    words TSVECTOR NOT NULL,
    CONSTRAINT pk_scene_words PRIMARY KEY (world_id, story_id, scene_number)
);

CREATE INDEX ix_scene_words_words ON livingworld.scene_words USING gin (words);

ALTER TABLE livingworld.scene_words SET (toast_tuple_target = 8160);

CREATE TABLE livingworld.character_names (
    world_id UUID NOT NULL,
    name_key TEXT NOT NULL,
    character_id UUID NOT NULL,
    name TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_character_names PRIMARY KEY (world_id, name_key),
    CONSTRAINT fk_character_names_world_id_character_id FOREIGN KEY(world_id, character_id) REFERENCES livingworld.characters (world_id, character_id) ON DELETE CASCADE,
    CONSTRAINT ck_character_names_name_length CHECK (char_length(name) BETWEEN 1 AND 200),
    CONSTRAINT ck_character_names_name_key_length CHECK (char_length(name_key) BETWEEN 1 AND 400)
);

CREATE INDEX ix_character_names_character ON livingworld.character_names (world_id, character_id);

CREATE TABLE livingworld.fact_names (
    world_id UUID NOT NULL,
    story_id UUID NOT NULL,
    subject TEXT NOT NULL,
    attribute TEXT NOT NULL,
    last_version INTEGER NOT NULL,
    CONSTRAINT pk_fact_names PRIMARY KEY (world_id, story_id, subject, attribute),
    CONSTRAINT fk_fact_names_world_id_story_id FOREIGN KEY(world_id, story_id) REFERENCES livingworld.stories (world_id, story_id) ON DELETE CASCADE,
    CONSTRAINT ck_fact_names_subject_is_character_or_word CHECK (char_length(subject) BETWEEN 2 AND 501 AND (left(subject, 1) = '=' OR char_length(subject) = 36)),
    CONSTRAINT ck_fact_names_attribute_length CHECK (char_length(attribute) BETWEEN 1 AND 500),
    CONSTRAINT ck_fact_names_last_version_positive CHECK (last_version >= 1)
);

CREATE TABLE livingworld.relationships (
    world_id UUID NOT NULL,
    story_id UUID NOT NULL,
    source_id UUID NOT NULL,
    target_id UUID NOT NULL,
    last_version INTEGER NOT NULL,
    CONSTRAINT pk_relationships PRIMARY KEY (world_id, story_id, source_id, target_id),
    CONSTRAINT fk_relationships_world_id_story_id FOREIGN KEY(world_id, story_id) REFERENCES livingworld.stories (world_id, story_id) ON DELETE CASCADE,
    CONSTRAINT fk_relationships_world_id_source_id FOREIGN KEY(world_id, source_id) REFERENCES livingworld.characters (world_id, character_id) ON DELETE CASCADE,
    CONSTRAINT fk_relationships_world_id_target_id FOREIGN KEY(world_id, target_id) REFERENCES livingworld.characters (world_id, character_id) ON DELETE CASCADE,
    CONSTRAINT ck_relationships_two_characters CHECK (source_id <> target_id),
    CONSTRAINT ck_relationships_last_version_positive CHECK (last_version >= 1)
);

CREATE INDEX ix_relationships_source ON livingworld.relationships (world_id, source_id);

CREATE INDEX ix_relationships_target ON livingworld.relationships (world_id, target_id);

CREATE TABLE livingworld.scene_vectors (
    world_id UUID NOT NULL,
    story_id UUID NOT NULL,
    scene_number INTEGER NOT NULL,
    embedder TEXT NOT NULL,
    version INTEGER NOT NULL,
    vector REAL[] NOT NULL,
    CONSTRAINT pk_scene_vectors PRIMARY KEY (world_id, story_id, scene_number, embedder),
    CONSTRAINT ck_scene_vectors_embedder_length CHECK (char_length(embedder) BETWEEN 1 AND 500),
    CONSTRAINT ck_scene_vectors_dimensions_bounded CHECK (cardinality(vector) BETWEEN 1 AND 16000),
    CONSTRAINT ck_scene_vectors_version_positive CHECK (version > 0),
    CONSTRAINT fk_scene_vectors_world_id_story_id_scene_number FOREIGN KEY(world_id, story_id, scene_number) REFERENCES livingworld.scenes (world_id, story_id, scene_number) ON DELETE CASCADE
);

CREATE INDEX ix_scene_vectors_versions ON livingworld.scene_vectors (world_id, embedder, story_id, scene_number) INCLUDE (version);

ALTER TABLE livingworld.scene_vectors SET (toast_tuple_target = 8160);

CREATE TABLE livingworld.character_vectors (
    world_id UUID NOT NULL,
    character_id UUID NOT NULL,
    embedder TEXT NOT NULL,
    version INTEGER NOT NULL,
    vector REAL[] NOT NULL,
    CONSTRAINT pk_character_vectors PRIMARY KEY (world_id, character_id, embedder),
    CONSTRAINT ck_character_vectors_embedder_length CHECK (char_length(embedder) BETWEEN 1 AND 500),
    CONSTRAINT ck_character_vectors_dimensions_bounded CHECK (cardinality(vector) BETWEEN 1 AND 16000),
    CONSTRAINT ck_character_vectors_version_positive CHECK (version > 0),
    CONSTRAINT fk_character_vectors_world_id_character_id FOREIGN KEY(world_id, character_id) REFERENCES livingworld.characters (world_id, character_id) ON DELETE CASCADE
);

ALTER TABLE livingworld.character_vectors SET (toast_tuple_target = 8160);

CREATE TABLE livingworld.scene_cast (
    world_id UUID NOT NULL,
    story_id UUID NOT NULL,
    scene_number INTEGER NOT NULL,
    character_id UUID NOT NULL,
    role TEXT,
    importance FLOAT(53),
    CONSTRAINT pk_scene_cast PRIMARY KEY (world_id, story_id, scene_number, character_id),
    CONSTRAINT fk_scene_cast_world_id_story_id_scene_number FOREIGN KEY(world_id, story_id, scene_number) REFERENCES livingworld.scenes (world_id, story_id, scene_number) ON DELETE CASCADE,
    CONSTRAINT fk_scene_cast_world_id_character_id FOREIGN KEY(world_id, character_id) REFERENCES livingworld.characters (world_id, character_id) ON DELETE CASCADE,
    CONSTRAINT ck_scene_cast_importance_is_share CHECK (importance BETWEEN 0 AND 1)
);

CREATE INDEX ix_scene_cast_character ON livingworld.scene_cast (world_id, character_id);

CREATE INDEX ix_scene_cast_story ON livingworld.scene_cast (world_id, story_id, character_id, scene_number) WHERE scene_number > 0;

CREATE TABLE livingworld.branches (
    world_id UUID NOT NULL,
    story_id UUID NOT NULL,
    branch_number INTEGER NOT NULL,
    name TEXT NOT NULL,
    head_scene_number INTEGER,
    head_timeline INTEGER DEFAULT 1 NOT NULL,
    head_position INTEGER DEFAULT 0 NOT NULL,
    redo_scene_number INTEGER,
    redo_timeline INTEGER,
    redo_position INTEGER,
    redo_version INTEGER,
    version INTEGER DEFAULT 1 NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_branches PRIMARY KEY (world_id, story_id, branch_number),
    CONSTRAINT fk_branches_world_id_story_id FOREIGN KEY(world_id, story_id) REFERENCES livingworld.stories (world_id, story_id) ON DELETE CASCADE,
    CONSTRAINT ck_branches_name_length CHECK (char_length(name) BETWEEN 1 AND 500),
    CONSTRAINT ck_branches_head_is_one_place CHECK ((head_scene_number IS NULL) = (head_position = 0)),
    CONSTRAINT ck_branches_redo_is_one_place CHECK (num_nulls(redo_scene_number, redo_timeline, redo_position, redo_version) IN (0, 4)),
    CONSTRAINT ck_branches_version_positive CHECK (version > 0)
);

CREATE UNIQUE INDEX uq_branches_name ON livingworld.branches (world_id, name, story_id) WHERE branch_number > 0;

ALTER TABLE livingworld.branches SET (fillfactor = 50);

CREATE TABLE livingworld.timelines (
    world_id UUID NOT NULL,
    story_id UUID NOT NULL,
    timeline_number INTEGER NOT NULL,
    parent_timeline INTEGER,
    fork_position INTEGER DEFAULT 0 NOT NULL,
    CONSTRAINT pk_timelines PRIMARY KEY (world_id, story_id, timeline_number),
    CONSTRAINT fk_timelines_world_id_story_id FOREIGN KEY(world_id, story_id) REFERENCES livingworld.stories (world_id, story_id) ON DELETE CASCADE,
    CONSTRAINT fk_timelines_world_id_story_id_parent_timeline FOREIGN KEY(world_id, story_id, parent_timeline) REFERENCES livingworld.timelines (world_id, story_id, timeline_number),
    CONSTRAINT ck_timelines_fork_position_natural CHECK (fork_position >= 0),
    CONSTRAINT ck_timelines_parent_is_older CHECK (parent_timeline < timeline_number)
);

CREATE TABLE livingworld.turns (
    world_id UUID NOT NULL,
    story_id UUID NOT NULL,
    request_key TEXT NOT NULL,
    request_hash BYTEA NOT NULL,
    state TEXT NOT NULL,
    branch_number INTEGER NOT NULL,
    base_scene_number INTEGER,
    player TEXT,
    choice INTEGER,
    instruction TEXT,
    own_input JSONB,
    origin_key TEXT NOT NULL,
    regenerates INTEGER,
    merged_into TEXT,
    attempts INTEGER DEFAULT 1 NOT NULL,
    token BIGINT NOT NULL,
    scene_number INTEGER,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_turns PRIMARY KEY (world_id, story_id, request_key),
    CONSTRAINT fk_turns_world_id_story_id FOREIGN KEY(world_id, story_id) REFERENCES livingworld.stories (world_id, story_id) ON DELETE CASCADE,
    CONSTRAINT ck_turns_state_fits CHECK (CASE state WHEN 'committed' THEN scene_number IS NOT NULL AND merged_into IS NULL WHEN 'merged' THEN scene_number IS NULL AND merged_into IS NOT NULL WHEN 'running' THEN num_nonnulls(scene_number, merged_into) = 0 WHEN 'failed' THEN num_nonnulls(scene_number, merged_into) = 0 WHEN 'replaced' THEN num_nonnulls(scene_number, merged_into) = 0 ELSE false END),
    CONSTRAINT ck_turns_request_hash_length CHECK (octet_length(request_hash) = 32),
    CONSTRAINT ck_turns_request_key_length CHECK (char_length(request_key) BETWEEN 1 AND 500)
);

CREATE INDEX ix_turns_merged ON livingworld.turns (world_id, merged_into, story_id) WHERE merged_into IS NOT NULL;

CREATE INDEX ix_turns_origin ON livingworld.turns (world_id, origin_key, story_id) WHERE regenerates IS NOT NULL;

CREATE INDEX ix_turns_player ON livingworld.turns (world_id, player, story_id, created_at) WHERE player IS NOT NULL;

CREATE INDEX ix_turns_story ON livingworld.turns (world_id, story_id, created_at, request_key) WHERE created_at > '-infinity';

CREATE TABLE livingworld.facts (
    world_id UUID NOT NULL,
    story_id UUID NOT NULL,
    subject TEXT NOT NULL,
    attribute TEXT NOT NULL,
    timeline_number INTEGER NOT NULL,
    position INTEGER NOT NULL,
    version INTEGER NOT NULL,
    scene_number INTEGER NOT NULL,
    value JSONB,
    archived_in UUID,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_facts PRIMARY KEY (world_id, story_id, subject, attribute, timeline_number, position, version),
    CONSTRAINT fk_facts_world_id_story_id_subject_attribute FOREIGN KEY(world_id, story_id, subject, attribute) REFERENCES livingworld.fact_names (world_id, story_id, subject, attribute) ON DELETE CASCADE,
    CONSTRAINT ck_facts_coordinate_fits CHECK (position >= 0 AND (position = 0) = (scene_number = 0)),
    CONSTRAINT ck_facts_version_positive CHECK (version >= 1),
    CONSTRAINT uq_facts_version UNIQUE (world_id, version, story_id, subject, attribute)
);

CREATE INDEX ix_facts_archived_in ON livingworld.facts (world_id, archived_in) WHERE archived_in IS NOT NULL;

CREATE INDEX ix_facts_scene ON livingworld.facts (world_id, scene_number, story_id);

CREATE TABLE livingworld.memories (
    world_id UUID NOT NULL,
    memory_id UUID NOT NULL,
    story_id UUID NOT NULL,
    timeline_number INTEGER NOT NULL,
    position INTEGER NOT NULL,
    scene_number INTEGER NOT NULL,
    character_id UUID,
    kind TEXT NOT NULL,
    content TEXT NOT NULL,
    digest BYTEA NOT NULL,
    private BOOLEAN NOT NULL,
    importance DOUBLE PRECISION NOT NULL,
    valence DOUBLE PRECISION NOT NULL,
    consolidated_into UUID,
    is_summary BOOLEAN DEFAULT false NOT NULL,
    forgotten_at TIMESTAMP WITH TIME ZONE,
    archived_in UUID,
    version INTEGER DEFAULT 1 NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_memories PRIMARY KEY (world_id, memory_id),
    CONSTRAINT fk_memories_world_id_story_id_timeline_number FOREIGN KEY(world_id, story_id, timeline_number) REFERENCES livingworld.timelines (world_id, story_id, timeline_number) ON DELETE CASCADE,
    CONSTRAINT fk_memories_world_id_character_id FOREIGN KEY(world_id, character_id) REFERENCES livingworld.characters (world_id, character_id) ON DELETE CASCADE,
    CONSTRAINT fk_memories_world_id_consolidated_into FOREIGN KEY(world_id, consolidated_into) REFERENCES livingworld.memories (world_id, memory_id) DEFERRABLE,
    CONSTRAINT ck_memories_coordinate_fits CHECK (position >= 0 AND (position = 0) = (scene_number = 0)),
    CONSTRAINT ck_memories_kind_length CHECK (char_length(kind) BETWEEN 1 AND 500),
    CONSTRAINT ck_memories_content_length CHECK (char_length(content) BETWEEN 1 AND 100000),
    CONSTRAINT ck_memories_digest_length CHECK (octet_length(digest) = 32),
    CONSTRAINT ck_memories_importance_is_share CHECK (importance BETWEEN 0 AND 1),
    CONSTRAINT ck_memories_valence_clamped CHECK (valence BETWEEN -1 AND 1),
    CONSTRAINT ck_memories_not_its_own_summary CHECK (consolidated_into <> memory_id),
    CONSTRAINT ck_memories_version_positive CHECK (version > 0),
    CONSTRAINT ck_memories_private_of_a_character CHECK (NOT private OR character_id IS NOT NULL)
);

CREATE INDEX ix_memories_archived_in ON livingworld.memories (world_id, archived_in) WHERE archived_in IS NOT NULL;

CREATE INDEX ix_memories_character ON livingworld.memories (world_id, character_id, story_id, memory_id);

CREATE INDEX ix_memories_consolidated_into ON livingworld.memories (world_id, consolidated_into) WHERE consolidated_into IS NOT NULL;

CREATE INDEX ix_memories_coordinate ON livingworld.memories (world_id, timeline_number, story_id, position, memory_id);

CREATE INDEX ix_memories_story ON livingworld.memories (world_id, story_id, memory_id) WHERE position >= 0;

CREATE INDEX ix_memories_summaries ON livingworld.memories (world_id, story_id, timeline_number, position, memory_id) WHERE is_summary;

CREATE INDEX ix_memories_words ON livingworld.memories USING gin (to_tsvector('simple', content));

CREATE UNIQUE INDEX uq_memories_digest ON livingworld.memories (world_id, digest, story_id, timeline_number, position, character_id) NULLS NOT DISTINCT WHERE archived_in IS NULL;

CREATE TABLE livingworld.relationship_changes (
    world_id UUID NOT NULL,
    story_id UUID NOT NULL,
    source_id UUID NOT NULL,
    target_id UUID NOT NULL,
    timeline_number INTEGER NOT NULL,
    position INTEGER NOT NULL,
    version INTEGER NOT NULL,
    scene_number INTEGER NOT NULL,
    sentiment_delta DOUBLE PRECISION NOT NULL,
    trust_delta DOUBLE PRECISION NOT NULL,
    familiarity_delta DOUBLE PRECISION NOT NULL,
    reason TEXT,
    sentiment DOUBLE PRECISION NOT NULL,
    trust DOUBLE PRECISION NOT NULL,
    familiarity DOUBLE PRECISION NOT NULL,
    is_first BOOLEAN DEFAULT false NOT NULL,
    kind_given TEXT,
    kind TEXT,
    notes_given TEXT,
    notes TEXT,
    changes INTEGER NOT NULL,
    archived_in UUID,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_relationship_changes PRIMARY KEY (world_id, story_id, source_id, target_id, timeline_number, position, version),
    CONSTRAINT fk_relationship_changes_world_id_story_id_source_id_target_id FOREIGN KEY(world_id, story_id, source_id, target_id) REFERENCES livingworld.relationships (world_id, story_id, source_id, target_id) ON DELETE CASCADE,
    CONSTRAINT ck_relationship_changes_sentiment_clamped CHECK (sentiment BETWEEN -1 AND 1),
    CONSTRAINT ck_relationship_changes_trust_clamped CHECK (trust BETWEEN -1 AND 1),
    CONSTRAINT ck_relationship_changes_familiarity_clamped CHECK (familiarity BETWEEN 0 AND 1),
    CONSTRAINT ck_relationship_changes_deltas_bounded CHECK (least(sentiment_delta, trust_delta, familiarity_delta) >= -2 AND greatest(sentiment_delta, trust_delta, familiarity_delta) <= 2),
    CONSTRAINT ck_relationship_changes_coordinate_fits CHECK (position >= 0 AND (position = 0) = (scene_number = 0)),
    CONSTRAINT ck_relationship_changes_counts_fit CHECK (version >= 1 AND changes >= 0),
    CONSTRAINT ck_relationship_changes_kind_length CHECK (char_length(kind_given) <= 500),
    CONSTRAINT ck_relationship_changes_notes_length CHECK (char_length(notes_given) <= 100000),
    CONSTRAINT ck_relationship_changes_reason_length CHECK (char_length(reason) <= 100000),
    CONSTRAINT uq_relationship_changes_version UNIQUE (world_id, version, story_id, source_id, target_id)
);

CREATE INDEX ix_relationship_changes_archived_in ON livingworld.relationship_changes (world_id, archived_in) WHERE archived_in IS NOT NULL;

CREATE INDEX ix_relationship_changes_scene ON livingworld.relationship_changes (world_id, scene_number, story_id);

CREATE TABLE livingworld.timeline_lineage (
    world_id UUID NOT NULL,
    story_id UUID NOT NULL,
    timeline_number INTEGER NOT NULL,
    owner_timeline INTEGER NOT NULL,
    from_position INTEGER NOT NULL,
    to_position INTEGER NOT NULL,
    CONSTRAINT pk_timeline_lineage PRIMARY KEY (world_id, story_id, timeline_number, owner_timeline),
    CONSTRAINT fk_timeline_lineage_world_id_story_id_timeline_number FOREIGN KEY(world_id, story_id, timeline_number) REFERENCES livingworld.timelines (world_id, story_id, timeline_number) ON DELETE CASCADE,
    CONSTRAINT fk_timeline_lineage_world_id_story_id_owner_timeline FOREIGN KEY(world_id, story_id, owner_timeline) REFERENCES livingworld.timelines (world_id, story_id, timeline_number) ON DELETE CASCADE,
    CONSTRAINT ck_timeline_lineage_range_not_empty CHECK (1 <= from_position AND from_position <= to_position),
    CONSTRAINT ck_timeline_lineage_owner_is_older CHECK (owner_timeline < timeline_number)
);

CREATE TABLE livingworld.turn_leases (
    world_id UUID NOT NULL,
    story_id UUID NOT NULL,
    branch_number INTEGER NOT NULL,
    token BIGINT DEFAULT 0 NOT NULL,
    owner UUID,
    request_key TEXT,
    branch_version INTEGER,
    taken_at TIMESTAMP WITH TIME ZONE,
    expires_at TIMESTAMP WITH TIME ZONE,
    last_ticket INTEGER DEFAULT 0 NOT NULL,
    CONSTRAINT pk_turn_leases PRIMARY KEY (world_id, story_id, branch_number),
    CONSTRAINT fk_turn_leases_world_id_story_id_branch_number FOREIGN KEY(world_id, story_id, branch_number) REFERENCES livingworld.branches (world_id, story_id, branch_number) ON DELETE CASCADE,
    CONSTRAINT ck_turn_leases_token_natural CHECK (token >= 0),
    CONSTRAINT ck_turn_leases_held_wholly_or_not CHECK (num_nulls(owner, request_key, branch_version, taken_at, expires_at) IN (0, 5))
);

CREATE TABLE livingworld.turn_waiters (
    world_id UUID NOT NULL,
    story_id UUID NOT NULL,
    branch_number INTEGER NOT NULL,
    ticket INTEGER NOT NULL,
    owner UUID NOT NULL,
    request_key TEXT NOT NULL,
    request_hash BYTEA NOT NULL,
    mergeable BOOLEAN DEFAULT false NOT NULL,
    merges INTEGER DEFAULT 0 NOT NULL,
    player TEXT,
    choice INTEGER,
    instruction TEXT,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_turn_waiters PRIMARY KEY (world_id, story_id, branch_number, ticket, owner),
    CONSTRAINT fk_turn_waiters_world_id_story_id_branch_number FOREIGN KEY(world_id, story_id, branch_number) REFERENCES livingworld.branches (world_id, story_id, branch_number) ON DELETE CASCADE,
    CONSTRAINT ck_turn_waiters_ticket_natural CHECK (ticket >= 0),
    CONSTRAINT ck_turn_waiters_follower_alone CHECK (ticket > 0 OR NOT mergeable)
);

CREATE INDEX ix_turn_waiters_key ON livingworld.turn_waiters (world_id, request_key, story_id);

CREATE TABLE livingworld.generations (
    world_id UUID NOT NULL,
    generation_id UUID NOT NULL,
    story_id UUID NOT NULL,
    request_key TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    state TEXT NOT NULL,
    scene_number INTEGER,
    model TEXT,
    script_version TEXT,
    parameters JSONB DEFAULT '{}' NOT NULL,
    prompt_digest BYTEA,
    raw_response TEXT,
    parsed JSONB,
    input_tokens INTEGER,
    output_tokens INTEGER,
    duration_ms INTEGER,
    error TEXT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_generations PRIMARY KEY (world_id, generation_id),
    CONSTRAINT fk_generations_world_id_story_id_request_key FOREIGN KEY(world_id, story_id, request_key) REFERENCES livingworld.turns (world_id, story_id, request_key) ON DELETE CASCADE,
    CONSTRAINT fk_generations_world_id_story_id_scene_number FOREIGN KEY(world_id, story_id, scene_number) REFERENCES livingworld.scenes (world_id, story_id, scene_number) ON DELETE CASCADE,
    CONSTRAINT uq_generations_attempt UNIQUE (world_id, request_key, story_id, attempt),
    CONSTRAINT ck_generations_state_fits CHECK (CASE state WHEN 'complete' THEN (parsed IS NULL) = (scene_number IS NOT NULL) WHEN 'answered' THEN scene_number IS NULL AND raw_response IS NOT NULL WHEN 'failed' THEN scene_number IS NULL ELSE false END),
    CONSTRAINT ck_generations_prompt_digest_length CHECK (prompt_digest IS NULL OR octet_length(prompt_digest) = 32),
    CONSTRAINT ck_generations_counts_natural CHECK (least(input_tokens, output_tokens, duration_ms) >= 0)
);

CREATE UNIQUE INDEX uq_generations_shown ON livingworld.generations (world_id, scene_number, story_id) WHERE scene_number IS NOT NULL;

CREATE TABLE livingworld.model_calls (
    world_id UUID NOT NULL,
    story_id UUID NOT NULL,
    request_key TEXT NOT NULL,
    call_id UUID NOT NULL,
    generation_id UUID NOT NULL,
    parent_id UUID,
    name TEXT NOT NULL,
    model TEXT,
    script_version TEXT,
    parameters JSONB DEFAULT '{}' NOT NULL,
    prompt JSONB DEFAULT '[]' NOT NULL,
    answer TEXT,
    input_tokens INTEGER,
    output_tokens INTEGER,
    duration_ms INTEGER NOT NULL,
    error TEXT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_model_calls PRIMARY KEY (world_id, story_id, request_key, call_id),
    CONSTRAINT fk_model_calls_world_id_story_id_request_key FOREIGN KEY(world_id, story_id, request_key) REFERENCES livingworld.turns (world_id, story_id, request_key) ON DELETE CASCADE,
    CONSTRAINT ck_model_calls_counts_natural CHECK (least(input_tokens, output_tokens, duration_ms) >= 0)
);

CREATE TABLE livingworld.memory_vectors (
    world_id UUID NOT NULL,
    memory_id UUID NOT NULL,
    embedder TEXT NOT NULL,
    vector REAL[] NOT NULL,
    CONSTRAINT pk_memory_vectors PRIMARY KEY (world_id, memory_id, embedder),
    CONSTRAINT fk_memory_vectors_world_id_memory_id FOREIGN KEY(world_id, memory_id) REFERENCES livingworld.memories (world_id, memory_id) ON DELETE CASCADE,
    CONSTRAINT ck_memory_vectors_dimensions_bounded CHECK (cardinality(vector) BETWEEN 1 AND 16000)
);

ALTER TABLE livingworld.memory_vectors SET (toast_tuple_target = 8160);

CREATE TABLE livingworld.memory_embedding_jobs (
    world_id UUID NOT NULL,
    embedder TEXT NOT NULL,
    memory_id UUID NOT NULL,
    attempts INTEGER DEFAULT 0 NOT NULL,
    claimed_until TIMESTAMP WITH TIME ZONE,
    error TEXT,
    CONSTRAINT pk_memory_embedding_jobs PRIMARY KEY (world_id, embedder, memory_id),
    CONSTRAINT fk_memory_embedding_jobs_world_id_memory_id FOREIGN KEY(world_id, memory_id) REFERENCES livingworld.memories (world_id, memory_id) ON DELETE CASCADE
);

CREATE INDEX ix_memory_embedding_jobs_memory ON livingworld.memory_embedding_jobs (world_id, memory_id);

