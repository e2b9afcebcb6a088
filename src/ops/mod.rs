//! What an operator can look at and do: here once, for every command that shows or does it.

pub mod account;
pub mod checkup;
pub mod payments;
