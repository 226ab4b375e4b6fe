-- The read models. Nothing here is truth: drop the schema and everything is built again from the log.
-- The schema is not named: the same tables are made in `read` and, for a rebuild, in `read_rebuild`.
-- Ids are text in byte order ("C"), so that pages continue in the order in which they are compared.

-- How far each follower of the log is; written in the transaction of its rows.
CREATE TABLE checkpoints (
    follower   text PRIMARY KEY,
    position   bigint NOT NULL DEFAULT 0 CHECK (position >= 0),
    generation bigint NOT NULL DEFAULT 0, -- counts rebuilds: whoever follows begins anew when it changes
    error      text                       -- why it stopped
);

CREATE TABLE wallets (
    tenant     text COLLATE "C" NOT NULL,
    id         text COLLATE "C" NOT NULL,
    status     text NOT NULL CHECK (status IN ('creating', 'open', 'refused')),
    address    text,
    public_key text,
    policy     jsonb NOT NULL,
    version    bigint NOT NULL,
    request_id uuid NOT NULL,
    position   bigint NOT NULL,
    PRIMARY KEY (tenant, id)
);

CREATE TABLE signing_requests (
    tenant         text COLLATE "C" NOT NULL,
    id             text COLLATE "C" NOT NULL,
    wallet         text NOT NULL,
    status         text NOT NULL CHECK (status IN ('requested', 'signed', 'refused')),
    asset          text NOT NULL,
    "to"           text NOT NULL,
    amount         text NOT NULL, -- a decimal up to 128 bits
    tx_hash        text NOT NULL,
    refusal_code   text,
    first_position bigint NOT NULL,
    position       bigint NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX signing_requests_newest ON signing_requests (tenant, first_position DESC);

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
CREATE UNIQUE INDEX transactions_newest ON transactions (tenant, first_position DESC);

CREATE TABLE price_feeds (
    tenant     text COLLATE "C" NOT NULL,
    pair       text COLLATE "C" NOT NULL,
    age_max_ms bigint NOT NULL,
    last_round bigint, -- none before the first
    position   bigint NOT NULL,
    PRIMARY KEY (tenant, pair)
);

CREATE TABLE price_rounds (
    tenant        text COLLATE "C" NOT NULL,
    event_id      text COLLATE "C" NOT NULL,
    pair          text COLLATE "C" NOT NULL,
    round         bigint NOT NULL,
    price_e8      text NOT NULL, -- a decimal up to 64 bits
    confidence_e8 text NOT NULL, -- a decimal up to 64 bits
    as_of_ms      bigint NOT NULL,
    sources       jsonb NOT NULL,
    position      bigint NOT NULL,
    PRIMARY KEY (tenant, event_id)
);
CREATE UNIQUE INDEX price_rounds_round ON price_rounds (tenant, pair, round);
CREATE UNIQUE INDEX price_rounds_position ON price_rounds (tenant, position);
