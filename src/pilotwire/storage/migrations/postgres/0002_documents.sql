-- What people make and what the desk remembers, by tenant and kind: sites, groups, drivers, webhooks, alarms, audit …
-- `sort` orders a kind (a time, a name); `version` rises with every change and is what If-Match is compared with.
CREATE TABLE documents (
    tenant  text COLLATE "C" NOT NULL,
    kind    text COLLATE "C" NOT NULL,
    id      text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    sort    text COLLATE "C" NOT NULL,
    body    bytea NOT NULL,
    PRIMARY KEY (tenant, kind, id)
);
CREATE INDEX documents_by_sort ON documents (tenant, kind, sort, id);
