-- A request that no worker signed in time is expired.
ALTER TABLE IF EXISTS signing_requests
    DROP CONSTRAINT signing_requests_status_check,
    ADD CONSTRAINT signing_requests_status_check CHECK (status IN ('requested', 'signed', 'refused', 'expired'));
