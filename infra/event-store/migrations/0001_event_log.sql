-- The event log and what an append keeps beside it. Positions are 1, 2, 3, … without a gap; a position below or at
-- log_head.position is committed and never changes.

-- One row: every appender locks it first, so the lock order is the log order.
CREATE TABLE log_head (
    log_id   smallint PRIMARY KEY,
    position bigint NOT NULL CHECK (position >= 0)
);
INSERT INTO log_head (log_id, position) VALUES (1, 0);

-- The first seven columns after log_id are postgres-es' own, so that its repository can read this table.
-- payload and metadata are json, not jsonb: json keeps the text byte for byte, and the hash covers those bytes.
CREATE TABLE events (
    position       bigint NOT NULL,
    log_id         smallint NOT NULL DEFAULT 1,
    aggregate_type text NOT NULL,
    aggregate_id   text NOT NULL,
    sequence       bigint NOT NULL CHECK (sequence > 0),
    event_type     text NOT NULL,
    event_version  text NOT NULL,
    payload        json NOT NULL,
    metadata       json NOT NULL,
    tenant         text NOT NULL GENERATED ALWAYS AS (split_part(aggregate_id, '.', 1)) STORED,
    event_id       uuid NOT NULL,
    command_id     uuid NOT NULL,
    recorded_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    content_hash   bytea NOT NULL CHECK (octet_length(content_hash) = 32),
    PRIMARY KEY (position)
) PARTITION BY RANGE (position);
CREATE INDEX events_stream ON events (aggregate_type, aggregate_id, sequence);

-- Each command's signed envelope and payload, once, under the position of its first event.
CREATE TABLE envelopes (
    position   bigint NOT NULL,
    command_id uuid NOT NULL,
    subject    text NOT NULL,
    envelope   json NOT NULL,
    payload    json NOT NULL,
    PRIMARY KEY (position)
) PARTITION BY RANGE (position);

-- The stream guard. A unique index on events cannot be one: it would have to contain the partition key.
CREATE TABLE streams (
    aggregate_type text NOT NULL,
    aggregate_id   text NOT NULL,
    version        bigint NOT NULL CHECK (version > 0),
    PRIMARY KEY (aggregate_type, aggregate_id)
) WITH (fillfactor = 80); -- room for in-page updates: only the unindexed version changes

-- The answer of every committed command, for ever. Not partitioned: a command id is unique over the whole log.
CREATE TABLE receipts (
    command_id     uuid PRIMARY KEY,
    issuer         text NOT NULL,
    request_hash   bytea NOT NULL CHECK (octet_length(request_hash) = 32),
    first_position bigint NOT NULL,
    event_count    integer NOT NULL CHECK (event_count > 0),
    answer         json NOT NULL
);

-- Who may append for a partition of the command stream. A row is never deleted and its epoch only grows.
CREATE TABLE partition_lease (
    partition  smallint PRIMARY KEY,
    owner      text,
    epoch      bigint NOT NULL,
    expires_at timestamptz
);
INSERT INTO partition_lease (partition, epoch) SELECT p, 0 FROM generate_series(0, 63) AS p;
