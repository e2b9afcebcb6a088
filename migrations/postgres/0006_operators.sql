-- What people do by hand, and room in the outbox for what they give up on.

CREATE TABLE operator_actions (
    id       bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at       timestamptz NOT NULL,
    operator text        NOT NULL,
    action   text        NOT NULL,      -- as the command is called
    reason   text,
    target   jsonb       NOT NULL,
    matched  bigint      NOT NULL CHECK (matched >= 0),
    changed  bigint      NOT NULL CHECK (changed BETWEEN 0 AND matched),
    dry_run  boolean     NOT NULL,
    CHECK (dry_run OR reason IS NOT NULL),
    CHECK (NOT dry_run OR changed = 0)
);

ALTER TABLE outbox DROP CONSTRAINT outbox_state_check;
ALTER TABLE outbox ADD CONSTRAINT outbox_state_check CHECK (state IN
    ('pending', 'delivered', 'user_gone', 'parked', 'discarded'));

-- Since when `desired` is that. The default is for a process of the version before this one.
ALTER TABLE outbox ADD COLUMN desired_at timestamptz NOT NULL DEFAULT now();
UPDATE outbox SET desired_at = updated_at;

CREATE INDEX outbox_by_state ON outbox (state, desired_at);
