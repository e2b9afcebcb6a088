//! Stripe: payments.

pub mod signature;
