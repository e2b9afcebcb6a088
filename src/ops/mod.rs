//! What an operator can look at: computed here once, for every command that shows it.

pub mod account;
pub mod checkup;
