-- What sessions are searched and sorted by, in narrow rows: a page of any question is found here, then the few bodies are
-- read. Written when one of these changes (a session begins, ends, or is mended later), never with a meter value.
-- ended_at and energy_wh are NULL while it is active; token is in lower case; flags are ",one,two,".
CREATE TABLE session_list (
    n          INTEGER PRIMARY KEY,
    tenant     TEXT NOT NULL,
    station    INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at   INTEGER,
    energy_wh  INTEGER,
    token      TEXT NOT NULL,
    reason     TEXT NOT NULL,
    flags      TEXT NOT NULL
);
INSERT INTO session_list (n, tenant, station, started_at, ended_at, energy_wh, token, reason, flags)
SELECT n, tenant, station, started_at,
       CASE WHEN status = 'active' THEN NULL
            ELSE coalesce(json_extract(body, '$.ended_at'), json_extract(body, '$.updated_at'), started_at) END,
       CASE WHEN status = 'active' THEN NULL ELSE coalesce(json_extract(body, '$.energy_wh'), 0) END,
       lower(coalesce(json_extract(body, '$.token'), '')),
       coalesce(json_extract(body, '$.stop_reason'), ''),
       coalesce((SELECT ',' || group_concat(value, ',') || ',' FROM json_each(body, '$.flags')), '')
FROM (SELECT n, tenant, station, started_at, status, CAST(body AS TEXT) AS body FROM sessions);
CREATE INDEX session_list_by_start ON session_list (tenant, started_at, n);
CREATE INDEX session_list_by_station ON session_list (station, started_at, n);
CREATE INDEX session_list_by_token ON session_list (tenant, token, started_at, n) WHERE token <> '';
CREATE INDEX session_list_by_reason ON session_list (tenant, reason, started_at, n) WHERE reason <> '';
CREATE INDEX session_list_flagged ON session_list (tenant, started_at, n) WHERE flags <> '';
CREATE INDEX session_list_active ON session_list (tenant, started_at, n) WHERE ended_at IS NULL;
CREATE INDEX session_list_by_end ON session_list (tenant, ended_at, n, station, energy_wh) WHERE ended_at IS NOT NULL;
CREATE INDEX session_list_by_energy ON session_list (tenant, energy_wh, n) WHERE energy_wh IS NOT NULL;
DROP INDEX sessions_by_start;
DROP INDEX sessions_by_status;
