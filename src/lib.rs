//! map
pub mod clerk_api;
pub mod clock;
pub mod ingress;
pub mod model;
pub mod provider;
pub mod queue;
pub mod store;
