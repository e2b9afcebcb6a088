//! What every queue must do, and what is particular to the embedded one.
//!
//! A behaviour is a function that is generic over an [`Engine`]. [`suite`] turns each into a test on
//! one engine; a further engine is one further line at the end of this file.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use hookmirror::model::event::Event;
use hookmirror::queue::{Batch, Consumer, Publisher};

use crate::support::given;

mod damage;
mod embedded;
mod handing_out;
mod keeping;
mod memory;
mod poison;
mod rabbitmq;
mod spool;

/// A queue of its own for each test.
trait Engine: Sized {
    /// A queue that is empty.
    async fn fresh() -> Self;
    async fn publisher(&self) -> Arc<dyn Publisher>;
    async fn consumer(&self) -> Box<dyn Consumer>;
    /// The same queue, as it is found after an orderly end of everybody who used it.
    async fn reopened(self) -> Self;
}

macro_rules! suite {
    ($engine:ty: $($area:ident: $($behaviour:ident)+;)+) => {
        $(mod $area {
            $(#[tokio::test]
            async fn $behaviour() {
                super::super::$area::$behaviour(<$engine as super::super::Engine>::fresh().await)
                    .await;
            })+
        })+
    };
}

macro_rules! every_behaviour {
    ($engine:ty) => {
        suite! { $engine:
            keeping:
                every_field_and_byte_is_preserved
                confirmed_events_survive_reopening
                acknowledged_events_are_gone_for_good
                events_that_were_not_acknowledged_are_there_after_reopening
                the_same_event_twice_is_two_messages
                readiness_leaves_nothing_behind;
            handing_out:
                what_is_ready_is_taken_without_waiting_for_more
                an_empty_queue_waits_for_an_event
                events_come_oldest_first
                a_batch_given_back_comes_again_before_newer_events
                a_batch_dropped_unsettled_comes_again
                a_larger_batch_given_back_comes_again_in_smaller_ones
                a_cancelled_take_loses_nothing
                an_abandoned_acknowledgement_hides_nothing
                consumers_never_get_the_same_event_at_once
                one_consumer_gives_back_what_another_one_waits_for;
        }
    };
}

/// Long enough for any machine; only a test that fails ever waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

fn event(id: impl AsRef<str>) -> Event {
    given::event(id.as_ref(), "a.type")
}

async fn publish(publisher: &dyn Publisher, ids: impl IntoIterator<Item = u32>) {
    for id in ids {
        let confirmed = publisher.publish(event(format!("evt_{id}"))).await;
        let _ = confirmed.unwrap();
    }
}

async fn take(consumer: &mut dyn Consumer, max: usize) -> Batch {
    let taken = tokio::time::timeout(PATIENCE, consumer.take(max)).await;
    let batch = taken.expect("events are ready").unwrap();
    assert!((1..=max).contains(&batch.events.len()), "{batch:?}");
    batch
}

/// Takes exactly so many events at once. An engine that fetches them one by one may have fewer ready
/// at first.
async fn take_together(consumer: &mut dyn Consumer, count: usize) -> Batch {
    let taking = async {
        loop {
            let batch = take(consumer, count).await;
            if batch.events.len() == count {
                return batch;
            }
            batch.delivery.give_back();
            tokio::task::yield_now().await;
        }
    };
    let taken = tokio::time::timeout(PATIENCE, taking).await;
    taken.expect("so many events are ready")
}

/// Numbers of the events in a batch.
fn numbers(batch: &Batch) -> Vec<u32> {
    batch.events.iter().map(number).collect()
}

fn number(event: &Event) -> u32 {
    let id = event.key.id.as_str().strip_prefix("evt_").unwrap();
    id.parse().unwrap()
}

/// Takes and acknowledges so many events; answers their numbers in order of handing out.
async fn drain(consumer: &mut dyn Consumer, count: usize) -> Vec<u32> {
    let mut drained = Vec::new();
    while drained.len() < count {
        let batch = take(consumer, 100).await;
        drained.extend(numbers(&batch));
        batch.delivery.ack().await.unwrap();
    }
    drained
}

/// Checks that nothing is ready, by publishing one more event and finding it alone.
async fn assert_empty(publisher: &dyn Publisher, consumer: &mut dyn Consumer) {
    publish(publisher, [999_999]).await;
    let batch = take(consumer, 100).await;
    assert_eq!(numbers(&batch), [999_999]);
    batch.delivery.ack().await.unwrap();
}

fn set(numbers: impl IntoIterator<Item = u32>) -> BTreeSet<u32> {
    numbers.into_iter().collect()
}

mod on_embedded {
    every_behaviour!(crate::queue::embedded::Embedded);
}

mod on_rabbitmq {
    every_behaviour!(crate::queue::rabbitmq::Shared);
}

mod in_memory {
    every_behaviour!(crate::support::memory_queue::MemoryQueue);
}
