CREATE TABLE livingworld.ai_model_roles (
    world_id UUID NOT NULL,
    role TEXT NOT NULL,
    last_version INTEGER DEFAULT 0 NOT NULL,
    activations INTEGER DEFAULT 0 NOT NULL,
    CONSTRAINT pk_ai_model_roles PRIMARY KEY (world_id, role),
    CONSTRAINT fk_ai_model_roles_world_id FOREIGN KEY(world_id) REFERENCES livingworld.worlds (world_id) ON DELETE CASCADE,
    CONSTRAINT ck_ai_model_roles_role_length CHECK (char_length(role) BETWEEN 1 AND 500),
    CONSTRAINT ck_ai_model_roles_counters_natural CHECK (last_version >= 0 AND activations >= 0)
);

CREATE TABLE livingworld.embedding_cache (
    world_id UUID NOT NULL,
    embedder TEXT NOT NULL,
    digest BYTEA NOT NULL,
    dimensions INTEGER NOT NULL,
    vector REAL[] NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_embedding_cache PRIMARY KEY (world_id, embedder, digest),
    CONSTRAINT fk_embedding_cache_world_id FOREIGN KEY(world_id) REFERENCES livingworld.worlds (world_id) ON DELETE CASCADE,
    CONSTRAINT ck_embedding_cache_embedder_length CHECK (char_length(embedder) BETWEEN 1 AND 500),
    CONSTRAINT ck_embedding_cache_digest_length CHECK (octet_length(digest) = 32),
    CONSTRAINT ck_embedding_cache_vector_fits CHECK (dimensions > 0 AND cardinality(vector) = dimensions),
    CONSTRAINT ck_embedding_cache_vector_finite CHECK (array_position(vector, NULL) IS NULL AND 'NaN' <> ALL (vector) AND 'Infinity' <> ALL (vector) AND '-Infinity' <> ALL (vector))
);

CREATE INDEX ix_embedding_cache_created_at ON livingworld.embedding_cache (world_id, created_at);

CREATE TABLE livingworld.scripts (
    world_id UUID NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    last_version INTEGER DEFAULT 0 NOT NULL,
    active_version INTEGER,
    activation INTEGER DEFAULT 0 NOT NULL,
    activated_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_scripts PRIMARY KEY (world_id, name),
    CONSTRAINT fk_scripts_world_id FOREIGN KEY(world_id) REFERENCES livingworld.worlds (world_id) ON DELETE CASCADE,
    CONSTRAINT ck_scripts_name_length CHECK (char_length(name) BETWEEN 1 AND 500),
    CONSTRAINT ck_scripts_counters_natural CHECK (last_version >= 0 AND activation >= 0),
    CONSTRAINT ck_scripts_active_version_known CHECK (active_version BETWEEN 1 AND last_version),
    CONSTRAINT ck_scripts_active_wholly_or_not CHECK ((active_version IS NULL) = (activation = 0) AND (active_version IS NULL) = (activated_at IS NULL))
);

CREATE TABLE livingworld.ai_models (
    world_id UUID NOT NULL,
    model_id UUID NOT NULL,
    role TEXT NOT NULL,
    version INTEGER NOT NULL,
    provider TEXT NOT NULL,
    name TEXT NOT NULL,
    dimensions INTEGER,
    settings JSONB DEFAULT '{}' NOT NULL,
    state TEXT DEFAULT 'staging' NOT NULL,
    validated_at TIMESTAMP WITH TIME ZONE,
    activation INTEGER,
    activated_at TIMESTAMP WITH TIME ZONE,
    retired_at TIMESTAMP WITH TIME ZONE,
    replaced_model_id UUID,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_ai_models PRIMARY KEY (world_id, model_id),
    CONSTRAINT fk_ai_models_world_id_role FOREIGN KEY(world_id, role) REFERENCES livingworld.ai_model_roles (world_id, role) ON DELETE CASCADE,
    CONSTRAINT uq_ai_models_world_id_role_version UNIQUE (world_id, role, version),
    CONSTRAINT ck_ai_models_state_known CHECK (state IN ('staging', 'active', 'retired')),
    CONSTRAINT ck_ai_models_in_service_only_validated CHECK (state = 'staging' OR validated_at IS NOT NULL),
    CONSTRAINT ck_ai_models_activation_known CHECK ((state = 'staging') = (activation IS NULL) AND (state = 'staging') = (activated_at IS NULL)),
    CONSTRAINT ck_ai_models_retired_when CHECK ((state = 'retired') = (retired_at IS NOT NULL)),
    CONSTRAINT ck_ai_models_replaced_another CHECK (replaced_model_id <> model_id),
    CONSTRAINT ck_ai_models_numbers_positive CHECK (version >= 1 AND dimensions >= 1 AND activation >= 1),
    CONSTRAINT ck_ai_models_names_length CHECK (char_length(provider) BETWEEN 1 AND 500 AND char_length(name) BETWEEN 1 AND 500)
);

