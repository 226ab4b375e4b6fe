-- The reactor's memory: which jobs are open and up to where events were turned into jobs. It follows from the log
-- alone; dropping the schema and starting again rebuilds it.
CREATE TABLE reactor.checkpoint (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    position bigint NOT NULL CHECK (position >= 0)
);
INSERT INTO reactor.checkpoint (position) VALUES (0);

-- A job is named by the request and its kind: a request asks for each kind at most once.
CREATE TABLE reactor.open_jobs (
    request_id uuid NOT NULL,
    kind text NOT NULL,
    position bigint NOT NULL, -- of the event that asks for it
    published_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (request_id, kind)
);
CREATE INDEX open_jobs_by_age ON reactor.open_jobs (published_at);
