//! What lies in the queue and was not put there by this program, or was damaged since: it is handed out
//! whole, or becomes a dead letter; none is lost, and whoever comes after it is handed out.
//!
//! An input is one byte that chooses the field, and what stands in it.

use std::time::Duration;

use hookmirror::backoff::Backoff;
use hookmirror::model::event::Event;
use hookmirror::queue::embedded::EmbeddedQueue;
use hookmirror::queue::rabbitmq::{RabbitQueue, Settings};
use hookmirror::queue::{Consumer, DeadLetters, Publisher};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldArray, FieldTable, LongString, ShortString};
use lapin::{BasicProperties, Connection, ConnectionProperties};
use secrecy::ExposeSecret;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection};

use super::{Input, Inputs};
use crate::support::directory::directory;
use crate::support::given::event;
use crate::support::rabbitmq::{RabbitMq, topology};

const PATIENCE: Duration = Duration::from_secs(60);
/// The last of those that came together.
const LAST: &str = "evt_last";
const TOGETHER: usize = 250;
const COLUMNS: [(&str, &str); 8] = [
    ("source", "TEXT"),
    ("event_id", "TEXT"),
    ("event_type", "TEXT"),
    ("received_at", "INTEGER"),
    ("trigger", "TEXT"),
    ("body", "BLOB"),
    ("headers", "TEXT"),
    ("traceparent", "TEXT"),
];
const WORDS: &[&str] = &[
    "stripe",
    "clerk/",
    "/",
    "evt_1",
    "webhook",
    "retry",
    "replay:",
    "replay:1",
    "2026-11-21T10:00:00.123Z",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "{\"user-agent\":\"",
    "\"}",
    "9223372036854775807",
    "-9223372036854775808",
    "\0",
    "é",
];

fn choice(input: &Input) -> (usize, &[u8]) {
    match input.bytes.split_first() {
        Some((field, value)) => (usize::from(*field), value),
        None => (0, b""),
    }
}

/// What must hold of anything that is handed on, wherever it goes then.
fn is_sound(event: &Event) {
    assert!(!event.received_at.to_string().is_empty());
    assert!(event.headers.values().len() <= 5);
    assert!(!event.key.to_string().is_empty() && !event.trigger.name().is_empty());
}

/// Takes everything up to the last that was put in, then all that died: how many there were.
async fn taken(
    consumer: &mut dyn Consumer,
    dead: &mut dyn DeadLetters,
    expected: usize,
) -> (usize, usize) {
    let mut handed_out = 0;
    let mut is_last = false;
    while !is_last {
        let batch = tokio::time::timeout(PATIENCE, consumer.take(100)).await;
        let batch = batch.expect("the last one comes").unwrap();
        batch.events.iter().for_each(is_sound);
        is_last = batch
            .events
            .iter()
            .any(|event| event.key.id.as_str() == LAST);
        handed_out += batch.events.len();
        batch.delivery.ack().await.unwrap();
    }
    let mut died = 0;
    while handed_out + died < expected {
        // Looking for more puts away what the last look has found.
        let looking = tokio::time::timeout(PATIENCE, async {
            tokio::select! {
                batch = dead.take(100) => batch,
                _ = consumer.take(1) => panic!("handed out after the last one"),
            }
        });
        let batch = looking
            .await
            .expect("what was not handed out has died")
            .unwrap();
        batch
            .letters
            .iter()
            .for_each(|letter| is_sound(&letter.event));
        died += batch.letters.len();
        batch.delivery.ack().await.unwrap();
    }
    (handed_out, died)
}

#[tokio::test]
async fn a_damaged_row_of_the_queue_is_handed_out_or_dies() {
    let directory = directory();
    let queue = EmbeddedQueue::open(directory.path()).await.unwrap();
    let (mut consumer, mut dead) = (queue.consumer(), queue.dead_letters());
    let options = SqliteConnectOptions::new().filename(directory.path().join("queue.db"));
    let mut stranger = SqliteConnection::connect_with(&options).await.unwrap();
    let (mut handed_out, mut died) = (0, 0);
    let mut inputs = Inputs::new("queue-row", WORDS, []);
    loop {
        let together: Vec<Input> = inputs.by_ref().take(TOGETHER).collect();
        if together.is_empty() {
            break;
        }
        let publisher = queue.publisher();
        for number in 0..together.len() {
            let event = event(&format!("evt_{number}"), "a.type");
            let _ = publisher.publish(event).await.unwrap();
        }
        let mut transaction = stranger.begin().await.unwrap();
        for (number, input) in together.iter().enumerate() {
            let (field, value) = choice(input);
            let (column, kind) = COLUMNS[field % COLUMNS.len()];
            let sql = format!(
                "UPDATE messages SET {column} = CAST(? AS {kind}) WHERE event_id = 'evt_{number}'"
            );
            let damage = sqlx::query(AssertSqlSafe(sql)).bind(value);
            damage.execute(&mut *transaction).await.unwrap();
        }
        transaction.commit().await.unwrap();
        let _ = publisher.publish(event(LAST, "a.type")).await.unwrap();
        let all = together.len() + 1;
        let (out, gone) = taken(&mut consumer, &mut dead, all).await;
        assert_eq!(out + gone, all);
        handed_out += out;
        died += gone;
        together.into_iter().for_each(Input::survived);
    }
    assert!(handed_out > 100 && died > 100, "{handed_out} and {died}");
}

