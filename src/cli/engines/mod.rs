//! The engines that the settings name, opened for a command. Whoever works with them holds them by
//! their traits and does not know which they are.

pub(super) mod database;
pub(super) mod queue;
