-- The life of a partition: open, sealed (the head is beyond it), archived, detached, dropped. Detaching goes from the
-- beginning of the log on, so what is here is one stretch: [first_position, position].

ALTER TABLE log_head ADD COLUMN first_position bigint NOT NULL DEFAULT 1 CHECK (first_position > 0);

ALTER TABLE log_partitions
    ADD COLUMN state text NOT NULL DEFAULT 'open'
        CHECK (state IN ('open', 'sealed', 'archived', 'detached', 'dropped')),
    ADD COLUMN archive_file   text,
    ADD COLUMN archive_sha256 bytea CHECK (octet_length(archive_sha256) = 32),
    ADD COLUMN archive_events bigint,
    ADD COLUMN changed_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    ADD CONSTRAINT archived_has_file CHECK (state IN ('open', 'sealed') OR
        archive_file IS NOT NULL AND archive_sha256 IS NOT NULL AND archive_events = end_position - first_position);

-- Marks the partitions that the head has passed; nothing is appended to them any more.
CREATE FUNCTION seal_log_partitions() RETURNS SETOF bigint LANGUAGE sql AS $$
    UPDATE public.log_partitions AS p SET state = 'sealed', changed_at = clock_timestamp()
      FROM public.log_head AS h
     WHERE h.log_id = 1 AND p.state = 'open' AND p.end_position <= h.position + 1
    RETURNING p.first_position
$$;

-- Remembers the archive of a sealed partition, once it was read back and found whole.
CREATE FUNCTION record_log_archive(partition_first bigint, file text, sha256 bytea, events bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE public.log_partitions
       SET state = 'archived', archive_file = file, archive_sha256 = sha256, archive_events = events,
           changed_at = clock_timestamp()
     WHERE first_position = partition_first AND state IN ('sealed', 'archived');
    IF NOT FOUND THEN
        RAISE EXCEPTION 'partition from % is not sealed', partition_first USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
END $$;

-- The streams whose aggregates could no longer be loaded without the partition, and so forbid to detach it. A rejection's
-- stream is never loaded.
CREATE FUNCTION streams_needing_partition(partition_first bigint)
RETURNS TABLE (aggregate_type text, aggregate_id text) LANGUAGE plpgsql STABLE AS $$
DECLARE
    partition_table text := format('events_p%s', lpad(partition_first::text, 19, '0'));
BEGIN
    RETURN QUERY EXECUTE format(
        'SELECT DISTINCT e.aggregate_type, e.aggregate_id FROM public.%I AS e WHERE e.aggregate_type <> ''rejection''',
        partition_table);
END $$;

-- Takes the first partition out of the log: its rows stay in tables of their own. Readers hear that it is archived.
CREATE FUNCTION detach_log_partition(partition_first bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    log_table text;
    partition_end bigint;
BEGIN
    -- First the head: nobody else detaches, and the new beginning is visible with the detaching or not at all.
    PERFORM FROM public.log_head WHERE log_id = 1 AND first_position = partition_first FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'partition from % is not the first of the log', partition_first
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    UPDATE public.log_partitions SET state = 'detached', changed_at = clock_timestamp()
     WHERE first_position = partition_first AND state = 'archived' RETURNING end_position INTO partition_end;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'partition from % is not archived', partition_first
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    FOREACH log_table IN ARRAY ARRAY['events', 'envelopes'] LOOP
        EXECUTE format('ALTER TABLE public.%I DETACH PARTITION public.%I', log_table,
                       format('%s_p%s', log_table, lpad(partition_first::text, 19, '0')));
    END LOOP;
    UPDATE public.log_head SET first_position = partition_end WHERE log_id = 1;
END $$;

-- Puts the last detached partition back.
CREATE FUNCTION attach_log_partition(partition_first bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    log_table text;
    partition_end bigint;
BEGIN
    SELECT end_position INTO partition_end FROM public.log_partitions
     WHERE first_position = partition_first AND state = 'detached';
    PERFORM FROM public.log_head WHERE log_id = 1 AND first_position = partition_end FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'partition from % is not the one detached last', partition_first
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    FOREACH log_table IN ARRAY ARRAY['events', 'envelopes'] LOOP
        EXECUTE format('ALTER TABLE public.%I ATTACH PARTITION public.%I FOR VALUES FROM (%s) TO (%s)', log_table,
                       format('%s_p%s', log_table, lpad(partition_first::text, 19, '0')), partition_first, partition_end);
    END LOOP;
    UPDATE public.log_partitions SET state = 'archived', changed_at = clock_timestamp()
     WHERE first_position = partition_first;
    UPDATE public.log_head SET first_position = partition_first WHERE log_id = 1;
END $$;

-- Removes a detached partition's rows for good; the archive is all that remains.
CREATE FUNCTION drop_log_partition(partition_first bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    log_table text;
BEGIN
    UPDATE public.log_partitions SET state = 'dropped', changed_at = clock_timestamp()
     WHERE first_position = partition_first AND state = 'detached';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'partition from % is not detached', partition_first
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    FOREACH log_table IN ARRAY ARRAY['events', 'envelopes'] LOOP
        EXECUTE format('DROP TABLE public.%I', format('%s_p%s', log_table, lpad(partition_first::text, 19, '0')));
    END LOOP;
END $$;

-- Not SECURITY DEFINER and granted to nobody: they are the owner's.
REVOKE ALL ON FUNCTION seal_log_partitions, record_log_archive, streams_needing_partition, detach_log_partition,
    attach_log_partition, drop_log_partition FROM PUBLIC;
