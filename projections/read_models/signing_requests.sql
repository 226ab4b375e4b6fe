-- Tables of the read model `signing-requests`; see wallets.sql.
CREATE TABLE signing_requests (
    tenant         text COLLATE "C" NOT NULL,
    id             text COLLATE "C" NOT NULL,
    wallet         text NOT NULL,
    status         text NOT NULL CHECK (status IN
                       ('awaiting-approvals', 'requested', 'reserved', 'signed', 'refused', 'cancelled',
                        'expired')),
    approvals_missing smallint,
    not_before_ms  text, -- a decimal up to 64 bits
    request_sha256 text NOT NULL,
    transfer       jsonb NOT NULL,
    asset          text NOT NULL,
    "to"           text NOT NULL,
    amount         text NOT NULL, -- a decimal up to 128 bits
    tx_hash        text NOT NULL,
    refusal_code   text,
    first_position bigint NOT NULL,
    position       bigint NOT NULL,
    PRIMARY KEY (tenant, id)
);
