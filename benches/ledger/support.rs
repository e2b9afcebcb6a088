//! What the tests start a server of their own with.

#[path = "../../tests/it/support/directory.rs"]
pub(crate) mod directory;
#[path = "../../tests/it/support/postgres.rs"]
pub(crate) mod postgres;
#[path = "../../tests/it/support/server.rs"]
pub(crate) mod server;
