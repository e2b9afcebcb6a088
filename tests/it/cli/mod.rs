//! The real binary, from the outside: what it prints, how it ends, and what it leaves behind.

pub(crate) mod convergence;
mod crash;
mod demo;
mod doctor;
mod events;
pub(crate) mod figures;
mod help;
mod metrics;
mod migrate;
mod outbox;
mod payments;
mod policy;
pub(crate) mod process;
pub(crate) mod reference;
mod send;
mod sources;
mod startup;
#[cfg(target_os = "linux")]
mod terminal;
mod users;
