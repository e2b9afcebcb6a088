//! A message that is in this process, and whether it is suspected of ending others.

use lapin::Acker;

/// From so many earlier deliveries on, a message is a suspect. One happens to every message in the
/// hands of a worker that is restarted.
const SUSPECT: u64 = 2;

/// A message in the hands of this process.
#[derive(Clone, Debug)]
pub(super) struct Item<T> {
    /// What it says.
    pub(super) content: T,
    /// How large it is.
    pub(super) bytes: usize,
    /// How often it was handed out before.
    pub(super) earlier_deliveries: u64,
    /// Its number on its channel.
    pub(super) tag: u64,
    /// The right to settle it.
    pub(super) acker: Acker,
}

impl<T> Item<T> {
    /// See [`buffer`](super::buffer).
    pub(super) fn is_suspect(&self) -> bool {
        self.earlier_deliveries >= SUSPECT
    }
}
