//! What is handed out, to whom, and in which order: kept in memory only.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::cursor::Cursor;
use super::publisher::EmbeddedPublisher;
use super::row::Flaw;
use super::suspects::{Candidate, Suspects};
use super::writer::Bells;
use crate::model::event::Event;
use crate::queue::DeadLetter;

/// What all consumers of one queue share.
#[derive(Debug)]
pub(super) struct Handout {
    cursor: tokio::sync::Mutex<Cursor>,
    /// Handed out once and handed back, to be taken before anything newer.
    returned: Mutex<BTreeSet<i64>>,
    /// Rows that this program did not write: found, and not yet with the dead letters.
    unreadable: Mutex<Vec<(i64, Flaw)>>,
    /// `None` once there are none.
    suspects: Mutex<Option<Suspects>>,
    /// Dead letters that somebody has.
    dead: Mutex<BTreeSet<i64>>,
    /// Whether anybody dropped a batch without settling it.
    pub(super) abandoned: Arc<AtomicBool>,
    pub(super) bells: Bells,
}

impl Handout {
    pub(super) fn new(
        cursor: Cursor,
        suspects: Option<Suspects>,
        abandoned: Arc<AtomicBool>,
        bells: Bells,
    ) -> Self {
        Self {
            cursor: tokio::sync::Mutex::new(cursor),
            returned: Mutex::default(),
            unreadable: Mutex::default(),
            suspects: Mutex::new(suspects),
            dead: Mutex::default(),
            abandoned,
            bells,
        }
    }

    pub(super) async fn close(self) {
        if let Err(error) = self.cursor.into_inner().close().await {
            tracing::warn!(error = %error, "the queue's file was not closed cleanly");
        }
    }

    pub(super) fn give_back(&self, seqs: &[i64]) {
        self.returned().extend(seqs);
        self.bells.arrivals.notify_waiters();
    }

    /// What is ready now. Nothing is marked as handed out before the rows are in hand, so giving up
    /// on this future loses nothing.
    pub(super) async fn ready(&self, max: usize) -> Result<Vec<(i64, Event)>, sqlx::Error> {
        let mut cursor = self.cursor.lock().await;
        loop {
            let returned: Vec<i64> = self.returned().iter().copied().take(max).collect();
            let again = !returned.is_empty();
            let piece = match again {
                true => cursor.read_again(&returned).await?,
                false => cursor.read_on(max).await?,
            };
            let mut still_returned = self.returned();
            for seq in returned.iter().filter(|seq| piece.covers(**seq)) {
                still_returned.remove(seq);
            }
            self.unreadable().extend(piece.unreadable);
            // Nothing to hand out, but rows may follow: these cannot be read, or were handed back by
            // a consumer that stopped waiting for its acknowledgement, and the writer has removed
            // them since.
            if !piece.events.is_empty() || (!again && piece.last.is_none()) {
                return Ok(piece.events);
            }
        }
    }

    /// Looks up the next suspect, if one may be tried now: its place, how often it was handed out
    /// before, and what it says. It counts as being on trial from here on.
    pub(super) async fn suspect(&self) -> Result<Option<(i64, u32, Event)>, sqlx::Error> {
        if self.suspects().is_none() {
            return Ok(None);
        }
        let mut cursor = self.cursor.lock().await;
        loop {
            let next = self.suspects().as_ref().and_then(Suspects::next);
            let Some(candidate) = next else {
                self.end_of_caution();
                return Ok(None);
            };
            let (deliveries, piece) = match candidate {
                Candidate::Unseen(unseen) => (0, cursor.read_unseen(unseen).await?),
                Candidate::Seen { deliveries, seq } => {
                    (deliveries, cursor.read_again(&[seq]).await?)
                }
            };
            let mut guard = self.suspects();
            let Some(suspects) = guard.as_mut() else {
                return Ok(None);
            };
            suspects.looked_up(candidate, piece.last);
            self.unreadable().extend(piece.unreadable);
            if let Some((seq, event)) = piece.events.into_iter().next() {
                suspects.trial_begins();
                return Ok(Some((seq, deliveries, event)));
            }
        }
    }

    fn end_of_caution(&self) {
        let mut suspects = self.suspects();
        if suspects.as_ref().is_some_and(Suspects::is_over) {
            *suspects = None;
            tracing::info!("all that was suspected is out of the queue: no more caution");
        }
    }

    /// Whether what is not suspected comes first now, so that neither keeps the other waiting.
    pub(super) fn others_are_due(&self) -> bool {
        self.suspects().as_ref().is_none_or(Suspects::was_last)
    }

    pub(super) fn others_had_their_turn(&self) {
        if let Some(suspects) = self.suspects().as_mut() {
            suspects.set_last(false);
        }
    }

    /// A row that this program did not write must not stop the rows behind it, and must not vanish
    /// either.
    pub(super) async fn bury_unreadable(&self, publisher: &EmbeddedPublisher) {
        let found = self.unreadable().clone();
        if found.is_empty() {
            return;
        }
        let dead = found.iter().map(|(seq, flaw)| (*seq, Some(*flaw)));
        match publisher.bury(dead.collect()).await {
            Ok(()) => {
                for (seq, flaw) in &found {
                    tracing::error!(
                        queue.seq = seq,
                        "gave up on a row of the queue that this program did not write: {flaw}"
                    );
                }
                self.unreadable().retain(|row| !found.contains(row));
            }
            // The writer has said why. Tried again with the next batch.
            Err(_) => tracing::error!("rows that cannot be read stay in the queue for now"),
        }
    }

    /// Dead letters that nobody has.
    pub(super) async fn ready_dead(
        &self,
        max: usize,
    ) -> Result<Vec<(i64, DeadLetter)>, sqlx::Error> {
        let mut cursor = self.cursor.lock().await;
        let held: Vec<i64> = self.dead().iter().copied().collect();
        let letters = cursor.read_dead(&held, max).await?;
        self.dead().extend(letters.iter().map(|(id, _)| id));
        Ok(letters)
    }

    pub(super) fn give_back_dead(&self, ids: &[i64]) {
        let mut dead = self.dead();
        for id in ids {
            dead.remove(id);
        }
        drop(dead);
        self.bells.deaths.notify_waiters();
    }

    fn returned(&self) -> MutexGuard<'_, BTreeSet<i64>> {
        self.returned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn dead(&self) -> MutexGuard<'_, BTreeSet<i64>> {
        self.dead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unreadable(&self) -> MutexGuard<'_, Vec<(i64, Flaw)>> {
        self.unreadable
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn suspects(&self) -> MutexGuard<'_, Option<Suspects>> {
        self.suspects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
