-- Events that somebody has had processed again. Two new tables: costs nothing.

CREATE TABLE replays (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used twice
    created_at    TEXT    NOT NULL,
    operator      TEXT    NOT NULL,
    reason        TEXT    NOT NULL,
    filter        TEXT    NOT NULL CHECK (json_valid(filter)),
    at_most       INTEGER,              -- the limit that was asked for
    rate          INTEGER NOT NULL CHECK (rate BETWEEN 1 AND 1000),  -- events in a second
    paced_until   TEXT    NOT NULL,     -- what was leased so far fills the time until then
    total         INTEGER NOT NULL CHECK (total >= 0),
    state         TEXT    NOT NULL CHECK (state IN ('running', 'done', 'cancelled')),
    cancelled     INTEGER NOT NULL DEFAULT 0 CHECK (cancelled BETWEEN 0 AND total),
    cancelled_by  TEXT,
    cancel_reason TEXT,
    finished_at   TEXT,
    CHECK ((state = 'running') = (finished_at IS NULL)),
    CHECK ((state = 'cancelled') = (cancelled_by IS NOT NULL AND cancel_reason IS NOT NULL))
) STRICT;

CREATE INDEX replays_running ON replays (id) WHERE state = 'running';

-- No foreign key to `events`: what happened stays known if the ledger is ever thinned out.
CREATE TABLE replay_events (
    replay_id    INTEGER NOT NULL REFERENCES replays (id) ON DELETE CASCADE,
    position     INTEGER NOT NULL CHECK (position >= 1),
    source       TEXT    NOT NULL,
    event_id     TEXT    NOT NULL,
    subject      TEXT,
    follows      INTEGER,             -- the position of the event about the same subject before it
    state        TEXT    NOT NULL CHECK (state IN
        ('held', 'pending', 'queued', 'done', 'cancelled')),
    leased_until TEXT,                -- queued: when it is put onto the queue again, if nothing moves
    outcome      TEXT,
    state_after  TEXT,                -- of the event
    error        TEXT,
    fingerprint  TEXT,
    settled_at   TEXT,
    PRIMARY KEY (replay_id, position),
    CHECK (state <> 'held' OR follows IS NOT NULL),
    CHECK ((state = 'done') = (settled_at IS NOT NULL AND outcome IS NOT NULL))
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX replay_events_by_event ON replay_events (source, event_id, replay_id);
CREATE INDEX replay_events_open ON replay_events (replay_id, state, position)
    WHERE state IN ('held', 'pending', 'queued');
CREATE INDEX replay_events_held ON replay_events (replay_id, follows) WHERE state = 'held';
CREATE INDEX replay_events_settled ON replay_events (replay_id, settled_at) WHERE state = 'done';
