//! Messages that kill who takes them: they end with the dead letters, and nobody else does.

use std::path::Path;
use std::process::Command;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_util::poll;
use hookmirror::queue::embedded::{Depth, EmbeddedQueue, OpenError, inspect};
use hookmirror::queue::{Batch, CauseOfDeath, Consumer, DeadBatch, DeadLetters};
use sqlx::Row;

use super::embedded::stranger;
use super::{PATIENCE, assert_empty, drain, event, numbers, publish, take};
use crate::support::directory::directory;

/// What the module of the queue promises: two openings go by without suspicion, twenty with it.
const OPENINGS: u32 = 23;
const POISON: u32 = 13;

/// Opens the queue as soon as nobody works it any more: who dropped it is not done at once.
pub(super) async fn open(directory: &Path) -> EmbeddedQueue {
    let begun = Instant::now();
    loop {
        match EmbeddedQueue::open(directory).await {
            Ok(queue) => return queue,
            Err(OpenError::InUse { .. }) if begun.elapsed() < PATIENCE => {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// A queue that was opened so often without an orderly end, with these events in it.
async fn crashed(directory: &Path, times: u32, ids: impl IntoIterator<Item = u32>) {
    let queue = open(directory).await;
    publish(&queue.publisher(), ids).await;
    drop(queue);
    for _ in 1..times {
        drop(open(directory).await);
    }
}

pub(super) async fn take_dead(dead: &mut impl DeadLetters) -> DeadBatch {
    let taken = tokio::time::timeout(PATIENCE, dead.take(100)).await;
    taken.expect("there are dead letters").unwrap()
}

/// Acknowledges what it takes, until it takes the poison: then it has that batch in hand. `None`
/// once the poison has become a dead letter.
async fn work(queue: &EmbeddedQueue, delivered: &mut Vec<u32>) -> Option<Batch> {
    let mut consumer = queue.consumer();
    let mut dead = queue.dead_letters();
    loop {
        tokio::select! {
            batch = take(&mut consumer, 100) => {
                if numbers(&batch).contains(&POISON) {
                    return Some(batch);
                }
                delivered.extend(numbers(&batch));
                batch.delivery.ack().await.unwrap();
            }
            letters = take_dead(&mut dead) => {
                letters.delivery.give_back();
                return None;
            }
        }
    }
}

#[tokio::test]
async fn what_kills_each_time_ends_with_the_dead_letters_and_its_neighbours_are_delivered() {
    let directory = directory();
    let queue = open(directory.path()).await;
    publish(&queue.publisher(), 0..30).await;
    drop(queue);
    let mut delivered = Vec::new();
    let mut openings = 1;
    let queue = loop {
        let queue = open(directory.path()).await;
        openings += 1;
        assert!(openings <= OPENINGS, "still alive");
        // Something new comes each time.
        publish(&queue.publisher(), [1000 + openings]).await;
        let Some(in_hand) = work(&queue, &mut delivered).await else {
            break queue;
        };
        if openings > 2 {
            assert_eq!(numbers(&in_hand), [POISON], "nobody dies with it");
        }
        // The first time it was suspected like all others; from then on it is the last of all.
        if openings > 3 {
            let waiting = inspect::waiting(directory.path()).await.unwrap();
            assert!(waiting.messages <= 2, "{openings}: {waiting:?}");
        }
        // Everything goes at once, and nothing is closed.
        drop((queue, in_hand));
    };
    assert_eq!(openings, OPENINGS);

    // The last one was published into the opening that buried the poison.
    while delivered.len() < 29 + usize::try_from(OPENINGS).unwrap() - 1 {
        delivered.extend(drain(&mut queue.consumer(), 1).await);
    }
    delivered.sort_unstable();
    let expected = (0..30).filter(|number| *number != POISON);
    assert_eq!(
        delivered,
        Vec::from_iter(expected.chain(1002..=1000 + OPENINGS))
    );
    let mut dead = queue.dead_letters();
    let letters = take_dead(&mut dead).await;
    let [letter] = &letters.letters[..] else {
        panic!("{letters:?}");
    };
    assert_eq!(letter.event, event(format!("evt_{POISON}")));
    assert_eq!(letter.cause, CauseOfDeath::TooManyDeliveries);
    letters.delivery.ack().await.unwrap();
    assert_empty(&queue.publisher(), &mut queue.consumer()).await;
    assert_eq!(queue.depth(), Depth::default());
}

/// The same with processes that really die.
#[tokio::test]
async fn a_process_that_dies_of_a_message_gets_rid_of_it() {
    let directory = directory();
    let queue = open(directory.path()).await;
    publish(&queue.publisher(), 0..30).await;
    queue.close().await;
    for opening in 1..=OPENINGS {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "queue::poison::dies_of_the_poison", "--ignored"])
            .current_dir(directory.path())
            .output()
            .unwrap();
        let waiting = inspect::waiting(directory.path()).await.unwrap();
        if child.status.success() {
            let said = String::from_utf8_lossy(&child.stdout);
            assert!(said.contains("1 passed"), "{said}");
            assert_eq!(opening, OPENINGS);
            assert_eq!((waiting.messages, waiting.dead), (1, 1), "{waiting:?}");
            return;
        }
        let left = match opening {
            1 | 2 => 30,
            3 => 30 - u64::from(POISON),
            _ => 1,
        };
        assert_eq!((waiting.messages, waiting.dead), (left, 0), "{opening}");
    }
    panic!("it dies for ever");
}

#[tokio::test]
#[ignore = "run by another test, again and again, in a directory with a queue"]
async fn dies_of_the_poison() {
    let queue = EmbeddedQueue::open(Path::new(".")).await.unwrap();
    if work(&queue, &mut Vec::new()).await.is_some() {
        std::process::abort();
    }
    queue.close().await;
}

#[tokio::test]
async fn a_single_unclean_end_raises_no_suspicion_and_an_orderly_one_forgets_it() {
    let directory = directory();
    crashed(directory.path(), 1, 0..5).await;
    for _ in 0..3 {
        let queue = open(directory.path()).await;
        let batch = take(&mut queue.consumer(), 100).await;
        assert_eq!(batch.events.len(), 5);
        batch.delivery.give_back();
        queue.close().await;
        let queue = open(directory.path()).await;
        let batch = take(&mut queue.consumer(), 100).await;
        assert_eq!(batch.events.len(), 5);
        drop((queue, batch));
    }
}

/// The process survives a consumer's panic, closes the queue in order, and is started again.
#[tokio::test]
async fn an_end_is_not_orderly_when_a_batch_was_dropped() {
    let directory = directory();
    crashed(directory.path(), 1, 0..5).await;
    let queue = open(directory.path()).await;
    drop(take(&mut queue.consumer(), 100).await);
    queue.close().await;
    let queue = open(directory.path()).await;
    assert_eq!(take(&mut queue.consumer(), 100).await.events.len(), 1);
}

#[tokio::test]
async fn what_is_given_back_is_never_given_up_on() {
    let directory = directory();
    crashed(directory.path(), 2, 0..2).await;
    for _ in 0..30 {
        let queue = open(directory.path()).await;
        let mut consumer = queue.consumer();
        for _ in 0..2 {
            let batch = take(&mut consumer, 100).await;
            assert_eq!(numbers(&batch), [0]);
            batch.delivery.give_back();
        }
        drop((queue, consumer));
    }
    let queue = open(directory.path()).await;
    assert_eq!(drain(&mut queue.consumer(), 2).await, [0, 1]);
}

#[tokio::test]
async fn suspects_come_alone_one_at_a_time_and_what_is_new_flows_beside_them() {
    let directory = directory();
    crashed(directory.path(), 2, 0..3).await;
    let queue = open(directory.path()).await;
    let (mut one, mut other) = (queue.consumer(), queue.consumer());
    let suspect = take(&mut one, 100).await;
    assert_eq!(numbers(&suspect), [0]);
    let second = tokio::time::timeout(Duration::from_millis(100), other.take(100)).await;
    assert!(second.is_err(), "a second suspect: {second:?}");
    publish(&queue.publisher(), 10..14).await;
    let new = take(&mut other, 100).await;
    assert_eq!(numbers(&new), [10, 11, 12, 13]);
    suspect.delivery.ack().await.unwrap();
    new.delivery.ack().await.unwrap();

    // Neither keeps the other waiting.
    publish(&queue.publisher(), 20..22).await;
    assert_eq!(drain(&mut one, 4).await.len(), 4);
    // Caution is over: batches again.
    publish(&queue.publisher(), 30..33).await;
    assert_eq!(take(&mut one, 100).await.events.len(), 3);
}

/// A stream of new events does not save a suspect from its turn.
#[tokio::test]
async fn suspects_and_others_take_turns() {
    let directory = directory();
    crashed(directory.path(), 2, 0..3).await;
    let queue = open(directory.path()).await;
    let mut consumer = queue.consumer();
    publish(&queue.publisher(), 100..104).await;
    let mut order = Vec::new();
    while order.len() < 7 {
        let batch = take(&mut consumer, 1).await;
        order.extend(numbers(&batch));
        batch.delivery.ack().await.unwrap();
    }
    assert_eq!(order, [0, 100, 1, 101, 2, 102, 103]);
}

#[tokio::test]
async fn a_cancelled_take_neither_loses_nor_charges_a_suspect() {
    let directory = directory();
    crashed(directory.path(), 2, 0..3).await;
    let queue = open(directory.path()).await;
    let mut consumer = queue.consumer();
    for steps in 0..60 {
        let mut taking = consumer.take(3);
        for _ in 0..steps {
            if let Poll::Ready(batch) = poll!(&mut taking) {
                batch.unwrap().delivery.give_back();
                break;
            }
            tokio::time::sleep(Duration::from_micros(50)).await;
        }
    }
    // Orders are carried out in turn, so by now those have been that nobody waited for.
    publish(&queue.publisher(), [3]).await;
    let mut stranger = stranger(directory.path()).await;
    let charged = sqlx::query("SELECT COALESCE(SUM(deliveries), 0) FROM suspects")
        .fetch_one(&mut stranger)
        .await
        .unwrap();
    assert_eq!(charged.get::<i64, _>(0), 0);
    let mut drained = drain(&mut consumer, 4).await;
    drained.sort_unstable();
    assert_eq!(drained, [0, 1, 2, 3]);
}

/// Counts belong to a message and not to its place, which a later message gets.
#[tokio::test]
async fn an_acknowledged_suspect_leaves_no_count_behind() {
    let directory = directory();
    crashed(directory.path(), 2, [0]).await;
    for _ in 0..5 {
        let queue = open(directory.path()).await;
        let batch = take(&mut queue.consumer(), 1).await;
        drop((queue, batch));
    }
    let queue = open(directory.path()).await;
    drain(&mut queue.consumer(), 1).await;
    drop(queue);
    crashed(directory.path(), 1, [1]).await;
    for _ in 0..18 {
        let queue = open(directory.path()).await;
        let batch = take(&mut queue.consumer(), 1).await;
        assert_eq!(numbers(&batch), [1]);
        drop((queue, batch));
    }
}

#[tokio::test]
async fn who_only_passes_on_suspects_nobody() {
    let directory = directory();
    crashed(directory.path(), 5, 0..5).await;
    for _ in 0..30 {
        let opened = loop {
            match EmbeddedQueue::open_as_spool(directory.path()).await {
                Err(OpenError::InUse { .. }) => tokio::task::yield_now().await,
                opened => break opened.unwrap(),
            }
        };
        let batch = take(&mut opened.consumer(), 100).await;
        assert_eq!(batch.events.len(), 5);
        drop((opened, batch));
    }
}
