-- One role a service, with what that service does and no more. Roles get their passwords, and the right to log in, from
-- whoever runs the database; here they get their rights. Roles belong to the cluster, so another database's migration may
-- have made them already, or may be making them now.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['nsl_commands', 'nsl_reactor', 'nsl_projections', 'nsl_auditor'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', name);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL;
            END;
        END IF;
    END LOOP;
END $$;

-- Membership is the cluster's too: granting what is granted would lock the same row in every database's migration.
DO $$
DECLARE
    membership record;
BEGIN
    FOR membership IN
        SELECT * FROM (VALUES ('nsl_writer', 'nsl_commands'), ('nsl_reader', 'nsl_reactor'),
                              ('nsl_reader', 'nsl_projections'), ('nsl_reader', 'nsl_auditor')) AS m(granted, member)
    LOOP
        IF NOT pg_has_role(membership.member, membership.granted, 'MEMBER') THEN
            BEGIN
                EXECUTE format('GRANT %I TO %I', membership.granted, membership.member);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL;
            END;
        END IF;
    END LOOP;
END $$;

-- Postgres lets everyone connect and make temporary tables; here only who has business with the log.
DO $$
BEGIN
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO nsl_writer, nsl_reader', current_database());
    -- The read models' schemas are the projections' own to make, rebuild and drop.
    EXECUTE format('GRANT CREATE ON DATABASE %I TO nsl_projections', current_database());
END $$;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;

-- Read models that an earlier version made as the owner become the projections' own.
DO $$
DECLARE
    own record;
BEGIN
    FOR own IN SELECT nspname FROM pg_namespace WHERE nspname IN ('read', 'read_rebuild') LOOP
        EXECUTE format('ALTER SCHEMA %I OWNER TO nsl_projections', own.nspname);
    END LOOP;
    FOR own IN SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE n.nspname IN ('read', 'read_rebuild') AND c.relkind IN ('r', 'p', 'v') LOOP
        EXECUTE format('ALTER TABLE %I.%I OWNER TO nsl_projections', own.nspname, own.relname);
    END LOOP;
END $$;
