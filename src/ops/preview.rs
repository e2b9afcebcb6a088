//! What would change if events were processed again now.
//!
//! The events are decided by the handlers of this binary and applied by the store as a worker would
//! do it for a replay, in a transaction that is then undone.
//!
//! Guaranteed: nothing changes but the record that somebody looked; no event becomes worse than it
//! stands, as a replay would not make it worse either. NOT guaranteed: that doing it later comes out
//! the same, as events go on arriving; nor that a pause is heeded: what is shown is what the events do
//! when they are processed. Writers of the same payments wait while it lasts, for a second or two at
//! most; with SQLite all writers do.

use serde::Serialize;
use serde_json::Value;
use serde_json::json;
use utoipa::ToSchema;

use crate::model::changes::Planned;
use crate::model::event::{Event, EventKey, EventType};
use crate::model::ledger::EventFilter;
use crate::model::mask::mask;
use crate::model::operator::{ActionRecord, Mode, Operator, OperatorAction};
use crate::model::preview::{EntityKind, EntityPreview, RecalledEvent, Standing, Verdict};
use crate::model::time::Timestamp;
use crate::store::{Store, StoreError};

/// How many events are previewed at most: they are applied in one transaction.
pub const MOST: u32 = 1000;

/// The columns of a user that tell who it is.
const PERSONAL: [&str; 9] = [
    "email",
    "phone",
    "username",
    "first_name",
    "last_name",
    "image_url",
    "public_metadata",
    "private_metadata",
    "unsafe_metadata",
];

/// Asks the handlers of this binary what an event means.
pub type Decide<'d> = &'d (dyn Fn(Event) -> Planned + Sync);

/// What somebody wants to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Of which events; the first received of them are previewed.
    pub filter: EventFilter,
    /// Of how many at most; never more than [`MOST`].
    pub limit: u32,
    /// Whether personal values are shown as they are.
    pub reveal: bool,
    /// Who wants to see it.
    pub operator: Operator,
}

/// What would change.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Preview {
    /// How many events match and could be processed again.
    pub matched: u64,
    /// How many more match, and cannot: their payload is not kept.
    pub without_payload: u64,
    /// What would become of those that were previewed, the first received first.
    pub events: Vec<EventOutlook>,
    /// What would not be as it is.
    pub entities: Vec<EntityPreview>,
    /// Other events that wait for the user of their payment, and would not any more.
    pub released: Vec<EventKey>,
    /// The line in the record of what operators did.
    pub action: ActionRecord,
}

impl Preview {
    /// Whether the mirror and all events would stay as they are.
    pub fn is_without_effect(&self) -> bool {
        let stays = |event: &EventOutlook| event.before.state == event.after.state;
        self.entities.is_empty() && self.released.is_empty() && self.events.iter().all(stays)
    }
}

/// What would become of one event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct EventOutlook {
    /// The event.
    #[serde(flatten)]
    pub key: EventKey,
    /// What happened.
    pub event_type: EventType,
    /// Where it stands.
    pub before: Standing,
    /// Where it would stand.
    pub after: Standing,
    /// The chain of causes, if processing would fail. It may stand where it stood all the same.
    pub error: Option<String>,
}

/// Tells what processing these events would change, and records that somebody asked.
///
/// # Errors
///
/// When the database cannot be used. Then nothing was recorded.
pub async fn preview(
    store: &dyn Store,
    decide: Decide<'_>,
    request: Request,
    now: Timestamp,
) -> Result<Preview, StoreError> {
    let limit = request.limit.min(MOST);
    let recalled = store.recall_events(&request.filter, limit).await?;
    let events = recalled.events.iter();
    let batch: Vec<Planned> = events.map(|known| decide(known.event.clone())).collect();
    let action = OperatorAction {
        operator: request.operator,
        action: "events preview",
        target: json!({ "filter": request.filter, "previewed": batch.len(), "reveal": request.reveal }),
        mode: Mode::DryRun,
    };
    let matched = recalled.with_payload;
    let (mut previewed, action) = store.preview(&batch, matched, &action, now).await?;
    if !request.reveal {
        previewed.entities.iter_mut().for_each(hide);
    }
    let events = recalled.events.into_iter().zip(previewed.verdicts);
    Ok(Preview {
        matched,
        without_payload: recalled.without_payload,
        events: events
            .map(|(known, verdict)| outlook(known, verdict))
            .collect(),
        entities: previewed.entities,
        released: previewed.released,
        action,
    })
}

fn outlook(known: RecalledEvent, verdict: Verdict) -> EventOutlook {
    let RecalledEvent { event, standing } = known;
    let after = standing_after(&standing, &verdict);
    EventOutlook {
        key: event.key,
        event_type: event.event_type,
        after,
        before: standing,
        error: verdict.error,
    }
}

/// As a replay would leave it.
fn standing_after(before: &Standing, verdict: &Verdict) -> Standing {
    match verdict.outcome.state() {
        Some(state) if !before.state.stands_after_replay(state) => Standing {
            state,
            outcome: verdict.outcome.to_string(),
        },
        _ => before.clone(),
    }
}

/// Hides what tells who a user is. The shape of the values stays.
fn hide(entity: &mut EntityPreview) {
    if entity.entity != EntityKind::User {
        return;
    }
    let personal = entity.columns.iter_mut();
    for column in personal.filter(|column| PERSONAL.contains(&column.column)) {
        for value in [&mut column.before, &mut column.after] {
            *value = masked(value);
        }
    }
}

fn masked(value: &Value) -> Value {
    match value {
        Value::Null | Value::Bool(_) => value.clone(),
        Value::String(text) => Value::String(mask(text.as_bytes(), &[])),
        Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            let text = mask(value.to_string().as_bytes(), &[]);
            // A number of several digits is no JSON any more: zeros lead it.
            serde_json::from_str(&text).unwrap_or(Value::String(text))
        }
    }
}
