//! What an operator can look at and do, once, for every surface that offers it.

pub mod account;
pub mod checkup;
