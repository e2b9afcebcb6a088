//! What an operator can look at and do: written here once, for everything that offers it.

pub mod account;
pub mod checkup;
pub mod erasure;
pub mod events;
pub mod failures;
pub mod find;
pub mod keeping;
pub mod outbox;
pub mod payments;
pub mod preview;
pub mod replays;
pub mod show;
pub mod sources;
pub mod users;
pub mod wanted;
