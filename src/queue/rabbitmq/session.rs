//! One consuming channel and what is unacknowledged on it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use lapin::Acker;
use lapin::options::{BasicAckOptions, BasicNackOptions};

use super::error::RabbitError;
use super::item::Item;

/// What acknowledgements need to know about their channel.
#[derive(Debug)]
pub(super) struct Session {
    number: u64,
    /// Numbers of all messages that came and are not settled, whoever holds them.
    outstanding: Mutex<BTreeSet<u64>>,
    /// Nothing of it is believed any more, whatever its channel says.
    over: AtomicBool,
    /// One settlement after the other: an acknowledgement of "all up to here" must not overtake one
    /// of a part of that, or the broker closes the channel over the second.
    settling: tokio::sync::Mutex<()>,
}

impl Session {
    pub(super) fn new(number: u64) -> Self {
        Self {
            number,
            outstanding: Mutex::default(),
            over: AtomicBool::new(false),
            settling: tokio::sync::Mutex::default(),
        }
    }

    /// Differs between the sessions of one consumer.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The broker hands out again what is not settled: it is too late to settle it.
    pub(super) fn end(&self) {
        self.over.store(true, Ordering::Release);
    }

    /// A message has come.
    pub(super) fn arrived(&self, tag: u64) {
        self.outstanding().insert(tag);
    }

    /// Acknowledges messages: in one go if nothing of others lies below the last of them.
    pub(super) async fn acknowledge<T>(&self, items: &[Item<T>]) -> Result<(), RabbitError> {
        let _one_at_a_time = self.settling.lock().await;
        if self.over.load(Ordering::Acquire) {
            return Err(RabbitError::Gone);
        }
        let Some(last) = items.iter().max_by_key(|item| item.tag) else {
            return Ok(());
        };
        let alone = {
            let mut outstanding = self.outstanding();
            for item in items {
                outstanding.remove(&item.tag);
            }
            outstanding.first().is_none_or(|first| *first > last.tag)
        };
        if alone {
            return acknowledge(&last.acker, true).await;
        }
        for item in items {
            acknowledge(&item.acker, false).await?;
        }
        Ok(())
    }

    /// Gives a message up: the broker moves it to the dead letters.
    pub(super) async fn reject(&self, tag: u64, acker: &Acker) -> Result<(), RabbitError> {
        let _one_at_a_time = self.settling.lock().await;
        self.outstanding().remove(&tag);
        let options = BasicNackOptions {
            requeue: false,
            ..BasicNackOptions::default()
        };
        sent(acker.nack(options).await)
    }

    fn outstanding(&self) -> MutexGuard<'_, BTreeSet<u64>> {
        self.outstanding
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

async fn acknowledge(acker: &Acker, multiple: bool) -> Result<(), RabbitError> {
    sent(acker.ack(BasicAckOptions { multiple }).await)
}

fn sent(result: lapin::Result<bool>) -> Result<(), RabbitError> {
    match result {
        Ok(true) => Ok(()),
        // Its channel is gone, and the message is with the broker again.
        Ok(false) => Err(RabbitError::Gone),
        Err(source) => Err(RabbitError::Lost {
            action: "acknowledge",
            source,
        }),
    }
}
