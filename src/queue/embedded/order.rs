//! What the writer is asked to make durable.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::row::Flaw;
use crate::model::event::Event;

/// How many bytes of events may wait for the writer or be with it. A publisher that has given up does
/// not take its event back, so the bound has to be here as well as at the front door.
pub(super) const WAITING_BYTES: u32 = 64 * 1024 * 1024;

/// Something to be made durable.
#[derive(Debug)]
pub(super) enum Order {
    /// An event comes.
    Add {
        event: Event,
        done: Done,
        _room: OwnedSemaphorePermit,
    },
    /// Messages go.
    Remove { seqs: Vec<i64>, done: Done },
    /// How often a message was handed out with caution. Nobody need wait for it.
    Charge {
        seq: i64,
        deliveries: u32,
        done: Option<Done>,
    },
    /// Messages are given up on; those that cannot be read, for their flaw.
    Bury {
        dead: Vec<(i64, Option<Flaw>)>,
        done: Done,
    },
    /// Dead letters go.
    RemoveDead { ids: Vec<i64>, done: Done },
    /// Somebody asks whether this works.
    Check { done: Done },
}

pub(super) type Done = oneshot::Sender<Result<(), Arc<sqlx::Error>>>;

impl Order {
    /// Who waits for it, if anybody does.
    pub(super) fn into_done(self) -> Option<Done> {
        match self {
            Self::Add { done, .. }
            | Self::Remove { done, .. }
            | Self::Bury { done, .. }
            | Self::RemoveDead { done, .. }
            | Self::Check { done } => Some(done),
            Self::Charge { done, .. } => done,
        }
    }
}
