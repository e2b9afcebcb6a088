-- Sources whose events are recorded without effect, because a person said so, and what waits for that.
--
-- The index reads the ledger once, some seconds for a million events; on Postgres nobody writes to it
-- meanwhile. It stays empty until a source is paused.

CREATE TABLE source_pauses (
    source     text        COLLATE "C" NOT NULL PRIMARY KEY,
    paused_at  timestamptz NOT NULL,
    operator   text        NOT NULL,
    reason     text        NOT NULL,
    resumed_at timestamptz   -- NULL: it is paused; since then what was parked goes back
);

CREATE INDEX events_parked ON events (source, received_at)
    WHERE state = 'queued' AND outcome = 'paused';
