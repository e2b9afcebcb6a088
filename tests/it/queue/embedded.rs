//! What is particular to the queue in a file.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use futures_util::future::join_all;
use futures_util::poll;
use hookmirror::model::event::Event;
use hookmirror::model::ledger::Waiting;
use hookmirror::queue::embedded::{Depth, EmbeddedQueue, OpenError, inspect};
use hookmirror::queue::{Consumer, Publisher};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{AssertSqlSafe, Connection, SqlSafeStr, SqliteConnection};
use tempfile::TempDir;

use super::{Engine, assert_empty, drain, event, numbers, publish, take};
use crate::support::directory::directory;
use crate::support::given::{at, key};

/// A queue in a directory of its own.
pub(super) struct Embedded {
    queue: EmbeddedQueue,
    directory: TempDir,
}

impl Engine for Embedded {
    async fn fresh() -> Self {
        let directory = directory();
        let queue = EmbeddedQueue::open(directory.path()).await.unwrap();
        Self { queue, directory }
    }

    async fn publisher(&self) -> Arc<dyn Publisher> {
        Arc::new(self.queue.publisher())
    }

    async fn consumer(&self) -> Box<dyn Consumer> {
        Box::new(self.queue.consumer())
    }

    async fn reopened(self) -> Self {
        self.queue.close().await;
        let queue = EmbeddedQueue::open(self.directory.path()).await.unwrap();
        Self { queue, ..self }
    }
}

/// Somebody else's connection to the same file.
pub(super) async fn stranger(directory: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(directory.join("queue.db"));
    SqliteConnection::connect_with(&options).await.unwrap()
}

pub(super) async fn execute(connection: &mut SqliteConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(connection)
        .await
        .unwrap();
}

/// Transactions in the write-ahead log: frames that say how large the database is after them
/// (SQLite, "WAL-mode file format"). Exact as long as the log has not begun anew.
fn commits(directory: &Path) -> usize {
    let log = fs::read(directory.join("queue.db-wal")).unwrap();
    let word = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().unwrap());
    let page_size = usize::try_from(word(&log[8..12])).unwrap();
    let salt = &log[16..24];
    log[32..]
        .chunks_exact(24 + page_size)
        .take_while(|frame| &frame[8..16] == salt)
        .filter(|frame| word(&frame[4..8]) != 0)
        .count()
}

#[tokio::test]
async fn events_that_come_together_share_a_commit() {
    let embedded = Embedded::fresh().await;
    let publisher = embedded.publisher().await;
    let directory = embedded.directory.path();

    let before = commits(directory);
    publish(&*publisher, 0..10).await;
    assert_eq!(
        commits(directory) - before,
        10,
        "each had to be durable alone"
    );

    let before = commits(directory);
    let together = (10..522).map(|number| {
        let event = event(format!("evt_{number}"));
        let publisher = &publisher;
        async move { publisher.publish(event).await }
    });
    for confirmed in join_all(together).await {
        let _ = confirmed.unwrap();
    }
    let commits = commits(directory) - before;
    assert!((1..=32).contains(&commits), "{commits} for 512 events");
    let mut consumer = embedded.consumer().await;
    assert_eq!(drain(&mut *consumer, 522).await.len(), 522);
}

#[tokio::test]
async fn a_second_opening_is_refused_until_the_first_is_closed() {
    let directory = directory();
    let queue = EmbeddedQueue::open(directory.path()).await.unwrap();
    let error = EmbeddedQueue::open(directory.path()).await.unwrap_err();
    assert!(matches!(error, OpenError::InUse { .. }), "{error:?}");
    // The refused attempt took nothing away from the holder.
    publish(&queue.publisher(), [1]).await;
    queue.close().await;
    EmbeddedQueue::open(directory.path()).await.unwrap();
}

#[tokio::test]
async fn the_queue_is_in_use_as_long_as_anything_may_be_written() {
    let directory = directory();
    let queue = EmbeddedQueue::open(directory.path()).await.unwrap();
    let publisher = queue.publisher();
    drop(queue);
    publish(&publisher, [1]).await;
    let error = EmbeddedQueue::open(directory.path()).await.unwrap_err();
    assert!(matches!(error, OpenError::InUse { .. }), "{error:?}");
}

#[tokio::test]
async fn closing_finishes_what_was_accepted_and_refuses_the_rest() {
    let embedded = Embedded::fresh().await;
    let publisher = embedded.publisher().await;
    let mut consumer = embedded.consumer().await;
    let mut publishing: Vec<_> = (0..50)
        .map(|number| publisher.publish(event(format!("evt_{number}"))))
        .collect();
    for accepted in &mut publishing {
        assert!(poll!(accepted).is_pending());
    }
    let Embedded { queue, directory } = embedded;
    queue.close().await;
    for confirmed in join_all(publishing).await {
        let _ = confirmed.unwrap();
    }
    assert!(publisher.publish(event("evt_50")).await.is_err());
    assert!(publisher.ready().await.is_err());
    assert!(consumer.take(1).await.is_err());

    let queue = EmbeddedQueue::open(directory.path()).await.unwrap();
    let drained = drain(&mut queue.consumer(), 50).await;
    assert_eq!(drained, Vec::from_iter(0..50));
}

