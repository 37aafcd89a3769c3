-- What people make and what the desk remembers, by tenant and kind: sites, groups, drivers, webhooks, alarms, audit …
-- `sort` orders a kind (a time, a name); `version` rises with every change and is what If-Match is compared with.
CREATE TABLE documents (
    tenant  TEXT NOT NULL,
    kind    TEXT NOT NULL,
    id      TEXT NOT NULL,
    version INTEGER NOT NULL,
    sort    TEXT NOT NULL,
    body    BLOB NOT NULL,
    PRIMARY KEY (tenant, kind, id)
) WITHOUT ROWID;
CREATE INDEX documents_by_sort ON documents (tenant, kind, sort, id);
