//! What tests share: fakes for the seams, faults for the real things, and what events ask for.

pub(crate) mod clerk;
pub(crate) mod clock;
pub(crate) mod database;
pub(crate) mod directory;
pub(crate) mod faults;
pub(crate) mod given;
pub(crate) mod proxy;
pub(crate) mod publisher;
pub(crate) mod rabbitmq;