#[tokio::test]
async fn closing_wakes_whoever_waits_for_events() {
    let embedded = Embedded::fresh().await;
    let mut consumer = embedded.consumer().await;
    let mut taking = consumer.take(1);
    assert!(poll!(&mut taking).is_pending());
    embedded.queue.close().await;
    let ended = tokio::time::timeout(super::PATIENCE, taking).await;
    assert!(ended.unwrap().is_err());
}

/// As with a full disk, SQLite ends the transaction by itself here.
#[tokio::test]
async fn a_failed_commit_confirms_nothing_and_is_recovered_from() {
    let embedded = Embedded::fresh().await;
    let publisher = embedded.publisher().await;
    let mut consumer = embedded.consumer().await;
    publish(&*publisher, 0..2).await;
    let held = take(&mut *consumer, 1).await;
    let mut stranger = stranger(embedded.directory.path()).await;
    execute(
        &mut stranger,
        "CREATE TRIGGER full BEFORE INSERT ON messages \
         BEGIN SELECT RAISE(ROLLBACK, 'the disk is full'); END; \
         CREATE TRIGGER stuck BEFORE DELETE ON messages \
         BEGIN SELECT RAISE(ROLLBACK, 'the disk is full'); END",
    )
    .await;
    for _ in 0..3 {
        assert!(publisher.publish(event("evt_9")).await.is_err());
    }
    assert!(held.delivery.ack().await.is_err());

    execute(&mut stranger, "DROP TRIGGER full; DROP TRIGGER stuck").await;
    publisher.ready().await.unwrap();
    publish(&*publisher, 2..4).await;
    assert_eq!(drain(&mut *consumer, 4).await, [0, 1, 2, 3]);
    assert_empty(&*publisher, &mut *consumer).await;
}

#[tokio::test]
async fn looking_in_from_outside_sees_what_waits() {
    let nowhere = directory();
    let nothing = inspect::waiting(&nowhere.path().join("deeper"))
        .await
        .unwrap();
    assert_eq!(nothing.messages, 0);

    let embedded = Embedded::fresh().await;
    let path = embedded.directory.path().to_owned();
    assert_eq!(inspect::waiting(&path).await.unwrap(), nothing);
    let publisher = embedded.publisher().await;
    for (id, seconds) in [("evt_1", 30), ("evt_2", 10), ("evt_1", 20)] {
        let mut event = event(id);
        event.received_at = at(seconds);
        let _ = publisher.publish(event).await.unwrap();
    }
    let mut consumer = embedded.consumer().await;
    let held = take(&mut *consumer, 10).await;
    let mut waiting = inspect::waiting(&path).await.unwrap();
    waiting.events.sort();
    assert_eq!(waiting.messages, 3, "what is handed out still waits");
    assert_eq!(waiting.oldest, Some(at(10)));
    assert_eq!(waiting.events, [key("evt_1"), key("evt_2")]);

    held.delivery.ack().await.unwrap();
    assert_eq!(inspect::waiting(&path).await.unwrap(), nothing);
    publish(&*publisher, [5]).await;
    drop(consumer);
    embedded.queue.close().await;
    assert_eq!(inspect::waiting(&path).await.unwrap().messages, 1);
}

#[tokio::test]
async fn a_batch_of_large_bodies_is_cut_and_loses_nothing() {
    const LARGE: usize = 1024 * 1024;
    const EVENTS: u32 = 40;
    let engine = Embedded::fresh().await;
    let publisher = engine.publisher().await;
    for n in 0..EVENTS {
        let mut large = event(format!("evt_{n}"));
        large.body = vec![b' '; LARGE].into();
        let _ = publisher.publish(large).await.unwrap();
    }
    let mut consumer = engine.consumer().await;

    let first = take(&mut *consumer, 200).await;
    let taken = numbers(&first);
    assert!(taken.len() < EVENTS as usize, "{} events", taken.len());
    // Given back, the batch is larger than what is taken again at a time of whatever follows.
    let second = take(&mut *consumer, 200).await;
    first.delivery.give_back();
    second.delivery.give_back();
    let all = drain(&mut *consumer, EVENTS as usize).await;
    assert_eq!(all, (0..EVENTS).collect::<Vec<_>>());
}

/// What publishers have given up on is still in memory: ingress alone cannot bound it.
#[tokio::test]
async fn what_waits_for_the_writer_is_bounded_in_bytes() {
    const ROOM: usize = 64 * 1024 * 1024;
    let engine = Embedded::fresh().await;
    let publisher = engine.publisher().await;
    let mut large = event("evt_0");
    large.body = vec![b' '; ROOM].into();
    let mut first = publisher.publish(large);
    assert!(poll!(&mut first).is_pending());
    // On this one thread the writer has not begun. Whoever finds no room and gives up has left
    // nothing behind.
    let mut second = publisher.publish(event("evt_1"));
    assert!(poll!(&mut second).is_pending());
    drop(second);

    let _ = first.await.unwrap();
    publish(&*publisher, [2]).await;
    let waiting = inspect::waiting(engine.directory.path()).await.unwrap();
    assert_eq!(waiting.events, [key("evt_0"), key("evt_2")]);
}