/// What this program would write, with one thing changed.
fn properties(input: &Input) -> BasicProperties {
    let (field, value) = choice(input);
    let text = String::from_utf8_lossy(value);
    let mut end = text.len().min(255);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let short = ShortString::from(&text[..end]);
    let long = AMQPValue::LongString(LongString::from(value));
    let number = value.iter().fold(0_u64, |number, byte| {
        number.wrapping_mul(256).wrapping_add(u64::from(*byte))
    });
    let mut headers = FieldTable::default();
    let mut header = |name: &str, value: AMQPValue| {
        headers.insert(name.into(), value);
    };
    header(
        "x-hookmirror-received-at",
        AMQPValue::LongString("2026-11-21T10:00:00.123Z".into()),
    );
    header(
        "x-hookmirror-trigger",
        AMQPValue::LongString("webhook".into()),
    );
    let odd = match field / 16 % 4 {
        0 => long,
        1 => AMQPValue::LongLongInt(i64::from_ne_bytes(number.to_ne_bytes())),
        2 => AMQPValue::FieldArray(FieldArray::default()),
        _ => AMQPValue::Timestamp(number),
    };
    match field % 8 {
        0 => header("x-hookmirror-received-at", odd),
        1 => header("x-hookmirror-trigger", odd),
        2 => header("x-hookmirror-headers", odd),
        3 => header("x-hookmirror-event-id", odd),
        4 => header("traceparent", odd),
        _ => {}
    }
    let properties = BasicProperties::default()
        .with_delivery_mode(2)
        .with_message_id("stripe/evt_1".into())
        .with_type("a.type".into())
        .with_headers(headers);
    match field % 8 {
        5 => properties.with_message_id(short),
        6 => properties.with_type(short),
        7 => properties
            .with_timestamp(number)
            .with_headers(FieldTable::default()),
        _ => properties,
    }
}

#[tokio::test]
async fn a_message_that_nobody_sent_is_handed_out_or_dies() {
    let backoff = Backoff {
        first: Duration::from_millis(20),
        longest: Duration::from_millis(500),
        seed: 1,
    };
    let (broker, names) = (RabbitMq::shared(), topology());
    let settings = Settings::default();
    let queue = RabbitQueue::new(&broker.url(), names.clone(), settings, backoff).unwrap();
    queue.check().await.unwrap();
    let publisher = queue.publisher();
    publisher.connected().await;
    let (mut consumer, mut dead) = (queue.consumer(), queue.dead_letters());
    let url = broker.url();
    let stranger = Connection::connect(url.expose_secret(), ConnectionProperties::default());
    let stranger = stranger.await.unwrap();
    let channel = stranger.create_channel().await.unwrap();
    let confirms = channel.confirm_select(ConfirmSelectOptions::default());
    confirms.await.unwrap();
    let (mut handed_out, mut died) = (0, 0);
    let mut inputs = Inputs::new("message", WORDS, []);
    loop {
        let together: Vec<Input> = inputs.by_ref().take(TOGETHER).collect();
        if together.is_empty() {
            break;
        }
        for input in &together {
            let exchange = names.events_exchange.as_str();
            let sent = channel.basic_publish(
                exchange.into(),
                "stripe.a.type".into(),
                BasicPublishOptions::default(),
                &input.bytes,
                properties(input),
            );
            sent.await.unwrap();
        }
        channel.wait_for_confirms().await.unwrap();
        let _ = publisher.publish(event(LAST, "a.type")).await.unwrap();
        let all = together.len() + 1;
        let (out, gone) = taken(&mut consumer, &mut dead, all).await;
        assert_eq!(out + gone, all);
        handed_out += out;
        died += gone;
        together.into_iter().for_each(Input::survived);
    }
    assert!(handed_out > 100 && died > 100, "{handed_out} and {died}");
    queue.close().await;
}
