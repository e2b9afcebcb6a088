//! What an operator can look at and do: written here once, for everything that offers it.

pub mod account;
pub mod checkup;
pub mod failures;
pub mod find;
pub mod outbox;
pub mod payments;
pub mod users;
