CREATE TABLE livingworld.lanes (
    world_id UUID NOT NULL,
    lane TEXT NOT NULL,
    last_number BIGINT DEFAULT 0 NOT NULL,
    waiting INTEGER DEFAULT 0 NOT NULL,
    max_waiting INTEGER DEFAULT 10000 NOT NULL,
    running_until TIMESTAMP WITH TIME ZONE,
    head_priority INTEGER,
    head_created_at TIMESTAMP WITH TIME ZONE,
    wakes_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_lanes PRIMARY KEY (world_id, lane),
    CONSTRAINT fk_lanes_world_id FOREIGN KEY(world_id) REFERENCES livingworld.worlds (world_id) ON DELETE CASCADE,
    CONSTRAINT ck_lanes_lane_length CHECK (char_length(lane) BETWEEN 1 AND 500),
    CONSTRAINT ck_lanes_counters_natural CHECK (last_number >= 0 AND waiting >= 0 AND max_waiting >= 1),
    CONSTRAINT ck_lanes_head_wholly_or_not CHECK ((head_priority IS NULL) = (head_created_at IS NULL))
);

CREATE INDEX ix_lanes_ready ON livingworld.lanes (world_id, head_priority DESC, head_created_at, lane) WHERE running_until IS NULL AND head_priority IS NOT NULL;

CREATE INDEX ix_lanes_running_until ON livingworld.lanes (world_id, running_until) WHERE running_until IS NOT NULL;

CREATE INDEX ix_lanes_wakes_at ON livingworld.lanes (world_id, wakes_at) WHERE wakes_at IS NOT NULL AND running_until IS NULL;

CREATE TABLE livingworld.cycles (
    world_id UUID NOT NULL,
    name TEXT NOT NULL,
    token BIGINT DEFAULT 0 NOT NULL,
    owner UUID,
    expires_at TIMESTAMP WITH TIME ZONE,
    last_run_number INTEGER DEFAULT 0 NOT NULL,
    stop_requested BOOLEAN DEFAULT false NOT NULL,
    CONSTRAINT pk_cycles PRIMARY KEY (world_id, name),
    CONSTRAINT fk_cycles_world_id FOREIGN KEY(world_id) REFERENCES livingworld.worlds (world_id) ON DELETE CASCADE,
    CONSTRAINT ck_cycles_name_length CHECK (char_length(name) BETWEEN 1 AND 500),
    CONSTRAINT ck_cycles_held_wholly_or_not CHECK ((owner IS NULL) = (expires_at IS NULL)),
    CONSTRAINT ck_cycles_counters_natural CHECK (token >= 0 AND last_run_number >= 0)
);

CREATE TABLE livingworld.documents (
    world_id UUID NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    value JSONB,
    version INTEGER DEFAULT 1 NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_documents PRIMARY KEY (world_id, key),
    CONSTRAINT fk_documents_world_id FOREIGN KEY(world_id) REFERENCES livingworld.worlds (world_id) ON DELETE CASCADE,
    CONSTRAINT ck_documents_key_length CHECK (char_length(key) BETWEEN 1 AND 500),
    CONSTRAINT ck_documents_version_positive CHECK (version > 0)
);

CREATE TABLE livingworld.leases (
    world_id UUID NOT NULL,
    name TEXT NOT NULL,
    token BIGINT NOT NULL,
    owner UUID,
    expires_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_leases PRIMARY KEY (world_id, name),
    CONSTRAINT fk_leases_world_id FOREIGN KEY(world_id) REFERENCES livingworld.worlds (world_id) ON DELETE CASCADE,
    CONSTRAINT ck_leases_name_length CHECK (char_length(name) BETWEEN 1 AND 500),
    CONSTRAINT ck_leases_token_positive CHECK (token >= 1),
    CONSTRAINT ck_leases_held_wholly_or_not CHECK ((owner IS NULL) = (expires_at IS NULL))
);

CREATE TABLE livingworld.sessions (
    world_id UUID NOT NULL,
    session_id UUID NOT NULL,
    key TEXT,
    player TEXT,
    context JSONB DEFAULT '{}' NOT NULL,
    context_version INTEGER DEFAULT 1 NOT NULL,
    epoch INTEGER DEFAULT 1 NOT NULL,
    last_interaction_number INTEGER DEFAULT 0 NOT NULL,
    heartbeat_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    closed_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_sessions PRIMARY KEY (world_id, session_id),
    CONSTRAINT ck_sessions_key_length CHECK (char_length(key) BETWEEN 1 AND 500),
    CONSTRAINT fk_sessions_world_id FOREIGN KEY(world_id) REFERENCES livingworld.worlds (world_id) ON DELETE CASCADE,
    CONSTRAINT ck_sessions_player_length CHECK (char_length(player) <= 500),
    CONSTRAINT ck_sessions_context_object CHECK (jsonb_typeof(context) = 'object'),
    CONSTRAINT ck_sessions_context_version_positive CHECK (context_version > 0),
    CONSTRAINT ck_sessions_epoch_positive CHECK (epoch > 0),
    CONSTRAINT ck_sessions_last_interaction_number_not_negative CHECK (last_interaction_number >= 0)
);

