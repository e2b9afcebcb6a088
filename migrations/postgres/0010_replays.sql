-- Events that somebody has had processed again. Two new tables: costs nothing.

CREATE TABLE replays (
    id            bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,  -- never used twice
    created_at    timestamptz NOT NULL,
    operator      text        NOT NULL,
    reason        text        NOT NULL,
    filter        jsonb       NOT NULL,
    at_most       bigint,               -- the limit that was asked for
    rate          bigint      NOT NULL CHECK (rate BETWEEN 1 AND 1000),  -- events in a second
    paced_until   timestamptz NOT NULL, -- what was leased so far fills the time until then
    total         bigint      NOT NULL CHECK (total >= 0),
    state         text        COLLATE "C" NOT NULL CHECK (state IN ('running', 'done', 'cancelled')),
    cancelled     bigint      NOT NULL DEFAULT 0 CHECK (cancelled BETWEEN 0 AND total),
    cancelled_by  text,
    cancel_reason text,
    finished_at   timestamptz,
    CHECK ((state = 'running') = (finished_at IS NULL)),
    CHECK ((state = 'cancelled') = (cancelled_by IS NOT NULL AND cancel_reason IS NOT NULL))
);

CREATE INDEX replays_running ON replays (id) WHERE state = 'running';

-- No foreign key to `events`: what happened stays known if the ledger is ever thinned out.
CREATE TABLE replay_events (
    replay_id    bigint NOT NULL REFERENCES replays (id) ON DELETE CASCADE,
    position     bigint NOT NULL CHECK (position >= 1),
    source       text   COLLATE "C" NOT NULL,
    event_id     text   COLLATE "C" NOT NULL,
    subject      text   COLLATE "C",
    follows      bigint,              -- the position of the event about the same subject before it
    state        text   COLLATE "C" NOT NULL CHECK (state IN
        ('held', 'pending', 'queued', 'done', 'cancelled')),
    leased_until timestamptz,         -- queued: when it is put onto the queue again, if nothing moves
    outcome      text,
    state_after  text   COLLATE "C",  -- of the event
    error        text,
    fingerprint  text   COLLATE "C",
    settled_at   timestamptz,
    PRIMARY KEY (replay_id, position),
    CHECK (state <> 'held' OR follows IS NOT NULL),
    CHECK ((state = 'done') = (settled_at IS NOT NULL AND outcome IS NOT NULL))
);

CREATE UNIQUE INDEX replay_events_by_event ON replay_events (source, event_id, replay_id);
CREATE INDEX replay_events_open ON replay_events (replay_id, state, position)
    WHERE state IN ('held', 'pending', 'queued');
CREATE INDEX replay_events_held ON replay_events (replay_id, follows) WHERE state = 'held';
CREATE INDEX replay_events_settled ON replay_events (replay_id, settled_at) WHERE state = 'done';
