//! The demonstration: the whole way of an event, on this machine alone.

pub mod stand_in_clerk;
