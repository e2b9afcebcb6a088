//! Stripe: payments.

pub mod event;
pub mod object;
pub mod signature;
