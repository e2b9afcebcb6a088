-- The other payment facts, one row for each Stripe object, and what a person has decided about whose
-- a payment is.

ALTER TABLE checkout_sessions ADD COLUMN attributed_user_id text COLLATE "C";  -- whom a person has given it to
ALTER TABLE checkout_sessions ADD COLUMN attributed_at timestamptz;  -- and when

CREATE INDEX checkout_sessions_by_intent ON checkout_sessions (payment_intent)
    WHERE payment_intent IS NOT NULL;
CREATE INDEX checkout_sessions_by_subscription ON checkout_sessions (subscription)
    WHERE subscription IS NOT NULL;

ALTER TABLE entitlements ADD COLUMN rule text;  -- which rule gave the verdict; NULL: an earlier version's

CREATE INDEX entitlements_to_derive_anew ON entitlements (user_id) WHERE rule IS NULL;

CREATE TABLE subscriptions (
    id text COLLATE "C" NOT NULL PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 255),
    user_id text COLLATE "C",     -- whose it is: named, given, or known by its session or customer
    named_user_id text COLLATE "C",     -- the user that the subscription itself names
    named_at timestamptz,     -- and since when
    attributed_user_id text COLLATE "C",     -- whom a person has given it to
    attributed_at timestamptz,     -- and when
    customer text COLLATE "C",
    status text NOT NULL CHECK (status IN ('incomplete', 'trialing', 'paused',
        'active', 'past_due', 'unpaid', 'incomplete_expired', 'canceled')),
    cancel_at_period_end boolean NOT NULL,
    cancel_at timestamptz,
    current_period_end timestamptz,
    livemode boolean NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CHECK ((named_user_id IS NULL) = (named_at IS NULL)),
    CHECK ((attributed_user_id IS NULL) = (attributed_at IS NULL))
);

CREATE INDEX subscriptions_by_user ON subscriptions (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX subscriptions_by_customer ON subscriptions (customer) WHERE customer IS NOT NULL;
CREATE INDEX subscriptions_past_due ON subscriptions (user_id) WHERE status = 'past_due';

CREATE TABLE invoices (
    id text COLLATE "C" NOT NULL PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 255),
    subscription text COLLATE "C",
    payment_intent text COLLATE "C",
    billing_reason text,
    status text NOT NULL CHECK (status IN ('open', 'uncollectible', 'void', 'paid')),
    amount_paid bigint,  -- in the currency's smallest unit
    currency text,
    livemode boolean NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

CREATE INDEX invoices_by_subscription ON invoices (subscription) WHERE subscription IS NOT NULL;
CREATE INDEX invoices_by_intent ON invoices (payment_intent) WHERE payment_intent IS NOT NULL;

CREATE TABLE charges (
    id text COLLATE "C" NOT NULL PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 255),
    payment_intent text COLLATE "C",
    amount bigint NOT NULL,
    amount_refunded bigint NOT NULL,
    currency text,
    livemode boolean NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

CREATE INDEX charges_by_intent ON charges (payment_intent) WHERE payment_intent IS NOT NULL;

CREATE TABLE refunds (
    id text COLLATE "C" NOT NULL PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 255),
    payment_intent text COLLATE "C",
    charge text COLLATE "C",
    amount bigint NOT NULL,
    currency text,
    status text NOT NULL CHECK (status IN
        ('pending', 'requires_action', 'succeeded', 'canceled', 'failed')),
    livemode boolean NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

CREATE INDEX refunds_by_intent ON refunds (payment_intent) WHERE payment_intent IS NOT NULL;

CREATE TABLE disputes (
    id text COLLATE "C" NOT NULL PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 255),
    payment_intent text COLLATE "C",
    charge text COLLATE "C",
    amount bigint,
    currency text,
    reason text,
    status text NOT NULL CHECK (status IN ('warning_needs_response',
        'warning_under_review', 'needs_response', 'under_review', 'warning_closed', 'prevented',
        'charge_refunded', 'won', 'lost')),
    livemode boolean NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

CREATE INDEX disputes_by_intent ON disputes (payment_intent) WHERE payment_intent IS NOT NULL;

-- Customers who name a user; the others are not kept.
CREATE TABLE customers (
    id text COLLATE "C" NOT NULL PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 255),
    named_user_id text COLLATE "C" NOT NULL,
    named_at timestamptz NOT NULL
);
