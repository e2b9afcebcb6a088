//! What the tests start servers of their own with.

#[path = "../../tests/it/support/directory.rs"]
pub(crate) mod directory;
#[path = "../../tests/it/support/lifeline.rs"]
pub(crate) mod lifeline;
#[path = "../../tests/it/support/postgres.rs"]
pub(crate) mod postgres;
#[path = "../../tests/it/support/rabbitmq.rs"]
pub(crate) mod rabbitmq;
#[path = "../../tests/it/support/server.rs"]
pub(crate) mod server;
