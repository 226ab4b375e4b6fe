-- From here on each build of a read model has a schema of its own, named after the read model and its version, and this
-- schema holds only the list of them. Built beside each other, switched by renaming schemas in one transaction.

CREATE TABLE builds (
    model      text COLLATE "C" NOT NULL,
    version    integer NOT NULL CHECK (version > 0),
    state      text COLLATE "C" NOT NULL CHECK (state IN ('building', 'checking', 'served')),
    position   bigint NOT NULL DEFAULT 0 CHECK (position >= 0), -- committed with the rows up to it
    generation bigint NOT NULL DEFAULT 0,                       -- counts what was served under this version
    live       boolean NOT NULL DEFAULT false,                  -- the version that was switched to last
    error      text,                                            -- why it stopped
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    served_at  timestamptz,
    PRIMARY KEY (model, version, state),
    CHECK (NOT live OR state = 'served')
);
CREATE UNIQUE INDEX builds_live ON builds (model) WHERE live;

-- What was built before becomes version 1, as it is. Tables in which nothing is yet are made anew by their build.
DO $$
DECLARE
    found  record;
    moved  text;
    target text;
BEGIN
    FOR found IN
        SELECT * FROM (VALUES ('wallets', ARRAY['wallets']), ('signing-requests', ARRAY['signing_requests']),
                              ('transactions', ARRAY['transactions']),
                              ('prices', ARRAY['price_feeds', 'price_rounds'])) AS models (name, tables)
          LEFT JOIN checkpoints ON follower = name
    LOOP
        IF coalesce(found.position, 0) > 0 THEN
            target := format('%s_%s_v1', current_schema(), replace(found.name, '-', '_'));
            EXECUTE format('CREATE SCHEMA %I', target);
            FOREACH moved IN ARRAY found.tables LOOP
                EXECUTE format('ALTER TABLE %I SET SCHEMA %I', moved, target);
            END LOOP;
            INSERT INTO builds (model, version, state, position, generation, live, served_at)
            VALUES (found.name, 1, 'served', found.position, 1, true, clock_timestamp());
        ELSE
            FOREACH moved IN ARRAY found.tables LOOP
                EXECUTE format('DROP TABLE %I', moved);
            END LOOP;
        END IF;
    END LOOP;
END $$;

-- The streams are their own checkpoints.
DROP TABLE checkpoints;
