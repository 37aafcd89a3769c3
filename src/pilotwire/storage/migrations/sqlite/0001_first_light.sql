-- Everything about a station begins with its number, which stands for (tenant, id): an integer keeps the keys that are
-- written with every message short and the rows of one station together.

CREATE TABLE station_numbers (
    n      INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    id     TEXT NOT NULL,
    UNIQUE (tenant, id)
);

CREATE TABLE session_numbers (
    n      INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    id     TEXT NOT NULL,
    UNIQUE (tenant, id)
);

CREATE TABLE streams (
    n    INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);

-- The journal. Key (stream, seq), packed: id = stream number << 40 | seq, so that appending stays at the right edge of
-- one b-tree and needs no second index for its key.
CREATE TABLE journal (
    id        INTEGER PRIMARY KEY,
    station   INTEGER NOT NULL,
    recv_time INTEGER NOT NULL,
    epoch     INTEGER NOT NULL,
    direction INTEGER NOT NULL,
    frame     BLOB NOT NULL,
    facts     BLOB NOT NULL,
    crc       INTEGER NOT NULL
);
CREATE INDEX journal_by_station ON journal (station, id);

-- Projections: folds over the journal's facts, rebuilt from it at any time.
CREATE TABLE stations (
    station INTEGER PRIMARY KEY,
    body    BLOB NOT NULL
);

CREATE TABLE sessions (
    n          INTEGER PRIMARY KEY,
    tenant     TEXT NOT NULL,
    id         TEXT NOT NULL,
    station    INTEGER NOT NULL,
    txn        TEXT NOT NULL,
    start_key  TEXT NOT NULL,
    status     TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    body       BLOB NOT NULL
);
CREATE INDEX sessions_by_start ON sessions (tenant, started_at, id);
CREATE INDEX sessions_by_status ON sessions (tenant, status, started_at, id);
CREATE INDEX sessions_by_station ON sessions (station, started_at, id);
CREATE INDEX sessions_by_txn ON sessions (station, txn);
CREATE INDEX sessions_by_start_key ON sessions (station, start_key) WHERE start_key <> '';

CREATE TABLE commands (
    tenant       TEXT NOT NULL,
    id           TEXT NOT NULL,
    station      INTEGER NOT NULL,
    requested_at INTEGER NOT NULL,
    pending      INTEGER NOT NULL,
    body         BLOB NOT NULL,
    PRIMARY KEY (tenant, id)
) WITHOUT ROWID;
CREATE INDEX commands_by_station ON commands (station, requested_at, id);
CREATE INDEX commands_pending ON commands (station, requested_at, id) WHERE pending = 1;

CREATE TABLE variables (
    station INTEGER NOT NULL,
    name    TEXT NOT NULL,
    body    BLOB NOT NULL,
    PRIMARY KEY (station, name)
) WITHOUT ROWID;

-- Samples: one narrow row each. `series` names all but time and value; a message's rows lie side by side.
CREATE TABLE series (
    n         INTEGER PRIMARY KEY,
    evse      INTEGER NOT NULL,
    connector INTEGER NOT NULL,
    measurand TEXT NOT NULL,
    phase     TEXT NOT NULL,
    location  TEXT NOT NULL,
    context   TEXT NOT NULL,
    unit      TEXT NOT NULL,
    UNIQUE (evse, connector, measurand, phase, location, context, unit)
);

CREATE TABLE samples (
    station INTEGER NOT NULL,
    time    INTEGER NOT NULL,
    series  INTEGER NOT NULL,
    value   INTEGER NOT NULL,
    session INTEGER NOT NULL,
    PRIMARY KEY (station, time, series)
) WITHOUT ROWID;

-- Which hours hold samples of a session: finds them, hot or in a Parquet day, whatever the station's clock said.
CREATE TABLE session_hours (
    session INTEGER NOT NULL,
    hour    INTEGER NOT NULL,
    station INTEGER NOT NULL,
    PRIMARY KEY (session, hour)
) WITHOUT ROWID;

-- Settings that people make.
CREATE TABLE accounts (tenant TEXT NOT NULL, id TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (tenant, id)) WITHOUT ROWID;
CREATE TABLE tokens (tenant TEXT NOT NULL, id TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (tenant, id)) WITHOUT ROWID;
CREATE TABLE users (tenant TEXT NOT NULL, id TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (tenant, id)) WITHOUT ROWID;
CREATE TABLE api_keys (tenant TEXT NOT NULL, id TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (tenant, id)) WITHOUT ROWID;
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
