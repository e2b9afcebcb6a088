//! All tests, in one binary.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed; clippy.toml allows it inside of tests only"
)]

mod fixtures;
mod handlers;
mod model;
mod provider;
