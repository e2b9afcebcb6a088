-- What Clerk's metadata shall be, for each user with payment facts. A desired state, not a history.

CREATE TABLE outbox (
    user_id         text        COLLATE "C" NOT NULL PRIMARY KEY,
    state           text        COLLATE "C" NOT NULL CHECK (state IN
        ('pending', 'delivered', 'user_gone', 'parked')),
    desired         jsonb       NOT NULL,
    delivered       jsonb,               -- what Clerk last confirmed; NULL while that is uncertain
    failures        bigint      NOT NULL CHECK (failures >= 0),
    lease           bigint      NOT NULL,  -- grows with each lease
    leased_until    timestamptz,
    next_attempt_at timestamptz,
    last_error      text,
    updated_at      timestamptz NOT NULL,
    CHECK ((state = 'pending') = (next_attempt_at IS NOT NULL))
);

CREATE INDEX outbox_due ON outbox (next_attempt_at) WHERE state = 'pending';

CREATE TABLE outbox_attempts (
    user_id text        COLLATE "C" NOT NULL,
    at      timestamptz NOT NULL,
    desired jsonb       NOT NULL,
    outcome text        NOT NULL,
    error   text
);

CREATE INDEX outbox_attempts_by_user ON outbox_attempts (user_id, at);
