//! What tests share: fakes for the seams, real servers, faults for the real things, and what events
//! ask for.

pub(crate) mod abort;
pub(crate) mod clerk;
pub(crate) mod clock;
pub(crate) mod database;
pub(crate) mod dead_letters;
pub(crate) mod directory;
pub(crate) mod facts;
pub(crate) mod faults;
pub(crate) mod faulty_store;
mod faulty_store_by_hand;
mod faulty_store_failures;
mod faulty_store_findings;
mod faulty_store_freshness;
mod faulty_store_pauses;
mod faulty_store_previews;
mod faulty_store_replays;
mod faulty_store_retention;
pub(crate) mod given;
pub(crate) mod golden;
pub(crate) mod lifeline;
pub(crate) mod memory_queue;
pub(crate) mod postgres;
pub(crate) mod proxy;
pub(crate) mod publisher;
pub(crate) mod rabbitmq;
pub(crate) mod rows;
pub(crate) mod server;
pub(crate) mod wire;
pub(crate) mod witness;
