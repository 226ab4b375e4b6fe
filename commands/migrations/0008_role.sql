-- The reactor works as a role of its own: it reads the log and keeps its memory, and makes no table. The role comes with
-- the log's migrations. Tables that later migrations of the same owner make are covered too.
GRANT USAGE ON SCHEMA reactor TO nsl_reactor;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA reactor TO nsl_reactor;
REVOKE INSERT, UPDATE, DELETE ON reactor._sqlx_migrations FROM nsl_reactor;
ALTER DEFAULT PRIVILEGES IN SCHEMA reactor GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO nsl_reactor;
