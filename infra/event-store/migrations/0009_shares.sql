-- Which command processors are at work, so that they share the partitions evenly. As with leases, expiry is judged by
-- this database's clock alone.
CREATE TABLE processors (
    owner      text PRIMARY KEY,
    joined     bigint GENERATED ALWAYS AS IDENTITY,
    expires_at timestamptz NOT NULL
);

-- Notes that the processor is at work, forgets those that were not heard of in time, and answers how many are at work
-- and how many of them joined before this one. One at a time: two that forgot each other would wait for each other.
CREATE FUNCTION join_processors(holder text, ttl_ms bigint)
RETURNS TABLE (at_work bigint, before bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    LOCK TABLE processors IN EXCLUSIVE MODE;
    DELETE FROM processors p WHERE p.expires_at <= clock_timestamp() AND p.owner <> holder;
    UPDATE processors p SET expires_at = clock_timestamp() + ttl_ms * interval '1 millisecond' WHERE p.owner = holder;
    IF NOT FOUND THEN
        INSERT INTO processors (owner, expires_at)
        VALUES (holder, clock_timestamp() + ttl_ms * interval '1 millisecond');
    END IF;
    RETURN QUERY
    SELECT count(*), count(*) FILTER (WHERE p.joined < (SELECT m.joined FROM processors m WHERE m.owner = holder))
      FROM processors p;
END $$;

-- The processor ends: the others' shares grow at once.
CREATE FUNCTION leave_processors(holder text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    LOCK TABLE processors IN EXCLUSIVE MODE;
    DELETE FROM processors p WHERE p.owner = holder;
END $$;

-- Takes up to `at_most` partitions that are free or expired, and those of the owner that it does not know to hold: their
-- answer was lost. Like take_partitions behind the head lock, and like it a step of the epoch.
CREATE FUNCTION claim_partitions(new_owner text, held smallint[], at_most integer, ttl_ms bigint)
RETURNS TABLE (partition smallint, epoch bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    PERFORM FROM log_head h WHERE h.log_id = 1 FOR UPDATE;
    RETURN QUERY
    UPDATE partition_lease AS l
       SET owner = new_owner, epoch = l.epoch + 1, expires_at = clock_timestamp() + ttl_ms * interval '1 millisecond'
     WHERE l.partition IN (SELECT f.partition FROM partition_lease f
                            WHERE f.partition <> ALL (held)
                              AND (f.owner IS NULL OR f.owner = new_owner OR f.expires_at <= clock_timestamp())
                            ORDER BY f.owner IS NOT DISTINCT FROM new_owner DESC, f.partition LIMIT at_most)
    RETURNING l.partition, l.epoch;
END $$;

-- A run of a processor begins: its earlier runs, of the same name before the last `/`, are over, and what they held is
-- free without waiting for its expiry. One that is not over is fenced off like any loser of a lease and joins anew.
CREATE FUNCTION supersede_processors(holder text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    earlier text := regexp_replace(holder, '/[^/]*$', '');
BEGIN
    PERFORM FROM log_head h WHERE h.log_id = 1 FOR UPDATE;
    UPDATE partition_lease l SET owner = NULL, expires_at = NULL, epoch = l.epoch + 1
     WHERE regexp_replace(l.owner, '/[^/]*$', '') = earlier AND l.owner <> holder;
    LOCK TABLE processors IN EXCLUSIVE MODE;
    DELETE FROM processors p WHERE regexp_replace(p.owner, '/[^/]*$', '') = earlier AND p.owner <> holder;
END $$;

GRANT SELECT ON processors TO nsl_writer, nsl_reader;
REVOKE ALL ON FUNCTION join_processors, leave_processors, supersede_processors, claim_partitions FROM PUBLIC;
GRANT EXECUTE ON FUNCTION join_processors, leave_processors, supersede_processors, claim_partitions TO nsl_writer;
