-- Finds the events that are due for another attempt without reading the ledger.

CREATE INDEX events_due ON events (next_attempt_at) WHERE state = 'retrying';
