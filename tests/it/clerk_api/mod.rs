//! The client of Clerk's Backend API, and the stand-in that the demonstration talks to.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod answers;
mod disposition;
mod fake;
mod stand_in;
