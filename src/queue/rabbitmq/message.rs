//! An event as a message of the broker, and back.

use bytes::Bytes;
use lapin::BasicProperties;
use lapin::message::Delivery;
use lapin::types::{AMQPValue, FieldTable, ShortString};

use crate::model::event::{Event, EventId, EventKey, EventType, Trigger};
use crate::model::headers::KeptHeaders;
use crate::model::source::SourceName;
use crate::model::time::Timestamp;
use crate::model::trace::TraceContext;
use crate::queue::{CauseOfDeath, DeadLetter};

const RECEIVED_AT: &str = "x-hookmirror-received-at";
const TRIGGER: &str = "x-hookmirror-trigger";
/// What is kept of the provider's headers, as a JSON object.
const HEADERS: &str = "x-hookmirror-headers";
const TRACEPARENT: &str = "traceparent";
/// The whole id of an event whose key is too long for `message_id`.
const EVENT_ID: &str = "x-hookmirror-event-id";
const PERSISTENT: u8 = 2;
/// AMQP's short strings hold no more bytes, and `message_id` is one.
const SHORT: usize = 255;

/// What is published for an event.
pub(super) struct Message {
    pub(super) routing_key: ShortString,
    pub(super) properties: BasicProperties,
    pub(super) body: Bytes,
}

impl Message {
    pub(super) fn of(event: Event) -> Self {
        let mut headers = FieldTable::default();
        let mut header = |name: &str, value: &str| {
            headers.insert(name.into(), AMQPValue::LongString(value.into()));
        };
        header(RECEIVED_AT, &event.received_at.to_string());
        header(TRIGGER, &event.trigger.name());
        if let Some(kept) = event.headers.as_json() {
            header(HEADERS, kept);
        }
        if let Some(trace) = event.trace {
            header(TRACEPARENT, &trace.to_string());
        }
        let message_id = message_id(&event.key);
        if message_id != event.key.to_string() {
            header(EVENT_ID, event.key.id.as_str());
        }
        let properties = BasicProperties::default()
            .with_delivery_mode(PERSISTENT)
            .with_message_id(message_id.into())
            .with_type(event.event_type.as_str().into())
            .with_timestamp(u64::try_from(event.received_at.as_seconds()).unwrap_or(0))
            .with_headers(headers);
        Self {
            routing_key: format!("{}.{}", event.key.source, event.event_type).into(),
            properties,
            body: event.body,
        }
    }
}

fn message_id(key: &EventKey) -> String {
    let whole = key.to_string();
    if whole.len() <= SHORT {
        return whole;
    }
    let digest = EventId::of_body(key.id.as_str().as_bytes());
    format!("{}/{digest}", key.source)
}

