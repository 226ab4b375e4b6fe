-- A process has a row instead of each of its jobs: what it waits for, a deadline besides a job. Nothing is carried over:
-- the memory follows from the log, and is read from its beginning once.
DROP TABLE reactor.open_jobs;
UPDATE reactor.checkpoint SET position = 0;

CREATE TABLE reactor.processes (
    request_id uuid PRIMARY KEY,
    state text NOT NULL, -- JSON; see nsl_domain::process::State
    position bigint NOT NULL, -- of the event that led to it
    publications integer NOT NULL, -- of the job so far
    publish_at timestamptz NOT NULL, -- the job, again
    due_ms bigint -- when the deadline's command is sent, or tried again; null: there is none, or it was answered
);
CREATE INDEX processes_by_publication ON reactor.processes (publish_at);
CREATE INDEX processes_by_deadline ON reactor.processes (due_ms) WHERE due_ms IS NOT NULL;
