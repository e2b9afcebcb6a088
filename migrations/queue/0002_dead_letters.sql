-- What the queue has given up on, and what it remembers in order to give up on it.

CREATE TABLE dead_letters (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used twice
    source      TEXT    NOT NULL,
    event_id    TEXT    NOT NULL,
    event_type  TEXT    NOT NULL,
    received_at INTEGER NOT NULL,
    trigger     TEXT    NOT NULL,
    body        BLOB    NOT NULL,
    unreadable  TEXT                                -- what is wrong with the row; NULL: handed out too often
) STRICT;

-- Messages that were handed out with caution, and how often. Rows whose message is gone mean nothing; the next
-- opening removes them.
CREATE TABLE suspects (
    seq        INTEGER PRIMARY KEY,
    deliveries INTEGER NOT NULL
) STRICT;

CREATE TABLE openings (
    id           INTEGER PRIMARY KEY CHECK (id = 1),
    open         INTEGER NOT NULL,  -- 1 from an opening to its orderly end
    unclean_ends INTEGER NOT NULL   -- how many openings in a row had no orderly end
) STRICT;

INSERT INTO openings (id, open, unclean_ends) VALUES (1, 0, 0);
