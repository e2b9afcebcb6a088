//! The real binary, from the outside: what it prints, how it ends, and what it leaves behind.

mod by_hand;
pub(crate) mod convergence;
mod crash;
mod demo;
mod doctor;
mod erasure;
mod events;
mod failures;
pub(crate) mod figures;
mod help;
mod log;
mod metrics;
mod migrate;
mod outbox;
mod payments;
mod policy;
pub(crate) mod process;
pub(crate) mod reference;
mod replay;
mod send;
mod sources;
mod startup;
#[cfg(target_os = "linux")]
mod terminal;
pub(crate) mod traces;
mod users;
