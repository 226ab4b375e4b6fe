-- Append-only by the database itself: for every role, the owner too, and on each partition. A statement trigger of a
-- partitioned table does not fire for a statement that names a partition, so each partition gets its own.

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of % refused: the log is append-only', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END $$;

-- ALWAYS: session_replication_role = replica must not switch it off.
CREATE FUNCTION make_append_only(log_table regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON %s
                    FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change()', log_table);
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER append_only', log_table);
END $$;

SELECT make_append_only('events');
SELECT make_append_only('envelopes');
SELECT make_append_only('receipts');

-- What partitions there are: [first_position, end_position).
CREATE TABLE log_partitions (
    first_position bigint PRIMARY KEY,
    end_position   bigint NOT NULL CHECK (end_position > first_position)
);

-- Made apart and then attached: ATTACH does not lock readers out, CREATE … PARTITION OF does.
CREATE FUNCTION make_log_partition(log_table text, first_position bigint, end_position bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    partition_table text := format('%s_p%s', log_table, lpad(first_position::text, 19, '0'));
BEGIN
    EXECUTE format('CREATE TABLE public.%I (LIKE public.%I INCLUDING ALL)', partition_table, log_table);
    EXECUTE format('ALTER TABLE public.%I ATTACH PARTITION public.%I FOR VALUES FROM (%s) TO (%s)',
                   log_table, partition_table, first_position, end_position);
    PERFORM public.make_append_only(format('public.%I', partition_table)::regclass);
END $$;

-- Makes partitions until position `upto` has one; answers the first position that has none.
CREATE FUNCTION ensure_event_partitions(upto bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    partition_size CONSTANT bigint := 1000000; -- positions; PARTITION_POSITIONS in src/partitions.rs
    most_made      CONSTANT bigint := 8;       -- one call makes a few ahead; a far-off position is a mistake
    frontier bigint;
BEGIN
    LOCK TABLE log_partitions IN EXCLUSIVE MODE; -- one maker at a time; appends do not read this table
    SELECT coalesce(max(end_position), 1) INTO frontier FROM log_partitions;
    IF upto >= frontier + most_made * partition_size THEN
        RAISE EXCEPTION 'position % is too far beyond the last partition, which ends at %', upto, frontier
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    WHILE frontier <= upto LOOP
        PERFORM make_log_partition('events', frontier, frontier + partition_size);
        PERFORM make_log_partition('envelopes', frontier, frontier + partition_size);
        INSERT INTO log_partitions VALUES (frontier, frontier + partition_size);
        frontier := frontier + partition_size;
    END LOOP;
    RETURN frontier;
END $$;

SELECT ensure_event_partitions(1);
