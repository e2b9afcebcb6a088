-- What people do by hand, and room in the outbox for what they give up on.

CREATE TABLE operator_actions (
    id       INTEGER NOT NULL PRIMARY KEY,
    at       TEXT    NOT NULL,
    operator TEXT    NOT NULL,
    action   TEXT    NOT NULL,          -- as the command is called
    reason   TEXT,
    target   TEXT    NOT NULL CHECK (json_valid(target)),
    matched  INTEGER NOT NULL CHECK (matched >= 0),
    changed  INTEGER NOT NULL CHECK (changed BETWEEN 0 AND matched),
    dry_run  INTEGER NOT NULL CHECK (dry_run IN (0, 1)),
    CHECK (dry_run OR reason IS NOT NULL),
    CHECK (NOT dry_run OR changed = 0)
) STRICT;

-- A check cannot be altered: the table is made anew.
CREATE TABLE outbox_with_discarded (
    user_id         TEXT    NOT NULL PRIMARY KEY,
    state           TEXT    NOT NULL CHECK (state IN
        ('pending', 'delivered', 'user_gone', 'parked', 'discarded')),
    desired         TEXT    NOT NULL CHECK (json_valid(desired)),
    delivered       TEXT,              -- what Clerk last confirmed; NULL while that is uncertain
    failures        INTEGER NOT NULL CHECK (failures >= 0),
    lease           INTEGER NOT NULL,  -- grows with each lease
    leased_until    TEXT,
    next_attempt_at TEXT,
    last_error      TEXT,
    updated_at      TEXT    NOT NULL,
    -- Since when `desired` is that. The default is for a process of the version before this one.
    desired_at      TEXT    NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    CHECK ((state = 'pending') = (next_attempt_at IS NOT NULL))
) STRICT;

INSERT INTO outbox_with_discarded
    (user_id, state, desired, desired_at, delivered, failures, lease, leased_until,
     next_attempt_at, last_error, updated_at)
SELECT user_id, state, desired, updated_at, delivered, failures, lease, leased_until,
       next_attempt_at, last_error, updated_at
FROM outbox;

DROP TABLE outbox;
ALTER TABLE outbox_with_discarded RENAME TO outbox;

CREATE INDEX outbox_due ON outbox (next_attempt_at) WHERE state = 'pending';
CREATE INDEX outbox_by_state ON outbox (state, desired_at);
