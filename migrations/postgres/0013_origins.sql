-- Where an event came from, as far as that is kept, and which trace asked for an entry of the outbox.
-- Reads and writes no row, however many there are; waits for who holds the tables.

ALTER TABLE events ADD COLUMN headers     text;  -- a JSON object; NULL: an earlier version's
ALTER TABLE outbox ADD COLUMN traceparent text;
