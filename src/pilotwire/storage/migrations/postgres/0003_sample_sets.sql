-- Samples as SQLite's writer keeps them (see there): a backup made on SQLite brings them. PostgreSQL's own writer puts
-- samples into the table `samples`.
CREATE TABLE sample_sets (
    slot    bigint NOT NULL,
    station bigint NOT NULL,
    time    bigint NOT NULL,
    n       bigint NOT NULL,
    session bigint NOT NULL,
    body    bytea NOT NULL,
    PRIMARY KEY (slot, station, time, n, session)
);
