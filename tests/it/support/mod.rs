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
mod faulty_store_freshness;
pub(crate) mod given;
pub(crate) mod golden;
pub(crate) mod postgres;
pub(crate) mod proxy;
pub(crate) mod publisher;
pub(crate) mod rabbitmq;
pub(crate) mod server;
pub(crate) mod witness;
