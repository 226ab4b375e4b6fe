-- Leases on the partitions of the command stream. Expiry is judged by this database's clock alone.

-- Takes those of the wanted partitions that are free, expired or already the owner's. The epoch grows each time, so
-- whatever appended under the earlier epoch is fenced off. Behind the head lock: no append sees a half-taken lease.
CREATE FUNCTION take_partitions(new_owner text, wanted smallint[], ttl_ms bigint)
RETURNS TABLE (partition smallint, epoch bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    PERFORM FROM log_head h WHERE h.log_id = 1 FOR UPDATE;
    RETURN QUERY
    UPDATE partition_lease AS l
       SET owner = new_owner, epoch = l.epoch + 1, expires_at = clock_timestamp() + ttl_ms * interval '1 millisecond'
     WHERE l.partition = ANY (wanted)
       AND (l.owner IS NULL OR l.owner = new_owner OR l.expires_at <= clock_timestamp())
    RETURNING l.partition, l.epoch;
END $$;

-- Prolongs the leases that are still at the given epoch, and answers which. An expired lease that nobody took since
-- is still at its epoch, and is prolonged.
CREATE FUNCTION renew_partitions(holder text, held smallint[], held_epoch bigint[], ttl_ms bigint)
RETURNS SETOF smallint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM FROM log_head h WHERE h.log_id = 1 FOR UPDATE;
    RETURN QUERY
    UPDATE partition_lease AS l SET expires_at = clock_timestamp() + ttl_ms * interval '1 millisecond'
      FROM unnest(held, held_epoch) AS f(p, e)
     WHERE l.partition = f.p AND l.epoch = f.e AND l.owner = holder
    RETURNING l.partition;
END $$;

-- Gives back the leases that are still at the given epoch, and answers which. The epoch grows here too: an append of
-- the former holder that is still on its way is refused from now on.
CREATE FUNCTION release_partitions(holder text, held smallint[], held_epoch bigint[])
RETURNS SETOF smallint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM FROM log_head h WHERE h.log_id = 1 FOR UPDATE;
    RETURN QUERY
    UPDATE partition_lease AS l SET owner = NULL, expires_at = NULL, epoch = l.epoch + 1
      FROM unnest(held, held_epoch) AS f(p, e)
     WHERE l.partition = f.p AND l.epoch = f.e AND l.owner = holder
    RETURNING l.partition;
END $$;