CREATE INDEX ix_sessions_heartbeat ON livingworld.sessions (world_id, heartbeat_at);

CREATE INDEX ix_sessions_player ON livingworld.sessions (world_id, player, session_id);

CREATE UNIQUE INDEX uq_sessions_key ON livingworld.sessions (world_id, key) WHERE key IS NOT NULL;

CREATE TABLE livingworld.actions (
    world_id UUID NOT NULL,
    action_id UUID NOT NULL,
    lane TEXT NOT NULL,
    number BIGINT NOT NULL,
    kind TEXT NOT NULL,
    payload JSONB DEFAULT '{}' NOT NULL,
    priority INTEGER DEFAULT 0 NOT NULL,
    not_before TIMESTAMP WITH TIME ZONE,
    deadline TIMESTAMP WITH TIME ZONE,
    state TEXT NOT NULL,
    decision TEXT DEFAULT 'queue' NOT NULL,
    decided_by UUID[] DEFAULT '{}' NOT NULL,
    attempts INTEGER DEFAULT 0 NOT NULL,
    max_attempts INTEGER NOT NULL,
    token BIGINT DEFAULT 0 NOT NULL,
    lapsed_tokens BIGINT[] DEFAULT '{}' NOT NULL,
    claimed_until TIMESTAMP WITH TIME ZONE,
    cancel_requested_at TIMESTAMP WITH TIME ZONE,
    cancel_reason TEXT,
    result JSONB,
    errors JSONB DEFAULT '[]' NOT NULL,
    started_numbers BIGINT[] DEFAULT '{}' NOT NULL,
    stopped_numbers BIGINT[] DEFAULT '{}' NOT NULL,
    ended_number BIGINT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE,
    ended_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_actions PRIMARY KEY (world_id, action_id),
    CONSTRAINT fk_actions_world_id_lane FOREIGN KEY(world_id, lane) REFERENCES livingworld.lanes (world_id, lane) ON DELETE CASCADE,
    CONSTRAINT ck_actions_kind_length CHECK (char_length(kind) BETWEEN 1 AND 500),
    CONSTRAINT ck_actions_payload_object CHECK (jsonb_typeof(payload) = 'object'),
    CONSTRAINT ck_actions_state_known CHECK (state IN ('waiting', 'running', 'done', 'failed', 'expired', 'cancelled', 'replaced', 'merged', 'rejected')),
    CONSTRAINT ck_actions_decision_known CHECK (decision IN ('queue', 'replace', 'merge', 'reject')),
    CONSTRAINT ck_actions_claimed_while_running CHECK ((state = 'running') = (claimed_until IS NOT NULL)),
    CONSTRAINT ck_actions_ended_when_over CHECK ((state IN ('waiting', 'running')) = (ended_at IS NULL)),
    CONSTRAINT ck_actions_ended_wholly_or_not CHECK ((ended_at IS NULL) = (ended_number IS NULL)),
    CONSTRAINT ck_actions_attempts_bounded CHECK (attempts BETWEEN 0 AND max_attempts)
);

CREATE INDEX ix_actions_ended_at ON livingworld.actions (world_id, ended_at) WHERE ended_at IS NOT NULL;

CREATE INDEX ix_actions_not_before ON livingworld.actions (world_id, lane, not_before) WHERE state = 'waiting' AND not_before IS NOT NULL;

CREATE INDEX ix_actions_waiting ON livingworld.actions (world_id, lane, priority DESC, number) WHERE state = 'waiting';

CREATE UNIQUE INDEX uq_actions_number ON livingworld.actions (world_id, lane, number);

CREATE UNIQUE INDEX uq_actions_running ON livingworld.actions (world_id, lane) WHERE state = 'running';

