//! Rows, read as events.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::model::event::{Event, EventId, EventKey, EventType, Trigger};
use crate::model::headers::KeptHeaders;
use crate::model::source::SourceName;
use crate::model::time::Timestamp;
use crate::model::trace::TraceContext;
use crate::queue::{CauseOfDeath, DeadLetter};

/// What is wrong with a row, without quoting it.
pub(super) type Flaw = &'static str;

const SOURCE: Flaw = "its source is no name of a source";
const ID: Flaw = "its id is no id of an event";
const TYPE: Flaw = "its type is no type of an event";
const TRIGGER: Flaw = "nothing is known to have triggered it";
const DAMAGED: Flaw = "its row is damaged";

/// The event of a row; or why it is none of this program's.
pub(super) fn decode(row: &SqliteRow) -> Result<Event, Flaw> {
    Ok(Event {
        key: EventKey {
            source: source(row).ok_or(SOURCE)?,
            id: id(row).ok_or(ID)?,
        },
        event_type: event_type(row).ok_or(TYPE)?,
        received_at: received_at(row).ok_or(DAMAGED)?,
        trigger: trigger(row).ok_or(TRIGGER)?,
        headers: headers(row),
        trace: trace(row),
        body: body(row).ok_or(DAMAGED)?.into(),
    })
}

/// A row of the dead, with what it does not tell filled in: a ledger can record it whatever it is.
pub(super) fn decode_dead(row: &SqliteRow) -> DeadLetter {
    let written: Option<String> = row.try_get("unreadable").unwrap_or_default();
    let cause = match (written, decode(row)) {
        (Some(flaw), _) => CauseOfDeath::Unreadable(flaw),
        (None, Ok(_)) => CauseOfDeath::TooManyDeliveries,
        (None, Err(flaw)) => CauseOfDeath::Unreadable(flaw.to_owned()),
    };
    let body = body(row).unwrap_or_default();
    let key = source(row).zip(id(row));
    DeadLetter {
        event: Event {
            key: match key {
                Some((source, id)) => EventKey { source, id },
                None => EventKey {
                    source: SourceName::unknown(),
                    id: EventId::of_body(&body),
                },
            },
            event_type: event_type(row).unwrap_or_else(EventType::unknown),
            received_at: received_at(row).unwrap_or(Timestamp::from_millis(0)),
            trigger: trigger(row).unwrap_or(Trigger::Webhook),
            headers: headers(row),
            trace: trace(row),
            body: body.into(),
        },
        cause,
    }
}

fn source(row: &SqliteRow) -> Option<SourceName> {
    SourceName::parse(row.try_get("source").ok()?)
}

fn id(row: &SqliteRow) -> Option<EventId> {
    EventId::parse(row.try_get("event_id").ok()?)
}

fn event_type(row: &SqliteRow) -> Option<EventType> {
    EventType::parse(row.try_get("event_type").ok()?)
}

fn received_at(row: &SqliteRow) -> Option<Timestamp> {
    row.try_get("received_at").ok().map(Timestamp::from_millis)
}

fn trigger(row: &SqliteRow) -> Option<Trigger> {
    Trigger::parse(row.try_get("trigger").ok()?)
}

/// Not worth an event: what is no such thing is left out.
fn headers(row: &SqliteRow) -> KeptHeaders {
    let written: Option<&str> = row.try_get("headers").unwrap_or_default();
    written.map(KeptHeaders::parse).unwrap_or_default()
}

fn trace(row: &SqliteRow) -> Option<TraceContext> {
    let written: Option<&str> = row.try_get("traceparent").unwrap_or_default();
    TraceContext::parse(written?)
}

fn body(row: &SqliteRow) -> Option<Vec<u8>> {
    row.try_get("body").ok()
}
