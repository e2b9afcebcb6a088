-- What travels beside an event. NULL in rows of an earlier version.

ALTER TABLE messages ADD COLUMN headers     TEXT;
ALTER TABLE messages ADD COLUMN traceparent TEXT;
ALTER TABLE dead_letters ADD COLUMN headers     TEXT;
ALTER TABLE dead_letters ADD COLUMN traceparent TEXT;
