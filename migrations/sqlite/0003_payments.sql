-- Payment facts, one row for each Stripe object, and what follows from them for each user.

CREATE TABLE checkout_sessions (
    id             TEXT    NOT NULL PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 255),
    user_id        TEXT,     -- whose it is: named by the session, else known by its customer
    named_user_id  TEXT,     -- the user that the session itself names
    named_at       TEXT,     -- and since when
    customer       TEXT,
    payment_intent TEXT,
    subscription   TEXT,
    mode           TEXT,
    status         TEXT    NOT NULL CHECK (status IN ('expired', 'complete')),
    payment        TEXT    NOT NULL CHECK (payment IN
        ('unpaid', 'failed', 'no_payment_required', 'paid')),
    amount_total   INTEGER,  -- in the currency's smallest unit
    currency       TEXT,
    livemode       INTEGER NOT NULL CHECK (livemode IN (0, 1)),
    created_at     TEXT    NOT NULL,
    updated_at     TEXT    NOT NULL,
    CHECK ((named_user_id IS NULL) = (named_at IS NULL))
) STRICT;

CREATE INDEX checkout_sessions_by_user ON checkout_sessions (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX checkout_sessions_by_customer ON checkout_sessions (customer)
    WHERE customer IS NOT NULL;
CREATE INDEX checkout_sessions_unattributed ON checkout_sessions (created_at)
    WHERE user_id IS NULL;

CREATE TABLE entitlements (
    user_id             TEXT    NOT NULL PRIMARY KEY,  -- the user need not be mirrored yet
    paid                INTEGER NOT NULL CHECK (paid IN (0, 1)),
    payment             TEXT    NOT NULL CHECK (payment IN
        ('paid', 'unpaid', 'no_payment_required', 'refunded', 'disputed', 'failed', 'canceled')),
    status              TEXT    NOT NULL,
    reason              TEXT    NOT NULL,
    checkout_session_id TEXT,
    subscription_id     TEXT,
    updated_at          TEXT    NOT NULL
) STRICT;

CREATE VIEW members AS
SELECT u.id, u.external_id, u.email, u.email_verified, u.phone, u.username, u.first_name,
       u.last_name, u.image_url, u.locale, u.banned, u.locked, u.public_metadata,
       u.private_metadata, u.unsafe_metadata, u.created_at, u.updated_at, u.last_sign_in_at,
       u.data, u.revision, u.synced_at,
       COALESCE(e.paid, 0) AS paid, e.payment, e.status, e.reason, e.checkout_session_id,
       e.subscription_id, e.updated_at AS entitlement_updated_at
FROM users AS u
LEFT JOIN entitlements AS e ON e.user_id = u.id;
