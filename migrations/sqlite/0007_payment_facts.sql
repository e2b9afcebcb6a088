-- The other payment facts, one row for each Stripe object, and what a person has decided about whose
-- a payment is.

ALTER TABLE checkout_sessions ADD COLUMN attributed_user_id TEXT;  -- whom a person has given it to
ALTER TABLE checkout_sessions ADD COLUMN attributed_at      TEXT;  -- and when

CREATE INDEX checkout_sessions_by_intent ON checkout_sessions (payment_intent)
    WHERE payment_intent IS NOT NULL;
CREATE INDEX checkout_sessions_by_subscription ON checkout_sessions (subscription)
    WHERE subscription IS NOT NULL;

ALTER TABLE entitlements ADD COLUMN rule TEXT;  -- which rule gave the verdict; NULL: an earlier version's

CREATE INDEX entitlements_to_derive_anew ON entitlements (user_id) WHERE rule IS NULL;

CREATE TABLE subscriptions (
    id                   TEXT    NOT NULL PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 255),
    user_id              TEXT,     -- whose it is: named, given, or known by its session or customer
    named_user_id        TEXT,     -- the user that the subscription itself names
    named_at             TEXT,     -- and since when
    attributed_user_id   TEXT,     -- whom a person has given it to
    attributed_at        TEXT,     -- and when
    customer             TEXT,
    status               TEXT    NOT NULL CHECK (status IN ('incomplete', 'trialing', 'paused',
        'active', 'past_due', 'unpaid', 'incomplete_expired', 'canceled')),
    cancel_at_period_end INTEGER NOT NULL CHECK (cancel_at_period_end IN (0, 1)),
    cancel_at            TEXT,
    current_period_end   TEXT,
    livemode             INTEGER NOT NULL CHECK (livemode IN (0, 1)),
    created_at           TEXT    NOT NULL,
    updated_at           TEXT    NOT NULL,
    CHECK ((named_user_id IS NULL) = (named_at IS NULL)),
    CHECK ((attributed_user_id IS NULL) = (attributed_at IS NULL))
) STRICT;

CREATE INDEX subscriptions_by_user ON subscriptions (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX subscriptions_by_customer ON subscriptions (customer) WHERE customer IS NOT NULL;
CREATE INDEX subscriptions_past_due ON subscriptions (user_id) WHERE status = 'past_due';

CREATE TABLE invoices (
    id             TEXT    NOT NULL PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 255),
    subscription   TEXT,
    payment_intent TEXT,
    billing_reason TEXT,
    status         TEXT    NOT NULL CHECK (status IN ('open', 'uncollectible', 'void', 'paid')),
    amount_paid    INTEGER,  -- in the currency's smallest unit
    currency       TEXT,
    livemode       INTEGER NOT NULL CHECK (livemode IN (0, 1)),
    created_at     TEXT    NOT NULL,
    updated_at     TEXT    NOT NULL
) STRICT;

CREATE INDEX invoices_by_subscription ON invoices (subscription) WHERE subscription IS NOT NULL;
CREATE INDEX invoices_by_intent ON invoices (payment_intent) WHERE payment_intent IS NOT NULL;

CREATE TABLE charges (
    id              TEXT    NOT NULL PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 255),
    payment_intent  TEXT,
    amount          INTEGER NOT NULL,
    amount_refunded INTEGER NOT NULL,
    currency        TEXT,
    livemode        INTEGER NOT NULL CHECK (livemode IN (0, 1)),
    created_at      TEXT    NOT NULL,
    updated_at      TEXT    NOT NULL
) STRICT;

CREATE INDEX charges_by_intent ON charges (payment_intent) WHERE payment_intent IS NOT NULL;

CREATE TABLE refunds (
    id             TEXT    NOT NULL PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 255),
    payment_intent TEXT,
    charge         TEXT,
    amount         INTEGER NOT NULL,
    currency       TEXT,
    status         TEXT    NOT NULL CHECK (status IN
        ('pending', 'requires_action', 'succeeded', 'canceled', 'failed')),
    livemode       INTEGER NOT NULL CHECK (livemode IN (0, 1)),
    created_at     TEXT    NOT NULL,
    updated_at     TEXT    NOT NULL
) STRICT;

CREATE INDEX refunds_by_intent ON refunds (payment_intent) WHERE payment_intent IS NOT NULL;

CREATE TABLE disputes (
    id             TEXT    NOT NULL PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 255),
    payment_intent TEXT,
    charge         TEXT,
    amount         INTEGER,
    currency       TEXT,
    reason         TEXT,
    status         TEXT    NOT NULL CHECK (status IN ('warning_needs_response',
        'warning_under_review', 'needs_response', 'under_review', 'warning_closed', 'prevented',
        'charge_refunded', 'won', 'lost')),
    livemode       INTEGER NOT NULL CHECK (livemode IN (0, 1)),
    created_at     TEXT    NOT NULL,
    updated_at     TEXT    NOT NULL
) STRICT;

CREATE INDEX disputes_by_intent ON disputes (payment_intent) WHERE payment_intent IS NOT NULL;

-- Customers who name a user; the others are not kept.
CREATE TABLE customers (
    id            TEXT NOT NULL PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 255),
    named_user_id TEXT NOT NULL,
    named_at      TEXT NOT NULL
) STRICT;
