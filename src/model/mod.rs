//! The vocabulary: plain data and the rules that hold between data. No I/O, no async, no clock.
//!
//! What makes the mirror converge lives here as pure functions, so that it can be read, and tested
//! by permutation, without a database: [`user::Revision`] orders the states of a user,
//! [`payment::PaymentFact::merge`] joins what is known of a payment in any order, and
//! [`entitlement::decide`] derives the paid state from all facts of a user.

pub mod by_hand;
pub mod changes;
pub mod entitlement;
pub mod event;
pub mod failure;
pub mod headers;
pub mod ledger;
pub mod mask;
pub mod operator;
pub mod outbox;
pub mod pause;
pub mod payment;
pub mod preview;
pub mod replay;
pub mod retention;
pub mod retry;
pub mod source;
pub mod state;
pub mod survey;
pub mod time;
pub mod timeline;
pub mod trace;
pub mod trigger;
pub mod user;
mod words;
