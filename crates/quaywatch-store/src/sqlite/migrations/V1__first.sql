-- Times are microseconds since 1970 UTC unless a name says otherwise. Enumerations are the numbers of their Rust types.
-- Owned tables begin their unique keys with the account. Tables with blobs have row ids: in a table without, a large
-- row spills into pages of its own.

CREATE TABLE account (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT    NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
) STRICT;
INSERT INTO account (id, name, created_at) VALUES (1, 'default', 0);

-- Numbers that only grow: the next id of each kind, and the time of the last commit that is no longer in the log.
CREATE TABLE meta (
    key   TEXT    PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO meta (key, value) VALUES ('next_monitor', 1), ('next_channel', 1), ('next_location', 1);

CREATE TABLE location (
    id         INTEGER PRIMARY KEY,
    account_id INTEGER NOT NULL REFERENCES account,
    name       TEXT    NOT NULL,
    UNIQUE (account_id, name)
) STRICT;
INSERT INTO location (id, account_id, name) VALUES (0, 1, 'local');

-- key = shard:6 | id div 64:26, so that a shard is one range. Rows with removed_at are in the bin.
CREATE TABLE monitor (
    key          INTEGER PRIMARY KEY,
    account_id   INTEGER NOT NULL REFERENCES account,
    owner        TEXT    NOT NULL,
    resource_key TEXT    NOT NULL,
    name         TEXT    NOT NULL,
    revision     INTEGER NOT NULL,
    spec         TEXT    NOT NULL,
    paused       INTEGER NOT NULL DEFAULT 0,
    created_at   INTEGER NOT NULL,
    revised_at   INTEGER NOT NULL,
    revised_by   TEXT    NOT NULL,
    removed_at   INTEGER,
    UNIQUE (account_id, resource_key, owner)
) STRICT;
CREATE INDEX monitor_name ON monitor (account_id, name);
CREATE INDEX monitor_bin ON monitor (removed_at) WHERE removed_at IS NOT NULL;

-- Revisions that were replaced; the one in force stands in the monitor's own row.
CREATE TABLE monitor_revision (
    id         INTEGER PRIMARY KEY,
    account_id INTEGER NOT NULL,
    monitor_id INTEGER NOT NULL,
    revision   INTEGER NOT NULL,
    spec       TEXT    NOT NULL,
    revised_at INTEGER NOT NULL,
    revised_by TEXT    NOT NULL,
    UNIQUE (account_id, monitor_id, revision)
) STRICT;

CREATE TABLE channel (
    id           INTEGER PRIMARY KEY,
    account_id   INTEGER NOT NULL REFERENCES account,
    owner        TEXT    NOT NULL,
    resource_key TEXT    NOT NULL,
    name         TEXT    NOT NULL,
    kind         TEXT    NOT NULL,
    settings     TEXT    NOT NULL,
    revision     INTEGER NOT NULL,
    revised_at   INTEGER NOT NULL,
    revised_by   TEXT    NOT NULL,
    removed_at   INTEGER,
    UNIQUE (account_id, resource_key, owner)
) STRICT;
CREATE UNIQUE INDEX channel_name ON channel (account_id, name) WHERE removed_at IS NULL;

CREATE TABLE change (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    at         INTEGER NOT NULL,
    account_id INTEGER NOT NULL,
    kind       TEXT    NOT NULL,
    id         INTEGER NOT NULL,
    op         TEXT    NOT NULL
) STRICT;

CREATE TABLE audit (
    id         INTEGER PRIMARY KEY,
    at         INTEGER NOT NULL,
    account_id INTEGER NOT NULL,
    actor      TEXT    NOT NULL,
    action     TEXT    NOT NULL,
    detail     TEXT    NOT NULL
) STRICT;

CREATE TABLE config (
    id          INTEGER PRIMARY KEY CHECK (id = 1),
    text        TEXT    NOT NULL,
    hash        TEXT    NOT NULL,
    accepted_at INTEGER NOT NULL
) STRICT;

CREATE TABLE fence (
    shard INTEGER PRIMARY KEY,
    fence INTEGER NOT NULL
) STRICT;

CREATE TABLE inbox (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    shard       INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    payload     BLOB    NOT NULL
) STRICT;
CREATE INDEX inbox_shard ON inbox (shard, id);

-- key as in monitor.
CREATE TABLE judge_state (
    key    INTEGER PRIMARY KEY,
    status INTEGER NOT NULL,
    since  INTEGER NOT NULL,
    code   INTEGER NOT NULL,
    state  BLOB    NOT NULL
) STRICT;

CREATE TABLE input (
    seq        INTEGER PRIMARY KEY,
    account_id INTEGER NOT NULL,
    monitor_id INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    kind       TEXT    NOT NULL,
    detail     TEXT    NOT NULL,
    UNIQUE (account_id, monitor_id, at, kind, detail)
) STRICT;

-- Results: a row a commit, then a row a shard and minute, then a row a monitor, location and hour, then one a day.
CREATE TABLE log (
    id   INTEGER PRIMARY KEY,
    at   INTEGER NOT NULL,
    data BLOB    NOT NULL
) STRICT;
-- id = hour:20 | shard:6 | sequence:16
CREATE TABLE chunk (
    id   INTEGER PRIMARY KEY,
    data BLOB    NOT NULL
) STRICT;
-- id = hour (or day):20 | shard:6 | monitor div 64:26 | location:11
CREATE TABLE block (
    id   INTEGER PRIMARY KEY,
    data BLOB    NOT NULL
) STRICT;
CREATE TABLE day_raw (
    id   INTEGER PRIMARY KEY,
    data BLOB    NOT NULL
) STRICT;
CREATE TABLE day_hours (
    id   INTEGER PRIMARY KEY,
    data BLOB    NOT NULL
) STRICT;
CREATE TABLE day_total (
    id   INTEGER PRIMARY KEY,
    data BLOB    NOT NULL
) STRICT;

CREATE TABLE interval (
    id          INTEGER PRIMARY KEY,
    account_id  INTEGER NOT NULL,
    monitor_id  INTEGER NOT NULL,
    from_at     INTEGER NOT NULL,
    to_at       INTEGER,
    status      INTEGER NOT NULL,
    code        INTEGER NOT NULL,
    incident_id BLOB,
    UNIQUE (account_id, monitor_id, from_at)
) STRICT;
CREATE INDEX interval_open ON interval (monitor_id) WHERE to_at IS NULL;

CREATE TABLE blind (
    location_id INTEGER NOT NULL,
    from_at     INTEGER NOT NULL,
    to_at       INTEGER,
    code        INTEGER NOT NULL,
    PRIMARY KEY (location_id, from_at)
) STRICT, WITHOUT ROWID;

CREATE TABLE incident (
    row           INTEGER PRIMARY KEY,
    account_id    INTEGER NOT NULL,
    id            BLOB    NOT NULL,
    monitor_id    INTEGER NOT NULL,
    ordinal       INTEGER NOT NULL,
    severity      INTEGER NOT NULL,
    opening_code  INTEGER NOT NULL,
    code          INTEGER NOT NULL,
    started_at    INTEGER NOT NULL,
    confirmed_at  INTEGER NOT NULL,
    ended_at      INTEGER,
    close_reason  INTEGER,
    failed_checks INTEGER NOT NULL,
    next_sequence INTEGER NOT NULL,
    judge_version INTEGER NOT NULL,
    UNIQUE (account_id, id)
) STRICT;
CREATE INDEX incident_id ON incident (id);
CREATE INDEX incident_monitor ON incident (account_id, monitor_id, started_at);
CREATE INDEX incident_started ON incident (account_id, started_at);
CREATE INDEX incident_open ON incident (monitor_id & 63) WHERE ended_at IS NULL;

CREATE TABLE incident_event (
    id          INTEGER PRIMARY KEY,
    account_id  INTEGER NOT NULL,
    incident_id BLOB    NOT NULL,
    sequence    INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    kind        TEXT    NOT NULL,
    snapshot    TEXT    NOT NULL,
    UNIQUE (account_id, incident_id, sequence)
) STRICT;

CREATE TABLE evidence (
    id          INTEGER PRIMARY KEY,
    account_id  INTEGER NOT NULL,
    monitor_id  INTEGER NOT NULL,
    slot        INTEGER NOT NULL,
    location_id INTEGER NOT NULL,
    code        INTEGER NOT NULL,
    incident_id BLOB,
    evidence    TEXT    NOT NULL,
    UNIQUE (account_id, monitor_id, slot, location_id)
) STRICT;

CREATE TABLE outbox (
    id          INTEGER PRIMARY KEY,
    account_id  INTEGER NOT NULL,
    incident_id BLOB    NOT NULL,
    sequence    INTEGER NOT NULL,
    channel_id  INTEGER NOT NULL,
    state       INTEGER NOT NULL,
    attempts    INTEGER NOT NULL,
    due         INTEGER NOT NULL,
    queued_at   INTEGER NOT NULL,
    remote_id   TEXT,
    UNIQUE (account_id, incident_id, sequence, channel_id)
) STRICT;
CREATE INDEX outbox_queued ON outbox (channel_id & 63, id) WHERE state = 0;

CREATE TABLE delivery_attempt (
    id          INTEGER PRIMARY KEY,
    account_id  INTEGER NOT NULL,
    incident_id BLOB    NOT NULL,
    sequence    INTEGER NOT NULL,
    channel_id  INTEGER NOT NULL,
    attempt     INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    class       TEXT    NOT NULL,
    answer      TEXT    NOT NULL,
    took_us     INTEGER NOT NULL,
    UNIQUE (account_id, incident_id, sequence, channel_id, attempt)
) STRICT;
