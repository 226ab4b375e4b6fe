-- Tables of the read model `wallets`. A changed table is a new version of the read model. The schema is not named: each
-- build has one of its own. Ids are text in byte order ("C"), so that pages continue in the order in which they compare.
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
