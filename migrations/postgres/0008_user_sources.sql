-- Which Clerk instance a user belongs to. Unknown of those who were mirrored before, until Clerk sends
-- a newer state of them.

ALTER TABLE users ADD COLUMN source text;
