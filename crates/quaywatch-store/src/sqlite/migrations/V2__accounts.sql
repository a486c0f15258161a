-- People and programs who ask, what they did, and what makes long lists short to read. Hashes are SHA-256, 32 bytes;
-- what is called sealed opens only with the key that lies beside the database.

ALTER TABLE account ADD COLUMN plan TEXT NOT NULL DEFAULT '';
ALTER TABLE account ADD COLUMN settings TEXT NOT NULL DEFAULT '{}';

-- The key of a thing in the bin whose key was given to another meanwhile; its own is then one that nobody can write.
ALTER TABLE monitor ADD COLUMN removed_key TEXT;
ALTER TABLE channel ADD COLUMN removed_key TEXT;

-- People belong to the server; membership says what they may do where.
CREATE TABLE user (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    email          TEXT    NOT NULL,
    email_folded   TEXT    NOT NULL UNIQUE,
    name           TEXT    NOT NULL,
    password_hash  TEXT,
    totp_secret    BLOB,
    totp_last_step INTEGER NOT NULL DEFAULT 0,
    created_at     INTEGER NOT NULL,
    disabled_at    INTEGER
) STRICT;

CREATE TABLE member (
    account_id INTEGER NOT NULL REFERENCES account,
    user_id    INTEGER NOT NULL REFERENCES user ON DELETE CASCADE,
    role       TEXT    NOT NULL,
    since      INTEGER NOT NULL,
    PRIMARY KEY (account_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX member_user ON member (user_id);

CREATE TABLE recovery_code (
    id      INTEGER PRIMARY KEY,
    user_id INTEGER NOT NULL REFERENCES user ON DELETE CASCADE,
    hash    BLOB    NOT NULL,
    used_at INTEGER,
    UNIQUE (user_id, hash)
) STRICT;

-- credential is the library's own text: public key, counter, flags.
CREATE TABLE passkey (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id       INTEGER NOT NULL REFERENCES user ON DELETE CASCADE,
    credential_id BLOB    NOT NULL UNIQUE,
    credential    TEXT    NOT NULL,
    name          TEXT    NOT NULL,
    counter       INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    last_used_at  INTEGER
) STRICT;
CREATE INDEX passkey_user ON passkey (user_id);

CREATE TABLE external_identity (
    issuer    TEXT    NOT NULL,
    subject   TEXT    NOT NULL,
    user_id   INTEGER NOT NULL REFERENCES user ON DELETE CASCADE,
    linked_at INTEGER NOT NULL,
    PRIMARY KEY (issuer, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX external_identity_user ON external_identity (user_id);

-- account_id is null where the invitation opens an account of its own.
CREATE TABLE invitation (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id INTEGER REFERENCES account,
    email      TEXT    NOT NULL,
    role       TEXT    NOT NULL,
    hash       BLOB    NOT NULL UNIQUE,
    invited_by TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at    INTEGER
) STRICT;
CREATE INDEX invitation_account ON invitation (account_id);

CREATE TABLE setup_key (
    id         INTEGER PRIMARY KEY,
    hash       BLOB    NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at    INTEGER
) STRICT;

CREATE TABLE session (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    hash         BLOB    NOT NULL UNIQUE,
    user_id      INTEGER NOT NULL REFERENCES user ON DELETE CASCADE,
    account_id   INTEGER NOT NULL REFERENCES account,
    created_at   INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    address      TEXT    NOT NULL,
    agent        TEXT    NOT NULL
) STRICT;
CREATE INDEX session_user ON session (user_id);
CREATE INDEX session_expires ON session (expires_at);

-- prefix is the part that may be shown. Revoked tokens stay, for the audit log's sake.
CREATE TABLE token (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id   INTEGER NOT NULL REFERENCES account,
    name         TEXT    NOT NULL,
    prefix       TEXT    NOT NULL,
    hash         BLOB    NOT NULL UNIQUE,
    scopes       TEXT    NOT NULL,
    created_by   TEXT    NOT NULL,
    user_id      INTEGER REFERENCES user ON DELETE SET NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER,
    last_used_at INTEGER,
    last_address TEXT,
    revoked_at   INTEGER
) STRICT;
CREATE INDEX token_account ON token (account_id);
CREATE INDEX token_user ON token (user_id);

-- Answers to calls that may come a second time.
CREATE TABLE idempotency (
    id           INTEGER PRIMARY KEY,
    account_id   INTEGER NOT NULL,
    key          TEXT    NOT NULL,
    route        TEXT    NOT NULL,
    request_hash BLOB    NOT NULL,
    created_at   INTEGER NOT NULL,
    status       INTEGER,
    headers      TEXT    NOT NULL DEFAULT '',
    body         BLOB,
    UNIQUE (account_id, key, route)
) STRICT;
CREATE INDEX idempotency_created ON idempotency (created_at);

-- What was changed, by its kind and number, as it was and as it is since. No secret ever gets into it.
ALTER TABLE audit ADD COLUMN object_kind TEXT;
ALTER TABLE audit ADD COLUMN object_id INTEGER;
ALTER TABLE audit ADD COLUMN before TEXT;
ALTER TABLE audit ADD COLUMN after TEXT;
ALTER TABLE audit ADD COLUMN address TEXT;
ALTER TABLE audit ADD COLUMN request TEXT;
CREATE INDEX audit_account ON audit (account_id, id);
CREATE INDEX audit_object ON audit (account_id, object_kind, object_id, id) WHERE object_id IS NOT NULL;

ALTER TABLE incident ADD COLUMN acknowledged_at INTEGER;
ALTER TABLE incident ADD COLUMN acknowledged_by TEXT;

-- Who paused a monitor, until when and why; key as in monitor, whose paused says that it is.
CREATE TABLE pause (
    key        INTEGER PRIMARY KEY,
    until_at   INTEGER,
    reason     TEXT    NOT NULL,
    paused_at  INTEGER NOT NULL,
    paused_by  TEXT    NOT NULL
) STRICT;
CREATE INDEX pause_until ON pause (until_at) WHERE until_at IS NOT NULL;

-- The numbered stream of what is said of monitors. AUTOINCREMENT: a number is never used twice, also when the newest
-- rows are deleted.
CREATE TABLE transition (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id  INTEGER NOT NULL,
    monitor_id  INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    status      INTEGER NOT NULL,
    code        INTEGER NOT NULL,
    incident_id BLOB,
    UNIQUE (account_id, monitor_id, at, status)
) STRICT;
CREATE INDEX transition_account ON transition (account_id, id);

CREATE INDEX interval_account ON interval (account_id, from_at, monitor_id);

-- What lists of monitors are found by: one row a monitor that is not in the bin, made from monitor and judge_state and
-- made anew from them after every migration. key as in monitor: what one shard says lies together. text is the folded
-- name, a line break, the folded host. rank is the status, trouble first.
CREATE TABLE listed (
    account_id INTEGER NOT NULL,
    key        INTEGER NOT NULL,
    id         INTEGER NOT NULL,
    text       TEXT    NOT NULL,
    kind       TEXT    NOT NULL,
    host       TEXT    NOT NULL,
    port       INTEGER NOT NULL,
    grp        TEXT    NOT NULL,
    owner      TEXT    NOT NULL,
    enabled    INTEGER NOT NULL,
    paused     INTEGER NOT NULL,
    rank       INTEGER NOT NULL,
    since      INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (account_id, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX listed_id ON listed (account_id, id);
CREATE INDEX listed_text ON listed (account_id, text);
CREATE INDEX listed_host ON listed (account_id, host);
CREATE INDEX listed_group ON listed (account_id, grp);
CREATE INDEX listed_rank ON listed (account_id, rank);
CREATE INDEX listed_since ON listed (account_id, since);
CREATE INDEX listed_updated ON listed (account_id, updated_at);

-- kind: 0 a tag, 1 a channel (name only), 2 a location (name only).
CREATE TABLE label (
    account_id INTEGER NOT NULL,
    kind       INTEGER NOT NULL,
    name       TEXT    NOT NULL,
    value      TEXT    NOT NULL,
    id         INTEGER NOT NULL,
    PRIMARY KEY (account_id, kind, name, value, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX label_id ON label (id);

-- Parts of names and hosts, three letters at a time: finds few among many. Only of accounts with many monitors is it
-- asked.
CREATE VIRTUAL TABLE listed_parts USING fts5(
    text, content = '', contentless_delete = 1, tokenize = 'trigram', detail = 'none'
);

-- How many monitors of an account, and of a group, are what.
CREATE TABLE status_count (
    account_id INTEGER NOT NULL,
    rank       INTEGER NOT NULL,
    n          INTEGER NOT NULL,
    PRIMARY KEY (account_id, rank)
) STRICT, WITHOUT ROWID;
CREATE TABLE group_count (
    account_id INTEGER NOT NULL,
    grp        TEXT    NOT NULL,
    rank       INTEGER NOT NULL,
    n          INTEGER NOT NULL,
    PRIMARY KEY (account_id, grp, rank)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER listed_added AFTER INSERT ON listed BEGIN
    INSERT INTO status_count (account_id, rank, n) VALUES (NEW.account_id, NEW.rank, 1)
    ON CONFLICT (account_id, rank) DO UPDATE SET n = n + 1;
    INSERT INTO group_count (account_id, grp, rank, n) VALUES (NEW.account_id, NEW.grp, NEW.rank, 1)
    ON CONFLICT (account_id, grp, rank) DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER listed_moved AFTER UPDATE OF rank, grp ON listed WHEN OLD.rank != NEW.rank OR OLD.grp != NEW.grp BEGIN
    UPDATE status_count SET n = n - 1 WHERE account_id = OLD.account_id AND rank = OLD.rank;
    INSERT INTO status_count (account_id, rank, n) VALUES (NEW.account_id, NEW.rank, 1)
    ON CONFLICT (account_id, rank) DO UPDATE SET n = n + 1;
    UPDATE group_count SET n = n - 1 WHERE account_id = OLD.account_id AND grp = OLD.grp AND rank = OLD.rank;
    INSERT INTO group_count (account_id, grp, rank, n) VALUES (NEW.account_id, NEW.grp, NEW.rank, 1)
    ON CONFLICT (account_id, grp, rank) DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER listed_gone AFTER DELETE ON listed BEGIN
    UPDATE status_count SET n = n - 1 WHERE account_id = OLD.account_id AND rank = OLD.rank;
    UPDATE group_count SET n = n - 1 WHERE account_id = OLD.account_id AND grp = OLD.grp AND rank = OLD.rank;
END;
-- Groups that nobody is in any more are gone.
CREATE TRIGGER group_left AFTER UPDATE OF n ON group_count WHEN NEW.n = 0 BEGIN
    DELETE FROM group_count WHERE account_id = NEW.account_id AND grp = NEW.grp AND rank = NEW.rank;
END;

-- The numbers of statuses (0 pending, 1 up, 2 degraded, 3 down, 4 unknown, 5 blocked, 6 maintenance, 7 paused) as
-- ranks.
CREATE TABLE status_rank (
    status INTEGER PRIMARY KEY,
    rank   INTEGER NOT NULL UNIQUE
) STRICT;
INSERT INTO status_rank (status, rank)
VALUES (3, 0), (2, 1), (4, 2), (5, 3), (0, 4), (6, 5), (7, 6), (1, 7);

-- A paused monitor is listed as paused, whatever the judge said last.
CREATE TRIGGER state_made AFTER INSERT ON judge_state BEGIN
    UPDATE listed SET since = NEW.since,
        rank = CASE WHEN paused THEN 6 ELSE (SELECT rank FROM status_rank WHERE status = NEW.status) END
    WHERE account_id = (SELECT account_id FROM monitor WHERE key = NEW.key)
      AND key = NEW.key;
END;
CREATE TRIGGER state_changed AFTER UPDATE OF status, since ON judge_state
WHEN OLD.status != NEW.status OR OLD.since != NEW.since BEGIN
    UPDATE listed SET since = NEW.since,
        rank = CASE WHEN paused THEN 6 ELSE (SELECT rank FROM status_rank WHERE status = NEW.status) END
    WHERE account_id = (SELECT account_id FROM monitor WHERE key = NEW.key)
      AND key = NEW.key;
END;
CREATE TRIGGER state_gone AFTER DELETE ON judge_state BEGIN
    UPDATE listed SET rank = CASE WHEN paused THEN 6 ELSE 4 END
    WHERE account_id = (SELECT account_id FROM monitor WHERE key = OLD.key)
      AND key = OLD.key;
END;
