//! The private listener.

mod access;
mod description;
pub(crate) mod door;
mod figures;
mod outbox;
mod replays;
mod requests;