CREATE TABLE livingworld.cycle_runs (
    world_id UUID NOT NULL,
    name TEXT NOT NULL,
    run_number INTEGER NOT NULL,
    state TEXT DEFAULT 'running' NOT NULL,
    phases TEXT[] NOT NULL,
    phases_done INTEGER DEFAULT 0 NOT NULL,
    reason TEXT,
    results JSONB DEFAULT '{}' NOT NULL,
    attempts INTEGER DEFAULT 1 NOT NULL,
    error TEXT,
    started_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    finished_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_cycle_runs PRIMARY KEY (world_id, name, run_number),
    CONSTRAINT fk_cycle_runs_world_id_name FOREIGN KEY(world_id, name) REFERENCES livingworld.cycles (world_id, name) ON DELETE CASCADE,
    CONSTRAINT ck_cycle_runs_state_known CHECK (state IN ('running', 'done', 'stopped', 'failed')),
    CONSTRAINT ck_cycle_runs_finished_when_over CHECK ((state = 'running') = (finished_at IS NULL)),
    CONSTRAINT ck_cycle_runs_phases_done_known CHECK (phases_done BETWEEN 0 AND cardinality(phases)),
    CONSTRAINT ck_cycle_runs_done_wholly CHECK (state <> 'done' OR phases_done = cardinality(phases)),
    CONSTRAINT ck_cycle_runs_counters_positive CHECK (run_number >= 1 AND attempts >= 1)
);

CREATE UNIQUE INDEX uq_cycle_runs_running ON livingworld.cycle_runs (world_id, name) WHERE state = 'running';

CREATE TABLE livingworld.document_versions (
    world_id UUID NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    version INTEGER NOT NULL,
    value JSONB,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_document_versions PRIMARY KEY (world_id, key, version),
    CONSTRAINT fk_document_versions_world_id_key FOREIGN KEY(world_id, key) REFERENCES livingworld.documents (world_id, key) ON DELETE CASCADE,
    CONSTRAINT ck_document_versions_version_positive CHECK (version > 0)
);

CREATE TABLE livingworld.interactions (
    world_id UUID NOT NULL,
    session_id UUID NOT NULL,
    interaction_number INTEGER NOT NULL,
    request TEXT NOT NULL,
    response TEXT,
    metadata JSONB DEFAULT '{}' NOT NULL,
    version INTEGER DEFAULT 1 NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_interactions PRIMARY KEY (world_id, session_id, interaction_number),
    CONSTRAINT fk_interactions_world_id_session_id FOREIGN KEY(world_id, session_id) REFERENCES livingworld.sessions (world_id, session_id) ON DELETE CASCADE,
    CONSTRAINT ck_interactions_interaction_number_positive CHECK (interaction_number > 0),
    CONSTRAINT ck_interactions_request_length CHECK (char_length(request) <= 1000000),
    CONSTRAINT ck_interactions_response_length CHECK (char_length(response) <= 1000000),
    CONSTRAINT ck_interactions_metadata_object CHECK (jsonb_typeof(metadata) = 'object'),
    CONSTRAINT ck_interactions_version_positive CHECK (version > 0)
);

CREATE INDEX ix_interactions_created_at ON livingworld.interactions (world_id, created_at);

CREATE TABLE livingworld.tasks (
    world_id UUID NOT NULL,
    task_id UUID NOT NULL,
    session_id UUID NOT NULL,
    kind TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    state TEXT DEFAULT 'running' NOT NULL,
    token INTEGER DEFAULT 1 NOT NULL,
    payload JSONB DEFAULT '{}' NOT NULL,
    progress JSONB,
    result JSONB,
    error TEXT,
    dead_after INTERVAL NOT NULL,
    when_owner_dies TEXT NOT NULL,
    heartbeat_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    cancel_requested_at TIMESTAMP WITH TIME ZONE,
    cancel_reason TEXT,
    ended_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_tasks PRIMARY KEY (world_id, task_id),
    CONSTRAINT fk_tasks_world_id_session_id FOREIGN KEY(world_id, session_id) REFERENCES livingworld.sessions (world_id, session_id) ON DELETE CASCADE,
    CONSTRAINT ck_tasks_kind_length CHECK (char_length(kind) BETWEEN 1 AND 500),
    CONSTRAINT ck_tasks_state_known CHECK (state IN ('running', 'finished', 'failed', 'cancelled')),
    CONSTRAINT ck_tasks_ended_when_not_running CHECK ((state = 'running') = (ended_at IS NULL)),
    CONSTRAINT ck_tasks_when_owner_dies_known CHECK (when_owner_dies IN ('fail', 'take_over')),
    CONSTRAINT ck_tasks_dead_after_positive CHECK (dead_after > interval '0'),
    CONSTRAINT ck_tasks_token_positive CHECK (token > 0),
    CONSTRAINT ck_tasks_epoch_positive CHECK (epoch > 0),
    CONSTRAINT ck_tasks_error_length CHECK (char_length(error) <= 100000),
    CONSTRAINT ck_tasks_cancel_reason_length CHECK (char_length(cancel_reason) <= 500)
);

CREATE INDEX ix_tasks_heartbeat ON livingworld.tasks (world_id, heartbeat_at) WHERE state = 'running';

CREATE INDEX ix_tasks_session ON livingworld.tasks (world_id, session_id, created_at);

CREATE UNIQUE INDEX uq_tasks_running ON livingworld.tasks (world_id, kind, session_id) WHERE state = 'running';

