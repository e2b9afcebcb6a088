-- Every accepted event and what became of it. A row commits together with its effect.

CREATE TABLE events (
    source          text        COLLATE "C" NOT NULL,
    event_id        text        COLLATE "C" NOT NULL,
    event_type      text        COLLATE "C" NOT NULL,
    subject         text        COLLATE "C",  -- user_…, cs_…: what the event is about
    state           text        COLLATE "C" NOT NULL CHECK (state IN
        ('queued', 'applied', 'ignored', 'waiting', 'retrying', 'failed', 'discarded')),
    outcome         text        NOT NULL,
    deliveries      bigint      NOT NULL CHECK (deliveries >= 0),
    attempts        bigint      NOT NULL CHECK (attempts >= 0),
    last_error      text,
    fingerprint     text        COLLATE "C",
    received_at     timestamptz NOT NULL,
    applied_at      timestamptz,
    next_attempt_at timestamptz,
    payload         bytea,              -- the exact bytes; NULL where they must not be kept
    PRIMARY KEY (source, event_id),
    CHECK (state <> 'applied' OR applied_at IS NOT NULL),
    CHECK ((state = 'retrying') = (next_attempt_at IS NOT NULL)),
    CHECK (state <> 'failed' OR (last_error IS NOT NULL AND fingerprint IS NOT NULL))
);

CREATE INDEX events_by_arrival ON events (received_at);
CREATE INDEX events_by_subject ON events (subject, received_at) WHERE subject IS NOT NULL;
CREATE INDEX events_open ON events (state, received_at)
    WHERE state IN ('queued', 'waiting', 'retrying', 'failed', 'discarded');

-- Where the server was built with lz4 (Postgres 14 and later): the default costs far more time.
DO $$
BEGIN
    EXECUTE 'ALTER TABLE events ALTER COLUMN payload SET COMPRESSION lz4';
EXCEPTION WHEN feature_not_supported OR syntax_error THEN
    NULL;
END
$$;

-- Attempts that did not simply succeed at once.
CREATE TABLE event_attempts (
    source   text        COLLATE "C" NOT NULL,
    event_id text        COLLATE "C" NOT NULL,
    attempt  bigint      NOT NULL CHECK (attempt >= 1),
    at       timestamptz NOT NULL,
    trigger  text        NOT NULL,
    state    text        NOT NULL,
    outcome  text        NOT NULL,
    error    text,
    PRIMARY KEY (source, event_id, attempt),
    FOREIGN KEY (source, event_id) REFERENCES events (source, event_id) ON DELETE CASCADE
);
