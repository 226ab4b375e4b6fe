-- The append: one call, one transaction, one round trip for a batch of commands.

-- Why a batch cannot be appended, as (reason, 1-based index into the arrays of that reason, actual value).
-- Inlined where it is called. The look-ups are scalar subqueries on purpose: the planner cannot turn them into joins,
-- so their plan is an index probe whatever the statistics say, also while the tables are new.
CREATE FUNCTION explain_refusal(
    fence_partition smallint[], fence_epoch bigint[],
    stream_type text[], stream_id text[], stream_expected bigint[],
    command_ids uuid[]
) RETURNS TABLE (reason text, ordinal bigint, actual bigint) LANGUAGE sql STABLE AS $$
    SELECT 'lost', f.i, (SELECT l.epoch FROM public.partition_lease l WHERE l.partition = f.p)
      FROM unnest(fence_partition, fence_epoch) WITH ORDINALITY AS f(p, e, i)
     WHERE f.e < 1 -- epoch 0 is a partition that nobody ever took
        OR (SELECT l.epoch FROM public.partition_lease l WHERE l.partition = f.p) IS DISTINCT FROM f.e
    UNION ALL
    SELECT 'known', c.i, (SELECT r.first_position FROM public.receipts r WHERE r.command_id = c.id)
      FROM unnest(command_ids) WITH ORDINALITY AS c(id, i)
     WHERE (SELECT r.first_position FROM public.receipts r WHERE r.command_id = c.id) IS NOT NULL
    UNION ALL
    SELECT 'stale', s.i, coalesce((SELECT v.version FROM public.streams v
                                    WHERE v.aggregate_type = s.t AND v.aggregate_id = s.a), 0)
      FROM unnest(stream_type, stream_id, stream_expected) WITH ORDINALITY AS s(t, a, e, i)
     WHERE coalesce((SELECT v.version FROM public.streams v
                      WHERE v.aggregate_type = s.t AND v.aggregate_id = s.a), 0) <> s.e
$$;

-- Appends the batch and answers its first position and time, or answers no row and has written nothing.
-- The caller gives each stream and each fence once, and each stream's events as one gapless chain.
-- event_offset of a command counts the batch's events before it.
CREATE FUNCTION append_batch(
    fence_partition smallint[], fence_epoch bigint[],
    stream_type text[], stream_id text[], stream_expected bigint[], stream_version bigint[],
    command_ids uuid[], command_issuer text[], command_request_hash bytea[], command_answer text[],
    command_subject text[], command_envelope text[], command_payload text[],
    command_event_offset integer[], command_event_count integer[],
    event_command_id uuid[], event_aggregate_type text[], event_aggregate_id text[], event_sequence bigint[],
    event_ids uuid[], event_type text[], event_version text[], event_payload text[], event_metadata text[],
    event_content_hash bytea[]
) RETURNS TABLE (first_position bigint, recorded_at_ms bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    head     bigint;
    recorded timestamptz; -- whole milliseconds: what a reader is told is exactly what is stored
BEGIN
    -- A statement of its own: the statements after it take fresh snapshots, which see the last holder's commit.
    SELECT h.position INTO STRICT head FROM log_head h WHERE h.log_id = 1 FOR UPDATE;
    recorded := date_trunc('milliseconds', clock_timestamp());

    IF EXISTS (SELECT FROM explain_refusal(fence_partition, fence_epoch, stream_type, stream_id,
                                           stream_expected, command_ids)) THEN
        RETURN;
    END IF;

    INSERT INTO receipts (command_id, issuer, request_hash, first_position, event_count, answer)
    SELECT c.id, c.issuer, c.hash, head + 1 + c.before, c.events, c.answer::json
      FROM unnest(command_ids, command_issuer, command_request_hash, command_event_offset, command_event_count,
                  command_answer) AS c(id, issuer, hash, before, events, answer);

    INSERT INTO streams (aggregate_type, aggregate_id, version)
    SELECT * FROM unnest(stream_type, stream_id, stream_version)
    ON CONFLICT ON CONSTRAINT streams_pkey DO UPDATE SET version = excluded.version;

    INSERT INTO envelopes (position, command_id, subject, envelope, payload)
    SELECT head + 1 + c.before, c.id, c.subject, c.envelope::json, c.payload::json
      FROM unnest(command_event_offset, command_ids, command_subject, command_envelope, command_payload)
           AS c(before, id, subject, envelope, payload);

    INSERT INTO events (position, aggregate_type, aggregate_id, sequence, event_type, event_version, payload,
                        metadata, event_id, command_id, recorded_at, content_hash)
    SELECT head + e.ordinal, e.aggregate_type, e.aggregate_id, e.sequence, e.type, e.version, e.payload::json,
           e.metadata::json, e.id, e.command_id, recorded, e.hash
      FROM unnest(event_aggregate_type, event_aggregate_id, event_sequence, event_type, event_version,
                  event_payload, event_metadata, event_ids, event_command_id, event_content_hash)
           WITH ORDINALITY AS e(aggregate_type, aggregate_id, sequence, type, version, payload, metadata, id,
                                command_id, hash, ordinal);

    UPDATE log_head h SET position = head + cardinality(event_ids) WHERE h.log_id = 1;
    RETURN QUERY SELECT head + 1, (extract(epoch FROM recorded) * 1000)::bigint;
END $$;

-- The receipts of an append whose outcome is not known. Behind the head lock: an append that holds it is waited for.
CREATE FUNCTION settle_receipts(command_ids uuid[])
RETURNS TABLE (command_id uuid, request_hash bytea, first_position bigint, event_count integer, recorded_at_ms bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    PERFORM FROM log_head h WHERE h.log_id = 1 FOR UPDATE;
    RETURN QUERY
    SELECT r.command_id, r.request_hash, r.first_position, r.event_count,
           (SELECT (extract(epoch FROM e.recorded_at) * 1000)::bigint FROM events e WHERE e.position = r.first_position)
      FROM receipts r WHERE r.command_id = ANY (command_ids);
END $$;
