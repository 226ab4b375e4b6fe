-- Tables of the read model `transactions`; see wallets.sql.
CREATE TABLE transactions (
    tenant               text COLLATE "C" NOT NULL,
    tx_hash              text COLLATE "C" NOT NULL,
    request_id           uuid NOT NULL,
    wallet               text NOT NULL,
    status               text NOT NULL CHECK (status IN ('signed', 'confirmed', 'faulted', 'expired')),
    valid_until_block    bigint NOT NULL,
    block_index          bigint,
    gas_consumed_datoshi text, -- a decimal up to 64 bits
    reason               text,
    first_position       bigint NOT NULL,
    position             bigint NOT NULL,
    PRIMARY KEY (tenant, tx_hash)
);
