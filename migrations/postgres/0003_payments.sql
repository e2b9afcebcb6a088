-- Payment facts, one row for each Stripe object, and what follows from them for each user.

CREATE TABLE checkout_sessions (
    id             text        COLLATE "C" NOT NULL PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 255),
    user_id        text        COLLATE "C",  -- whose it is: named by the session, else known by its customer
    named_user_id  text        COLLATE "C",  -- the user that the session itself names
    named_at       timestamptz,              -- and since when
    customer       text        COLLATE "C",
    payment_intent text,
    subscription   text,
    mode           text,
    status         text        NOT NULL CHECK (status IN ('expired', 'complete')),
    payment        text        NOT NULL CHECK (payment IN
        ('unpaid', 'failed', 'no_payment_required', 'paid')),
    amount_total   bigint,                   -- in the currency's smallest unit
    currency       text,
    livemode       boolean     NOT NULL,
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,
    CHECK ((named_user_id IS NULL) = (named_at IS NULL))
);

CREATE INDEX checkout_sessions_by_user ON checkout_sessions (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX checkout_sessions_by_customer ON checkout_sessions (customer)
    WHERE customer IS NOT NULL;
CREATE INDEX checkout_sessions_unattributed ON checkout_sessions (created_at)
    WHERE user_id IS NULL;

CREATE TABLE entitlements (
    user_id             text        COLLATE "C" NOT NULL PRIMARY KEY,  -- the user need not be mirrored yet
    paid                boolean     NOT NULL,
    payment             text        NOT NULL CHECK (payment IN
        ('paid', 'unpaid', 'no_payment_required', 'refunded', 'disputed', 'failed', 'canceled')),
    status              text        NOT NULL,
    reason              text        NOT NULL,
    checkout_session_id text,
    subscription_id     text,
    updated_at          timestamptz NOT NULL
);

CREATE VIEW members AS
SELECT u.id, u.external_id, u.email, u.email_verified, u.phone, u.username, u.first_name,
       u.last_name, u.image_url, u.locale, u.banned, u.locked, u.public_metadata,
       u.private_metadata, u.unsafe_metadata, u.created_at, u.updated_at, u.last_sign_in_at,
       u.data, u.revision, u.synced_at,
       COALESCE(e.paid, FALSE) AS paid, e.payment, e.status, e.reason, e.checkout_session_id,
       e.subscription_id, e.updated_at AS entitlement_updated_at
FROM users AS u
LEFT JOIN entitlements AS e ON e.user_id = u.id;
