//! map
pub mod clerk_api;
pub mod cli;
pub mod clock;
mod http_client;
pub mod model;
pub mod provider;
pub mod queue;
pub mod sender;
pub mod store;
