-- Sources whose events are recorded without effect, because a person said so, and what waits for that.
--
-- The index reads the ledger once, some seconds for a million events; on Postgres nobody writes to it
-- meanwhile. It stays empty until a source is paused.

CREATE TABLE source_pauses (
    source     TEXT NOT NULL PRIMARY KEY,
    paused_at  TEXT NOT NULL,
    operator   TEXT NOT NULL,
    reason     TEXT NOT NULL,
    resumed_at TEXT   -- NULL: it is paused; since then what was parked goes back
) STRICT;

CREATE INDEX events_parked ON events (source, received_at)
    WHERE state = 'queued' AND outcome = 'paused';
