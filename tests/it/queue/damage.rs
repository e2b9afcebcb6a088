//! Rows that this program did not write: they end with the dead letters, which are kept like messages.

use futures_util::poll;
use hookmirror::model::event::{Event, EventId, EventKey, EventType};
use hookmirror::model::source::SourceName;
use hookmirror::queue::embedded::{Depth, inspect};
use hookmirror::queue::{CauseOfDeath, Consumer, DeadBatch, DeadLetters, Publisher};

use super::embedded::{execute, stranger};
use super::poison::{open, take_dead};
use super::{PATIENCE, assert_empty, drain, event, number, numbers, publish, take};
use crate::support::directory::directory;
use crate::support::given::key;

#[tokio::test]
async fn a_damaged_row_becomes_a_dead_letter_and_stops_nobody() {
    let directory = directory();
    let queue = open(directory.path()).await;
    publish(&queue.publisher(), 0..7).await;
    let mut stranger = stranger(directory.path()).await;
    for damage in [
        "UPDATE messages SET source = 'No Such Name' WHERE event_id = 'evt_0'",
        "UPDATE messages SET trigger = 'boredom' WHERE event_id = 'evt_2'",
        "UPDATE messages SET event_type = '' WHERE event_id = 'evt_5'",
        "UPDATE messages SET event_id = 'two words' WHERE event_id = 'evt_6'",
    ] {
        execute(&mut stranger, damage).await;
    }
    let mut consumer = queue.consumer();
    // One at a time, so that a batch of nothing but damage comes up.
    for expected in [1, 3, 4] {
        let batch = take(&mut consumer, 1).await;
        assert_eq!(numbers(&batch), [expected]);
        batch.delivery.ack().await.unwrap();
    }
    assert_empty(&queue.publisher(), &mut consumer).await;
    // Looking for more puts away what the last look has found. Orders are carried out in turn, so
    // after the readiness check that is done.
    assert!(poll!(consumer.take(1)).is_pending());
    queue.publisher().ready().await.unwrap();
    let waiting = inspect::waiting(directory.path()).await.unwrap();
    assert_eq!(
        (waiting.messages, waiting.dead),
        (4, 4),
        "all accounted for"
    );
    let depth = queue.depth();
    assert_eq!((depth.messages, depth.dead), (0, 4));
    assert_eq!(depth.bytes, waiting.bytes);
    drop(consumer);
    queue.close().await;

    let queue = open(directory.path()).await;
    assert_eq!(queue.depth(), depth);
    let DeadBatch { letters, delivery } = take_dead(&mut queue.dead_letters()).await;
    let expected = [
        (0, None, "a.type"),
        (2, Some(key("evt_2")), "a.type"),
        (5, Some(key("evt_5")), "unknown"),
        (6, None, "a.type"),
    ];
    assert_eq!(letters.len(), expected.len());
    for (letter, (number, known, event_type)) in letters.iter().zip(expected) {
        let original = event(format!("evt_{number}"));
        let filled_in = || EventKey {
            source: SourceName::unknown(),
            id: EventId::of_body(&original.body),
        };
        let event = Event {
            key: known.unwrap_or_else(filled_in),
            event_type: EventType::parse(event_type).unwrap(),
            ..original
        };
        assert_eq!(letter.event, event);
        let CauseOfDeath::Unreadable(flaw) = &letter.cause else {
            panic!("{letter:?}");
        };
        assert!(
            flaw.starts_with("its ") || flaw.contains("triggered"),
            "{flaw}"
        );
    }
    delivery.ack().await.unwrap();
    assert_eq!(queue.depth(), Depth::default());
}

#[tokio::test]
async fn dead_letters_are_kept_until_they_are_acknowledged_and_nobody_gets_one_twice_at_once() {
    let directory = directory();
    let queue = open(directory.path()).await;
    publish(&queue.publisher(), 0..3).await;
    let mut stranger = stranger(directory.path()).await;
    execute(&mut stranger, "UPDATE messages SET trigger = 'boredom'").await;
    let mut consumer = queue.consumer();
    let mut taking = consumer.take(1);
    let (mut one, mut other) = (queue.dead_letters(), queue.dead_letters());
    let first = tokio::select! {
        _ = &mut taking => panic!("nothing is readable"),
        first = one.take(1) => first.unwrap(),
    };
    let rest = take_dead(&mut other).await;
    let ids = |batch: &DeadBatch| -> Vec<u32> {
        batch
            .letters
            .iter()
            .map(|letter| number(&letter.event))
            .collect()
    };
    assert_eq!((ids(&first), ids(&rest)), (vec![0], vec![1, 2]));
    {
        let mut none = one.take(1);
        for _ in 0..10 {
            assert!(poll!(&mut none).is_pending());
            tokio::task::yield_now().await;
        }
        rest.delivery.give_back();
        let again = tokio::time::timeout(PATIENCE, none).await.unwrap().unwrap();
        assert_eq!(ids(&again), [1]);
        again.delivery.ack().await.unwrap();
    }
    drop((first, taking));
    drop((consumer, one, other));
    queue.close().await;

    let queue = open(directory.path()).await;
    let left = take_dead(&mut queue.dead_letters()).await;
    assert_eq!(ids(&left), [0, 2]);
    left.delivery.ack().await.unwrap();
    assert_eq!(queue.depth(), Depth::default());
}

/// Whatever cannot be written: the events behind the damage are handed out.
#[tokio::test]
async fn damage_that_cannot_be_put_away_stops_nobody_and_is_put_away_later() {
    let directory = directory();
    let queue = open(directory.path()).await;
    publish(&queue.publisher(), 0..2).await;
    let mut stranger = stranger(directory.path()).await;
    execute(
        &mut stranger,
        "UPDATE messages SET trigger = 'boredom' WHERE event_id = 'evt_0'; \
         CREATE TRIGGER full BEFORE INSERT ON dead_letters \
         BEGIN SELECT RAISE(ROLLBACK, 'the disk is full'); END",
    )
    .await;
    let mut consumer = queue.consumer();
    assert_eq!(drain(&mut consumer, 1).await, [1]);
    assert_empty(&queue.publisher(), &mut consumer).await;
    assert_eq!(queue.depth().dead, 0);
    execute(&mut stranger, "DROP TRIGGER full").await;
    assert_empty(&queue.publisher(), &mut consumer).await;
    assert_eq!((queue.depth().messages, queue.depth().dead), (0, 1));
}
