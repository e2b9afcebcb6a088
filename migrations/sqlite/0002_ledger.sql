-- Every accepted event and what became of it. A row commits together with its effect.

CREATE TABLE events (
    source          TEXT    NOT NULL,
    event_id        TEXT    NOT NULL,
    event_type      TEXT    NOT NULL,
    subject         TEXT,               -- user_…, cs_…: what the event is about
    state           TEXT    NOT NULL CHECK (state IN
        ('queued', 'applied', 'ignored', 'waiting', 'retrying', 'failed', 'discarded')),
    outcome         TEXT    NOT NULL,
    deliveries      INTEGER NOT NULL CHECK (deliveries >= 0),
    attempts        INTEGER NOT NULL CHECK (attempts >= 0),
    last_error      TEXT,
    fingerprint     TEXT,
    received_at     TEXT    NOT NULL,
    applied_at      TEXT,
    next_attempt_at TEXT,
    payload         BLOB,               -- the exact bytes; NULL where they must not be kept
    PRIMARY KEY (source, event_id),
    CHECK (state <> 'applied' OR applied_at IS NOT NULL),
    CHECK ((state = 'retrying') = (next_attempt_at IS NOT NULL)),
    CHECK (state <> 'failed' OR (last_error IS NOT NULL AND fingerprint IS NOT NULL))
) STRICT;

CREATE INDEX events_by_arrival ON events (received_at);
CREATE INDEX events_by_subject ON events (subject, received_at) WHERE subject IS NOT NULL;
CREATE INDEX events_open ON events (state, received_at)
    WHERE state IN ('queued', 'waiting', 'retrying', 'failed', 'discarded');

-- Attempts that did not simply succeed at once.
CREATE TABLE event_attempts (
    source   TEXT    NOT NULL,
    event_id TEXT    NOT NULL,
    attempt  INTEGER NOT NULL CHECK (attempt >= 1),
    at       TEXT    NOT NULL,
    trigger  TEXT    NOT NULL,
    state    TEXT    NOT NULL,
    outcome  TEXT    NOT NULL,
    error    TEXT,
    PRIMARY KEY (source, event_id, attempt),
    FOREIGN KEY (source, event_id) REFERENCES events (source, event_id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
