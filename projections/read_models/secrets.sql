-- Tables of the read model `secrets`; see wallets.sql. What a secret is, encrypted or not, is in none of them.
CREATE TABLE secrets (
    tenant          text COLLATE "C" NOT NULL,
    id              text COLLATE "C" NOT NULL,
    status          text NOT NULL CHECK (status IN ('storing', 'stored', 'refused', 'destroyed')),
    version         bigint NOT NULL,
    policy          jsonb NOT NULL,
    readings        bigint NOT NULL,
    last_reading_id uuid,
    position        bigint NOT NULL,
    PRIMARY KEY (tenant, id)
);
