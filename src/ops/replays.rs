//! What an operator can do about events that are to be processed again.
//!
//! A replay is planned, started, watched and cancelled here. It runs in the workers: what starts one need
//! not stay, and what watches one may come and go. Plans, starts and requests to cancel are recorded in
//! `operator_actions`, dry runs too.

use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use crate::model::operator::{ActionRecord, Mode, Operator};
use crate::model::replay::plan::ReplayPlan;
use crate::model::replay::{
    CancelledReplay, Replay, ReplayId, ReplayOrder, ReplayRecord, ReplayState, ReplayedEvent,
};
use crate::model::time::Timestamp;
use crate::store::{Store, StoreError};

/// What a replay would take; nothing was changed.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Planned {
    /// The line in the record of what operators did.
    pub action: ActionRecord,
    /// What it would take.
    pub plan: ReplayPlan,
    /// How long it would take at least, in seconds.
    pub seconds: u64,
}

/// A replay that was started.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Started {
    /// The line in the record of what operators did.
    pub action: ActionRecord,
    /// Its number; `None`: there was nothing to replay.
    pub replay: Option<ReplayId>,
    /// How long it takes at least, in seconds.
    pub seconds: u64,
}

/// What came of an order.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum Ordered {
    /// A dry run.
    Planned(Planned),
    /// For real.
    Started(Started),
}

/// A replay with what came of it, and how long it will take yet.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Status {
    /// The replay.
    #[serde(flatten)]
    pub record: ReplayRecord,
    /// Events in a second so far, while it runs and since it started.
    pub speed: f64,
    /// How long it will take yet at that speed, in seconds; `None` while that cannot be told, or if it
    /// has ended.
    pub seconds_left: Option<u64>,
}

/// Why a replay cannot be shown or cancelled.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// There is none.
    #[error("there is no replay {0}: `hookmirror replay list` lists them")]
    Unknown(ReplayId),
    /// The database cannot be used.
    #[error("replays cannot be looked at or changed now")]
    Store(#[from] StoreError),
}

/// Starts a replay, or tells what it would take.
///
/// # Errors
///
/// When the database cannot be used. Then nothing was started.
pub async fn order(
    store: &dyn Store,
    order: &ReplayOrder,
    mode: &Mode,
    now: Timestamp,
) -> Result<Ordered, StoreError> {
    Ok(match mode {
        Mode::DryRun => {
            let (plan, action) = store.plan_replay(order, now).await?;
            let seconds = order.rate.time_for(plan.events).as_secs();
            Ordered::Planned(Planned {
                action,
                plan,
                seconds,
            })
        }
        Mode::Execute(reason) => {
            let started = store.start_replay(order, reason, now).await?;
            let seconds = order.rate.time_for(started.action.matched).as_secs();
            Ordered::Started(Started {
                action: started.action,
                replay: started.id,
                seconds,
            })
        }
    })
}

/// Replays, newest first.
///
/// # Errors
///
/// When the database cannot be read.
pub async fn list(store: &dyn Store, limit: u32) -> Result<Vec<Replay>, StoreError> {
    store.list_replays(limit).await
}

/// How far a replay is, and what came of it.
///
/// # Errors
///
/// When there is no such replay, or the database cannot be read.
pub async fn status(
    store: &dyn Store,
    id: ReplayId,
    now: Timestamp,
) -> Result<Status, ReplayError> {
    let record = store.find_replay(id).await?;
    let record = record.ok_or(ReplayError::Unknown(id))?;
    let replay = &record.replay;
    let elapsed = replay.finished_at.unwrap_or(now).since(replay.created_at);
    let speed = replay.done as f64 / elapsed.as_secs_f64().max(0.001);
    let left = replay.total.saturating_sub(replay.done);
    let runs = replay.state == ReplayState::Running && replay.done > 0;
    let seconds_left = runs.then(|| Duration::try_from_secs_f64(left as f64 / speed).ok());
    Ok(Status {
        seconds_left: seconds_left.flatten().map(|left| left.as_secs()),
        speed: (speed * 10.0).round() / 10.0,
        record,
    })
}

/// The events of a replay behind a position, in their order.
///
/// # Errors
///
/// When there is no such replay, or the database cannot be read.
pub async fn events(
    store: &dyn Store,
    id: ReplayId,
    after: u64,
    limit: u32,
) -> Result<Vec<ReplayedEvent>, ReplayError> {
    let events = store.replayed_events(id, after, limit).await?;
    if events.is_empty() && store.find_replay(id).await?.is_none() {
        return Err(ReplayError::Unknown(id));
    }
    Ok(events)
}

/// Ends a replay, or tells how many of its events would not be processed then. One that has ended stays
/// as it is.
///
/// # Errors
///
/// When there is no such replay, or the database cannot be used. Then nothing was changed.
pub async fn cancel(
    store: &dyn Store,
    id: ReplayId,
    operator: &Operator,
    mode: &Mode,
    now: Timestamp,
) -> Result<CancelledReplay, ReplayError> {
    let cancelled = store.cancel_replay(id, operator, mode, now).await?;
    cancelled.ok_or(ReplayError::Unknown(id))
}
