//! Stripe: payments.

pub mod event;
pub mod signature;