/// What makes a message not one of ours. Never quotes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("its {0} is missing or is not what this program writes")]
pub(super) struct Unreadable(&'static str);

/// Reads what [`Message::of`] wrote. The body is taken out of the delivery.
pub(super) fn event(delivery: &mut Delivery) -> Result<Event, Unreadable> {
    let properties = &delivery.properties;
    let key = key(properties).ok_or(Unreadable("message_id"))?;
    let event_type = event_type(properties).ok_or(Unreadable("type"))?;
    let received_at = received_at(properties).ok_or(Unreadable(RECEIVED_AT))?;
    let trigger = header(properties, TRIGGER)
        .and_then(Trigger::parse)
        .ok_or(Unreadable(TRIGGER))?;
    let (headers, trace) = (kept(properties), trace(properties));
    Ok(Event {
        key,
        event_type,
        received_at,
        trigger,
        headers,
        trace,
        body: std::mem::take(&mut delivery.data).into(),
    })
}

/// Reads a dead letter, whatever it is: nothing may vanish for being unreadable.
pub(super) fn dead_letter(delivery: &mut Delivery) -> DeadLetter {
    let reason = reason(&delivery.properties);
    let read = event(delivery);
    let unreadable = read.as_ref().err().map(ToString::to_string);
    let cause = match (reason.as_deref(), unreadable) {
        (Some("delivery_limit"), _) => CauseOfDeath::TooManyDeliveries,
        (Some("rejected") | None, Some(what)) => CauseOfDeath::Unreadable(what),
        (Some(reason), _) => CauseOfDeath::Removed(reason.to_owned()),
        (None, None) => CauseOfDeath::Removed("put among the dead letters by hand".to_owned()),
    };
    DeadLetter {
        event: read.unwrap_or_else(|_| filled_in(delivery)),
        cause,
    }
}

/// How often the message was handed out before, and not settled.
pub(super) fn earlier_deliveries(delivery: &Delivery) -> u64 {
    match field(&delivery.properties, "x-delivery-count") {
        Some(AMQPValue::LongLongInt(count)) => u64::try_from(*count).unwrap_or(0),
        Some(AMQPValue::LongInt(count)) => u64::try_from(*count).unwrap_or(0),
        Some(AMQPValue::ShortInt(count)) => u64::try_from(*count).unwrap_or(0),
        Some(AMQPValue::ShortShortInt(count)) => u64::try_from(*count).unwrap_or(0),
        Some(AMQPValue::LongUInt(count)) => u64::from(*count),
        Some(AMQPValue::ShortUInt(count)) => u64::from(*count),
        Some(AMQPValue::ShortShortUInt(count)) => u64::from(*count),
        _ => 0,
    }
}

fn filled_in(delivery: &mut Delivery) -> Event {
    let body = Bytes::from(std::mem::take(&mut delivery.data));
    let properties = &delivery.properties;
    let routed_from = delivery.routing_key.as_str().split('.').next();
    let key = key(properties).unwrap_or_else(|| EventKey {
        source: routed_from
            .and_then(SourceName::parse)
            .unwrap_or_else(SourceName::unknown),
        id: EventId::of_body(&body),
    });
    let sent_at = properties
        .timestamp()
        .and_then(|seconds| i64::try_from(seconds).ok())
        .map(Timestamp::from_seconds);
    Event {
        key,
        event_type: event_type(properties).unwrap_or_else(EventType::unknown),
        received_at: received_at(properties)
            .or(sent_at)
            .or_else(|| died_at(properties))
            .unwrap_or(Timestamp::from_millis(0)),
        // A replay waits for what becomes of it.
        trigger: header(properties, TRIGGER)
            .and_then(Trigger::parse)
            .unwrap_or(Trigger::Webhook),
        headers: kept(properties),
        trace: trace(properties),
        body,
    }
}

fn key(properties: &BasicProperties) -> Option<EventKey> {
    let written = properties.message_id().as_ref()?.as_str();
    let short = EventKey::parse(written)?;
    let Some(whole) = header(properties, EVENT_ID) else {
        return Some(short);
    };
    let key = EventKey {
        source: short.source,
        id: EventId::parse(whole)?,
    };
    (message_id(&key) == written).then_some(key)
}

fn event_type(properties: &BasicProperties) -> Option<EventType> {
    EventType::parse(properties.kind().as_ref()?.as_str())
}

fn received_at(properties: &BasicProperties) -> Option<Timestamp> {
    header(properties, RECEIVED_AT).and_then(Timestamp::parse_rfc3339)
}

/// Not worth an event: what is no such thing is left out.
fn kept(properties: &BasicProperties) -> KeptHeaders {
    header(properties, HEADERS)
        .map(KeptHeaders::parse)
        .unwrap_or_default()
}

fn trace(properties: &BasicProperties) -> Option<TraceContext> {
    header(properties, TRACEPARENT).and_then(TraceContext::parse)
}

/// The newest reason first: a letter may have been moved back to the queue and died again.
fn reason(properties: &BasicProperties) -> Option<String> {
    let newest = death(properties).and_then(|death| death.inner().get("reason"));
    let first = field(properties, "x-first-death-reason");
    text(newest.or(first)?).map(str::to_owned)
}

fn died_at(properties: &BasicProperties) -> Option<Timestamp> {
    let AMQPValue::Timestamp(seconds) = death(properties)?.inner().get("time")? else {
        return None;
    };
    Some(Timestamp::from_seconds(i64::try_from(*seconds).ok()?))
}

fn death(properties: &BasicProperties) -> Option<&FieldTable> {
    let AMQPValue::FieldArray(deaths) = field(properties, "x-death")? else {
        return None;
    };
    match deaths.as_slice().first()? {
        AMQPValue::FieldTable(death) => Some(death),
        _ => None,
    }
}

fn header<'a>(properties: &'a BasicProperties, name: &str) -> Option<&'a str> {
    text(field(properties, name)?)
}

fn field<'a>(properties: &'a BasicProperties, name: &str) -> Option<&'a AMQPValue> {
    properties.headers().as_ref()?.inner().get(name)
}

/// Other clients write texts in either of two forms.
fn text(value: &AMQPValue) -> Option<&str> {
    match value {
        AMQPValue::LongString(text) => std::str::from_utf8(text.as_bytes()).ok(),
        AMQPValue::ShortString(text) => Some(text.as_str()),
        _ => None,
    }
}
