CREATE TABLE livingworld.live_streams (
    world_id UUID NOT NULL,
    stream_id UUID NOT NULL,
    last_number BIGINT DEFAULT 0 NOT NULL,
    kept_after BIGINT DEFAULT 0 NOT NULL,
    followed_until TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_live_streams PRIMARY KEY (world_id, stream_id),
    CONSTRAINT fk_live_streams_world_id FOREIGN KEY(world_id) REFERENCES livingworld.worlds (world_id) ON DELETE CASCADE,
    CONSTRAINT ck_live_streams_kept_after_known CHECK (kept_after BETWEEN 0 AND last_number)
);

CREATE TABLE livingworld.present_players (
    world_id UUID NOT NULL,
    stream_id UUID NOT NULL,
    player TEXT NOT NULL,
    joined_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_present_players PRIMARY KEY (world_id, stream_id, player),
    CONSTRAINT fk_present_players_world_id FOREIGN KEY(world_id) REFERENCES livingworld.worlds (world_id) ON DELETE CASCADE,
    CONSTRAINT ck_present_players_player_length CHECK (char_length(player) BETWEEN 1 AND 500)
);

CREATE TABLE livingworld.live_events (
    world_id UUID NOT NULL,
    stream_id UUID NOT NULL,
    event_number BIGINT NOT NULL,
    kind TEXT NOT NULL,
    details JSONB DEFAULT '{}' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_live_events PRIMARY KEY (world_id, stream_id, event_number),
    CONSTRAINT fk_live_events_world_id_stream_id FOREIGN KEY(world_id, stream_id) REFERENCES livingworld.live_streams (world_id, stream_id) ON DELETE CASCADE,
    CONSTRAINT ck_live_events_event_number_positive CHECK (event_number > 0)
);

CREATE TABLE livingworld.presences (
    world_id UUID NOT NULL,
    presence_id UUID NOT NULL,
    stream_id UUID NOT NULL,
    player TEXT NOT NULL,
    ttl INTERVAL NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_presences PRIMARY KEY (world_id, presence_id),
    CONSTRAINT fk_presences_world_id_stream_id_player FOREIGN KEY(world_id, stream_id, player) REFERENCES livingworld.present_players (world_id, stream_id, player) ON DELETE CASCADE,
    CONSTRAINT ck_presences_ttl_positive CHECK (ttl > interval '0')
);

CREATE INDEX ix_presences_expires_at ON livingworld.presences (world_id, expires_at);

CREATE INDEX ix_presences_player ON livingworld.presences (world_id, stream_id, player);

