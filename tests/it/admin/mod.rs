//! The private listener.

mod access;
mod description;
mod door;
mod figures;
mod outbox;
mod replays;
mod requests;
