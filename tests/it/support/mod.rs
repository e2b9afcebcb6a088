//! What tests share: fakes for the seams.

pub(crate) mod clock;
pub(crate) mod publisher;
