-- What sessions are searched and sorted by, in narrow rows: a page of any question is found here, then the few bodies are
-- read. Written when one of these changes (a session begins, ends, or is mended later), never with a meter value.
-- ended_at and energy_wh are NULL while it is active; token is in lower case; flags are ",one,two,".
CREATE TABLE session_list (
    n          bigint PRIMARY KEY,
    tenant     text COLLATE "C" NOT NULL,
    station    bigint NOT NULL,
    started_at bigint NOT NULL,
    ended_at   bigint,
    energy_wh  bigint,
    token      text COLLATE "C" NOT NULL,
    reason     text COLLATE "C" NOT NULL,
    flags      text COLLATE "C" NOT NULL
);
INSERT INTO session_list (n, tenant, station, started_at, ended_at, energy_wh, token, reason, flags)
SELECT n, tenant, station, started_at,
       CASE WHEN status = 'active' THEN NULL
            ELSE coalesce((body ->> 'ended_at')::bigint, (body ->> 'updated_at')::bigint, started_at) END,
       CASE WHEN status = 'active' THEN NULL ELSE coalesce((body ->> 'energy_wh')::bigint, 0) END,
       lower(coalesce(body ->> 'token', '')),
       coalesce(body ->> 'stop_reason', ''),
       coalesce((SELECT ',' || string_agg(value, ',') || ',' FROM jsonb_array_elements_text(body -> 'flags') AS value), '')
FROM (SELECT n, tenant, station, started_at, status,
             replace(convert_from(body, 'UTF8'), '\u0000', '\u2400')::jsonb AS body FROM sessions) AS old;
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
