-- The mirror of Clerk's users. Keys and revisions are compared byte by byte, whatever the locale.

CREATE TABLE users (
    id               text        COLLATE "C" NOT NULL PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 255),
    external_id      text,
    email            text,              -- the primary address; not unique: people sign up again
    email_verified   boolean     NOT NULL,
    phone            text,
    username         text,
    first_name       text,
    last_name        text,
    image_url        text,
    locale           text,
    banned           boolean     NOT NULL,
    locked           boolean     NOT NULL,
    public_metadata  jsonb       NOT NULL,
    private_metadata jsonb       NOT NULL,
    unsafe_metadata  jsonb       NOT NULL,
    created_at       timestamptz,
    updated_at       timestamptz NOT NULL,
    last_sign_in_at  timestamptz,
    data             json        NOT NULL,  -- the whole Clerk object, as it came
    revision         text        COLLATE "C" NOT NULL,  -- orders the states of one user
    synced_at        timestamptz NOT NULL
);

CREATE INDEX users_by_email ON users (email) WHERE email IS NOT NULL;
CREATE INDEX users_by_external_id ON users (external_id) WHERE external_id IS NOT NULL;

-- Deleted for good: Clerk gives an id out once. Nothing personal is kept.
CREATE TABLE user_tombstones (
    id         text        COLLATE "C" NOT NULL PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 255),
    deleted_at timestamptz NOT NULL
);

-- Where the server was built with lz4 (Postgres 14 and later): the default costs far more time.
DO $$
BEGIN
    EXECUTE 'ALTER TABLE users ALTER COLUMN data SET COMPRESSION lz4';
EXCEPTION WHEN feature_not_supported OR syntax_error THEN
    NULL;
END
$$;
