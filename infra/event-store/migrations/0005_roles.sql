-- Group roles, without login: a process logs in as a member of one. Roles belong to the cluster, so another database's
-- migration may have made them already, or may be making them now.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['nsl_writer', 'nsl_reader'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', name);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL;
            END;
        END IF;
    END LOOP;
END $$;

GRANT SELECT ON log_head, events, envelopes, streams, receipts, partition_lease, log_partitions
    TO nsl_writer, nsl_reader;

-- Postgres lets everyone execute a new function; these run with the owner's rights or make tables.
REVOKE ALL ON FUNCTION refuse_change, make_append_only, make_log_partition, ensure_event_partitions, explain_refusal,
    append_batch, settle_receipts, take_partitions, renew_partitions, release_partitions FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ensure_event_partitions, explain_refusal, append_batch, settle_receipts, take_partitions,
    renew_partitions, release_partitions TO nsl_writer;
