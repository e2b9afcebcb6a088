//! Why an event is not known to be durable.

use std::time::Duration;

use super::error::RabbitError;

/// Why an event is not known to be durable.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PublishFailure {
    /// There is no connection now.
    #[error("there is no connection to the broker")]
    NotConnected(#[source] RabbitError),
    /// A memory or disk alarm.
    #[error("the broker has run short of memory or disk and takes no events")]
    Blocked,
    /// No queue wanted the event.
    #[error("no queue is bound to take the event")]
    Unroutable,
    /// A negative confirm.
    #[error("the broker refused the event")]
    Refused,
    /// The channel was never told to confirm.
    #[error("the channel does not confirm")]
    NotRequested,
    /// No confirm in time.
    #[error("the broker did not confirm the event within {} ms", .0.as_millis())]
    TimedOut(Duration),
    /// The channel went away before the confirm came.
    #[error("the channel was lost before the confirm came")]
    Lost(#[source] RabbitError),
    /// A check of the path failed.
    #[error("the broker did not stand the check")]
    NotReady(#[source] RabbitError),
    /// This program has closed the queue.
    #[error("the queue is closed")]
    Closed,
}
