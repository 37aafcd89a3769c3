-- The samples of one message and one time in one row, in order of time first: what comes now lies side by side whichever
-- station it is of, and a group of messages fills a few pages instead of touching one page per station. `slot` counts
-- quarters of a minute since 1970; n is the journal's id, so that of two with one key the first is known. `body`
-- is a JSON list: numbers of series, then as many values. SQLite's writer puts new samples here; those in the table
-- `samples` stay where they are until they are rolled off.
CREATE TABLE sample_sets (
    slot    INTEGER NOT NULL,
    station INTEGER NOT NULL,
    time    INTEGER NOT NULL,
    n       INTEGER NOT NULL,
    session INTEGER NOT NULL,
    body    BLOB NOT NULL,
    PRIMARY KEY (slot, station, time, n, session)
) WITHOUT ROWID;