#[tokio::test]
async fn a_file_without_tables_holds_nothing() {
    let directory = directory();
    let options = SqliteConnectOptions::new()
        .filename(directory.path().join("queue.db"))
        .create_if_missing(true);
    let mut unfinished = SqliteConnection::connect_with(&options).await.unwrap();
    execute(&mut unfinished, "PRAGMA user_version = 1").await;
    let waiting = inspect::waiting(directory.path()).await.unwrap();
    assert_eq!(waiting, Waiting::default());
}

/// As the first version made it, with events that it left there.
#[tokio::test]
async fn a_file_of_an_earlier_version_is_taken_over() {
    let directory = directory();
    let options = SqliteConnectOptions::new()
        .filename(directory.path().join("queue.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal);
    let mut earlier = SqliteConnection::connect_with(&options).await.unwrap();
    let first = Migration::new(
        1,
        "messages".into(),
        MigrationType::Simple,
        include_str!("../../../migrations/queue/0001_messages.sql").into_sql_str(),
        false,
    );
    let first = Migrator::with_migrations(vec![first]);
    first.run(&mut earlier).await.unwrap();
    execute(
        &mut earlier,
        "INSERT INTO messages (source, event_id, event_type, received_at, trigger, body) VALUES \
         ('stripe', 'evt_1', 'a.type', 1, 'webhook', x'00ff'), \
         ('stripe', 'evt_2', 'a.type', 2, 'webhook', x'')",
    )
    .await;
    let seen = inspect::waiting(directory.path()).await.unwrap();
    assert_eq!((seen.messages, seen.dead, seen.bytes), (2, 0, 2 * 256 + 2));
    earlier.close().await.unwrap();

    let queue = EmbeddedQueue::open(directory.path()).await.unwrap();
    assert_eq!(queue.depth().bytes, 2 * 256 + 2);
    publish(&queue.publisher(), [3]).await;
    assert_eq!(drain(&mut queue.consumer(), 3).await, [1, 2, 3]);
    queue.close().await;
    let waiting = inspect::waiting(directory.path()).await.unwrap();
    assert_eq!(waiting, Waiting::default());
}

fn sized(id: &str, body_bytes: usize) -> Event {
    Event {
        body: vec![b' '; body_bytes].into(),
        ..event(id)
    }
}

#[tokio::test]
async fn the_depth_follows_every_commit() {
    let Embedded { queue, directory } = Embedded::fresh().await;
    let publisher = queue.publisher();
    let mut consumer = queue.consumer();
    let depth = |messages, body_bytes| Depth {
        messages,
        dead: 0,
        bytes: messages * 256 + body_bytes,
    };
    assert_eq!(queue.depth(), Depth::default());
    for (id, bytes) in [("evt_1", 1000), ("evt_2", 0), ("evt_3", 70_000)] {
        let _ = publisher.publish(sized(id, bytes)).await.unwrap();
    }
    assert_eq!(publisher.depth(), depth(3, 71_000));

    let batch = take(&mut consumer, 1).await;
    assert_eq!(queue.depth(), depth(3, 71_000), "still there");
    // Abandoned, so that it is handed out and removed a second time.
    let mut ack = batch.delivery.ack();
    assert!(poll!(&mut ack).is_pending());
    drop(ack);
    let batch = take(&mut consumer, 1).await;
    batch.delivery.ack().await.unwrap();
    publisher.ready().await.unwrap();
    let left = inspect::waiting(directory.path()).await.unwrap();
    assert_eq!(queue.depth().messages, left.messages);
    assert_eq!(queue.depth().bytes, left.bytes);

    drop(consumer);
    queue.close().await;
    let queue = EmbeddedQueue::open(directory.path()).await.unwrap();
    assert_eq!(queue.depth().bytes, left.bytes);
    drain(
        &mut queue.consumer(),
        usize::try_from(left.messages).unwrap(),
    )
    .await;
    assert_eq!(queue.depth(), Depth::default());
}

/// A commit that failed may have happened: here it has, as far as the writer can know.
#[tokio::test]
async fn the_depth_is_right_after_a_failed_commit() {
    let embedded = Embedded::fresh().await;
    let publisher = embedded.publisher().await;
    publish(&*publisher, 0..3).await;
    let before = embedded.queue.depth();
    let mut stranger = stranger(embedded.directory.path()).await;
    execute(
        &mut stranger,
        "CREATE TRIGGER full BEFORE INSERT ON messages \
         BEGIN SELECT RAISE(ROLLBACK, 'the disk is full'); END",
    )
    .await;
    assert!(publisher.publish(event("evt_9")).await.is_err());
    assert_eq!(embedded.queue.depth(), before);
    execute(
        &mut stranger,
        "DROP TRIGGER full; DELETE FROM messages WHERE event_id = 'evt_0'",
    )
    .await;
    publisher.ready().await.unwrap();
    assert_eq!(embedded.queue.depth().messages, 2);
}