CREATE UNIQUE INDEX uq_ai_models_active ON livingworld.ai_models (world_id, role) WHERE state = 'active';

CREATE TABLE livingworld.script_versions (
    world_id UUID NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    version INTEGER NOT NULL,
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    digest TEXT NOT NULL,
    validated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    state TEXT DEFAULT 'ready' NOT NULL,
    retired_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_script_versions PRIMARY KEY (world_id, name, version),
    CONSTRAINT fk_script_versions_world_id_name FOREIGN KEY(world_id, name) REFERENCES livingworld.scripts (world_id, name) ON DELETE CASCADE,
    CONSTRAINT ck_script_versions_version_positive CHECK (version >= 1),
    CONSTRAINT ck_script_versions_body_length CHECK (char_length(body) <= 1000000),
    CONSTRAINT ck_script_versions_kind_length CHECK (char_length(kind) BETWEEN 1 AND 500),
    CONSTRAINT ck_script_versions_digest_length CHECK (char_length(digest) = 64),
    CONSTRAINT ck_script_versions_state_known CHECK (state IN ('ready', 'retiring', 'retired')),
    CONSTRAINT ck_script_versions_retired_wholly_or_not CHECK ((state = 'retired') = (retired_at IS NOT NULL))
);

CREATE TABLE livingworld.training_samples (
    world_id UUID NOT NULL,
    sample_id UUID NOT NULL,
    role TEXT NOT NULL,
    model_id UUID,
    model_version INTEGER,
    input JSONB NOT NULL,
    output JSONB NOT NULL,
    metadata JSONB DEFAULT '{}' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_training_samples PRIMARY KEY (world_id, sample_id),
    CONSTRAINT fk_training_samples_world_id FOREIGN KEY(world_id) REFERENCES livingworld.worlds (world_id) ON DELETE CASCADE,
    CONSTRAINT fk_training_samples_world_id_model_id FOREIGN KEY(world_id, model_id) REFERENCES livingworld.ai_models (world_id, model_id) ON DELETE CASCADE,
    CONSTRAINT ck_training_samples_role_length CHECK (char_length(role) BETWEEN 1 AND 500),
    CONSTRAINT ck_training_samples_model_wholly_or_not CHECK ((model_id IS NULL) = (model_version IS NULL))
);

CREATE INDEX ix_training_samples_role ON livingworld.training_samples (world_id, role, sample_id);

CREATE TABLE livingworld.script_activations (
    world_id UUID NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    activation INTEGER NOT NULL,
    version INTEGER NOT NULL,
    back_to INTEGER,
    activated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_script_activations PRIMARY KEY (world_id, name, activation),
    CONSTRAINT fk_script_activations_world_id_name_version FOREIGN KEY(world_id, name, version) REFERENCES livingworld.script_versions (world_id, name, version) ON DELETE CASCADE,
    CONSTRAINT ck_script_activations_activation_positive CHECK (activation >= 1),
    CONSTRAINT ck_script_activations_back_to_earlier CHECK (back_to BETWEEN 1 AND activation - 1)
);

CREATE TABLE livingworld.script_executions (
    world_id UUID NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    version INTEGER NOT NULL,
    execution_id UUID NOT NULL,
    process_id UUID NOT NULL,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    since TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_script_executions PRIMARY KEY (world_id, name, version, execution_id),
    CONSTRAINT fk_script_executions_world_id_name_version FOREIGN KEY(world_id, name, version) REFERENCES livingworld.script_versions (world_id, name, version) ON DELETE CASCADE,
    CONSTRAINT ck_script_executions_host_length CHECK (char_length(host) <= 500)
);

CREATE INDEX ix_script_executions_process ON livingworld.script_executions (world_id, process_id);

