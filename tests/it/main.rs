//! All tests, in one binary.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed; clippy.toml allows it inside of tests only"
)]

mod admin;
mod architecture;
mod backoff;
mod chaos;
mod clerk_api;
mod cli;
mod config;
mod convergence;
mod deploy;
mod docs;
mod drill;
mod every_step;
mod fixtures;
mod fleet;
mod handlers;
mod hostile;
mod ingress;
mod model;
mod mutants;
mod outbox;
mod provider;
mod queue;
mod retention;
mod scenarios;
mod scheduler;
mod sender;
mod shutdown;
mod simulation;
mod store;
mod support;
mod telemetry;
mod worker;
