-- The embedded queue. Rows are events that are acknowledged to the provider and not applied yet.

CREATE TABLE messages (
    seq         INTEGER PRIMARY KEY,  -- order of arrival
    source      TEXT    NOT NULL,
    event_id    TEXT    NOT NULL,
    event_type  TEXT    NOT NULL,
    received_at INTEGER NOT NULL,     -- milliseconds since the Unix epoch
    trigger     TEXT    NOT NULL,
    body        BLOB    NOT NULL      -- exactly the bytes whose signature was checked
) STRICT;

-- Written by readiness checks, to prove the path that events take.
CREATE TABLE readiness (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    checks INTEGER NOT NULL
) STRICT;

INSERT INTO readiness (id, checks) VALUES (1, 0);
