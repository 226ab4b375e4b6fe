-- Tables of the read model `prices`; see wallets.sql.
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
