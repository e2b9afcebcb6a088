//! map
pub mod clerk_api;
pub mod clock;
pub mod config;
pub mod model;
pub mod provider;
pub mod queue;
pub mod shutdown;
pub mod store;
pub mod telemetry;
