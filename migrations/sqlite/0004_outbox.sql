-- What Clerk's metadata shall be, for each user with payment facts. A desired state, not a history.

CREATE TABLE outbox (
    user_id         TEXT    NOT NULL PRIMARY KEY,
    state           TEXT    NOT NULL CHECK (state IN
        ('pending', 'delivered', 'user_gone', 'parked')),
    desired         TEXT    NOT NULL CHECK (json_valid(desired)),
    delivered       TEXT,              -- what Clerk last confirmed; NULL while that is uncertain
    failures        INTEGER NOT NULL CHECK (failures >= 0),
    lease           INTEGER NOT NULL,  -- grows with each lease
    leased_until    TEXT,
    next_attempt_at TEXT,
    last_error      TEXT,
    updated_at      TEXT    NOT NULL,
    CHECK ((state = 'pending') = (next_attempt_at IS NOT NULL))
) STRICT;

CREATE INDEX outbox_due ON outbox (next_attempt_at) WHERE state = 'pending';

CREATE TABLE outbox_attempts (
    user_id TEXT NOT NULL,
    at      TEXT NOT NULL,
    desired TEXT NOT NULL,
    outcome TEXT NOT NULL,
    error   TEXT
) STRICT;

CREATE INDEX outbox_attempts_by_user ON outbox_attempts (user_id, at);
