-- What finds events again, and failures grouped by what they have in common.
--
-- Reads the ledger three times: some seconds for each million of events, during which nothing can be
-- written to it.

-- Distinct states, sources and types are few: a listing takes the newest of each that is wanted.
-- Replaces events_open, which has the states that are not final only.
CREATE INDEX events_by_kind ON events (state, source, event_type, received_at);
DROP INDEX events_open;

-- The same of events whose payload is not kept: what is counted here cannot be replayed.
CREATE INDEX events_without_payload ON events (state, source, event_type, received_at)
    WHERE payload IS NULL;

-- Only events whose last attempt failed: what succeeds costs nothing here.
CREATE INDEX events_by_fingerprint ON events (fingerprint, received_at, state, source, event_type)
    WHERE fingerprint IS NOT NULL;

-- From a user to the customers who name it.
CREATE INDEX customers_by_user ON customers (named_user_id);

CREATE TABLE failures (
    fingerprint     text        COLLATE "C" NOT NULL PRIMARY KEY,
    kind            text        NOT NULL,
    event_type      text        COLLATE "C" NOT NULL,
    first_seen      timestamptz NOT NULL,
    last_seen       timestamptz NOT NULL,
    occurrences     bigint      NOT NULL CHECK (occurrences >= 1),  -- attempts that failed like this
    source          text        COLLATE "C" NOT NULL,  -- the event that failed like this last
    event_id        text        COLLATE "C" NOT NULL,
    last_error      text        NOT NULL,
    state           text        COLLATE "C" NOT NULL CHECK (state IN
        ('open', 'acknowledged', 'resolved')),
    state_at        timestamptz,        -- what a person decided last: when, who and why
    state_by        text,
    state_reason    text,
    reopened_at     timestamptz,        -- when it last failed again after it was resolved
    CHECK ((state_at IS NULL) = (state_by IS NULL)),
    CHECK ((state_at IS NULL) = (state_reason IS NULL)),
    CHECK (state = 'open' OR state_at IS NOT NULL)
);

-- What failed before: when the events were received has to do for when they failed.
INSERT INTO failures (fingerprint, kind, event_type, first_seen, last_seen, occurrences, source,
    event_id, last_error, state)
SELECT fingerprint, outcome, event_type, first_seen, received_at, occurrences, source, event_id,
       last_error, 'open'
FROM (
    SELECT fingerprint, outcome, event_type, received_at, source, event_id, last_error,
           MIN(received_at) OVER every AS first_seen,
           (SUM(GREATEST(attempts, 1)) OVER every)::bigint AS occurrences,
           ROW_NUMBER() OVER (PARTITION BY fingerprint
               ORDER BY received_at DESC, source, event_id) AS place
    FROM events
    WHERE fingerprint IS NOT NULL AND last_error IS NOT NULL
    WINDOW every AS (PARTITION BY fingerprint)
) AS failed
WHERE place = 1;
