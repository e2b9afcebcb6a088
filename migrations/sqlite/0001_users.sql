-- The mirror of Clerk's users. Times are RFC 3339 in UTC with milliseconds, so text order is time order.

CREATE TABLE users (
    id               TEXT    NOT NULL PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 255),
    external_id      TEXT,
    email            TEXT,              -- the primary address; not unique: people sign up again
    email_verified   INTEGER NOT NULL CHECK (email_verified IN (0, 1)),
    phone            TEXT,
    username         TEXT,
    first_name       TEXT,
    last_name        TEXT,
    image_url        TEXT,
    locale           TEXT,
    banned           INTEGER NOT NULL CHECK (banned IN (0, 1)),
    locked           INTEGER NOT NULL CHECK (locked IN (0, 1)),
    public_metadata  TEXT    NOT NULL CHECK (json_valid(public_metadata)),
    private_metadata TEXT    NOT NULL CHECK (json_valid(private_metadata)),
    unsafe_metadata  TEXT    NOT NULL CHECK (json_valid(unsafe_metadata)),
    created_at       TEXT,
    updated_at       TEXT    NOT NULL,
    last_sign_in_at  TEXT,
    data             TEXT    NOT NULL,  -- the whole Clerk object, as it came
    revision         TEXT    NOT NULL,  -- orders the states of one user; text order is their order
    synced_at        TEXT    NOT NULL
) STRICT;

CREATE INDEX users_by_email ON users (email) WHERE email IS NOT NULL;
CREATE INDEX users_by_external_id ON users (external_id) WHERE external_id IS NOT NULL;

-- Deleted for good: Clerk gives an id out once. Nothing personal is kept.
CREATE TABLE user_tombstones (
    id         TEXT NOT NULL PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 255),
    deleted_at TEXT NOT NULL
) STRICT;
