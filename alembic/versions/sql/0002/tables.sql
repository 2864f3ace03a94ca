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

