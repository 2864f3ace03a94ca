CREATE TABLE livingworld.worlds (
    world_id UUID NOT NULL,
    key TEXT,
    name TEXT NOT NULL,
    tenant TEXT,
    settings JSONB DEFAULT '{}' NOT NULL,
    version INTEGER DEFAULT 1 NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    archived_at TIMESTAMP WITH TIME ZONE,
    request_key TEXT,
    request_hash BYTEA,
    CONSTRAINT pk_worlds PRIMARY KEY (world_id),
    CONSTRAINT ck_worlds_key_length CHECK (char_length(key) BETWEEN 1 AND 500),
    CONSTRAINT ck_worlds_name_length CHECK (char_length(name) BETWEEN 1 AND 500),
    CONSTRAINT ck_worlds_version_positive CHECK (version > 0),
    CONSTRAINT ck_worlds_request_key_length CHECK (char_length(request_key) BETWEEN 1 AND 500),
    CONSTRAINT ck_worlds_request_is_whole CHECK ((request_key IS NULL) = (request_hash IS NULL))
);

CREATE INDEX ix_worlds_created_at ON livingworld.worlds (created_at, world_id);

CREATE INDEX ix_worlds_tenant ON livingworld.worlds (tenant, created_at, world_id);

CREATE UNIQUE INDEX uq_worlds_key ON livingworld.worlds (key) WHERE key IS NOT NULL;

CREATE UNIQUE INDEX uq_worlds_request_key ON livingworld.worlds (request_key) WHERE request_key IS NOT NULL;

CREATE TABLE livingworld.request_keys (
    world_id UUID NOT NULL,
    scope_id UUID NOT NULL,
    request_key TEXT NOT NULL,
    request_hash BYTEA NOT NULL,
    result JSONB NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_request_keys PRIMARY KEY (world_id, scope_id, request_key),
    CONSTRAINT fk_request_keys_world_id FOREIGN KEY(world_id) REFERENCES livingworld.worlds (world_id) ON DELETE CASCADE,
    CONSTRAINT ck_request_keys_request_key_length CHECK (char_length(request_key) BETWEEN 1 AND 500),
    CONSTRAINT ck_request_keys_request_hash_length CHECK (octet_length(request_hash) = 32)
);

CREATE INDEX ix_request_keys_created_at ON livingworld.request_keys (world_id, created_at);

